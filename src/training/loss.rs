//! The mean error of predictions: the losses that regression trains with, and its metrics.

use super::rows::{Rows, Weights};
use crate::machine::simd::Element;

/// What is averaged over all elements, of the difference `d = p - y`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Error {
    /// `d^2`
    Squared,
    /// `|d|`, whose slope is 0 where they are equal.
    Absolute,
    /// `d^2 / 2` up to a size of the difference, and the tangent from there on.
    Huber(f64),
    /// `log(cosh(d))`
    LogCosh,
}

impl Error {
    /// Of a difference.
    fn value(self, d: f64) -> f64 {
        match self {
            Self::Squared => d * d,
            Self::Absolute => d.abs(),
            Self::Huber(delta) => {
                let slope = bounded(d, delta);
                slope * (d - 0.5 * slope)
            }
            Self::LogCosh => {
                let size = d.abs();
                size + (-2.0 * size).exp().ln_1p() - std::f64::consts::LN_2
            }
        }
    }

    /// The derivative by the prediction.
    fn slope(self, d: f64) -> f64 {
        match self {
            Self::Squared => 2.0 * d,
            Self::Absolute if d == 0.0 => 0.0,
            Self::Absolute => d.signum(),
            Self::Huber(delta) => bounded(d, delta),
            Self::LogCosh => d.tanh(),
        }
    }
}

/// A number, or what it may be at most and at least. NaN stays: it is neither below nor above.
fn bounded(x: f64, most: f64) -> f64 {
    if x > most {
        most
    } else if x < -most {
        -most
    } else {
        x
    }
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
            *to = T::of(error.slope(p.wide() - y.wide()) / count);
        }
    }
    sum / count
}

/// The sum over some elements.
fn total<T: Element>(error: Error, targets: &[T], predictions: &[T]) -> f64 {
    match error {
        Error::Squared => sum_of(targets, predictions, |d| d * d),
        Error::Absolute => sum_of(targets, predictions, f64::abs),
        Error::Huber(_) | Error::LogCosh => sum_of(targets, predictions, |d| error.value(d)),
    }
}

/// The sum of a function of the differences.
fn sum_of<T: Element>(targets: &[T], predictions: &[T], of: impl Fn(f64) -> f64) -> f64 {
    assert!(targets.len() == predictions.len(), "as many targets as predictions");
    let mut sums = [0.0; CHAINS];
    let (true_whole, true_rest) = targets.as_chunks::<CHAINS>();
    let (whole, rest) = predictions.as_chunks::<CHAINS>();
    for (p, y) in whole.iter().zip(true_whole) {
        for (n, sum) in sums.iter_mut().enumerate() {
            *sum += of(p[n].wide() - y[n].wide());
        }
    }
    let mut sum = sums.iter().sum::<f64>();
    for (&p, &y) in rest.iter().zip(true_rest) {
        sum += of(p.wide() - y.wide());
    }
    sum
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
            *to = T::of(error.slope(d) * (weights.rows[at / width] * share));
        }
    }
    sum * share
}
