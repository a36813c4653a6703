//! Rows of a matrix for integer ids, and the sums of the gradients that each row receives.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::kernels::pack::row_stride;
use crate::machine::lists;
use crate::machine::memory::Buffer;
use crate::machine::simd::Element;

/// A layer's matrix: one row for each id.
pub struct Weights<T: Element> {
    ids: usize,
    features: usize,
    /// Whether the id 0 is padding.
    mask_zero: bool,
    rows: Buffer<T>,
}

impl<T: Element> Weights<T> {
    /// Copies a matrix `[ids, features]`, C-contiguous. With `mask_zero` the id 0 marks a step that
    /// does not count: in a stream, recurrent layers keep the states of its row.
    ///
    /// # Errors
    /// If the matrix has another shape, if either size is zero, or if memory runs out.
    pub fn new([ids, features]: [usize; 2], rows: &[T], mask_zero: bool) -> Result<Self> {
        for (argument, size) in [("ids", ids), ("features", features)] {
            if size == 0 {
                return Err(Error::value(argument, "a positive integer", size));
            }
        }
        if ids.checked_mul(features) != Some(rows.len()) {
            return Err(Error::shape("rows", [ids, features], [rows.len()]));
        }
        let mut copy = Buffer::unfilled(rows.len())?;
        copy.copy_from_slice(rows);
        Ok(Self { ids, features, mask_zero, rows: copy })
    }

    /// Number of rows.
    #[must_use]
    pub fn ids(&self) -> usize {
        self.ids
    }

    /// Elements of a row.
    #[must_use]
    pub fn features(&self) -> usize {
        self.features
    }

    /// Whether the id 0 is padding.
    #[must_use]
    pub fn mask_zero(&self) -> bool {
        self.mask_zero
    }

    fn row(&self, id: usize) -> &[T] {
        &self.rows[id * self.features..][..self.features]
    }
}

/// Refuses ids that a matrix of `rows` rows does not have.
///
/// # Errors
/// If there is one.
pub fn check(argument: &'static str, ids: &[i64], rows: usize) -> Result<()> {
    let known = 0..rows.cast_signed() as i64;
    if ids.iter().fold(true, |fine, id| fine & known.contains(id)) {
        return Ok(());
    }
    let (low, high) =
        ids.iter().fold((i64::MAX, i64::MIN), |(low, high), &id| (low.min(id), high.max(id)));
    let received = if low == high { format!("{low}") } else { format!("ids from {low} to {high}") };
    Err(Error::Value {
        argument,
        expected: format!("ids from 0 to {}", rows.cast_signed() - 1),
        received,
    })
}

/// Copies the row of each id.
///
/// # Errors
/// If there is no such row, or a length does not fit.
pub fn gather<T: Element>(
    rows: &[T],
    features: usize,
    ids: &[i64],
    outputs: &mut [T],
) -> Result<()> {
    expect("outputs", ids.len() * features, outputs.len())?;
    check("ids", ids, rows.len() / features.max(1))?;
    if features > 0 {
        for (&id, to) in ids.iter().zip(outputs.chunks_exact_mut(features)) {
            to.copy_from_slice(&rows[id.cast_unsigned() as usize * features..][..features]);
        }
    }
    Ok(())
}

/// Adds each row to the sum of its id, in the rows' order; `sums` are written, not added to.
///
/// # Errors
/// If there is no such sum, or a length does not fit.
pub fn scatter<T: Element>(ids: &[i64], rows: &[T], features: usize, sums: &mut [T]) -> Result<()> {
    expect("rows", ids.len() * features, rows.len())?;
    check("ids", ids, sums.len() / features.max(1))?;
    sums.fill(T::ZERO);
    if features > 0 {
        for (&id, row) in ids.iter().zip(rows.chunks_exact(features)) {
            let sum = &mut sums[id.cast_unsigned() as usize * features..][..features];
            for (sum, &value) in sum.iter_mut().zip(row) {
                *sum = *sum + value;
            }
        }
    }
    Ok(())
}

fn expect(argument: &'static str, expected: usize, received: usize) -> Result<()> {
    if expected == received { Ok(()) } else { Err(Error::shape(argument, [expected], [received])) }
}

/// The layer as the first of a stream: the ids of the step, and their rows.
pub struct EmbeddingStage<T: Element> {
    weights: Arc<Weights<T>>,
    stride: usize,
    outputs: Buffer<T>,
    /// The rows whose id is padding.
    masked: Vec<bool>,
}

impl<T: Element> EmbeddingStage<T> {
    /// For `rows` rows.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn new(weights: Arc<Weights<T>>, rows: usize) -> Result<Self> {
        let stride = row_stride(weights.features);
        let outputs = Buffer::zeroed(rows * stride)?;
        Ok(Self { stride, outputs, masked: lists::filled(false, rows)?, weights })
    }

    /// The weights.
    #[must_use]
    pub fn weights(&self) -> &Weights<T> {
        &self.weights
    }

    /// The outputs of the last step, and the elements between two rows.
    #[must_use]
    pub fn outputs(&self) -> (&[T], usize) {
        (&self.outputs, self.stride)
    }

    /// Which rows have an id that is padding.
    #[must_use]
    pub fn masked(&self) -> &[bool] {
        &self.masked
    }

    /// Takes the id of one row.
    ///
    /// # Panics
    /// If there is no such id or row.
    pub fn set(&mut self, row: usize, id: usize) {
        let to = &mut self.outputs[row * self.stride..][..self.weights.features];
        to.copy_from_slice(self.weights.row(id));
        self.masked[row] = self.weights.mask_zero && id == 0;
    }
}
