//! Operands packed for the register tile.

use super::int8::{self, Column, MOST_DEPTH, TILE};
use crate::error::{Error, Result};
use crate::machine::caches;
use crate::machine::lists::Listed;
use crate::machine::memory::Buffer;
use crate::machine::simd::{Element, Kernel, Level, MAX_LANES, Simd};
use crate::machine::threads;

/// How the weights of an operand are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// As numbers.
    #[default]
    Full,
    /// As bfloat16, 8 bits of precision instead of 24: two neighbouring rows share one.
    Bfloat16,
    /// In 8 bits, with a scale for each column: four rows share one. See [`crate::kernels::int8`].
    Int8,
}

impl Precision {
    /// Every precision and its name.
    const NAMES: [(Self, &str); 3] =
        [(Self::Full, "full"), (Self::Bfloat16, "bfloat16"), (Self::Int8, "int8")];

    /// The precision called `name`.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn named(name: &str) -> Result<Self> {
        let found = Self::NAMES.iter().find(|each| each.1 == name);
        let expected = "full, bfloat16 or int8";
        found.map(|each| each.0).ok_or_else(|| Error::value("precision", expected, name))
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize].1
    }

    /// The bytes of an element of `T`.
    #[must_use]
    pub fn bytes<T>(self) -> usize {
        match self {
            Self::Full => size_of::<T>(),
            Self::Bfloat16 => 2,
            Self::Int8 => 1,
        }
    }
}

/// The right side of a product: for each block of `LANES` columns its `depth` rows, each of `width`
/// vectors that share a block's lanes (a cell's gates of the same units).
pub struct Packed<T: Element> {
    data: Buffer<T>,
    level: Level,
    depth: usize,
    width: usize,
    blocks: usize,
    lanes: usize,
    /// How each element is kept.
    precision: Precision,
    /// Of 8 bits, what each column is multiplied by, vector by vector.
    scales: Buffer<T>,
    /// Whether the second-level cache is too small to keep it.
    large: bool,
}

impl<T: Element> Packed<T> {
    fn of(data: Buffer<T>, level: Level, depth: usize, width: usize, blocks: usize) -> Self {
        let large = data.len() * size_of::<T>() > caches::sizes().l2 / 4;
        Self {
            data,
            level,
            depth,
            width,
            blocks,
            lanes: level.lanes::<T>(),
            precision: Precision::Full,
            scales: Buffer::default(),
            large,
        }
    }

