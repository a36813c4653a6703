//! Layers in a graph that change the shape, or the order of a row's elements.

use super::node::{Draws, Masks, Node, Passed, Passing, Shape};
use crate::error::{Error, Result};
use crate::layers::products::transpose;
use crate::layers::sequence::Engine;
use crate::machine::memory::Buffer;
use crate::machine::simd::Element;
use crate::machine::threads::Ask;

/// The layer.
pub enum Reshape {
    /// The numbers of steps and of features; one that is None follows from the other. Without either,
    /// all steps of a row are side by side.
    Into(Option<usize>, Option<usize>),
    /// Steps and features change places.
    Swap,
}

/// Writes the rows' matrices, or if `swap` the transposes of matrices of so many columns.
fn copy<T: Element>(swap: bool, (shape, columns): (Shape, usize), from: &[T], to: &mut [T]) {
    if !swap {
        to.copy_from_slice(from);
        return;
    }
    let each = (shape.time * shape.features).max(1);
    for (from, to) in from.chunks_exact(each).zip(to.chunks_exact_mut(each)) {
        transpose(from, columns, each / columns, to);
    }
}

impl<T: Engine> Node<T> for Reshape {
    fn shape(&self, inputs: Shape) -> Result<Shape> {
        let of_row = Shape { rows: 1, ..inputs }.elements()?;
        let left = |known: usize| of_row.checked_div(known).unwrap_or(0);
        let (time, features) = match *self {
            Self::Swap => (inputs.features, inputs.time),
            Self::Into(None, None) => (1, of_row),
            Self::Into(Some(time), None) => (time, left(time)),
            Self::Into(None, Some(features)) => (left(features), features),
            Self::Into(Some(time), Some(features)) => (time, features),
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
        let Passing { shape, inputs, .. } = *passing;
        copy(matches!(self, Self::Swap), (shape, shape.features), inputs, outputs);
        Ok(())
    }

    fn backward(
        &mut self,
        passed: Passed<'_, T>,
        _gradients: &mut [Buffer<T>],
        _stop: Ask<'_>,
    ) -> Result<()> {
        let Passed { shape, d_outputs, d_inputs, .. } = passed;
        if let Some(d_inputs) = d_inputs {
            copy(matches!(self, Self::Swap), (shape, shape.time), d_outputs, d_inputs);
        }
        Ok(())
    }
}
