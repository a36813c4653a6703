//! A part of a slice: the units of it that one thread computes, and what both directions know of them.

use std::ops::Range;

use super::plan::Slice;
use super::problem::Problem;
use super::weights::Weights;
use crate::machine::simd::Element;

/// What does not change while a part goes through time.
pub(crate) struct SlicePart<'a, T: Element> {
    pub(crate) weights: &'a Weights<T>,
    pub(crate) problem: &'a Problem<'a, T>,
    pub(crate) slice: &'a Slice,
    /// Its number among the slice's parts.
    pub(crate) number: usize,
    /// Its blocks of units.
    pub(crate) blocks: Range<usize>,
    /// Phases of a step that some rows take.
    pub(crate) phases: usize,
    /// Whether the last of them is a projection.
    pub(crate) projects: bool,
    /// Whether it is the cell that sees the dropout mask of the previous output: no product does.
    pub(crate) cell_sees_mask: bool,
}

impl<'a, T: Element> SlicePart<'a, T> {
    pub(crate) fn new(
        weights: &'a Weights<T>,
        problem: &'a Problem<'a, T>,
        slice: &'a Slice,
        (number, blocks): (usize, Range<usize>),
    ) -> Self {
        Self {
            weights,
            problem,
            slice,
            number,
            blocks,
            phases: weights.phases(),
            projects: weights.projection.is_some(),
            cell_sees_mask: weights.layout.recurrent() == 0,
        }
    }

    /// Rows of the slice.
    pub(crate) fn rows(&self) -> usize {
        self.slice.rows.len()
    }

    /// Its units.
    pub(crate) fn units(&self) -> Range<usize> {
        self.weights.units_of(&self.blocks)
    }

    /// Its share of the output.
    pub(crate) fn outputs(&self) -> Range<usize> {
        self.weights.outputs_of(&self.blocks)
    }

    /// The number of its first unit.
    pub(crate) fn first_unit(&self) -> usize {
        self.blocks.start * self.weights.lanes()
    }

    /// The number of its units, rounded up to whole blocks.
    pub(crate) fn padded_units(&self) -> usize {
        self.blocks.len() * self.weights.lanes()
    }

    /// The number of phases of a step; none if no row takes it.
    pub(crate) fn phases_of(&self, step: usize) -> usize {
        if self.slice.active(step).is_empty() { 0 } else { self.phases }
    }
}
