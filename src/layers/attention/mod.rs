//! Attention: means of values, weighted by how well keys fit a query.
//!
//! Products are those of the register tile, so that a sample gets the same bits alone and in a batch.

mod head;

use head::Head;

use crate::error::{Error, Result};
use crate::machine::lists;
use crate::machine::simd::{Element, Level};
use crate::machine::threads::{self, Ask, Stop};

/// The score of what is hidden, or what is taken off it.
const HIDDEN: f64 = 1e9;

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
    /// Whether what is hidden weighs nothing, also where a query sees nothing at all.
    pub strictly: bool,
}

/// What attention is computed of.
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
    /// What products of queries and keys are multiplied by.
    pub scale: T,
    /// What queries see; everything if there is none.
    pub seen: Option<Seen<'a>>,
    /// What weights are multiplied by, `[samples, heads, queries, keys]`: the noise of dropout.
    pub noise: Option<&'a [T]>,
}

/// The gradients that [`backward`] writes, of the shapes of what they are by.
pub struct Slopes<'a, T> {
    /// By the queries.
    pub queries: &'a mut [T],
    /// By the keys.
    pub keys: &'a mut [T],
    /// By the values.
    pub values: &'a mut [T],
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
    fn check(&self, received: [usize; 5], noise: Option<usize>) -> Result<bool> {
        let wanted = self.elements()?;
        if received != wanted || noise.is_some_and(|noise| noise != wanted[3]) {
            let expected = format!("{wanted:?} numbers, of weights and of outputs");
            return Err(Error::value("query, key and value", expected, received));
        }
        Ok(wanted.iter().all(|&size| size > 0))
    }

    fn threads(&self) -> Result<usize> {
        let [queries, .., weights, outputs] = self.elements()?;
        threads::worth((queries.saturating_add(outputs)).saturating_mul(self.keys.min(weights)))
    }
}

impl<'a> Seen<'a> {
    /// The flags of a row, and how far they are apart.
    fn row(&self, at: [usize; 3]) -> (&'a [bool], usize) {
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
    fn check(&self, weights: usize, outputs: usize) -> Result<bool> {
        if let Some(seen) = &self.seen {
            seen.check(self.sizes)?;
        }
        let [queries, keys, values] = [self.queries, self.keys, self.values].map(<[T]>::len);
        let received = [queries, keys, values, weights, outputs];
        self.sizes.check(received, self.noise.map(<[T]>::len))
    }

    fn heads(&self, sample: usize) -> Result<impl Iterator<Item = Head<'_, T>>> {
        let level = Level::current()?;
        Ok((0..self.sizes.heads).map(move |number| Head { of: self, level, sample, number }))
    }
}

/// What is done with a sample's parts of three arrays.
type Work<'a, T> = &'a (dyn Fn(usize, &mut [&mut [T]; 3]) -> Result<f64> + Sync);

/// Works through all samples; gives the sum of what that gives.
#[inline(never)]
fn by_sample<T: Element>(
    sizes: Sizes,
    arrays: [&mut [T]; 3],
    work: Work<'_, T>,
    stop: Ask<'_>,
) -> Result<f64> {
    let samples = sizes.samples;
    let mut rest = arrays.map(|all| {
        let each = all.len() / samples;
        all.chunks_exact_mut(each.max(1))
    });
    let mut tasks = lists::room(samples)?;
    for sample in 0..samples {
        let parts = rest.each_mut().map(|parts| parts.next().unwrap_or_default());
        lists::push(&mut tasks, (sample, parts, Ok(0.0)))?;
    }
    let stop = Stop::new(stop);
    threads::for_each(sizes.threads()?, &mut tasks, |worker, (sample, parts, result)| {
        *result = stop.poll(worker).and_then(|()| work(*sample, parts));
    });
    tasks.into_iter().try_fold(0.0, |sum, (.., result)| Ok(sum + result?))
}

/// Writes the weights `[samples, heads, queries, keys]`, before the noise, and the outputs
/// `[samples, queries, heads, of_value]`.
///
/// # Errors
/// If a shape does not fit, if memory runs out, or if `stop` said so.
pub fn forward<T: Element>(
    of: &Attention<'_, T>,
    weights: &mut [T],
    outputs: &mut [T],
    stop: Ask<'_>,
) -> Result<()> {
    if !of.check(weights.len(), outputs.len())? {
        weights.fill(T::ZERO);
        outputs.fill(T::ZERO);
        return Ok(());
    }
    let of_head = of.sizes.queries * of.sizes.keys;
    let work = |sample: usize, [weights, outputs, _]: &mut [&mut [T]; 3]| {
        for (head, weights) in of.heads(sample)?.zip(weights.chunks_exact_mut(of_head)) {
            head.forward(weights, outputs)?;
        }
        Ok(0.0)
    };
    by_sample(of.sizes, [weights, outputs, &mut []], &work, stop).map(|_| ())
}

/// Writes the gradients, from those by the outputs and, if there are any, by the weights; gives that by
/// the scale if it is wanted, else 0.
///
/// # Errors
/// As [`forward`].
pub fn backward<T: Element>(
    of: &Attention<'_, T>,
    weights: &[T],
    (d_outputs, d_weights): (&[T], Option<&[T]>),
    slopes: Slopes<'_, T>,
    by_scale: bool,
    stop: Ask<'_>,
) -> Result<f64> {
    let Slopes { queries, keys, values } = slopes;
    let any = of.check(weights.len(), d_outputs.len())?;
    let by_weights = d_weights.map_or(weights.len(), <[T]>::len);
    let received = [queries.len(), keys.len(), values.len(), by_weights, d_outputs.len()];
    of.sizes.check(received, None)?;
    if !any {
        for slopes in [queries, keys, values] {
            slopes.fill(T::ZERO);
        }
        return Ok(0.0);
    }
    let (of_head, width) = (of.sizes.queries * of.sizes.keys, d_outputs.len() / of.sizes.samples);
    let work = |sample: usize, [queries, keys, values]: &mut [&mut [T]; 3]| {
        let mut slopes = Slopes { queries, keys, values };
        let d_outputs = &d_outputs[sample * width..][..width];
        of.heads(sample)?.try_fold(0.0, |sum, head| {
            let own = (sample * of.sizes.heads + head.number) * of_head..;
            let weights = &weights[own.clone()][..of_head];
            let more = d_weights.map(|all| &all[own][..of_head]);
            Ok(sum + head.backward(weights, (d_outputs, more), &mut slopes, by_scale)?)
        })
    };
    by_sample(of.sizes, [queries, keys, values], &work, stop)
}
