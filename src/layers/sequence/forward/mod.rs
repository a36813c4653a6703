//! Time forward: projection by chunks, then step after step.

mod part;
mod products;

use std::ops::Range;

use crate::error::{Error, Result};
use crate::kernels::pack::row_stride;
use crate::layers::sequence::call::Results;
use crate::layers::sequence::kept::Residuals;
use crate::layers::sequence::plan::{Plan, Slice};
use crate::layers::sequence::problem::Problem;
use crate::layers::sequence::weights::Weights;
use crate::machine::lists::{self, Listed};
use crate::machine::memory::{ViewMut, check_available};
use crate::machine::simd::Element;
use crate::machine::threads::together;
use crate::machine::threads::{Ask, Exchange, Geometry, Stop, Team, Turn};
use part::{EARLY, Run};

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
    let mut team = Team::gather(Plan::threads(weights, problem, 1)?);
    let plan = Plan::new(weights, problem, team.size())?;
    if keep {
        check_available(residual_bytes(weights, problem))?;
    }
    let mut journeys = journeys(weights, problem, &plan, results, keep)?;
    let stop = Stop::new(stop);
    match &mut journeys[..] {
        [only] if plan.parts.len() > 1 => only.split(&mut team, &stop)?,
        several => {
            team.for_each(several, |worker, journey| journey.result = journey.all(worker, &stop));
        }
    }
    let mut kept = lists::room(journeys.len())?;
    for journey in journeys {
        journey.result?;
        // Bounded: room was made.
        kept.push(journey.runs.into_iter().map(|run| run.kept).listed()?);
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
        return Err(Error::value("state", weights.states().to_string(), results.state.len()));
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

/// A journey for each slice, its results split off.
fn journeys<'a, 'p, T: Element>(
    weights: &'a Weights<T>,
    problem: &'a Problem<'p, T>,
    plan: &'a Plan,
    results: Results<'a, T>,
    keep: bool,
) -> Result<Vec<Journey<'a, 'p, T>>> {
    check_available(journey_bytes(weights, problem, plan))?;
    let mut states = plan.slices.iter().map(|_| Vec::new()).listed()?;
    for state in results.state {
        for (of_slice, part) in states.iter_mut().zip(plan.split(state)?) {
            lists::push(of_slice, part)?;
        }
    }
    let slices = plan.slices.iter().zip(plan.split(results.outputs)?).zip(states);
    let journey = |((slice, outputs), state)| {
        Journey::new(weights, problem, plan, (slice, outputs, state), keep)
    };
    slices.map(journey).listed_or()
}

/// What the journeys hold from the start.
fn journey_bytes<T: Element>(weights: &Weights<T>, problem: &Problem<'_, T>, plan: &Plan) -> usize {
    let batch = problem.inputs.shape()[0];
    let apart = part::multiplies_apart(weights, problem);
    let rows = 1 + weights.phases() + usize::from(apart);
    let row = rows * row_stride(weights.units) + weights.layout.states * weights.padded_units();
    let slice = size_of::<Journey<'_, '_, T>>() + plan.parts.len() * size_of::<Run<'_, '_, T>>();
    let slices = plan.slices.len().saturating_mul(slice);
    batch.saturating_mul(row.saturating_mul(size_of::<T>())).saturating_add(slices)
}

/// The planes of the outputs before and after a step, in turns, and [`EARLY`]'s.
const ONE_PHASE: &[usize] = &[1, 0];
const TWO_PHASES: &[usize] = &[EARLY, 1, EARLY, 0];

/// A slice on its way through time, with all its parts.
struct Journey<'a, 'p, T: Element> {
    problem: &'a Problem<'p, T>,
    plan: &'a Plan,
    slice: &'a Slice,
    exchange: Exchange<T>,
    runs: Vec<Run<'a, 'p, T>>,
    state: Vec<ViewMut<'a, T>>,
    result: Result<()>,
}

impl<'a, 'p, T: Element> Journey<'a, 'p, T> {
    fn new(
        weights: &'a Weights<T>,
        problem: &'a Problem<'p, T>,
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
        let runs = plan.split_features(outputs, |blocks| weights.units_of(blocks))?;
        let runs = plan.parts.iter().zip(runs).enumerate();
        let runs = runs.map(|(number, (blocks, outputs))| {
            Run::new(weights, problem, slice, (number, blocks.clone()), outputs, keep)
        });
        let runs = runs.listed_or()?;
        let mut journey = Self { problem, plan, slice, exchange, runs, state, result: Ok(()) };
        journey.read_initial_state();
        Ok(journey)
    }

    fn read_initial_state(&mut self) {
        let rows = self.slice.rows.len();
        for (state, array) in self.problem.initial_state.iter().enumerate() {
            let outputs = self.exchange.plane_mut(0);
            for run in &mut self.runs {
                let mut states = run.states();
                for row in 0..rows {
                    let from = array.row(self.slice.batch_row(row), 0);
                    states.read(state, row, from, outputs);
                }
            }
        }
    }

    fn write_final_state(&mut self) {
        let rows = self.slice.rows.len();
        let Some(run) = self.runs.first() else { return };
        let outputs = &*self.exchange.plane_mut(run.latest());
        for (state, array) in self.state.iter_mut().enumerate() {
            for run in &mut self.runs {
                let own = match state {
                    0 => run.weights.outputs_of(&run.blocks),
                    _ => run.weights.units_of(&run.blocks),
                };
                let states = run.states();
                for row in 0..rows {
                    states.write(state, row, outputs, &mut array.row(row, 0)[own.clone()]);
                }
            }
        }
        if !self.problem.return_sequences {
            for run in &mut self.runs {
                run.write_last(outputs);
            }
        }
    }

    /// All steps, on this thread.
    fn all(&mut self, worker: usize, stop: &Stop<'_>) -> Result<()> {
        self.resume(0, 0, worker, stop)
    }

    fn resume(&mut self, step: usize, turn: usize, worker: usize, stop: &Stop<'_>) -> Result<()> {
        let mut turn = self.exchange.alone(turn);
        walk(&mut self.runs, &mut turn, self.plan, step, (worker, stop))?;
        drop(turn);
        self.runs.iter_mut().for_each(Run::release);
        self.write_final_state();
        Ok(())
    }

    /// All steps, each part on its own thread, or from some step on all on this one.
    fn split(&mut self, team: &mut Team, stop: &Stop<'_>) -> Result<()> {
        let plan = self.plan;
        let work = |worker, run: &mut Run<'a, 'p, T>, turn: &mut Turn<'_, T>| {
            walk(std::slice::from_mut(run), turn, plan, 0, (worker, stop))
        };
        let (step, turn) = together(team, &mut self.runs, &mut self.exchange, work)?;
        self.resume(step, turn, 0, stop)
    }
}

