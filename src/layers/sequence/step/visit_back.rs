//! A step backward for the cell at hand: from the cell's name to its kernel.

use std::marker::PhantomData;
use std::ops::Range;

use super::backward::StepBack;
use super::forward::Place;
use crate::cells::{Cell, Visitor};
use crate::kernels::activation::Standard;
use crate::layers::sequence::plan::Slice;
use crate::layers::sequence::weights::Weights;
use crate::machine::memory::View;
use crate::machine::simd::Element;
use crate::machine::threads::Columns;

/// A phase of a step backward for the cell at hand.
pub(crate) struct BackVisitor<'a, 'o, T: Element> {
    pub(crate) weights: &'a Weights<T>,
    pub(crate) phase: usize,
    pub(crate) active: &'a [u32],
    pub(crate) blocks: Range<usize>,
    pub(crate) slots: &'a mut [T],
    pub(crate) place: Place,
    pub(crate) previous: &'a [T],
    pub(crate) kept_state: &'a [T],
    pub(crate) d_output: &'a mut [T],
    pub(crate) stride: usize,
    pub(crate) d_outputs: Option<(View<'a, T>, usize)>,
    pub(crate) slice: &'a Slice,
    pub(crate) d_operand: &'a [T],
    pub(crate) d_state: &'a mut [T],
    pub(crate) d_sums: &'a mut Columns<'o, T>,
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
        match (self.weights.activations.is_standard(), self.phase) {
            (true, 0) => run!(Standard, 0),
            (true, _) => run!(Standard, 1),
            (false, 0) => run!(self.weights.activations, 0),
            (false, _) => run!(self.weights.activations, 1),
        }
    }
}
