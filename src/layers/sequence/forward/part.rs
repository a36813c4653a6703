//! Some units of a slice on their way forward through time: all of them, or one thread's part.

use std::ops::Range;

use crate::error::Result;
use crate::kernels::pack::row_stride;
use crate::layers::sequence::kept::Kept;
use crate::layers::sequence::plan::{Slice, Windows};
use crate::layers::sequence::problem::Problem;
use crate::layers::sequence::rows::{States, copy_rows, masks, repeat, skipping};
use crate::layers::sequence::step::ahead::{Ahead, windows};
use crate::layers::sequence::step::forward::{Place, RowMajor, Step};
use crate::layers::sequence::step::sweep::Sweep;
use crate::layers::sequence::weights::Weights;
use crate::layers::sequence::weights::tail::Tail;
use crate::machine::memory::{Buffer, ViewMut};
use crate::machine::simd::Element;
use crate::machine::threads::{Columns, Planes, Turn};

/// The plane of what an early phase produced; those before it are of outputs.
pub(crate) const EARLY: usize = 2;

/// A part of a slice.
pub(crate) struct Run<'a, 'p, T: Element> {
    pub(crate) weights: &'a Weights<T>,
    pub(crate) problem: &'a Problem<'p, T>,
    pub(crate) slice: &'a Slice,
    number: usize,
    /// Its blocks of units.
    pub(crate) blocks: Range<usize>,
    /// Its units of the outputs.
    outputs: ViewMut<'a, T>,
    /// Phases of a step that some rows take.
    phases: usize,
    /// Whether the last of them is a projection.
    projects: bool,
    /// Whether it is the cell that sees the dropout mask of the previous output: no product does.
    sees_mask: bool,
    /// Steps taken so far that had active rows: the outputs swap planes at each.
    taken: usize,
    /// Elements between the rows of the planes and of `operand`.
    pub(crate) stride: usize,
    /// What the recurrent weights multiply, where it is no plane.
    pub(crate) operand: Buffer<T>,
    /// What a projection multiplies, where some rows do not take a step; by position.
    pub(crate) gathered: Buffer<T>,
    /// The states but the output, `[block of the part][row][state][LANES]`.
    pub(crate) others: Buffer<T>,
    keep: bool,
    /// What is kept, and the slots of a chunk if nothing is.
    pub(crate) kept: Kept<T>,
    /// The chunk's inputs, by chunk row.
    pub(crate) staged: Buffer<T>,
    /// The rows whose inputs are multiplied beside steps, in a chunk that is swept.
    windows: Option<Windows>,
}

/// Whether the recurrent weights multiply rows that are no plane's.
pub(super) fn multiplies_apart<T: Element>(weights: &Weights<T>, problem: &Problem<'_, T>) -> bool {
    problem.dropout.recurrent.is_some() || problem.is_masked() || weights.projection.is_some()
}

impl<'a, 'p, T: Element> Run<'a, 'p, T> {
    pub(crate) fn new(
        weights: &'a Weights<T>,
        problem: &'a Problem<'p, T>,
        slice: &'a Slice,
        (number, blocks): (usize, Range<usize>),
        outputs: ViewMut<'a, T>,
        keep: bool,
    ) -> Result<Self> {
        let rows = slice.rows.len();
        let stride = row_stride(weights.units);
        let apart = multiplies_apart(weights, problem);
        let gathers = weights.projection.is_some() && problem.is_masked();
        let vectors = rows * blocks.len() * weights.layout.states;
        Ok(Self {
            operand: Buffer::zeroed(if apart { rows * stride } else { 0 })?,
            gathered: Buffer::zeroed(if gathers { rows * stride } else { 0 })?,
            others: Buffer::zeroed(vectors * weights.lanes())?,
            weights,
            problem,
            slice,
            number,
            blocks,
            outputs,
            keep,
            kept: Kept::default(),
            taken: 0,
            phases: weights.phases(),
            projects: weights.projection.is_some(),
            sees_mask: weights.layout.recurrent() == 0,
            stride,
            staged: Buffer::default(),
            windows: None,
        })
    }

