//! Activations of arrays, without a product: what an `Activation` layer computes.

use crate::error::{Error, Result};
use crate::kernels::pack::row_stride;
use crate::kernels::row_function::{ApplyToRows, RowFunction};
use crate::machine::memory::Buffer;
use crate::machine::simd::{Element, Level};

/// Elements of a piece that is computed at once: it stays in the first-level cache.
const PIECE: usize = 2048;

/// `outputs = function(inputs)` for rows of `units` elements, one after the other.
///
/// # Errors
/// If the lengths differ or are no whole number of rows, or if memory runs out.
pub fn activate<T: Element>(
    level: Option<Level>,
    function: RowFunction,
    units: usize,
    inputs: &[T],
    outputs: &mut [T],
) -> Result<()> {
    let level = level.map_or_else(Level::current, Ok)?;
    if inputs.len() != outputs.len() || units == 0 || !inputs.len().is_multiple_of(units) {
        return Err(Error::shape("outputs", [inputs.len()], [outputs.len()]));
    }
    let (units, rows) = match function {
        RowFunction::Each(_) => (PIECE, 1),
        RowFunction::Softmax => (units, (PIECE / units).max(1)),
    };
    let stride = row_stride(units);
    let mut rows_of_vectors = Buffer::zeroed(stride.saturating_mul(rows))?;
    for (from, to) in inputs.chunks(units * rows).zip(outputs.chunks_mut(units * rows)) {
        let units = units.min(from.len());
        let values = &mut rows_of_vectors[..stride * from.len().div_ceil(units)];
        for (row, from) in values.chunks_exact_mut(stride).zip(from.chunks_exact(units)) {
            row[..units].copy_from_slice(from);
        }
        T::dispatch(level, ApplyToRows { function, values, stride, units });
        for (row, to) in values.chunks_exact(stride).zip(to.chunks_exact_mut(units)) {
            to.copy_from_slice(&row[..units]);
        }
    }
    Ok(())
}
