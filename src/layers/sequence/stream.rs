//! One step at a time: a recurrent layer that keeps its states between calls, for some rows at once.

use std::sync::Arc;

use super::rows::States;
use super::step::piece::{Phase, least_blocks};
use super::step::single::is_single;
use super::weights::Weights;
use crate::error::Result;
use crate::kernels::pack::row_stride;
use crate::kernels::product::Product;
use crate::machine::lists::Listed;
use crate::machine::memory::Buffer;
use crate::machine::simd::Element;
use crate::machine::threads::{self, Team};

/// A recurrent layer's states, and the memory that a step needs: nothing is reserved later.
pub struct RecurrentStage<T: Element> {
    weights: Arc<Weights<T>>,
    rows: usize,
    /// Elements between two rows of the outputs.
    stride: usize,
    /// The last step's outputs where they are projected.
    shown: Option<Box<Shown<T>>>,
    /// The outputs before the step and after it, by row.
    previous: Buffer<T>,
    produced: Buffer<T>,
    /// What an early phase produced, or what is projected, by row.
    early: Buffer<T>,
    /// The other states, `[block][row][state][LANES]`.
    others: Buffer<T>,
    /// What they were before the step, for the rows that keep their states.
    kept: Buffer<T>,
    /// `[block][row][slot][LANES]`
    slots: Buffer<T>,
    /// The inputs and the outputs as products of integers multiply them; none with other weights.
    narrow: [Buffer<T>; 2],
    /// Every row, for the step's kernel.
    active: Vec<u32>,
    backwards: bool,
    /// Whether a step runs in one pass over the weights.
    single: bool,
    /// What several threads can share of a step, see [`threads::worth_step`].
    work: usize,
}

/// Projected outputs, by row, in the layout that other layers use for this many outputs: the rows
/// of the states have another length.
struct Shown<T: Element> {
    outputs: Buffer<T>,
    stride: usize,
}

