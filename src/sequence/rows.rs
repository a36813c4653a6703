//! Copies and sums of single rows, with dropout masks.

use super::weights::Weights;
use crate::kernels::pack::row_stride;
use crate::memory::View;
use crate::simd::Element;

/// A slice's states, or the gradients by them, as the steps have them.
pub(super) struct States<'a, T> {
    /// The output's, by row.
    output: &'a mut [T],
    /// Elements between two rows of `output`.
    stride: usize,
    /// The others', `[block][row][state][LANES]`.
    others: &'a mut [T],
    rows: usize,
    count: usize,
    lanes: usize,
}

impl<'a, T: Element> States<'a, T> {
    pub(super) fn new(
        weights: &Weights<T>,
        rows: usize,
        output: &'a mut [T],
        others: &'a mut [T],
    ) -> Self {
        let (count, lanes) = (weights.layout.states, weights.lanes());
        Self { output, stride: row_stride(weights.units), others, rows, count, lanes }
    }

    /// Where a block of one of the other states begins; they are numbered from 1.
    fn other(&self, state: usize, block: usize, row: usize) -> usize {
        ((block * self.rows + row) * self.count + state - 1) * self.lanes
    }

    /// Takes over one row of one state.
    pub(super) fn read(&mut self, state: usize, row: usize, from: &[T]) {
        if state == 0 {
            self.output[row * self.stride..][..from.len()].copy_from_slice(from);
            return;
        }
        for (block, values) in from.chunks(self.lanes).enumerate() {
            let at = self.other(state, block, row);
            self.others[at..][..values.len()].copy_from_slice(values);
        }
    }

    /// Hands out one row of one state.
    pub(super) fn write(&self, state: usize, row: usize, to: &mut [T]) {
        if state == 0 {
            to.copy_from_slice(&self.output[row * self.stride..][..to.len()]);
            return;
        }
        for (block, values) in to.chunks_mut(self.lanes).enumerate() {
            let at = self.other(state, block, row);
            values.copy_from_slice(&self.others[at..][..values.len()]);
        }
    }
}

/// The number of dropout masks.
pub(super) fn masks<T>(mask: Option<View<'_, T>>) -> usize {
    mask.map_or(0, |mask| mask.shape()[0])
}

/// `to = from · mask`, without a mask `to = from`.
pub(super) fn copy_masked<T: Element>(to: &mut [T], from: &[T], mask: Option<&[T]>) {
    let to = &mut to[..from.len()];
    match mask {
        None => to.copy_from_slice(from),
        Some(mask) => {
            for ((to, &from), &mask) in to.iter_mut().zip(from).zip(mask) {
                *to = from * mask;
            }
        }
    }
}

/// Copies the rows called `rows`, one after the other.
pub(super) fn copy_rows<T: Element>(rows: &[u32], from: &[T], stride: usize, to: &mut [T]) {
    for (&row, to) in rows.iter().zip(to.chunks_exact_mut(stride)) {
        to.copy_from_slice(&from[row as usize * stride..][..stride]);
    }
}

/// `to += from`
pub(super) fn add<T: Element>(to: &mut [T], from: &[T]) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = *to + from;
    }
}

/// `to += from · mask`
pub(super) fn add_masked<T: Element>(to: &mut [T], from: &[T], mask: Option<&[T]>) {
    let Some(mask) = mask else { return add(to, from) };
    for ((to, &from), &mask) in to.iter_mut().zip(from).zip(mask) {
        *to = *to + from * mask;
    }
}