    /// Its states, whose outputs are on a plane.
    pub(crate) fn states(&mut self) -> States<'_, T> {
        let (rows, first) = (self.slice.rows.len(), self.blocks.start * self.weights.lanes());
        States::new(self.weights, &self.blocks, rows, &mut self.others, (self.stride, first))
    }

    /// The plane of the outputs of the last step taken.
    pub(crate) fn latest(&self) -> usize {
        self.taken % 2
    }

    /// The number of phases of a step; none if no row takes it.
    pub(crate) fn phases(&self, step: usize) -> usize {
        if self.slice.active(step).is_empty() { 0 } else { self.phases }
    }

    /// Takes the memory for all steps.
    pub(crate) fn prepare(&mut self, chunks: &[Range<usize>]) -> Result<()> {
        let rows = |chunk| self.slice.rows_in(chunk);
        let largest = chunks.iter().map(rows).max().unwrap_or(0);
        let time = chunks.last().map_or(0, |chunk| chunk.end);
        let layout = self.weights.layout;
        let kept = if self.keep { self.slice.before(time) } else { 0 };
        // Whole rows are kept once, by the first part.
        let whole = if self.number == 0 { kept * self.stride } else { 0 };
        let own_outputs = !self.problem.outputs_hold_states();
        self.kept = Kept {
            slots: Buffer::taken(kept.max(largest) * layout.slots.len() * self.own())?,
            states: Buffer::taken(kept * layout.states * self.own())?,
            outputs: Buffer::taken(if own_outputs { whole } else { 0 })?,
            operands: Buffer::taken(if self.weights.phases() > 1 { whole } else { 0 })?,
        };
        self.staged = Buffer::taken(largest * row_stride(self.weights.features))?;
        Ok(())
    }

    /// Gives back what was only wanted on the way: the next slice takes the same memory, from the
    /// cache.
    pub(crate) fn release(&mut self) {
        self.staged = Buffer::default();
        if !self.keep {
            self.kept = Kept::default();
        }
    }

    /// Prepares the steps of a chunk: multiplies the inputs, or if its steps are to be swept perhaps
    /// only those that the first steps want.
    pub(crate) fn begin(&mut self, chunk: &Range<usize>, sweeps: bool) -> Result<()> {
        self.fill(chunk);
        let rows = self.slice.rows_in(chunk);
        let single =
            sweeps && self.slice.rows.len() == 1 && masks(self.problem.dropout.inputs) <= 1;
        self.windows = single.then(|| windows(self.weights, &self.blocks)).flatten();
        match self.windows {
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
        let dropout = self.problem.dropout;
        let takes = self.slice.rows.len() > 1
            && self.blocks.end == self.weights.blocks()
            && masks(dropout.inputs).max(masks(dropout.recurrent)) <= 1;
        self.weights.tail.as_ref().filter(|_| takes)
    }

    /// Elements of all its units, one row.
    pub(crate) fn own(&self) -> usize {
        self.blocks.len() * self.weights.lanes()
    }

    /// How many rows are kept of the steps before `step`, the first of a chunk.
    fn kept_before(&self, step: usize) -> usize {
        if self.keep { self.slice.before(step) } else { 0 }
    }

    /// Where the chunk's slots begin.
    pub(crate) fn slots_at(&self, chunk: &Range<usize>) -> usize {
        self.kept_before(chunk.start) * self.weights.layout.slots.len() * self.own()
    }

    /// Whether nothing but the step itself is to be done at each step.
    pub(crate) fn sweeps(&self) -> bool {
        self.weights.is_fused()
            && self.weights.phases() == 1
            && self.problem.dropout.recurrent.is_none()
    }

    /// Takes steps of a chunk, where that is all to be done. Gives the next step, and whether the
    /// caller is to take it alone.
    pub(crate) fn sweep(
        &mut self,
        turn: &mut Turn<'_, T>,
        chunk: &Range<usize>,
        steps: Range<usize>,
    ) -> Result<(usize, bool)> {
        let slots_at = self.slots_at(chunk);
        let first = self.kept_before(chunk.start) * self.weights.layout.states * self.own();
        let rows = self.slice.rows_in(chunk);
        let ahead = self.windows.map(|windows| {
            let inputs = (&self.staged[..], row_stride(self.weights.features));
            Ahead::new(self.weights, windows, self.blocks.clone(), inputs, rows)
        });
        let tail = self.tail();
        let kept = &mut self.kept;
        let (next, alone) = self.weights.cell.visit(Sweep {
            weights: self.weights,
            slice: self.slice,
            steps,
            chunk: (chunk.start, rows),
            part: (self.number, self.blocks.clone()),
            stride: self.stride,
            taken: &mut self.taken,
            turn,
            slots: &mut kept.slots[slots_at..],
            keep: self.keep,
            state: &mut self.others,
            kept_state: if kept.states.is_empty() { None } else { Some(&mut kept.states[first..]) },
            kept_outputs: if kept.outputs.is_empty() { None } else { Some(&mut kept.outputs) },
            outputs: self.problem.return_sequences.then_some(&mut self.outputs),
            zero_output_for_mask: self.problem.zero_output_for_mask,
            tail: tail.map(|tail| &tail.recurrent),
            ahead,
        })?;
        if let (true, Some(windows)) = (alone, self.windows) {
            let taken = self.slice.before(next) - self.slice.before(chunk.start);
            self.multiply(chunk, windows.missing(rows, taken))?;
        }
        Ok((next, alone))
    }

    fn place(&self, chunk: &Range<usize>, step: usize) -> Place {
        let first = self.slice.before(step) - self.slice.before(chunk.start);
        Place { first, rows: self.slice.rows_in(chunk) }
    }

    /// One phase of a step that some rows take.
    pub(crate) fn phase(
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
        let kept = if phase == 0 { &mut self.kept.outputs } else { &mut self.kept.operands };
        if !kept.is_empty() {
            let at = self.slice.before(step) * self.stride;
            copy_rows(active, source, self.stride, &mut kept[at..]);
        }
        let last = phase + 1 == self.phases;
        if last && self.projects {
            self.project(active, source);
            self.hand_over(step, active, &mut produced, previous);
            return Ok(());
        }
        let operand = self.prepare_operand(phase, active, source, chunk, place)?;
        let data = operand.choose(source, &self.operand);
        let seen = data.filter(|_| self.sees_mask).unwrap_or(previous);
        let slots_at = self.slots_at(chunk);
        let first = self.kept_before(chunk.start) * self.weights.layout.states * self.own();
        let states_kept = !self.kept.states.is_empty();
        let tail = self.tail();
        let kept_state = &mut self.kept.states[first..];
        self.weights.cell.visit(Step {
            weights: self.weights,
            phase,
            active,
            operand: data.map(|data| RowMajor { data, stride: self.stride }),
            blocks: self.blocks.clone(),
            from_end: self.taken % 2 == 1,
            slots: &mut self.kept.slots[slots_at..],
            keep: self.keep,
            place,
            previous: RowMajor { data: seen, stride: self.stride },
            produced: &mut produced,
            state: &mut self.others,
            slice_rows: self.slice.rows.len(),
            kept_state: states_kept.then_some(kept_state),
            outputs: (last && self.problem.return_sequences).then_some((&mut self.outputs, step)),
            tail: tail.map(|tail| &tail.recurrent),
            ahead: None,
        });
        if last {
            self.carry_over(active, &mut produced, previous);
        }
        Ok(())
    }

    /// Takes the outputs of rows that do not take the step on to the next.
    #[inline(always)]
    fn carry_over(&self, active: &[u32], produced: &mut Columns<'_, T>, previous: &[T]) {
        if active.len() < self.slice.rows.len() {
            let first = self.blocks.start * self.weights.lanes();
            for row in skipping(active, self.slice.rows.len()) {
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
        produced: &mut Columns<'_, T>,
        previous: &[T],
    ) {
        let size = self.weights.outputs;
        for (&row, from) in active.iter().zip(self.operand.chunks_exact(self.stride)) {
            produced.from(row as usize, 0)[..size].copy_from_slice(&from[..size]);
            if self.problem.return_sequences {
                self.outputs.row(row as usize, step).copy_from_slice(&from[..size]);
            }
        }
        self.carry_over(active, produced, previous);
    }

    /// Ends a step, after its phases: rows that did not take it repeat their output, or give zeros.
    pub(crate) fn take(&mut self, step: usize, turn: &Turn<'_, T>) {
        let active = self.slice.active(step);
        if self.problem.return_sequences && active.len() < self.slice.rows.len() {
            self.repeat_outputs(step, active, turn.planes());
        }
        if !active.is_empty() {
            self.taken += 1;
        }
    }

    fn repeat_outputs(&mut self, step: usize, active: &[u32], planes: Planes<'_, T>) {
        let first = self.blocks.start * self.weights.lanes();
        let from = planes.plane(self.carried(active));
        for row in skipping(active, self.slice.rows.len()) {
            let last = &from[row * self.stride + first..];
            repeat(self.outputs.row(row, step), last, self.problem.zero_output_for_mask);
        }
    }

    /// The readable plane of the outputs at the end of a step. After a step that some rows took the
    /// next turn writes over the outputs before it: those after it are in the other plane.
    fn carried(&self, active: &[u32]) -> usize {
        if active.is_empty() { self.latest() } else { 1 - self.latest() }
    }

    /// Writes the last outputs, where only those are wanted.
    pub(crate) fn write_last(&mut self, outputs: &[T]) {
        let first = self.blocks.start * self.weights.lanes();
        let last = self.problem.inputs.shape()[1].checked_sub(1);
        for row in 0..self.slice.rows.len() {
            let to = self.outputs.row(row, 0);
            let batch_row = self.slice.batch_row(row);
            let real = last.is_none_or(|step| self.problem.active(batch_row, step));
            let output = &outputs[row * self.stride + first..];
            repeat(to, output, !real && self.problem.zero_output_for_mask);
        }
    }
}
