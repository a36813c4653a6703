//! Time forward: projection by chunks, then step after step.

mod part;
mod products;

use std::ops::Range;

use crate::error::{Error, Result};
use crate::kernels::pack::row_stride;
use crate::layers::sequence::call::Results;
use crate::layers::sequence::kept::Residuals;
use crate::layers::sequence::part::SlicePart;
use crate::layers::sequence::plan::{self, Plan, Slice};
use crate::layers::sequence::problem::Problem;
use crate::layers::sequence::weights::Weights;
use crate::machine::lists::{self, Listed};
use crate::machine::memory::{ViewMut, check_available};
use crate::machine::simd::Element;
use crate::machine::threads::together;
use crate::machine::threads::{Ask, Exchange, Geometry, Stop, Team, Turn, is_long};
use part::{EARLY, PartForward};

/// See [`crate::layers::sequence::forward()`].
pub(crate) fn forward<T: Element>(
    weights: &Weights<T>,
    problem: &Problem<'_, T>,
    results: Results<'_, T>,
    keep: bool,
    stop: Ask<'_>,
) -> Result<Option<Residuals<T>>> {
    check(weights, problem, &results)?;
    if keep {
        weights.check_exact()?;
    }
    // In a step of training the same threads take the rows back, which is twice the work; they are
    // woken once for many steps.
    let products = if keep && is_long() { 3 } else { 1 };
    let mut team = Team::gather(plan::threads(weights, problem, products)?);
    let plan = Plan::new(weights, problem, team.size())?;
    if keep {
        check_available(residual_bytes(weights, problem))?;
    }
    let mut slices = slices(weights, problem, &plan, results, keep)?;
    let stop = Stop::new(stop);
    match &mut slices[..] {
        [only] if plan.parts.len() > 1 => only.split(&mut team, &stop)?,
        several => {
            team.for_each(several, |worker, slice| slice.result = slice.all(worker, &stop));
        }
    }
    let mut kept = lists::room(slices.len())?;
    for slice in slices {
        slice.result?;
        // Bounded: room was made.
        kept.push(slice.parts.into_iter().map(PartForward::into_kept).listed()?);
    }
    Ok(keep.then(|| Residuals::new(weights, problem, plan, kept)))
}

fn check<T: Element>(
    weights: &Weights<T>,
    problem: &Problem<'_, T>,
    results: &Results<'_, T>,
) -> Result<()> {
    problem.check(weights)?;
    if results.outputs.shape() != problem.output_shape() {
        return Err(Error::shape("outputs", problem.output_shape(), results.outputs.shape()));
    }
    if !results.state.is_empty() && results.state.len() != weights.states() {
        let expected = format!("{} arrays", weights.states());
        return Err(Error::value("state", expected, results.state.len()));
    }
    for (number, state) in results.state.iter().enumerate() {
        let expected = [problem.inputs.shape()[0], 1, weights.state_size(number)];
        if state.shape() != expected {
            return Err(Error::shape("state", expected, state.shape()));
        }
    }
    Ok(())
}

/// What the residuals will hold at most.
fn residual_bytes<T: Element>(weights: &Weights<T>, problem: &Problem<'_, T>) -> usize {
    let [batch, time, _] = problem.inputs.shape();
    let vectors = weights.layout.slots.len() + weights.layout.states + weights.phases();
    let per_step = vectors * weights.padded_units() * size_of::<T>();
    batch.saturating_mul(time).saturating_mul(per_step)
}

/// Every slice before its first step, its results split off.
fn slices<'a, T: Element>(
    weights: &'a Weights<T>,
    problem: &'a Problem<'a, T>,
    plan: &'a Plan,
    results: Results<'a, T>,
    keep: bool,
) -> Result<Vec<SliceForward<'a, T>>> {
    check_available(slice_bytes(weights, problem, plan))?;
    let mut states = plan.slices.iter().map(|_| Vec::new()).listed()?;
    for state in results.state {
        for (of_slice, part) in states.iter_mut().zip(plan.split(state)?) {
            lists::push(of_slice, part)?;
        }
    }
    let slices = plan.slices.iter().zip(plan.split(results.outputs)?).zip(states);
    let slice = |((slice, outputs), state)| {
        SliceForward::new(weights, problem, plan, (slice, outputs, state), keep)
    };
    slices.map(slice).listed_or()
}

/// What the slices hold from the start.
fn slice_bytes<T: Element>(weights: &Weights<T>, problem: &Problem<'_, T>, plan: &Plan) -> usize {
    let batch = problem.inputs.shape()[0];
    let apart = part::multiplies_apart(weights, problem);
    let rows = 1 + weights.phases() + usize::from(apart);
    let row = rows * row_stride(weights.units) + weights.layout.states * weights.padded_units();
    let parts = plan.parts.len() * size_of::<PartForward<'_, T>>();
    let slices = plan.slices.len().saturating_mul(size_of::<SliceForward<'_, T>>() + parts);
    batch.saturating_mul(row.saturating_mul(size_of::<T>())).saturating_add(slices)
}

/// The planes of the outputs before and after a step, which alternate, and [`EARLY`]'s.
const ONE_PHASE: &[usize] = &[1, 0];
const TWO_PHASES: &[usize] = &[EARLY, 1, EARLY, 0];

/// A slice on its way forward through time, with all its parts.
struct SliceForward<'a, T: Element> {
    problem: &'a Problem<'a, T>,
    plan: &'a Plan,
    slice: &'a Slice,
    exchange: Exchange<T>,
    parts: Vec<PartForward<'a, T>>,
    state: Vec<ViewMut<'a, T>>,
    result: Result<()>,
}

