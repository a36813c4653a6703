//! Some units of a slice on their way forward through time: all of them, or one thread's part.

use std::ops::Range;

use crate::error::Result;
use crate::kernels::pack::row_stride;
use crate::layers::sequence::kept::Kept;
use crate::layers::sequence::part::SlicePart;
use crate::layers::sequence::plan::Windows;
use crate::layers::sequence::problem::Problem;
use crate::layers::sequence::rows::{States, copy_rows, masks, repeat, skipping};
use crate::layers::sequence::step::ahead::{Ahead, windows};
use crate::layers::sequence::step::forward::{Chunk, Step};
use crate::layers::sequence::step::sweep::Sweep;
use crate::layers::sequence::weights::Weights;
use crate::layers::sequence::weights::tail::Tail;
use crate::machine::memory::{Buffer, ViewMut};
use crate::machine::simd::Element;
use crate::machine::threads::{Planes, Turn, UnitsMut};

/// The plane of what an early phase produced; those before it are of outputs.
pub(crate) const EARLY: usize = 2;

/// A part of a slice on its way forward.
pub(crate) struct PartForward<'a, T: Element> {
    pub(crate) part: SlicePart<'a, T>,
    /// Whether to keep what backward reads.
    keep: bool,
    /// Elements between the rows of the planes and of `operand`.
    pub(crate) stride: usize,
    pub(crate) memory: ForwardMemory<'a, T>,
}

/// What a part writes on its way.
pub(crate) struct ForwardMemory<'a, T: Element> {
    /// Its units of the outputs.
    outputs: ViewMut<'a, T>,
    /// Steps so far that had active rows: the outputs swap planes at each.
    pub(crate) steps_done: usize,
    /// What the recurrent weights multiply, where it is no plane.
    pub(crate) operand: Buffer<T>,
    /// What a projection multiplies, where some rows do not take a step; by position.
    pub(crate) gathered: Buffer<T>,
    /// The states but the output, `[block of the part][row][state][LANES]`.
    others: Buffer<T>,
    /// What is kept, and the slots of a chunk if nothing is.
    pub(crate) kept: Kept<T>,
    /// The chunk's inputs, by chunk row.
    pub(crate) staged: Buffer<T>,
    /// The rows whose inputs are multiplied beside steps, in a chunk that is swept.
    windows: Option<Windows>,
}

/// What a part's steps need besides their chunk.
struct Beside<'a, T: Element> {
    part: &'a SlicePart<'a, T>,
    steps_done: &'a mut usize,
    operand: &'a [T],
    staged: &'a [T],
    /// All outputs before each step, if they are kept.
    kept_outputs: Option<&'a mut [T]>,
}

/// Whether the recurrent weights multiply rows that are no plane's.
pub(super) fn multiplies_apart<T: Element>(weights: &Weights<T>, problem: &Problem<'_, T>) -> bool {
    problem.dropout.recurrent.is_some()
        || problem.is_masked()
        || weights.projection.is_some()
        || weights.is_int8()
}

impl<'a, T: Element> PartForward<'a, T> {
    pub(crate) fn new(part: SlicePart<'a, T>, outputs: ViewMut<'a, T>, keep: bool) -> Result<Self> {
        let (weights, problem, rows) = (part.weights, part.problem, part.rows());
        let stride = row_stride(weights.units);
        let apart = multiplies_apart(weights, problem);
        let gathers = part.projects && problem.is_masked();
        let memory = ForwardMemory {
            outputs,
            steps_done: 0,
            operand: Buffer::zeroed(if apart { rows * stride } else { 0 })?,
            gathered: Buffer::zeroed(if gathers { rows * stride } else { 0 })?,
            others: Buffer::zeroed(rows * part.padded_units() * weights.layout.states)?,
            kept: Kept::default(),
            staged: Buffer::default(),
            windows: None,
        };
        Ok(Self { part, keep, stride, memory })
    }

