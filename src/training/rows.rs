//! Targets and predictions, row by row, and the weights of rows.

use crate::error::{Error, Result};
use crate::machine::simd::Element;

/// What targets say about classes, and predictions about their probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Labels {
    /// Each entry is a question of its own, answered by 0 or 1.
    Binary,
    /// Rows with a 1 at the class, or with the probability of each.
    OneHot,
    /// The number of the class, one for each row of predictions.
    Numbers,
    /// A number and its weight, for each row of its quantiles.
    Weighted,
}

impl Labels {
    /// How many targets a row of predictions has.
    #[must_use]
    pub fn width(self, classes: usize) -> usize {
        match self {
            Self::Binary | Self::OneHot => classes,
            Self::Numbers => 1,
            Self::Weighted => 2,
        }
    }
}

/// Targets and predictions, and how many classes a row of predictions has.
pub struct Rows<'a, T> {
    /// The labels.
    pub targets: &'a [T],
    /// A probability for each class.
    pub predictions: &'a [T],
    /// The length of a row.
    pub classes: usize,
}

impl<T: Element> Rows<'_, T> {
    /// The rows, each with its targets.
    pub(super) fn pairs(&self, labels: Labels) -> impl Iterator<Item = (&[T], &[T])> {
        let targets = self.targets.chunks_exact(labels.width(self.classes).max(1));
        targets.zip(self.predictions.chunks_exact(self.classes.max(1)))
    }

    pub(super) fn check(&self, labels: Labels) -> Result<()> {
        let rows = self.predictions.len() / self.classes.max(1);
        let expected = [rows, labels.width(self.classes)];
        if self.targets.len() != expected[0] * expected[1] {
            return Err(Error::shape("y_true", expected, [self.targets.len()]));
        }
        Ok(())
    }
}

/// The weights of rows in a mean.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// A weight for each row.
    pub rows: &'a [f64],
    /// What the sum is divided by.
    pub divisor: Divisor,
}

/// What the weighted sum of rows is divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Divisor {
    /// The number of rows: a mean.
    #[default]
    Rows,
    /// The sum of the weights: a weighted mean.
    Weights,
    /// One: it remains a sum.
    One,
}

impl Weights<'_> {
    /// Their sum.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.rows.iter().sum()
    }

    /// What the weighted sum of the rows is multiplied by; 0 where there is nothing to divide by.
    pub(super) fn share(&self) -> f64 {
        let divisor = match self.divisor {
            Divisor::Rows => self.rows.len() as f64,
            Divisor::Weights => self.total(),
            Divisor::One => 1.0,
        };
        if divisor == 0.0 { 0.0 } else { 1.0 / divisor }
    }
}
