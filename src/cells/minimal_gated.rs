//! Minimal gated unit (Zhou et al., 2016), one gate that both resets and updates:
//! `h~ = tanh(x_h + (f h) U_h)`, `h' = (1 - f) h + f h~`. It takes two products, one after the other.

use super::contract::{Cell, Gradient, KEPT, Layout, Previous};
use crate::kernels::activation::Activations;
use crate::machine::simd::{Element, Simd};

/// The cell. Slots: f, candidate, and in the backward pass the part of f's gradient that does not
/// pass through the second product.
#[derive(Clone, Copy, Debug)]
pub struct MinimalGated;

impl<T: Element> Cell<T> for MinimalGated {
    const LAYOUT: Layout = Layout {
        gates: 2,
        states: 0,
        slots: &[0, 1, KEPT],
        vectors: 0,
        input: (0, 2),
        phases: &[(0, 1), (1, 1)],
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
            let f = a.gate(s, slots[0]);
            slots[0] = a.keep_gate(slots[0], f);
            return s.mul(f, output);
        }
        let (f, _) = a.gate_derivative(s, slots[0]);
        let candidate = a.candidate(s, slots[1]);
        slots[1] = a.keep_candidate(slots[1], candidate);
        s.mul_add(f, s.sub(candidate, output), output)
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
        let (f, f_slope) = a.gate_derivative(s, slots[0]);
        let d_h = gradient.output;
        if phase == 0 {
            let d_f = s.mul_add(gradient.operand, previous.output, slots[2]);
            slots[0] = s.mul(d_f, f_slope);
            return s.mul_add(gradient.operand, f, d_h);
        }
        let (candidate, slope) = a.candidate_derivative(s, slots[1]);
        let d_candidate = s.mul(d_h, f);
        slots[1] = s.mul(d_candidate, slope);
        slots[2] = s.mul(d_h, s.sub(candidate, previous.output));
        s.sub(d_h, d_candidate)
    }
}
