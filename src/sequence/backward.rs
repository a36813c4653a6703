//! Time backward: step before step, then the weights' gradients as long products.

use std::ops::Range;

use super::cell::BackVisitor;
use super::gradient::{self, WeightGradients};
use super::problem::Problem;
use super::residuals::{At, History, Kept, Residuals};
use super::rows::{States, add};
use super::step::{Place, RowMajor};
use super::weights::{Transposed, Weights};
use crate::error::{Error, Result};
use crate::kernels::pack::row_stride;
use crate::memory::{Buffer, View, ViewMut};
use crate::simd::Element;
use crate::threads::{self, Ask, Stop};

/// Rows to gather before their inputs' gradients are computed: enough for full tiles.
const GROUP: usize = 12;

/// What backward starts from.
pub struct Seeds<'a, T> {
    /// The outputs that forward returned.
    pub outputs: View<'a, T>,
    /// The gradient of the loss by them; zero if there is none.
    pub d_outputs: Option<View<'a, T>>,
    /// The gradients by the final states, `[batch, 1, units]` each; zero where there is none.
    pub d_state: Vec<Option<View<'a, T>>>,
}

/// Where backward's results go.
pub struct Gradients<'a, T> {
    /// By the inputs, if wanted.
    pub inputs: Option<ViewMut<'a, T>>,
    /// By the initial states, `[batch, 1, units]` each.
    pub state: Vec<ViewMut<'a, T>>,
    /// By the kernel, as it was packed.
    pub kernel: &'a mut [T],
    /// By the recurrent kernel.
    pub recurrent_kernel: &'a mut [T],
    /// By the bias, if the cell has one.
    pub bias: Option<&'a mut [T]>,
}

/// See [`super::backward()`].
pub(super) fn backward<T: Element>(
    weights: &Weights<T>,
    problem: &Problem<'_, T>,
    residuals: &mut Residuals<T>,
    seeds: &Seeds<'_, T>,
    gradients: Gradients<'_, T>,
    consume: bool,
    stop: Ask<'_>,
) -> Result<()> {
    check(weights, problem, residuals, seeds, &gradients)?;
    let mut slots = residuals.take_slots(consume)?;
    let transposed = weights.transposed()?;
    let stop = Stop::new(stop);
    let Residuals { plan, slices: kept, .. } = &*residuals;
    let rows = || plan.slices.iter().map(|slice| slice.rows.clone());
    let mut d_inputs: Vec<_> = match gradients.inputs {
        Some(view) => view.split(rows()).into_iter().map(Some).collect(),
        None => plan.slices.iter().map(|_| None).collect(),
    };
    let mut d_states: Vec<Vec<_>> = plan.slices.iter().map(|_| Vec::new()).collect();
    for state in gradients.state {
        for (of_slice, part) in d_states.iter_mut().zip(state.split(rows())) {
            of_slice.push(part);
        }
    }
    let mut runs = Vec::with_capacity(slots.len());
    for (n, slots) in slots.iter_mut().enumerate() {
        let slice = &plan.slices[n];
        let stride = row_stride(weights.units);
        let outputs = seeds.outputs;
        let history = History { problem, slice, kept: &kept[n], outputs, stride };
        let parts = (d_inputs[n].take(), std::mem::take(&mut d_states[n]));
        runs.push(Run::new(weights, transposed, history, seeds, slots, parts)?);
    }
    threads::for_each(plan.threads, &mut runs, |worker, run| {
        run.result = run.all_chunks(&plan.chunks, worker, &stop);
    });
    runs.into_iter().try_for_each(|run| run.result)?;

    let histories = |n: usize| History {
        problem,
        slice: &plan.slices[n],
        kept: &kept[n],
        outputs: seeds.outputs,
        stride: row_stride(weights.units),
    };
    let histories: Vec<_> = (0..slots.len()).map(histories).collect();
    let into = WeightGradients {
        kernel: gradients.kernel,
        recurrent_kernel: gradients.recurrent_kernel,
        bias: gradients.bias,
    };
    gradient::compute(weights, plan, &histories, &slots, into, &stop)
}

