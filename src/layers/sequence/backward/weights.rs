//! The weights' gradients: products over all steps and rows. Each element is one chain of sums for
//! each group of rows, in order of step, then row; then the groups' sums are added in their order.
//! Neither slices, chunks nor threads change these orders.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::left::{Source, Spec, stage};
use super::written::{PIECE, Share, WeightGradients, rows_of, size};
use crate::error::Result;
use crate::kernels::long_product::{LongProduct, Stretch, add_stretch};
use crate::layers::sequence::kept::History;
use crate::layers::sequence::plan::Plan;
use crate::layers::sequence::rows::{mask_passes, masks};
use crate::layers::sequence::weights::Weights;
use crate::machine::lists::{self, Listed};
use crate::machine::memory::Buffer;
use crate::machine::simd::Element;
use crate::machine::threads::{Stop, Team};

/// The most rows of a product, unless a step has more: each panel of the left side reads a block of
/// the slots once more, from a near cache if these are few, however many slices there are.
const DEPTH: usize = 256;

/// What one thread computes: some rows of the gradients from a group of slices, for the units of
/// one part.
struct Task<T: Element> {
    part: usize,
    shares: Vec<Share<T>>,
    result: Result<()>,
}

/// Slices that are summed together.
struct Group<T: Element> {
    slices: Range<usize>,
    /// The gradients with respect to the sums, by slice and part, of the slices that are done;
    /// others are empty. If there is one part only, those with respect to the projected outputs
    /// follow.
    slots: Vec<Vec<Buffer<T>>>,
    /// How many slices are not done.
    missing: usize,
    tasks: Vec<Task<T>>,
}

/// The weights' gradients of one pass: a group's by the thread that is the last to take back one of
/// its slices, while their rows are in its cache, unless there are more threads than groups.
pub(crate) struct Sums<'a, T: Element> {
    weights: &'a Weights<T>,
    plan: &'a Plan,
    histories: &'a [History<'a, T>],
    groups: Vec<Mutex<Group<T>>>,
    shared: bool,
}

impl<'a, T: Element> Sums<'a, T> {
    /// For a team of `threads`.
    pub(crate) fn new(
        weights: &'a Weights<T>,
        plan: &'a Plan,
        histories: &'a [History<'a, T>],
        threads: usize,
    ) -> Result<Self> {
        let specs = specs(weights, histories.first());
        let vectors: usize = specs.iter().map(|&spec| panels(weights, spec) * spec.slots.1).sum();
        let threads = threads.div_ceil(plan.groups.len() * plan.parts.len());
        let group = |slices: &Range<usize>| {
            let mut tasks = lists::room(plan.parts.len() * threads)?;
            for (part, blocks) in plan.parts.iter().enumerate() {
                for thread in 0..threads {
                    let share = thread * vectors / threads..(thread + 1) * vectors / threads;
                    let shares = shares(weights, &specs, share, blocks.len())?;
                    // Bounded: room was made.
                    tasks.push(Task { part, shares, result: Ok(()) });
                }
            }
            let slots = slices.clone().map(|_| Vec::new()).listed()?;
            let missing = slices.len();
            Ok(Mutex::new(Group { slices: slices.clone(), slots, missing, tasks }))
        };
        let groups = plan.groups.iter().map(group).listed_or()?;
        Ok(Self { weights, plan, histories, groups, shared: threads * plan.parts.len() > 1 })
    }

    /// Takes the slots of a slice that is done, which hold the gradients with respect to the sums.
    pub(crate) fn add_slice(
        &self,
        slice: usize,
        slots: Vec<Buffer<T>>,
        poll: &dyn Fn() -> Result<()>,
    ) {
        let number = self.plan.groups.partition_point(|slices| slices.end <= slice);
        let mut group = self.groups[number].lock().unwrap_or_else(PoisonError::into_inner);
        let Group { slices, slots: all, missing, tasks } = &mut *group;
        all[slice - slices.start] = slots;
        *missing -= 1;
        if *missing == 0 && !self.shared {
            for task in tasks {
                task.result = self.compute(slices, all, task, poll);
            }
        }
    }

    /// The gradients, when all slices are done.
    pub(crate) fn write(
        mut self,
        into: WeightGradients<'_, T>,
        team: &mut Team,
        stop: &Stop<'_>,
    ) -> Result<()> {
        let into_inner =
            |group: Mutex<_>| group.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut groups = self.groups.drain(..).map(into_inner).listed()?;
        if self.shared || self.plan.slices.is_empty() {
            let mut tasks = Vec::new();
            for Group { slices, slots, tasks: of_group, .. } in &mut groups {
                of_group.iter_mut().map(|task| (&*slices, &*slots, task)).append(&mut tasks)?;
            }
            team.for_each(&mut tasks, |worker, (slices, slots, task)| {
                task.result = self.compute(slices, slots, task, &|| stop.poll(worker));
            });
        }
        for task in groups.iter_mut().flat_map(|group| &mut group.tasks) {
            std::mem::replace(&mut task.result, Ok(()))?;
        }
        let (mut rows, elements) = rows_of(self.weights, into)?;
        let mut alone = Team::gather(1);
        let team = if elements > 2 * PIECE { team } else { &mut alone };
        team.for_each(&mut rows, |_, rows| {
            for (n, group) in groups.iter().enumerate() {
                for task in &group.tasks {
                    let blocks = &self.plan.parts[task.part];
                    for share in &task.shares {
                        rows.take(self.weights, (share, blocks), n > 0);
                    }
                }
            }
        });
        Ok(())
    }

    /// Computes the sums of a task from the slots of its group.
    fn compute(
        &self,
        slices: &Range<usize>,
        slots: &[Vec<Buffer<T>>],
        task: &mut Task<T>,
        poll: &dyn Fn() -> Result<()>,
    ) -> Result<()> {
        let Self { weights, plan, histories, .. } = *self;
        let Task { part, shares, .. } = task;
        for share in shares.iter_mut() {
            share.sums.fill(T::ZERO);
        }
        let blocks = plan.parts[*part].len();
        let per_row = blocks * weights.layout.slots.len() * weights.lanes();
        let rows = |&(step, n): &(usize, usize)| plan.slices[n].active(step).len();
        let mut left = Buffer::default();
        let mut row = lists::filled(T::ZERO, weights.features.max(weights.units))?;
        let (mut group, mut stretches) = (Vec::new(), Vec::<Stretch<'_, T>>::new());
        let mut of_projection = Vec::<Stretch<'_, T>>::new();
        let per_output = weights.projected_blocks() * weights.lanes();
        for chunk in &plan.chunks {
            poll()?;
            let of_step = |step| slices.clone().map(move |n| (step, n));
            let mut pieces = chunk.clone().flat_map(of_step).peekable();
            while pieces.peek().is_some() {
                group.clear();
                stretches.clear();
                of_projection.clear();
                let mut depth = 0;
                while let Some(piece) =
                    pieces.next_if(|next| depth == 0 || depth + rows(next) <= DEPTH)
                {
                    let ((step, n), length) = (piece, rows(&piece));
                    let slice = &plan.slices[n];
                    let before = slice.before(chunk.start);
                    let of_chunk = slice.rows_in(chunk);
                    let slots_of = &slots[n - slices.start];
                    let slots = &slots_of[*part][before * per_row..][..of_chunk * per_row];
                    let first = slice.before(step) - before;
                    add_stretch(&mut stretches, slots, of_chunk, first, length)?;
                    if per_output > 0 {
                        let d_projected = &slots_of[1][before * per_output..];
                        let d_projected = &d_projected[..of_chunk * per_output];
                        add_stretch(&mut of_projection, d_projected, of_chunk, first, length)?;
                    }
                    depth += length;
                    lists::push(&mut group, piece)?;
                }
                for share in &mut *shares {
                    let elements = share.panels.len() * depth * weights.level.rows::<T>();
                    if left.len() < elements {
                        left = Buffer::unfilled(elements)?;
                    }
                    let row = &mut row[..size(weights, share.spec)];
                    let which = (share.spec, share.panels.clone());
                    let to = (&mut left[..], depth);
                    match weights.level.rows::<T>() {
                        3 => stage::<T, 3>(which, histories, &group, row, to),
                        6 => stage::<T, 6>(which, histories, &group, row, to),
                        rows => unreachable!("a tile of {rows} rows"),
                    }
                    let (right, width, blocks) = match share.spec.source {
                        Source::Projected => (&of_projection, 1, weights.projected_blocks()),
                        _ => (&stretches, weights.layout.slots.len(), blocks),
                    };
                    let kernel = LongProduct {
                        left: &left[..elements],
                        depth,
                        right,
                        width,
                        slots: share.spec.slots,
                        blocks: 0..blocks,
                        sums: &mut share.sums,
                    };
                    T::dispatch(weights.level, kernel);
                }
            }
        }
        Ok(())
    }
}

