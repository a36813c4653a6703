//! One step at a time: a recurrent layer that keeps its states between calls, for some rows at once.

use std::sync::Arc;

use super::plan::Place;
use super::rows::States;
use super::step::forward::{Chunk, Step};
use super::step::single::{RowStep, is_single};
use super::weights::Weights;
use crate::error::Result;
use crate::kernels::pack::row_stride;
use crate::kernels::product::{Product, Start};
use crate::machine::lists::Listed;
use crate::machine::memory::Buffer;
use crate::machine::simd::Element;
use crate::machine::threads::{Geometry, UnitsMut};

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
    /// The rows that a product of integers multiplies; none with other weights.
    narrow: Buffer<T>,
    /// Every row, for the step's kernel.
    active: Vec<u32>,
    backwards: bool,
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
            narrow: Buffer::zeroed(rows * narrow_stride(&weights))?,
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
        if is_single(&self.weights, self.rows) {
            self.advance_row(inputs);
        } else {
            self.advance_rows(inputs, inputs_stride);
        }
        self.project_outputs();
        std::mem::swap(&mut self.previous, &mut self.produced);
        self.backwards = !self.backwards;
        self.show();
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

    fn advance_row(&mut self, inputs: &[T]) {
        let weights = &*self.weights;
        let phases = weights.layout.phases.len();
        let mut early = std::mem::take(&mut self.early);
        for phase in 0..phases {
            let last = phase + 1 == phases && weights.projection.is_none();
            let (operand, produced) = match (phase, last) {
                (0, true) => (&*self.previous, &mut *self.produced),
                (0, false) => (&*self.previous, &mut *early),
                _ => (&*early, &mut *self.produced),
            };
            weights.cell.visit(RowStep {
                weights,
                phase,
                inputs,
                operand,
                previous: &self.previous,
                produced,
                state: &mut self.others,
                slots: &mut self.slots,
                backwards: self.backwards,
            });
        }
        self.early = early;
    }

    fn advance_rows(&mut self, inputs: &[T], inputs_stride: usize) {
        self.project(inputs, inputs_stride);
        let weights = &*self.weights;
        let (phases, width) = (weights.layout.phases.len(), weights.layout.slots.len());
        let stride = self.stride;
        let geometry =
            Geometry { rows: self.rows, slots: 1, width: weights.padded_units(), stride };
        let mut early = std::mem::take(&mut self.early);
        for phase in 0..phases {
            let last = phase + 1 == phases && weights.projection.is_none();
            let (source, produced) = match (phase, last) {
                (0, true) => (&*self.previous, &mut *self.produced),
                (0, false) => (&*self.previous, &mut *early),
                _ => (&*early, &mut *self.produced),
            };
            let fused = weights.is_fused();
            if !fused && weights.layout.recurrent() > 0 {
                let rows = (source, stride, self.rows);
                let right = &weights.recurrent[phase];
                let rows = narrowed(weights, &mut self.narrow, rows, right.depth());
                let out = (&mut self.slots[..], width);
                let product = Product {
                    offset: weights.layout.phases[phase].0,
                    block_stride: self.rows * width,
                    from_end: weights.is_int8() && self.backwards,
                    start: Start::Output,
                    ..Product::of(rows, right, out)
                };
                T::dispatch(weights.level, product);
            }
            let chunk = Chunk {
                weights,
                blocks: 0..weights.blocks(),
                rows: self.rows,
                stride,
                tail: None,
                slots: &mut self.slots,
                keep: false,
                state: &mut self.others,
                kept_state: None,
                outputs: None,
            };
            weights.cell.visit(Step {
                chunk,
                time: 0,
                phase,
                active: &self.active,
                place: Place { first: 0, rows: self.rows },
                from_end: self.backwards,
                previous: &self.previous,
                operand: fused.then_some(source),
                produced: &mut UnitsMut::whole(produced, geometry),
                ahead: None,
            });
        }
        self.early = early;
    }

    /// Fills the slots with biases and the input's product.
    fn project(&mut self, inputs: &[T], stride: usize) {
        let weights = &*self.weights;
        let (width, lanes) = (weights.layout.slots.len(), weights.lanes());
        let inputs_end = weights.layout.input.1 * lanes;
        let others = width * lanes - inputs_end;
        if others > 0 {
            let blocks = self.slots.chunks_exact_mut(self.rows * width * lanes);
            for (rows, bias) in blocks.zip(weights.recurrent_bias.chunks_exact(others)) {
                for row in rows.chunks_exact_mut(width * lanes) {
                    row[inputs_end..].copy_from_slice(bias);
                }
            }
        }
        let rows = (inputs, stride, self.rows);
        let rows = narrowed(weights, &mut self.narrow, rows, weights.features);
        let out = (&mut self.slots[..], width);
        let product = Product {
            block_stride: self.rows * width,
            from_end: weights.is_int8() && self.backwards,
            start: Start::Bias(&weights.input_bias),
            ..Product::of(rows, &weights.kernel, out)
        };
        T::dispatch(weights.level, product);
    }
}

/// Elements between two rows of integers, of the inputs or the outputs; none with weights of numbers.
fn narrow_stride<T: Element>(weights: &Weights<T>) -> usize {
    if weights.is_int8() { row_stride(weights.features.max(weights.units)) } else { 0 }
}

/// Rows of a product's left side, the elements between two of them and their number, as its weights
/// multiply them.
fn narrowed<'a, T: Element>(
    weights: &Weights<T>,
    memory: &'a mut [T],
    (rows, stride, count): (&'a [T], usize, usize),
    depth: usize,
) -> (&'a [T], usize, usize) {
    if !weights.is_int8() {
        return (rows, stride, count);
    }
    let to_stride = narrow_stride(weights);
    for (row, to) in memory.chunks_exact_mut(to_stride).enumerate() {
        to[..depth].copy_from_slice(&rows[row * stride..][..depth]);
    }
    weights.narrow(memory, to_stride, count, depth);
    (memory, to_stride, count)
}
