//! Who computes what: slices of rows, chunks of steps, and which rows take which step.

use std::ops::Range;

use super::problem::Problem;
use super::weights::Weights;
use crate::error::Result;
use crate::simd::Element;

/// The most rows of a slice: enough to use a panel of weights often, few enough for the cache.
const SLICE_ROWS: usize = 32;
/// Rows of a chunk to aim at: a long product, whose panels stay in the second-level cache.
const CHUNK_ROWS: usize = 192;

/// Rows of the batch that run together, and the steps they take.
#[derive(Debug)]
pub(super) struct Slice {
    /// Rows of the batch.
    pub(super) rows: Range<usize>,
    /// The active rows of every step, counted from the slice's first.
    active: Vec<u32>,
    /// Where each step's rows begin in `active`, and the end; empty if every row takes every step.
    starts: Vec<usize>,
}

impl Slice {
    fn new<T: Element>(problem: &Problem<'_, T>, rows: Range<usize>) -> Self {
        if problem.mask.is_none() {
            let active = (0..rows.len() as u32).collect();
            return Self { rows, active, starts: Vec::new() };
        }
        let (mut active, mut starts) = (Vec::new(), vec![0]);
        for step in 0..problem.inputs.shape()[1] {
            let taking = rows.clone().filter(|&row| problem.active(row, step));
            active.extend(taking.map(|row| (row - rows.start) as u32));
            starts.push(active.len());
        }
        Self { rows, active, starts }
    }

    /// The rows that take `step`, counted from the slice's first, ascending.
    pub(super) fn active(&self, step: usize) -> &[u32] {
        if self.starts.is_empty() {
            return &self.active;
        }
        &self.active[self.starts[step]..self.starts[step + 1]]
    }

    /// How many rows the steps before `step` have taken.
    pub(super) fn before(&self, step: usize) -> usize {
        if self.starts.is_empty() { step * self.rows.len() } else { self.starts[step] }
    }

    /// How many rows the steps of a chunk take.
    pub(super) fn rows_in(&self, chunk: &Range<usize>) -> usize {
        self.before(chunk.end) - self.before(chunk.start)
    }
}

/// The partition of a problem. It never changes a result: every sum has its own fixed order.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) slices: Vec<Slice>,
    pub(super) chunks: Vec<Range<usize>>,
    pub(super) threads: usize,
}

impl Plan {
    pub(super) fn new<T: Element>(weights: &Weights<T>, problem: &Problem<'_, T>) -> Result<Self> {
        let [batch, time, _] = problem.inputs.shape();
        let threads =
            crate::threads::worth(batch.saturating_mul(time).saturating_mul(weights.work()))?;
        let count = slices(batch, threads, weights.level.rows::<T>());
        let slices: Vec<_> = (0..count)
            .map(|n| Slice::new(problem, n * batch / count..(n + 1) * batch / count))
            .collect();
        let rows = batch.div_ceil(count.max(1)).max(1);
        let steps = chunk_steps(rows, time);
        let chunks = (0..time).step_by(steps).map(|s| s..time.min(s + steps)).collect();
        Ok(Self { slices, chunks, threads })
    }
}

/// The number of slices: even shares for the threads, of at most `SLICE_ROWS` rows.
#[must_use]
pub fn slices(batch: usize, threads: usize, tile_rows: usize) -> usize {
    if batch <= 1 {
        return batch;
    }
    let fewest = batch.div_ceil(SLICE_ROWS);
    let shared = fewest.next_multiple_of(threads);
    // A slice of less than half a tile wastes more than a second thread gains.
    if batch >= shared * tile_rows.div_ceil(2) { shared } else { fewest }
}

/// Steps of a chunk: odd, so that the blocks of a chunk do not fall into the same sets of the cache.
#[must_use]
pub fn chunk_steps(rows: usize, time: usize) -> usize {
    (CHUNK_ROWS.div_ceil(rows) | 1).min(time.max(1))
}
