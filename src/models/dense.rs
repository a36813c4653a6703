//! A Dense layer in a graph.

use super::node::{Draws, Node, Passed, Passing, Shape, expect_features, packed, sized};
use crate::error::Result;
use crate::kernels::activation::Activation;
use crate::layers::dense::{Seeds, Weights, backward, forward};
use crate::layers::sequence::Engine;
use crate::machine::lists::Listed;
use crate::machine::memory::{Buffer, View, ViewMut};
use crate::machine::threads::Ask;

/// The layer: weights are kernel and bias.
pub struct Dense<T: Engine> {
    activation: Activation,
    features: usize,
    units: usize,
    sizes: Vec<usize>,
    weights: Option<Weights<T>>,
    /// The sums before an activation that keeps them.
    sums: Buffer<T>,
}

impl<T: Engine> Dense<T> {
    /// A layer without weights yet.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn new(activation: Activation, features: usize, units: usize, bias: bool) -> Result<Self> {
        let sizes = [Some(features.saturating_mul(units)), bias.then_some(units)];
        let sizes = sizes.into_iter().flatten().listed()?;
        Ok(Self { activation, features, units, sizes, weights: None, sums: Buffer::default() })
    }

    /// All steps of all rows, one after the other.
    fn axes(&self, shape: Shape) -> ([usize; 3], [usize; 3]) {
        let rows = shape.rows * shape.time;
        ([rows, 1, self.features], [rows, 1, self.units])
    }
}

impl<T: Engine> Node<T> for Dense<T> {
    fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    fn shape(&self, inputs: Shape) -> Result<Shape> {
        expect_features(self.features, inputs)?;
        Ok(Shape { features: self.units, ..inputs })
    }

    fn pack(&mut self, weights: &[&mut [T]]) -> Result<()> {
        let bias = weights.get(1).map(|bias| &**bias);
        let sizes = [self.features, self.units];
        self.weights = None; // so that its memory serves the new ones
        self.weights = Some(Weights::new(None, self.activation, sizes, weights[0], bias)?);
        Ok(())
    }

    fn forward(
        &mut self,
        passing: &Passing<'_, T>,
        outputs: &mut [T],
        _draws: &mut Draws,
        stop: Ask<'_>,
    ) -> Result<()> {
        let (from, to) = self.axes(passing.shape);
        let weights = packed(self.weights.as_ref())?;
        let sums = if passing.keep && weights.keeps_input() {
            sized(&mut self.sums, outputs.len())?;
            Some(ViewMut::contiguous(&mut self.sums, to)?)
        } else {
            None
        };
        let inputs = View::contiguous(passing.inputs, from)?;
        forward(weights, inputs, ViewMut::contiguous(outputs, to)?, sums, stop)
    }

    fn backward(
        &mut self,
        passed: Passed<'_, T>,
        gradients: &mut [Buffer<T>],
        stop: Ask<'_>,
    ) -> Result<()> {
        let (from, to) = self.axes(passed.shape);
        let weights = packed(self.weights.as_ref())?;
        let kept = if weights.keeps_input() { &self.sums[..] } else { passed.outputs };
        let seeds = Seeds {
            inputs: View::contiguous(passed.inputs, from)?,
            kept: View::contiguous(kept, to)?,
            d_outputs: View::contiguous(passed.d_outputs, to)?,
        };
        let d_inputs = passed.d_inputs.map(|d| ViewMut::contiguous(d, from)).transpose()?;
        let [d_kernel, d_bias @ ..] = gradients else {
            unreachable!("one kernel at least, see `new`")
        };
        let d_bias = d_bias.first_mut().map(|d| &mut d[..]);
        backward(weights, seeds, d_inputs, d_kernel, d_bias, stop)
    }
}
