//! The mean error of predictions: the losses that regression trains with, and its metrics.
//!
//! [`mean_error`] is a sum of its own; [`pointwise_error`] and [`sum_of_errors`] round as NumPy does
//! where values are computed one by one and summed by `numpy.add.reduce`.

use super::rows::{Rows, Weights};
use crate::machine::simd::Element;

/// What is averaged over all elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// `(p - y)^2`
    Squared,
    /// `|p - y|`, whose slope is 0 where they are equal.
    Absolute,
}

/// Partial sums, so that additions need not wait for each other; the result is the same on every
/// machine.
const CHAINS: usize = 8;

/// The mean over all elements, summed in double precision; `gradient` takes its derivatives by
/// `predictions`. Of no elements it is NaN.
///
/// ```
/// use ferrnn::training::loss::{Error, mean_error};
/// let mut gradient = [0.0_f32; 2];
/// let mean = mean_error(Error::Squared, &[0.0, 1.0], &[3.0, 2.0], Some(&mut gradient));
/// assert_eq!((mean, gradient), (5.0, [3.0, 1.0]));
/// ```
///
/// # Panics
/// If the lengths differ.
pub fn mean_error<T: Element>(
    error: Error,
    targets: &[T],
    predictions: &[T],
    gradient: Option<&mut [T]>,
) -> f64 {
    let count = targets.len() as f64;
    let sum = total(error, targets, predictions);
    if let Some(gradient) = gradient {
        assert!(gradient.len() == predictions.len(), "a derivative for each prediction");
        for ((to, &p), &y) in gradient.iter_mut().zip(predictions).zip(targets) {
            *to = T::of(slope(error, p.wide() - y.wide()) / count);
        }
    }
    sum / count
}

/// The sum over some elements.
fn total<T: Element>(error: Error, targets: &[T], predictions: &[T]) -> f64 {
    assert!(targets.len() == predictions.len(), "as many targets as predictions");
    let mut sums = [0.0; CHAINS];
    let (true_whole, true_rest) = targets.as_chunks::<CHAINS>();
    let (whole, rest) = predictions.as_chunks::<CHAINS>();
    let value = |p: T, y: T| {
        let d = p.wide() - y.wide();
        if error == Error::Squared { d * d } else { d.abs() }
    };
    for (p, y) in whole.iter().zip(true_whole) {
        for (n, sum) in sums.iter_mut().enumerate() {
            *sum += value(p[n], y[n]);
        }
    }
    let mut sum = sums.iter().sum::<f64>();
    for (&p, &y) in rest.iter().zip(true_rest) {
        sum += value(p, y);
    }
    sum
}

/// The derivative of an error by the prediction, for their difference.
fn slope(error: Error, d: f64) -> f64 {
    match error {
        Error::Squared => 2.0 * d,
        Error::Absolute if d == 0.0 => 0.0,
        Error::Absolute => d.signum(),
    }
}

/// As [`mean_error`], each row times its weight.
///
/// # Panics
/// If the lengths differ, or if there is not a weight for each row.
pub(super) fn weighted_error<T: Element>(
    error: Error,
    rows: &Rows<'_, T>,
    weights: Weights<'_>,
    gradient: Option<&mut [T]>,
) -> f64 {
    let &Rows { targets, predictions, classes } = rows;
    let (width, share) = (classes.max(1), weights.share() / classes as f64);
    assert!(weights.rows.len() * width == predictions.len(), "a weight for each row");
    let pairs = targets.chunks_exact(width).zip(predictions.chunks_exact(width));
    let sum =
        pairs.zip(weights.rows).map(|((y, p), &weight)| weight * total(error, y, p)).sum::<f64>();
    if let Some(gradient) = gradient {
        assert!(gradient.len() == predictions.len(), "a derivative for each prediction");
        for (at, to) in gradient.iter_mut().enumerate() {
            let d = predictions[at].wide() - targets[at].wide();
            *to = T::of(slope(error, d) * (weights.rows[at / width] * share));
        }
    }
    sum * share
}

/// Values that NumPy sums at once before it halves them.
const BLOCK: usize = 128;
/// Values that NumPy casts at once where a sum is of another type.
const BUFFER: usize = 8192;

/// As `numpy.add.reduce` of neighbours: pairs of blocks, eight sums in each.
pub(super) fn pairwise<T: Element>(first: usize, count: usize, value: &impl Fn(usize) -> T) -> T {
    if count < CHAINS {
        return (first..first + count).map(value).fold(T::ZERO, |sum, each| sum + each);
    }
    if count > BLOCK {
        let half = count / 2 - count / 2 % CHAINS;
        let (ahead, rest) = (pairwise(first, half, value), first + half);
        return ahead + pairwise(rest, count - half, value);
    }
    let mut sums = [T::ZERO; CHAINS];
    for (n, sum) in sums.iter_mut().enumerate() {
        *sum = value(first + n);
    }
    let whole = count - count % CHAINS;
    for at in (CHAINS..whole).step_by(CHAINS) {
        for (n, sum) in sums.iter_mut().enumerate() {
            *sum = *sum + value(first + at + n);
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    let sum = ((a + b) + (c + d)) + ((e + f) + (g + h));
    (whole..count).fold(sum, |sum, at| sum + value(first + at))
}

fn difference<T: Element>(prediction: T, target: T) -> T {
    // Of two numbers of T, rounded once: exact in double precision, or double precision itself.
    T::of(prediction.wide() - target.wide())
}

fn value_of<T: Element>(error: Error, difference: T) -> T {
    match error {
        Error::Squared => difference * difference,
        Error::Absolute => T::of(difference.wide().abs()),
    }
}

/// The mean over all elements as a number of `T`, summed in `T`; `gradient` takes its derivatives times
/// `weight`.
///
/// # Panics
/// If the lengths differ.
pub fn pointwise_error<T: Element>(
    error: Error,
    targets: &[T],
    predictions: &[T],
    gradient: &mut [T],
    weight: f64,
) -> f64 {
    let count = targets.len();
    assert!(predictions.len() == count && gradient.len() == count, "as many of each");
    let value = |at: usize| value_of(error, difference(predictions[at], targets[at]));
    let [share, slope] = [1.0, weight].map(|weight| T::of(weight * (1.0 / count as f64)));
    for ((to, &p), &y) in gradient.iter_mut().zip(predictions).zip(targets) {
        let d = difference(p, y);
        *to = match error {
            Error::Squared => slope * T::of(2.0) * d,
            Error::Absolute if d == T::ZERO => slope * T::ZERO,
            Error::Absolute => slope * T::of(d.wide().signum()),
        };
    }
    (pairwise(0, count, &value) * share).wide()
}

/// The sum over all elements, each a number of `T`, in double precision.
///
/// # Panics
/// If the lengths differ.
pub fn sum_of_errors<T: Element>(error: Error, targets: &[T], predictions: &[T]) -> f64 {
    assert!(predictions.len() == targets.len(), "as many of each");
    let value = |at: usize| value_of(error, difference(predictions[at], targets[at])).wide();
    let mut sum = 0.0;
    for first in (0..targets.len()).step_by(BUFFER) {
        sum += pairwise(first, BUFFER.min(targets.len() - first), &value);
    }
    sum
}
