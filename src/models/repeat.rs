//! Steps repeated over time.

use super::columns::sums;
use super::node::{Draws, Masks, Node, Passed, Passing, Shape};
use crate::error::{Error, Result};
use crate::layers::sequence::Engine;
use crate::machine::memory::Buffer;
use crate::machine::threads::Ask;

/// The layer: each step this many times.
pub struct Repeat(pub usize);

impl<T: Engine> Node<T> for Repeat {
    fn shape(&self, inputs: Shape) -> Result<Shape> {
        let time = inputs.time.checked_mul(self.0).ok_or(Error::Memory(usize::MAX))?;
        Ok(Shape { time, ..inputs })
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
        let features = passing.shape.features.max(1);
        let rows = passing.inputs.chunks_exact(features);
        for (row, to) in rows.zip(outputs.chunks_exact_mut((features * self.0).max(1))) {
            to.chunks_exact_mut(features).for_each(|to| to.copy_from_slice(row));
        }
        Ok(())
    }

    fn backward(
        &mut self,
        passed: Passed<'_, T>,
        _gradients: &mut [Buffer<T>],
        _stop: Ask<'_>,
    ) -> Result<()> {
        let features = passed.shape.features.max(1);
        let Some(d_inputs) = passed.d_inputs else { return Ok(()) };
        let steps = passed.d_outputs.chunks_exact((features * self.0).max(1));
        for (to, steps) in d_inputs.chunks_exact_mut(features).zip(steps) {
            sums(steps, to);
        }
        Ok(())
    }
}
