//! Time backward: step before step, then the weights' gradients as long products.

mod part;
mod products;
mod weights;

use std::ops::Range;

use crate::error::{Error, Result};
use crate::kernels::pack::row_stride;
use crate::layers::sequence::call::{Gradients, Seeds};
use crate::layers::sequence::kept::{History, Residuals};
use crate::layers::sequence::plan::Plan;
use crate::layers::sequence::problem::Problem;
use crate::layers::sequence::weights::{Transposed, Weights};
use crate::machine::lists::{self, Listed};
use crate::machine::memory::{Buffer, ViewMut};
use crate::machine::simd::Element;
use crate::machine::threads::together;
use crate::machine::threads::{Ask, Exchange, Geometry, Stop, Team, Turn};
use part::{Run, Views};
use weights::{Sums, WeightGradients};

/// See [`crate::layers::sequence::backward()`].
pub(crate) fn backward<T: Element>(
    weights: &Weights<T>,
    problem: &Problem<'_, T>,
    residuals: &mut Residuals<T>,
    seeds: &Seeds<'_, T>,
    gradients: Gradients<'_, T>,
    consume: bool,
    stop: Ask<'_>,
) -> Result<()> {
    check(weights, problem, residuals, seeds, &gradients)?;
    let slots = residuals.take_slots(consume)?;
    let transposed = weights.transposed()?;
    let stop = Stop::new(stop);
    let Residuals { plan, slices: kept, .. } = &*residuals;
    // A single slice that is not cut into parts goes back on one thread: only its weights' gradients
    // are shared out.
    let products = plan.slices.len().min(2);
    let mut team = Team::gather(Plan::threads(weights, problem, products)?);
    let history = |n: usize| History {
        problem,
        slice: &plan.slices[n],
        kept: &kept[n],
        outputs: seeds.outputs,
        units: weights.units,
        stride: row_stride(weights.units),
    };
    let histories = (0..slots.len()).map(history).listed()?;
    let mut journeys = lists::room(slots.len())?;
    let mut d_inputs = match gradients.inputs {
        Some(view) => plan.split(view)?.into_iter().map(Some).listed()?,
        None => plan.slices.iter().map(|_| None).listed()?,
    };
    let mut d_states = plan.slices.iter().map(|_| Vec::new()).listed()?;
    for state in gradients.state {
        for (of_slice, part) in d_states.iter_mut().zip(plan.split(state)?) {
            lists::push(of_slice, part)?;
        }
    }
    for (n, slots) in slots.into_iter().enumerate() {
        let views = (d_inputs[n].take(), std::mem::take(&mut d_states[n]));
        let packed = (weights, transposed);
        // Bounded: room was made.
        journeys.push(Journey::new(packed, plan, (n, histories[n]), seeds, slots, views)?);
    }
    let sums = Sums::new(weights, plan, &histories, team.size())?;
    match &mut journeys[..] {
        [only] if plan.parts.len() > 1 => {
            only.split(&mut team, &stop)?;
            only.sum(&sums, &|| stop.poll(0));
        }
        several => team.for_each(several, |worker, journey| {
            journey.result = journey.all(worker, &stop);
            journey.sum(&sums, &|| stop.poll(worker));
        }),
    }
    for journey in &mut journeys {
        std::mem::replace(&mut journey.result, Ok(()))?;
    }
    sum_vectors(&journeys, problem.inputs.shape()[0], gradients.vectors)?;
    drop(journeys);
    let into = WeightGradients {
        kernel: gradients.kernel,
        recurrent_kernel: gradients.recurrent_kernel,
        bias: gradients.bias,
        projection: gradients.projection,
    };
    sums.write(into, &mut team, &stop)
}

