//! Gated recurrent unit (Cho et al., 2014) in cuDNN's form, the reset gate after the product:
//! `h~ = tanh(x_h + r h_h)`, `h' = z h + (1 - z) h~`, where `h_h` has a bias of its own.

use super::contract::{Cell, Gradient, Layout, Previous};
use crate::kernels::activation::Activations;
use crate::machine::simd::{Element, Simd};

/// The cell. Slots: candidate from the input, z, r, candidate from the previous output.
#[derive(Clone, Copy, Debug)]
pub struct Gru;

impl<T: Element> Cell<T> for Gru {
    const LAYOUT: Layout = Layout {
        gates: 3,
        states: 0,
        slots: &[2, 0, 1, 2],
        vectors: 0,
        input: (0, 3),
        phases: &[(1, 3)],
        recurrent_bias: true,
        reads_output: true,
    };

    #[inline(always)]
    fn forward<S: Simd<T>, A: Activations<T>>(
        s: S,
        a: A,
        _phase: usize,
        slots: &mut [S::V],
        output: S::V,
        _state: &mut [S::V],
        _vectors: &[S::V],
    ) -> S::V {
        let (z, r) = (a.gate(s, slots[1]), a.gate(s, slots[2]));
        slots[1] = a.keep_gate(slots[1], z);
        slots[2] = a.keep_gate(slots[2], r);
        let sum = s.mul_add(r, slots[3], slots[0]);
        let candidate = a.candidate(s, sum);
        slots[0] = a.keep_candidate(sum, candidate);
        s.mul_add(z, s.sub(output, candidate), candidate)
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
        let (candidate, slope) = a.candidate_derivative(s, slots[0]);
        let (z, z_slope) = a.gate_derivative(s, slots[1]);
        let (r, r_slope) = a.gate_derivative(s, slots[2]);
        let d_h = gradient.output;
        let d_kept = s.mul(d_h, z);
        let d_sum = s.mul(s.sub(d_h, d_kept), slope);
        slots[0] = d_sum;
        slots[1] = s.mul(s.mul(d_h, s.sub(previous.output, candidate)), z_slope);
        slots[2] = s.mul(s.mul(d_sum, slots[3]), r_slope);
        slots[3] = s.mul(d_sum, r);
        d_kept
    }
}