/// The panels of all products whose first vector is in `range`, if the vectors of a column of panels
/// are numbered from product to product.
fn shares<T: Element>(
    weights: &Weights<T>,
    specs: &[Spec],
    range: Range<usize>,
    blocks: usize,
) -> Result<Vec<Share<T>>> {
    let mut shares = Vec::new();
    let mut before = 0;
    for &spec in specs {
        let (width, panels) = (spec.slots.1, panels(weights, spec));
        let at = |vector: usize| vector.saturating_sub(before).div_ceil(width).min(panels);
        let panels_of = at(range.start)..at(range.end);
        if !panels_of.is_empty() {
            let rows = panels_of.len() * weights.level.rows::<T>();
            let blocks = match spec.source {
                Source::Projected => weights.projected_blocks(),
                _ => blocks,
            };
            let sums = Buffer::unfilled(blocks * rows * width * weights.lanes())?;
            // Bounded: a share for each gate at most.
            shares.push(Share { spec, panels: panels_of, sums });
        }
        before += panels * width;
    }
    Ok(shares)
}

/// The products that a cell's gradients take; one for each slot where gates have their own masks.
fn specs<T: Element>(weights: &Weights<T>, history: Option<&History<'_, T>>) -> Vec<Spec> {
    let layout = weights.layout;
    let dropout = history.map(|history| history.problem.dropout);
    let mut specs = Vec::new();
    let mut push = |source, slots, masks: usize| {
        for pass in mask_passes(layout.slots, slots, masks) {
            // Bounded: a product for each source and gate.
            specs.push(Spec { source, slots: (pass.first, pass.count), mask: pass.gate });
        }
    };
    push(Source::Inputs, layout.input, masks(dropout.and_then(|dropout| dropout.inputs)));
    for (phase, &slots) in layout.phases.iter().enumerate() {
        let source = if phase == 0 { Source::Outputs } else { Source::Operands };
        push(source, slots, masks(dropout.and_then(|dropout| dropout.recurrent)));
    }
    if weights.projection.is_some() {
        push(Source::Projected, (0, 1), 0);
    }
    specs
}

/// Panels of rows of the gradient; the row after the last is the bias'.
fn panels<T: Element>(weights: &Weights<T>, spec: Spec) -> usize {
    (size(weights, spec) + 1).div_ceil(weights.level.rows::<T>())
}
