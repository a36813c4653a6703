//! The cell's equations for one row and block of units, on the sums of its products.

use crate::cells::{Cell, MAX_STATES};
use crate::kernels::activation::Activations;
use crate::machine::simd::{Element, Simd};

/// Returns what the phase produces from the output before the step, the other states, which it
/// updates, and the block's weights of each unit alone. The slots then hold what backward and the
/// next phase need, if either follows.
#[inline(always)]
pub(crate) fn equations<T, C, A, S, const PHASE: usize, const W: usize>(
    s: S,
    activations: A,
    slots: &mut [S::V; W],
    (output, carried, vectors): (S::V, &mut [S::V], &[S::V]),
    keep: bool,
) -> S::V
where
    T: Element,
    C: Cell<T>,
    A: Activations<T>,
    S: Simd<T>,
{
    let states = C::LAYOUT.states;
    let mut state = [s.splat(T::ZERO); MAX_STATES];
    state[..states].copy_from_slice(carried);
    let mut sums = *slots;
    let produced =
        C::forward(s, activations, PHASE, &mut sums, output, &mut state[..states], vectors);
    if keep || const { PHASE + 1 < C::LAYOUT.phases.len() } {
        *slots = sums;
    }
    carried.copy_from_slice(&state[..states]);
    produced
}

/// A block's vectors of `[block][vector][LANES]`.
#[inline(always)]
pub(crate) fn of_block<T: Element, S: Simd<T>>(
    s: S,
    vectors: &[T],
    block: usize,
    count: usize,
) -> &[S::V] {
    if count == 0 {
        return &[];
    }
    &s.vectors(vectors)[block * count..][..count]
}
