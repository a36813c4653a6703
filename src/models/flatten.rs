//! Layers of a chain that change the shape alone.

use super::node::{Draws, Masks, Node, Passed, Passing, Shape};
use crate::error::Result;
use crate::layers::sequence::Engine;
use crate::machine::memory::Buffer;
use crate::machine::threads::Ask;

/// All steps of a row side by side.
pub struct Flatten;

impl<T: Engine> Node<T> for Flatten {
    fn shape(&self, inputs: Shape) -> Result<Shape> {
        let features = Shape { rows: 1, ..inputs }.elements()?;
        Ok(Shape { time: 1, features, ..inputs })
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
