//! How rows and blocks are cut into tiles, and the groups of elements that a tile reads and writes.

use std::ops::Range;

/// The most rows of a tile of so many columns, in vectors, where others have at most `rows`. Few columns
/// leave registers for more rows, and fewer chains of multiply-adds than hide what each of them takes.
#[must_use]
pub const fn most_rows(rows: usize, columns: usize) -> usize {
    if rows == 3 && columns <= 2 { 6 } else { rows }
}

/// The most rows of a tile whose right side is halved, where other tiles have at most `rows`. Such
/// an operand is for few rows, where reading it takes most of the time; larger tiles would be
/// compiled for nothing. Both halves' elements of three rows leave too few registers where there
/// are sixteen.
#[must_use]
pub const fn halved_rows(rows: usize) -> usize {
    if rows > 3 { 3 } else { 2 }
}

/// Cuts `count` rows evenly into tiles of at most `most` rows: gives the size of the tile at `row`.
#[inline(always)]
#[must_use]
pub fn rows_at(count: usize, row: usize, most: usize) -> usize {
    let rest = count - row;
    rest.div_ceil(rest.div_ceil(most))
}

/// Takes `count` blocks off a walk, from its start or from its end: gives the first of them, and the
/// first of as many that come next, if there are any.
#[inline(always)]
pub fn take_blocks(rest: &mut Range<usize>, count: usize, from_end: bool) -> (usize, usize) {
    let first = if from_end { rest.end - count } else { rest.start };
    let next = match (rest.len() > count, from_end) {
        (false, _) => first,
        (true, true) => first.saturating_sub(count).max(rest.start),
        (true, false) => first + count,
    };
    if from_end {
        rest.end -= count;
    } else {
        rest.start += count;
    }
    (first, next)
}

/// Calls `$body` with the constant `$MR` equal to `$rows`, at most six and at most `$most`.
macro_rules! with_rows {
    ($rows:expr, $most:expr, $MR:ident => $body:expr) => {
        match $rows {
            1 => {
                const $MR: usize = 1;
                $body
            }
            2 => {
                const $MR: usize = 2;
                $body
            }
            3 => {
                const $MR: usize = 3;
                $body
            }
            4 if const { $most > 3 } => {
                const $MR: usize = 4;
                $body
            }
            5 if const { $most > 3 } => {
                const $MR: usize = 5;
                $body
            }
            6 if const { $most > 3 } => {
                const $MR: usize = 6;
                $body
            }
            rows => unreachable!("a tile of {rows} rows"),
        }
    };
}
pub(crate) use with_rows;

/// `G` elements from `at` on, checked at once: if each access had its own check and message, the
/// checks of a tile would take more code than its sums.
#[inline(always)]
pub(crate) fn group<V, const G: usize>(from: &[V], at: usize) -> &[V; G] {
    from.get(at..).and_then(|rest| rest.first_chunk()).expect("a group inside the buffer")
}

/// As [`group`], to write.
#[inline(always)]
pub(crate) fn group_mut<V, const G: usize>(to: &mut [V], at: usize) -> &mut [V; G] {
    to.get_mut(at..).and_then(|rest| rest.first_chunk_mut()).expect("a group inside the buffer")
}

/// Calls `$body` for each tile of `$count` rows, cut into tiles of at most `$most`: `$place` is the
/// tile's number and its first row, and `$MR` its rows, for which at most `$compiled` are compiled.
macro_rules! with_tiles {
    ($count:expr, $most:expr, $compiled:expr, $MR:ident, $place:ident => $body:expr) => {{
        let (count, mut number, mut row) = ($count, 0, 0);
        while row < count {
            let $place = (number, row);
            let rows = $crate::kernels::cuts::rows_at(count, row, $most);
            $crate::kernels::cuts::with_rows!(rows, $compiled, $MR => $body);
            row += rows;
            number += 1;
        }
        let _: usize = number;
    }};
}
pub(crate) use with_tiles;
