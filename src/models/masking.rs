//! Masking in a graph.

use super::node::{Draws, Masks, Node, Passed, Passing, Shape};
use crate::error::Result;
use crate::layers::sequence::Engine;
use crate::machine::memory::Buffer;
use crate::machine::threads::Ask;

/// The layer: steps whose features all equal a value do not count, and are set to zero.
pub struct Masking(pub f64);

impl Masking {
    /// `to = from` where the steps of `inputs` count, else zero.
    fn keep<T: Engine>(&self, features: usize, inputs: &[T], from: &[T], to: &mut [T]) {
        let value = T::of(self.0);
        let steps = inputs.chunks_exact(features.max(1)).zip(from.chunks_exact(features.max(1)));
        for (to, (step, from)) in to.chunks_exact_mut(features.max(1)).zip(steps) {
            if step.iter().any(|&x| x != value) {
                to.copy_from_slice(from);
            } else {
                to.fill(T::ZERO);
            }
        }
    }
}

impl<T: Engine> Node<T> for Masking {
    fn shape(&self, inputs: Shape) -> Result<Shape> {
        Ok(inputs)
    }

    fn masks(&self) -> Masks {
        Masks::Begin
    }

    fn make_mask(&self, shape: Shape, inputs: &[T], mask: &mut [bool]) {
        let value = T::of(self.0);
        for (mask, step) in mask.iter_mut().zip(inputs.chunks_exact(shape.features.max(1))) {
            *mask = step.iter().any(|&x| x != value);
        }
    }

    fn forward(
        &mut self,
        passing: &Passing<'_, T>,
        outputs: &mut [T],
        _draws: &mut Draws,
        _stop: Ask<'_>,
    ) -> Result<()> {
        self.keep(passing.shape.features, passing.inputs, passing.inputs, outputs);
        Ok(())
    }

    fn backward(
        &mut self,
        passed: Passed<'_, T>,
        _gradients: &mut [Buffer<T>],
        _stop: Ask<'_>,
    ) -> Result<()> {
        if let Some(d_inputs) = passed.d_inputs {
            self.keep(passed.shape.features, passed.inputs, passed.d_outputs, d_inputs);
        }
        Ok(())
    }
}
