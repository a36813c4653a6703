//! Independently recurrent network (Li et al., 2018): each unit sees its own output alone,
//! `h' = a(x W + b + u h)`, so that a step takes no recurrent product.

use super::contract::{Cell, Gradient, Layout, Previous};
use crate::kernels::activation::Activations;
use crate::machine::simd::{Element, Simd};

/// The cell. Its vector is u.
#[derive(Clone, Copy, Debug)]
pub struct IndRnn;

impl<T: Element> Cell<T> for IndRnn {
    const LAYOUT: Layout = Layout {
        gates: 1,
        states: 0,
        slots: &[0],
        vectors: 1,
        input: (0, 1),
        phases: &[(0, 0)],
        recurrent_bias: false,
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
        vectors: &[S::V],
    ) -> S::V {
        let sum = s.mul_add(vectors[0], output, slots[0]);
        let output = a.candidate(s, sum);
        slots[0] = a.keep_candidate(sum, output);
        output
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
        let (_, slope) = a.candidate_derivative(s, slots[0]);
        let d_sum = s.mul(gradient.output, slope);
        slots[0] = d_sum;
        gradient.vectors[0] = s.mul_add(d_sum, previous.output, gradient.vectors[0]);
        s.mul(d_sum, vectors[0])
    }
}