/// Takes the runs' steps from `first` on. Gives the next step: not the last one's, if the caller is
/// to take the rest alone.
fn walk<T: Element>(
    runs: &mut [Run<'_, '_, T>],
    turn: &mut Turn<'_, T>,
    plan: &Plan,
    first: usize,
    (worker, stop): (usize, &Stop<'_>),
) -> Result<usize> {
    let time = plan.chunks.last().map_or(0, |chunk| chunk.end);
    if first == 0 {
        for run in &mut *runs {
            run.prepare(&plan.chunks)?;
        }
    }
    let mut step = first;
    while step < time {
        let chunk = &plan.chunks[plan.chunk_of(step)];
        if step == chunk.start {
            stop.poll(worker)?;
            let sweeps = matches!(&*runs, [only] if only.sweeps());
            for run in &mut *runs {
                run.begin(chunk, sweeps)?;
            }
        }
        let alone;
        (step, alone) = match &mut *runs {
            [only] if only.sweeps() => only.sweep(turn, chunk, step..chunk.end)?,
            several => one_step(several, turn, chunk, step)?,
        };
        if alone {
            return Ok(step);
        }
    }
    Ok(time)
}

/// Takes one step, phase by phase. Gives the next one, and whether the caller is to take it alone.
fn one_step<T: Element>(
    runs: &mut [Run<'_, '_, T>],
    turn: &mut Turn<'_, T>,
    chunk: &Range<usize>,
    step: usize,
) -> Result<(usize, bool)> {
    let mut alone = false;
    let phases = runs.first().map_or(0, |run| run.phases(step));
    for phase in 0..phases {
        for run in &mut *runs {
            run.phase(turn, chunk, step, phase)?;
        }
        alone = turn.pass()?;
    }
    for run in runs {
        run.take(step, turn);
    }
    Ok((step + 1, alone))
}
