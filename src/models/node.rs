//! What a layer is to a graph.

use crate::error::{Error, Result};
use crate::layers::sequence::Engine;
use crate::machine::memory::Buffer;
use crate::machine::simd::Element;
use crate::machine::threads::Ask;

/// The shape of a value between two layers, `[rows, time, features]`; values without time have one
/// step.
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

/// What forward reads.
pub struct Passing<'a, T> {
    /// The shape of the inputs.
    pub shape: Shape,
    /// The inputs, `[rows, time, features]`.
    pub inputs: &'a [T],
    /// What a layer of several inputs takes besides.
    pub more: &'a [(Shape, &'a [T])],
    /// The layer's weights.
    pub weights: &'a [&'a mut [T]],
    /// Which steps count, `[rows, time]`.
    pub mask: Option<&'a [bool]>,
    /// The same of what the layer takes besides.
    pub masks: &'a [Option<&'a [bool]>],
    /// Whether backward follows.
    pub keep: bool,
    /// Whether layers behave as in training.
    pub training: bool,
}

/// What backward reads and writes, `[rows, time, features]` each.
pub struct Passed<'a, T> {
    /// The shape of the inputs.
    pub shape: Shape,
    /// What forward read.
    pub inputs: &'a [T],
    /// What it read besides.
    pub more: &'a [(Shape, &'a [T])],
    /// What forward wrote.
    pub outputs: &'a [T],
    /// Which steps counted.
    pub mask: Option<&'a [bool]>,
    /// The gradient with respect to the outputs.
    pub d_outputs: &'a [T],
    /// The gradient with respect to the inputs, if wanted.
    pub d_inputs: Option<&'a mut [T]>,
    /// The gradients with respect to what it read besides, those that are wanted.
    pub d_more: &'a mut [Option<&'a mut [T]>],
}

/// What becomes of the mask that comes with the inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masks {
    /// It stays with the outputs.
    Stay,
    /// It ends here.
    End,
    /// The layer makes one, whatever there was before.
    Begin,
    /// A step counts if it does in at least one value; a value without a mask counts everywhere, or
    /// there is no mask then, see `all`.
    Meet {
        /// Whether there is a mask only if all values have one.
        all: bool,
    },
}

/// The random generators: for each its seed and the number of its next call.
#[derive(Default)]
pub struct Draws(pub Vec<(u64, u64)>);

impl Draws {
    /// The seed of a generator, and the number of a call that nobody else gets.
    ///
    /// # Errors
    /// If there is no such generator.
    pub fn next(&mut self, generator: usize) -> Result<(u64, u64)> {
        let count = self.0.len();
        let Some((seed, call)) = self.0.get_mut(generator) else {
            return Err(Error::value("draws", format!("more than {generator} generators"), count));
        };
        *call += 1;
        Ok((*seed, *call - 1))
    }
}

/// A layer: its weights are the caller's, what it needs between forward and backward is its own.
pub trait Node<T: Engine>: Send {
    /// The number of elements of each weight.
    fn sizes(&self) -> &[usize] {
        &[]
    }

    /// The shape of the outputs for inputs of some shape.
    ///
    /// # Errors
    /// If the layer does not take such inputs.
    fn shape(&self, inputs: Shape) -> Result<Shape>;

    /// The shape of the outputs for several inputs, which most layers do not take.
    ///
    /// # Errors
    /// If the layer does not take such inputs.
    fn joined(&self, inputs: &[Shape]) -> Result<Shape> {
        Err(Error::value("inputs", "one array", inputs.len()))
    }

    /// How many values the layer gives besides its outputs.
    fn besides(&self) -> usize {
        0
    }

    /// The shape of what the layer gives besides.
    ///
    /// # Errors
    /// If the layer does not take such inputs.
    fn shape_besides(&self, number: usize, _inputs: &[Shape]) -> Result<Shape> {
        Err(Error::value("outputs", "number 0, the layer's only output", 1 + number))
    }

    /// Writes what it gives besides, after [`Node::forward`].
    ///
    /// # Errors
    /// If they cannot be read.
    fn give(&mut self, _number: usize, _to: &mut [T]) -> Result<()> {
        Ok(())
    }

    /// Takes the gradient with respect to what it gave besides, before [`Node::backward`].
    ///
    /// # Errors
    /// If memory runs out.
    fn take(&mut self, _number: usize, _slopes: &[T]) -> Result<()> {
        Ok(())
    }

    /// What becomes of a mask.
    fn masks(&self) -> Masks {
        Masks::Stay
    }

    /// Writes the mask that the layer makes.
    fn make_mask(&self, _shape: Shape, _inputs: &[T], _mask: &mut [bool]) {}

    /// Tells the layer that a call begins: what the engine does not own may have changed since the
    /// last one.
    fn begin(&mut self) {}

    /// Takes the weights as they are now, C-contiguous, of [`Node::sizes`].
    ///
    /// # Errors
    /// If memory runs out.
    fn pack(&mut self, _weights: &[&mut [T]]) -> Result<()> {
        Ok(())
    }

    /// Computes all of `outputs`.
    ///
    /// # Errors
    /// If memory runs out, or if `stop` said so.
    fn forward(
        &mut self,
        passing: &Passing<'_, T>,
        outputs: &mut [T],
        draws: &mut Draws,
        stop: Ask<'_>,
    ) -> Result<()>;

    /// Writes the gradients with respect to the weights and, if wanted, by the inputs.
    ///
    /// # Errors
    /// If memory runs out, or if `stop` said so.
    fn backward(
        &mut self,
        passed: Passed<'_, T>,
        gradients: &mut [Buffer<T>],
        stop: Ask<'_>,
    ) -> Result<()>;

    /// Moves weights that follow the batch of a step and not its gradient, when the step cannot fail any
    /// more.
    fn follow(&mut self, _weights: &mut [&mut [T]]) {}
}

/// Makes a buffer hold `len` elements; their values are arbitrary.
pub(super) fn sized<T: Element>(buffer: &mut Buffer<T>, len: usize) -> Result<()> {
    if buffer.len() != len {
        *buffer = Buffer::unfilled(len)?;
    }
    Ok(())
}

/// A value that must exist by now; if it does not, calls came in the wrong order.
pub(super) fn packed<V>(given: Option<V>) -> Result<V> {
    given.ok_or_else(|| Error::kind("weights", "weights packed before the step", "none"))
}

/// The shape itself, unless it has no features.
pub(super) fn some_features(inputs: Shape) -> Result<Shape> {
    if inputs.features == 0 {
        return Err(Error::value("inputs", "at least one feature", inputs.axes()));
    }
    Ok(inputs)
}

/// Refuses another number of features.
pub(super) fn expect_features(expected: usize, inputs: Shape) -> Result<()> {
    if inputs.features == expected {
        return Ok(());
    }
    let Shape { rows, time, .. } = inputs;
    Err(Error::shape("inputs", [rows, time, expected], inputs.axes()))
}