    /// Packs `columns` columns by `width` gates of a matrix whose element at (depth, gate, column)
    /// is `element`. Columns beyond the last are zero.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn new(
        level: Level,
        depth: usize,
        width: usize,
        columns: usize,
        element: impl Fn(usize, usize, usize) -> T,
    ) -> Result<Self> {
        let lanes = level.lanes::<T>();
        let blocks = columns.div_ceil(lanes);
        let mut data = Buffer::unfilled(blocks * depth * width * lanes)?;
        let mut vectors = data.chunks_exact_mut(lanes);
        for block in 0..blocks {
            let first = block * lanes;
            let filled = lanes.min(columns - first);
            for k in 0..depth {
                for (gate, vector) in (0..width).zip(&mut vectors) {
                    for (n, value) in vector[..filled].iter_mut().enumerate() {
                        *value = element(k, gate, first + n);
                    }
                    vector[filled..].fill(T::ZERO);
                }
            }
        }
        Ok(Self::of(data, level, depth, width, blocks))
    }

    /// As [`Packed::new`], where `row` gives the `columns` elements at (depth, gate) together.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn from_rows<'a>(
        level: Level,
        depth: usize,
        width: usize,
        columns: usize,
        row: impl Fn(usize, usize) -> &'a [T] + Copy + Sync,
    ) -> Result<Self> {
        let lanes = level.lanes::<T>();
        let blocks = columns.div_ceil(lanes);
        let mut data = Buffer::unfilled(blocks * depth * width * lanes)?;
        fill_blocks(&mut data, depth * width * lanes, |first, data| {
            T::dispatch(level, PackRows { data, depth, width, first, row });
        })?;
        Ok(Self::of(data, level, depth, width, blocks))
    }

    /// A matrix of `depth` rows of `columns` elements, `stride` apart.
    ///
    /// # Errors
    /// If memory runs out.
    ///
    /// # Panics
    /// If the matrix has fewer elements.
    #[inline(never)]
    pub fn of_matrix(
        level: Level,
        matrix: &[T],
        stride: usize,
        [depth, columns]: [usize; 2],
    ) -> Result<Self> {
        Self::from_rows(level, depth, 1, columns, |k, _| &matrix[k * stride..][..columns])
    }

    /// The transpose, for a product with gradients with respect to the columns: its depth runs over
    /// gates, then over the `columns` columns.
    ///
    /// # Errors
    /// If memory runs out.
    #[inline(never)]
    pub fn transposed(&self, columns: usize) -> Result<Self> {
        let (lanes, width) = (self.lanes, self.width);
        let (blocks, depth) = (self.depth.div_ceil(lanes), width * columns);
        let mut data = Buffer::unfilled(blocks * depth * lanes)?;
        fill_blocks(&mut data, depth * lanes, |number, data| {
            let outputs = data.chunks_exact_mut((depth * lanes).max(1));
            for (n, mut rest) in outputs.enumerate() {
                let first = (number + n) * lanes;
                let rows = lanes.min(self.depth - first);
                for gate in 0..width {
                    for block in 0..self.blocks {
                        let from =
                            &self.data[((block * self.depth + first) * width + gate) * lanes..];
                        let real = lanes.min(columns - block * lanes);
                        let (to, after) = rest.split_at_mut(real * lanes);
                        rest = after;
                        let tile = Transpose { from, stride: width * lanes, rows, to };
                        T::dispatch(self.level, tile);
                    }
                }
            }
        })?;
        Ok(Self::of(data, self.level, depth, 1, blocks))
    }

    /// The same operand rounded to bfloat16, in half the memory: rows `2 k` and `2 k + 1` are the
    /// halves of row `k`. Only for `f32`.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn halved(&self) -> Result<Self> {
        let (row, pairs) = (self.width * self.lanes, self.depth.div_ceil(2));
        let mut data = Buffer::unfilled(self.blocks * pairs * row)?;
        let blocks = self.data.chunks_exact((self.depth * row).max(1));
        for (from, to) in blocks.zip(data.chunks_exact_mut((pairs * row).max(1))) {
            for (from, to) in from.chunks(2 * row).zip(to.chunks_exact_mut(row)) {
                for (n, value) in to.iter_mut().enumerate() {
                    let high = from.get(row + n).copied().unwrap_or(T::ZERO);
                    *value = T::pair(from[n], high);
                }
            }
        }
        Ok(Self { data, precision: Precision::Bfloat16, scales: Buffer::default(), ..*self })
    }

    /// The same operand in 8 bits, in a quarter of the memory. Only for `f32`.
    ///
    /// # Errors
    /// If memory runs out, if a weight is not finite, or if there are too many rows for their sums
    /// to fit in 32 bits; `argument` is what an error calls the weights.
    pub fn int8(&self, argument: &'static str) -> Result<Self> {
        if const { !T::HALVES } {
            return Err(Error::kind(argument, "float32 weights for int8", "float64 weights"));
        }
        if self.depth > MOST_DEPTH {
            let expected = format!("at most {MOST_DEPTH} rows in int8");
            return Err(Error::value(argument, expected, self.depth));
        }
        if let Some(&other) = self.data.iter().find(|value| !value.wide().is_finite()) {
            return Err(Error::value(argument, "finite weights for int8", other.wide()));
        }
        let (lanes, quarter) = (self.lanes, int8::quarter(self.depth));
        let tiles = (self.blocks * self.width).div_ceil(TILE);
        let mut data = Buffer::zeroed(tiles * quarter * TILE * lanes)?;
        let mut scales = Buffer::zeroed(tiles * TILE * lanes)?;
        let (row, apart) = (self.width * lanes, self.level.pairs_apart());
        for (vector, scales) in scales.chunks_exact_mut(lanes).enumerate() {
            let (block, gate) = (vector / self.width, vector % self.width);
            if block == self.blocks {
                break;
            }
            let from = &self.data[block * self.depth * row + gate * lanes..];
            let to = &mut data[(vector / TILE * quarter * TILE + vector % TILE) * lanes..];
            let column = Column { from, stride: row, depth: self.depth, apart };
            column.pack(scales, to, TILE * lanes);
        }
        Ok(Self { data, scales, precision: Precision::Int8, ..*self })
    }

    /// Whether this is a [`Self::halved`] operand.
    #[must_use]
    pub fn is_halved(&self) -> bool {
        self.precision == Precision::Bfloat16
    }

    /// Whether this is an [`Self::int8`] operand.
    #[must_use]
    pub fn is_int8(&self) -> bool {
        self.precision == Precision::Int8
    }

    /// What each column is multiplied by, if the operand is of 8 bits, vector by vector.
    #[must_use]
    pub fn scales(&self) -> &[T] {
        &self.scales
    }

    /// Whether the second-level cache may be too small to keep it beside everything else in use:
    /// more than a quarter of it.
    #[must_use]
    pub fn is_large(&self) -> bool {
        self.large
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

/// Multiply-adds that take as long as packing or transposing an element.
const COST: usize = 16;
/// Elements for which another thread may pay.
const MANY: usize = 1 << 14;

/// Fills blocks of `size` elements, on several threads if they are many: `fill` gets the number of a
/// block and the elements of this and perhaps some more.
fn fill_blocks<T: Element>(
    data: &mut [T],
    size: usize,
    fill: impl Fn(usize, &mut [T]) + Sync,
) -> Result<()> {
    let many = data.len() >= MANY && data.len() > size;
    let threads = if many { threads::worth(data.len().saturating_mul(COST))? } else { 1 };
    if threads == 1 {
        fill(0, data);
        return Ok(());
    }
    let blocks = (data.len() / size).div_ceil(threads);
    let mut shares = data.chunks_mut(blocks * size).enumerate().listed()?;
    threads::for_each(threads, &mut shares, |_, (n, data)| fill(*n * blocks, data));
    Ok(())
}

/// Packs some blocks of rows that are whole in memory.
struct PackRows<'a, T, F> {
    data: &'a mut [T],
    depth: usize,
    width: usize,
    /// The first block's number.
    first: usize,
    row: F,
}

