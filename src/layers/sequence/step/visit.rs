//! Steps for the cell at hand: from the cell's name to its kernels.

use std::marker::PhantomData;
use std::ops::Range;

use super::forward::{Place, RowMajor, Step};
use crate::cells::{Cell, Visitor};
use crate::kernels::activation::Standard;
use crate::kernels::pack::Packed;
use crate::layers::sequence::weights::Weights;
use crate::machine::memory::ViewMut;
use crate::machine::simd::Element;
use crate::machine::threads::Columns;

/// A phase of a step for the cell at hand.
pub(crate) struct StepVisitor<'a, 'o, 'v, T: Element> {
    pub(crate) weights: &'a Weights<T>,
    pub(crate) phase: usize,
    pub(crate) active: &'a [u32],
    pub(crate) operand: Option<RowMajor<'a, T>>,
    pub(crate) blocks: Range<usize>,
    pub(crate) from_end: bool,
    pub(crate) slots: &'a mut [T],
    pub(crate) keep: bool,
    pub(crate) place: Place,
    pub(crate) previous: RowMajor<'a, T>,
    pub(crate) produced: &'a mut Columns<'o, T>,
    pub(crate) state: &'a mut [T],
    pub(crate) slice_rows: usize,
    pub(crate) kept_state: Option<&'a mut [T]>,
    pub(crate) outputs: Option<(&'a mut ViewMut<'v, T>, usize)>,
    pub(crate) tail: Option<&'a Packed<T>>,
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
        match (self.weights.activations.is_standard(), self.phase) {
            (true, 0) => run!(Standard, 0),
            (true, _) => run!(Standard, 1),
            (false, 0) => run!(self.weights.activations, 0),
            (false, _) => run!(self.weights.activations, 1),
        }
    }
}
