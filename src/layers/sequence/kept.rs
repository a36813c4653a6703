//! What forward keeps for backward.

use super::plan::{Plan, Slice};
use super::problem::{Facts, Problem};
use super::weights::Weights;
use crate::cells::CellKind;
use crate::error::{Error, Result};
use crate::machine::lists::Listed;
use crate::machine::memory::{ArrayId, Buffer, View};
use crate::machine::simd::Element;

/// What one forward pass kept, for [`crate::layers::sequence::backward()`] with the same problem.
pub struct Residuals<T: Element> {
    pub(crate) plan: Plan,
    /// By slice and part.
    pub(crate) slices: Vec<Vec<Kept<T>>>,
    /// The cell and the vectors, by which the slots lie.
    cell: (CellKind, &'static str),
    /// What was true of the problem.
    facts: Facts,
    mask: Option<ArrayId>,
    consumed: bool,
}

/// What a part of a slice kept, chunk after chunk; empty where nothing is wanted. All chunks share
/// one buffer, so that the pool can reuse it.
#[derive(Default)]
pub(crate) struct Kept<T: Element> {
    /// What the cell keeps: for each chunk `[block of the part][chunk row][slot][LANES]`.
    pub(crate) slots: Buffer<T>,
    /// The states but the output before each step: `[block of the part][chunk row][state][LANES]`.
    pub(crate) states: Buffer<T>,
    /// The outputs before each step, `[row][stride]`, where the caller's outputs lack them; whole
    /// rows, in the first part.
    pub(crate) outputs: Buffer<T>,
    /// What the second phase multiplied, or the projection, `[row][stride]`; whole rows, in the first part.
    pub(crate) operands: Buffer<T>,
}

impl<T: Element> Residuals<T> {
    pub(crate) fn new(
        weights: &Weights<T>,
        problem: &Problem<'_, T>,
        plan: Plan,
        slices: Vec<Vec<Kept<T>>>,
    ) -> Self {
        Self {
            plan,
            slices,
            cell: (weights.cell, weights.level.name()),
            facts: problem.facts(),
            mask: problem.mask_array(),
            consumed: false,
        }
    }

    /// Refuses a problem other than that of the forward pass, and the weights of another cell.
    /// Arrays are assumed to hold what they held then.
    pub(crate) fn check(&self, weights: &Weights<T>, problem: &Problem<'_, T>) -> Result<()> {
        let cell = (weights.cell, weights.level.name());
        if self.cell != cell {
            let of = |(cell, level)| format!("those of {cell:?} on {level}");
            return Err(Error::kind("residuals", of(cell), of(self.cell)));
        }
        for ((name, given), (_, kept)) in problem.facts().into_iter().zip(self.facts) {
            if given != kept {
                let of = |fact| format!("those of a problem with {name} = {fact}");
                return Err(Error::kind("residuals", of(given), of(kept)));
            }
        }
        let same_array = self.mask.is_some() && self.mask == problem.mask_array();
        if problem.is_masked() && !same_array && !self.plan.follows(problem) {
            let expected = "those of a problem with the same mask";
            return Err(Error::kind("residuals", expected, "those of another mask"));
        }
        Ok(())
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
    pub(crate) fn slots_to_overwrite(&mut self, consume: bool) -> Result<Vec<Vec<Buffer<T>>>> {
        if self.consumed {
            return Err(Error::Consumed);
        }
        self.consumed = consume;
        let take = |kept: &mut Kept<T>| {
            if consume {
                return Ok(std::mem::take(&mut kept.slots));
            }
            let mut copy = Buffer::unfilled(kept.slots.len())?;
            copy.copy_from_slice(&kept.slots);
            Ok(copy)
        };
        self.slices.iter_mut().map(|parts| parts.iter_mut().map(take).listed_or()).listed_or()
    }
}

/// The rows of one step, as they were multiplied.
pub(crate) enum Rows<'a, T> {
    /// `[row of the step][stride]`, of which the first `size` elements count.
    Kept { rows: &'a [T], stride: usize, size: usize },
    /// Rows of the caller's array, at one time step.
    Given(View<'a, T>, usize),
    /// The zeros before the first step.
    Zeros,
}

impl<'a, T> Rows<'a, T> {
    /// The row at a position among those of the step; `row` gives its number in the batch. `None` for
    /// zeros.
    #[inline(always)]
    pub(crate) fn get(&self, position: usize, row: impl FnOnce() -> usize) -> Option<&'a [T]> {
        match self {
            &Self::Kept { rows, stride, size } => Some(&rows[position * stride..][..size]),
            Self::Given(view, time) => Some(view.row(row(), *time)),
            Self::Zeros => None,
        }
    }
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
    /// Number of units.
    pub(crate) units: usize,
    /// Elements between the rows of what was kept.
    pub(crate) stride: usize,
}

impl<'a, T: Element> History<'a, T> {
    /// The outputs before a step.
    pub(crate) fn outputs_before(&self, step: usize) -> Rows<'a, T> {
        if !self.problem.outputs_hold_states() {
            return self.kept_rows(&self.kept[0].outputs, step, self.outputs.shape()[2]);
        }
        match (step, self.problem.initial_state.first()) {
            (0, Some(&state)) => Rows::Given(state, 0),
            (0, None) => Rows::Zeros,
            _ => Rows::Given(self.outputs, step - 1),
        }
    }

    /// What the second phase of a step multiplied, or the projection.
    pub(crate) fn operands(&self, step: usize) -> Rows<'a, T> {
        self.kept_rows(&self.kept[0].operands, step, self.units)
    }

    fn kept_rows(&self, all: &'a [T], step: usize, size: usize) -> Rows<'a, T> {
        let (stride, before) = (self.stride, self.slice.before(step));
        Rows::Kept { rows: &all[before * stride..], stride, size }
    }
}
