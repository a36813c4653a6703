//! A `LayerNormalization` or `RMSNormalization` over the features in a graph.

use super::node::{Draws, Node, Passed, Passing, Shape, expect_features, packed, sized};
use crate::error::Result;
use crate::layers::normalization::{KEPT, Seeds, Weights, backward, forward};
use crate::layers::sequence::Engine;
use crate::machine::lists::Listed;
use crate::machine::memory::Buffer;
use crate::machine::threads::Ask;

/// The layer: weights are scale and shift, if it has them.
pub struct Normalization<T: Engine> {
    features: usize,
    /// What is added to the variance, and whether rows are centered.
    how: (f64, bool),
    scale: bool,
    shift: bool,
    sizes: Vec<usize>,
    weights: Option<Weights<T>>,
    kept: Buffer<T>,
}

impl<T: Engine> Normalization<T> {
    /// A layer without weights yet, see [`Weights::new`].
    ///
    /// # Errors
    /// If memory runs out.
    pub fn new(features: usize, how: (f64, bool), scale: bool, shift: bool) -> Result<Self> {
        let sizes = [scale, shift].into_iter().filter(|&there| there).map(|_| features).listed()?;
        let (weights, kept) = (None, Buffer::default());
        Ok(Self { features, how, scale, shift, sizes, weights, kept })
    }
}

impl<T: Engine> Node<T> for Normalization<T> {
    fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    fn shape(&self, inputs: Shape) -> Result<Shape> {
        expect_features(self.features, inputs)?;
        Ok(inputs)
    }

    fn pack(&mut self, weights: &[&mut [T]]) -> Result<()> {
        let (gamma, beta) = weights.split_at(usize::from(self.scale));
        let (gamma, beta) =
            (gamma.first().map(|array| &**array), beta.first().map(|array| &**array));
        self.weights = None; // so that its memory serves the new ones
        self.weights = Some(Weights::new(None, self.features, self.how, gamma, beta)?);
        Ok(())
    }

    fn forward(
        &mut self,
        passing: &Passing<'_, T>,
        outputs: &mut [T],
        _draws: &mut Draws,
        _stop: Ask<'_>,
    ) -> Result<()> {
        let weights = packed(self.weights.as_ref())?;
        let kept = if passing.keep {
            sized(&mut self.kept, KEPT * passing.shape.rows * passing.shape.time)?;
            Some(&mut self.kept[..])
        } else {
            None
        };
        forward(weights, passing.inputs, outputs, kept)
    }

    fn backward(
        &mut self,
        passed: Passed<'_, T>,
        gradients: &mut [Buffer<T>],
        _stop: Ask<'_>,
    ) -> Result<()> {
        let weights = packed(self.weights.as_ref())?;
        let (d_gamma, d_beta) = gradients.split_at_mut(usize::from(self.scale));
        let Passed { inputs, d_outputs, d_inputs, .. } = passed;
        let seeds = Seeds { inputs, kept: &self.kept, d_outputs };
        let d_gamma = d_gamma.first_mut().map(|d| &mut d[..]);
        let d_beta = d_beta.first_mut().filter(|_| self.shift).map(|d| &mut d[..]);
        backward(weights, seeds, d_inputs, d_gamma, d_beta)
    }
}
