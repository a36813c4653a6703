//! Which inputs are multiplied beside the steps of earlier rows.

use std::ops::Range;

/// Which rows of a chunk, whose steps take one row each, are multiplied when: window after window of
/// one or a few tiles of rows, each while the rows of the window before it take their steps.
#[derive(Clone, Copy, Debug)]
pub struct Windows(usize);

impl Windows {
    /// Windows of `rows` rows.
    #[must_use]
    pub fn of(rows: usize) -> Self {
        Self(rows)
    }

    /// Rows of a window.
    #[must_use]
    #[inline(always)]
    pub fn rows(self) -> usize {
        self.0
    }

    /// The rows of `count` that are multiplied before the first step: those of the first window, and
    /// those at the end that fill none.
    #[must_use]
    pub fn at_once(self, count: usize) -> [Range<usize>; 2] {
        let whole = count / self.0 * self.0;
        if whole <= self.0 { [0..count, 0..0] } else { [0..self.0, whole..count] }
    }

    /// The rows of `count` that are not yet multiplied before row `next` takes its step.
    #[must_use]
    pub fn missing(self, count: usize, next: usize) -> Range<usize> {
        let whole = count / self.0 * self.0;
        whole.min((next / self.0 + 1) * self.0)..whole
    }
}
