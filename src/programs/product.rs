//! Products of registers with packed matrices.

use crate::kernels::pack::Packed;
use crate::kernels::product::{Product, Start};
use crate::machine::simd::{Element, Level};

/// `out [rows][shape[0], columns] = left [rows][shape[0], depth] · right`, or added to it.
///
/// Rows are `stride` elements apart, those of `out` whole vectors.
#[allow(clippy::too_many_arguments, reason = "one product's operands")]
pub(super) fn multiply<T: Element>(
    level: Level,
    (left, stride): (&[T], usize),
    right: &Packed<T>,
    [count, depth, columns]: [usize; 3],
    rows: usize,
    (out, out_stride): (&mut [T], usize),
    scratch: &mut [T],
    accumulate: bool,
) {
    let lanes = level.lanes::<T>();
    let start = if accumulate { Start::Output } else { Start::Zero };
    if count == 1 {
        let out = &mut out[..rows * out_stride];
        let product = Product::of((left, stride, rows), right, (out, out_stride / lanes));
        T::dispatch(level, Product { start, ..product });
        return;
    }
    let whole = columns.is_multiple_of(lanes);
    if whole && out_stride == count * columns && stride == count * depth {
        let (rows, out) = (rows * count, &mut out[..rows * out_stride]);
        let product = Product::of((left, depth, rows), right, (out, columns / lanes));
        T::dispatch(level, Product { start, ..product });
        return;
    }
    let padded = right.blocks() * lanes;
    for row in 0..rows {
        let left = &left[row * stride..];
        let own = &mut scratch[..count * padded];
        let out = &mut out[row * out_stride..][..count * columns];
        // What is there already comes first here too: results are the same wherever columns end.
        if accumulate {
            for (to, from) in own.chunks_exact_mut(padded).zip(out.chunks_exact(columns)) {
                to[..columns].copy_from_slice(from);
            }
        }
        let product = Product::of((left, depth, count), right, (&mut *own, padded / lanes));
        T::dispatch(level, Product { start, ..product });
        for (from, to) in own.chunks_exact(padded).zip(out.chunks_exact_mut(columns)) {
            to.copy_from_slice(&from[..columns]);
        }
    }
}
