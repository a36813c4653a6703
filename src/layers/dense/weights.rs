//! A Dense layer's weights, and the products with them.

use std::ops::Range;
use std::sync::OnceLock;

use crate::error::{Error, Result};
use crate::kernels::activation::Activation;
use crate::kernels::pack::Packed;
use crate::kernels::product::{Product, Start};
use crate::machine::lists::{Listed, share};
use crate::machine::memory::Buffer;
use crate::machine::simd::{Element, Level};
use crate::machine::threads;

/// Rows that are computed together.
pub(super) const CHUNK_ROWS: usize = 96;

/// A layer's weights, packed.
pub struct Weights<T: Element> {
    pub(super) level: Level,
    pub(super) features: usize,
    pub(super) units: usize,
    pub(super) activation: Activation,
    pub(super) kernel: Packed<T>,
    pub(super) bias: Option<Buffer<T>>,
    transposed: OnceLock<Packed<T>>,
}

impl<T: Element> Weights<T> {
    /// Packs a kernel `[features, units]` and a bias `[units]`, C-contiguous.
    ///
    /// # Errors
    /// If an array does not have the shape that goes with `features` and `units`, if either is
    /// zero, or if memory runs out.
    pub fn new(
        level: Option<Level>,
        activation: Activation,
        [features, units]: [usize; 2],
        kernel: &[T],
        bias: Option<&[T]>,
    ) -> Result<Self> {
        let level = level.map_or_else(|| Level::for_rows::<T>(units), Ok)?;
        for (argument, size) in [("features", features), ("units", units)] {
            if size == 0 {
                return Err(Error::value(argument, "a positive integer", size));
            }
        }
        if features.checked_mul(units) != Some(kernel.len()) {
            return Err(Error::shape("kernel", [features, units], [kernel.len()]));
        }
        if let Some(wrong) = bias.filter(|bias| bias.len() != units) {
            return Err(Error::shape("bias", [units], [wrong.len()]));
        }
        let kernel = Packed::of_matrix(level, kernel, units, [features, units])?;
        let bias = bias.map(|bias| {
            let mut padded = Buffer::zeroed(kernel.blocks() * level.lanes::<T>())?;
            padded[..units].copy_from_slice(bias);
            Ok(padded)
        });
        let bias = bias.transpose()?;
        let transposed = OnceLock::new();
        Ok(Self { level, features, units, activation, kernel, bias, transposed })
    }

    /// The vectors that the weights are packed for.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Number of input features.
    #[must_use]
    pub fn features(&self) -> usize {
        self.features
    }

    /// Number of units.
    #[must_use]
    pub fn units(&self) -> usize {
        self.units
    }

    /// Whether there is a bias.
    #[must_use]
    pub fn has_bias(&self) -> bool {
        self.bias.is_some()
    }

    /// Whether backward needs the sums; else the outputs suffice.
    #[must_use]
    pub fn keeps_input(&self) -> bool {
        self.activation.keeps_input()
    }

    pub(super) fn transposed(&self) -> Result<&Packed<T>> {
        if let Some(packed) = self.transposed.get() {
            return Ok(packed);
        }
        let packed = self.kernel.transposed(self.units)?;
        Ok(self.transposed.get_or_init(|| packed))
    }

    pub(super) fn plan(&self, rows: usize) -> Result<(usize, Vec<Range<usize>>)> {
        let work = rows.saturating_mul(self.features).saturating_mul(self.units);
        let threads = threads::worth(work)?;
        let parts = rows.div_ceil(CHUNK_ROWS).next_multiple_of(threads).min(rows);
        let part = |n| share(rows, n, parts)..share(rows, n + 1, parts);
        Ok((threads, (0..parts).map(part).listed()?))
    }
}

/// `out = start + left · right` for row-major private buffers.
pub(super) fn multiply<T: Element>(
    level: Level,
    left: &[T],
    stride: usize,
    right: &Packed<T>,
    out: &mut [T],
    out_stride: usize,
    start: Start<'_, T>,
) {
    let rows = out.len() / out_stride;
    let row_stride = out_stride / level.lanes::<T>();
    let product = Product::of((left, stride, rows), right, (out, row_stride));
    T::dispatch(level, Product { start, ..product });
}
