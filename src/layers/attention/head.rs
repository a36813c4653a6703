//! One head of a sample: its products, and the gradients of what goes into them.

use super::given::{Attention, HIDDEN, Sizes, Slopes};
use crate::error::Result;
use crate::kernels::row_function::RowFunction;
use crate::layers::products::{Matrix, Scratch, product, scale};
use crate::machine::simd::{Element, Level};

/// One head of a sample.
pub(super) struct Head<'a, T: Element> {
    pub(super) of: &'a Attention<'a, T>,
    pub(super) level: Level,
    pub(super) sample: usize,
    pub(super) number: usize,
}

impl<'a, T: Element> Head<'a, T> {
    /// Those of a sample.
    pub(super) fn all(
        of: &'a Attention<'a, T>,
        sample: usize,
    ) -> Result<impl Iterator<Item = Self>> {
        let level = Level::current()?;
        Ok((0..of.sizes.heads).map(move |number| Self { of, level, sample, number }))
    }

    /// The rows of this head out of all.
    fn rows(&self, all: &'a [T], steps: usize, features: usize) -> Matrix<'a, T> {
        let stride = self.of.sizes.heads * features;
        let of = &all[self.sample * steps * stride + self.number * features..];
        Matrix { of, stride, shape: [steps, features], turned: false }
    }

    pub(super) fn queries(&self) -> Matrix<'a, T> {
        self.rows(self.of.queries, self.of.sizes.queries, self.of.sizes.features)
    }

