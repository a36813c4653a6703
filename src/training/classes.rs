//! Predictions of classes: the mean crossentropy with its gradient, and how many predictions are right.

#![allow(clippy::float_cmp, reason = "labels and clipped numbers are what they are, to the bit")]

use super::logits;
use super::rows::{Labels, Rows, Weights};
use super::sums::sum_of;
use crate::error::{Error, Result};
use crate::machine::simd::Element;

/// A crossentropy of probabilities, or of logits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crossentropy {
    /// What the targets are.
    pub labels: Labels,
    /// The part of a label that is shared out between all classes.
    pub smoothing: f64,
    /// Probabilities nearer than this to 0 and 1 are clipped; predictions are logits if there is
    /// none.
    pub epsilon: Option<f64>,
    /// A numeric label whose rows have neither a value nor a gradient.
    pub ignored: Option<f64>,
}

/// The sum of a row, in several sums that need not wait for each other.
fn total<T: Element>(row: &[T]) -> f64 {
    let (whole, rest) = row.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for chunk in whole {
        for (sum, p) in sums.iter_mut().zip(chunk) {
            *sum += p.wide();
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|p| p.wide()).sum::<f64>()
}

/// The place of a label, if there is such a class.
fn place<T: Element>(label: T, classes: usize) -> Result<usize> {
    let (label, count) = (label.wide(), classes as f64);
    if !(label >= 0.0 && label < count) {
        let expected = format!("labels from 0 to {}", classes.saturating_sub(1));
        return Err(Error::value("y_true", expected, label));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    Ok(label as usize)
}

impl Crossentropy {
    /// The mean over all rows (of binary labels: over all entries), in double precision, each row
    /// times its weight if there are `weights`; `gradient` takes its derivatives with respect to
    /// the predictions. Of no elements it is NaN.
    ///
    /// ```
    /// use ferrnn::training::classes::Crossentropy;
    /// use ferrnn::training::rows::{Labels, Rows};
    /// let of = Crossentropy { labels: Labels::Numbers, smoothing: 0.0, epsilon: Some(1e-7), ignored: None };
    /// let rows = Rows { targets: &[1.0], predictions: &[0.5, 0.25, 0.25], classes: 3 };
    /// assert_eq!(of.mean(&rows, None, None).unwrap(), 4.0_f64.ln());
    /// ```
    ///
    /// # Errors
    /// If there are not as many targets as predictions, or a label is not a class.
    ///
    /// # Panics
    /// If there is not a derivative for each prediction, or not a weight for each row.
    pub fn mean<T: Element>(
        &self,
        rows: &Rows<'_, T>,
        weights: Option<Weights<'_>>,
        gradient: Option<&mut [T]>,
    ) -> Result<f64> {
        rows.check(self.labels)?;
        let count = rows.predictions.len() / rows.classes.max(1);
        let entries = if self.labels == Labels::Binary { rows.classes } else { 1 };
        let share = match weights {
            None => 1.0 / (count * entries) as f64,
            Some(weights) => weights.share() / entries as f64,
        };
        let mut sum = 0.0;
        let mut gradient = gradient.unwrap_or_default();
        let wanted = !gradient.is_empty();
        assert!(!wanted || gradient.len() == rows.predictions.len(), "a slope for each prediction");
        for (at, (targets, row)) in rows.pairs(self.labels).enumerate() {
            let width = if wanted { row.len() } else { 0 };
            let (slopes, rest) = std::mem::take(&mut gradient).split_at_mut(width);
            gradient = rest;
            let weight = weights.map_or(1.0, |weights| weights.rows[at]);
            sum += weight * self.row(targets, row, weight * share, slopes)?;
        }
        Ok(sum * share)
    }

    /// Whether a row of this label does not count.
    pub(crate) fn ignores<T: Element>(&self, label: T) -> bool {
        self.ignored.is_some_and(|ignored| label == T::of(ignored))
    }

    /// The sum over a row.
    fn row<T: Element>(
        &self,
        targets: &[T],
        row: &[T],
        share: f64,
        slopes: &mut [T],
    ) -> Result<f64> {
        let smoothed = |each: f64| move |y: T| y.wide() * (1.0 - self.smoothing) + each;
        let (half, part) = (0.5 * self.smoothing, self.smoothing / row.len() as f64);
        let pair = (targets, row);
        Ok(match (self.labels, self.epsilon) {
            (Labels::Binary, None) => logits::binary(smoothed(half), pair, share, slopes),
            (Labels::OneHot, None) => logits::one_hot(smoothed(part), pair, share, slopes),
            (Labels::Binary, Some(epsilon)) => {
                Clip(epsilon).binary(smoothed(half), pair, share, slopes)
            }
            (Labels::OneHot, Some(epsilon)) => {
                Clip(epsilon).one_hot(smoothed(part), pair, share, slopes)
            }
            (Labels::Numbers, _) if self.ignores(targets[0]) => {
                slopes.fill(T::ZERO);
                0.0
            }
            (Labels::Numbers | Labels::Weighted, epsilon) => {
                let label = place(targets[0], row.len())?;
                match epsilon {
                    None => logits::number(label, row, share, slopes),
                    Some(epsilon) => Clip(epsilon).number(label, row, share, slopes),
                }
            }
        })
    }
}

/// Clips probabilities to be no nearer than this to 0 and 1.
struct Clip(f64);

impl Clip {
    /// In the precision of the predictions.
    fn clipped<T: Element>(&self, p: f64) -> f64 {
        let (least, most) = (T::of(self.0).wide(), T::of(1.0 - self.0).wide());
        // NaN stays: it is neither below nor above.
        if p < least {
            least
        } else if p > most {
            most
        } else {
            p
        }
    }

    fn binary<T: Element>(
        &self,
        label: impl Fn(T) -> f64,
        (targets, row): (&[T], &[T]),
        share: f64,
        slopes: &mut [T],
    ) -> f64 {
        let mut sum = 0.0;
        for (&y, &p) in targets.iter().zip(row) {
            let (y, p) = (label(y), self.clipped::<T>(p.wide()));
            // Most labels are 0 or 1, and a logarithm takes time.
            if y != 0.0 {
                sum -= y * p.ln();
            }
            if y != 1.0 {
                sum -= (1.0 - y) * (1.0 - p).ln();
            }
        }
        for ((to, &y), &given) in slopes.iter_mut().zip(targets).zip(row) {
            let p = self.clipped::<T>(given.wide());
            let slope = (p - label(y)) / (p * (1.0 - p));
            // A clipped prediction does not move the loss.
            *to = T::of(if p == given.wide() || p.is_nan() { slope * share } else { 0.0 });
        }
        sum
    }

    fn one_hot<T: Element>(
        &self,
        label: impl Fn(T) -> f64,
        (targets, row): (&[T], &[T]),
        share: f64,
        slopes: &mut [T],
    ) -> f64 {
        let total = total(row);
        let (mut sum, mut along) = (0.0, 0.0);
        // The derivative with respect to a probability that was divided by the row's sum.
        let slope =
            |y: f64, q: f64, p: f64| if p == q || p.is_nan() { -y * share / p } else { 0.0 };
        for (&y, &p) in targets.iter().zip(row) {
            let (y, q) = (label(y), p.wide() / total);
            let p = self.clipped::<T>(q);
            if y != 0.0 {
                sum -= y * p.ln();
                along += slope(y, q, p) * q;
            }
        }
        for ((to, &y), &p) in slopes.iter_mut().zip(targets).zip(row) {
            let (y, q) = (label(y), p.wide() / total);
            *to = T::of((slope(y, q, self.clipped::<T>(q)) - along) / total);
        }
        sum
    }

    fn number<T: Element>(&self, label: usize, row: &[T], share: f64, slopes: &mut [T]) -> f64 {
        let total = total(row);
        let q = row[label].wide() / total;
        let p = self.clipped::<T>(q);
        if !slopes.is_empty() {
            let slope = if p == q || p.is_nan() { -share / p / total } else { 0.0 };
            slopes.fill(T::of(-slope * q));
            slopes[label] = T::of(slope - slope * q);
        }
        -p.ln()
    }
}

/// The place of the largest entry, the first of several; NaN counts as larger than all.
fn largest<T: Element>(row: &[T]) -> usize {
    let mut best = 0;
    for (at, &x) in row.iter().enumerate() {
        let known = row[best].wide();
        if !known.is_nan() && (x.wide() > known || x.wide().is_nan()) {
            best = at;
        }
    }
    best
}

/// How many predictions are right: of binary labels those that are above `threshold` if the label is 1, of
/// others the rows whose largest entry is that of the label.
///
/// # Errors
/// If there are not as many targets as predictions.
pub fn hits<T: Element>(labels: Labels, threshold: f64, rows: &Rows<'_, T>) -> Result<usize> {
    let (count, right) = questions(labels, threshold, rows)?;
    Ok((0..count).filter(|&at| right(at)).count())
}

/// As [`hits`], each times the weight of its row, and the sum of the weights, as `numpy.add.reduce` of
/// neighbours has these sums.
///
/// # Errors
/// If there are not as many targets as predictions.
///
/// # Panics
/// If there is not a weight for each row.
pub fn weighted_hits<T: Element>(
    labels: Labels,
    threshold: f64,
    rows: &Rows<'_, T>,
    weights: &[f64],
) -> Result<(f64, f64)> {
    let (count, right) = questions(labels, threshold, rows)?;
    let entries = if labels == Labels::Binary { rows.classes } else { 1 };
    let weight = |at: usize| weights[at / entries];
    let hit = |at: usize| f64::from(u8::from(right(at))) * weight(at);
    Ok((sum_of(count, &hit), sum_of(count, &weight)))
}

/// How many questions there are, and whether the prediction at a place is right.
fn questions<T: Element>(
    labels: Labels,
    threshold: f64,
    rows: &Rows<'_, T>,
) -> Result<(usize, impl Fn(usize) -> bool)> {
    rows.check(labels)?;
    let (&Rows { targets, predictions, classes }, threshold) = (rows, T::of(threshold));
    let row = move |all: &'_ [T], at: usize| largest(&all[at * classes..][..classes]);
    let count = predictions.len() / if labels == Labels::Binary { 1 } else { classes.max(1) };
    Ok((count, move |at: usize| match labels {
        Labels::Binary => targets[at].wide() == f64::from(u8::from(predictions[at] > threshold)),
        Labels::OneHot => row(targets, at) == row(predictions, at),
        Labels::Numbers | Labels::Weighted => targets[at].wide() == row(predictions, at) as f64,
    }))
}
