//! What losses and metrics average over rows of predictions.

use super::classes::Crossentropy;
use super::loss::{self, mean_error, weighted_error};
use super::quantiles::Quantiles;
use super::rows::{Labels, Rows, Weights};
use crate::error::{Error, Result};
use crate::machine::simd::Element;

/// What is averaged.
#[derive(Clone, Debug)]
pub enum Measure {
    /// An error of numbers.
    Error(loss::Error),
    /// A crossentropy of classes.
    Crossentropy(Crossentropy),
    /// How many predictions of classes are right, those of binary labels by a threshold; for metrics only.
    Hits(Labels, f64),
    /// The pinball loss of quantiles.
    Pinball(Quantiles),
}

impl Measure {
    /// What targets are; errors have one for each prediction, as classes by rows of 1 and 0.
    #[must_use]
    pub fn labels(&self) -> Labels {
        match self {
            Self::Crossentropy(of) => of.labels,
            Self::Hits(labels, _) => *labels,
            Self::Error(_) => Labels::OneHot,
            Self::Pinball(_) => Labels::Weighted,
        }
    }

    /// Whether each entry of a row has a value of its own.
    #[must_use]
    pub fn by_entries(&self) -> bool {
        matches!(self, Self::Hits(Labels::Binary, _))
    }

    /// The mean over all rows, in double precision, each times its weight if there are `weights`;
    /// `gradient` takes its derivatives with respect to the predictions.
    ///
    /// # Errors
    /// If there are not as many targets as predictions or weights as rows, if a label is not a
    /// class, if there are other quantiles, or for hits.
    ///
    /// # Panics
    /// If there is not a derivative for each prediction.
    pub fn mean<T: Element>(
        &self,
        rows: &Rows<'_, T>,
        weights: Option<Weights<'_>>,
        gradient: Option<&mut [T]>,
    ) -> Result<f64> {
        rows.check(self.labels())?;
        let count = rows.predictions.len() / rows.classes.max(1);
        if let Some(weights) = weights.filter(|weights| weights.rows.len() != count) {
            return Err(Error::shape("sample_weight", [count], [weights.rows.len()]));
        }
        match self {
            Self::Error(error) => {
                let error = error.of_targets(rows.targets);
                Ok(match weights {
                    None => mean_error(error, rows, gradient),
                    Some(weights) => weighted_error(error, rows, weights, gradient),
                })
            }
            Self::Crossentropy(of) => of.mean(rows, weights, gradient),
            Self::Pinball(of) => of.mean(rows, weights, gradient),
            Self::Hits(..) => Err(Error::value("measure", "one with a gradient", "hits")),
        }
    }
}
