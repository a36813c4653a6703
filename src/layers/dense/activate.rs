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
    let units = if matches!(function, RowFunction::Each(_)) { PIECE } else { units };
    let stride = row_stride(units);
    let mut row = Buffer::zeroed(stride)?;
    for (from, to) in inputs.chunks(units).zip(outputs.chunks_mut(units)) {
        row[..from.len()].copy_from_slice(from);
        let units = from.len();
        T::dispatch(level, ApplyToRows { function, values: &mut row, stride, units });
        to.copy_from_slice(&row[..units]);
    }
    Ok(())
}