fn check<T: Element>(
    weights: &Weights<T>,
    problem: &Problem<'_, T>,
    residuals: &Residuals<T>,
    seeds: &Seeds<'_, T>,
    gradients: &Gradients<'_, T>,
) -> Result<()> {
    if residuals.shape != problem.inputs.shape() {
        return Err(Error::shape("residuals", problem.inputs.shape(), residuals.shape));
    }
    let outputs = problem.output_shape();
    for (argument, array) in [("outputs", Some(seeds.outputs)), ("d_outputs", seeds.d_outputs)] {
        if let Some(array) = array.filter(|array| array.shape() != outputs) {
            return Err(Error::shape(argument, outputs, array.shape()));
        }
    }
    let state = [outputs[0], 1, outputs[2]];
    if !seeds.d_state.is_empty() && seeds.d_state.len() != weights.states() {
        let expected = format!("{} arrays", weights.states());
        return Err(Error::value("d_final_state", expected, seeds.d_state.len()));
    }
    if let Some(wrong) = seeds.d_state.iter().flatten().find(|array| array.shape() != state) {
        let [batch, _, units] = wrong.shape();
        return Err(Error::shape("d_final_state", [state[0], state[2]], [batch, units]));
    }
    let fits = gradients.inputs.as_ref().is_none_or(|view| view.shape() == problem.inputs.shape())
        && gradients.state.len() == weights.states()
        && gradients.state.iter().all(|view| view.shape() == state)
        && gradients.kernel.len() == weights.features * weights.gates() * weights.units
        && gradients.recurrent_kernel.len() == weights.units * weights.gates() * weights.units
        && gradients.bias.as_ref().map(|bias| bias.len()) == weights.bias_len();
    if fits { Ok(()) } else { Err(Error::shape("gradients", "those of the arguments", "others")) }
}

/// A slice on its way back through time.
pub(super) struct Run<'a, T: Element> {
    pub(super) weights: &'a Weights<T>,
    pub(super) transposed: &'a Transposed<T>,
    pub(super) history: History<'a, T>,
    pub(super) seeds: &'a Seeds<'a, T>,
    pub(super) slots: &'a mut Vec<Buffer<T>>,
    pub(super) d_inputs: Option<ViewMut<'a, T>>,
    pub(super) d_initial: Vec<ViewMut<'a, T>>,
    pub(super) result: Result<()>,
    pub(super) stride: usize,
    /// The gradient by the outputs, by row.
    pub(super) d_output: Buffer<T>,
    /// That by what the first of two phases produced, by row.
    pub(super) d_operand: Buffer<T>,
    /// Those by the other states, `[block][row][state][LANES]`.
    pub(super) d_others: Buffer<T>,
    /// Those by the sums, `[gathered row][slot][padded units]`.
    pub(super) d_sums: Buffer<T>,
    /// Rows gathered in `d_sums`, with the row and time of the inputs.
    pub(super) gathered: Vec<(usize, usize)>,
    /// The outputs before the step, by position.
    pub(super) previous: Buffer<T>,
    /// A product's result, by position.
    pub(super) product: Buffer<T>,
    /// A group's gradients by the inputs.
    pub(super) d_staged: Buffer<T>,
}

impl<'a, T: Element> Run<'a, T> {
    fn new(
        weights: &'a Weights<T>,
        transposed: &'a Transposed<T>,
        history: History<'a, T>,
        seeds: &'a Seeds<'a, T>,
        slots: &'a mut Vec<Buffer<T>>,
        (d_inputs, d_initial): (Option<ViewMut<'a, T>>, Vec<ViewMut<'a, T>>),
    ) -> Result<Self> {
        let (rows, stride) = (history.slice.rows.len(), history.stride);
        let layout = weights.layout;
        let group = rows + if d_inputs.is_some() { GROUP } else { 0 };
        let sums = group * row_stride(layout.slots.len() * weights.padded_units());
        let staged = if d_inputs.is_some() { group * row_stride(weights.features) } else { 0 };
        let mut run = Self {
            d_output: Buffer::zeroed(rows * stride)?,
            d_operand: Buffer::zeroed(if layout.phases.len() > 1 { rows * stride } else { 0 })?,
            d_others: Buffer::zeroed(rows * layout.states * weights.padded_units())?,
            d_sums: Buffer::taken(sums)?,
            gathered: Vec::with_capacity(group),
            previous: Buffer::zeroed(if layout.reads_output { rows * stride } else { 0 })?,
            product: Buffer::taken(rows * stride)?,
            d_staged: Buffer::taken(staged)?,
            result: Ok(()),
            weights,
            transposed,
            history,
            seeds,
            slots,
            d_inputs,
            d_initial,
            stride,
        };
        run.read_seeds();
        Ok(run)
    }

