//! Some units of a slice on their way back through time: all of them, or one thread's part.

use std::ops::Range;

use super::inputs::{Features, InputGradient};
use crate::error::Result;
use crate::kernels::pack::row_stride;
use crate::layers::sequence::call::Seeds;
use crate::layers::sequence::kept::History;
use crate::layers::sequence::part::SlicePart;
use crate::layers::sequence::rows::{States, add, copy_masked, skipping};
use crate::layers::sequence::step::backward::StepBack;
use crate::layers::sequence::weights::Transposed;
use crate::machine::memory::{Buffer, View, ViewMut};
use crate::machine::simd::Element;
use crate::machine::threads::Turn;

/// A part of a slice on its way back.
pub(crate) struct PartBackward<'a, T: Element> {
    pub(crate) part: SlicePart<'a, T>,
    pub(crate) given: Given<'a, T>,
    /// Elements between two rows of its units.
    pub(crate) stride: usize,
    pub(crate) memory: BackwardMemory<'a, T>,
    /// The gradient with respect to the inputs, if wanted.
    inputs: Option<InputGradient<'a, T>>,
}

/// What a part reads on its way.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a, T: Element> {
    pub(crate) transposed: &'a Transposed<T>,
    pub(crate) history: History<'a, T>,
    pub(crate) seeds: &'a Seeds<'a, T>,
}

/// What a part writes on its way.
pub(crate) struct BackwardMemory<'a, T: Element> {
    /// What the cell kept, and the gradients with respect to the sums of the steps that are done.
    pub(crate) slots: Buffer<T>,
    /// The gradient with respect to the outputs, by row.
    pub(crate) d_output: Buffer<T>,
    /// That with respect to what the first of two phases produced, or to what is projected, by row.
    pub(crate) d_operand: Buffer<T>,
    /// Those with respect to the other states, `[block of the part][row][state][LANES]`.
    d_others: Buffer<T>,
    /// Those with respect to the weights of each unit alone, `[block of the
    /// part][row][vector][LANES]`: by row, so that their sum does not depend on the slices.
    d_vectors: Buffer<T>,
    /// The outputs before the step, by position; of a projected output the gradient after it.
    pub(crate) previous: Buffer<T>,
    /// The gradients with respect to all steps' projected outputs: for each chunk `[block][chunk
    /// row][LANES]`.
    pub(crate) d_projected: Buffer<T>,
    /// A product's result, by position.
    pub(crate) product: Buffer<T>,
    /// The part's units of the gradients with respect to the initial states.
    d_initial: Vec<ViewMut<'a, T>>,
}

impl<'a, T: Element> PartBackward<'a, T> {
    /// Before the last step: `slots` are those that forward kept, of `kept_rows` rows of all steps.
    pub(crate) fn new(
        part: SlicePart<'a, T>,
        given: Given<'a, T>,
        (slots, kept_rows): (Buffer<T>, usize),
        d_inputs: Option<Features<'a, T>>,
        d_initial: Vec<ViewMut<'a, T>>,
    ) -> Result<Self> {
        let (weights, rows, units) = (part.weights, part.rows(), part.padded_units());
        let layout = weights.layout;
        let stride = row_stride(units);
        let of_projection = weights.projected_blocks();
        let previous = layout.reads_output || part.projects;
        let inputs = d_inputs.map(|d_inputs| {
            let rows = (rows, weights.d_sums_stride());
            InputGradient::new(&given.transposed.kernel, d_inputs, rows, weights.lanes())
        });
        let inputs = inputs.transpose()?;
        let memory = BackwardMemory {
            slots,
            d_output: Buffer::zeroed(rows * stride)?,
            d_operand: Buffer::zeroed(if part.phases > 1 { rows * stride } else { 0 })?,
            d_others: Buffer::zeroed(rows * layout.states * units)?,
            d_vectors: Buffer::zeroed(rows * layout.vectors * units)?,
            previous: Buffer::zeroed(if previous { rows * stride } else { 0 })?,
            d_projected: Buffer::unfilled(kept_rows * of_projection * weights.lanes())?,
            product: Buffer::unfilled(rows * stride)?,
            d_initial,
        };
        let mut backward = Self { part, given, stride, memory, inputs };
        backward.read_seeds();
        Ok(backward)
    }

    fn states(&mut self) -> (States<'_, T>, &mut [T]) {
        let Self { part, stride, memory, .. } = self;
        let place = (*stride, 0);
        let others = &mut memory.d_others;
        let states = States::new(part.weights, &part.blocks, part.rows(), others, place);
        (states, &mut memory.d_output)
    }

    fn read_seeds(&mut self) {
        let SlicePart { problem, slice, .. } = self.part;
        let seeds = self.given.seeds;
        for (state, seed) in seeds.d_state.iter().enumerate() {
            let Some(seed) = seed else { continue };
            let (mut states, d_output) = self.states();
            for row in 0..slice.rows.len() {
                states.read(state, row, seed.row(slice.batch_row(row), 0), d_output);
            }
        }
        if problem.return_sequences {
            return;
        }
        let last = problem.inputs.shape()[1].checked_sub(1);
        for n in 0..slice.rows.len() {
            let row = slice.batch_row(n);
            let real = last.is_none_or(|step| problem.active(row, step));
            if let (Some(d), true) = (seeds.d_outputs, real || !problem.zero_output_for_mask) {
                let from = &d.row(row, 0)[self.part.outputs()];
                add(&mut self.memory.d_output[n * self.stride..], from);
            }
        }
    }

