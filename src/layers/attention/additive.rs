//! Additive scores: a query and a key are added, squashed, and summed by factors.
//!
//! Loops over features are functions of their own, which are not inlined: that keeps the engine small.

use super::given::{Sizes, Slopes};
use super::head::{Head, dot};
use crate::error::Result;
use crate::kernels::activation::Activation;
use crate::kernels::row_function::RowFunction;
use crate::layers::products::{Scratch, scale};
use crate::machine::memory::Buffer;
use crate::machine::simd::Element;

impl<T: Element> Head<'_, T> {
    /// The scores of all keys for each query.
    #[inline(never)]
    pub(super) fn sums(&self) -> Result<Scratch<T>> {
        let Sizes { queries, keys, features, .. } = self.of.sizes;
        let factors = self.factors()?;
        let mut scores = Scratch::new(self.level, queries, keys)?;
        let mut squashed = Scratch::new(self.level, keys, features)?;
        for query in 0..queries {
            self.squash(query, &mut squashed);
            for key in 0..keys {
                scores.row(query)[key] = dot(&squashed.row(key)[..features], &factors);
            }
        }
        Ok(scores)
    }

    /// A factor for each feature.
    #[inline(never)]
    fn factors(&self) -> Result<Buffer<T>> {
        let mut factors = Buffer::unfilled(self.of.sizes.features)?;
        match *self.of.factors {
            [one] => factors.fill(one),
            _ => factors.copy_from_slice(self.of.factors),
        }
        Ok(factors)
    }

    /// Writes `tanh(scale * (query + key))` for each key.
    #[inline(never)]
    fn squash(&self, query: usize, to: &mut Scratch<T>) {
        let Sizes { keys, features, .. } = self.of.sizes;
        let (queries, rows) = (self.queries(), self.keys());
        for key in 0..keys {
            let to = &mut to.row(key)[..features];
            to.copy_from_slice(&rows.of[key * rows.stride..][..features]);
            add(to, T::ONE, &queries.of[query * queries.stride..]);
            scale(to, self.of.scale);
        }
        to.apply(RowFunction::Each(Activation::Tanh), features);
    }

    /// Adds the gradients with respect to queries and keys, before they are multiplied by the scale,
    /// and to factors, from those with respect to scores.
    #[inline(never)]
    pub(super) fn backward_of_sums(
        &self,
        by_scores: &mut Scratch<T>,
        slopes: &mut Slopes<'_, T>,
    ) -> Result<()> {
        let Sizes { heads, queries, keys, features, .. } = self.of.sizes;
        let place = |step: usize| (step * heads + self.number) * features;
        let factors = self.factors()?;
        let mut squashed = Scratch::new(self.level, keys, features)?;
        for query in 0..queries {
            self.squash(query, &mut squashed);
            for key in 0..keys {
                let (slope, row) = (by_scores.row(query)[key], &mut squashed.row(key)[..features]);
                add(slopes.factors, slope, row);
                derive(row, slope, &factors);
                add(&mut slopes.queries[place(query)..], T::ONE, row);
                add(&mut slopes.keys[place(key)..], T::ONE, row);
            }
        }
        Ok(())
    }
}

/// `to += by * from`
#[inline(never)]
fn add<T: Element>(to: &mut [T], by: T, from: &[T]) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = *to + by * from;
    }
}

/// The gradients with respect to sums, in the place of what they were squashed to.
#[inline(never)]
fn derive<T: Element>(squashed: &mut [T], slope: T, factors: &[T]) {
    for (y, &factor) in squashed.iter_mut().zip(factors) {
        *y = slope * factor * (T::ONE + T::of(-1.0) * *y * *y);
    }
}
