//! Some units of a slice on their way forward through time: all of them, or one thread's part.

use std::ops::Range;

use super::cell::StepVisitor;
use super::forward::EARLY;
use super::plan::Slice;
use super::problem::Problem;
use super::residuals::Kept;
use super::rows::{States, copy_rows};
use super::step::{Place, RowMajor};
use super::weights::Weights;
use crate::error::Result;
use crate::kernels::pack::row_stride;
use crate::memory::{Buffer, ViewMut};
use crate::simd::Element;
use crate::threads::{Planes, Turn};

/// A part of a slice.
pub(super) struct Run<'a, 'p, T: Element> {
    pub(super) weights: &'a Weights<T>,
    pub(super) problem: &'a Problem<'p, T>,
    pub(super) slice: &'a Slice,
    number: usize,
    /// Its blocks of units.
    pub(super) blocks: Range<usize>,
    /// Its units of the outputs.
    outputs: ViewMut<'a, T>,
    pub(super) kept: Option<Kept<T>>,
    /// Steps taken so far that had active rows: the outputs swap planes at each.
    taken: usize,
    /// Elements between the rows of the planes and of `operand`.
    pub(super) stride: usize,
    /// What the recurrent weights multiply, where it is no plane.
    pub(super) operand: Buffer<T>,
    /// The states but the output, `[block of the part][row][state][LANES]`.
    pub(super) others: Buffer<T>,
    /// The chunk's slots, `[block of the part][chunk row][slot][LANES]`.
    pub(super) slots: Buffer<T>,
    /// The chunk's inputs, by chunk row.
    staged: Buffer<T>,
    chunk: ChunkKept<T>,
}

/// What a chunk keeps besides its slots; empty where nothing is wanted.
#[derive(Default)]
struct ChunkKept<T: Element> {
    states: Buffer<T>,
    outputs: Buffer<T>,
    operands: Buffer<T>,
}

impl<'a, 'p, T: Element> Run<'a, 'p, T> {
    pub(super) fn new(
        weights: &'a Weights<T>,
        problem: &'a Problem<'p, T>,
        slice: &'a Slice,
        (number, blocks): (usize, Range<usize>),
        outputs: ViewMut<'a, T>,
        keep: bool,
    ) -> Result<Self> {
        let rows = slice.rows.len();
        let stride = row_stride(weights.units);
        let apart = problem.dropout.recurrent.is_some() || problem.is_masked();
        let vectors = rows * blocks.len() * weights.layout.states;
        Ok(Self {
            operand: Buffer::zeroed(if apart { rows * stride } else { 0 })?,
            others: Buffer::zeroed(vectors * weights.lanes())?,
            weights,
            problem,
            slice,
            number,
            blocks,
            outputs,
            kept: keep.then(Kept::default),
            taken: 0,
            stride,
            slots: Buffer::default(),
            staged: Buffer::default(),
            chunk: ChunkKept::default(),
        })
    }

