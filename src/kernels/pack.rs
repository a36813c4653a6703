//! Operands packed for the register tile.

use crate::error::Result;
use crate::memory::Buffer;
use crate::simd::{Element, Level, MAX_LANES};

/// The right side of a product: for each block of `LANES` columns its `depth` rows, each of `width`
/// vectors that share a block's lanes (a cell's gates of the same units).
pub struct Packed<T: Element> {
    data: Buffer<T>,
    depth: usize,
    width: usize,
    blocks: usize,
    lanes: usize,
}

impl<T: Element> Packed<T> {
    /// Packs `columns` columns by `width` gates of a matrix whose element at (depth, gate, column)
    /// is `element`. Columns beyond the last are zero.
    ///
    /// # Errors
    /// If the memory cannot be had.
    pub fn new(
        level: Level,
        depth: usize,
        width: usize,
        columns: usize,
        element: impl Fn(usize, usize, usize) -> T,
    ) -> Result<Self> {
        let lanes = level.lanes::<T>();
        let blocks = columns.div_ceil(lanes);
        let mut data = Buffer::taken(blocks * depth * width * lanes)?;
        for (row, lane) in data.chunks_exact_mut(lanes).enumerate() {
            let (block, k, gate) = (row / (depth * width), row / width % depth, row % width);
            let first = block * lanes;
            let filled = lanes.min(columns - first);
            for (n, value) in lane.iter_mut().enumerate() {
                *value = if n < filled { element(k, gate, first + n) } else { T::ZERO };
            }
        }
        Ok(Self { data, depth, width, blocks, lanes })
    }

    /// Rows of a block.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Vectors of a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of blocks.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// The packed elements, `[block][depth][width][LANES]`.
    #[must_use]
    pub fn data(&self) -> &[T] {
        &self.data
    }

    /// The matrix element at (depth, gate, column).
    #[must_use]
    pub fn element(&self, k: usize, gate: usize, column: usize) -> T {
        let (block, lane) = (column / self.lanes, column % self.lanes);
        self.data[((block * self.depth + k) * self.width + gate) * self.lanes + lane]
    }
}

/// Elements between the starts of two rows of a private buffer: whole vectors, and one cache line
/// more, so that rows of a power of two do not fall into one set of the cache.
#[must_use]
pub fn row_stride(elements: usize) -> usize {
    elements.next_multiple_of(MAX_LANES) + MAX_LANES
}
