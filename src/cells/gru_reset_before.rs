//! Gated recurrent unit as first published (Cho et al., 2014), the reset gate before the product:
//! `h~ = tanh(x_h + (r h) U_h)`, `h' = z h + (1 - z) h~`. It takes two products, one after the other.

use super::contract::{Cell, Gradient, Layout, Previous};
use crate::kernels::activation::Activations;
use crate::machine::simd::{Element, Simd};

/// The cell. Slots: z, r, candidate.
#[derive(Clone, Copy, Debug)]
pub struct GruResetBefore;

impl<T: Element> Cell<T> for GruResetBefore {
    const LAYOUT: Layout = Layout {
        gates: 3,
        states: 0,
        slots: &[0, 1, 2],
        vectors: 0,
        input: (0, 3),
        phases: &[(0, 2), (2, 1)],
        recurrent_bias: false,
        reads_output: true,
    };

    #[inline(always)]
    fn forward<S: Simd<T>, A: Activations<T>>(
        s: S,
        a: A,
        phase: usize,
        slots: &mut [S::V],
        output: S::V,
        _state: &mut [S::V],
        _vectors: &[S::V],
    ) -> S::V {
        if phase == 0 {
            let r = a.gate(s, slots[1]);
            slots[1] = a.keep_gate(slots[1], r);
            return s.mul(r, output);
        }
        let z = a.gate(s, slots[0]);
        slots[0] = a.keep_gate(slots[0], z);
        let candidate = a.candidate(s, slots[2]);
        slots[2] = a.keep_candidate(slots[2], candidate);
        s.mul_add(z, s.sub(output, candidate), candidate)
    }

    #[inline(always)]
    fn backward<S: Simd<T>, A: Activations<T>>(
        s: S,
        a: A,
        phase: usize,
        slots: &mut [S::V],
        _vectors: &[S::V],
        previous: Previous<'_, S::V>,
        gradient: Gradient<'_, S::V>,
    ) -> S::V {
        let d_h = gradient.output;
        if phase == 0 {
            let (r, r_slope) = a.gate_derivative(s, slots[1]);
            slots[1] = s.mul(s.mul(gradient.operand, previous.output), r_slope);
            return s.mul_add(gradient.operand, r, d_h);
        }
        let (z, z_slope) = a.gate_derivative(s, slots[0]);
        let (candidate, slope) = a.candidate_derivative(s, slots[2]);
        let d_kept = s.mul(d_h, z);
        slots[0] = s.mul(s.mul(d_h, s.sub(previous.output, candidate)), z_slope);
        slots[2] = s.mul(s.sub(d_h, d_kept), slope);
        d_kept
    }
}
