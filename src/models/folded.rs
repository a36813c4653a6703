//! A layer in a graph that sees each step of its inputs as a sample of its own.

use super::node::{Draws, Masks, Node, Passed, Passing, Shape};
use crate::error::{Error, Result};
use crate::layers::sequence::Engine;
use crate::machine::memory::Buffer;
use crate::machine::threads::Ask;

/// A layer whose samples are `time` steps each: a value of `[rows, steps, time, features]` is given
/// as `[rows, steps * time, features]`.
pub struct Folded<T: Engine> {
    inner: Box<dyn Node<T>>,
    time: usize,
}

impl<T: Engine> Folded<T> {
    /// The layer for samples of `time` steps.
    ///
    /// # Errors
    /// If `time` is zero.
    pub fn new(inner: Box<dyn Node<T>>, time: usize) -> Result<Self> {
        if time == 0 {
            return Err(Error::value("time", "a positive integer", time));
        }
        Ok(Self { inner, time })
    }

    /// The shape of the inputs as the layer sees them.
    fn folded(&self, shape: Shape) -> Result<Shape> {
        if !shape.time.is_multiple_of(self.time) {
            let expected = format!("a multiple of {} steps", self.time);
            return Err(Error::value("inputs", expected, shape.axes()));
        }
        let rows = shape.rows.checked_mul(shape.time / self.time);
        Ok(Shape { rows: rows.ok_or(Error::Memory(usize::MAX))?, time: self.time, ..shape })
    }
}

impl<T: Engine> Node<T> for Folded<T> {
    fn sizes(&self) -> &[usize] {
        self.inner.sizes()
    }

    fn shape(&self, inputs: Shape) -> Result<Shape> {
        let made = self.inner.shape(self.folded(inputs)?)?;
        Ok(Shape { rows: inputs.rows, time: inputs.time / self.time * made.time, ..made })
    }

    fn masks(&self) -> Masks {
        Masks::End
    }

    fn begin(&mut self) {
        self.inner.begin();
    }

    fn pack(&mut self, weights: &[&mut [T]]) -> Result<()> {
        self.inner.pack(weights)
    }

    fn forward(
        &mut self,
        passing: &Passing<'_, T>,
        outputs: &mut [T],
        draws: &mut Draws,
        stop: Ask<'_>,
    ) -> Result<()> {
        let Passing { shape, inputs, more, weights, masks, keep, training, .. } = *passing;
        let shape = self.folded(shape)?;
        let folded = Passing { shape, inputs, more, weights, mask: None, masks, keep, training };
        self.inner.forward(&folded, outputs, draws, stop)
    }

    fn backward(
        &mut self,
        passed: Passed<'_, T>,
        gradients: &mut [Buffer<T>],
        stop: Ask<'_>,
    ) -> Result<()> {
        let shape = self.folded(passed.shape)?;
        self.inner.backward(Passed { shape, mask: None, ..passed }, gradients, stop)
    }

    fn follow(&mut self, weights: &mut [&mut [T]]) {
        self.inner.follow(weights);
    }
}
