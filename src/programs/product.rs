//! Products of registers with packed matrices, and the gradients of these.

use crate::error::{Error, Result};
use crate::kernels::long_product::{LongProduct, Staging, Stretch};
use crate::kernels::pack::Packed;
use crate::kernels::product::{Product, Start};
use crate::machine::memory::Buffer;
use crate::machine::simd::{Element, Kernel, Level, Simd};

/// Rows that are staged together.
const CHUNK: usize = 96;

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

/// `left^T · right` over rows of `shape[0]` rows each.
pub(super) struct Outer<'a, T> {
    pub(super) left: &'a [T],
    pub(super) right: &'a [T],
    /// Elements between two rows of each.
    pub(super) strides: (usize, usize),
    /// Rows within a row, depth and columns.
    pub(super) shape: [usize; 3],
    pub(super) rows: usize,
}

/// Adds the product to `out`, `[depth, columns]`.
pub(super) fn outer<T: Element>(level: Level, product: &Outer<'_, T>, out: &mut [T]) -> Result<()> {
    let [count, depth, columns] = product.shape;
    let (lanes, tile) = (level.lanes::<T>(), level.rows::<T>());
    let (blocks, panels) = (columns.div_ceil(lanes), (depth + 1).div_ceil(tile));
    let size = |a: usize, b: usize| a.checked_mul(b).ok_or(Error::Memory(usize::MAX));
    let mut sums = Buffer::zeroed(size(blocks * lanes, panels * tile)?)?;
    let mut left = Buffer::zeroed(size(panels * tile, CHUNK)?)?;
    let mut right = Buffer::unfilled(size(blocks * lanes, CHUNK)?)?;
    let all = product.rows * count;
    for first in (0..all).step_by(CHUNK) {
        let length = CHUNK.min(all - first);
        match tile {
            3 => stage::<T, 3>(product, first, length, panels, &mut left),
            6 => stage::<T, 6>(product, first, length, panels, &mut left),
            rows => unreachable!("a tile of {rows} rows"),
        }
        T::dispatch(level, Strips { product, first, length, blocks, right: &mut right });
        let slots = &right[..blocks * length * lanes];
        T::dispatch(
            level,
            LongProduct {
                left: &left[..panels * length * tile],
                depth: length,
                right: &[Stretch { slots, rows: length, first: 0, length }],
                width: 1,
                slots: (0, 1),
                blocks: 0..blocks,
                sums: &mut sums,
            },
        );
    }
    for (row, out) in out.chunks_exact_mut(columns).take(depth).enumerate() {
        for (block, out) in out.chunks_mut(lanes).enumerate() {
            let from = &sums[(block * panels * tile + row) * lanes..];
            for (to, &from) in out.iter_mut().zip(from) {
                *to = *to + from;
            }
        }
    }
    Ok(())
}

/// Writes some rows of the right side block by block, `[block][row][LANES]`.
struct Strips<'a, T> {
    product: &'a Outer<'a, T>,
    first: usize,
    length: usize,
    blocks: usize,
    right: &'a mut [T],
}

impl<T: Element> Kernel<T> for Strips<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) {
        let [count, _, columns] = self.product.shape;
        for k in 0..self.length {
            let (row, part) = ((self.first + k) / count, (self.first + k) % count);
            let from = &self.product.right[row * self.product.strides.1 + part * columns..];
            for block in 0..self.blocks {
                let to = &mut self.right[(block * self.length + k) * S::LANES..];
                s.store(s.load(&from[block * S::LANES..]), to);
            }
        }
    }
}

/// Stages some rows of the left side.
fn stage<T: Element, const MR: usize>(
    product: &Outer<'_, T>,
    first: usize,
    length: usize,
    panels: usize,
    left: &mut [T],
) {
    let [count, depth, _] = product.shape;
    let mut staging = Staging::<T, MR>::new(left, length, 0..panels);
    let (mut next, end) = (first, first + length);
    while next < end {
        let (row, part) = (next / count, next % count);
        let together = (count - part).min(end - next);
        let from = &product.left[row * product.strides.0 + part * depth..];
        staging.add((together, depth), |n| &from[n * depth..]);
        next += together;
    }
}
