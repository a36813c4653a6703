//! A `BatchNormalization` over the features in a graph.

use super::columns::{add, count, divide, hide, multiply, subtract, sums, sums_of_products};
use super::node::{Draws, Node, Passed, Passing, Shape, expect_features, sized};
use crate::error::{Error, Result};
use crate::layers::sequence::Engine;
use crate::machine::lists;
use crate::machine::memory::Buffer;
use crate::machine::simd::Element;
use crate::machine::threads::Ask;

/// How the moving statistics follow those of batches.
#[derive(Clone, Copy, Debug)]
pub struct Following {
    /// The part of the moving statistics that is kept.
    pub momentum: f64,
    /// What is added to the number of rows that a mask leaves.
    pub more: f64,
}

/// The layer: weights are scale and shift, if it has them, and the moving mean and variance. In
/// training the statistics are those of the batch, unless it does not follow them.
pub struct BatchNormalization<T: Engine> {
    features: usize,
    epsilon: f64,
    scale: bool,
    shift: bool,
    following: Option<Following>,
    sizes: Vec<usize>,
    /// The inputs without their mean, divided by their deviation.
    normalized: Buffer<T>,
    scratch: Buffer<T>,
    /// See [`Columns`].
    columns: Buffer<T>,
    /// Whether the last outputs were made with statistics of the batch, and the number of rows.
    by_batch: bool,
    count: T,
}

/// Numbers for each feature.
struct Columns<'a, T> {
    mean: &'a mut [T],
    variance: &'a mut [T],
    /// The inverse of the deviation, and what gradients are multiplied by.
    inverse: &'a mut [T],
    factor: &'a mut [T],
    /// The sums of the gradients, of their products with the normalized values, and of these
    /// values.
    sums: [&'a mut [T]; 3],
}

impl<'a, T> Columns<'a, T> {
    fn of(all: &'a mut [T], features: usize) -> Self {
        let mut rest = all.chunks_exact_mut(features);
        let mut next = || rest.next().unwrap_or_default();
        let [mean, variance, inverse, factor] = [next(), next(), next(), next()];
        Self { mean, variance, inverse, factor, sums: [next(), next(), next()] }
    }
}

/// How many numbers there are for each feature.
const COLUMNS: usize = 7;

impl<T: Engine> BatchNormalization<T> {
    /// A layer of `features` features.
    ///
    /// # Errors
    /// If there are none, or if memory runs out.
    pub fn new(
        features: usize,
        epsilon: f64,
        [scale, shift]: [bool; 2],
        following: Option<Following>,
    ) -> Result<Self> {
        if features == 0 {
            return Err(Error::value("features", "a positive integer", features));
        }
        let count = 2 + usize::from(scale) + usize::from(shift);
        Ok(Self {
            features,
            epsilon,
            scale,
            shift,
            following,
            sizes: lists::filled(features, count)?,
            normalized: Buffer::default(),
            scratch: Buffer::default(),
            columns: Buffer::zeroed(features.saturating_mul(COLUMNS))?,
            by_batch: false,
            count: T::ONE,
        })
    }

    /// Takes mean and variance of the batch; `rows` lose the mean.
    fn take_moments(&mut self, more: f64, mask: Option<&[bool]>, rows: &mut [T]) -> Result<()> {
        let features = self.features;
        let Columns { mean, variance, .. } = Columns::of(&mut self.columns, features);
        let counted = count(mask, rows.len() / features) as f64;
        self.count = match mask {
            None => T::of(counted.max(1.0)),
            Some(_) => T::of(counted) + T::of(more),
        };
        if mask.is_some() {
            sized(&mut self.scratch, rows.len())?;
            self.scratch.copy_from_slice(rows);
            hide(mask, features, &mut self.scratch);
            sums(&self.scratch, mean);
        } else {
            sums(rows, mean);
        }
        divide(mean, self.count);
        subtract(rows, mean);
        if mask.is_some() {
            self.scratch.copy_from_slice(rows);
            hide(mask, features, &mut self.scratch);
            sums_of_products(&self.scratch, &self.scratch, variance);
        } else {
            sums_of_products(rows, rows, variance);
        }
        divide(variance, self.count);
        Ok(())
    }

