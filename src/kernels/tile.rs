//! The register tile: a few rows times a few vectors of columns, summed in order of depth.
//!
//! Every element is one chain of multiply-adds in order of depth, whatever the tile's size and place
//! are. So results do not depend on how many rows are computed together, or by whom.

use std::ops::Range;

use super::pack::Packed;
use crate::machine::simd::{Element, Simd};

/// The left side of a tile: `MR` rows, one element for each step of depth.
pub trait Left<T, const MR: usize>: Copy {
    /// Steps of depth.
    fn depth(self) -> usize;
    /// The element of a row at a step.
    fn at(self, row: usize, k: usize) -> T;
}

/// Rows that lie in memory one element after the other.
#[derive(Clone, Copy)]
pub struct LeftRows<'a, T, const MR: usize>([&'a [T]; MR]);

impl<'a, T, const MR: usize> LeftRows<'a, T, MR> {
    /// Rows `row(0)`, `row(1)`, ... of `buffer`, `stride` apart, of `depth` elements each.
    #[inline(always)]
    pub fn new(buffer: &'a [T], stride: usize, depth: usize, row: impl Fn(usize) -> usize) -> Self {
        let mut rows = [&buffer[..0]; MR];
        for (n, slot) in rows.iter_mut().enumerate() {
            *slot = &buffer[row(n) * stride..][..depth];
        }
        Self(rows)
    }

    /// Some steps of depth.
    #[inline(always)]
    fn part(self, depth: Range<usize>) -> Self {
        let mut rows = self.0;
        for row in &mut rows {
            *row = &row[depth.clone()];
        }
        Self(rows)
    }
}

impl<T: Copy, const MR: usize> Left<T, MR> for LeftRows<'_, T, MR> {
    #[inline(always)]
    fn depth(self) -> usize {
        self.0[0].len()
    }
    #[inline(always)]
    fn at(self, row: usize, k: usize) -> T {
        self.0[row][k]
    }
}

/// Rows that lie side by side: all elements of one step of depth, then those of the next.
#[derive(Clone, Copy)]
pub struct LeftPanel<'a, T, const MR: usize>(pub &'a [[T; MR]]);

impl<T: Copy, const MR: usize> Left<T, MR> for LeftPanel<'_, T, MR> {
    #[inline(always)]
    fn depth(self) -> usize {
        self.0.len()
    }
    #[inline(always)]
    fn at(self, row: usize, k: usize) -> T {
        self.0[k][row]
    }
}

/// What a tile prefetches as it goes, one vector at each step of depth: a share of the panel that
/// comes next. A panel that has to come from the third-level cache would hold up the first tile
/// that reads it, while the others need nothing from there.
#[derive(Clone, Copy)]
pub struct Coming<'a, V>(&'a [V]);

impl<'a, V> Coming<'a, V> {
    /// The share of the tile of this number: as many vectors as the panel has rows. If there are more
    /// tiles than vectors in a row, the last ones ask for what others have asked for.
    #[inline(always)]
    #[must_use]
    pub fn of<const W: usize>(panel: &'a [[V; W]], tile: usize) -> Self {
        Self(&panel.as_flattened()[tile.min(W - 1) * panel.len()..][..panel.len()])
    }

    /// The share of the tile of this number in the panels of `PB` blocks from `next` on; nothing if the
    /// second-level cache has them all.
    #[inline(always)]
    pub fn of_blocks<T: Element, S: Simd<T, V = V>, const PB: usize, const W: usize>(
        s: S,
        packed: &'a Packed<T>,
        next: usize,
        depth: (usize, usize),
        tile: usize,
    ) -> Self {
        if !packed.is_large() {
            return Self(&[]);
        }
        let block = (next + (tile / W).min(PB - 1)).min(packed.blocks() - 1);
        let [panel] = blocks::<T, S, 1, W>(s, packed, block, depth);
        Self::of(panel, tile % W)
    }
}

/// The fewest rows of a tile that asks for what is coming. Tiles of fewer take no longer than their own
/// panel takes to come.
const ASKING_ROWS: usize = 3;

