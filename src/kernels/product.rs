//! Products of any number of rows with a packed operand, tile by tile.

use std::ops::Range;

use super::cuts::{group, group_mut, halved_rows, most_rows, take_blocks, with_tiles};
use super::int8::{TILE, ends, quarter};
use super::pack::Packed;
use super::tile::{Coming, LeftRows, accumulate_asking, accumulate_halved, blocks};
use crate::machine::simd::{Element, Kernel, MAX_LANES, Simd};

/// What a product's sums start from.
#[derive(Clone, Copy)]
pub enum Start<'a, T> {
    /// Zero.
    Zero,
    /// What the output holds.
    Output,
    /// A row of vectors for each block of columns, `[block][width][LANES]`.
    Bias(&'a [T]),
}

/// `out = start + left · right` for any number of rows.
pub struct Product<'a, T: Element> {
    /// Rows of the left side, `stride` elements apart, of which `depth` from `from` take part.
    pub left: &'a [T],
    /// Elements between the starts of two rows.
    pub stride: usize,
    /// Number of rows.
    pub rows: usize,
    /// The first element of each row that takes part.
    pub from: usize,
    /// The right side.
    pub right: &'a Packed<T>,
    /// Its blocks that take part.
    pub blocks: Range<usize>,
    /// Whether the blocks are walked from the last to the first.
    pub from_end: bool,
    /// The first row of the right side that takes part, and their number.
    pub depth: (usize, usize),
    /// Aligned output; strides and offset count vectors.
    pub out: &'a mut [T],
    /// The vector where the first block of row 0 goes.
    pub offset: usize,
    /// Vectors between two blocks of columns.
    pub block_stride: usize,
    /// Vectors between two rows.
    pub row_stride: usize,
    /// What the sums start from.
    pub start: Start<'a, T>,
}

impl<'a, T: Element> Product<'a, T> {
    /// `out = left · right`, whole: rows of the left side with the elements between two of them and
    /// their number, and an output of as many rows, so many vectors apart, blocks side by side.
    #[inline(always)]
    pub fn of(
        (left, stride, rows): (&'a [T], usize, usize),
        right: &'a Packed<T>,
        (out, row_stride): (&'a mut [T], usize),
    ) -> Self {
        Self {
            left,
            stride,
            rows,
            from: 0,
            right,
            blocks: 0..right.blocks(),
            from_end: false,
            depth: (0, right.depth()),
            out,
            offset: 0,
            block_stride: 1,
            row_stride,
            start: Start::Zero,
        }
    }
}

impl<T: Element> Kernel<T> for Product<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(mut self, s: S) {
        if const { T::HALVES } && self.right.is_int8() {
            return s.with_integers(Int8Product(self));
        }
        match self.right.width() {
            1 => self.all_blocks::<S, 1>(s),
            2 => self.all_blocks::<S, 2>(s),
            3 => self.all_blocks::<S, 3>(s),
            4 => self.all_blocks::<S, 4>(s),
            width => unreachable!("a packed width of {width}"),
        }
    }
}

impl<T: Element> Product<'_, T> {
    #[inline(always)]
    fn all_blocks<S: Simd<T>, const G: usize>(&mut self, s: S) {
        let mut rest = self.blocks.clone();
        while !rest.is_empty() {
            // Four vectors of columns in a tile, whatever the width.
            let count = match rest.len() {
                4.. if const { G == 1 } => 4,
                2.. if const { G <= 2 } => 2,
                _ => 1,
            };
            let (block, next) = take_blocks(&mut rest, count, self.from_end);
            match count {
                4 if const { G == 1 } => self.all_rows::<S, 4, G>(s, block, next),
                2 if const { G <= 2 } => self.all_rows::<S, 2, G>(s, block, next),
                _ => self.all_rows::<S, 1, G>(s, block, next),
            }
        }
    }

    #[inline(always)]
    fn all_rows<S: Simd<T>, const PB: usize, const G: usize>(
        &mut self,
        s: S,
        block: usize,
        next: usize,
    ) {
        if const { T::HALVES } && self.right.is_halved() {
            with_tiles!(self.rows, const { halved_rows(S::ROWS) }, 3, MR, place => {
                self.tile::<S, MR, PB, G, true>(s, (0, place.1), (block, next));
            });
            return;
        }
        with_tiles!(self.rows, const { most_rows(S::ROWS, PB * G) }, most_rows(S::ROWS, PB * G), MR, place => {
            self.tile::<S, MR, PB, G, false>(s, place, (block, next));
        });
    }

    #[inline(always)]
    fn tile<S: Simd<T>, const MR: usize, const PB: usize, const G: usize, const HALVED: bool>(
        &mut self,
        s: S,
        (number, row): (usize, usize),
        (block, next): (usize, usize),
    ) {
        let mut acc = [[[s.splat(T::ZERO); G]; PB]; MR];
        let Self { offset, block_stride, row_stride, .. } = *self;
        let first = offset + (block - self.blocks.start) * block_stride + row * row_stride;
        let at = |r: usize, b: usize| first + b * block_stride + r * row_stride;
        let start = match self.start {
            Start::Zero => None,
            Start::Output => Some((s.vectors(self.out), first, (block_stride, row_stride))),
            Start::Bias(bias) => Some((s.vectors(bias), block * G, (G, 0))),
        };
        if let Some((from, first, (by_block, by_row))) = start {
            for r in 0..MR {
                for b in 0..PB {
                    acc[r][b] = *group(from, first + b * by_block + r * by_row);
                }
            }
        }
        let left = &self.left[self.from..];
        let left = LeftRows::<T, MR>::new(left, self.stride, self.depth.1, |r| row + r);
        if HALVED {
            assert!(self.depth == (0, self.right.depth()), "some rows of a halved operand");
            accumulate_halved(s, &mut acc, left, self.right, block);
        } else {
            let right = blocks::<T, S, PB, G>(s, self.right, block, self.depth);
            let coming = Coming::of_blocks::<T, S, PB, G>(s, self.right, next, self.depth, number);
            accumulate_asking(s, &mut acc, left, right, 0, coming);
        }
        let out = s.vectors_mut(self.out);
        for r in 0..MR {
            for b in 0..PB {
                *group_mut(out, at(r, b)) = acc[r][b];
            }
        }
    }
}