    /// Its states, whose outputs are on a plane.
    pub(crate) fn states(&mut self) -> States<'_, T> {
        let place = (self.stride, self.part.first_unit());
        let SlicePart { weights, blocks, .. } = &self.part;
        States::new(weights, blocks, self.part.rows(), &mut self.memory.others, place)
    }

    /// The plane of the outputs of the last step that some rows took.
    pub(crate) fn latest(&self) -> usize {
        self.memory.steps_done % 2
    }

    /// Reserves the memory of all steps.
    pub(crate) fn prepare(&mut self, chunks: &[Range<usize>]) -> Result<()> {
        let Self { part, memory, .. } = self;
        let rows = |chunk| part.slice.rows_in(chunk);
        let largest = chunks.iter().map(rows).max().unwrap_or(0);
        let time = chunks.last().map_or(0, |chunk| chunk.end);
        let (layout, units) = (part.weights.layout, part.padded_units());
        let kept = if self.keep { part.slice.before(time) } else { 0 };
        // Whole rows are kept once, by the first part.
        let whole = if part.number == 0 { kept * self.stride } else { 0 };
        let keeps_outputs = !part.problem.outputs_hold_states();
        memory.kept = Kept {
            slots: Buffer::unfilled(kept.max(largest) * layout.slots.len() * units)?,
            states: Buffer::unfilled(kept * layout.states * units)?,
            outputs: Buffer::unfilled(if keeps_outputs { whole } else { 0 })?,
            operands: Buffer::unfilled(if part.phases > 1 { whole } else { 0 })?,
        };
        memory.staged = Buffer::unfilled(largest * row_stride(part.weights.features))?;
        Ok(())
    }

    /// Releases what only the steps needed: the next slice gets the same memory, still in the
    /// cache.
    pub(crate) fn release(&mut self) {
        self.memory.staged = Buffer::default();
        if !self.keep {
            self.memory.kept = Kept::default();
        }
    }

    /// What was kept, for backward.
    pub(crate) fn into_kept(self) -> Kept<T> {
        self.memory.kept
    }

    /// Prepares the steps of a chunk: multiplies the inputs or, if its steps are to be swept,
    /// perhaps only those that the first steps need.
    pub(crate) fn begin(&mut self, chunk: &Range<usize>, sweeps: bool) -> Result<()> {
        self.fill(chunk);
        let part = &self.part;
        let rows = part.slice.rows_in(chunk);
        let single = sweeps && part.rows() == 1 && masks(part.problem.dropout.inputs) <= 1;
        self.memory.windows = single.then(|| windows(part.weights, &part.blocks)).flatten();
        match self.memory.windows {
            None => self.multiply(chunk, 0..rows),
            Some(windows) => {
                let [first, last] = windows.at_once(rows);
                self.multiply(chunk, first)?;
                self.multiply(chunk, last)
            }
        }
    }

    /// The last block's weights, if the part has it and its slots lie side by side: those of one row
    /// do not, nor those of gates with a mask of their own.
    pub(crate) fn tail(&self) -> Option<&'a Tail<T>> {
        let SlicePart { weights, problem, ref blocks, .. } = self.part;
        let dropout = problem.dropout;
        let side_by_side = self.part.rows() > 1
            && blocks.end == weights.blocks()
            && masks(dropout.inputs).max(masks(dropout.recurrent)) <= 1;
        weights.tail.as_ref().filter(|_| side_by_side)
    }

    /// How many elements are kept of the steps before `step`, the first of a chunk, where each row
    /// has so many vectors.
    fn kept_before(&self, step: usize, vectors: usize) -> usize {
        let rows = if self.keep { self.part.slice.before(step) } else { 0 };
        rows * vectors * self.part.padded_units()
    }

    /// Where the chunk's slots begin.
    pub(crate) fn slots_at(&self, chunk: &Range<usize>) -> usize {
        self.kept_before(chunk.start, self.part.weights.layout.slots.len())
    }

    /// A chunk, and what else its steps need.
    #[inline(always)] // a phase's struct is made in place: copying it costs 3 % of a small GRU's step
    fn chunk<'s>(&'s mut self, chunk: &Range<usize>) -> (Chunk<'s, 'a, T>, Beside<'s, T>) {
        let layout = self.part.weights.layout;
        let (slots_at, states_at) =
            (self.slots_at(chunk), self.kept_before(chunk.start, layout.states));
        let tail = self.tail().map(|tail| &tail.recurrent);
        let Self { part, keep, stride, memory } = self;
        let Kept { slots, states, outputs: kept_outputs, .. } = &mut memory.kept;
        let chunk = Chunk {
            weights: part.weights,
            blocks: part.blocks.clone(),
            rows: part.rows(),
            stride: *stride,
            tail,
            slots: &mut slots[slots_at..],
            keep: *keep,
            state: &mut memory.others,
            kept_state: if states.is_empty() { None } else { Some(&mut states[states_at..]) },
            outputs: part.problem.return_sequences.then_some(&mut memory.outputs),
        };
        let kept_outputs = if kept_outputs.is_empty() { None } else { Some(&mut **kept_outputs) };
        let (operand, staged) = (&*memory.operand, &*memory.staged);
        (chunk, Beside { part, steps_done: &mut memory.steps_done, operand, staged, kept_outputs })
    }

    /// Whether each step needs nothing beyond the step itself.
    pub(crate) fn sweeps(&self) -> bool {
        self.part.weights.is_fused()
            && self.part.phases == 1
            && self.part.problem.dropout.recurrent.is_none()
    }

    /// Takes steps of a chunk that need nothing else. Returns the next step, and whether the caller
    /// is to take it alone.
    pub(crate) fn sweep(
        &mut self,
        turn: &mut Turn<'_, T>,
        chunk: &Range<usize>,
        steps: Range<usize>,
    ) -> Result<(usize, bool)> {
        let windows = self.memory.windows;
        let first = chunk.start;
        let rows = self.part.slice.rows_in(chunk);
        let (of_chunk, Beside { part, steps_done, staged, kept_outputs, .. }) = self.chunk(chunk);
        let ahead = windows.map(|windows| {
            let inputs = (staged, row_stride(part.weights.features));
            Ahead::new(part.weights, windows, part.blocks.clone(), inputs, rows)
        });
        let (next, alone) = part.weights.cell.visit(Sweep {
            part,
            chunk: of_chunk,
            begin: first,
            chunk_rows: rows,
            steps,
            steps_done,
            turn,
            kept_outputs,
            ahead,
        })?;
        if let (true, Some(windows)) = (alone, windows) {
            let slice = self.part.slice;
            let done = slice.before(next) - slice.before(first);
            self.multiply(chunk, windows.missing(rows, done))?;
        }
        Ok((next, alone))
    }

    /// One phase of a step that some rows take.
    pub(crate) fn phase(
        &mut self,
        turn: &mut Turn<'_, T>,
        chunk: &Range<usize>,
        step: usize,
        phase: usize,
    ) -> Result<()> {
        let slice = self.part.slice;
        let active = slice.active(step);
        let place = slice.place(chunk, step);
        let (planes, mut produced) = turn.open(self.part.number);
        let previous = planes.plane(self.latest());
        let source = if phase == 0 { previous } else { planes.plane(EARLY) };
        let kept = &mut self.memory.kept;
        let kept = if phase == 0 { &mut kept.outputs } else { &mut kept.operands };
        if !kept.is_empty() {
            let at = slice.before(step) * self.stride;
            copy_rows(active, source, self.stride, &mut kept[at..]);
        }
        let last = phase + 1 == self.part.phases;
        if last && self.part.projects {
            self.project(active, source);
            self.hand_over(step, active, &mut produced, previous);
            return Ok(());
        }
        let operand = self.prepare_operand(phase, active, source, chunk, place)?;
        let (mut of_chunk, Beside { part, steps_done, operand: memory, .. }) = self.chunk(chunk);
        if !last {
            of_chunk.outputs = None;
        }
        let data = operand.choose(source, memory);
        part.weights.cell.visit(Step {
            chunk: of_chunk,
            time: step,
            phase,
            active,
            place,
            from_end: *steps_done % 2 == 1,
            previous: data.filter(|_| part.cell_sees_mask).unwrap_or(previous),
            operand: data,
            produced: &mut produced,
            ahead: None,
        });
        if last {
            self.carry_over(active, &mut produced, previous);
        }
        Ok(())
    }

    /// Carries the outputs of rows that do not take the step over to the next.
    #[inline(always)]
    fn carry_over(&self, active: &[u32], produced: &mut UnitsMut<'_, T>, previous: &[T]) {
        let rows = self.part.rows();
        if active.len() < rows {
            let first = self.part.first_unit();
            for row in skipping(active, rows) {
                let to = produced.from(row, first);
                to.copy_from_slice(&previous[row * self.stride + first..][..to.len()]);
            }
        }
    }

    /// Hands out what [`Self::project`] computed, by position in `operand`.
    #[inline(never)]
    fn hand_over(
        &mut self,
        step: usize,
        active: &[u32],
        produced: &mut UnitsMut<'_, T>,
        previous: &[T],
    ) {
        let Self { part, stride, memory, .. } = &mut *self;
        let size = part.weights.outputs;
        for (&row, from) in active.iter().zip(memory.operand.chunks_exact(*stride)) {
            produced.from(row as usize, 0)[..size].copy_from_slice(&from[..size]);
            if part.problem.return_sequences {
                memory.outputs.row(row as usize, step).copy_from_slice(&from[..size]);
            }
        }
        self.carry_over(active, produced, previous);
    }

    /// Ends a step, after its phases: rows that did not take it repeat their output, or have zeros.
    pub(crate) fn end_step(&mut self, step: usize, turn: &Turn<'_, T>) {
        let active = self.part.slice.active(step);
        if self.part.problem.return_sequences && active.len() < self.part.rows() {
            self.repeat_outputs(step, active, turn.planes());
        }
        if !active.is_empty() {
            self.memory.steps_done += 1;
        }
    }

    fn repeat_outputs(&mut self, step: usize, active: &[u32], planes: Planes<'_, T>) {
        let (first, zero) = (self.part.first_unit(), self.part.problem.zero_output_for_mask);
        let from = planes.plane(self.carried(active));
        for row in skipping(active, self.part.rows()) {
            let last = &from[row * self.stride + first..];
            repeat(self.memory.outputs.row(row, step), last, zero);
        }
    }

    /// The readable plane of the outputs at the end of a step. After a step that some rows took the
    /// next turn writes over the outputs before it: those after it are in the other plane.
    fn carried(&self, active: &[u32]) -> usize {
        if active.is_empty() { self.latest() } else { 1 - self.latest() }
    }

    /// Writes the last outputs, where only those are wanted.
    pub(crate) fn write_last(&mut self, outputs: &[T]) {
        let Self { part, stride, memory, .. } = self;
        let (problem, first) = (part.problem, part.first_unit());
        let last = problem.inputs.shape()[1].checked_sub(1);
        for row in 0..part.rows() {
            let to = memory.outputs.row(row, 0);
            let batch_row = part.slice.batch_row(row);
            let real = last.is_none_or(|step| problem.active(batch_row, step));
            let output = &outputs[row * *stride + first..];
            repeat(to, output, !real && problem.zero_output_for_mask);
        }
    }
}
