//! Products added to sums in place: a group of blocks of columns, for the rows that a list names.

use super::cuts::{halved_rows, with_tiles};
use super::pack::Packed;
use super::tile::{Coming, LeftRows, accumulate, accumulate_asking, accumulate_halved, blocks};
use crate::machine::simd::{Element, Kernel, Simd};

/// `sums[block][row][first..first + G] += left[rows[row]] · right[block]` for `PB` blocks, whose rows
/// have `W` vectors each. A kernel of its own, so that the cells share its tiles ([`Simd::apart`]).
pub struct AddProduct<'a, T: Element, const PB: usize, const G: usize, const W: usize> {
    /// Rows of the left side, `stride` elements apart.
    pub left: &'a [T],
    /// Elements between the starts of two rows.
    pub stride: usize,
    /// The rows that take part, as they follow each other in the sums.
    pub rows: &'a [u32],
    /// The right side.
    pub right: &'a Packed<T>,
    /// The first of its blocks that takes part, and the first that will next.
    pub block: (usize, usize),
    /// `[block][row][W][LANES]`, aligned.
    pub sums: &'a mut [T],
    /// Where the first block's first row lies, in rows, and the rows from a block to the next.
    pub place: (usize, usize),
    /// The first of a row's vectors that takes part.
    pub first: usize,
}

impl<T: Element, const PB: usize, const G: usize, const W: usize> Kernel<T>
    for AddProduct<'_, T, PB, G, W>
{
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(mut self, s: S) {
        let count = self.rows.len();
        if const { T::HALVES } && self.right.is_halved() {
            with_tiles!(count, const { halved_rows(S::ROWS) }, 3, MR, place => {
                self.tile::<S, MR, true>(s, 0, place.1);
            });
            return;
        }
        with_tiles!(count, S::ROWS, S::ROWS, MR, place => {
            self.tile::<S, MR, false>(s, place.0, place.1);
        });
    }
}

impl<T: Element, const PB: usize, const G: usize, const W: usize> AddProduct<'_, T, PB, G, W> {
    /// The product of the only row, which is not worth a call.
    #[inline(always)]
    pub fn one_row<S: Simd<T>>(mut self, s: S) {
        if const { T::HALVES } && self.right.is_halved() {
            self.tile::<S, 1, true>(s, 0, 0);
        } else {
            self.tile::<S, 1, false>(s, 0, 0);
        }
    }

    #[inline(always)]
    fn tile<S: Simd<T>, const MR: usize, const HALVED: bool>(
        &mut self,
        s: S,
        number: usize,
        position: usize,
    ) {
        let (slots, _) = s.vectors_mut(&mut *self.sums).as_chunks_mut::<W>();
        let first = self.first;
        assert!(first + G <= W, "slots beyond a row's");
        let at = |b: usize| self.place.0 + b * self.place.1 + position;
        let mut acc = [[[s.splat(T::ZERO); G]; PB]; MR];
        for b in 0..PB {
            for (r, row) in slots[at(b)..][..MR].iter().enumerate() {
                acc[r][b].copy_from_slice(&row[first..first + G]);
            }
        }
        let rows = &self.rows[position..][..MR];
        let depth = self.right.depth();
        let left = LeftRows::<T, MR>::new(self.left, self.stride, depth, |r| rows[r] as usize);
        let (block, next) = self.block;
        if HALVED {
            accumulate_halved(s, &mut acc, left, self.right, block);
        } else {
            let right = blocks::<T, S, PB, G>(s, self.right, block, (0, depth));
            let coming = Coming::of_blocks::<T, S, PB, G>(s, self.right, next, (0, depth), number);
            accumulate_asking(s, &mut acc, left, right, 0, coming);
        }
        for b in 0..PB {
            for (r, row) in slots[at(b)..][..MR].iter_mut().enumerate() {
                row[first..first + G].copy_from_slice(&acc[r][b]);
            }
        }
    }
}

/// The last block of units where these are few: `sums[row][..G * PARTS] += left[rows[row]] · right`,
/// whose `G` vectors hold the sums of `PARTS` slots each.
pub struct AddTail<'a, T: Element, const G: usize, const PARTS: usize, const W: usize> {
    /// Rows of the left side, `stride` elements apart.
    pub left: &'a [T],
    /// Elements between the starts of two rows.
    pub stride: usize,
    /// The rows that take part, as they follow each other in the sums.
    pub rows: &'a [u32],
    /// The right side, of one block.
    pub right: &'a Packed<T>,
    /// `[row][W][LANES]`, aligned.
    pub sums: &'a mut [T],
    /// Where the first row lies, in rows.
    pub place: usize,
}

impl<T: Element, const G: usize, const PARTS: usize, const W: usize> Kernel<T>
    for AddTail<'_, T, G, PARTS, W>
{
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(mut self, s: S) {
        with_tiles!(self.rows.len(), S::ROWS, S::ROWS, MR, place => {
            self.tile::<S, MR>(s, place.1);
        });
    }
}

impl<T: Element, const G: usize, const PARTS: usize, const W: usize> AddTail<'_, T, G, PARTS, W> {
    /// The product of the only row, which is not worth a call.
    #[inline(always)]
    pub fn one_row<S: Simd<T>>(mut self, s: S) {
        self.tile::<S, 1>(s, 0);
    }

    /// The `G` vectors' sums go to the slots that they have in other blocks.
    #[inline(always)]
    fn tile<S: Simd<T>, const MR: usize>(&mut self, s: S, position: usize) {
        let (slots, _) = s.vectors_mut(&mut *self.sums).as_chunks_mut::<W>();
        let slots = &mut slots[self.place + position..][..MR];
        let mut acc = [[[s.splat(T::ZERO); G]; 1]; MR];
        for (acc, row) in acc.iter_mut().zip(&*slots) {
            acc[0].copy_from_slice(&row[..G]);
        }
        let rows = &self.rows[position..][..MR];
        let depth = self.right.depth();
        let left = LeftRows::<T, MR>::new(self.left, self.stride, depth, |r| rows[r] as usize);
        accumulate(s, &mut acc, left, blocks::<T, S, 1, G>(s, self.right, 0, (0, depth)), 0);
        for (acc, row) in acc.iter().zip(slots) {
            for (slot, to) in row[..G * PARTS].iter_mut().enumerate() {
                *to = s.part::<PARTS>(acc[0][slot / PARTS], slot % PARTS);
            }
        }
    }
}