    pub(crate) fn write_initial(&mut self) {
        let rows = self.part.rows();
        let mut views = std::mem::take(&mut self.memory.d_initial);
        let (states, d_output) = self.states();
        for (state, view) in views.iter_mut().enumerate() {
            for row in 0..rows {
                states.write(state, row, d_output, view.row(row, 0));
            }
        }
    }

    /// The rest of the gradients with respect to the inputs, after the first step.
    pub(crate) fn write_inputs(&mut self) {
        if let Some(inputs) = &mut self.inputs {
            inputs.write(&self.part);
        }
    }

    /// Adds a row's gradients with respect to the weights of each unit alone, `[vector][units]`.
    pub(crate) fn add_vectors(&self, row: usize, to: &mut [T]) {
        let (weights, rows, units) = (self.part.weights, self.part.rows(), self.part.units());
        let (count, lanes) = (weights.layout.vectors, weights.lanes());
        for (vector, to) in to.chunks_exact_mut(weights.units).enumerate() {
            for (block, to) in to[units.clone()].chunks_mut(lanes).enumerate() {
                let at = ((block * rows + row) * count + vector) * lanes;
                add(to, &self.memory.d_vectors[at..]);
            }
        }
    }

    /// Before a step's phases, for the rows that do not take it: the gradient with respect to its
    /// outputs joins that with respect to the state they repeat, and the inputs get none.
    pub(crate) fn skip(&mut self, step: usize) {
        let SlicePart { problem, slice, .. } = self.part;
        let (active, rows) = (slice.active(step), slice.rows.len());
        if active.len() == rows {
            return;
        }
        if let Some(inputs) = &mut self.inputs {
            inputs.skip(&self.part, step);
        }
        let repeated = problem.return_sequences && !problem.zero_output_for_mask;
        if let Some(d_outputs) = self.given.seeds.d_outputs.filter(|_| repeated) {
            let units = self.part.outputs();
            for row in skipping(active, rows) {
                let from = &d_outputs.row(slice.batch_row(row), step)[units.clone()];
                add(&mut self.memory.d_output[row * self.stride..], from);
            }
        }
    }

    /// One phase of a step but for the product.
    pub(crate) fn phase(
        &mut self,
        turn: &mut Turn<'_, T>,
        chunk: &Range<usize>,
        step: usize,
        phase: usize,
    ) {
        let SlicePart { weights, problem, slice, .. } = self.part;
        if phase == weights.layout.phases.len() {
            return self.through_projection(chunk, step);
        }
        let last = phase + 1 == self.part.phases;
        if weights.layout.reads_output && last {
            self.read_previous(step);
        }
        let Self { part, given, stride, memory, .. } = self;
        let (layout, before) = (&weights.layout, slice.before(chunk.start) * part.padded_units());
        let (_, mut d_sums) = turn.open(part.number);
        // What the cell produces is projected: its gradient comes from the projection.
        let (d_output, d_operand) = if part.projects {
            (&mut memory.d_operand, &memory.d_output)
        } else {
            (&mut memory.d_output, &memory.d_operand)
        };
        let d_outputs = given.seeds.d_outputs.filter(|_| last && problem.return_sequences);
        weights.cell.visit(StepBack {
            weights,
            phase,
            active: slice.active(step),
            blocks: part.blocks.clone(),
            slots: &mut memory.slots[before * layout.slots.len()..],
            place: slice.place(chunk, step),
            previous: &memory.previous,
            kept_state: &given.history.kept[part.number].states[before * layout.states..],
            d_output,
            stride: *stride,
            d_operand,
            d_state: &mut memory.d_others,
            d_vectors: &mut memory.d_vectors,
            d_outputs: d_outputs.map(|d_outputs| (d_outputs, step)),
            slice,
            d_sums: &mut d_sums,
        });
    }

    /// Fetches the outputs before a step, as the cell saw them.
    fn read_previous(&mut self, step: usize) {
        let (slice, units) = (self.part.slice, self.part.units());
        let mask = self.seen_through();
        let rows = self.given.history.outputs_before(step);
        for (position, &row) in slice.active(step).iter().enumerate() {
            let row = || slice.batch_row(row as usize);
            let to = &mut self.memory.previous[position * self.stride..][..units.len()];
            match rows.get(position, row) {
                Some(from) => {
                    let mask = mask.map(|mask| &mask.row(0, row())[units.clone()]);
                    copy_masked(to, &from[units.clone()], mask);
                }
                None => to.fill(T::ZERO),
            }
        }
    }

    /// The dropout mask through which the cell itself sees the previous output: where no product does.
    pub(crate) fn seen_through(&self) -> Option<View<'a, T>> {
        self.part.problem.dropout.recurrent.filter(|_| self.part.cell_sees_mask)
    }

    /// The products of a phase, when all parts have computed the gradients with respect to its
    /// sums.
    pub(crate) fn through(&mut self, turn: &Turn<'_, T>, step: usize, phase: usize) {
        if phase == self.part.weights.layout.phases.len() {
            return;
        }
        let d_sums = turn.planes().plane((turn.number() - 1) % 2);
        self.through_product(step, phase, d_sums);
        if let (0, Some(inputs)) = (phase, &mut self.inputs) {
            inputs.add(&self.part, step, d_sums);
        }
    }
}
