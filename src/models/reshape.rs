//! Layers in a graph that only change the shape.

use super::node::{Draws, Masks, Node, Passed, Passing, Shape};
use crate::error::{Error, Result};
use crate::layers::sequence::Engine;
use crate::machine::memory::Buffer;
use crate::machine::threads::Ask;

/// The layer: the numbers of steps and of features; one that is None follows from the other.
/// Without either, all steps of a row are side by side.
pub struct Reshape(pub Option<usize>, pub Option<usize>);

impl<T: Engine> Node<T> for Reshape {
    fn shape(&self, inputs: Shape) -> Result<Shape> {
        let of_row = Shape { rows: 1, ..inputs }.elements()?;
        let left = |known: usize| of_row.checked_div(known).unwrap_or(0);
        let (time, features) = match (self.0, self.1) {
            (None, None) => (1, of_row),
            (Some(time), None) => (time, left(time)),
            (None, Some(features)) => (left(features), features),
            (Some(time), Some(features)) => (time, features),
        };
        let made = Shape { time, features, ..inputs };
        if time.checked_mul(features) != Some(of_row) {
            return Err(Error::shape("inputs", made.axes(), inputs.axes()));
        }
        Ok(made)
    }

    fn masks(&self) -> Masks {
        Masks::End
    }

    fn forward(
        &mut self,
        passing: &Passing<'_, T>,
        outputs: &mut [T],
        _draws: &mut Draws,
        _stop: Ask<'_>,
    ) -> Result<()> {
        outputs.copy_from_slice(passing.inputs);
        Ok(())
    }

    fn backward(
        &mut self,
        passed: Passed<'_, T>,
        _gradients: &mut [Buffer<T>],
        _stop: Ask<'_>,
    ) -> Result<()> {
        if let Some(d_inputs) = passed.d_inputs {
            d_inputs.copy_from_slice(passed.d_outputs);
        }
        Ok(())
    }
}
