//! Long short-term memory (Hochreiter and Schmidhuber, 1997; forget gate by Gers et al., 2000):
//! `c' = f c + i g`, `h' = o tanh(c')`, gates in Keras' order i, f, g, o.

use super::contract::{Cell, Gradient, Layout, Previous};
use crate::kernels::activation::Activations;
use crate::machine::simd::{Element, Simd};

/// The cell.
#[derive(Clone, Copy, Debug)]
pub struct Lstm;

impl<T: Element> Cell<T> for Lstm {
    const LAYOUT: Layout = Layout {
        gates: 4,
        states: 1,
        slots: &[0, 1, 2, 3],
        vectors: 0,
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
        _vectors: &[S::V],
    ) -> S::V {
        let (i, f) = (a.gate(s, slots[0]), a.gate(s, slots[1]));
        let (g, o) = (a.candidate(s, slots[2]), a.gate(s, slots[3]));
        slots[0] = a.keep_gate(slots[0], i);
        slots[1] = a.keep_gate(slots[1], f);
        slots[2] = a.keep_candidate(slots[2], g);
        slots[3] = a.keep_gate(slots[3], o);
        state[0] = s.mul_add(f, state[0], s.mul(i, g));
        s.mul(o, a.state(s, state[0]))
    }

    #[inline(always)]
    fn backward<S: Simd<T>, A: Activations<T>>(
        s: S,
        a: A,
        _phase: usize,
        slots: &mut [S::V],
        _vectors: &[S::V],
        previous: Previous<'_, S::V>,
        gradient: Gradient<'_, S::V>,
    ) -> S::V {
        let (i, i_slope) = a.gate_derivative(s, slots[0]);
        let (f, f_slope) = a.gate_derivative(s, slots[1]);
        let (g, g_slope) = a.candidate_derivative(s, slots[2]);
        let (o, o_slope) = a.gate_derivative(s, slots[3]);
        // Computing the state and its activation again is cheaper than writing and reading them.
        let c = s.mul_add(f, previous.state[0], s.mul(i, g));
        let (out, out_slope) = a.state_derivative(s, c);
        let d_h = gradient.output;
        let d_c = s.mul_add(s.mul(d_h, o), out_slope, gradient.state[0]);
        slots[0] = s.mul(s.mul(d_c, g), i_slope);
        slots[1] = s.mul(s.mul(d_c, previous.state[0]), f_slope);
        slots[2] = s.mul(s.mul(d_c, i), g_slope);
        slots[3] = s.mul(s.mul(d_h, out), o_slope);
        gradient.state[0] = s.mul(d_c, f);
        s.splat(T::ZERO)
    }
}
