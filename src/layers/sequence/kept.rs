//! What forward keeps for backward.

use super::plan::{Plan, Slice};
use super::problem::{Facts, Problem};
use super::weights::Weights;
use crate::cells::CellKind;
use crate::error::{Error, Result};
use crate::machine::lists::Listed;
use crate::machine::memory::{ArrayId, Buffer, View};
use crate::machine::simd::Element;

/// What one forward pass kept: to be given to [`crate::layers::sequence::backward()`] with the same problem.
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

    /// Refuses another problem than that of the forward pass, and another cell's weights. Arrays are
    /// taken to hold what they held then.
    pub(crate) fn check(&self, weights: &Weights<T>, problem: &Problem<'_, T>) -> Result<()> {
        let cell = (weights.cell, weights.level.name());
        if self.cell != cell {
            return Err(Error::value("residuals", format!("those of {cell:?}"), self.cell));
        }
        for ((name, given), (_, kept)) in problem.facts().into_iter().zip(self.facts) {
            if given != kept {
                let argument = "residuals";
                let expected = format!("those of a problem with {name}: {given}");
                return Err(Error::Value { argument, expected, received: kept.to_string() });
            }
        }
        let same_array = self.mask.is_some() && self.mask == problem.mask_array();
        if problem.is_masked() && !same_array && !self.plan.follows(problem) {
            let expected = "those of a problem with the same mask".to_owned();
            let received = "those of another mask".to_owned();
            return Err(Error::Value { argument: "residuals", expected, received });
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
    /// Number of units.
    pub(crate) units: usize,
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

    /// What the second phase of a step multiplied, or the projection.
    pub(crate) fn operand(&self, at: At) -> &'a [T] {
        &self.kept[0].operands[at.kept * self.stride..][..self.units]
    }
}
