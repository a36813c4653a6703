//! How many slices, groups, parts and steps of a chunk there are: sizes that were measured.

use std::ops::Range;
use std::sync::Arc;

use crate::error::Result;
use crate::layers::sequence::problem::Problem;
use crate::layers::sequence::weights::Weights;
use crate::machine::caches;
use crate::machine::lists::{self, Listed, share};
use crate::machine::simd::Element;

/// The most rows of a slice: enough to use a panel of weights often, few enough for the cache.
const SLICE_ROWS: usize = 32;
/// Rows of a slice, and of a thread, from which on slices are no slower than parts: each weight
/// that is read then serves as many multiply-adds as it takes time to read, from the second-level
/// cache.
const ROWS_FOR_NEAR_WEIGHTS: usize = 4;
/// The same from the third-level cache, which on many servers gives each core a quarter of the speed.
const ROWS_FOR_FAR_WEIGHTS: usize = 12;
/// Multiply-adds of a step and part from which on it pays that the cores meet after each step:
/// about 1 us.
const PART_WORK: usize = 20_000;
/// Groups at most, and elements of all their sums for the weights' gradients.
const GROUPS: usize = 8;
const GROUP_SUMS: usize = 1 << 18;
/// Rows of a chunk to aim at: a long product, whose panels stay in the second-level cache.
const CHUNK_ROWS: usize = 192;

/// The number of threads that are worthwhile for this many products with all weights.
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

/// Each group's rows. `steps` are those of each row, in the plan's order; none without a mask.
pub(super) fn rows_of_groups<T: Element>(
    weights: &Weights<T>,
    batch: usize,
    steps: &[usize],
) -> Result<Vec<Range<usize>>> {
    match groups_of(weights, batch) {
        number if steps.is_empty() => even(0..batch, number),
        number => cuts_by_steps(0..batch, steps, number, batch),
    }
}

/// The rows of each slice of a group, one of `groups`.
pub(super) fn rows_of_slices(
    rows: Range<usize>,
    batch: usize,
    steps: &[usize],
    (groups, threads): (usize, usize),
    tile_rows: usize,
) -> Result<Vec<Range<usize>>> {
    let share = |all: usize| all.div_ceil(groups);
    if steps.is_empty() {
        return even(rows, share(slices(batch, threads, tile_rows)));
    }
    let shares = if threads > 1 { 2 * threads } else { 1 };
    cuts_by_steps(rows, steps, share(shares), SLICE_ROWS)
}

/// An order of the rows, and the number of steps of each.
pub(super) type Lengths = (Option<Arc<Vec<u32>>>, Vec<usize>);

/// Longest rows first, so that the rows that take a step are neighbours, and a slice's rows end at
/// about the same time: the order, if it is not the batch's own, and each row's steps in it. Both
/// are empty without a mask.
pub(super) fn by_length<T: Element>(problem: &Problem<'_, T>) -> Result<Lengths> {
    if !problem.is_masked() {
        return Ok((None, Vec::new()));
    }
    // Each slice will need as much memory: if there is none, the mask need not be read.
    drop(lists::room::<usize>(problem.inputs.shape()[1].saturating_add(1))?);
    let steps = (0..problem.inputs.shape()[0]).map(|row| problem.steps_of(row)).listed()?;
    if steps.is_sorted_by(|a, b| a >= b) {
        return Ok((None, steps));
    }
    let mut order = (0..steps.len() as u32).listed()?;
    // Rows of as many steps in the batch's order: a stable sort would need memory, which may have
    // run out.
    order.sort_unstable_by_key(|&row| (std::cmp::Reverse(steps[row as usize]), row));
    let steps = order.iter().map(|&row| steps[row as usize]).listed()?;
    Ok((Some(Arc::new(order)), steps))
}

pub(super) fn parts_of<T: Element>(weights: &Weights<T>, batch: usize, threads: usize) -> usize {
    // A projection's sums run over all units.
    if groups_of(weights, batch) > 1 || weights.projection.is_some() {
        return 1;
    }
    let bytes = weights.recurrent_work() * if weights.is_int8() { 1 } else { size_of::<T>() };
    let far = bytes > caches::sizes().l2;
    let enough = if far { ROWS_FOR_FAR_WEIGHTS } else { ROWS_FOR_NEAR_WEIGHTS };
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
    // Twice as many as threads, if they are not too small for that: if one of them is held up for a
    // while, the others can take over some of its work.
    let spare = if threads > 1 && batch >= 4 * threads * tile_rows { 2 } else { 1 };
    let shared = fewest.next_multiple_of(threads * spare);
    // A slice of less than half a tile wastes more than a second thread gains.
    if batch >= shared * tile_rows.div_ceil(2) { shared } else { fewest }
}

/// Cuts rows evenly.
pub(super) fn even(rows: Range<usize>, count: usize) -> Result<Vec<Range<usize>>> {
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
    let (mut first, mut sum) = (rows.start, 0_usize);
    for row in rows.clone() {
        sum = sum.saturating_add(steps[row]);
        let enough = sum >= share && cuts.len() + 1 < shares;
        if enough || row + 1 - first == most {
            lists::push(&mut cuts, first..row + 1)?;
            (first, sum) = (row + 1, 0);
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