impl<T: Element> RecurrentStage<T> {
    /// `rows` sequences before their first step, from zero states.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn new(weights: Arc<Weights<T>>, rows: usize) -> Result<Self> {
        let stride = row_stride(weights.units);
        let padded = rows * weights.padded_units();
        let early = if weights.phases() > 1 { rows * stride } else { 0 };
        let single = is_single(&weights, rows);
        let work = weights.work().saturating_mul(rows.max(weights.precision.bytes::<T>()));
        let narrow = |size, multiplied| {
            let wanted = weights.is_int8() && multiplied;
            Buffer::zeroed(if wanted { rows * row_stride(size) } else { 0 })
        };
        let recurrent = weights.layout.recurrent() > 0;
        let shown = weights.projection.as_ref().map(|_| {
            let stride = row_stride(weights.outputs);
            // Bounded: one.
            Ok(Box::new(Shown { outputs: Buffer::zeroed(rows * stride)?, stride }))
        });
        Ok(Self {
            rows,
            stride,
            shown: shown.transpose()?,
            previous: Buffer::zeroed(rows * stride)?,
            produced: Buffer::zeroed(rows * stride)?,
            early: Buffer::zeroed(early)?,
            others: Buffer::zeroed(padded * weights.layout.states)?,
            kept: Buffer::zeroed(padded * weights.layout.states)?,
            slots: Buffer::zeroed(padded * weights.layout.slots.len())?,
            narrow: [narrow(weights.features, true)?, narrow(weights.units, recurrent)?],
            single,
            work: if weights.blocks() > least_blocks(&weights, single) { work } else { 0 },
            active: (0..rows as u32).listed()?,
            backwards: false,
            weights,
        })
    }

    /// The weights.
    #[must_use]
    pub fn weights(&self) -> &Weights<T> {
        &self.weights
    }

    /// The outputs of the last step, and the elements between two rows.
    #[must_use]
    pub fn outputs(&self) -> (&[T], usize) {
        match &self.shown {
            Some(shown) => (&shown.outputs, shown.stride),
            None => (&self.previous, self.stride),
        }
    }

    /// Copies one row of one state, the output's being number 0.
    pub fn read_state(&mut self, state: usize, row: usize, to: &mut [T]) {
        let blocks = 0..self.weights.blocks();
        States::new(&self.weights, &blocks, self.rows, &mut self.others, (self.stride, 0)).write(
            state,
            row,
            &self.previous,
            to,
        );
    }

    /// Sets one row of one state, the output's being number 0.
    pub fn write_state(&mut self, state: usize, row: usize, from: &[T]) {
        let blocks = 0..self.weights.blocks();
        States::new(&self.weights, &blocks, self.rows, &mut self.others, (self.stride, 0)).read(
            state,
            row,
            from,
            &mut self.previous,
        );
    }

    /// Sets all states of one row to zero.
    pub fn reset(&mut self, row: usize) {
        self.previous[row * self.stride..][..self.stride].fill(T::ZERO);
        let lanes = self.weights.layout.states * self.weights.lanes();
        if lanes > 0 {
            for rows in self.others.chunks_exact_mut(self.rows * lanes) {
                rows[row * lanes..][..lanes].fill(T::ZERO);
            }
        }
    }

    /// One step in which the rows that are `masked` keep their states, and so their outputs.
    pub(crate) fn advance_unmasked(&mut self, inputs: &[T], inputs_stride: usize, masked: &[bool]) {
        if masked.iter().all(|&masked| masked) {
            return;
        }
        if masked.iter().all(|&masked| !masked) {
            return self.advance(inputs, inputs_stride);
        }
        self.kept.copy_from_slice(&self.others);
        self.advance(inputs, inputs_stride);
        let lanes = self.weights.layout.states * self.weights.lanes();
        for row in (0..self.rows).filter(|&row| masked[row]) {
            let at = row * self.stride..(row + 1) * self.stride;
            self.previous[at.clone()].copy_from_slice(&self.produced[at]);
            if lanes > 0 {
                let blocks = self.others.chunks_exact_mut(self.rows * lanes);
                for (to, from) in blocks.zip(self.kept.chunks_exact(self.rows * lanes)) {
                    let at = row * lanes..(row + 1) * lanes;
                    to[at.clone()].copy_from_slice(&from[at]);
                }
            }
        }
        self.show();
    }

    /// See [`super::Engine::advance`].
    pub(crate) fn advance(&mut self, inputs: &[T], inputs_stride: usize) {
        self.compute(inputs, inputs_stride);
        self.project_outputs();
        std::mem::swap(&mut self.previous, &mut self.produced);
        self.backwards = !self.backwards;
        self.show();
    }

    /// All phases of the cell.
    fn compute(&mut self, inputs: &[T], inputs_stride: usize) {
        let weights = &*self.weights;
        let threads = threads::worth_step(self.work);
        let mut team = (threads > 1).then(|| Team::gather(threads));
        let [narrow, narrow_outputs] = &mut self.narrow;
        let rows = (inputs, inputs_stride, self.rows);
        let inputs = narrowed(weights, narrow, rows, weights.features);
        let phases = weights.layout.phases.len();
        for phase in 0..phases {
            let last = phase + 1 == phases && weights.projection.is_none();
            let (source, produced) = match (phase, last) {
                (0, true) => (&*self.previous, &mut *self.produced),
                (0, false) => (&*self.previous, &mut *self.early),
                _ => (&*self.early, &mut *self.produced),
            };
            let rows = (source, self.stride, self.rows);
            let phase = Phase {
                weights,
                number: phase,
                single: self.single,
                rows: &self.active,
                stride: self.stride,
                inputs,
                previous: &self.previous,
                operand: narrowed(weights, narrow_outputs, rows, weights.outputs),
                backwards: self.backwards,
            };
            phase.compute(team.as_mut(), &mut self.others, &mut self.slots, produced);
        }
    }

    /// The outputs of a step, from what its cell produced.
    fn project_outputs(&mut self) {
        let weights = &*self.weights;
        let Some(right) = &weights.projection else { return };
        let rows = (&self.early[..], self.stride, self.rows);
        let out = (&mut self.produced[..], self.stride / weights.lanes());
        T::dispatch(weights.level, Product::of(rows, right, out));
    }

    /// Copies projected outputs to where they are shown.
    fn show(&mut self) {
        let Some(shown) = &mut self.shown else { return };
        let size = self.weights.outputs;
        let rows = self.previous.chunks_exact(self.stride);
        for (to, from) in shown.outputs.chunks_exact_mut(shown.stride).zip(rows) {
            to[..size].copy_from_slice(&from[..size]);
        }
    }
}

/// Rows of a product's left side, and the elements between two of them, as the weights multiply them: in
/// `memory`, unless that is empty.
fn narrowed<'a, T: Element>(
    weights: &Weights<T>,
    memory: &'a mut [T],
    (rows, stride, count): (&'a [T], usize, usize),
    depth: usize,
) -> (&'a [T], usize) {
    if memory.is_empty() {
        return (rows, stride);
    }
    let to_stride = memory.len() / count;
    for (row, to) in memory.chunks_exact_mut(to_stride).enumerate() {
        to[..depth].copy_from_slice(&rows[row * stride..][..depth]);
    }
    weights.narrow(memory, to_stride, count, depth);
    (memory, to_stride)
}
