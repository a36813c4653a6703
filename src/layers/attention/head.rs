//! One head of a sample: its products, and the gradients of what goes into them.

use super::given::{Attention, HIDDEN, Sizes, Slopes};
use crate::error::{Error, Result};
use crate::kernels::pack::{Packed, row_stride};
use crate::kernels::product::Product;
use crate::kernels::row_function::{ApplyToRows, RowFunction};
use crate::machine::memory::Buffer;
use crate::machine::simd::{Element, Level};

/// Rows of a product, each of whole vectors.
struct Scratch<T: Element> {
    level: Level,
    out: Buffer<T>,
    stride: usize,
}

impl<T: Element> Scratch<T> {
    /// Room for `rows` rows of `columns` columns.
    #[inline(never)]
    fn new(level: Level, rows: usize, columns: usize) -> Result<Self> {
        let stride = row_stride(columns);
        let size = rows.checked_mul(stride).ok_or(Error::Memory(usize::MAX))?;
        Ok(Self { level, out: Buffer::zeroed(size)?, stride })
    }

    /// Writes `left · right`; rows of the left side are `stride` elements apart.
    #[inline(never)]
    fn multiply(&mut self, left: &[T], stride: usize, right: &Packed<T>) {
        let rows = self.out.len() / self.stride;
        let to = (&mut self.out[..], self.stride / self.level.lanes::<T>());
        T::dispatch(self.level, Product::of((left, stride, rows), right, to));
    }

    fn rows(&mut self) -> std::slice::ChunksExactMut<'_, T> {
        self.out.chunks_exact_mut(self.stride)
    }
}

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

    /// The rows of this head out of all, from its first element on, and how far they are apart.
    fn rows(&self, all: &'a [T], steps: usize, features: usize) -> (&'a [T], usize) {
        let stride = self.of.sizes.heads * features;
        (&all[self.sample * steps * stride + self.number * features..], stride)
    }

    fn queries(&self) -> (&'a [T], usize) {
        self.rows(self.of.queries, self.of.sizes.queries, self.of.sizes.features)
    }

    #[inline(never)]
    fn keys(&self) -> Result<Packed<T>> {
        let Sizes { keys, features, .. } = self.of.sizes;
        let (rows, stride) = self.rows(self.of.keys, keys, features);
        Packed::of_matrix(self.level, rows, stride, [keys, features])
    }

    #[inline(never)]
    fn values(&self) -> Result<Packed<T>> {
        let Sizes { keys, of_value, .. } = self.of.sizes;
        let (rows, stride) = self.rows(self.of.values, keys, of_value);
        Packed::of_matrix(self.level, rows, stride, [keys, of_value])
    }

    /// The products of queries and keys.
    fn products(&self) -> Result<Scratch<T>> {
        let Sizes { queries, keys, features, .. } = self.of.sizes;
        let mut products = Scratch::new(self.level, queries, keys)?;
        let (rows, stride) = self.queries();
        products.multiply(rows, stride, &self.keys()?.transposed(features)?);
        Ok(products)
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
        let Sizes { heads, queries, keys, of_value, .. } = self.of.sizes;
        let mut scores = self.products()?;
        let scale = self.of.scale;
        for (query, row) in scores.rows().enumerate() {
            let row = &mut row[..keys];
            for score in &mut *row {
                *score = *score * scale;
            }
            self.hide(query, row);
        }
        let (stride, function) = (scores.stride, RowFunction::Softmax);
        let softmax = ApplyToRows { function, values: &mut scores.out, stride, units: keys };
        T::dispatch(self.level, softmax);
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
        let mut means = Scratch::new(self.level, queries, of_value)?;
        means.multiply(&scores.out, stride, &self.values()?);
        copy(&mut means, outputs, heads * of_value, self.number * of_value, of_value);
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
    /// outputs and its weights; returns that with respect to the scale if it is wanted.
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
        let mut by_scores = Scratch::new(self.level, queries, keys)?;
        by_scores.multiply(&d_outputs[first..], width, &self.values()?.transposed(of_value)?);
        self.drop(&mut by_scores);
        // With respect to the values: the transpose of `d_outputs^T · weights`.
        let right = if self.of.noise.is_none() {
            Packed::of_matrix(self.level, weights, keys, [queries, keys])?
        } else {
            let mut dropped = Scratch::new(self.level, queries, keys)?;
            for (to, from) in dropped.rows().zip(weights.chunks_exact(keys)) {
                to[..keys].copy_from_slice(from);
            }
            self.drop(&mut dropped);
            Packed::of_matrix(self.level, &dropped.out, dropped.stride, [queries, keys])?
        };
        let to = (&mut slopes.values[first..], width);
        self.turned((&d_outputs[first..], width, of_value), &right, to)?;
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
        let mut of_scale = 0.0;
        if by_scale {
            let mut products = self.products()?;
            for (row, product) in by_scores.rows().zip(products.rows()) {
                of_scale += dot(&row[..keys], &product[..keys]).wide();
            }
        }
        let scale = self.of.scale;
        by_scores.out.iter_mut().for_each(|slope| *slope = *slope * scale);
        // With respect to queries and keys.
        let (width, first) = (heads * features, self.number * features);
        let mut rows = Scratch::new(self.level, queries, features)?;
        rows.multiply(&by_scores.out, by_scores.stride, &self.keys()?);
        copy(&mut rows, slopes.queries, width, first, features);
        let (own, stride) = self.queries();
        let right =
            Packed::of_matrix(self.level, &by_scores.out, by_scores.stride, [queries, keys])?;
        self.turned((own, stride, features), &right, (&mut slopes.keys[first..], width))?;
        Ok(of_scale)
    }

    /// Writes the transpose of `left^T · right`, whose rows are so many elements apart: as many rows as
    /// there are keys, of as many elements as rows of the left side have.
    #[inline(never)]
    fn turned(
        &self,
        (left, stride, columns): (&[T], usize, usize),
        right: &Packed<T>,
        (to, width): (&mut [T], usize),
    ) -> Result<()> {
        let Sizes { queries, keys, .. } = self.of.sizes;
        let mut rows = Buffer::unfilled(columns * queries)?;
        for (column, row) in rows.chunks_exact_mut(queries).enumerate() {
            let from = left[column..].iter().step_by(stride);
            row.iter_mut().zip(from).for_each(|(to, &from)| *to = from);
        }
        let mut product = Scratch::new(self.level, columns, keys)?;
        product.multiply(&rows, queries, right);
        for (column, row) in product.rows().enumerate() {
            let places = to[column..].iter_mut().step_by(width);
            places.zip(&row[..keys]).for_each(|(to, &from)| *to = from);
        }
        Ok(())
    }
}

/// The first `columns` of each row to its place.
#[inline(never)]
fn copy<T: Element>(
    from: &mut Scratch<T>,
    to: &mut [T],
    width: usize,
    first: usize,
    columns: usize,
) {
    for (from, to) in from.rows().zip(to.chunks_exact_mut(width)) {
        to[first..][..columns].copy_from_slice(&from[..columns]);
    }
}

/// The sum of the products of entries, in several sums that need not wait for each other.
#[inline(never)]
fn dot<T: Element>(first: &[T], second: &[T]) -> T {
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
