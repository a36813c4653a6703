//! Time forward: projection by chunks, then step after step.

use std::ops::Range;

use super::cell::StepVisitor;
use super::plan::{Plan, Slice};
use super::problem::Problem;
use super::residuals::{Kept, Residuals};
use super::rows::{States, copy_rows};
use super::step::{Place, RowMajor};
use super::weights::Weights;
use crate::error::{Error, Result};
use crate::kernels::pack::row_stride;
use crate::memory::{Buffer, ViewMut, check_available};
use crate::simd::Element;
use crate::threads::{self, Ask, Stop};

/// Where a call's results go.
pub struct Results<'a, T> {
    /// The outputs, of [`Problem::output_shape`].
    pub outputs: ViewMut<'a, T>,
    /// The final states, `[batch, 1, units]` each.
    pub state: Vec<ViewMut<'a, T>>,
}

/// See [`super::forward()`].
pub(super) fn forward<T: Element>(
    weights: &Weights<T>,
    problem: &Problem<'_, T>,
    results: Results<'_, T>,
    keep: bool,
    stop: Ask<'_>,
) -> Result<Option<Residuals<T>>> {
    check(weights, problem, &results)?;
    let plan = Plan::new(weights, problem)?;
    if keep {
        check_available(residual_bytes(weights, problem))?;
    }
    let rows = || plan.slices.iter().map(|slice| slice.rows.clone());
    let outputs = results.outputs.split(rows());
    let mut states: Vec<_> = plan.slices.iter().map(|_| Vec::new()).collect();
    for state in results.state {
        for (of_slice, part) in states.iter_mut().zip(state.split(rows())) {
            of_slice.push(part);
        }
    }
    let runs = plan.slices.iter().zip(outputs).zip(states);
    let mut runs = runs
        .map(|((slice, outputs), state)| Run::new(weights, problem, slice, outputs, state, keep))
        .collect::<Result<Vec<_>>>()?;
    let stop = Stop::new(stop);
    threads::for_each(plan.threads, &mut runs, |worker, run| {
        run.result = run.all_chunks(&plan.chunks, worker, &stop);
    });
    let mut kept = Vec::new();
    for run in runs {
        run.result?;
        kept.extend(run.kept);
    }
    Ok(keep.then(|| Residuals::new(plan, kept, problem.inputs.shape())))
}

fn check<T: Element>(
    weights: &Weights<T>,
    problem: &Problem<'_, T>,
    results: &Results<'_, T>,
) -> Result<()> {
    if results.outputs.shape() != problem.output_shape() {
        return Err(Error::shape("outputs", problem.output_shape(), results.outputs.shape()));
    }
    let expected = [problem.inputs.shape()[0], 1, weights.units];
    if results.state.len() != weights.states() {
        return Err(Error::value("state", weights.states().to_string(), results.state.len()));
    }
    match results.state.iter().find(|state| state.shape() != expected) {
        Some(wrong) => Err(Error::shape("state", expected, wrong.shape())),
        None => Ok(()),
    }
}

/// What the residuals will hold at most.
fn residual_bytes<T: Element>(weights: &Weights<T>, problem: &Problem<'_, T>) -> usize {
    let [batch, time, _] = problem.inputs.shape();
    let vectors = weights.layout.slots.len() + weights.layout.states + weights.layout.phases.len();
    let per_step = vectors * weights.padded_units() * size_of::<T>();
    batch.saturating_mul(time).saturating_mul(per_step)
}

/// A slice on its way through time.
pub(super) struct Run<'a, 'p, T: Element> {
    pub(super) weights: &'a Weights<T>,
    pub(super) problem: &'a Problem<'p, T>,
    pub(super) slice: &'a Slice,
    pub(super) outputs: ViewMut<'a, T>,
    pub(super) state: Vec<ViewMut<'a, T>>,
    pub(super) kept: Option<Kept<T>>,
    pub(super) result: Result<()>,
    /// Elements between the rows of `previous`, `produced` and `operand`.
    pub(super) stride: usize,
    /// The outputs before the step and after it, by row.
    pub(super) previous: Buffer<T>,
    pub(super) produced: Buffer<T>,
    /// What an early phase produced, by row.
    pub(super) early: Buffer<T>,
    /// What the recurrent weights multiply, where that is neither of these.
    pub(super) operand: Buffer<T>,
    /// The other states, `[block][row][state][LANES]`.
    pub(super) others: Buffer<T>,
}

