//! A convolution over time in a graph.

use super::dense::Dense;
use super::node::{Draws, Masks, Node, Passed, Passing, Shape, expect_features, sized};
use super::windows::Windows;
use crate::error::{Error, Result};
use crate::kernels::activation::Activation;
use crate::layers::sequence::Engine;
use crate::machine::memory::Buffer;
use crate::machine::threads::Ask;

/// The layer: a Dense layer applied to windows.
pub struct Convolution<T: Engine> {
    windows: Windows,
    features: usize,
    dense: Dense<T>,
    gathered: Buffer<T>,
    d_gathered: Buffer<T>,
}

impl<T: Engine> Convolution<T> {
    /// A layer without weights yet, of this many features and filters.
    ///
    /// # Errors
    /// If there are none, or if memory runs out.
    pub fn new(
        windows: Windows,
        activation: Activation,
        [features, filters]: [usize; 2],
        bias: bool,
    ) -> Result<Self> {
        if features == 0 || filters == 0 {
            let received = [features, filters];
            return Err(Error::value("kernel", "at least one feature and one filter", received));
        }
        let dense = Dense::new(activation, windows.size().saturating_mul(features), filters, bias)?;
        let (gathered, d_gathered) = (Buffer::default(), Buffer::default());
        Ok(Self { windows, features, dense, gathered, d_gathered })
    }

    /// The shape of the gathered windows.
    fn gathered(&self, shape: Shape) -> Result<Shape> {
        let time = self.windows.over(shape.time)?.count;
        let features = self.windows.size().saturating_mul(shape.features);
        Ok(Shape { rows: shape.rows, time, features })
    }
}

impl<T: Engine> Node<T> for Convolution<T> {
    fn sizes(&self) -> &[usize] {
        self.dense.sizes()
    }

    fn shape(&self, inputs: Shape) -> Result<Shape> {
        expect_features(self.features, inputs)?;
        self.dense.shape(self.gathered(inputs)?)
    }

    fn masks(&self) -> Masks {
        Masks::End
    }

    fn pack(&mut self, weights: &[&mut [T]]) -> Result<()> {
        self.dense.pack(weights)
    }

    fn forward(
        &mut self,
        passing: &Passing<'_, T>,
        outputs: &mut [T],
        draws: &mut Draws,
        stop: Ask<'_>,
    ) -> Result<()> {
        let over = self.windows.over(passing.shape.time)?;
        over.gather(passing.shape, passing.inputs, &mut self.gathered)?;
        let shape = self.gathered(passing.shape)?;
        let passing = Passing { shape, inputs: &self.gathered, ..*passing };
        self.dense.forward(&passing, outputs, draws, stop)
    }

    fn backward(
        &mut self,
        passed: Passed<'_, T>,
        gradients: &mut [Buffer<T>],
        stop: Ask<'_>,
    ) -> Result<()> {
        let Passed { shape, outputs, d_outputs, d_inputs, .. } = passed;
        if d_inputs.is_some() {
            sized(&mut self.d_gathered, self.gathered.len())?;
        }
        let of_windows = Passed {
            shape: self.gathered(shape)?,
            inputs: &self.gathered,
            more: &[],
            outputs,
            mask: None,
            d_outputs,
            d_inputs: d_inputs.is_some().then_some(&mut self.d_gathered[..]),
            d_more: &mut [],
        };
        self.dense.backward(of_windows, gradients, stop)?;
        if let Some(d_inputs) = d_inputs {
            self.windows.over(shape.time)?.sum_up(shape, &self.d_gathered, d_inputs)?;
        }
        Ok(())
    }
}
