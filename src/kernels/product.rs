//! Products of any number of rows with a packed operand, tile by tile.

use std::ops::Range;

use super::cuts::{group, group_mut, halved_rows, most_rows, take_blocks, with_tiles};
use super::int8::{TILE, ends, quarter};
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
    /// `out = left · right`, whole: `left` has the rows, the elements between two of them and their
    /// number; the output has as many rows, `row_stride` vectors apart, with the blocks side by
    /// side.
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

impl<T: Element> Kernel<T> for Int8Product<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(mut self, s: S) {
        let Product { right, ref blocks, rows, from_end, depth, .. } = self.0;
        assert!(depth == (0, right.depth()), "some rows of an operand of bytes");
        let tiles =
            blocks.start * right.width() / TILE..(blocks.end * right.width()).div_ceil(TILE);
        for number in 0..tiles.len() {
            let tile = if from_end { tiles.end - 1 - number } else { tiles.start + number };
            let places = self.places(tile);
            let mut row = 0;
            while row < rows {
                let count = if S::SMALL { 1 } else { (rows - row).min(2) };
                if count == 1 {
                    self.tile::<S, 1, TILE>(s, row, (tile, 0), &places);
                } else if const { !S::SMALL } {
                    // Sums of two rows need more than sixteen registers, and sums of low and high
                    // bytes more than thirty-two.
                    if const { S::ROWS > 3 && !S::QUADS } {
                        self.tile::<S, 2, TILE>(s, row, (tile, 0), &places);
                    } else {
                        for first in [0, TILE / 2] {
                            self.tile::<S, 2, { TILE / 2 }>(s, row, (tile, first), &places);
                        }
                    }
                }
                row += count;
            }
        }
    }
}

impl<T: Element> Int8Product<'_, T> {
    /// Where the vectors of a tile go, in a row of the output; none for those of other blocks.
    #[inline(always)]
    fn places(&self, tile: usize) -> [Option<usize>; TILE] {
        let Product { right, ref blocks, offset, block_stride, .. } = self.0;
        let (width, first) = (right.width(), tile * TILE);
        let (mut block, mut gate) = (first / width, first % width);
        let mut places = [None; TILE];
        for place in &mut places {
            if blocks.contains(&block) {
                *place = Some(offset + (block - blocks.start) * block_stride + gate);
            }
            gate += 1;
            if gate == width {
                (block, gate) = (block + 1, 0);
            }
        }
        places
    }

    /// The products of `C` vectors of a tile, from `first` on.
    #[inline(always)]
    fn tile<S: Simd<T>, const MR: usize, const C: usize>(
        &mut self,
        s: S,
        row: usize,
        (tile, first): (usize, usize),
        places: &[Option<usize>; TILE],
    ) {
        assert!(first + C <= TILE, "vectors beyond the tile");
        let Product { left, stride, right, row_stride, start, .. } = self.0;
        let quarter = quarter(right.depth());
        let (vectors, _) = s.vectors(right.data()).as_chunks::<TILE>();
        let vectors = &vectors[tile * quarter..][..quarter];
        let mut halves = [[&left[..0]; 2]; MR];
        let mut steps = [s.splat(T::ZERO); MR];
        let mut sums = [[s.splat(T::ZERO); C]; MR];
        // Where there are quads: `sums` are of low bytes.
        let mut high_sums = [[s.splat(T::ZERO); C]; MR];
        for r in 0..MR {
            let row = &left[(row + r) * stride..][..stride];
            let (start_at, step_at) = ends(row);
            (sums[r], steps[r]) = ([s.splat(row[start_at]); C], s.splat(row[step_at]));
            halves[r] = [&row[..quarter], &row[quarter..][..quarter]];
        }
        for k in 0..quarter {
            let mut integers = [[s.splat(T::ZERO); 2]; MR];
            for r in 0..MR {
                integers[r] = [s.splat(halves[r][0][k]), s.splat(halves[r][1][k])];
            }
            for c in 0..C {
                let bytes = vectors[k][first + c];
                if const { S::QUADS } {
                    for r in 0..MR {
                        sums[r][c] = s.add_quads(sums[r][c], bytes, integers[r][0]);
                        high_sums[r][c] = s.add_quads(high_sums[r][c], bytes, integers[r][1]);
                    }
                } else {
                    let (even, odd) = (s.even_bytes(bytes), s.odd_bytes(bytes));
                    for r in 0..MR {
                        let sum = s.add_pairs(sums[r][c], even, integers[r][0]);
                        sums[r][c] = s.add_pairs(sum, odd, integers[r][1]);
                    }
                }
            }
        }
        let vector = tile * TILE + first;
        let scales = &s.vectors(right.scales())[vector..][..C];
        let out = s.vectors_mut(self.0.out);
        for c in 0..C {
            let Some(place) = places[first + c] else { continue };
            for r in 0..MR {
                let to = &mut out[place + (row + r) * row_stride];
                let before = match start {
                    Start::Zero => s.splat(T::ZERO),
                    Start::Output => *to,
                    Start::Bias(bias) => s.vectors(bias)[vector + c],
                };
                let sum = if const { S::QUADS } {
                    s.join_quads(sums[r][c], high_sums[r][c])
                } else {
                    sums[r][c]
                };
                *to = s.mul_add(s.numbers(sum), s.mul(steps[r], scales[c]), before);
            }
        }
    }
}
