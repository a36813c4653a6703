//! Fully connected recurrence (Elman, 1990): `h' = tanh(x W + b + h U)`.

use super::contract::{Cell, Gradient, Layout, Previous};
use crate::kernels::activation::Activations;
use crate::machine::simd::{Element, Simd};

/// The cell.
#[derive(Clone, Copy, Debug)]
pub struct SimpleRnn;

impl<T: Element> Cell<T> for SimpleRnn {
    const LAYOUT: Layout = Layout {
        gates: 1,
        states: 0,
        slots: &[0],
        vectors: 0,
        input: (0, 1),
        phases: &[(0, 1)],
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
        _state: &mut [S::V],
        _vectors: &[S::V],
    ) -> S::V {
        let output = a.candidate(s, slots[0]);
        slots[0] = a.keep_candidate(slots[0], output);
        output
    }

    #[inline(always)]
    fn backward<S: Simd<T>, A: Activations<T>>(
        s: S,
        a: A,
        _phase: usize,
        slots: &mut [S::V],
        _vectors: &[S::V],
        _previous: Previous<'_, S::V>,
        gradient: Gradient<'_, S::V>,
    ) -> S::V {
        let (_, slope) = a.candidate_derivative(s, slots[0]);
        slots[0] = s.mul(gradient.output, slope);
        s.splat(T::ZERO)
    }
}