/// `accumulators[row][block][gate] += left[row] · right[block][..][first + gate]`
///
/// # Panics
/// If the right side has fewer rows than the left has steps, or `first + G` is more than `W`.
#[inline(always)]
pub fn accumulate<T, S, L, const MR: usize, const PB: usize, const G: usize, const W: usize>(
    s: S,
    accumulators: &mut [[[S::V; G]; PB]; MR],
    left: L,
    right: [&[[S::V; W]]; PB],
    first: usize,
) where
    T: Element,
    S: Simd<T>,
    L: Left<T, MR>,
{
    accumulate_asking(s, accumulators, left, right, first, Coming(&[]));
}

/// As [`accumulate`], and asks for what is coming.
///
/// # Panics
/// As [`accumulate`].
#[inline(always)]
pub fn accumulate_asking<
    T,
    S,
    L,
    const MR: usize,
    const PB: usize,
    const G: usize,
    const W: usize,
>(
    s: S,
    accumulators: &mut [[[S::V; G]; PB]; MR],
    left: L,
    right: [&[[S::V; W]]; PB],
    first: usize,
    coming: Coming<'_, S::V>,
) where
    T: Element,
    S: Simd<T>,
    L: Left<T, MR>,
{
    let depth = left.depth();
    let mut right = right;
    for block in &mut right {
        *block = &block[..depth];
    }
    assert!(first + G <= W, "gates beyond the packed width");
    let asked = if MR < ASKING_ROWS { 0 } else { coming.0.len().min(depth) };
    for k in 0..asked {
        s.prefetch(&coming.0[k]);
        step(s, accumulators, left, right, first, k);
    }
    for k in asked..depth {
        step(s, accumulators, left, right, first, k);
    }
}

/// One step of depth.
#[inline(always)]
fn step<T, S, L, const MR: usize, const PB: usize, const G: usize, const W: usize>(
    s: S,
    accumulators: &mut [[[S::V; G]; PB]; MR],
    left: L,
    right: [&[[S::V; W]]; PB],
    first: usize,
    k: usize,
) where
    T: Element,
    S: Simd<T>,
    L: Left<T, MR>,
{
    if const { MR > 3 && PB * G <= 2 } {
        // Columns before rows, which are more.
        let mut columns = [[s.splat(T::ZERO); G]; PB];
        for b in 0..PB {
            columns[b].copy_from_slice(&right[b][k][first..first + G]);
        }
        for r in 0..MR {
            let row = s.splat(left.at(r, k));
            for b in 0..PB {
                for g in 0..G {
                    accumulators[r][b][g] = s.mul_add(row, columns[b][g], accumulators[r][b][g]);
                }
            }
        }
        return;
    }
    // Rows before columns: loading all columns first leaves too few registers on AVX2, where
    // the spills halve the speed.
    let mut rows = [s.splat(T::ZERO); MR];
    for r in 0..MR {
        rows[r] = s.splat(left.at(r, k));
    }
    for b in 0..PB {
        for g in 0..G {
            let column = right[b][k][first + g];
            for r in 0..MR {
                accumulators[r][b][g] = s.mul_add(rows[r], column, accumulators[r][b][g]);
            }
        }
    }
}

/// A second product, for [`accumulate_beside`]: the rows times some gates of the columns.
pub struct Beside<'a, T, V, const MR: usize, const MG: usize, const G: usize> {
    /// What the products are added to.
    pub sums: &'a mut [[[V; MG]; 1]; MR],
    /// The left side.
    pub rows: LeftRows<'a, T, MR>,
    /// The right side, of one block.
    pub columns: &'a [[V; G]],
    /// The first gate that takes part.
    pub first: usize,
}

