//! Dropout in a graph.

use super::node::{Draws, Node, Passed, Passing, Shape, sized};
use crate::error::Result;
use crate::layers::sequence::Engine;
use crate::machine::memory::Buffer;
use crate::machine::simd::Element;
use crate::machine::threads::Ask;
use crate::training::dropout::dropout_mask;

/// How entries are dropped.
#[derive(Clone, Copy, Debug)]
pub struct Drop {
    /// The number of the generator.
    pub generator: usize,
    /// A random number of 32 bits below this drops an entry.
    pub threshold: u64,
    /// What the others are multiplied by; 0 where every entry is dropped.
    pub scale: f64,
}

impl Drop {
    /// Draws a mask.
    pub(super) fn draw<T: Element>(self, draws: &mut Draws, mask: &mut [T]) -> Result<()> {
        let (seed, call) = draws.next(self.generator)?;
        if self.scale == 0.0 {
            mask.fill(T::ZERO);
        } else {
            dropout_mask(seed, call, self.threshold, T::of(self.scale), mask);
        }
        Ok(())
    }
}

/// The layer: entries are dropped in training, one by one or features over all steps at once.
pub struct Dropout<T: Engine> {
    drop: Drop,
    spatial: bool,
    /// The mask of the last call in training; empty after another call.
    mask: Buffer<T>,
}

impl<T: Engine> Dropout<T> {
    /// A layer that drops entries, or with `spatial` whole features.
    #[must_use]
    pub fn new(drop: Drop, spatial: bool) -> Self {
        Self { drop, spatial, mask: Buffer::default() }
    }

    /// `to = from * mask`.
    fn multiply(&self, shape: Shape, from: &[T], to: &mut [T]) {
        if self.mask.is_empty() {
            to.copy_from_slice(from);
            return;
        }
        // A mask of features is drawn once for each row, and applies to each of its steps.
        let width = if self.spatial { shape.features } else { shape.time * shape.features };
        let each = shape.time * shape.features;
        let rows = to.chunks_exact_mut(each.max(1)).zip(from.chunks_exact(each.max(1)));
        for ((to, from), mask) in rows.zip(self.mask.chunks_exact(width.max(1))) {
            for (to, from) in to.chunks_exact_mut(width).zip(from.chunks_exact(width)) {
                for ((to, &from), &mask) in to.iter_mut().zip(from).zip(mask) {
                    *to = from * mask;
                }
            }
        }
    }
}

impl<T: Engine> Node<T> for Dropout<T> {
    fn shape(&self, inputs: Shape) -> Result<Shape> {
        Ok(inputs)
    }

    fn forward(
        &mut self,
        passing: &Passing<'_, T>,
        outputs: &mut [T],
        draws: &mut Draws,
        _stop: Ask<'_>,
    ) -> Result<()> {
        let shape = passing.shape;
        if passing.training {
            let time = if self.spatial { 1 } else { shape.time };
            sized(&mut self.mask, Shape { time, ..shape }.elements()?)?;
            self.drop.draw(draws, &mut self.mask)?;
        } else {
            self.mask = Buffer::default();
        }
        self.multiply(shape, passing.inputs, outputs);
        Ok(())
    }

    fn backward(
        &mut self,
        passed: Passed<'_, T>,
        _gradients: &mut [Buffer<T>],
        _stop: Ask<'_>,
    ) -> Result<()> {
        if let Some(d_inputs) = passed.d_inputs {
            self.multiply(passed.shape, passed.d_outputs, d_inputs);
        }
        Ok(())
    }
}