    pub(super) fn keys(&self) -> Matrix<'a, T> {
        self.rows(self.of.keys, self.of.sizes.keys, self.of.sizes.features)
    }

    fn values(&self) -> Matrix<'a, T> {
        self.rows(self.of.values, self.of.sizes.keys, self.of.sizes.of_value)
    }

    /// The products of queries and keys.
    fn products(&self) -> Result<Scratch<T>> {
        product(self.level, self.queries(), self.keys().transposed())
    }

    /// Hides the scores of keys that the query does not see.
    fn hide(&self, query: usize, scores: &mut [T]) {
        let Some(seen) = self.of.seen else { return };
        let (row, step) = seen.row([self.sample, self.number, query]);
        for (key, score) in scores.iter_mut().enumerate() {
            if !row[key * step] {
                let before = if seen.strictly { T::ZERO } else { *score };
                *score = before + T::of(-HIDDEN);
            }
        }
    }

    /// Writes `weights` `[queries, keys]` and the rows of this head among `outputs`.
    pub(super) fn forward(&self, weights: &mut [T], outputs: &mut [T]) -> Result<()> {
        let Sizes { heads, keys, of_value, .. } = self.of.sizes;
        let additive = !self.of.factors.is_empty();
        let mut scores = if additive { self.sums()? } else { self.products()? };
        let factor = if additive { T::ONE } else { self.of.scale };
        for (query, row) in scores.rows().enumerate() {
            let row = &mut row[..keys];
            scale(row, factor);
            self.hide(query, row);
        }
        scores.apply(RowFunction::Softmax, keys);
        for (query, (row, to)) in scores.rows().zip(weights.chunks_exact_mut(keys)).enumerate() {
            let row = &mut row[..keys];
            if let Some(seen) = self.of.seen.filter(|seen| seen.strictly) {
                let (flags, step) = seen.row([self.sample, self.number, query]);
                for (key, weight) in row.iter_mut().enumerate() {
                    *weight = if flags[key * step] { *weight } else { T::ZERO };
                }
            }
            to.copy_from_slice(row);
        }
        self.drop(&mut scores);
        let mut means = product(self.level, scores.matrix(keys), self.values())?;
        means.copy(outputs, heads * of_value, self.number * of_value, of_value);
        Ok(())
    }

    /// Multiplies rows of weights, or of their gradients, by the noise.
    #[inline(never)]
    fn drop(&self, weights: &mut Scratch<T>) {
        let Sizes { heads, queries, keys, .. } = self.of.sizes;
        let Some(noise) = self.of.noise else { return };
        let own = &noise[(self.sample * heads + self.number) * queries * keys..];
        for (row, noise) in weights.rows().zip(own.chunks_exact(keys)) {
            row.iter_mut().zip(noise).for_each(|(weight, &noise)| *weight = *weight * noise);
        }
    }

    /// Writes the gradients with respect to the rows of this head, from those with respect to its
    /// outputs and its weights; returns that with respect to the scale if it is wanted. Gradients with
    /// respect to factors are added, one for each feature; so are those by queries and keys of additive
    /// scores, of which the scale is left out.
    pub(super) fn backward(
        &self,
        weights: &[T],
        (d_outputs, d_weights): (&[T], Option<&[T]>),
        slopes: &mut Slopes<'_, T>,
        by_scale: bool,
    ) -> Result<f64> {
        let Sizes { heads, queries, keys, features, of_value, .. } = self.of.sizes;
        let (width, first) = (heads * of_value, self.number * of_value);
        // With respect to the weights.
        let shape = [queries, of_value];
        let d_outputs = Matrix { of: &d_outputs[first..], stride: width, shape, turned: false };
        let mut by_scores = product(self.level, d_outputs, self.values().transposed())?;
        self.drop(&mut by_scores);
        // With respect to the values.
        let shares = Matrix::new(weights, [queries, keys], true);
        let mut rows = if self.of.noise.is_none() {
            product(self.level, shares, d_outputs)?
        } else {
            let mut dropped = Scratch::new(self.level, queries, keys)?;
            for (to, from) in dropped.rows().zip(weights.chunks_exact(keys)) {
                to[..keys].copy_from_slice(from);
            }
            self.drop(&mut dropped);
            product(self.level, dropped.matrix(keys).transposed(), d_outputs)?
        };
        rows.copy(slopes.values, width, first, of_value);
        // With respect to the scores.
        for (query, (row, weights)) in by_scores.rows().zip(weights.chunks_exact(keys)).enumerate()
        {
            let row = &mut row[..keys];
            if let Some(more) = d_weights {
                let more = &more[query * keys..][..keys];
                row.iter_mut().zip(more).for_each(|(slope, &more)| *slope = *slope + more);
            }
            let sum = dot(row, weights);
            for (slope, &weight) in row.iter_mut().zip(weights) {
                *slope = weight * (*slope + T::of(-1.0) * sum);
            }
        }
        if !self.of.factors.is_empty() {
            self.backward_of_sums(&mut by_scores, slopes)?;
            return Ok(0.0);
        }
        let mut of_scale = 0.0;
        if by_scale {
            let mut products = self.products()?;
            for (row, product) in by_scores.rows().zip(products.rows()) {
                of_scale += dot(&row[..keys], &product[..keys]).wide();
            }
        }
        for row in by_scores.rows() {
            scale(&mut row[..keys], self.of.scale);
        }
        // With respect to queries and keys.
        let (width, first, slope) =
            (heads * features, self.number * features, by_scores.matrix(keys));
        let mut rows = product(self.level, slope, self.keys())?;
        rows.copy(slopes.queries, width, first, features);
        let mut rows = product(self.level, slope.transposed(), self.queries())?;
        rows.copy(slopes.keys, width, first, features);
        Ok(of_scale)
    }
}

/// The sum of the products of entries, in several sums that need not wait for each other.
#[inline(never)]
pub(super) fn dot<T: Element>(first: &[T], second: &[T]) -> T {
    let ((whole, rest), (other, end)) = (first.as_chunks::<8>(), second.as_chunks::<8>());
    let mut sums = [T::ZERO; 8];
    for (x, y) in whole.iter().zip(other) {
        for (n, sum) in sums.iter_mut().enumerate() {
            *sum = *sum + x[n] * y[n];
        }
    }
    let pairs = rest.iter().zip(end).map(|(&x, &y)| x * y);
    sums.into_iter().chain(pairs).fold(T::ZERO, |sum, each| sum + each)
}