/// As [`accumulate`] for one row, and a second product in between: where the first one waits for its
/// right side, the second one's multiply-adds cost nothing.
///
/// # Panics
/// If a right side has fewer rows than its left has steps, or the gates are beyond the packed width.
#[inline(always)]
pub fn accumulate_beside<T, S, const PB: usize, const G: usize, const MR: usize, const MG: usize>(
    s: S,
    accumulators: &mut [[[S::V; G]; PB]; 1],
    left: LeftRows<'_, T, 1>,
    right: [&[[S::V; G]]; PB],
    beside: Beside<'_, T, S::V, MR, MG, G>,
) where
    T: Element,
    S: Simd<T>,
{
    let Beside { sums, rows, columns, first } = beside;
    assert!(first + MG <= G, "gates beyond the packed width");
    // Two steps of the one for each of the other: as many multiply-adds in both.
    let (pairs, _) = left.0[0].as_chunks::<2>();
    let both = pairs.len().min(rows.depth());
    let pairs = &pairs[..both];
    let mut doubled = [&right[0].as_chunks::<2>().0[..0]; PB];
    for b in 0..PB {
        doubled[b] = &right[b].as_chunks::<2>().0[..both];
    }
    let (beside, after) = columns[..rows.depth()].split_at(both);
    let early = rows.part(0..both);
    let mut acc = accumulators[0];
    for k in 0..both {
        for half in 0..2 {
            let value = s.splat(pairs[k][half]);
            for b in 0..PB {
                for g in 0..G {
                    acc[b][g] = s.mul_add(value, doubled[b][k][half][g], acc[b][g]);
                }
            }
        }
        for r in 0..MR {
            let value = s.splat(early.at(r, k));
            for g in 0..MG {
                sums[r][0][g] = s.mul_add(value, beside[k][first + g], sums[r][0][g]);
            }
        }
    }
    accumulators[0] = acc;
    let mut late = right;
    for block in &mut late {
        *block = &block[2 * both..];
    }
    accumulate(s, accumulators, left.part(2 * both..left.depth()), late, 0);
    accumulate(s, sums, rows.part(both..rows.depth()), [after], first);
}

/// As [`accumulate`] for a halved right side, all of its rows: every weight is widened on its way to
/// the multiply-add, in the same order.
///
/// # Panics
/// If the left side has fewer steps than the right has rows.
#[inline(always)]
pub fn accumulate_halved<T, S, const MR: usize, const PB: usize, const G: usize>(
    s: S,
    accumulators: &mut [[[S::V; G]; PB]; MR],
    left: LeftRows<'_, T, MR>,
    right: &Packed<T>,
    block: usize,
) where
    T: Element,
    S: Simd<T>,
{
    let (depth, pairs) = (right.depth(), right.depth().div_ceil(2));
    let (rows, _) = s.vectors(right.data()).as_chunks::<G>();
    let mut panels = [&rows[..0]; PB];
    for (b, panel) in panels.iter_mut().enumerate() {
        *panel = &rows[(block + b) * pairs..][..pairs];
    }
    let left = LeftRows(left.0.map(|row| &row[..depth]));
    let mut sums = *accumulators;
    for pair in 0..depth / 2 {
        let (mut even, mut odd) = ([s.splat(T::ZERO); MR], [s.splat(T::ZERO); MR]);
        for r in 0..MR {
            even[r] = s.splat(left.at(r, 2 * pair));
            odd[r] = s.splat(left.at(r, 2 * pair + 1));
        }
        for b in 0..PB {
            for g in 0..G {
                let column = panels[b][pair][g];
                let (low, high) = (s.low_half(column), s.high_half(column));
                for r in 0..MR {
                    let sum = s.mul_add(even[r], low, sums[r][b][g]);
                    sums[r][b][g] = s.mul_add(odd[r], high, sum);
                }
            }
        }
    }
    if depth % 2 == 1 {
        for r in 0..MR {
            let last = s.splat(left.at(r, depth - 1));
            for b in 0..PB {
                for g in 0..G {
                    let low = s.low_half(panels[b][pairs - 1][g]);
                    sums[r][b][g] = s.mul_add(last, low, sums[r][b][g]);
                }
            }
        }
    }
    *accumulators = sums;
}

/// `PB` neighbouring blocks of a packed operand, cut to the rows that take part.
#[inline(always)]
pub fn blocks<T: Element, S: Simd<T>, const PB: usize, const W: usize>(
    s: S,
    packed: &Packed<T>,
    first: usize,
    depth: (usize, usize),
) -> [&[[S::V; W]]; PB] {
    let (rows, _) = s.vectors(packed.data()).as_chunks::<W>();
    let mut found = [&rows[..0]; PB];
    for (b, slot) in found.iter_mut().enumerate() {
        *slot = &rows[(first + b) * packed.depth() + depth.0..][..depth.1];
    }
    found
}
