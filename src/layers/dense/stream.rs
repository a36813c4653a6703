//! A Dense layer, one step at a time: the memory of its outputs is reserved once.

use std::sync::Arc;

use super::weights::{Weights, multiply};
use crate::error::Result;
use crate::kernels::activation::Activation;
use crate::kernels::pack::row_stride;
use crate::kernels::product::Start;
use crate::kernels::row_function::{ApplyToRows, RowFunction};
use crate::machine::memory::Buffer;
use crate::machine::simd::Element;

/// A Dense layer and its last outputs, for some rows at once.
pub struct DenseStage<T: Element> {
    weights: Arc<Weights<T>>,
    stride: usize,
    outputs: Buffer<T>,
}

impl<T: Element> DenseStage<T> {
    /// For `rows` rows.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn new(weights: Arc<Weights<T>>, rows: usize) -> Result<Self> {
        let stride = row_stride(weights.units);
        Ok(Self { stride, outputs: Buffer::zeroed(rows * stride)?, weights })
    }

    /// The weights.
    #[must_use]
    pub fn weights(&self) -> &Weights<T> {
        &self.weights
    }

    /// The outputs of the last step, and the elements between two rows.
    #[must_use]
    pub fn outputs(&self) -> (&[T], usize) {
        (&self.outputs, self.stride)
    }

    /// Computes the outputs for rows of inputs that are `stride` elements apart.
    pub fn advance(&mut self, inputs: &[T], stride: usize) {
        self.weights.multiply(inputs, stride, &mut self.outputs, self.stride);
    }
}

impl<T: Element> Weights<T> {
    /// The layer's outputs for rows of inputs that are `stride` elements apart, as many as fit into
    /// `out`: aligned rows of whole vectors, `out_stride` elements apart.
    pub(crate) fn multiply(&self, inputs: &[T], stride: usize, out: &mut [T], out_stride: usize) {
        let start = self.bias.as_ref().map_or(Start::Zero, |bias| Start::Bias(bias));
        multiply(self.level, inputs, stride, &self.kernel, out, out_stride, start);
        if self.activation != Activation::Linear {
            let function = RowFunction::Each(self.activation);
            let (values, stride, units) = (out, out_stride, self.units);
            T::dispatch(self.level, ApplyToRows { function, values, stride, units });
        }
    }
}
