//! The weights' gradients: products over all steps and rows, each element one chain of sums in
//! order of step, then row. Neither slices, chunks nor threads change that order.

use std::ops::Range;

use super::plan::Plan;
use super::residuals::{At, History};
use super::rows::{copy_masked, masks};
use super::weights::Weights;
use crate::error::Result;
use crate::kernels::long_product::{LongProduct, Stretch, add_stretch, stage};
use crate::memory::Buffer;
use crate::simd::Element;
use crate::threads::{Stop, Team};

/// Rows of a product at most, if a step has no more: each panel of the left side reads a block of the
/// slots once more, from a near cache if these are few, however many slices there are.
const DEPTH: usize = 256;

/// Where the gradients go, in Keras' layout.
pub(super) struct WeightGradients<'a, T> {
    pub(super) kernel: &'a mut [T],
    pub(super) recurrent_kernel: &'a mut [T],
    pub(super) bias: Option<&'a mut [T]>,
}

/// The left side of a gradient's product.
#[derive(Clone, Copy, PartialEq)]
enum Source {
    Inputs,
    /// The previous output.
    Outputs,
    /// What the second phase multiplied.
    Operands,
}

/// One product: the gradients of some gates' weights by one source.
#[derive(Clone, Copy)]
struct Spec {
    source: Source,
    /// The slots that take part, a range.
    slots: (usize, usize),
    /// Which dropout mask multiplies the source.
    mask: usize,
}

/// Blocks of one product, for one thread.
struct Task<T: Element> {
    spec: Spec,
    /// The part that has the blocks, and the first block of that.
    part: (usize, usize),
    blocks: Range<usize>,
    /// `[block][panel of rows][row][slot][LANES]`
    sums: Buffer<T>,
    result: Result<()>,
}