fn check<T: Element>(
    weights: &Weights<T>,
    problem: &Problem<'_, T>,
    residuals: &Residuals<T>,
    seeds: &Seeds<'_, T>,
    gradients: &Gradients<'_, T>,
) -> Result<()> {
    problem.check(weights)?;
    residuals.check(weights, problem)?;
    let outputs = problem.output_shape();
    for (argument, array) in [("outputs", Some(seeds.outputs)), ("d_outputs", seeds.d_outputs)] {
        if let Some(array) = array.filter(|array| array.shape() != outputs) {
            return Err(Error::shape(argument, outputs, array.shape()));
        }
    }
    let batch = outputs[0];
    if !seeds.d_state.is_empty() && seeds.d_state.len() != weights.states() {
        let expected = format!("{} arrays", weights.states());
        return Err(Error::value("d_final_state", expected, seeds.d_state.len()));
    }
    let shape = |state: usize| [batch, 1, weights.state_size(state)];
    for (state, array) in seeds.d_state.iter().enumerate() {
        if let Some(wrong) = array.filter(|array| array.shape() != shape(state)) {
            let [rows, _, units] = wrong.shape();
            return Err(Error::shape("d_final_state", [batch, shape(state)[2]], [rows, units]));
        }
    }
    let states = gradients.state.iter().enumerate();
    let fits = gradients.inputs.as_ref().is_none_or(|view| view.shape() == problem.inputs.shape())
        && gradients.state.len() == weights.states()
        && states.into_iter().all(|(state, view)| view.shape() == shape(state))
        && gradients.kernel.len() == weights.features * weights.gates() * weights.units
        && gradients.recurrent_kernel.len() == weights.recurrent_len()
        && gradients.vectors.len() == weights.layout.vectors * weights.units
        && gradients.projection.as_ref().map(|array| array.len()) == weights.projection_len()
        && gradients.bias.as_ref().map(|bias| bias.len()) == weights.bias_len();
    if fits { Ok(()) } else { Err(Error::shape("gradients", "those of the arguments", "others")) }
}

/// Sums the gradients by the weights of each unit alone, in the order of the batch.
fn sum_vectors<T: Element>(journeys: &[Journey<'_, T>], batch: usize, to: &mut [T]) -> Result<()> {
    if to.is_empty() {
        return Ok(());
    }
    let mut places = lists::filled((0, 0), batch)?;
    for (n, journey) in journeys.iter().enumerate() {
        let slice = &journey.plan.slices[journey.slice];
        for row in 0..slice.rows.len() {
            places[slice.batch_row(row)] = (n, row);
        }
    }
    to.fill(T::ZERO);
    for (n, row) in places {
        for run in &journeys[n].runs {
            run.add_vectors(row, to);
        }
    }
    Ok(())
}

/// The planes of the gradients by a step's sums: one is read while the next is written.
const PLANES: &[usize] = &[0, 1];

/// A slice on its way back through time, with all its parts.
struct Journey<'a, T: Element> {
    plan: &'a Plan,
    /// The slice's number.
    slice: usize,
    exchange: Exchange<T>,
    runs: Vec<Run<'a, T>>,
    result: Result<()>,
}

