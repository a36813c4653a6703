//! What attention is given: sizes, masks, arrays.

use crate::error::{Error, Result};
use crate::machine::simd::Element;
use crate::machine::threads;

/// The score of a hidden key, or what is subtracted from its score.
pub(super) const HIDDEN: f64 = 1e9;

/// Lengths of the axes.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Samples.
    pub samples: usize,
    /// Heads, each with projections of its own.
    pub heads: usize,
    /// Queries of a sample.
    pub queries: usize,
    /// Keys of a sample, and values.
    pub keys: usize,
    /// Numbers of a query, and of a key.
    pub features: usize,
    /// Numbers of a value.
    pub of_value: usize,
}

/// What a query sees, `[samples, heads, queries, keys]` or 1 along some axes.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Whether it sees a key.
    pub flags: &'a [bool],
    /// The lengths of the axes.
    pub axes: [usize; 4],
    /// Whether hidden keys get no weight even where a query sees none at all.
    pub strictly: bool,
}

/// What attention is computed from.
#[derive(Clone, Copy)]
pub struct Attention<'a, T> {
    /// Lengths.
    pub sizes: Sizes,
    /// `[samples, queries, heads, features]`
    pub queries: &'a [T],
    /// `[samples, keys, heads, features]`
    pub keys: &'a [T],
    /// `[samples, keys, heads, of_value]`
    pub values: &'a [T],
    /// What products of queries and keys are multiplied by, or their sums.
    pub scale: T,
    /// Where scores are `sum(factors * tanh(scale * (query + key)))` (Bahdanau et al., 2014): a factor for
    /// each feature, or one for all. Empty where scores are products.
    pub factors: &'a [T],
    /// What queries see; everything if there is none.
    pub seen: Option<Seen<'a>>,
    /// What weights are multiplied by, `[samples, heads, queries, keys]`: the noise of dropout.
    pub noise: Option<&'a [T]>,
}

/// The gradients that [`super::backward`] writes, each of the shape of its array.
pub struct Slopes<'a, T> {
    /// With respect to the queries.
    pub queries: &'a mut [T],
    /// With respect to the keys.
    pub keys: &'a mut [T],
    /// With respect to the values.
    pub values: &'a mut [T],
    /// With respect to the factors of scores.
    pub factors: &'a mut [T],
}

impl Sizes {
    /// The numbers of elements of queries, keys, values, weights and outputs.
    fn elements(&self) -> Result<[usize; 5]> {
        let Self { samples, heads, queries, keys, features, of_value } = *self;
        let all = |steps: usize, each: usize| {
            let of_sample = steps.checked_mul(heads).and_then(|n| n.checked_mul(each));
            of_sample.and_then(|n| n.checked_mul(samples)).ok_or(Error::Memory(usize::MAX))
        };
        Ok([
            all(queries, features)?,
            all(keys, features)?,
            all(keys, of_value)?,
            all(queries, keys)?,
            all(queries, of_value)?,
        ])
    }

    /// The number of weights.
    ///
    /// # Errors
    /// If they cannot be addressed.
    pub fn weights(&self) -> Result<usize> {
        Ok(self.elements()?[3])
    }

    /// Refuses arrays of other sizes; gives whether there is anything to do.
    pub(super) fn check(&self, received: [usize; 5], noise: Option<usize>) -> Result<bool> {
        const NAMES: [&str; 6] = ["query", "key", "value", "weights", "outputs", "noise"];
        let wanted = self.elements()?;
        let noise = noise.map(|received| (wanted[3], received));
        let sizes = wanted.into_iter().zip(received).chain(noise);
        for (argument, (wanted, received)) in NAMES.into_iter().zip(sizes) {
            if wanted != received {
                return Err(Error::value(argument, format!("{wanted} elements"), received));
            }
        }
        Ok(wanted.iter().all(|&size| size > 0))
    }

    pub(super) fn threads(&self) -> Result<usize> {
        let [queries, .., weights, outputs] = self.elements()?;
        threads::worth((queries.saturating_add(outputs)).saturating_mul(self.keys.min(weights)))
    }
}

impl<'a> Seen<'a> {
    /// The flags of a row, and how far they are apart.
    pub(super) fn row(&self, at: [usize; 3]) -> (&'a [bool], usize) {
        let [_, _, queries, keys] = self.axes;
        let heads = self.axes[1];
        let place = |axis: usize| if self.axes[axis] == 1 { 0 } else { at[axis] };
        let row = (place(0) * heads + place(1)) * queries + place(2);
        (&self.flags[row * keys..][..keys], usize::from(keys > 1))
    }

    fn check(&self, sizes: Sizes) -> Result<()> {
        let Sizes { samples, heads, queries, keys, .. } = sizes;
        let whole = [samples, heads, queries, keys];
        let fits = self.axes.iter().zip(whole).all(|(&axis, whole)| axis == 1 || axis == whole);
        let product =
            self.axes.iter().try_fold(1_usize, |product, &axis| product.checked_mul(axis));
        if !fits || product != Some(self.flags.len()) {
            return Err(Error::shape("mask", whole, self.axes));
        }
        Ok(())
    }
}

impl<T: Element> Attention<'_, T> {
    /// Refuses arrays of other sizes; gives whether there is anything to do.
    pub(super) fn check(&self, weights: usize, outputs: usize) -> Result<bool> {
        if let Some(seen) = &self.seen {
            seen.check(self.sizes)?;
        }
        let (factors, features) = (self.factors.len(), self.sizes.features);
        if factors > 1 && factors != features {
            return Err(Error::value("factors", format!("1 or {features} elements"), factors));
        }
        let [queries, keys, values] = [self.queries, self.keys, self.values].map(<[T]>::len);
        let received = [queries, keys, values, weights, outputs];
        self.sizes.check(received, self.noise.map(<[T]>::len))
    }
}
