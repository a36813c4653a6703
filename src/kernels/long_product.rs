//! Products over many rows, for gradients of weights: few columns of the left side at a time stay on
//! a register tile while all rows go by.

use std::ops::Range;

use super::cuts::{group, group_mut};
use super::tile::{Coming, LeftPanel, accumulate_asking};
use crate::error::Result;
use crate::machine::lists;
use crate::machine::simd::{Element, Kernel, Simd};

/// Rows that are staged together.
const NEAR: usize = 32;

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
///
/// # Errors
/// If memory runs out.
pub fn add_stretch<'a, T>(
    stretches: &mut Vec<Stretch<'a, T>>,
    slots: &'a [T],
    rows: usize,
    first: usize,
    length: usize,
) -> Result<()> {
    if let Some(last) = stretches.last_mut()
        && std::ptr::eq(last.slots, slots)
        && last.first + last.length == first
    {
        last.length += length;
        return Ok(());
    }
    lists::push(stretches, Stretch { slots, rows, first, length })
}

/// Writes the rows of a left side, one after the other: some panels of each, as
/// `[panel][depth][row of the tile]`. All panels are the row's elements, a one, and zeros to the end of
/// the last.
pub struct Staging<'a, T, const MR: usize> {
    left: &'a mut [[T; MR]],
    depth: usize,
    panels: Range<usize>,
    /// The next row.
    k: usize,
}

impl<'a, T: Element, const MR: usize> Staging<'a, T, MR> {
    /// To stage `depth` rows in `left`.
    pub fn new(left: &'a mut [T], depth: usize, panels: Range<usize>) -> Self {
        Self { left: left.as_chunks_mut().0, depth, panels, k: 0 }
    }

    /// Adds `count` rows of `size` elements, which `row` gives by number.
    ///
    /// # Panics
    /// If there is no room for the rows, or one has fewer elements.
    #[inline(always)]
    pub fn add<'r>(&mut self, (count, size): (usize, usize), row: impl Fn(usize) -> &'r [T]) {
        if count == 1 {
            return self.add_one(&row(0)[..size]);
        }
        // Panel by panel while some rows stay in the nearest cache.
        for start in (0..count).step_by(NEAR) {
            let rows = (count - start).min(NEAR);
            let row = |n| row(start + n);
            for (n, panel) in self.panels.clone().enumerate() {
                let to = &mut self.left[n * self.depth + self.k..][..rows];
                let first = panel * MR;
                // Copies of a known size are a few moves each; of an unknown one they are calls.
                match size - first {
                    rest if rest >= MR => fill::<T, MR, MR>(to, first, &row),
                    0 => fill::<T, MR, 0>(to, first, &row),
                    1 => fill::<T, MR, 1>(to, first, &row),
                    2 => fill::<T, MR, 2>(to, first, &row),
                    3 => fill::<T, MR, 3>(to, first, &row),
                    4 => fill::<T, MR, 4>(to, first, &row),
                    _ => fill::<T, MR, 5>(to, first, &row),
                }
            }
            self.k += rows;
        }
    }

    /// As `add`, for a row alone: what each panel begins with would cost more than the row.
    #[inline(always)]
    fn add_one(&mut self, row: &[T]) {
        let (whole, rest) = row.as_chunks::<MR>();
        let whole = &whole[self.panels.start..self.panels.end.min(whole.len())];
        let mut at = self.k;
        for values in whole {
            self.left[at] = *values;
            at += self.depth;
        }
        if whole.len() < self.panels.len() {
            let last = &mut self.left[at];
            match rest.len() {
                0 => *last = ended::<T, MR, 0>(rest),
                1 => *last = ended::<T, MR, 1>(rest),
                2 => *last = ended::<T, MR, 2>(rest),
                3 => *last = ended::<T, MR, 3>(rest),
                4 => *last = ended::<T, MR, 4>(rest),
                _ => *last = ended::<T, MR, 5>(rest),
            }
        }
        self.k += 1;
    }
}

/// One panel of some rows, of which `N` elements are in it.
#[inline(always)]
fn fill<'r, T: Element, const MR: usize, const N: usize>(
    panel: &mut [[T; MR]],
    first: usize,
    row: &impl Fn(usize) -> &'r [T],
) {
    for (n, to) in panel.iter_mut().enumerate() {
        *to = ended::<T, MR, N>(&row(n)[first..][..N]);
    }
}

/// `N` elements, a one, and zeros. They are written where they stay, since reading a panel back as a
/// whole would have to wait for all its stores.
#[inline(always)]
fn ended<T: Element, const MR: usize, const N: usize>(from: &[T]) -> [T; MR] {
    std::array::from_fn(|r| match r {
        r if r < N => from[r],
        r if r == N => T::ONE,
        _ => T::ZERO,
    })
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

/// The numbers of slots of a row that kernels are compiled for, and of those that take part.
macro_rules! shapes {
    ($($width:literal: $($slots:literal),*;)*) => {
        /// Whether there is a kernel for `slots` of the `width` slots of a row.
        #[must_use]
        pub const fn is_compiled(width: usize, slots: usize) -> bool {
            $($((width == $width && slots == $slots) ||)*)* false
        }

        impl<T: Element> LongProduct<'_, T> {
            #[inline(always)]
            fn widths<S: Simd<T>, const MR: usize>(self, s: S) {
                match (self.width, self.slots.1) {
                    $($(($width, $slots) => self.blocks::<S, MR, $slots, $width>(s),)*)*
                    (width, slots) => unreachable!("{slots} of {width} slots"),
                }
            }
        }
    };
}

// A layout of another shape is not compiled, see `Layout::checked`.
shapes! {
    4: 4, 3, 1;
    3: 3, 2, 1;
    1: 1;
}

impl<T: Element> LongProduct<'_, T> {
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
        let (sums, _) = s.vectors_mut(self.sums).as_chunks_mut::<G>();
        for panel in 0..panels {
            let left = &left[panel * self.depth..][..self.depth];
            let at = |b: usize| ((block + b - self.blocks.start) * panels + panel) * MR;
            let mut acc = [[[s.splat(T::ZERO); G]; PB]; MR];
            for b in 0..PB {
                let rows: &[_; MR] = group(sums, at(b));
                for r in 0..MR {
                    acc[r][b] = rows[r];
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
                let left = LeftPanel::<T, MR>(&left[k..k + stretch.length]);
                let next = &rows[next * stretch.rows + stretch.first..][..stretch.length];
                let coming = Coming::of(next, panel % W);
                accumulate_asking(s, &mut acc, left, right, self.slots.0, coming);
                k += stretch.length;
            }
            for b in 0..PB {
                let rows: &mut [_; MR] = group_mut(sums, at(b));
                for r in 0..MR {
                    rows[r] = acc[r][b];
                }
            }
        }
        PB
    }
}