    /// Subtracts the parts that go through mean and variance of the batch, before scaling.
    fn take_off_moments(&mut self, mask: Option<&[bool]>, d_inputs: &mut [T]) -> Result<()> {
        let [shift, along, masked] = Columns::of(&mut self.columns, self.features).sums;
        sized(&mut self.scratch, d_inputs.len())?;
        divide(along, self.count);
        self.scratch.copy_from_slice(&self.normalized);
        if let Some(mask) = mask {
            // The count is not quite the number of rows, so deviations do not quite add up to zero.
            weigh(mask, self.features, &mut self.scratch);
            sums(&self.scratch, masked);
            multiply(masked, along);
            subtract(shift, masked);
            self.scratch.copy_from_slice(&self.normalized);
        }
        divide(shift, self.count);
        multiply(&mut self.scratch, along);
        add(&mut self.scratch, shift);
        if let Some(mask) = mask {
            weigh(mask, self.features, &mut self.scratch);
        }
        subtract(d_inputs, &self.scratch);
        Ok(())
    }
}

/// As [`hide`], by a product: what is not finite becomes NaN.
fn weigh<T: Element>(mask: &[bool], features: usize, rows: &mut [T]) {
    for (row, &counts) in rows.chunks_exact_mut(features).zip(mask) {
        let weight = if counts { T::ONE } else { T::ZERO };
        for x in row {
            *x = *x * weight;
        }
    }
}

impl<T: Engine> Node<T> for BatchNormalization<T> {
    fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    fn shape(&self, inputs: Shape) -> Result<Shape> {
        expect_features(self.features, inputs)?;
        Ok(inputs)
    }

    fn forward(
        &mut self,
        passing: &Passing<'_, T>,
        outputs: &mut [T],
        _draws: &mut Draws,
        _stop: Ask<'_>,
    ) -> Result<()> {
        let (scale, rest) = passing.weights.split_at(usize::from(self.scale));
        let (shift, moving) = rest.split_at(usize::from(self.shift));
        outputs.copy_from_slice(passing.inputs);
        let following = self.following.filter(|_| passing.training);
        self.by_batch = following.is_some();
        if let Some(Following { more, .. }) = following {
            self.take_moments(more, passing.mask, outputs)?;
        } else {
            subtract(outputs, moving[0]);
        }
        let Columns { variance, inverse, factor, .. } =
            Columns::of(&mut self.columns, self.features);
        let variance = if self.by_batch { variance } else { &*moving[1] };
        let epsilon = T::of(self.epsilon);
        for (inverse, &variance) in inverse.iter_mut().zip(variance) {
            let deviation = T::of((variance + epsilon).wide().sqrt());
            *inverse = T::of(1.0 / deviation.wide());
        }
        multiply(outputs, inverse);
        factor.copy_from_slice(inverse);
        if passing.keep {
            sized(&mut self.normalized, outputs.len())?;
            self.normalized.copy_from_slice(outputs);
        }
        if let [scale] = scale {
            multiply(outputs, scale);
            multiply(factor, scale);
        }
        if let [shift] = shift {
            add(outputs, shift);
        }
        Ok(())
    }

    fn backward(
        &mut self,
        passed: Passed<'_, T>,
        gradients: &mut [Buffer<T>],
        _stop: Ask<'_>,
    ) -> Result<()> {
        let Passed { mask, d_outputs, d_inputs, .. } = passed;
        let [shift, along, _] = Columns::of(&mut self.columns, self.features).sums;
        sums(d_outputs, shift);
        sums_of_products(d_outputs, &self.normalized, along);
        let own = [(self.scale, along), (self.shift, shift)];
        let own = own.into_iter().filter(|(there, _)| *there);
        for (to, (_, from)) in gradients.iter_mut().zip(own) {
            to.copy_from_slice(from);
        }
        let Some(d_inputs) = d_inputs else { return Ok(()) };
        d_inputs.copy_from_slice(d_outputs);
        if self.by_batch {
            self.take_off_moments(mask, d_inputs)?;
        }
        multiply(d_inputs, Columns::of(&mut self.columns, self.features).factor);
        Ok(())
    }

    fn follow(&mut self, weights: &mut [&mut [T]]) {
        let (Some(following), [.., mean, variance]) = (self.following, weights) else { return };
        if !self.by_batch {
            return;
        }
        let (kept, added) = (T::of(following.momentum), T::of(1.0 - following.momentum));
        let own = Columns::of(&mut self.columns, self.features);
        for (moving, own) in [(mean, own.mean), (variance, own.variance)] {
            for (moving, &own) in moving.iter_mut().zip(&*own) {
                *moving = *moving * kept + own * added;
            }
        }
    }
}
