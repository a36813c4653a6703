//! Steps for the cell at hand: from the cell's name to its kernels.

use std::marker::PhantomData;
use std::ops::Range;

use super::plan::Slice;
use super::step::{Place, RowMajor, Step};
use super::step_back::StepBack;
use super::weights::Weights;
use crate::cells::{Cell, Visitor};
use crate::kernels::activation::{Activation, Chosen, Standard};
use crate::kernels::pack::Packed;
use crate::memory::{View, ViewMut};
use crate::simd::Element;
use crate::threads::Columns;

/// Whether the activations are those that are compiled in.
pub(super) fn is_standard(chosen: Chosen) -> bool {
    chosen.gate == Activation::Sigmoid && chosen.candidate == Activation::Tanh
}

/// Whether the recurrent product is part of the step.
pub(super) fn is_fused<T: Element>(weights: &Weights<T>) -> bool {
    T::FUSED && is_standard(weights.activations)
}

/// A phase of a step for the cell at hand.
pub(super) struct StepVisitor<'a, 'o, 'v, T: Element> {
    pub(super) weights: &'a Weights<T>,
    pub(super) phase: usize,
    pub(super) active: &'a [u32],
    pub(super) operand: Option<RowMajor<'a, T>>,
    pub(super) blocks: Range<usize>,
    pub(super) from_end: bool,
    pub(super) slots: &'a mut [T],
    pub(super) keep: bool,
    pub(super) place: Place,
    pub(super) previous: RowMajor<'a, T>,
    pub(super) produced: &'a mut Columns<'o, T>,
    pub(super) state: &'a mut [T],
    pub(super) slice_rows: usize,
    pub(super) kept_state: Option<&'a mut [T]>,
    pub(super) outputs: Option<(&'a mut ViewMut<'v, T>, usize)>,
    pub(super) tail: Option<&'a Packed<T>>,
}

impl<T: Element> Visitor<T> for StepVisitor<'_, '_, '_, T> {
    fn visit<C: Cell<T>>(self) {
        macro_rules! run {
            ($activations:expr, $phase:literal) => {
                T::dispatch(
                    self.weights.level,
                    Step::<T, C, _, $phase> {
                        cell: PhantomData,
                        activations: $activations,
                        active: self.active,
                        operand: self.operand,
                        weights: &self.weights.recurrent[$phase],
                        blocks: self.blocks,
                        from_end: self.from_end,
                        slots: self.slots,
                        keep: self.keep,
                        place: self.place,
                        previous: self.previous,
                        produced: self.produced,
                        state: self.state,
                        slice_rows: self.slice_rows,
                        kept_state: self.kept_state,
                        outputs: self.outputs,
                        tail: self.tail,
                        ahead: None,
                    },
                )
            };
        }
        match (is_standard(self.weights.activations), self.phase) {
            (true, 0) => run!(Standard, 0),
            (true, _) => run!(Standard, 1),
            (false, 0) => run!(self.weights.activations, 0),
            (false, _) => run!(self.weights.activations, 1),
        }
    }
}

/// A phase of a step backward for the cell at hand.
pub(super) struct BackVisitor<'a, 'o, T: Element> {
    pub(super) weights: &'a Weights<T>,
    pub(super) phase: usize,
    pub(super) active: &'a [u32],
    pub(super) blocks: Range<usize>,
    pub(super) slots: &'a mut [T],
    pub(super) place: Place,
    pub(super) previous: &'a [T],
    pub(super) kept_state: &'a [T],
    pub(super) d_output: &'a mut [T],
    pub(super) stride: usize,
    pub(super) d_outputs: Option<(View<'a, T>, usize)>,
    pub(super) slice: &'a Slice,
    pub(super) d_operand: &'a [T],
    pub(super) d_state: &'a mut [T],
    pub(super) d_sums: &'a mut Columns<'o, T>,
}

impl<T: Element> Visitor<T> for BackVisitor<'_, '_, T> {
    fn visit<C: Cell<T>>(self) {
        macro_rules! run {
            ($activations:expr, $phase:literal) => {
                T::dispatch(
                    self.weights.level,
                    StepBack::<T, C, _, $phase> {
                        cell: PhantomData,
                        activations: $activations,
                        active: self.active,
                        slots: self.slots,
                        place: self.place,
                        previous: self.previous,
                        kept_state: self.kept_state,
                        d_output: self.d_output,
                        stride: self.stride,
                        d_outputs: self.d_outputs,
                        slice: self.slice,
                        d_operand: self.d_operand,
                        d_state: self.d_state,
                        d_sums: self.d_sums,
                        blocks: self.blocks,
                    },
                )
            };
        }
        match (is_standard(self.weights.activations), self.phase) {
            (true, 0) => run!(Standard, 0),
            (true, _) => run!(Standard, 1),
            (false, 0) => run!(self.weights.activations, 0),
            (false, _) => run!(self.weights.activations, 1),
        }
    }
}
