//! Products of any number of rows with a packed operand, tile by tile.

use std::ops::Range;

use super::cuts::{group, group_mut, halved_rows, most_rows, take_blocks, with_tiles};
use super::int8::{ends, quarter};
use super::pack::Packed;
use super::tile::{Coming, LeftRows, accumulate_asking, accumulate_halved, blocks};
use crate::machine::simd::{Element, Kernel, Simd};

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
        let mut acc = self.start::<S, MR, PB, G>(s, row, block);
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
        self.finish(s, row, block, &acc);
    }

    /// The vector of the output where a row of a block goes.
    #[inline(always)]
    fn first(&self, row: usize, block: usize) -> usize {
        self.offset + (block - self.blocks.start) * self.block_stride + row * self.row_stride
    }

    /// What a tile's sums start from.
    #[inline(always)]
    fn start<S: Simd<T>, const MR: usize, const PB: usize, const G: usize>(
        &self,
        s: S,
        row: usize,
        block: usize,
    ) -> [[[S::V; G]; PB]; MR] {
        let mut acc = [[[s.splat(T::ZERO); G]; PB]; MR];
        let of_output = (self.block_stride, self.row_stride);
        let start = match self.start {
            Start::Zero => None,
            Start::Output => Some((s.vectors(self.out), self.first(row, block), of_output)),
            Start::Bias(bias) => Some((s.vectors(bias), block * G, (G, 0))),
        };
        if let Some((from, first, (by_block, by_row))) = start {
            for r in 0..MR {
                for b in 0..PB {
                    acc[r][b] = *group(from, first + b * by_block + r * by_row);
                }
            }
        }
        acc
    }

    /// A tile's sums become the output.
    #[inline(always)]
    fn finish<S: Simd<T>, const MR: usize, const PB: usize, const G: usize>(
        &mut self,
        s: S,
        row: usize,
        block: usize,
        acc: &[[[S::V; G]; PB]; MR],
    ) {
        let first = self.first(row, block);
        let out = s.vectors_mut(self.out);
        for r in 0..MR {
            for b in 0..PB {
                *group_mut(out, first + b * self.block_stride + r * self.row_stride) = acc[r][b];
            }
        }
    }
}

/// A [`Product`] whose right side is of 8 bits, and its left side of integers ([`super::int8::NarrowRows`]).
struct Int8Product<'a, T: Element>(Product<'a, T>);

impl<T: Element> Kernel<T> for Int8Product<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(mut self, s: S) {
        assert!(self.0.depth == (0, self.0.right.depth()), "some rows of an operand of bytes");
        match self.0.right.width() {
            1 => self.all_blocks::<S, 8, 4, 1>(s),
            2 => self.all_blocks::<S, 4, 1, 2>(s),
            3 => self.all_blocks::<S, 2, 1, 3>(s),
            4 => self.all_blocks::<S, 2, 1, 4>(s),
            width => unreachable!("a packed width of {width}"),
        }
    }
}

impl<T: Element> Int8Product<'_, T> {
    /// Walks the blocks, `ONE` at once if there is only one row, else `PB`: as many as give about eight
    /// chains of sums.
    #[inline(always)]
    fn all_blocks<S: Simd<T>, const ONE: usize, const PB: usize, const G: usize>(&mut self, s: S) {
        let mut rest = self.0.blocks.clone();
        let most = if self.0.rows == 1 { ONE } else { PB };
        while !rest.is_empty() {
            let count = if rest.len() >= most { most } else { 1 };
            let (block, _) = take_blocks(&mut rest, count, self.0.from_end);
            if count == ONE {
                self.tile::<S, 1, ONE, G>(s, 0, block);
                continue;
            }
            with_tiles!(self.0.rows, const { halved_rows(S::ROWS) }, 3, MR, place => {
                match count {
                    1 if const { PB > 1 } => self.tile::<S, MR, 1, G>(s, place.1, block),
                    _ => self.tile::<S, MR, PB, G>(s, place.1, block),
                }
            });
        }
    }

    #[inline(always)]
    fn tile<S: Simd<T>, const MR: usize, const PB: usize, const G: usize>(
        &mut self,
        s: S,
        row: usize,
        block: usize,
    ) {
        if const { MR > halved_rows(S::ROWS) } {
            return;
        }
        let Product { left, stride, right, .. } = self.0;
        let quarter = quarter(right.depth());
        let rows = LeftRows::<T, MR>::new(left, stride, stride, |r| row + r).rows();
        let (panels, _) = s.vectors(right.data()).as_chunks::<G>();
        let mut columns = [&panels[..0]; PB];
        for (b, column) in columns.iter_mut().enumerate() {
            *column = &panels[(block + b) * quarter..][..quarter];
        }
        let (start_at, step_at) = ends(rows[0]);
        let mut sums = [[[s.splat(T::ZERO); G]; PB]; MR];
        let (mut of_even, mut of_odd) = ([&left[..0]; MR], [&left[..0]; MR]);
        for r in 0..MR {
            sums[r] = [[s.splat(rows[r][start_at]); G]; PB];
            (of_even[r], of_odd[r]) = rows[r][..2 * quarter].split_at(quarter);
        }
        for k in 0..quarter {
            let (mut even, mut odd) = ([s.splat(T::ZERO); MR], [s.splat(T::ZERO); MR]);
            for r in 0..MR {
                (even[r], odd[r]) = (s.splat(of_even[r][k]), s.splat(of_odd[r][k]));
            }
            for b in 0..PB {
                for g in 0..G {
                    let bytes = columns[b][k][g];
                    let (first, second) = (s.even_bytes(bytes), s.odd_bytes(bytes));
                    for r in 0..MR {
                        let sum = s.add_pairs(sums[r][b][g], first, even[r]);
                        sums[r][b][g] = s.add_pairs(sum, second, odd[r]);
                    }
                }
            }
        }
        let mut acc = self.0.start::<S, MR, PB, G>(s, row, block);
        for r in 0..MR {
            let step = s.splat(rows[r][step_at]);
            for b in 0..PB {
                let scales = group::<_, G>(s.vectors(right.scales()), (block + b) * G);
                for g in 0..G {
                    let scale = s.mul(step, scales[g]);
                    acc[r][b][g] = s.mul_add(s.numbers(sums[r][b][g]), scale, acc[r][b][g]);
                }
            }
        }
        self.0.finish(s, row, block, &acc);
    }
}
