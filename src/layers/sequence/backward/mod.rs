//! Time backward: step before step, then the weights' gradients as long products.

mod inputs;
mod left;
mod part;
mod products;
mod weights;
mod written;

use crate::error::{Error, Result};
use crate::kernels::pack::row_stride;
use crate::layers::sequence::call::{Gradients, Seeds};
use crate::layers::sequence::kept::{History, Residuals};
use crate::layers::sequence::part::SlicePart;
use crate::layers::sequence::plan::{self, Plan};
use crate::layers::sequence::problem::Problem;
use crate::layers::sequence::weights::Weights;
use crate::machine::lists::{self, Listed};
use crate::machine::memory::{Buffer, ViewMut};
use crate::machine::simd::Element;
use crate::machine::threads::together;
use crate::machine::threads::{Ask, Exchange, Geometry, Stop, Team, Turn};
use inputs::Features;
use part::{Given, PartBackward};
use weights::Sums;
use written::WeightGradients;

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
    let slots = residuals.slots_to_overwrite(consume)?;
    let transposed = weights.transposed()?;
    let stop = Stop::new(stop);
    let Residuals { plan, slices: kept, .. } = &*residuals;
    // A single slice that is not cut into parts runs backward on one thread: only its weights'
    // gradients are shared out.
    let products = plan.slices.len().min(2);
    let mut team = Team::gather(plan::threads(weights, problem, products)?);
    let history = |n: usize| History {
        problem,
        slice: &plan.slices[n],
        kept: &kept[n],
        outputs: seeds.outputs,
        units: weights.units,
        stride: row_stride(weights.units),
    };
    let histories = (0..slots.len()).map(history).listed()?;
    let mut slices = lists::room(slots.len())?;
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
    for (number, slots) in slots.into_iter().enumerate() {
        let views = (d_inputs[number].take(), std::mem::take(&mut d_states[number]));
        let given = Given { transposed, history: histories[number], seeds };
        // Bounded: room was made.
        slices.push(SliceBackward::new(weights, plan, number, given, slots, views)?);
    }
    let sums = Sums::new(weights, plan, &histories, team.size())?;
    match &mut slices[..] {
        [only] if plan.parts.len() > 1 => {
            only.split(&mut team, &stop)?;
            only.sum(&sums, &|| stop.poll(0));
        }
        several => team.for_each(several, |worker, slice| {
            slice.result = slice.all(worker, &stop);
            slice.sum(&sums, &|| stop.poll(worker));
        }),
    }
    for slice in &mut slices {
        std::mem::replace(&mut slice.result, Ok(()))?;
    }
    sum_vectors(&slices, problem.inputs.shape()[0], gradients.vectors)?;
    drop(slices);
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
    let mut states = gradients.state.iter().enumerate();
    let inputs = gradients.inputs.as_ref();
    let fits = [
        ("inputs", inputs.is_none_or(|view| view.shape() == problem.inputs.shape())),
        (
            "initial_state",
            gradients.state.len() == weights.states()
                && states.all(|(state, view)| view.shape() == shape(state)),
        ),
        ("kernel", gradients.kernel.len() == weights.features * weights.gates() * weights.units),
        ("recurrent_kernel", gradients.recurrent_kernel.len() == weights.recurrent_len()),
        ("vectors", gradients.vectors.len() == weights.layout.vectors * weights.units),
        (
            "projection",
            gradients.projection.as_ref().map(|array| array.len()) == weights.projection_len(),
        ),
        ("bias", gradients.bias.as_ref().map(|bias| bias.len()) == weights.bias_len()),
    ];
    match fits.iter().find(|(_, fits)| !fits) {
        Some((of, _)) => {
            let expected = format!("an array for `{of}`, of its size");
            Err(Error::kind("gradients", expected, "none, or one of another size"))
        }
        None => Ok(()),
    }
}

/// Sums the gradients with respect to the weights of each unit alone, in the order of the batch.
fn sum_vectors<T: Element>(
    slices: &[SliceBackward<'_, T>],
    batch: usize,
    to: &mut [T],
) -> Result<()> {
    if to.is_empty() {
        return Ok(());
    }
    let mut places = lists::filled((0, 0), batch)?;
    for (n, slice) in slices.iter().enumerate() {
        let slice = &slice.plan.slices[slice.number];
        for row in 0..slice.rows.len() {
            places[slice.batch_row(row)] = (n, row);
        }
    }
    to.fill(T::ZERO);
    for (n, row) in places {
        for part in &slices[n].parts {
            part.add_vectors(row, to);
        }
    }
    Ok(())
}

/// The planes of the gradients with respect to a step's sums: one is read while the next is
/// written.
const PLANES: &[usize] = &[0, 1];

/// A slice on its way back through time, with all its parts.
struct SliceBackward<'a, T: Element> {
    plan: &'a Plan,
    /// The slice's number.
    number: usize,
    exchange: Exchange<T>,
    parts: Vec<PartBackward<'a, T>>,
    result: Result<()>,
}

