//! A Dense layer, one step at a time: the memory of its outputs is reserved once.

use std::ops::Range;
use std::sync::Arc;

use super::weights::Weights;
use crate::error::Result;
use crate::kernels::activation::Activation;
use crate::kernels::pack::row_stride;
use crate::kernels::product::{Product, Start};
use crate::kernels::row_function::{ApplyToRows, RowFunction};
use crate::machine::memory::Buffer;
use crate::machine::simd::Element;
use crate::machine::threads::{MOST_PIECES, Team, worth_step};

/// Blocks of columns of a piece at least: those that a product computes together.
const BLOCKS: usize = 4;

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

    /// Computes the outputs for rows of inputs that are `stride` elements apart: those of a single row
    /// on several threads, if they are many.
    pub fn advance(&mut self, inputs: &[T], stride: usize) {
        let weights = &*self.weights;
        let single = self.outputs.len() == self.stride;
        let work = weights.features.saturating_mul(weights.units * size_of::<T>());
        match if single { worth_step(work) } else { 1 } {
            1 => weights.multiply(inputs, stride, &mut self.outputs, self.stride),
            threads => self.advance_on(&mut Team::gather(threads), inputs, stride),
        }
    }

    #[cold]
    fn advance_on(&mut self, team: &mut Team, inputs: &[T], stride: usize) {
        let weights = &*self.weights;
        let (blocks, lanes) = (weights.kernel.blocks(), weights.level.lanes::<T>());
        let size = blocks.div_ceil(team.pieces()).next_multiple_of(BLOCKS);
        let ranges = (0..blocks).step_by(size).map(|first| first..blocks.min(first + size));
        let mut rest = ranges.zip(self.outputs.chunks_mut(size * lanes));
        let mut pieces: [_; MOST_PIECES] = std::array::from_fn(|_| rest.next());
        team.for_each(&mut pieces[..blocks.div_ceil(size)], |_, piece| {
            if let Some((blocks, out)) = piece {
                let units = out.len();
                weights.multiply_blocks(blocks.clone(), (inputs, stride), out, units);
            }
        });
    }
}

impl<T: Element> Weights<T> {
    /// The layer's outputs for rows of inputs that are `stride` elements apart, as many as fit into
    /// `out`: aligned rows of whole vectors, `out_stride` elements apart.
    pub(crate) fn multiply(&self, inputs: &[T], stride: usize, out: &mut [T], out_stride: usize) {
        self.multiply_blocks(0..self.kernel.blocks(), (inputs, stride), out, out_stride);
    }

    /// As [`Self::multiply`], for some blocks of columns.
    fn multiply_blocks(
        &self,
        blocks: Range<usize>,
        (inputs, stride): (&[T], usize),
        out: &mut [T],
        out_stride: usize,
    ) {
        let start = self.bias.as_ref().map_or(Start::Zero, |bias| Start::Bias(bias));
        let lanes = self.level.lanes::<T>();
        let units = self.units.min(blocks.end * lanes) - blocks.start * lanes;
        let rows = (inputs, stride, out.len() / out_stride);
        let product = Product::of(rows, &self.kernel, (out, out_stride / lanes));
        T::dispatch(self.level, Product { blocks, start, ..product });
        if self.activation != Activation::Linear {
            let function = RowFunction::Each(self.activation);
            let (values, stride) = (out, out_stride);
            T::dispatch(self.level, ApplyToRows { function, values, stride, units });
        }
    }
}
