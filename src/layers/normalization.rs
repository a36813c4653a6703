//! Layer normalization of rows: `(x - mean) / sqrt(variance + epsilon) * gamma + beta`, forward and
//! backward; or with zero for the mean: `x / sqrt(mean(x²) + epsilon) * gamma + beta`.
//!
//! The order of every sum is fixed by the length of a row: first by lane, then over the lanes; the
//! gradients of `gamma` and `beta` add one row after the other. So a row has the same bits alone, in
//! a batch and in a stream.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::kernels::pack::row_stride;
use crate::kernels::row_function::over_lanes;
use crate::machine::memory::Buffer;
use crate::machine::simd::{Element, Kernel, Level, MAX_LANES, Simd};

/// What is kept of a row for backward: its mean, and one over its standard deviation.
pub const KEPT: usize = 2;

/// A layer's scale and shift, in whole vectors.
pub struct Weights<T: Element> {
    level: Level,
    features: usize,
    epsilon: T,
    /// Whether the mean is subtracted.
    centered: bool,
    gamma: Buffer<T>,
    beta: Buffer<T>,
    /// One for every feature, zero beyond the last.
    ones: Buffer<T>,
}

impl<T: Element> Weights<T> {
    /// For rows of `features` elements, which are `centered` around their mean or not; a missing scale
    /// is one, a missing shift zero.
    ///
    /// # Errors
    /// If `features` is zero, if `gamma` or `beta` has another length, or if memory runs out.
    pub fn new(
        level: Option<Level>,
        features: usize,
        (epsilon, centered): (f64, bool),
        gamma: Option<&[T]>,
        beta: Option<&[T]>,
    ) -> Result<Self> {
        let level = level.map_or_else(Level::current, Ok)?;
        if features == 0 {
            return Err(Error::value("features", "a positive integer", features));
        }
        for (argument, given) in [("gamma", gamma), ("beta", beta)] {
            if let Some(wrong) = given.filter(|given| given.len() != features) {
                return Err(Error::shape(argument, [features], [wrong.len()]));
            }
        }
        let padded = |given: Option<&[T]>, otherwise| {
            let whole = features.checked_next_multiple_of(MAX_LANES);
            let mut buffer = Buffer::zeroed(whole.ok_or(Error::Memory(usize::MAX))?)?;
            match given {
                Some(given) => buffer[..features].copy_from_slice(given),
                None => buffer[..features].fill(otherwise),
            }
            Ok(buffer)
        };
        Ok(Self {
            level,
            features,
            epsilon: T::of(epsilon),
            centered,
            gamma: padded(gamma, T::ONE)?,
            beta: padded(beta, T::ZERO)?,
            ones: padded(None, T::ONE)?,
        })
    }

    /// Elements of a row.
    #[must_use]
    pub fn features(&self) -> usize {
        self.features
    }

    fn rows(&self, argument: &'static str, elements: usize) -> Result<usize> {
        if elements.is_multiple_of(self.features) {
            return Ok(elements / self.features);
        }
        Err(Error::value(argument, format!("a multiple of {} elements", self.features), elements))
    }
}

fn expect(argument: &'static str, expected: usize, received: usize) -> Result<()> {
    if expected == received { Ok(()) } else { Err(Error::shape(argument, [expected], [received])) }
}

/// Normalizes rows that lie one after the other; `kept` takes [`KEPT`] numbers of each for backward.
///
/// # Errors
/// If a length does not fit, or if memory runs out.
pub fn forward<T: Element>(
    weights: &Weights<T>,
    inputs: &[T],
    outputs: &mut [T],
    kept: Option<&mut [T]>,
) -> Result<()> {
    let rows = weights.rows("inputs", inputs.len())?;
    expect("outputs", inputs.len(), outputs.len())?;
    if let Some(kept) = &kept {
        expect("kept", KEPT * rows, kept.len())?;
    }
    let row = Buffer::zeroed(weights.ones.len())?;
    T::dispatch(weights.level, Forward { weights, inputs, outputs, kept, row });
    Ok(())
}

/// Arrays that backward reads, rows one after the other.
#[derive(Clone, Copy)]
pub struct Seeds<'a, T> {
    /// The inputs.
    pub inputs: &'a [T],
    /// What forward kept.
    pub kept: &'a [T],
    /// The gradient with respect to the outputs.
    pub d_outputs: &'a [T],
}

