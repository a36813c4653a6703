//! Targets and predictions, row by row, and what rows count.

use crate::error::{Error, Result};
use crate::machine::simd::Element;

/// What targets say of classes, and predictions of their probability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Labels {
    /// Each entry is a question of its own, answered by 0 or 1.
    Binary,
    /// Rows with a 1 at the class, or with the probability of each.
    OneHot,
    /// The number of the class, one for each row of predictions.
    Numbers,
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
    /// Targets of each row.
    fn labels(&self, labels: Labels) -> usize {
        if labels == Labels::Numbers { 1 } else { self.classes }
    }

    /// The rows, each with its targets.
    pub(super) fn pairs(&self, labels: Labels) -> impl Iterator<Item = (&[T], &[T])> {
        let targets = self.targets.chunks_exact(self.labels(labels).max(1));
        targets.zip(self.predictions.chunks_exact(self.classes.max(1)))
    }

    pub(super) fn check(&self, labels: Labels) -> Result<()> {
        let rows = self.predictions.len() / self.classes.max(1);
        let expected = [rows, self.labels(labels)];
        if self.targets.len() != expected[0] * expected[1] {
            return Err(Error::shape("y_true", expected, [self.targets.len()]));
        }
        Ok(())
    }
}

/// What rows count in a mean.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// A weight for each row.
    pub rows: &'a [f64],
    /// Whether the sum is divided by theirs, and not by the number of rows.
    pub shared: bool,
}

impl Weights<'_> {
    /// Their sum.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.rows.iter().sum()
    }

    /// What the weighted sum of the rows is multiplied by; 0 where there is nothing to divide by.
    pub(super) fn share(&self) -> f64 {
        let divisor = if self.shared { self.total() } else { self.rows.len() as f64 };
        if divisor == 0.0 { 0.0 } else { 1.0 / divisor }
    }
}