impl<'r, T: Element, F: Fn(usize, usize) -> &'r [T]> Kernel<T> for PackRows<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) {
        let blocks = self.data.len() / (self.depth * self.width * S::LANES).max(1);
        let mut vectors = self.data.chunks_exact_mut(S::LANES);
        for block in self.first..self.first + blocks {
            for k in 0..self.depth {
                for (gate, vector) in (0..self.width).zip(&mut vectors) {
                    let row = (self.row)(k, gate);
                    s.store(s.load_partial(&row[block * S::LANES..]), vector);
                }
            }
        }
    }
}

/// Transposes a square of lanes, or as many of its columns as `to` has room for; of `from`, `rows`
/// rows exist, and zeros stand for the others.
struct Transpose<'a, T> {
    from: &'a [T],
    stride: usize,
    rows: usize,
    to: &'a mut [T],
}

impl<T: Element> Kernel<T> for Transpose<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) {
        let mut square = [[T::ZERO; MAX_LANES]; MAX_LANES];
        for (n, row) in square[..self.rows].iter_mut().enumerate() {
            s.store(s.load(&self.from[n * self.stride..]), row);
        }
        for (lane, vector) in self.to.chunks_exact_mut(S::LANES).enumerate() {
            for (value, row) in vector.iter_mut().zip(&square) {
                *value = row[lane];
            }
        }
    }
}

/// Elements between the starts of two rows of a private buffer: whole vectors, and one cache line
/// more, so that rows whose length is a power of two do not all map to one set of the cache. For
/// rows that no memory could hold it is the largest number, which no allocation can satisfy.
#[must_use]
pub fn row_stride(elements: usize) -> usize {
    elements.checked_next_multiple_of(MAX_LANES).map_or(usize::MAX, |n| n.saturating_add(MAX_LANES))
}