/// Writes the gradients that are wanted: of the inputs, of `gamma` and of `beta`.
///
/// # Errors
/// If a length does not fit, or if memory runs out.
pub fn backward<T: Element>(
    weights: &Weights<T>,
    seeds: Seeds<'_, T>,
    d_inputs: Option<&mut [T]>,
    d_gamma: Option<&mut [T]>,
    d_beta: Option<&mut [T]>,
) -> Result<()> {
    let rows = weights.rows("inputs", seeds.inputs.len())?;
    expect("kept", KEPT * rows, seeds.kept.len())?;
    expect("d_outputs", seeds.inputs.len(), seeds.d_outputs.len())?;
    for (argument, given) in [("d_gamma", &d_gamma), ("d_beta", &d_beta)] {
        expect(argument, weights.features, given.as_ref().map_or(weights.features, |d| d.len()))?;
    }
    if let Some(d_inputs) = &d_inputs {
        expect("d_inputs", seeds.inputs.len(), d_inputs.len())?;
    }
    let mut sums = Buffer::zeroed(2 * weights.ones.len())?;
    let staged = Buffer::zeroed(2 * weights.ones.len())?;
    T::dispatch(weights.level, Backward { weights, seeds, d_inputs, sums: &mut sums, staged });
    let (by_gamma, by_beta) = sums.split_at(weights.ones.len());
    for (to, from) in [(d_gamma, by_gamma), (d_beta, by_beta)] {
        if let Some(to) = to {
            to.copy_from_slice(&from[..weights.features]);
        }
    }
    Ok(())
}

/// The layer and its last outputs, for some rows at once.
pub struct NormalizationStage<T: Element> {
    weights: Arc<Weights<T>>,
    stride: usize,
    outputs: Buffer<T>,
}

impl<T: Element> NormalizationStage<T> {
    /// For `rows` rows.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn new(weights: Arc<Weights<T>>, rows: usize) -> Result<Self> {
        let stride = row_stride(weights.features);
        Ok(Self { stride, outputs: Buffer::zeroed(rows * stride)?, weights })
    }

    /// Elements of a row.
    #[must_use]
    pub fn features(&self) -> usize {
        self.weights.features
    }

    /// The outputs of the last step, and the elements between two rows.
    #[must_use]
    pub fn outputs(&self) -> (&[T], usize) {
        (&self.outputs, self.stride)
    }

    /// Computes the outputs for rows of inputs that are `stride` elements apart.
    pub fn advance(&mut self, inputs: &[T], stride: usize) {
        let (weights, values) = (&*self.weights, &mut *self.outputs);
        for (to, from) in values.chunks_exact_mut(self.stride).zip(inputs.chunks_exact(stride)) {
            to[..weights.features].copy_from_slice(&from[..weights.features]);
        }
        T::dispatch(weights.level, InPlace { weights, values, stride: self.stride });
    }
}

/// Normalizes one row of whole vectors, zero beyond the last feature, in place; returns what
/// backward needs.
#[inline(always)]
fn normalize<T: Element, S: Simd<T>>(s: S, weights: &Weights<T>, row: &mut [T]) -> [T; KEPT] {
    let padded = weights.features.next_multiple_of(S::LANES);
    let row = s.vectors_mut(&mut row[..padded]);
    let count = s.splat(T::of(weights.features as f64));
    let mut sum = s.splat(T::ZERO);
    if weights.centered {
        for &v in &*row {
            sum = s.add(sum, v);
        }
    }
    let mean = s.div(over_lanes(s, sum, |a, b| a + b), count);
    let mut squares = s.splat(T::ZERO);
    for (v, &one) in row.iter_mut().zip(s.vectors(&weights.ones)) {
        *v = s.mul(s.sub(*v, mean), one);
        squares = s.mul_add(*v, *v, squares);
    }
    let variance = s.div(over_lanes(s, squares, |a, b| a + b), count);
    let spread = s.sqrt(s.add(variance, s.splat(weights.epsilon)));
    let inverse = s.div(s.splat(T::ONE), spread);
    let (gamma, beta) = (s.vectors(&weights.gamma), s.vectors(&weights.beta));
    for ((v, &gamma), &beta) in row.iter_mut().zip(gamma).zip(beta) {
        *v = s.mul_add(s.mul(*v, inverse), gamma, beta);
    }
    [first(s, mean), first(s, inverse)]
}