impl<'a, T: Element> Journey<'a, T> {
    fn new(
        (weights, transposed): (&'a Weights<T>, &'a Transposed<T>),
        plan: &'a Plan,
        (slice, history): (usize, History<'a, T>),
        seeds: &'a Seeds<'a, T>,
        slots: Vec<Buffer<T>>,
        (d_inputs, d_initial): (Option<ViewMut<'a, T>>, Vec<ViewMut<'a, T>>),
    ) -> Result<Self> {
        // No padding between the slots: a row is one long vector for the products.
        let geometry = Geometry {
            rows: history.slice.rows.len(),
            slots: weights.layout.slots.len(),
            width: weights.units,
            stride: weights.d_sums_stride(),
        };
        let units = plan.parts.iter().map(|blocks| weights.units_of(blocks)).listed()?;
        let exchange = Exchange::new(geometry, PLANES, units)?;
        // The features of the inputs' gradient are shared out as evenly as the units are.
        let (count, lanes) = (plan.parts.len(), weights.lanes());
        let blocks = transposed.kernel.blocks();
        let columns = |n: usize| n * blocks / count..(n + 1) * blocks / count;
        let features = |blocks: Range<usize>| {
            let end = weights.features;
            (blocks.start * lanes).min(end)..(blocks.end * lanes).min(end)
        };
        let mut d_inputs = match d_inputs {
            Some(view) if count == 1 => std::iter::once(Some(view)).listed()?,
            Some(view) => {
                let views = view.split_features((0..count).map(|n| features(columns(n))))?;
                views.into_iter().map(Some).listed()?
            }
            None => (0..count).map(|_| None).listed()?,
        };
        let mut initial = (0..count).map(|_| Vec::new()).listed()?;
        for view in d_initial {
            let parts = plan.split_features(view, |blocks| weights.units_of(blocks))?;
            for (of_part, view) in initial.iter_mut().zip(parts) {
                lists::push(of_part, view)?;
            }
        }
        let mut runs = lists::room(count)?;
        for (number, slots) in slots.into_iter().enumerate() {
            let views = Views {
                d_inputs: d_inputs[number].take(),
                columns: columns(number),
                d_initial: std::mem::take(&mut initial[number]),
            };
            let part = (number, plan.parts[number].clone());
            let taken = history.slice.before(plan.chunks.last().map_or(0, |chunk| chunk.end));
            let packed = (weights, transposed);
            // Bounded: room was made.
            runs.push(Run::new(packed, history, seeds, part, taken, slots, views)?);
        }
        Ok(Self { plan, slice, exchange, runs, result: Ok(()) })
    }

    /// Gives the slots to the weights' gradients, after the last step.
    fn sum(&mut self, sums: &Sums<'_, T>, poll: &dyn Fn() -> Result<()>) {
        let mut slots: Vec<_> =
            // Bounded: a buffer for each part, of which there are as many as threads.
            self.runs.iter_mut().map(|run| std::mem::take(&mut run.slots)).collect();
        if let [only] = &mut self.runs[..] {
            // Bounded: one more.
            slots.push(std::mem::take(&mut only.d_projected));
        }
        sums.take(self.slice, slots, poll);
    }

    /// All steps, on this thread.
    fn all(&mut self, worker: usize, stop: &Stop<'_>) -> Result<()> {
        let steps = self.steps();
        self.resume(steps, 0, worker, stop)
    }

    fn steps(&self) -> usize {
        self.plan.chunks.last().map_or(0, |chunk| chunk.end)
    }

    fn resume(&mut self, steps: usize, turn: usize, worker: usize, stop: &Stop<'_>) -> Result<()> {
        let mut turn = self.exchange.alone(turn);
        walk(&mut self.runs, &mut turn, self.plan, steps, (worker, stop))?;
        for run in &mut self.runs {
            run.write_initial();
        }
        Ok(())
    }

    /// All steps, each part on its own thread, or from some step on all on this one.
    fn split(&mut self, team: &mut Team, stop: &Stop<'_>) -> Result<()> {
        let (plan, steps) = (self.plan, self.steps());
        if team.size() < self.runs.len() {
            return self.all(0, stop);
        }
        let work = |worker, run: &mut Run<'a, T>, turn: &mut Turn<'_, T>| {
            walk(std::slice::from_mut(run), turn, plan, steps, (worker, stop))
        };
        let (steps, turn) = together(team, &mut self.runs, &mut self.exchange, work)?;
        self.resume(steps, turn, 0, stop)
    }
}

/// Takes the runs' steps back from `end` on. Gives the number of steps that are left: not zero, if
/// the caller is to take them alone.
fn walk<T: Element>(
    runs: &mut [Run<'_, T>],
    turn: &mut Turn<'_, T>,
    plan: &Plan,
    end: usize,
    (worker, stop): (usize, &Stop<'_>),
) -> Result<usize> {
    for step in (0..end).rev() {
        let chunk = &plan.chunks[plan.chunk_of(step)];
        if step + 1 == chunk.end {
            stop.poll(worker)?;
        }
        for run in &mut *runs {
            run.skip(step);
        }
        let mut alone = false;
        let phases = runs.first().map_or(0, |run| run.phases(step));
        for phase in (0..phases).rev() {
            for run in &mut *runs {
                run.phase(turn, chunk, step, phase);
            }
            alone = turn.pass()?;
            for run in &mut *runs {
                run.through(turn, step, phase);
            }
        }
        if alone && step > 0 {
            return Ok(step);
        }
    }
    for run in runs {
        run.write_d_inputs();
    }
    Ok(0)
}
