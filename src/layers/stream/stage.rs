//! What a layer is to a stream: a stage that takes rows, keeps states, and has outputs.

use crate::error::{Error, Result};
use crate::kernels::pack::row_stride;
use crate::machine::lists;
use crate::machine::memory::Buffer;
use crate::machine::simd::Element;

/// The rows that a step skips.
pub(super) struct Idle {
    /// Rows that have nothing to read: stages with states keep them.
    rows: Vec<bool>,
    /// Those of them that have had no outputs yet, because a window of theirs is not full.
    waiting: Vec<bool>,
    /// Whether a stage has named rows in this step; both lists are false where none has.
    named: bool,
}

impl Idle {
    /// For `rows` rows.
    pub(super) fn new(rows: usize) -> Result<Self> {
        let (rows, waiting) = (lists::filled(false, rows)?, lists::filled(false, rows)?);
        Ok(Self { rows, waiting, named: false })
    }

    /// Before a step: every row has something to read.
    pub(super) fn clear(&mut self) {
        if self.named {
            self.rows.fill(false);
            self.waiting.fill(false);
            self.named = false;
        }
    }

    /// Skips the rows that are `masked`, and no others.
    pub(super) fn mask(&mut self, masked: &[bool]) {
        self.rows.copy_from_slice(masked);
        self.named = true;
    }

    /// Skips only the rows that have had no outputs yet: for a stage that reads masked steps too.
    pub(super) fn unmask(&mut self) {
        if self.named {
            self.rows.copy_from_slice(&self.waiting);
        }
    }

    /// Skips a row whose window is not full.
    pub(super) fn wait(&mut self, row: usize) {
        (self.rows[row], self.waiting[row], self.named) = (true, true, true);
    }

    /// Whether a row has nothing to read.
    pub(super) fn has(&self, row: usize) -> bool {
        self.rows[row]
    }

    /// Whether a row has had no outputs yet.
    pub(super) fn waits(&self, row: usize) -> bool {
        self.waiting[row]
    }

    /// Whether each row is skipped; none if no stage has named any.
    pub(super) fn some(&self) -> Option<&[bool]> {
        self.named.then_some(&self.rows)
    }
}

/// A layer with the states of some rows, one step at a time. Rows of inputs and of outputs are
/// [`row_stride`] of their length apart; what lies beyond their ends has no meaning.
pub(super) trait Stage<T: Element>: Send + Sync {
    /// Elements of a row of inputs.
    fn input_size(&self) -> usize;

    /// Elements of a row of outputs.
    fn output_size(&self) -> usize;

    /// Multiply-adds of a row's step.
    fn work(&self) -> usize {
        0
    }

    /// One step of all rows; those that are `idle` keep their states.
    fn advance(&mut self, inputs: &[T], stride: usize, idle: &mut Idle);

    /// The outputs of the last step, and the elements between two rows.
    fn outputs(&self) -> (&[T], usize);

    /// The length of a row of each state.
    fn states(&self) -> Result<Vec<usize>> {
        Ok(Vec::new())
    }

    /// Copies one row of a state.
    fn read_state(&mut self, _state: usize, _row: usize, _to: &mut [T]) {}

    /// Sets one row of a state.
    fn write_state(&mut self, _state: usize, _row: usize, _from: &[T]) {}

    /// Sets all states of one row to zero.
    fn reset(&mut self, _row: usize) {}

    /// The number of ids there are, if the stage takes ids.
    fn ids(&self) -> Option<usize> {
        None
    }

    /// Takes the id of one row.
    fn set_id(&mut self, _row: usize, _id: usize) {}
}

/// The last outputs of a stage.
pub(super) struct Outputs<T: Element> {
    pub(super) units: usize,
    pub(super) stride: usize,
    pub(super) values: Buffer<T>,
}

impl<T: Element> Outputs<T> {
    /// Zeros for `rows` rows of `units` elements.
    pub(super) fn new(rows: usize, units: usize) -> Result<Self> {
        let stride = row_stride(units);
        Ok(Self { units, stride, values: Buffer::zeroed(size([rows, stride])?)? })
    }

    /// The rows, each with what lies beyond its end.
    pub(super) fn rows_mut(&mut self) -> impl Iterator<Item = &mut [T]> {
        self.values.chunks_exact_mut(self.stride)
    }

    /// As [`Stage::outputs`] gives them.
    pub(super) fn get(&self) -> (&[T], usize) {
        (&self.values, self.stride)
    }
}

/// The product of some numbers.
///
/// # Errors
/// If no memory could hold as many elements.
pub(super) fn size<const N: usize>(factors: [usize; N]) -> Result<usize> {
    let product = factors.iter().try_fold(1_usize, |all, &each| all.checked_mul(each));
    product.ok_or(Error::Memory(usize::MAX))
}

/// Refuses a number that is zero.
///
/// # Errors
/// If one is.
pub(super) fn positive<const N: usize>(numbers: [(&'static str, usize); N]) -> Result<()> {
    match numbers.iter().find(|(_, number)| *number == 0) {
        Some(&(argument, number)) => Err(Error::value(argument, "a positive integer", number)),
        None => Ok(()),
    }
}