/// Computes the gradients from the slots, which hold the gradients by the sums.
pub(super) fn compute<T: Element>(
    weights: &Weights<T>,
    plan: &Plan,
    histories: &[History<'_, T>],
    slots: &[Vec<Buffer<T>>],
    mut into: WeightGradients<'_, T>,
    team: &mut Team,
    stop: &Stop<'_>,
) -> Result<()> {
    let mut tasks = Vec::new();
    for spec in specs(weights, histories.first()) {
        for (number, part) in plan.parts.iter().enumerate() {
            let shares = if plan.parts.len() > 1 { 1 } else { team.size().min(part.len()) };
            for share in 0..shares {
                let at = |share: usize| part.start + share * part.len() / shares;
                let blocks = at(share)..at(share + 1);
                let rows = panels(weights, spec) * weights.level.rows::<T>();
                let sums = Buffer::zeroed(blocks.len() * rows * spec.slots.1 * weights.lanes())?;
                let part = (number, part.start);
                tasks.push(Task { spec, part, blocks, sums, result: Ok(()) });
            }
        }
    }
    team.for_each(&mut tasks, |worker, task| {
        task.result = run(weights, plan, histories, slots, task, &|| stop.poll(worker));
    });
    for task in tasks {
        unpack(weights, &task, &mut into);
        task.result?;
    }
    Ok(())
}

/// The products that a cell's gradients take; one for each slot where gates have their own masks.
fn specs<T: Element>(weights: &Weights<T>, history: Option<&History<'_, T>>) -> Vec<Spec> {
    let layout = weights.layout;
    let dropout = history.map(|history| history.problem.dropout);
    let mut specs = Vec::new();
    let mut push = |source, (first, count): (usize, usize), masks: usize| {
        if masks <= 1 {
            specs.push(Spec { source, slots: (first, count), mask: 0 });
            return;
        }
        for slot in first..first + count {
            specs.push(Spec { source, slots: (slot, 1), mask: layout.slots[slot] });
        }
    };
    push(Source::Inputs, layout.input, masks(dropout.and_then(|dropout| dropout.inputs)));
    for (phase, &slots) in layout.phases.iter().enumerate() {
        let source = if phase == 0 { Source::Outputs } else { Source::Operands };
        push(source, slots, masks(dropout.and_then(|dropout| dropout.recurrent)));
    }
    specs
}

/// Elements of a row of the source, without the one that stands for the bias.
fn size<T: Element>(weights: &Weights<T>, spec: Spec) -> usize {
    if spec.source == Source::Inputs { weights.features } else { weights.units }
}

/// Panels of rows of the gradient; the row after the last is the bias'.
fn panels<T: Element>(weights: &Weights<T>, spec: Spec) -> usize {
    (size(weights, spec) + 1).div_ceil(weights.level.rows::<T>())
}

fn run<T: Element>(
    weights: &Weights<T>,
    plan: &Plan,
    histories: &[History<'_, T>],
    slots: &[Vec<Buffer<T>>],
    task: &mut Task<T>,
    poll: &dyn Fn() -> Result<()>,
) -> Result<()> {
    let tile_rows = weights.level.rows::<T>();
    let panels = panels(weights, task.spec);
    let (part, first_block) = task.part;
    let per_row = plan.parts[part].len() * weights.layout.slots.len() * weights.lanes();
    let rows = |&(step, n): &(usize, usize)| plan.slices[n].active(step).len();
    let mut left = Buffer::default();
    let mut row = vec![T::ZERO; size(weights, task.spec)];
    let (mut group, mut stretches) = (Vec::new(), Vec::<Stretch<'_, T>>::new());
    for chunk in &plan.chunks {
        poll()?;
        let of_step = |step| (0..histories.len()).map(move |n| (step, n));
        let mut pieces = chunk.clone().flat_map(of_step).peekable();
        while pieces.peek().is_some() {
            group.clear();
            let mut depth = 0;
            while let Some(piece) = pieces.next_if(|next| depth == 0 || depth + rows(next) <= DEPTH)
            {
                depth += rows(&piece);
                group.push(piece);
            }
            stretches.clear();
            if left.len() < panels * depth * tile_rows {
                left = Buffer::taken(panels * depth * tile_rows)?;
            }
            let mut k = 0;
            for &(step, n) in &group {
                let (history, slice) = (&histories[n], &plan.slices[n]);
                let (active, before) = (slice.active(step), slice.before(step));
                for (position, &of_slice) in active.iter().enumerate() {
                    let at = At { kept: before + position, row: of_slice as usize, step };
                    let from = source(task.spec, history, at, &mut row);
                    stage(tile_rows, from, &mut left, depth, k);
                    k += 1;
                }
                let of_chunk = slice.before(chunk.start);
                let rows = slice.rows_in(chunk);
                let slots = &slots[n][part][of_chunk * per_row..][..rows * per_row];
                add_stretch(&mut stretches, slots, rows, before - of_chunk, active.len());
            }
            let kernel = LongProduct {
                left: &left[..panels * depth * tile_rows],
                depth,
                right: &stretches,
                width: weights.layout.slots.len(),
                slots: task.spec.slots,
                blocks: task.blocks.start - first_block..task.blocks.end - first_block,
                sums: &mut task.sums,
            };
            T::dispatch(weights.level, kernel);
        }
    }
    Ok(())
}

/// The source's row for one row of a step; `space` is where it is multiplied by its dropout mask, or
/// zero if there is none.
fn source<'a, T: Element>(
    spec: Spec,
    history: &'a History<'_, T>,
    at: At,
    space: &'a mut [T],
) -> &'a [T] {
    let row = history.slice.batch_row(at.row);
    let problem = history.problem;
    let (from, mask) = match spec.source {
        Source::Inputs => {
            (Some(problem.inputs.row(row, problem.time_of(at.step))), problem.dropout.inputs)
        }
        Source::Outputs => (history.output_before(at), problem.dropout.recurrent),
        Source::Operands => (Some(history.operand(at)), problem.dropout.recurrent),
    };
    match (from, mask) {
        (Some(from), None) => from,
        (Some(from), Some(mask)) => {
            copy_masked(space, from, Some(mask.row(spec.mask, row)));
            space
        }
        (None, _) => {
            space.fill(T::ZERO);
            space
        }
    }
}

/// Writes a task's sums where Keras has them.
fn unpack<T: Element>(weights: &Weights<T>, task: &Task<T>, into: &mut WeightGradients<'_, T>) {
    let (units, lanes) = (weights.units, weights.lanes());
    let columns = weights.layout.gates * units;
    let tile_rows = weights.level.rows::<T>();
    let Task { spec, .. } = *task;
    let (first, count) = spec.slots;
    let size = size(weights, spec);
    let rows = panels(weights, spec) * tile_rows;
    for (n, block) in task.blocks.clone().enumerate() {
        let filled = lanes.min(units - block * lanes);
        for row in 0..=size {
            for slot in 0..count {
                let at = ((n * rows + row) * count + slot) * lanes;
                let sums = &task.sums[at..][..filled];
                let column = weights.layout.slots[first + slot] * units + block * lanes;
                let to = match (spec.source, &mut into.bias) {
                    (Source::Inputs, _) if row < size => &mut into.kernel[row * columns + column..],
                    (_, _) if row < size => &mut into.recurrent_kernel[row * columns + column..],
                    (Source::Inputs, Some(bias)) => &mut bias[column..],
                    (_, Some(bias)) if weights.layout.recurrent_bias => {
                        &mut bias[columns + column..]
                    }
                    _ => continue,
                };
                to[..filled].copy_from_slice(sums);
            }
        }
    }
}
