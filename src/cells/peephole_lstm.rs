//! Long short-term memory whose gates see the state (Gers and Schmidhuber, 2000): each unit's gates
//! i and f see c, o sees c', through weights of their own. `c' = f c + i g`, `h' = o tanh(c')`, gates
//! in the order i, f, g, o; vectors i, f, o.

use super::contract::{Cell, Gradient, Layout, Previous};
use crate::kernels::activation::Activations;
use crate::machine::simd::{Element, Simd};

/// The cell.
#[derive(Clone, Copy, Debug)]
pub struct PeepholeLstm;

impl<T: Element> Cell<T> for PeepholeLstm {
    const LAYOUT: Layout = Layout {
        gates: 4,
        states: 1,
        slots: &[0, 1, 2, 3],
        vectors: 3,
        input: (0, 4),
        phases: &[(0, 4)],
        recurrent_bias: false,
        reads_output: false,
    };

    #[inline(always)]
    fn forward<S: Simd<T>, A: Activations<T>>(
        s: S,
        a: A,
        _phase: usize,
        slots: &mut [S::V],
        _output: S::V,
        state: &mut [S::V],
        vectors: &[S::V],
    ) -> S::V {
        let before_i = s.mul_add(vectors[0], state[0], slots[0]);
        let before_f = s.mul_add(vectors[1], state[0], slots[1]);
        let (i, f) = (a.gate(s, before_i), a.gate(s, before_f));
        let g = a.candidate(s, slots[2]);
        slots[0] = a.keep_gate(before_i, i);
        slots[1] = a.keep_gate(before_f, f);
        slots[2] = a.keep_candidate(slots[2], g);
        state[0] = s.mul_add(f, state[0], s.mul(i, g));
        let before_o = s.mul_add(vectors[2], state[0], slots[3]);
        let o = a.gate(s, before_o);
        slots[3] = a.keep_gate(before_o, o);
        s.mul(o, a.state(s, state[0]))
    }

    #[inline(always)]
    fn backward<S: Simd<T>, A: Activations<T>>(
        s: S,
        a: A,
        _phase: usize,
        slots: &mut [S::V],
        vectors: &[S::V],
        previous: Previous<'_, S::V>,
        gradient: Gradient<'_, S::V>,
    ) -> S::V {
        let (i, i_slope) = a.gate_derivative(s, slots[0]);
        let (f, f_slope) = a.gate_derivative(s, slots[1]);
        let (g, g_slope) = a.candidate_derivative(s, slots[2]);
        let (o, o_slope) = a.gate_derivative(s, slots[3]);
        // Computing the state and its activation again is cheaper than writing and reading them.
        let before = previous.state[0];
        let c = s.mul_add(f, before, s.mul(i, g));
        let (out, out_slope) = a.state_derivative(s, c);
        let d_h = gradient.output;
        let d_o = s.mul(s.mul(d_h, out), o_slope);
        let d_c = s.mul_add(s.mul(d_h, o), out_slope, gradient.state[0]);
        let d_c = s.mul_add(d_o, vectors[2], d_c);
        let d_i = s.mul(s.mul(d_c, g), i_slope);
        let d_f = s.mul(s.mul(d_c, before), f_slope);
        slots[0] = d_i;
        slots[1] = d_f;
        slots[2] = s.mul(s.mul(d_c, i), g_slope);
        slots[3] = d_o;
        gradient.vectors[0] = s.mul_add(d_i, before, gradient.vectors[0]);
        gradient.vectors[1] = s.mul_add(d_f, before, gradient.vectors[1]);
        gradient.vectors[2] = s.mul_add(d_o, c, gradient.vectors[2]);
        let d_before = s.mul_add(d_i, vectors[0], s.mul(d_c, f));
        gradient.state[0] = s.mul_add(d_f, vectors[1], d_before);
        s.splat(T::ZERO)
    }
}