impl<'a, 'p, T: Element> Run<'a, 'p, T> {
    fn new(
        weights: &'a Weights<T>,
        problem: &'a Problem<'p, T>,
        slice: &'a Slice,
        outputs: ViewMut<'a, T>,
        state: Vec<ViewMut<'a, T>>,
        keep: bool,
    ) -> Result<Self> {
        let rows = slice.rows.len();
        let stride = row_stride(weights.units);
        let phases = weights.layout.phases.len();
        let by_row = |needed: bool| Buffer::zeroed(if needed { rows * stride } else { 0 });
        let mut run = Self {
            weights,
            problem,
            slice,
            outputs,
            state,
            kept: keep.then(Kept::default),
            result: Ok(()),
            stride,
            previous: by_row(true)?,
            produced: by_row(true)?,
            early: by_row(phases > 1)?,
            operand: by_row(problem.dropout.recurrent.is_some() || problem.mask.is_some())?,
            others: Buffer::zeroed(rows * weights.layout.states * weights.padded_units())?,
        };
        run.read_initial_state();
        Ok(run)
    }

    fn read_initial_state(&mut self) {
        let rows = self.slice.rows.len();
        let mut states = States::new(self.weights, rows, &mut self.previous, &mut self.others);
        for (state, array) in self.problem.initial_state.iter().enumerate() {
            for (row, of_batch) in self.slice.rows.clone().enumerate() {
                states.read(state, row, array.row(of_batch, 0));
            }
        }
    }

    fn write_final_state(&mut self) {
        let rows = self.slice.rows.len();
        let states = States::new(self.weights, rows, &mut self.previous, &mut self.others);
        for (state, array) in self.state.iter_mut().enumerate() {
            for row in 0..rows {
                states.write(state, row, array.row(row, 0));
            }
        }
        if self.problem.return_sequences {
            return;
        }
        let last = self.problem.inputs.shape()[1].checked_sub(1);
        for row in 0..self.slice.rows.len() {
            let to = self.outputs.row(row, 0);
            let real =
                last.is_none_or(|step| self.problem.active(self.slice.rows.start + row, step));
            if real || !self.problem.zero_output_for_mask {
                to.copy_from_slice(&self.previous[row * self.stride..][..to.len()]);
            } else {
                to.fill(T::ZERO);
            }
        }
    }

    fn all_chunks(
        &mut self,
        chunks: &[Range<usize>],
        worker: usize,
        stop: &Stop<'_>,
    ) -> Result<()> {
        let (blocks, width) = (self.weights.blocks(), self.weights.layout.slots.len());
        let largest = chunks.iter().map(|chunk| self.slice.rows_in(chunk)).max().unwrap_or(0);
        let vectors = blocks * self.weights.lanes();
        let mut scratch =
            Buffer::taken(if self.kept.is_some() { 0 } else { largest * width * vectors })?;
        let mut staged = Buffer::taken(largest * row_stride(self.weights.features))?;
        for chunk in chunks {
            stop.poll(worker)?;
            let rows = self.slice.rows_in(chunk);
            let size = rows * width * vectors;
            let mut own = match &self.kept {
                Some(_) => Some(Buffer::taken(size)?),
                None => None,
            };
            let slots = match &mut own {
                Some(own) => &mut **own,
                None => &mut scratch[..size],
            };
            self.project(chunk, rows, slots, &mut staged)?;
            let mut chunk_kept = self.chunk_kept(rows)?;
            for step in chunk.clone() {
                let first = self.slice.before(step) - self.slice.before(chunk.start);
                self.step(step, Place { first, rows }, slots, &mut chunk_kept)?;
            }
            if let (Some(kept), Some(own)) = (&mut self.kept, own) {
                kept.slots.push(own);
                kept.states.push(chunk_kept.states);
                kept.outputs.push(chunk_kept.outputs);
                kept.operands.push(chunk_kept.operands);
            }
        }
        self.write_final_state();
        Ok(())
    }

