//! What a layer of a chain is.

use crate::error::{Error, Result};
use crate::layers::sequence::Engine;
use crate::machine::memory::Buffer;
use crate::machine::threads::Ask;

/// Of a value between two layers, `[rows, time, features]`; values without time have one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Samples.
    pub rows: usize,
    /// Steps.
    pub time: usize,
    /// Numbers of a step.
    pub features: usize,
}

impl Shape {
    /// The number of elements.
    ///
    /// # Errors
    /// If they cannot be addressed.
    pub fn elements(self) -> Result<usize> {
        let steps = self.rows.checked_mul(self.time);
        steps.and_then(|n| n.checked_mul(self.features)).ok_or(Error::Memory(usize::MAX))
    }

    /// As the shape of a view.
    #[must_use]
    pub fn axes(self) -> [usize; 3] {
        [self.rows, self.time, self.features]
    }
}

/// What backward reads and writes, `[rows, time, features]` each, and the shape of the inputs.
pub struct Passed<'a, T> {
    /// The shape of the inputs.
    pub shape: Shape,
    /// What forward read.
    pub inputs: &'a [T],
    /// What forward wrote.
    pub outputs: &'a [T],
    /// The gradient by the outputs.
    pub d_outputs: &'a [T],
    /// The gradient by the inputs, if wanted.
    pub d_inputs: Option<&'a mut [T]>,
}

/// A layer: its weights are the caller's, what it needs between forward and backward is its own.
pub trait Node<T: Engine>: Send {
    /// The number of elements of each weight.
    fn sizes(&self) -> &[usize];

    /// The shape of the outputs for inputs of some shape.
    ///
    /// # Errors
    /// If the layer does not take such inputs.
    fn shape(&self, inputs: Shape) -> Result<Shape>;

    /// Takes the weights as they are now, C-contiguous, of [`Node::sizes`].
    ///
    /// # Errors
    /// If memory runs out.
    fn pack(&mut self, weights: &[&mut [T]]) -> Result<()>;

    /// Computes all of `outputs`; with `keep`, holds what backward wants.
    ///
    /// # Errors
    /// If memory runs out, or if `stop` said so.
    fn forward(
        &mut self,
        shape: Shape,
        inputs: &[T],
        outputs: &mut [T],
        keep: bool,
        stop: Ask<'_>,
    ) -> Result<()>;

    /// Writes the gradients by the weights and, if wanted, by the inputs.
    ///
    /// # Errors
    /// If memory runs out, or if `stop` said so.
    fn backward(
        &mut self,
        passed: Passed<'_, T>,
        gradients: &mut [Buffer<T>],
        stop: Ask<'_>,
    ) -> Result<()>;
}

/// What there must be at this time: a fault of the caller's order of calls else.
pub(super) fn packed<V>(given: Option<V>) -> Result<V> {
    given.ok_or_else(|| Error::value("weights", "weights packed before a step", "none"))
}

/// Refuses another number of features.
pub(super) fn expect_features(expected: usize, inputs: Shape) -> Result<()> {
    if inputs.features == expected {
        return Ok(());
    }
    let Shape { rows, time, .. } = inputs;
    Err(Error::shape("inputs", [rows, time, expected], inputs.axes()))
}
