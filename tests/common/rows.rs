//! Some rows of a case's batch.

use super::{Arrays, Case};

/// Rows `rows` of an array of `batch` rows, or of each of `outer` such arrays.
pub fn take<T: Copy>(array: &[T], batch: usize, rows: &[usize]) -> Vec<T> {
    let per_row = array.len() / batch;
    rows.iter().flat_map(|row| array[row * per_row..][..per_row].to_vec()).collect()
}

/// A case with some rows of its batch.
pub fn some_rows(case: &Case, arrays: &Arrays<f32>, rows: &[usize]) -> (Case, Arrays<f32>) {
    let mut fewer = case.clone();
    fewer.batch = rows.len();
    let batch = case.batch;
    let masks = |array: &[f32]| {
        let per_mask = array.len() / case.masks().max(1);
        array.chunks(per_mask.max(1)).flat_map(|mask| take(mask, batch, rows)).collect()
    };
    let some = Arrays {
        inputs: take(&arrays.inputs, batch, rows),
        state: arrays.state.iter().map(|s| take(s, batch, rows)).collect(),
        mask: take(&arrays.mask, batch, rows),
        input_dropout: masks(&arrays.input_dropout),
        recurrent_dropout: masks(&arrays.recurrent_dropout),
        d_outputs: take(&arrays.d_outputs, batch, rows),
        d_state: arrays.d_state.iter().map(|d| take(d, batch, rows)).collect(),
        ..arrays.clone()
    };
    (fewer, some)
}
