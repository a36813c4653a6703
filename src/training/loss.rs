//! The mean error of predictions: the losses that regression trains with, and its metrics.

use super::pairs::Pair;
use super::rows::{Rows, Weights};
use crate::machine::simd::Element;

/// What is averaged over all elements, of targets `y` and predictions `p`, mostly of `d = p - y`.
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
    /// One that depends on the target as well.
    Pair(Pair),
}

impl Error {
    /// The error of a prediction for a target.
    fn value(self, y: f64, p: f64) -> f64 {
        let d = p - y;
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
            Self::Pair(pair) => pair.value(y, p),
        }
    }

    /// The derivative with respect to the prediction.
    fn slope(self, y: f64, p: f64) -> f64 {
        let d = p - y;
        match self {
            Self::Squared => 2.0 * d,
            Self::Absolute if d == 0.0 => 0.0,
            Self::Absolute => d.signum(),
            Self::Huber(delta) => bounded(d, delta),
            Self::LogCosh => d.tanh(),
            Self::Pair(pair) => pair.slope(y, p),
        }
    }

    /// The same error, for the targets of a batch.
    pub(super) fn of_targets<T: Element>(self, targets: &[T]) -> Self {
        match self {
            Self::Pair(pair) => Self::Pair(pair.of_labels(targets)),
            other => other,
        }
    }

    /// How many values there are for `elements` elements, in rows of `classes` classes.
    fn values(self, elements: usize, classes: usize) -> usize {
        match self {
            Self::Pair(Pair::Divergence(_)) => elements / classes.max(1),
            _ => elements,
        }
    }
}

/// A number clipped to `[-most, most]`. NaN stays: it is neither below nor above.
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

/// The mean over all elements, summed in double precision; `gradient` takes its derivatives with
/// respect to the predictions. Of no elements it is NaN.
///
/// ```
/// use ferrnn::training::loss::{Error, mean_error};
/// use ferrnn::training::rows::Rows;
/// let mut gradient = [0.0_f32; 2];
/// let rows = Rows { targets: &[0.0, 1.0], predictions: &[3.0, 2.0], classes: 1 };
/// let mean = mean_error(Error::Squared, &rows, Some(&mut gradient));
/// assert_eq!((mean, gradient), (5.0, [3.0, 1.0]));
/// ```
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn mean_error<T: Element>(error: Error, rows: &Rows<'_, T>, gradient: Option<&mut [T]>) -> f64 {
    let &Rows { targets, predictions, classes } = rows;
    let count = error.values(targets.len(), classes) as f64;
    let sum = total(error, targets, predictions);
    if let Some(gradient) = gradient {
        assert!(gradient.len() == predictions.len(), "a derivative for each prediction");
        for ((to, &p), &y) in gradient.iter_mut().zip(predictions).zip(targets) {
            *to = T::of(error.slope(y.wide(), p.wide()) / count);
        }
    }
    sum / count
}

/// The sum over some elements.
fn total<T: Element>(error: Error, targets: &[T], predictions: &[T]) -> f64 {
    match error {
        Error::Squared => sum_of(targets, predictions, |y, p| (p - y) * (p - y)),
        Error::Absolute => sum_of(targets, predictions, |y, p| (p - y).abs()),
        Error::Huber(_) | Error::LogCosh => sum_of(targets, predictions, |y, p| error.value(y, p)),
        Error::Pair(pair) => sum_of(targets, predictions, |y, p| pair.value(y, p)),
    }
}

/// The sum of a function of targets and predictions.
fn sum_of<T: Element>(targets: &[T], predictions: &[T], of: impl Fn(f64, f64) -> f64) -> f64 {
    assert!(targets.len() == predictions.len(), "as many targets as predictions");
    let mut sums = [0.0; CHAINS];
    let (true_whole, true_rest) = targets.as_chunks::<CHAINS>();
    let (whole, rest) = predictions.as_chunks::<CHAINS>();
    for (p, y) in whole.iter().zip(true_whole) {
        for (n, sum) in sums.iter_mut().enumerate() {
            *sum += of(y[n].wide(), p[n].wide());
        }
    }
    let mut sum = sums.iter().sum::<f64>();
    for (&p, &y) in rest.iter().zip(true_rest) {
        sum += of(y.wide(), p.wide());
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
    let (width, share) = (classes.max(1), weights.share() / error.values(classes, classes) as f64);
    assert!(weights.rows.len() * width == predictions.len(), "a weight for each row");
    let pairs = targets.chunks_exact(width).zip(predictions.chunks_exact(width));
    let sum =
        pairs.zip(weights.rows).map(|((y, p), &weight)| weight * total(error, y, p)).sum::<f64>();
    if let Some(gradient) = gradient {
        assert!(gradient.len() == predictions.len(), "a derivative for each prediction");
        for (at, to) in gradient.iter_mut().enumerate() {
            let slope = error.slope(targets[at].wide(), predictions[at].wide());
            *to = T::of(slope * (weights.rows[at / width] * share));
        }
    }
    sum * share
}
