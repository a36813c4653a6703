//! What forward keeps for backward.

use super::plan::{Plan, Slice};
use super::problem::Problem;
use crate::error::{Error, Result};
use crate::machine::memory::{Buffer, View};
use crate::machine::simd::Element;

/// What one forward pass kept: to be given to [`crate::layers::sequence::backward()`] with the same problem.
pub struct Residuals<T: Element> {
    pub(crate) plan: Plan,
    /// By slice and part.
    pub(crate) slices: Vec<Vec<Kept<T>>>,
    pub(crate) shape: [usize; 3],
    consumed: bool,
}

/// What a part of a slice kept, chunk after chunk; empty where nothing is wanted. One buffer for all
/// chunks is one the pool finds again.
#[derive(Default)]
pub(crate) struct Kept<T: Element> {
    /// What the cell keeps: for each chunk `[block of the part][chunk row][slot][LANES]`.
    pub(crate) slots: Buffer<T>,
    /// The states but the output before each step: `[block of the part][chunk row][state][LANES]`.
    pub(crate) states: Buffer<T>,
    /// The outputs before each step, `[row][stride]`, where the caller's outputs lack them; whole
    /// rows, in the first part.
    pub(crate) outputs: Buffer<T>,
    /// What the second phase multiplied, `[row][stride]`; whole rows, in the first part.
    pub(crate) operands: Buffer<T>,
}

impl<T: Element> Residuals<T> {
    pub(crate) fn new(plan: Plan, slices: Vec<Vec<Kept<T>>>, shape: [usize; 3]) -> Self {
        Self { plan, slices, shape, consumed: false }
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let buffers = |kept: &Kept<T>| {
            let all = [&kept.slots, &kept.states, &kept.outputs, &kept.operands];
            all.into_iter().map(|buffer| buffer.len()).sum::<usize>()
        };
        self.slices.iter().flatten().map(buffers).sum::<usize>() * size_of::<T>()
    }

    /// Each slice's and part's slots, to be overwritten: the kept ones if `consume`, else copies.
    pub(crate) fn take_slots(&mut self, consume: bool) -> Result<Vec<Vec<Buffer<T>>>> {
        if self.consumed {
            return Err(Error::Consumed);
        }
        self.consumed = consume;
        let take = |kept: &mut Kept<T>| {
            if consume {
                return Ok(std::mem::take(&mut kept.slots));
            }
            let mut copy = Buffer::taken(kept.slots.len())?;
            copy.copy_from_slice(&kept.slots);
            Ok(copy)
        };
        self.slices.iter_mut().map(|parts| parts.iter_mut().map(take).collect()).collect()
    }
}

/// A row of a step: where it is in what was kept, in the slice and in time.
#[derive(Clone, Copy)]
pub(crate) struct At {
    /// Its number among all rows of all steps.
    pub(crate) kept: usize,
    /// Row of the slice.
    pub(crate) row: usize,
    /// Number of the step.
    pub(crate) step: usize,
}

/// Where the outputs before each step can be read.
#[derive(Clone, Copy)]
pub(crate) struct History<'a, T: Element> {
    pub(crate) problem: &'a Problem<'a, T>,
    pub(crate) slice: &'a Slice,
    /// By part.
    pub(crate) kept: &'a [Kept<T>],
    /// The outputs that forward returned.
    pub(crate) outputs: View<'a, T>,
    /// Elements between the rows of what was kept.
    pub(crate) stride: usize,
}

impl<'a, T: Element> History<'a, T> {
    /// The output before a step; `None` for the zeros before the first.
    pub(crate) fn output_before(&self, at: At) -> Option<&'a [T]> {
        if !self.problem.outputs_hold_states() {
            let rows = &self.kept[0].outputs;
            return Some(&rows[at.kept * self.stride..][..self.outputs.shape()[2]]);
        }
        let row = self.slice.batch_row(at.row);
        match at.step {
            0 => self.problem.initial_state.first().map(|state| state.row(row, 0)),
            step => Some(self.outputs.row(row, step - 1)),
        }
    }

    /// What the second phase of a step multiplied.
    pub(crate) fn operand(&self, at: At) -> &'a [T] {
        &self.kept[0].operands[at.kept * self.stride..][..self.outputs.shape()[2]]
    }
}
