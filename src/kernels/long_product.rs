//! Products over many rows, for gradients of weights: few columns of the left side at a time stay on
//! a register tile while all rows go by.

use std::ops::Range;

use super::tile::{Columns, Coming, accumulate_asking};
use crate::simd::{Element, Kernel, Simd};

/// Neighbouring rows of a packed right side `[block][row][slot][LANES]`.
pub struct Stretch<'a, T> {
    /// The packed side.
    pub slots: &'a [T],
    /// Rows of each of its blocks.
    pub rows: usize,
    /// The first row that takes part.
    pub first: usize,
    /// How many do.
    pub length: usize,
}

/// Adds rows to the last stretch if they follow it, else as a stretch of their own.
pub fn add_stretch<'a, T>(
    stretches: &mut Vec<Stretch<'a, T>>,
    slots: &'a [T],
    rows: usize,
    first: usize,
    length: usize,
) {
    if let Some(last) = stretches.last_mut()
        && std::ptr::eq(last.slots, slots)
        && last.first + last.length == first
    {
        last.length += length;
        return;
    }
    stretches.push(Stretch { slots, rows, first, length });
}

/// Writes some panels of one row of a left side, `[panel][depth][row of the tile]`, as its step `k` of
/// `depth`, `(depth, k)`. All panels are the row's elements, a one, and zeros to the end of the last.
///
/// # Panics
/// If `left` has no room for the panels, or the row has fewer.
pub fn stage<T: Element>(
    tile_rows: usize,
    row: &[T],
    panels: &Range<usize>,
    left: &mut [T],
    at: (usize, usize),
) {
    match tile_rows {
        3 => stage_panels::<T, 3>(row, panels, left, at),
        6 => stage_panels::<T, 6>(row, panels, left, at),
        rows => unreachable!("a tile of {rows} rows"),
    }
}

/// Copies of a known size are a few moves each; of an unknown one they are calls.
fn stage_panels<T: Element, const MR: usize>(
    row: &[T],
    panels: &Range<usize>,
    left: &mut [T],
    (depth, k): (usize, usize),
) {
    let (whole, rest) = row.as_chunks::<MR>();
    let (left, _) = left.as_chunks_mut::<MR>();
    let with_last = panels.end > whole.len();
    for (n, values) in whole[panels.start..panels.end - usize::from(with_last)].iter().enumerate() {
        left[n * depth + k] = *values;
    }
    if with_last {
        let mut last = [T::ZERO; MR];
        for (to, &from) in last.iter_mut().zip(rest) {
            *to = from;
        }
        last[rest.len()] = T::ONE;
        left[(panels.len() - 1) * depth + k] = last;
    }
}

/// `sums += left^T · right`, each element one chain of multiply-adds in order of the rows.
pub struct LongProduct<'a, T: Element> {
    /// `[panel][depth][row of the tile]`
    pub left: &'a [T],
    /// Number of rows.
    pub depth: usize,
    /// `[block][row][slot][LANES]`, stretch after stretch.
    pub right: &'a [Stretch<'a, T>],
    /// Slots of a row.
    pub width: usize,
    /// Those that take part.
    pub slots: (usize, usize),
    /// Blocks to compute.
    pub blocks: Range<usize>,
    /// `[block][panel][row of the tile][slot][LANES]`
    pub sums: &'a mut [T],
}

impl<T: Element> Kernel<T> for LongProduct<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) {
        match const { S::ROWS } {
            3 => self.widths::<S, 3>(s),
            6 => self.widths::<S, 6>(s),
            rows => unreachable!("a tile of {rows} rows"),
        }
    }
}

impl<T: Element> LongProduct<'_, T> {
    #[inline(always)]
    fn widths<S: Simd<T>, const MR: usize>(self, s: S) {
        match (self.width, self.slots.1) {
            (4, 4) => self.blocks::<S, MR, 4, 4>(s),
            (4, 3) => self.blocks::<S, MR, 3, 4>(s),
            (4, 1) => self.blocks::<S, MR, 1, 4>(s),
            (3, 3) => self.blocks::<S, MR, 3, 3>(s),
            (3, 2) => self.blocks::<S, MR, 2, 3>(s),
            (3, 1) => self.blocks::<S, MR, 1, 3>(s),
            (1, 1) => self.blocks::<S, MR, 1, 1>(s),
            (width, slots) => unreachable!("{slots} of {width} slots"),
        }
    }

    #[inline(always)]
    fn blocks<S: Simd<T>, const MR: usize, const G: usize, const W: usize>(mut self, s: S) {
        let mut block = self.blocks.start;
        while block < self.blocks.end {
            let rest = self.blocks.end - block;
            block += if const { G == 1 } {
                match rest {
                    4.. => self.tiles::<S, MR, 4, G, W>(s, block),
                    2.. => self.tiles::<S, MR, 2, G, W>(s, block),
                    _ => self.tiles::<S, MR, 1, G, W>(s, block),
                }
            } else {
                self.tiles::<S, MR, 1, G, W>(s, block)
            };
        }
    }

    #[inline(always)]
    fn tiles<S: Simd<T>, const MR: usize, const PB: usize, const G: usize, const W: usize>(
        &mut self,
        s: S,
        block: usize,
    ) -> usize {
        let (left, _) = self.left.as_chunks::<MR>();
        let panels = left.len().checked_div(self.depth).unwrap_or(0);
        let sums = s.vectors_mut(self.sums);
        for panel in 0..panels {
            let left = &left[panel * self.depth..][..self.depth];
            let at = |b: usize, r: usize| {
                (((block + b - self.blocks.start) * panels + panel) * MR + r) * G
            };
            let mut acc = [[[s.splat(T::ZERO); G]; PB]; MR];
            for r in 0..MR {
                for b in 0..PB {
                    acc[r][b].copy_from_slice(&sums[at(b, r)..][..G]);
                }
            }
            let next = (block + PB + (panel / W).min(PB - 1)).min(self.blocks.end - 1);
            let mut k = 0;
            for stretch in self.right {
                let (rows, _) = s.vectors(stretch.slots).as_chunks::<W>();
                let mut right = [&rows[..0]; PB];
                for (b, slot) in right.iter_mut().enumerate() {
                    let first = (block + b) * stretch.rows + stretch.first;
                    *slot = &rows[first..][..stretch.length];
                }
                let left = Columns::<T, MR>(&left[k..k + stretch.length]);
                let next = &rows[next * stretch.rows + stretch.first..][..stretch.length];
                let coming = Coming::of(next, panel % W);
                accumulate_asking(s, &mut acc, left, right, self.slots.0, coming);
                k += stretch.length;
            }
            for r in 0..MR {
                for b in 0..PB {
                    sums[at(b, r)..][..G].copy_from_slice(&acc[r][b]);
                }
            }
        }
        PB
    }
}
