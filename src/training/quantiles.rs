//! The pinball loss of quantiles that never cross.

use super::rows::{Labels, Rows, Weights};
use crate::error::{Error, Result};
use crate::machine::simd::Element;

/// The mean over quantiles of `max(p e, (p - 1) e)`, where `e` is the target minus the quantile of the
/// probability `p`. Predictions are the middle quantile, and on both sides of it the numbers whose
/// `log(1 + exp(x))` are the steps to the next ones. Each target has a weight of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantiles {
    /// The probabilities, from low to high.
    pub probabilities: Vec<f64>,
}

/// The step between two quantiles, and its derivative.
#[inline(never)]
fn step(x: f64) -> (f64, f64) {
    let small = (-x.abs()).exp();
    let slope = if x < 0.0 { small } else { 1.0 } / (1.0 + small);
    // NaN stays: it is not below 0.
    (small.ln_1p() + if x < 0.0 { 0.0 } else { x }, slope)
}

impl Quantiles {
    /// The mean over all rows, in double precision, each times its weights; `gradient` takes its
    /// derivatives with respect to the predictions. Of no rows it is NaN.
    ///
    /// ```
    /// use ferrnn::training::quantiles::Quantiles;
    /// use ferrnn::training::rows::Rows;
    /// let median = Quantiles { probabilities: vec![0.5] };
    /// let rows = Rows { targets: &[3.0, 1.0], predictions: &[1.0], classes: 1 };
    /// assert_eq!(median.mean(&rows, None, None).unwrap(), 1.0);
    /// ```
    ///
    /// # Errors
    /// If there are not two targets for each row, or if a row has another number of quantiles.
    ///
    /// # Panics
    /// If there is not a derivative for each prediction, or not a weight for each row.
    pub fn mean<T: Element>(
        &self,
        rows: &Rows<'_, T>,
        weights: Option<Weights<'_>>,
        gradient: Option<&mut [T]>,
    ) -> Result<f64> {
        rows.check(Labels::Weighted)?;
        let (count, found) = (self.probabilities.len(), rows.classes);
        if count != found || count == 0 {
            return Err(Error::value("y_pred", format!("{count} quantiles"), found));
        }
        let all = rows.predictions.len() / count;
        let share = weights.map_or(1.0 / all as f64, |weights| weights.share()) / count as f64;
        let mut sum = 0.0;
        let mut gradient = gradient.unwrap_or_default();
        let wanted = !gradient.is_empty();
        assert!(!wanted || gradient.len() == rows.predictions.len(), "a slope for each prediction");
        for (at, (target, row)) in rows.pairs(Labels::Weighted).enumerate() {
            let (slopes, rest) =
                std::mem::take(&mut gradient).split_at_mut(if wanted { count } else { 0 });
            gradient = rest;
            let weight = weights.map_or(1.0, |weights| weights.rows[at]) * target[1].wide();
            sum += weight * self.row(target[0].wide(), row, weight * share, slopes);
        }
        Ok(sum * share)
    }

    /// The sum over the quantiles of a target.
    #[inline(never)]
    fn row<T: Element>(&self, target: f64, row: &[T], share: f64, slopes: &mut [T]) -> f64 {
        let middle = row.len() / 2;
        let center = row[middle].wide();
        let (mut sum, slope) = self.one(middle, target - center);
        let mut by_center = slope * share;
        for up in [false, true] {
            let (sign, count) = if up { (1.0, row.len() - 1 - middle) } else { (-1.0, middle) };
            let place = |n: usize| if up { middle + n } else { middle - n };
            let mut quantile = center;
            for at in (1..=count).map(place) {
                quantile += sign * step(row[at].wide()).0;
                let (value, slope) = self.one(at, target - quantile);
                sum += value;
                by_center += slope * share;
                if let Some(to) = slopes.get_mut(at) {
                    *to = T::of(slope * share);
                }
            }
            if slopes.is_empty() {
                continue;
            }
            // A step moves all quantiles from its own on.
            let mut beyond = 0.0;
            for at in (1..=count).rev().map(place) {
                beyond += slopes[at].wide();
                slopes[at] = T::of(sign * step(row[at].wide()).1 * beyond);
            }
        }
        if let Some(to) = slopes.get_mut(middle) {
            *to = T::of(by_center);
        }
        sum
    }

    /// The loss of a quantile, and its derivative.
    fn one(&self, at: usize, error: f64) -> (f64, f64) {
        let probability = self.probabilities[at];
        let part = if error > 0.0 { probability } else { probability - 1.0 };
        (part * error, -part)
    }
}
