//! Rows that go through time together, and which of them take which step.

use std::ops::Range;
use std::sync::Arc;

use crate::error::Result;
use crate::layers::sequence::problem::Problem;
use crate::machine::lists::{self, Listed};
use crate::machine::simd::Element;

/// Rows of the batch that run together, and the steps they take.
#[derive(Debug)]
pub(crate) struct Slice {
    /// Its rows, in the plan's order.
    pub(crate) rows: Range<usize>,
    /// The rows of the batch in the plan's order; none if that is the batch's own.
    order: Option<Arc<Vec<u32>>>,
    /// The active rows of every step, counted from the slice's first.
    active: Vec<u32>,
    /// Where each step's rows begin in `active`, and the end; empty if every row takes every step.
    starts: Vec<usize>,
    /// Whether the rows of a step are always the first ones; then `active` has each row once.
    prefixes: bool,
}

impl Slice {
    pub(super) fn new<T: Element>(
        problem: &Problem<'_, T>,
        rows: Range<usize>,
        order: Option<Arc<Vec<u32>>>,
    ) -> Result<Self> {
        let everyone = (0..rows.len() as u32).listed()?;
        let mut slice = Self { rows, order, active: everyone, starts: Vec::new(), prefixes: true };
        if !problem.is_masked() {
            return Ok(slice);
        }
        let time = problem.inputs.shape()[1];
        let (mut active, mut starts) = (Vec::new(), lists::room(time.saturating_add(1))?);
        // Bounded: room was made.
        starts.push(0);
        for step in 0..time {
            let first = active.len();
            let taking = slice.active.iter().copied();
            taking
                .filter(|&row| problem.active(slice.batch_row(row as usize), step))
                .append(&mut active)?;
            let ends_early = |(n, &row): (usize, &u32)| n == row as usize;
            slice.prefixes &= active[first..].iter().enumerate().all(ends_early);
            // Bounded: room was made.
            starts.push(active.len());
        }
        slice.starts = starts;
        if !slice.prefixes {
            slice.active = active;
        }
        Ok(slice)
    }

    /// The row of the batch that is this row of the slice.
    pub(crate) fn batch_row(&self, row: usize) -> usize {
        let row = self.rows.start + row;
        self.order.as_ref().map_or(row, |order| order[row] as usize)
    }

    /// The rows that take `step`, counted from the slice's first, ascending.
    pub(crate) fn active(&self, step: usize) -> &[u32] {
        if self.starts.is_empty() {
            return &self.active;
        }
        let range = self.starts[step]..self.starts[step + 1];
        if self.prefixes { &self.active[..range.len()] } else { &self.active[range] }
    }

    /// How many rows the steps before `step` have taken.
    pub(crate) fn before(&self, step: usize) -> usize {
        if self.starts.is_empty() { step * self.rows.len() } else { self.starts[step] }
    }

    /// How many rows the steps of a chunk take.
    pub(crate) fn rows_in(&self, chunk: &Range<usize>) -> usize {
        self.before(chunk.end) - self.before(chunk.start)
    }

    /// Where a step's rows are among those of its chunk.
    pub(crate) fn place(&self, chunk: &Range<usize>, step: usize) -> Place {
        let first = self.before(step) - self.before(chunk.start);
        Place { first, rows: self.rows_in(chunk) }
    }
}

/// Where the vectors of a part's chunk lie: `[block of the part][chunk row][width]`.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// The chunk row of the step's first active row.
    pub(crate) first: usize,
    /// Rows of the chunk.
    pub(crate) rows: usize,
}

impl Place {
    #[inline(always)]
    pub(crate) fn at(self, block: usize, position: usize, width: usize) -> usize {
        (block * self.rows + self.first + position) * width
    }
}
