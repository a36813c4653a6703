//! Layers that have steps of their own, and activations, as stages.

use super::stage::{Idle, Outputs, Stage};
use crate::error::Result;
use crate::kernels::row_function::{ApplyToRows, RowFunction};
use crate::layers::sequence::Engine;
use crate::layers::{dense, embedding, normalization, sequence};
use crate::machine::lists::Listed;
use crate::machine::simd::{Element, Level};

impl<T: Engine> Stage<T> for sequence::RecurrentStage<T> {
    fn input_size(&self) -> usize {
        self.weights().features()
    }

    fn output_size(&self) -> usize {
        self.weights().outputs()
    }

    fn work(&self) -> usize {
        let weights = self.weights();
        let recurrent = weights.recurrent_len() + weights.projection_len().unwrap_or(0);
        weights.features() * weights.gates() * weights.units() + recurrent
    }

    fn advance(&mut self, inputs: &[T], stride: usize, idle: &mut Idle) {
        T::advance(self, inputs, stride, idle.some());
    }

    fn outputs(&self) -> (&[T], usize) {
        self.outputs()
    }

    fn states(&self) -> Result<Vec<usize>> {
        let weights = self.weights();
        (0..weights.states()).map(|state| weights.state_size(state)).listed()
    }

    fn read_state(&mut self, state: usize, row: usize, to: &mut [T]) {
        self.read_state(state, row, to);
    }

    fn write_state(&mut self, state: usize, row: usize, from: &[T]) {
        self.write_state(state, row, from);
    }

    fn reset(&mut self, row: usize) {
        self.reset(row);
    }
}

impl<T: Element> Stage<T> for dense::DenseStage<T> {
    fn input_size(&self) -> usize {
        self.weights().features()
    }

    fn output_size(&self) -> usize {
        self.weights().units()
    }

    fn work(&self) -> usize {
        self.weights().features() * self.weights().units()
    }

    fn advance(&mut self, inputs: &[T], stride: usize, _idle: &mut Idle) {
        self.advance(inputs, stride);
    }

    fn outputs(&self) -> (&[T], usize) {
        self.outputs()
    }
}

impl<T: Element> Stage<T> for embedding::EmbeddingStage<T> {
    fn input_size(&self) -> usize {
        1
    }

    fn output_size(&self) -> usize {
        self.weights().features()
    }

    fn advance(&mut self, _inputs: &[T], _stride: usize, idle: &mut Idle) {
        if self.weights().mask_zero() {
            idle.mask(self.masked());
        }
    }

    fn outputs(&self) -> (&[T], usize) {
        self.outputs()
    }

    fn ids(&self) -> Option<usize> {
        Some(self.weights().ids())
    }

    fn set_id(&mut self, row: usize, id: usize) {
        self.set(row, id);
    }
}

impl<T: Element> Stage<T> for normalization::NormalizationStage<T> {
    fn input_size(&self) -> usize {
        self.features()
    }

    fn output_size(&self) -> usize {
        self.features()
    }

    fn advance(&mut self, inputs: &[T], stride: usize, _idle: &mut Idle) {
        self.advance(inputs, stride);
    }

    fn outputs(&self) -> (&[T], usize) {
        self.outputs()
    }
}

/// An activation and its last outputs.
pub(super) struct FunctionStage<T: Element> {
    function: RowFunction,
    level: Level,
    outputs: Outputs<T>,
}

impl<T: Element> FunctionStage<T> {
    /// For `rows` rows of `units` elements.
    pub(super) fn new(
        level: Level,
        function: RowFunction,
        rows: usize,
        units: usize,
    ) -> Result<Self> {
        Ok(Self { function, level, outputs: Outputs::new(rows, units)? })
    }
}

impl<T: Element> Stage<T> for FunctionStage<T> {
    fn input_size(&self) -> usize {
        self.outputs.units
    }

    fn output_size(&self) -> usize {
        self.outputs.units
    }

    fn advance(&mut self, inputs: &[T], _stride: usize, _idle: &mut Idle) {
        let (function, units, stride) = (self.function, self.outputs.units, self.outputs.stride);
        let values = &mut *self.outputs.values;
        values.copy_from_slice(&inputs[..values.len()]);
        T::dispatch(self.level, ApplyToRows { function, values, stride, units });
    }

    fn outputs(&self) -> (&[T], usize) {
        self.outputs.get()
    }
}
