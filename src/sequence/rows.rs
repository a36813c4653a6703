//! Copies and sums of single rows, with dropout masks.

use crate::memory::View;
use crate::simd::Element;

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
