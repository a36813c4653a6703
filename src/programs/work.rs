//! How much work a program is, and how many threads are worth using for it.

use super::elementwise::Op;
use super::instruction::Instruction;
use super::program::Program;
use crate::error::Result;
use crate::machine::simd::Element;
use crate::machine::threads::worth;

/// What an operation takes for each element, counted in multiply-adds of a product: the functions that
/// are computed by polynomials, and the others.
const FUNCTION: usize = 32;
const OPERATION: usize = 8;

impl Instruction {
    /// Multiply-adds for a row, and what takes as long.
    pub(super) fn work(&self) -> usize {
        let (counts, each) = match *self {
            Self::Map { op: Op::Activate(_) | Op::Log | Op::Sin | Op::Cos, counts, .. } => {
                (counts, FUNCTION)
            }
            Self::Map { counts, .. } | Self::Reduce { counts, .. } => (counts, OPERATION),
            Self::Product { shape, .. } | Self::Outer { shape, .. } => (shape, 1),
            Self::SumRows { .. } => return 0,
        };
        counts.iter().fold(each, |all, &count| all.saturating_mul(count))
    }
}

impl Program {
    /// The number of threads worth using for so many rows and steps: forward, and backward if there is
    /// a way back.
    ///
    /// # Errors
    /// As [`worth`].
    pub fn threads<T: Element>(&self, batch: usize, time: usize) -> Result<usize> {
        let work = self.work.saturating_mul(batch).saturating_mul(time);
        let passes = if self.goes_back() { 2 } else { 1 };
        // Less than half a tile of rows wastes more than another thread gains.
        let most = batch / self.level.rows::<T>().div_ceil(2);
        Ok(worth(work / passes)?.min(most).max(1))
    }
}