impl<'a, T: Element> SliceBackward<'a, T> {
    fn new(
        weights: &'a Weights<T>,
        plan: &'a Plan,
        number: usize,
        given: Given<'a, T>,
        slots: Vec<Buffer<T>>,
        (d_inputs, d_initial): (Option<ViewMut<'a, T>>, Vec<ViewMut<'a, T>>),
    ) -> Result<Self> {
        let History { slice, problem, .. } = given.history;
        // No padding between the slots: a row is one long vector for the products.
        let geometry = Geometry {
            rows: slice.rows.len(),
            slots: weights.layout.slots.len(),
            width: weights.units,
            stride: weights.d_sums_stride(),
        };
        let units = plan.parts.iter().map(|blocks| weights.units_of(blocks)).listed()?;
        let exchange = Exchange::new(geometry, PLANES, units)?;
        let count = plan.parts.len();
        let mut d_inputs =
            split_inputs(weights, given.transposed.kernel.blocks(), d_inputs, count)?;
        let mut initial = (0..count).map(|_| Vec::new()).listed()?;
        for view in d_initial {
            let parts = plan.split_features(view, |blocks| weights.units_of(blocks))?;
            for (of_part, view) in initial.iter_mut().zip(parts) {
                lists::push(of_part, view)?;
            }
        }
        let kept_rows = slice.before(plan.chunks.last().map_or(0, |chunk| chunk.end));
        let mut parts = lists::room(count)?;
        for (n, slots) in slots.into_iter().enumerate() {
            let part = SlicePart::new(weights, problem, slice, (n, plan.parts[n].clone()));
            let (d_inputs, d_initial) = (d_inputs[n].take(), std::mem::take(&mut initial[n]));
            let kept = (slots, kept_rows);
            // Bounded: room was made.
            parts.push(PartBackward::new(part, given, kept, d_inputs, d_initial)?);
        }
        Ok(Self { plan, number, exchange, parts, result: Ok(()) })
    }

    /// Hands the slots to the weights' gradients, after the last step.
    fn sum(&mut self, sums: &Sums<'_, T>, poll: &dyn Fn() -> Result<()>) {
        let slots = |part: &mut PartBackward<'_, T>| std::mem::take(&mut part.memory.slots);
        // Bounded: a buffer for each part, of which there are as many as threads.
        let mut slots: Vec<_> = self.parts.iter_mut().map(slots).collect();
        if let [only] = &mut self.parts[..] {
            // Bounded: one more.
            slots.push(std::mem::take(&mut only.memory.d_projected));
        }
        sums.add_slice(self.number, slots, poll);
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
        walk(&mut self.parts, &mut turn, self.plan, steps, (worker, stop))?;
        self.parts.iter_mut().for_each(PartBackward::write_initial);
        Ok(())
    }

    /// All steps, each part on its own thread; after some step perhaps all of them on this one.
    fn split(&mut self, team: &mut Team, stop: &Stop<'_>) -> Result<()> {
        let (plan, steps) = (self.plan, self.steps());
        if team.size() < self.parts.len() {
            return self.all(0, stop);
        }
        let work = |worker, part: &mut PartBackward<'a, T>, turn: &mut Turn<'_, T>| {
            walk(std::slice::from_mut(part), turn, plan, steps, (worker, stop))
        };
        let (steps, turn) = together(team, &mut self.parts, &mut self.exchange, work)?;
        self.resume(steps, turn, 0, stop)
    }
}

/// Each part's features of the gradient with respect to the inputs, which are shared out as evenly
/// as the units are.
fn split_inputs<'a, T: Element>(
    weights: &Weights<T>,
    blocks: usize,
    d_inputs: Option<ViewMut<'a, T>>,
    count: usize,
) -> Result<Vec<Option<Features<'a, T>>>> {
    let Some(view) = d_inputs else { return (0..count).map(|_| None).listed() };
    let of_part = |n: usize| n * blocks / count..(n + 1) * blocks / count;
    let views = if count == 1 {
        std::iter::once(view).listed()?
    } else {
        let at = |block: usize| (block * weights.lanes()).min(weights.features);
        view.split_features((0..count).map(|n| at(of_part(n).start)..at(of_part(n).end)))?
    };
    views.into_iter().enumerate().map(|(n, view)| Some((view, of_part(n)))).listed()
}

/// Takes the parts' steps backward from `end`. Returns the number of steps that are left: not zero
/// if the caller is to take them alone.
fn walk<T: Element>(
    parts: &mut [PartBackward<'_, T>],
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
        for part in &mut *parts {
            part.skip(step);
        }
        let mut alone = false;
        let phases = parts.first().map_or(0, |first| first.part.phases_of(step));
        for phase in (0..phases).rev() {
            for part in &mut *parts {
                part.phase(turn, chunk, step, phase);
            }
            alone = turn.pass()?;
            for part in &mut *parts {
                part.through(turn, step, phase);
            }
        }
        if alone && step > 0 {
            return Ok(step);
        }
    }
    for part in parts {
        part.write_inputs();
    }
    Ok(0)
}
