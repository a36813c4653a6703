//! Errors of regression and of margins that depend on the target itself, not only on how far the
//! prediction is from it.

#![allow(clippy::float_cmp, reason = "labels and clipped numbers are what they are, to the bit")]

use crate::machine::simd::Element;

/// An error of a prediction `p` for a target `y`; `eps` is the number in brackets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pair {
    /// `100 |p - y| / max(|y|, eps)`, whose slope is 0 where they are equal.
    Percentage(f64),
    /// `(log(max(p, eps) + 1) - log(max(y, eps) + 1))^2`
    Logarithmic(f64),
    /// `p - y log(p + eps)`
    Poisson(f64),
    /// `y log(y / p)`, both clipped to `[eps, 1]`. The values of a row are added up.
    Divergence(f64),
    /// `max(1 - y p, 0)`, or its square, of labels -1 and 1.
    Hinge {
        /// Whether it is the square.
        squared: bool,
        /// Whether labels are 0 and 1, which become -1 and 1.
        binary: bool,
    },
}

/// A number, at least `least`. NaN stays: it is not below.
fn raised(x: f64, least: f64) -> f64 {
    if x < least { least } else { x }
}

/// A number within `[least, 1]`. NaN stays.
fn clipped(x: f64, least: f64) -> f64 {
    if x > 1.0 { 1.0 } else { raised(x, least) }
}

impl Pair {
    /// The same error, for the labels of a batch: those of a hinge are 0 and 1 if all are.
    pub(super) fn of_labels<T: Element>(self, targets: &[T]) -> Self {
        match self {
            Self::Hinge { squared, .. } => {
                let binary = targets.iter().all(|&y| y == T::ZERO || y == T::of(1.0));
                Self::Hinge { squared, binary }
            }
            other => other,
        }
    }

    /// The error of one prediction.
    #[inline(never)]
    pub(super) fn value(self, y: f64, p: f64) -> f64 {
        match self {
            Self::Percentage(eps) => 100.0 * (p - y).abs() / raised(y.abs(), eps),
            Self::Logarithmic(eps) => {
                let d = (raised(p, eps) + 1.0).ln() - (raised(y, eps) + 1.0).ln();
                d * d
            }
            Self::Poisson(eps) => p - y * (p + eps).ln(),
            Self::Divergence(eps) => {
                let y = clipped(y, eps);
                y * (y / clipped(p, eps)).ln()
            }
            Self::Hinge { squared, binary } => {
                let short = raised(1.0 - sign(y, binary) * p, 0.0);
                if squared { short * short } else { short }
            }
        }
    }

    /// The derivative with respect to the prediction.
    #[inline(never)]
    pub(super) fn slope(self, y: f64, p: f64) -> f64 {
        match self {
            Self::Percentage(_) if p == y => 0.0,
            Self::Percentage(eps) => 100.0 * (p - y).signum() / raised(y.abs(), eps),
            Self::Logarithmic(eps) if p <= eps => 0.0,
            Self::Logarithmic(eps) => {
                2.0 * ((p + 1.0).ln() - (raised(y, eps) + 1.0).ln()) / (p + 1.0)
            }
            Self::Poisson(eps) => 1.0 - y / (p + eps),
            // A clipped prediction does not move the loss.
            Self::Divergence(eps) if p < eps || p > 1.0 => 0.0,
            Self::Divergence(eps) => -clipped(y, eps) / p,
            Self::Hinge { squared, binary } => {
                let y = sign(y, binary);
                let short = 1.0 - y * p;
                match squared {
                    _ if short <= 0.0 => 0.0,
                    true => -2.0 * y * short,
                    false => -y,
                }
            }
        }
    }
}

/// A label -1 or 1.
fn sign(y: f64, binary: bool) -> f64 {
    if binary { 2.0 * y - 1.0 } else { y }
}
