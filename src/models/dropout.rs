//! Dropout and other noise in a graph.

use super::node::{Draws, Node, Passed, Passing, Shape, sized};
use crate::error::Result;
use crate::layers::sequence::Engine;
use crate::machine::memory::Buffer;
use crate::machine::simd::Element;
use crate::machine::threads::Ask;
use crate::training::dropout::dropout_mask;
use crate::training::normal::normal;

/// How entries are dropped.
#[derive(Clone, Copy, Debug)]
pub struct Drop {
    /// The number of the generator.
    pub generator: usize,
    /// A random number of 32 bits below this drops an entry.
    pub threshold: u64,
    /// What the others are multiplied by; 0 where every entry is dropped. Of normal numbers, their
    /// standard deviation.
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

/// What the layer does with what it draws.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Noise {
    /// Entries are dropped one by one.
    Entries,
    /// Features are dropped over all steps at once.
    Features,
    /// Entries that are dropped become a value, and one is added to the others.
    Alpha([f64; 2]),
    /// Normal numbers of the standard deviation `scale` are added.
    Added,
    /// They are multiplied by normal numbers of mean 1 and the standard deviation `scale`.
    Multiplied,
}

impl Noise {
    /// The factor of an entry, for which `drawn` was drawn, and what is added to the product.
    fn factor<T: Element>(self, drawn: T, scale: T) -> (T, T) {
        match self {
            Self::Alpha([dropped, _]) if drawn == T::ZERO => (T::ZERO, T::of(dropped)),
            Self::Alpha([_, shift]) => (scale, T::of(shift)),
            Self::Added => (T::ONE, drawn),
            _ => (T::ONE + drawn, T::ZERO),
        }
    }
}

/// The layer, which does something in training only.
pub struct Dropout<T: Engine> {
    drop: Drop,
    noise: Noise,
    /// What was multiplied by in the last call in training; empty after another call.
    mask: Buffer<T>,
}

impl<T: Engine> Dropout<T> {
    /// A layer of this noise.
    #[must_use]
    pub fn new(drop: Drop, noise: Noise) -> Self {
        Self { drop, noise, mask: Buffer::default() }
    }

    /// Writes inputs with noise, and keeps what they were multiplied by.
    fn disturb(&mut self, inputs: &[T], outputs: &mut [T], draws: &mut Draws) -> Result<()> {
        let ((seed, call), scale) = (draws.next(self.drop.generator)?, T::of(self.drop.scale));
        if let Noise::Alpha(_) = self.noise {
            dropout_mask(seed, call, self.drop.threshold, T::ONE, &mut self.mask);
        } else {
            normal(seed, call, scale, &mut self.mask);
        }
        for ((to, &x), mask) in outputs.iter_mut().zip(inputs).zip(&mut self.mask[..]) {
            let (factor, added) = self.noise.factor(*mask, scale);
            *mask = factor;
            *to = x * factor + added;
        }
        Ok(())
    }

    /// `to = from * mask`.
    fn multiply(&self, shape: Shape, from: &[T], to: &mut [T]) {
        if self.mask.is_empty() {
            to.copy_from_slice(from);
            return;
        }
        // A mask of features is drawn once for each row, and applies to each of its steps.
        let width = if self.noise == Noise::Features {
            shape.features
        } else {
            shape.time * shape.features
        };
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
            let time = if self.noise == Noise::Features { 1 } else { shape.time };
            sized(&mut self.mask, Shape { time, ..shape }.elements()?)?;
            if !matches!(self.noise, Noise::Entries | Noise::Features) {
                return self.disturb(passing.inputs, outputs, draws);
            }
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
