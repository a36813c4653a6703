//! Some units of a slice on their way back through time: all of them, or one thread's part.

use std::ops::Range;

use crate::error::Result;
use crate::kernels::pack::{Packed, row_stride};
use crate::layers::sequence::call::Seeds;
use crate::layers::sequence::kept::{At, History, Kept};
use crate::layers::sequence::rows::{States, add, copy_masked, skipping};
use crate::layers::sequence::step::backward::StepBack;
use crate::layers::sequence::step::forward::Place;
use crate::layers::sequence::weights::{Transposed, Weights};
use crate::machine::lists;
use crate::machine::memory::{Buffer, View, ViewMut};
use crate::machine::simd::Element;
use crate::machine::threads::Turn;

/// Rows to gather before their inputs' gradients are computed: enough for full tiles.
const GROUP: usize = 12;
/// The same for weights that do not stay in the second-level cache beside the recurrent ones, so that
/// they are read seldom.
const LARGE_GROUP: usize = 48;
/// Rows of a step from which copying them costs as much as reading the weights less often saves.
const COPIED_BELOW: usize = 32;

/// Where a part's results go.
pub(crate) struct Views<'a, T> {
    /// Its features of the gradient by the inputs, if wanted.
    pub(crate) d_inputs: Option<ViewMut<'a, T>>,
    /// The blocks of features that these are.
    pub(crate) columns: Range<usize>,
    /// Its units of the gradients by the initial states.
    pub(crate) d_initial: Vec<ViewMut<'a, T>>,
}

/// A part of a slice.
pub(crate) struct Run<'a, T: Element> {
    pub(crate) weights: &'a Weights<T>,
    pub(crate) transposed: &'a Transposed<T>,
    pub(crate) history: History<'a, T>,
    kept: &'a Kept<T>,
    pub(crate) seeds: &'a Seeds<'a, T>,
    number: usize,
    /// Its blocks of units.
    pub(crate) blocks: Range<usize>,
    /// What the cell kept, and the gradients by the sums of the steps that are done.
    pub(crate) slots: Buffer<T>,
    pub(crate) views: Views<'a, T>,
    /// Elements between two rows of its units.
    pub(crate) stride: usize,
    /// The gradient by the outputs, by row.
    pub(crate) d_output: Buffer<T>,
    /// That by what the first of two phases produced, or by what is projected, by row.
    pub(crate) d_operand: Buffer<T>,
    /// Those by the other states, `[block of the part][row][state][LANES]`.
    d_others: Buffer<T>,
    /// Those by the weights of each unit alone, `[block of the part][row][vector][LANES]`: by row, so
    /// that their sum does not depend on the slices.
    d_vectors: Buffer<T>,
    /// Those by the sums, of rows whose inputs' gradients are to be computed together.
    pub(crate) d_sums: Buffer<T>,
    /// How many rows at least are computed together.
    pub(crate) least: usize,
    /// Those rows, and their times.
    pub(crate) gathered: Vec<(usize, usize)>,
    /// The outputs before the step, by position; of a projected output the gradient after it.
    pub(crate) previous: Buffer<T>,
    /// The gradients by all steps' projected outputs: for each chunk `[block][chunk row][LANES]`.
    pub(crate) d_projected: Buffer<T>,
    /// A product's result, by position.
    pub(crate) product: Buffer<T>,
    /// A group's gradients by the inputs.
    pub(crate) d_staged: Buffer<T>,
}