/// A [`Product`] whose right side is of 8 bits, and its left side of integers
/// ([`super::int8::NarrowRows`]).
struct Int8Product<'a, T: Element>(Product<'a, T>);

/// The sums of a tile's rows, at most two.
type Sums<T> = [[[T; MAX_LANES]; TILE]; 2];

impl<T: Element> Kernel<T> for Int8Product<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(mut self, s: S) {
        let Product { right, ref blocks, rows, from_end, depth, .. } = self.0;
        assert!(depth == (0, right.depth()), "some rows of an operand of bytes");
        let tiles =
            blocks.start * right.width() / TILE..(blocks.end * right.width()).div_ceil(TILE);
        let mut sums = [[[T::ZERO; MAX_LANES]; TILE]; 2];
        for number in 0..tiles.len() {
            let tile = if from_end { tiles.end - 1 - number } else { tiles.start + number };
            let mut row = 0;
            while row < rows {
                let count = if S::SMALL { 1 } else { (rows - row).min(2) };
                if count == 1 {
                    self.tile::<S, 1, TILE>(s, row, tile, 0, &mut sums);
                } else if const { !S::SMALL } {
                    // Sums of two rows want more registers than sixteen.
                    if const { S::ROWS > 3 } {
                        self.tile::<S, 2, TILE>(s, row, tile, 0, &mut sums);
                    } else {
                        for first in [0, TILE / 2] {
                            self.tile::<S, 2, { TILE / 2 }>(s, row, tile, first, &mut sums);
                        }
                    }
                }
                for (row, sums) in (row..row + count).zip(&sums) {
                    self.finish(s, row, tile, sums);
                }
                row += count;
            }
        }
    }
}

impl<T: Element> Int8Product<'_, T> {
    /// The row's elements.
    #[inline(always)]
    fn row(&self, row: usize) -> &[T] {
        &self.0.left[row * self.0.stride..][..self.0.stride]
    }

    /// The sums of `C` vectors of a tile, from `first` on.
    #[inline(always)]
    fn tile<S: Simd<T>, const MR: usize, const C: usize>(
        &self,
        s: S,
        row: usize,
        tile: usize,
        first: usize,
        to: &mut Sums<T>,
    ) {
        assert!(first + C <= TILE, "vectors beyond the tile");
        let right = self.0.right;
        let quarter = quarter(right.depth());
        let (vectors, _) = s.vectors(right.data()).as_chunks::<TILE>();
        let vectors = &vectors[tile * quarter..][..quarter];
        let (mut of_even, mut of_odd) = ([self.row(row); MR], [self.row(row); MR]);
        let mut sums = [[s.splat(T::ZERO); C]; MR];
        for r in 0..MR {
            let row = self.row(row + r);
            sums[r] = [s.splat(row[ends(row).0]); C];
            (of_even[r], of_odd[r]) = row[..2 * quarter].split_at(quarter);
        }
        for k in 0..quarter {
            let (mut even, mut odd) = ([s.splat(T::ZERO); MR], [s.splat(T::ZERO); MR]);
            for r in 0..MR {
                (even[r], odd[r]) = (s.splat(of_even[r][k]), s.splat(of_odd[r][k]));
            }
            for c in 0..C {
                let bytes = vectors[k][first + c];
                let (low, high) = (s.even_bytes(bytes), s.odd_bytes(bytes));
                for r in 0..MR {
                    let sum = s.add_pairs(sums[r][c], low, even[r]);
                    sums[r][c] = s.add_pairs(sum, high, odd[r]);
                }
            }
        }
        for r in 0..MR {
            for c in 0..C {
                s.store(sums[r][c], &mut to[r][first + c]);
            }
        }
    }

    /// A row's sums of a tile, as numbers, go where they belong.
    #[inline(always)]
    fn finish<S: Simd<T>>(&mut self, s: S, row: usize, tile: usize, sums: &[[T; MAX_LANES]; TILE]) {
        let of_row = self.row(row);
        let step = s.splat(of_row[ends(of_row).1]);
        let Product { right, ref blocks, start, .. } = self.0;
        let (width, blocks) = (right.width(), blocks.clone());
        for (vector, sum) in (tile * TILE..).zip(sums) {
            let (block, gate) = (vector / width, vector % width);
            if !blocks.contains(&block) {
                continue;
            }
            let Product { offset, block_stride, row_stride, .. } = self.0;
            let at = offset + (block - blocks.start) * block_stride + row * row_stride + gate;
            let before = match start {
                Start::Zero => s.splat(T::ZERO),
                Start::Output => s.vectors(self.0.out)[at],
                Start::Bias(bias) => s.vectors(bias)[vector],
            };
            let scale = s.mul(step, s.vectors(right.scales())[vector]);
            s.vectors_mut(self.0.out)[at] = s.mul_add(s.numbers(s.load(sum)), scale, before);
        }
    }
}