    fn read_seeds(&mut self) {
        let rows = self.history.slice.rows.clone();
        let mut states =
            States::new(self.weights, rows.len(), &mut self.d_output, &mut self.d_others);
        for (state, seed) in self.seeds.d_state.iter().enumerate() {
            let Some(seed) = seed else { continue };
            for (row, of_batch) in rows.clone().enumerate() {
                states.read(state, row, seed.row(of_batch, 0));
            }
        }
        let problem = self.history.problem;
        if problem.return_sequences {
            return;
        }
        let last = problem.inputs.shape()[1].checked_sub(1);
        for (n, row) in rows.enumerate() {
            let real = last.is_none_or(|step| problem.active(row, step));
            if let (Some(d), true) = (self.seeds.d_outputs, real || !problem.zero_output_for_mask) {
                add(&mut self.d_output[n * self.stride..], d.row(row, 0));
            }
        }
    }

    fn write_initial(&mut self) {
        let rows = self.history.slice.rows.len();
        let states = States::new(self.weights, rows, &mut self.d_output, &mut self.d_others);
        for (state, array) in self.d_initial.iter_mut().enumerate() {
            for row in 0..rows {
                states.write(state, row, array.row(row, 0));
            }
        }
    }

    fn all_chunks(
        &mut self,
        chunks: &[Range<usize>],
        worker: usize,
        stop: &Stop<'_>,
    ) -> Result<()> {
        let slice = self.history.slice;
        for (number, chunk) in chunks.iter().enumerate().rev() {
            stop.poll(worker)?;
            let rows = slice.rows_in(chunk);
            for step in chunk.clone().rev() {
                let first = slice.before(step) - slice.before(chunk.start);
                self.step(number, step, Place { first, rows });
            }
            self.write_d_inputs();
        }
        self.write_initial();
        Ok(())
    }

    fn step(&mut self, chunk: usize, step: usize, place: Place) {
        let (slice, problem) = (self.history.slice, self.history.problem);
        let active = slice.active(step);
        self.add_d_outputs(step, active);
        self.clear_skipped(problem.time_of(step), active);
        if active.is_empty() {
            return;
        }
        if self.gathered.len() >= GROUP || self.d_inputs.is_none() {
            self.write_d_inputs();
        }
        if self.weights.layout.reads_output {
            for (position, &row) in active.iter().enumerate() {
                let at = At { chunk, chunk_row: place.first + position, row: row as usize, step };
                let to = &mut self.previous[position * self.stride..][..self.weights.units];
                match self.history.output_before(at) {
                    Some(from) => to.copy_from_slice(from),
                    None => to.fill(T::ZERO),
                }
            }
        }
        let base = self.gathered.len();
        let time = problem.time_of(step);
        self.gathered.extend(active.iter().map(|&row| (row as usize, time)));
        let d_sums_stride = self.d_sums_stride();
        for phase in (0..self.weights.layout.phases.len()).rev() {
            self.weights.cell.visit(BackVisitor {
                weights: self.weights,
                phase,
                active,
                slots: &mut self.slots[chunk],
                place,
                previous: RowMajor { data: &self.previous, stride: self.stride },
                kept_state: kept_states(self.history.kept, chunk),
                d_output: &mut self.d_output,
                stride: self.stride,
                d_operand: &self.d_operand,
                d_state: &mut self.d_others,
                slice_rows: slice.rows.len(),
                d_sums: &mut self.d_sums[base * d_sums_stride..],
                d_sums_stride,
            });
            self.through_product(phase, active, base);
        }
    }

    pub(super) fn d_sums_stride(&self) -> usize {
        row_stride(self.weights.layout.slots.len() * self.weights.padded_units())
    }

    /// The gradient by a step's outputs joins that by the state they are.
    fn add_d_outputs(&mut self, step: usize, active: &[u32]) {
        let problem = self.history.problem;
        let Some(d_outputs) = self.seeds.d_outputs.filter(|_| problem.return_sequences) else {
            return;
        };
        let mut taking = active.iter().copied().peekable();
        for (n, row) in self.history.slice.rows.clone().enumerate() {
            let real = taking.next_if_eq(&(n as u32)).is_some();
            if real || !problem.zero_output_for_mask {
                add(&mut self.d_output[n * self.stride..], d_outputs.row(row, step));
            }
        }
    }

    /// Inputs of masked steps have no influence.
    fn clear_skipped(&mut self, time: usize, active: &[u32]) {
        let Some(d_inputs) = &mut self.d_inputs else { return };
        let mut taking = active.iter().copied().peekable();
        for row in 0..self.history.slice.rows.len() {
            if taking.next_if_eq(&(row as u32)).is_none() {
                d_inputs.row(row, time).fill(T::ZERO);
            }
        }
    }
}

fn kept_states<T: Element>(kept: &Kept<T>, chunk: usize) -> &[T] {
    kept.states.get(chunk).map_or(&[], |states| states)
}