/// The first lane.
#[inline(always)]
fn first<T: Element, S: Simd<T>>(s: S, v: S::V) -> T {
    let mut lanes = [T::ZERO; MAX_LANES];
    s.store(v, &mut lanes);
    lanes[0]
}

struct InPlace<'a, T: Element> {
    weights: &'a Weights<T>,
    values: &'a mut [T],
    stride: usize,
}

impl<T: Element> Kernel<T> for InPlace<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) {
        let (features, padded) = (self.weights.features, self.weights.ones.len());
        for row in self.values.chunks_exact_mut(self.stride) {
            row[features..padded].fill(T::ZERO);
            normalize(s, self.weights, row);
        }
    }
}

struct Forward<'a, T: Element> {
    weights: &'a Weights<T>,
    inputs: &'a [T],
    outputs: &'a mut [T],
    kept: Option<&'a mut [T]>,
    row: Buffer<T>,
}

impl<T: Element> Kernel<T> for Forward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(mut self, s: S) {
        let features = self.weights.features;
        let mut kept = self.kept.map(|kept| kept.chunks_exact_mut(KEPT));
        let rows = self.inputs.chunks_exact(features);
        for (from, to) in rows.zip(self.outputs.chunks_exact_mut(features)) {
            self.row[..features].copy_from_slice(from);
            self.row[features..].fill(T::ZERO);
            let moments = normalize(s, self.weights, &mut self.row);
            to.copy_from_slice(&self.row[..features]);
            if let Some(kept) = kept.as_mut().and_then(Iterator::next) {
                kept.copy_from_slice(&moments);
            }
        }
    }
}

struct Backward<'a, T: Element> {
    weights: &'a Weights<T>,
    seeds: Seeds<'a, T>,
    d_inputs: Option<&'a mut [T]>,
    /// For gamma, then for beta.
    sums: &'a mut [T],
    /// A row of inputs, then one of gradients.
    staged: Buffer<T>,
}

impl<T: Element> Kernel<T> for Backward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(mut self, s: S) {
        let (weights, features) = (self.weights, self.weights.features);
        let length = weights.ones.len();
        let padded = features.next_multiple_of(S::LANES);
        let (x, d_y) = self.staged.split_at_mut(length);
        let (d_gamma, d_beta) = self.sums.split_at_mut(length);
        let count = s.splat(T::of(features as f64));
        let mut d_inputs = self.d_inputs.map(|d_inputs| d_inputs.chunks_exact_mut(features));
        let rows = self.seeds.inputs.chunks_exact(features);
        let rows = rows.zip(self.seeds.d_outputs.chunks_exact(features));
        for ((inputs, d_outputs), kept) in rows.zip(self.seeds.kept.chunks_exact(KEPT)) {
            x[..features].copy_from_slice(inputs);
            x[features..].fill(T::ZERO);
            d_y[..features].copy_from_slice(d_outputs);
            let (mean, inverse) = (s.splat(kept[0]), s.splat(kept[1]));
            let (mut along, mut shift) = (s.splat(T::ZERO), s.splat(T::ZERO));
            let row = s.vectors_mut(&mut x[..padded]);
            let d_row = s.vectors_mut(&mut d_y[..padded]);
            let sums = s.vectors_mut(&mut *d_gamma).iter_mut().zip(s.vectors_mut(&mut *d_beta));
            let of_unit = s.vectors(&weights.ones).iter().zip(s.vectors(&weights.gamma));
            for (((v, d), (&one, &gamma)), (d_gamma, d_beta)) in
                row.iter_mut().zip(&mut *d_row).zip(of_unit).zip(sums)
            {
                *v = s.mul(s.mul(s.sub(*v, mean), one), inverse);
                *d_beta = s.add(*d_beta, *d);
                *d_gamma = s.mul_add(*d, *v, *d_gamma);
                *d = s.mul(*d, gamma);
                along = s.mul_add(*d, *v, along);
                shift = s.add(shift, *d);
            }
            let Some(to) = d_inputs.as_mut().and_then(Iterator::next) else { continue };
            let along = s.div(over_lanes(s, along, |a, b| a + b), count);
            let shift = if weights.centered { shift } else { s.splat(T::ZERO) };
            let shift = s.div(over_lanes(s, shift, |a, b| a + b), count);
            for (v, &d) in row.iter_mut().zip(&*d_row) {
                *v = s.mul(s.neg_mul_add(*v, along, s.sub(d, shift)), inverse);
            }
            to.copy_from_slice(&x[..features]);
        }
    }
}
