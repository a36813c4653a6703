//! Long short-term memory with coupled gates (Greff et al., 2017, "CIFG"): what is forgotten makes
//! room for what comes in. `c' = f c + (1 - f) g`, `h' = o tanh(c')`, gates in the order f, g, o.

use super::contract::{Cell, Gradient, Layout, Previous};
use crate::kernels::activation::Activations;
use crate::machine::simd::{Element, Simd};

/// The cell.
#[derive(Clone, Copy, Debug)]
pub struct CoupledLstm;

impl<T: Element> Cell<T> for CoupledLstm {
    const LAYOUT: Layout = Layout {
        gates: 3,
        states: 1,
        slots: &[0, 1, 2],
        vectors: 0,
        input: (0, 3),
        phases: &[(0, 3)],
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
        let f = a.gate(s, slots[0]);
        let (g, o) = (a.candidate(s, slots[1]), a.gate(s, slots[2]));
        slots[0] = a.keep_gate(slots[0], f);
        slots[1] = a.keep_candidate(slots[1], g);
        slots[2] = a.keep_gate(slots[2], o);
        state[0] = s.mul_add(f, s.sub(state[0], g), g);
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
        let (f, f_slope) = a.gate_derivative(s, slots[0]);
        let (g, g_slope) = a.candidate_derivative(s, slots[1]);
        let (o, o_slope) = a.gate_derivative(s, slots[2]);
        // Computing the state and its activation again is cheaper than writing and reading them.
        let difference = s.sub(previous.state[0], g);
        let c = s.mul_add(f, difference, g);
        let (out, out_slope) = a.state_derivative(s, c);
        let d_h = gradient.output;
        let d_c = s.mul_add(s.mul(d_h, o), out_slope, gradient.state[0]);
        let d_kept = s.mul(d_c, f);
        slots[0] = s.mul(s.mul(d_c, difference), f_slope);
        slots[1] = s.mul(s.sub(d_c, d_kept), g_slope);
        slots[2] = s.mul(s.mul(d_h, out), o_slope);
        gradient.state[0] = d_kept;
        s.splat(T::ZERO)
    }
}