impl<'a, T: Element> Run<'a, T> {
    pub(crate) fn new(
        (weights, transposed): (&'a Weights<T>, &'a Transposed<T>),
        history: History<'a, T>,
        seeds: &'a Seeds<'a, T>,
        (number, blocks): (usize, Range<usize>),
        kept_rows: usize,
        slots: Buffer<T>,
        views: Views<'a, T>,
    ) -> Result<Self> {
        let rows = history.slice.rows.len();
        let layout = weights.layout;
        let own = blocks.len() * weights.lanes();
        let stride = row_stride(own);
        let seldom = transposed.kernel.is_large() && rows < COPIED_BELOW;
        let least = if seldom { LARGE_GROUP } else { GROUP };
        let group = if views.d_inputs.is_some() { (least - 1 + rows).min(2 * least) } else { 0 };
        let staged = group.max(if views.d_inputs.is_some() { rows } else { 0 });
        let projects = weights.projection.as_ref().map_or(0, Packed::blocks);
        let previous = layout.reads_output || projects > 0;
        let d_projected = kept_rows * projects * weights.lanes();
        let mut run = Self {
            d_output: Buffer::zeroed(rows * stride)?,
            d_operand: Buffer::zeroed(if weights.phases() > 1 { rows * stride } else { 0 })?,
            d_others: Buffer::zeroed(rows * layout.states * own)?,
            d_vectors: Buffer::zeroed(rows * layout.vectors * own)?,
            d_sums: Buffer::taken(group * weights.d_sums_stride())?,
            least,
            gathered: lists::room(staged)?,
            previous: Buffer::zeroed(if previous { rows * stride } else { 0 })?,
            d_projected: Buffer::taken(d_projected)?,
            product: Buffer::taken(rows * stride)?,
            d_staged: Buffer::taken(staged * row_stride(views.columns.len() * weights.lanes()))?,
            kept: &history.kept[number],
            weights,
            transposed,
            history,
            seeds,
            number,
            blocks,
            slots,
            views,
            stride,
        };
        run.read_seeds();
        Ok(run)
    }

    /// Its share of the output.
    pub(crate) fn outputs(&self) -> Range<usize> {
        self.weights.outputs_of(&self.blocks)
    }

    /// Its units.
    pub(crate) fn units(&self) -> Range<usize> {
        self.weights.units_of(&self.blocks)
    }

    fn states(&mut self) -> (States<'_, T>, &mut [T]) {
        let rows = self.history.slice.rows.len();
        let place = (self.stride, 0);
        let states = States::new(self.weights, &self.blocks, rows, &mut self.d_others, place);
        (states, &mut self.d_output)
    }

    fn read_seeds(&mut self) {
        let (seeds, slice) = (self.seeds, self.history.slice);
        for (state, seed) in seeds.d_state.iter().enumerate() {
            let Some(seed) = seed else { continue };
            let (mut states, d_output) = self.states();
            for row in 0..slice.rows.len() {
                states.read(state, row, seed.row(slice.batch_row(row), 0), d_output);
            }
        }
        let problem = self.history.problem;
        if problem.return_sequences {
            return;
        }
        let last = problem.inputs.shape()[1].checked_sub(1);
        for n in 0..slice.rows.len() {
            let row = slice.batch_row(n);
            let real = last.is_none_or(|step| problem.active(row, step));
            if let (Some(d), true) = (seeds.d_outputs, real || !problem.zero_output_for_mask) {
                let from = &d.row(row, 0)[self.outputs()];
                add(&mut self.d_output[n * self.stride..], from);
            }
        }
    }

    pub(crate) fn write_initial(&mut self) {
        let rows = self.history.slice.rows.len();
        let mut views = std::mem::take(&mut self.views.d_initial);
        let (states, d_output) = self.states();
        for (state, view) in views.iter_mut().enumerate() {
            for row in 0..rows {
                states.write(state, row, d_output, view.row(row, 0));
            }
        }
    }

    /// Adds a row's gradients by the weights of each unit alone, `[vector][units]`.
    pub(crate) fn add_vectors(&self, row: usize, to: &mut [T]) {
        let (count, lanes) = (self.weights.layout.vectors, self.weights.lanes());
        let (rows, units) = (self.history.slice.rows.len(), self.units());
        for (vector, to) in to.chunks_exact_mut(self.weights.units).enumerate() {
            for (block, to) in to[units.clone()].chunks_mut(lanes).enumerate() {
                add(to, &self.d_vectors[((block * rows + row) * count + vector) * lanes..]);
            }
        }
    }

