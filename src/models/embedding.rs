//! An Embedding at the head of a graph.

use super::node::{Draws, Masks, Node, Passed, Passing, Shape};
use crate::error::Result;
use crate::layers::embedding::{gather, scatter};
use crate::layers::sequence::Engine;
use crate::machine::lists::{self, Listed};
use crate::machine::memory::Buffer;
use crate::machine::threads::Ask;

/// The layer: its weight is the matrix; inputs are ids, as numbers of `T`, which must hold them.
pub struct Embedding {
    features: usize,
    mask_zero: bool,
    sizes: Vec<usize>,
    ids: Vec<i64>,
}

impl Embedding {
    /// A layer of this many ids and features; with `mask_zero` the id 0 is a step that does not
    /// count.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn new([ids, features]: [usize; 2], mask_zero: bool) -> Result<Self> {
        let sizes = [ids.saturating_mul(features)].into_iter().listed()?;
        Ok(Self { features, mask_zero, sizes, ids: Vec::new() })
    }
}

impl<T: Engine> Node<T> for Embedding {
    fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    fn shape(&self, inputs: Shape) -> Result<Shape> {
        // Ids of a row lie side by side.
        let time = Shape { rows: 1, ..inputs }.elements()?;
        Ok(Shape { rows: inputs.rows, time, features: self.features })
    }

    fn masks(&self) -> Masks {
        if self.mask_zero { Masks::Begin } else { Masks::End }
    }

    fn make_mask(&self, _shape: Shape, inputs: &[T], mask: &mut [bool]) {
        for (mask, &id) in mask.iter_mut().zip(inputs) {
            *mask = id != T::ZERO;
        }
    }

    fn forward(
        &mut self,
        passing: &Passing<'_, T>,
        outputs: &mut [T],
        _draws: &mut Draws,
        _stop: Ask<'_>,
    ) -> Result<()> {
        if self.ids.len() != passing.inputs.len() {
            self.ids = lists::filled(0, passing.inputs.len())?;
        }
        for (id, &given) in self.ids.iter_mut().zip(passing.inputs) {
            *id = given.wide() as i64;
        }
        gather(&*passing.weights[0], self.features, &self.ids, outputs)
    }

    fn backward(
        &mut self,
        passed: Passed<'_, T>,
        gradients: &mut [Buffer<T>],
        _stop: Ask<'_>,
    ) -> Result<()> {
        scatter(&self.ids, passed.d_outputs, self.features, &mut gradients[0])?;
        // An output has no derivative with respect to an id.
        if let Some(d_inputs) = passed.d_inputs {
            d_inputs.fill(T::ZERO);
        }
        Ok(())
    }
}