impl<'a, T: Element> SliceForward<'a, T> {
    fn new(
        weights: &'a Weights<T>,
        problem: &'a Problem<'a, T>,
        plan: &'a Plan,
        (slice, outputs, state): (&'a Slice, ViewMut<'a, T>, Vec<ViewMut<'a, T>>),
        keep: bool,
    ) -> Result<Self> {
        let geometry = Geometry {
            rows: slice.rows.len(),
            slots: 1,
            width: weights.padded_units(),
            stride: row_stride(weights.units),
        };
        let two = weights.phases() > 1;
        let schedule = if two { TWO_PHASES } else { ONE_PHASE };
        let exchange = Exchange::new(geometry, schedule, plan.padded_units(weights)?)?;
        let outputs = plan.split_features(outputs, |blocks| weights.units_of(blocks))?;
        let parts = plan.parts.iter().zip(outputs).enumerate();
        let parts = parts.map(|(number, (blocks, outputs))| {
            let part = SlicePart::new(weights, problem, slice, (number, blocks.clone()));
            PartForward::new(part, outputs, keep)
        });
        let parts = parts.listed_or()?;
        let mut slice = Self { problem, plan, slice, exchange, parts, state, result: Ok(()) };
        slice.read_initial_state();
        Ok(slice)
    }

    fn read_initial_state(&mut self) {
        let rows = self.slice.rows.len();
        for (state, array) in self.problem.initial_state.iter().enumerate() {
            let outputs = self.exchange.plane_mut(0);
            for part in &mut self.parts {
                let mut states = part.states();
                for row in 0..rows {
                    let from = array.row(self.slice.batch_row(row), 0);
                    states.read(state, row, from, outputs);
                }
            }
        }
    }

    fn write_final_state(&mut self) {
        let rows = self.slice.rows.len();
        let Some(first) = self.parts.first() else { return };
        let outputs = &*self.exchange.plane_mut(first.latest());
        for (state, array) in self.state.iter_mut().enumerate() {
            for forward in &mut self.parts {
                let part = &forward.part;
                let share = if state == 0 { part.outputs() } else { part.units() };
                let states = forward.states();
                for row in 0..rows {
                    states.write(state, row, outputs, &mut array.row(row, 0)[share.clone()]);
                }
            }
        }
        if !self.problem.return_sequences {
            for part in &mut self.parts {
                part.write_last(outputs);
            }
        }
    }

    /// All steps, on this thread.
    fn all(&mut self, worker: usize, stop: &Stop<'_>) -> Result<()> {
        self.resume(0, 0, worker, stop)
    }

    fn resume(&mut self, step: usize, turn: usize, worker: usize, stop: &Stop<'_>) -> Result<()> {
        let mut turn = self.exchange.alone(turn);
        walk(&mut self.parts, &mut turn, self.plan, step, (worker, stop))?;
        drop(turn);
        self.parts.iter_mut().for_each(PartForward::release);
        self.write_final_state();
        Ok(())
    }

    /// All steps, each part on its own thread; after some step perhaps all of them on this one.
    fn split(&mut self, team: &mut Team, stop: &Stop<'_>) -> Result<()> {
        let plan = self.plan;
        let work = |worker, part: &mut PartForward<'a, T>, turn: &mut Turn<'_, T>| {
            walk(std::slice::from_mut(part), turn, plan, 0, (worker, stop))
        };
        let (step, turn) = together(team, &mut self.parts, &mut self.exchange, work)?;
        self.resume(step, turn, 0, stop)
    }
}

/// Takes the parts' steps from `first` on. Returns the next step: not the end if the caller is to
/// take the rest alone.
fn walk<T: Element>(
    parts: &mut [PartForward<'_, T>],
    turn: &mut Turn<'_, T>,
    plan: &Plan,
    first: usize,
    (worker, stop): (usize, &Stop<'_>),
) -> Result<usize> {
    let time = plan.chunks.last().map_or(0, |chunk| chunk.end);
    if first == 0 {
        for part in &mut *parts {
            part.prepare(&plan.chunks)?;
        }
    }
    let mut step = first;
    while step < time {
        let chunk = &plan.chunks[plan.chunk_of(step)];
        if step == chunk.start {
            stop.poll(worker)?;
            let sweeps = matches!(&*parts, [only] if only.sweeps());
            for part in &mut *parts {
                part.begin(chunk, sweeps)?;
            }
        }
        let alone;
        (step, alone) = match &mut *parts {
            [only] if only.sweeps() => only.sweep(turn, chunk, step..chunk.end)?,
            several => one_step(several, turn, chunk, step)?,
        };
        if alone {
            return Ok(step);
        }
    }
    Ok(time)
}

/// Takes one step, phase by phase. Returns the next one, and whether the caller is to take it
/// alone.
fn one_step<T: Element>(
    parts: &mut [PartForward<'_, T>],
    turn: &mut Turn<'_, T>,
    chunk: &Range<usize>,
    step: usize,
) -> Result<(usize, bool)> {
    let mut alone = false;
    let phases = parts.first().map_or(0, |first| first.part.phases_of(step));
    for phase in 0..phases {
        for part in &mut *parts {
            part.phase(turn, chunk, step, phase)?;
        }
        alone = turn.pass()?;
    }
    for part in parts {
        part.end_step(step, turn);
    }
    Ok((step + 1, alone))
}