    /// The number of phases of a step; none if no row takes it.
    pub(crate) fn phases(&self, step: usize) -> usize {
        let active = self.history.slice.active(step);
        if active.is_empty() { 0 } else { self.weights.phases() }
    }

    /// Before a step's phases, for the rows that do not take it: the gradient by its outputs joins
    /// that by the state they repeat, and the inputs get none.
    pub(crate) fn skip(&mut self, step: usize) {
        let (problem, slice) = (self.history.problem, self.history.slice);
        let (active, rows) = (slice.active(step), slice.rows.len());
        if active.len() == rows {
            return;
        }
        if let Some(d_inputs) = &mut self.views.d_inputs {
            for row in skipping(active, rows) {
                d_inputs.row(row, problem.time_of(step)).fill(T::ZERO);
            }
        }
        let repeated = problem.return_sequences && !problem.zero_output_for_mask;
        if let Some(d_outputs) = self.seeds.d_outputs.filter(|_| repeated) {
            let units = self.outputs();
            for row in skipping(active, rows) {
                let from = &d_outputs.row(slice.batch_row(row), step)[units.clone()];
                add(&mut self.d_output[row * self.stride..], from);
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
        let (slice, problem) = (self.history.slice, self.history.problem);
        if phase == self.weights.layout.phases.len() {
            return self.through_projection(chunk, step);
        }
        let last = phase + 1 == self.weights.phases();
        let active = slice.active(step);
        let first = slice.before(step) - slice.before(chunk.start);
        let place = Place { first, rows: slice.rows_in(chunk) };
        if self.weights.layout.reads_output && last {
            let units = self.units();
            let mask = self.seen_through();
            for (position, &row) in active.iter().enumerate() {
                let row = row as usize;
                let at = At { kept: slice.before(step) + position, row, step };
                let to = &mut self.previous[position * self.stride..][..units.len()];
                match self.history.output_before(at) {
                    Some(from) => {
                        let mask =
                            mask.map(|mask| &mask.row(0, slice.batch_row(row))[units.clone()]);
                        copy_masked(to, &from[units.clone()], mask);
                    }
                    None => to.fill(T::ZERO),
                }
            }
        }
        let (own, layout) = (self.blocks.len() * self.weights.lanes(), self.weights.layout);
        let before = slice.before(chunk.start);
        let (_, mut d_sums) = turn.open(self.number);
        // What a cell gives is projected: the gradient by that comes from the projection.
        let (d_output, d_operand) = match self.weights.projection {
            Some(_) => (&mut self.d_operand, &self.d_output),
            None => (&mut self.d_output, &self.d_operand),
        };
        self.weights.cell.visit(StepBack {
            weights: self.weights,
            phase,
            active,
            blocks: self.blocks.clone(),
            slots: &mut self.slots[before * layout.slots.len() * own..],
            place,
            previous: &self.previous,
            kept_state: &self.kept.states[before * layout.states * own..],
            d_output,
            stride: self.stride,
            d_operand,
            d_state: &mut self.d_others,
            d_vectors: &mut self.d_vectors,
            d_outputs: self
                .seeds
                .d_outputs
                .filter(|_| last && problem.return_sequences)
                .map(|d_outputs| (d_outputs, step)),
            slice,
            d_sums: &mut d_sums,
        });
    }

    /// The dropout mask through which the cell itself sees the previous output: where no product does.
    pub(crate) fn seen_through(&self) -> Option<View<'a, T>> {
        let mask = self.history.problem.dropout.recurrent;
        mask.filter(|_| self.weights.layout.recurrent() == 0)
    }

    /// The products of a phase, when all parts have computed the gradients by its sums.
    pub(crate) fn through(&mut self, turn: &Turn<'_, T>, step: usize, phase: usize) {
        if phase == self.weights.layout.phases.len() {
            return;
        }
        let d_sums = turn.planes().plane((turn.number() - 1) % 2);
        let active = self.history.slice.active(step);
        self.through_product((step, phase), active, d_sums);
        if phase == 0 && self.views.d_inputs.is_some() {
            self.pass_to_inputs(step, active, d_sums);
        }
    }
}
