//! Who computes what: slices of rows or parts of units, chunks of steps, and which rows take which
//! step.
//!
//! Many rows are cut into groups, each of which has sums of its own for the weights' gradients, and
//! these into slices, which need nothing from each other. Few rows, whose steps cost as much as
//! reading the weights, are one slice whose units are cut into parts, so that each core keeps its
//! own share of the weights in its cache; then the cores meet after each step.

mod policy;
mod slice;
mod windows;

use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::layers::sequence::problem::Problem;
use crate::layers::sequence::weights::Weights;
use crate::machine::lists::{self, Listed};
use crate::machine::memory::ViewMut;
use crate::machine::simd::Element;
pub(crate) use policy::threads;
use policy::{by_length, even, parts_of, rows_of_groups, rows_of_slices};
pub use policy::{chunk_steps, groups, parts, slices};
pub(crate) use slice::{Place, Slice};
pub use windows::Windows;

/// The partition of a problem. It never changes a result: every sum has its own fixed order.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) slices: Vec<Slice>,
    /// The slices of each group.
    pub(crate) groups: Vec<Range<usize>>,
    /// The blocks of units of each part; more than one only of a single slice.
    pub(crate) parts: Vec<Range<usize>>,
    pub(crate) chunks: Vec<Range<usize>>,
    /// The rows of the batch in the order of the slices; none if that is the batch's own.
    pub(crate) order: Option<Arc<Vec<u32>>>,
}

impl Plan {
    /// The partition for `threads` threads.
    pub(crate) fn new<T: Element>(
        weights: &Weights<T>,
        problem: &Problem<'_, T>,
        threads: usize,
    ) -> Result<Self> {
        let [batch, time, _] = problem.inputs.shape();
        if u32::try_from(batch).is_err() {
            return Err(Error::value("inputs", "fewer than 2^32 rows", batch));
        }
        let count = parts_of(weights, batch, threads);
        let blocks = weights.blocks();
        let parts = even(0..blocks, count)?;
        let (order, steps) = by_length(problem)?;
        let mut cuts = Vec::new();
        let mut groups = Vec::new();
        let rows_of_groups = rows_of_groups(weights, batch, &steps)?;
        for rows in &rows_of_groups {
            let first = cuts.len();
            let of_group = if count > 1 {
                even(rows.clone(), 1)
            } else {
                let among = (rows_of_groups.len(), threads);
                rows_of_slices(rows.clone(), batch, &steps, among, weights.level.rows::<T>())
            };
            of_group?.into_iter().append(&mut cuts)?;
            lists::push(&mut groups, first..cuts.len())?;
        }
        let most = cuts.iter().map(Range::len).max().unwrap_or(1).max(1);
        let slice = |rows| Slice::new(problem, rows, order.clone());
        let slices = cuts.into_iter().map(slice).listed_or()?;
        let steps = chunk_steps(most, time);
        let chunks = (0..time).step_by(steps).map(|s| s..time.min(s + steps)).listed()?;
        Ok(Self { slices, groups, parts, chunks, order })
    }

    /// Whether the rows take those steps that the problem's mask says.
    pub(super) fn follows<T: Element>(&self, problem: &Problem<'_, T>) -> bool {
        let time = self.chunks.last().map_or(0, |chunk| chunk.end);
        let step_follows = |slice: &Slice, step| {
            let mut taking = slice.active(step).iter().copied().peekable();
            (0..slice.rows.len()).all(|row| {
                let takes = taking.next_if_eq(&(row as u32)).is_some();
                takes == problem.active(slice.batch_row(row), step)
            })
        };
        let follows = |slice| (0..time).all(|step| step_follows(slice, step));
        self.slices.iter().all(follows)
    }

    /// An array's rows for each slice.
    pub(crate) fn split<'a, T>(&self, view: ViewMut<'a, T>) -> Result<Vec<ViewMut<'a, T>>> {
        let ordered = match &self.order {
            Some(order) => view.ordered(order)?,
            None => view,
        };
        ordered.split(self.slices.iter().map(|slice| slice.rows.clone()))
    }

    /// An array's features for each part: `features` are those that go with blocks of units.
    pub(crate) fn split_features<'a, T>(
        &self,
        view: ViewMut<'a, T>,
        features: impl Fn(&Range<usize>) -> Range<usize>,
    ) -> Result<Vec<ViewMut<'a, T>>> {
        if self.parts.len() == 1 {
            return std::iter::once(view).listed();
        }
        view.split_features(self.parts.iter().map(features))
    }

    /// Each part's units, the padding of the last among them.
    pub(crate) fn padded_units<T: Element>(
        &self,
        weights: &Weights<T>,
    ) -> Result<Vec<Range<usize>>> {
        let lanes = weights.lanes();
        self.parts.iter().map(|blocks| blocks.start * lanes..blocks.end * lanes).listed()
    }

    /// The number of the chunk a step is in.
    pub(crate) fn chunk_of(&self, step: usize) -> usize {
        step / self.chunks.first().map_or(1, Range::len)
    }
}
