//! Who computes what: slices of rows or parts of units, chunks of steps, and which rows take which
//! step.
//!
//! Many rows are cut into groups, each of which has sums of its own for the weights' gradients, and
//! these into slices, which need nothing of each other. Few rows, whose steps cost as
//! much as reading the weights, are one slice whose units are cut into parts, so that each core
//! keeps its own share of the weights in its cache; then the cores meet after each step.

mod windows;

use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::layers::sequence::problem::Problem;
use crate::layers::sequence::weights::Weights;
use crate::machine::caches;
use crate::machine::lists::{self, Listed, share};
use crate::machine::memory::ViewMut;
use crate::machine::simd::Element;
pub use windows::Windows;

/// The most rows of a slice: enough to use a panel of weights often, few enough for the cache.
const SLICE_ROWS: usize = 32;
/// Rows of a slice, and a thread, from which slices lose nothing against parts: each weight that is
/// read then serves as many multiply-adds as it takes time to read. From the second-level cache, and
/// from the third, which on many servers gives each core a quarter of that.
const ENOUGH_ROWS: [usize; 2] = [4, 12];
/// Multiply-adds of a step and part from which the cores' meeting after each step pays: about 1 us.
const PART_WORK: usize = 20_000;
/// Groups at most, and elements of all their sums for the weights' gradients.
const GROUPS: usize = 8;
const GROUP_SUMS: usize = 1 << 18;
/// Rows of a chunk to aim at: a long product, whose panels stay in the second-level cache.
const CHUNK_ROWS: usize = 192;

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
    fn new<T: Element>(
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
    /// The number of threads that pay for so many products with all weights.
    pub(crate) fn threads<T: Element>(
        weights: &Weights<T>,
        problem: &Problem<'_, T>,
        products: usize,
    ) -> Result<usize> {
        let [batch, time, _] = problem.inputs.shape();
        let work = batch.saturating_mul(time).saturating_mul(products * weights.work());
        let threads = crate::machine::threads::worth(work)?;
        let parts = parts_of(weights, batch, threads);
        let slices = batch / weights.level.rows::<T>().div_ceil(2);
        Ok(if parts > 1 { parts } else { threads.min(slices).max(1) })
    }

    /// The partition for `threads` threads.
    pub(crate) fn new<T: Element>(
        weights: &Weights<T>,
        problem: &Problem<'_, T>,
        threads: usize,
    ) -> Result<Self> {
        let [batch, time, _] = problem.inputs.shape();
        if u32::try_from(batch).is_err() {
            return Err(Error::value("inputs", "a batch of less than 2^32 rows", batch));
        }
        let count = parts_of(weights, batch, threads);
        let blocks = weights.blocks();
        let parts = even(0..blocks, count)?;
        let (order, steps) = by_length(problem)?;
        let mut cuts = Vec::new();
        let mut groups = Vec::new();
        let rows_of_groups = match groups_of(weights, batch) {
            number if steps.is_empty() => even(0..batch, number)?,
            number => cuts_by_steps(0..batch, &steps, number, batch)?,
        };
        for rows in &rows_of_groups {
            let first = cuts.len();
            let share = |all: usize| all.div_ceil(rows_of_groups.len());
            let own = if count > 1 {
                even(rows.clone(), 1)
            } else if steps.is_empty() {
                even(rows.clone(), share(slices(batch, threads, weights.level.rows::<T>())))
            } else {
                let shares = if threads > 1 { 2 * threads } else { 1 };
                cuts_by_steps(rows.clone(), &steps, share(shares), SLICE_ROWS)
            };
            own?.into_iter().append(&mut cuts)?;
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

/// An order of the rows, and the number of steps of each.
type Lengths = (Option<Arc<Vec<u32>>>, Vec<usize>);

/// Longest rows first, so that those which take a step are neighbours, and a slice's rows end at
/// about the same time: the order, if it is not the batch's own, and each row's steps in it. Both
/// are empty without a mask.
fn by_length<T: Element>(problem: &Problem<'_, T>) -> Result<Lengths> {
    if !problem.is_masked() {
        return Ok((None, Vec::new()));
    }
    // Each slice will take as much: without it, no mask need be read.
    drop(lists::room::<usize>(problem.inputs.shape()[1].saturating_add(1))?);
    let steps = (0..problem.inputs.shape()[0]).map(|row| problem.steps_of(row)).listed()?;
    if steps.is_sorted_by(|a, b| a >= b) {
        return Ok((None, steps));
    }
    let mut order = (0..steps.len() as u32).listed()?;
    // Rows of as many steps in the batch's order: a stable sort would take memory that may not be there.
    order.sort_unstable_by_key(|&row| (std::cmp::Reverse(steps[row as usize]), row));
    let steps = order.iter().map(|&row| steps[row as usize]).listed()?;
    Ok((Some(Arc::new(order)), steps))
}

fn parts_of<T: Element>(weights: &Weights<T>, batch: usize, threads: usize) -> usize {
    // A projection's sums run over all units.
    if groups_of(weights, batch) > 1 || weights.projection.is_some() {
        return 1;
    }
    let bytes = weights.recurrent_work() * size_of::<T>();
    let [near, far] = ENOUGH_ROWS;
    let enough = if bytes > caches::sizes().l2 { far } else { near };
    parts(batch, threads, weights.recurrent_work(), weights.blocks(), enough)
}

fn groups_of<T: Element>(weights: &Weights<T>, batch: usize) -> usize {
    groups(batch, weights.gradient_elements())
}

/// The number of groups to cut a batch into: as many as it has slices, if their sums stay small. What
/// a thread wrote of a group is in its cache when it sums. The order of the sums depends on the groups,
/// so these must not depend on the threads.
#[must_use]
pub fn groups(batch: usize, gradient_elements: usize) -> usize {
    let small = GROUP_SUMS.checked_div(gradient_elements).unwrap_or(1);
    batch.div_ceil(SLICE_ROWS).min(GROUPS).min(small).max(1)
}

/// The number of parts to cut the units into: one unless the batch is too small for slices, of
/// `enough` rows.
#[must_use]
pub fn parts(batch: usize, threads: usize, work: usize, blocks: usize, enough: usize) -> usize {
    let few_rows = batch > 0 && batch < enough * threads;
    let pays = batch.saturating_mul(work) / threads.max(1) >= PART_WORK;
    if few_rows && pays { threads.min(blocks).max(1) } else { 1 }
}

/// The number of slices: even shares for the threads, of at most `SLICE_ROWS` rows.
#[must_use]
pub fn slices(batch: usize, threads: usize, tile_rows: usize) -> usize {
    if batch <= 1 {
        return batch;
    }
    let fewest = batch.div_ceil(SLICE_ROWS);
    // Twice as many as threads, if they are not too small for that: one that is kept from its work
    // for a while then leaves some to the others.
    let spare = if threads > 1 && batch >= 4 * threads * tile_rows { 2 } else { 1 };
    let shared = fewest.next_multiple_of(threads * spare);
    // A slice of less than half a tile wastes more than a second thread gains.
    if batch >= shared * tile_rows.div_ceil(2) { shared } else { fewest }
}

/// Cuts rows evenly.
fn even(rows: Range<usize>, count: usize) -> Result<Vec<Range<usize>>> {
    let at = |n: usize| rows.start + share(rows.len(), n, count);
    (0..count).map(|n| at(n)..at(n + 1)).listed()
}

/// Cuts rows into about `shares` of as many steps; into more, if these had more than `most` rows.
fn cuts_by_steps(
    rows: Range<usize>,
    steps: &[usize],
    shares: usize,
    most: usize,
) -> Result<Vec<Range<usize>>> {
    let all = steps[rows.clone()].iter().fold(0_usize, |all, &steps| all.saturating_add(steps));
    let share = all.div_ceil(shares).max(1);
    let mut cuts = Vec::new();
    let (mut first, mut taken) = (rows.start, 0_usize);
    for row in rows.clone() {
        taken = taken.saturating_add(steps[row]);
        let enough = taken >= share && cuts.len() + 1 < shares;
        if enough || row + 1 - first == most {
            lists::push(&mut cuts, first..row + 1)?;
            (first, taken) = (row + 1, 0);
        }
    }
    if first < rows.end {
        lists::push(&mut cuts, first..rows.end)?;
    }
    Ok(cuts)
}

/// Steps of a chunk: odd, so that the blocks of a chunk do not fall into the same sets of the cache.
#[must_use]
pub fn chunk_steps(rows: usize, time: usize) -> usize {
    (CHUNK_ROWS.div_ceil(rows) | 1).min(time.max(1))
}