    fn chunk_kept(&self, rows: usize) -> Result<ChunkKept<T>> {
        let keep = self.kept.is_some();
        let taken = |yes: bool, size: usize| Buffer::taken(if keep && yes { size } else { 0 });
        let layout = self.weights.layout;
        let own_outputs = !self.problem.outputs_hold_states();
        Ok(ChunkKept {
            states: taken(true, rows * layout.states * self.weights.padded_units())?,
            outputs: taken(own_outputs, rows * self.stride)?,
            operands: taken(layout.phases.len() > 1, rows * self.stride)?,
        })
    }

    fn step(
        &mut self,
        step: usize,
        place: Place,
        slots: &mut [T],
        kept: &mut ChunkKept<T>,
    ) -> Result<()> {
        let active = self.slice.active(step);
        if !kept.outputs.is_empty() {
            copy_rows(
                active,
                &self.previous,
                self.stride,
                &mut kept.outputs[place.first * self.stride..],
            );
        }
        // A later phase reads what an earlier one produced and writes elsewhere.
        let mut early = std::mem::take(&mut self.early);
        let phases = if active.is_empty() { 0 } else { self.weights.layout.phases.len() };
        for phase in 0..phases {
            if phase > 0 && !kept.operands.is_empty() {
                let to = &mut kept.operands[place.first * self.stride..];
                copy_rows(active, &early, self.stride, to);
            }
            let operand = self.prepare_operand(phase, active, &early, place, slots)?;
            let last = phase + 1 == phases;
            let (data, produced) = if last {
                let plain = if phase == 0 { &self.previous } else { &early };
                (operand.choose(plain, &self.operand), &mut self.produced)
            } else {
                (operand.choose(&self.previous, &self.operand), &mut early)
            };
            let states_kept = !kept.states.is_empty();
            self.weights.cell.visit(StepVisitor {
                weights: self.weights,
                phase,
                active,
                operand: data.map(|data| RowMajor { data, stride: self.stride }),
                slots,
                place,
                previous: RowMajor { data: &self.previous, stride: self.stride },
                produced,
                state: &mut self.others,
                slice_rows: self.slice.rows.len(),
                kept_state: states_kept.then_some(&mut *kept.states),
                outputs: (last && self.problem.return_sequences)
                    .then_some((&mut self.outputs, step)),
            });
        }
        self.early = early;
        self.carry(step, active);
        std::mem::swap(&mut self.previous, &mut self.produced);
        Ok(())
    }

    /// Rows that do not take the step keep their states and repeat their output, or give zeros.
    fn carry(&mut self, step: usize, active: &[u32]) {
        if active.len() == self.slice.rows.len() {
            return;
        }
        let mut taking = active.iter().copied().peekable();
        for row in 0..self.slice.rows.len() {
            if taking.next_if_eq(&(row as u32)).is_some() {
                continue;
            }
            let from = &self.previous[row * self.stride..][..self.stride];
            self.produced[row * self.stride..][..self.stride].copy_from_slice(from);
            if self.problem.return_sequences {
                let to = self.outputs.row(row, step);
                if self.problem.zero_output_for_mask {
                    to.fill(T::ZERO);
                } else {
                    to.copy_from_slice(&from[..to.len()]);
                }
            }
        }
    }
}

/// What a chunk keeps besides its slots; empty where nothing is wanted.
struct ChunkKept<T: Element> {
    states: Buffer<T>,
    outputs: Buffer<T>,
    operands: Buffer<T>,
}
