//! Arithmetic on rows of features, rounded as NumPy rounds it. These functions are never inlined,
//! since they have many callers: that keeps the engine small.

use crate::machine::simd::Element;
use crate::training::sums::sum_of;

/// Each row plus `columns`; of one row it is a sum of arrays.
#[inline(never)]
pub(super) fn add<T: Element>(rows: &mut [T], columns: &[T]) {
    for row in rows.chunks_exact_mut(columns.len().max(1)) {
        for (x, &y) in row.iter_mut().zip(columns) {
            *x = *x + y;
        }
    }
}

/// Each row minus `columns`.
#[inline(never)]
pub(super) fn subtract<T: Element>(rows: &mut [T], columns: &[T]) {
    for row in rows.chunks_exact_mut(columns.len().max(1)) {
        for (x, &y) in row.iter_mut().zip(columns) {
            *x = less(*x, y);
        }
    }
}

/// Each row times `columns`.
#[inline(never)]
pub(super) fn multiply<T: Element>(rows: &mut [T], columns: &[T]) {
    for row in rows.chunks_exact_mut(columns.len().max(1)) {
        for (x, &y) in row.iter_mut().zip(columns) {
            *x = *x * y;
        }
    }
}

/// Values divided by a number.
#[inline(never)]
pub(super) fn divide<T: Element>(values: &mut [T], by: T) {
    for value in values {
        *value = T::of(value.wide() / by.wide());
    }
}

/// The sums of columns: row after row, but pairs of blocks where entries are neighbours.
#[inline(never)]
pub(super) fn sums<T: Element>(rows: &[T], to: &mut [T]) {
    if let [sum] = to {
        *sum = sum_of(rows.len(), &|at| rows[at]);
        return;
    }
    add_up(rows, to);
}

/// The sums of columns, row after row.
pub(super) fn add_up<T: Element>(rows: &[T], to: &mut [T]) {
    to.fill(T::ZERO);
    for row in rows.chunks_exact(to.len().max(1)) {
        add(to, row);
    }
}

/// As [`sums`] of products, entry by entry.
#[inline(never)]
pub(super) fn sums_of_products<T: Element>(rows: &[T], others: &[T], to: &mut [T]) {
    if let [sum] = to {
        *sum = sum_of(rows.len(), &|at| rows[at] * others[at]);
        return;
    }
    to.fill(T::ZERO);
    let width = to.len().max(1);
    for (row, other) in rows.chunks_exact(width).zip(others.chunks_exact(width)) {
        for (sum, (&x, &y)) in to.iter_mut().zip(row.iter().zip(other)) {
            *sum = *sum + x * y;
        }
    }
}

/// Zeros in the rows that do not count.
#[inline(never)]
pub(super) fn hide<T: Element>(mask: Option<&[bool]>, features: usize, rows: &mut [T]) {
    for (row, counts) in rows.chunks_exact_mut(features.max(1)).zip(mask.unwrap_or_default()) {
        if !counts {
            row.fill(T::ZERO);
        }
    }
}

/// How many rows of `all` count.
pub(super) fn count(mask: Option<&[bool]>, all: usize) -> usize {
    mask.map_or(all, |mask| mask.iter().filter(|&&counts| counts).count())
}

/// `a - b`
pub(super) fn less<T: Element>(a: T, b: T) -> T {
    a + T::of(-1.0) * b
}
