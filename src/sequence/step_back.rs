//! One step of a slice's active rows on the way back: the cell's equations, and what they read and
//! write.

use std::marker::PhantomData;
use std::ops::Range;

use super::plan::Slice;
use super::step::{MAX_SLOTS, MAX_STATES, Place};
use crate::cells::{Cell, Gradient, Previous};
use crate::kernels::activation::Activations;
use crate::memory::View;
use crate::simd::{Element, Kernel, Simd};
use crate::threads::Columns;

/// Gradients by states below this count as zero. They would shrink on to subnormal numbers, for which
/// some CPUs take a hundred times as long, and are far below the rounding of any gradient that counts.
const fn tiny<T>() -> f64 {
    // 2^-100 and 2^-900
    if size_of::<T>() == 4 { 7.888_609_052_210_118e-31 } else { 1.183_052_186_166_774_7e-271 }
}

#[inline(always)]
fn without_tiny<T: Element, S: Simd<T>>(s: S, v: S::V) -> S::V {
    s.select_lt(s.abs(v), s.splat(T::of(tiny::<T>())), s.splat(T::ZERO), v)
}

/// One phase of a step backward: everything but the products.
pub(super) struct StepBack<'a, 'o, T: Element, C, A, const PHASE: usize> {
    pub(super) cell: PhantomData<C>,
    pub(super) activations: A,
    /// The rows that take the step.
    pub(super) active: &'a [u32],
    /// The chunk's slots: what forward kept on entry, gradients by the sums on return.
    pub(super) slots: &'a mut [T],
    pub(super) place: Place,
    /// The part's outputs before the step, by position; empty if the cell does not read them.
    pub(super) previous: &'a [T],
    /// The other states before the step, in the order of the chunk.
    pub(super) kept_state: &'a [T],
    /// The gradient by the part's outputs after the step on entry, by those before it on return but
    /// for the product; by row of the slice.
    pub(super) d_output: &'a mut [T],
    /// Elements between two rows of `d_output`, `d_operand` and `previous`.
    pub(super) stride: usize,
    /// The gradient by the caller's outputs, and the step, where it is to join `d_output` first.
    pub(super) d_outputs: Option<(View<'a, T>, usize)>,
    /// The rows' slice.
    pub(super) slice: &'a Slice,
    /// The gradient by what the phase produced, if that was not the output; by row of the slice.
    pub(super) d_operand: &'a [T],
    /// The gradients by the other states, `[block of the part][row of the slice][state]`.
    pub(super) d_state: &'a mut [T],
    /// The gradients by the sums once more, `[position][slot][units]`, for the products.
    pub(super) d_sums: &'a mut Columns<'o, T>,
    /// The part's blocks of units.
    pub(super) blocks: Range<usize>,
}

impl<T, C, A, const PHASE: usize> Kernel<T> for StepBack<'_, '_, T, C, A, PHASE>
where
    T: Element,
    C: Cell<T>,
    A: Activations<T>,
{
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) {
        let (width, states) = (C::LAYOUT.slots.len(), C::LAYOUT.states);
        let first = self.blocks.start;
        for block in 0..self.blocks.len() {
            let lane = block * S::LANES;
            for (position, &row) in self.active.iter().enumerate() {
                let row = row as usize;
                let kept = self.place.at(block, position, width);
                let kept = &mut s.vectors_mut(self.slots)[kept..][..width];
                let mut slots = [s.splat(T::ZERO); MAX_SLOTS];
                slots[..width].copy_from_slice(kept);

                let mut before = [s.splat(T::ZERO); MAX_STATES];
                let mut d_state = [s.splat(T::ZERO); MAX_STATES];
                let own = (block * self.slice.rows.len() + row) * states;
                if states > 0 {
                    let at = self.place.at(block, position, states);
                    before[..states].copy_from_slice(&s.vectors(self.kept_state)[at..][..states]);
                    for (to, &from) in
                        d_state.iter_mut().zip(&s.vectors(self.d_state)[own..][..states])
                    {
                        *to = without_tiny(s, from);
                    }
                }
                let output = if C::LAYOUT.reads_output {
                    s.load(&self.previous[position * self.stride + lane..])
                } else {
                    s.splat(T::ZERO)
                };
                let at = row * self.stride + lane;
                let operand = if PHASE + 1 < C::LAYOUT.phases.len() {
                    s.load(&self.d_operand[at..])
                } else {
                    s.splat(T::ZERO)
                };
                let mut d_output = s.load(&self.d_output[at..]);
                if let Some((d_outputs, step)) = self.d_outputs {
                    let d_outputs = d_outputs.row(self.slice.batch_row(row), step);
                    let d_outputs = &d_outputs[(first * S::LANES + lane)..];
                    d_output = s.add(d_output, s.load_partial(d_outputs));
                }
                let d_output = without_tiny(s, d_output);
                let direct = C::backward(
                    s,
                    self.activations,
                    PHASE,
                    &mut slots,
                    Previous { output, state: &before[..states] },
                    Gradient { output: d_output, state: &mut d_state[..states], operand },
                );
                s.store(direct, &mut self.d_output[at..]);
                kept.copy_from_slice(&slots[..width]);
                if states > 0 {
                    s.vectors_mut(self.d_state)[own..][..states]
                        .copy_from_slice(&d_state[..states]);
                }
                for (slot, &d_sum) in slots[..width].iter().enumerate() {
                    let to = self.d_sums.from(position, slot, first * S::LANES + lane);
                    s.store_partial(d_sum, to);
                }
            }
        }
    }
}