    /// Its states, whose outputs are on a plane.
    pub(super) fn states(&mut self) -> States<'_, T> {
        let (rows, first) = (self.slice.rows.len(), self.blocks.start * self.weights.lanes());
        States::new(self.weights, &self.blocks, rows, &mut self.others, (self.stride, first))
    }

    /// The plane of the outputs of the last step taken.
    pub(super) fn latest(&self) -> usize {
        self.taken % 2
    }

    /// The number of phases of a step; none if no row takes it.
    pub(super) fn phases(&self, step: usize) -> usize {
        if self.slice.active(step).is_empty() { 0 } else { self.weights.layout.phases.len() }
    }

    /// Prepares the steps of a chunk: takes memory, and multiplies the inputs.
    pub(super) fn begin(&mut self, chunk: &Range<usize>) -> Result<()> {
        let rows = self.slice.rows_in(chunk);
        let size = rows * self.weights.layout.slots.len() * self.own();
        let mut slots = std::mem::take(&mut self.slots);
        if slots.len() < size || self.kept.is_some() {
            slots = Buffer::taken(size)?;
        }
        let mut staged = std::mem::take(&mut self.staged);
        let staged_size = rows * row_stride(self.weights.features);
        if staged.len() < staged_size {
            staged = Buffer::taken(staged_size)?;
        }
        self.project(chunk, rows, &mut slots[..size], &mut staged)?;
        (self.slots, self.staged) = (slots, staged);
        if self.kept.is_some() {
            self.chunk = self.chunk_kept(rows)?;
        }
        Ok(())
    }

    /// Elements of all its units, one row.
    fn own(&self) -> usize {
        self.blocks.len() * self.weights.lanes()
    }

    fn chunk_kept(&self, rows: usize) -> Result<ChunkKept<T>> {
        let layout = self.weights.layout;
        // Whole rows are kept once, by the first part.
        let whole = if self.number == 0 { rows * self.stride } else { 0 };
        let own_outputs = !self.problem.outputs_hold_states();
        Ok(ChunkKept {
            states: Buffer::taken(rows * layout.states * self.own())?,
            outputs: Buffer::taken(if own_outputs { whole } else { 0 })?,
            operands: Buffer::taken(if layout.phases.len() > 1 { whole } else { 0 })?,
        })
    }

    fn place(&self, chunk: &Range<usize>, step: usize) -> Place {
        let first = self.slice.before(step) - self.slice.before(chunk.start);
        Place { first, rows: self.slice.rows_in(chunk) }
    }

    /// One phase of a step that some rows take.
    pub(super) fn phase(
        &mut self,
        turn: &mut Turn<'_, T>,
        chunk: &Range<usize>,
        step: usize,
        phase: usize,
    ) -> Result<()> {
        let active = self.slice.active(step);
        let place = self.place(chunk, step);
        let (planes, mut produced) = turn.open(self.number);
        let previous = planes.plane(self.latest());
        let source = if phase == 0 { previous } else { planes.plane(EARLY) };
        let kept = if phase == 0 { &mut self.chunk.outputs } else { &mut self.chunk.operands };
        if !kept.is_empty() {
            copy_rows(active, source, self.stride, &mut kept[place.first * self.stride..]);
        }
        let operand = self.prepare_operand(phase, active, source, place)?;
        let data = operand.choose(source, &self.operand);
        let last = phase + 1 == self.weights.layout.phases.len();
        let states_kept = !self.chunk.states.is_empty();
        self.weights.cell.visit(StepVisitor {
            weights: self.weights,
            phase,
            active,
            operand: data.map(|data| RowMajor { data, stride: self.stride }),
            blocks: self.blocks.clone(),
            from_end: self.taken % 2 == 1,
            slots: &mut self.slots,
            place,
            previous: RowMajor { data: previous, stride: self.stride },
            produced: &mut produced,
            state: &mut self.others,
            slice_rows: self.slice.rows.len(),
            kept_state: states_kept.then_some(&mut *self.chunk.states),
            outputs: (last && self.problem.return_sequences).then_some((&mut self.outputs, step)),
        });
        if last && active.len() < self.slice.rows.len() {
            let first = self.blocks.start * self.weights.lanes();
            for row in skipping(active, self.slice.rows.len()) {
                let to = produced.from(row, 0, first);
                to.copy_from_slice(&previous[row * self.stride + first..][..to.len()]);
            }
        }
        Ok(())
    }

    /// Ends a step, after its phases: rows that did not take it repeat their output, or give zeros.
    pub(super) fn take(&mut self, step: usize, chunk: &Range<usize>, turn: &Turn<'_, T>) {
        let active = self.slice.active(step);
        if self.problem.return_sequences && active.len() < self.slice.rows.len() {
            self.repeat_outputs(step, active, turn.planes());
        }
        if !active.is_empty() {
            self.taken += 1;
        }
        if step + 1 == chunk.end
            && let Some(kept) = &mut self.kept
        {
            kept.slots.push(std::mem::take(&mut self.slots));
            let chunk = std::mem::take(&mut self.chunk);
            kept.states.push(chunk.states);
            kept.outputs.push(chunk.outputs);
            kept.operands.push(chunk.operands);
        }
    }

    fn repeat_outputs(&mut self, step: usize, active: &[u32], planes: Planes<'_, T>) {
        let first = self.blocks.start * self.weights.lanes();
        let from = planes.plane(self.carried(active));
        for row in skipping(active, self.slice.rows.len()) {
            let to = self.outputs.row(row, step);
            if self.problem.zero_output_for_mask {
                to.fill(T::ZERO);
            } else {
                to.copy_from_slice(&from[row * self.stride + first..][..to.len()]);
            }
        }
    }

    /// The readable plane of the outputs at the end of a step. After a step that some rows took the
    /// next turn writes over the outputs before it: those after it are in the other plane.
    fn carried(&self, active: &[u32]) -> usize {
        if active.is_empty() { self.latest() } else { 1 - self.latest() }
    }

    /// Writes the last outputs, where only those are wanted.
    pub(super) fn write_last(&mut self, outputs: &[T]) {
        let first = self.blocks.start * self.weights.lanes();
        let last = self.problem.inputs.shape()[1].checked_sub(1);
        for row in 0..self.slice.rows.len() {
            let to = self.outputs.row(row, 0);
            let batch_row = self.slice.batch_row(row);
            let real = last.is_none_or(|step| self.problem.active(batch_row, step));
            if real || !self.problem.zero_output_for_mask {
                to.copy_from_slice(&outputs[row * self.stride + first..][..to.len()]);
            } else {
                to.fill(T::ZERO);
            }
        }
    }
}

/// The rows below `rows` that are not among `active`, which ascend.
pub(super) fn skipping(active: &[u32], rows: usize) -> impl Iterator<Item = usize> {
    let mut taking = active.iter().copied().peekable();
    (0..rows).filter(move |&row| taking.next_if_eq(&(row as u32)).is_none())
}
