//! The mean error of predictions: the losses that regression trains with, and its metrics.

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
    assert!(targets.len() == predictions.len(), "as many targets as predictions");
    let count = targets.len() as f64;
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
    if let Some(gradient) = gradient {
        assert!(gradient.len() == predictions.len(), "a derivative for each prediction");
        for ((to, &p), &y) in gradient.iter_mut().zip(predictions).zip(targets) {
            let d = p.wide() - y.wide();
            let slope = match error {
                Error::Squared => 2.0 * d,
                Error::Absolute if d == 0.0 => 0.0,
                Error::Absolute => d.signum(),
            };
            *to = T::of(slope / count);
        }
    }
    sum / count
}
