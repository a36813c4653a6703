//! Products with weights of 8 bits, in integers: their sums are exact, so that no instruction set and
//! no order changes them.
//!
//! A column of weights is `scale · q` with integers |q| <= 127. A row of the left side becomes
//! `step · a`, its integers as large as the sums of all columns leave room for in 32 bits: up to
//! 127 · 257, nearly 15 bits and a sign, to a depth of 518, one bit less for each doubling. A product is
//! the sum of `q · a`, rounded once, times `step · scale`.
//!
//! The depth is cut into four quarters. A lane has a weight of each, as bytes `q + 128`, and a row of
//! integers has pairs: those of the first and third quarter, then those of the second and fourth. The
//! even bytes are multiplied by the former, the odd ones by the latter. What the 128 adds is known, and
//! the sums start from its opposite.
//!
//! Where four products of bytes are one instruction, a row has all four quarters' low bytes instead, then
//! their high ones, both with a sign: `a = low + 256 · high`. A vector of weights is multiplied by both
//! as it is, and the sums are joined at the end.

use crate::machine::simd::{Element, Kernel, Level, MAX_LANES, Simd};

/// The largest integer of a weight.
const MOST: u16 = 127;
/// What is added to a weight, so that its byte has no sign.
const EXCESS: i32 = 128;
/// The fewest values that a row's integers are to have on either side of zero.
const FEWEST: usize = 127;

/// The largest depth of a product.
pub const MOST_DEPTH: usize = (1 << 31) / MOST as usize / FEWEST;

/// The largest integer of a row of this depth: no sum leaves 32 bits, and no byte its own.
fn largest(depth: usize) -> f64 {
    const SUM: usize = (1 << 31) - 1;
    const BYTES: usize = 127 * 257;
    BYTES.min(SUM / (MOST as usize * depth.max(1))) as f64
}

/// The vectors of columns of a tile: they lie together, `[tile][quarter][TILE]`, whatever their gates
/// and units are, so that there is one product for all cells.
pub const TILE: usize = 8;

/// Quarters of a depth, rounded up: vectors of weights of a column, and half of what a row has of
/// integers.
#[must_use]
pub fn quarter(depth: usize) -> usize {
    depth.div_ceil(4)
}

/// A vector of columns of an operand: `from` has one for each row, `stride` elements apart.
pub(super) struct Column<'a, T> {
    pub(super) from: &'a [T],
    pub(super) stride: usize,
    pub(super) depth: usize,
    /// Whether the level has [`crate::machine::simd::Simd::PAIRS_APART`].
    pub(super) apart: bool,
}

impl<T: Element> Column<'_, T> {
    /// Fills `scales`, one for each lane, and the vectors of `to`, each `stride` elements after the
    /// one before; both are zeros.
    pub(super) fn pack(self, scales: &mut [T], to: &mut [T], stride: usize) {
        let (lanes, quarter) = (scales.len(), quarter(self.depth));
        let rows = || self.from.chunks(self.stride).take(self.depth).map(|row| &row[..lanes]);
        for row in rows() {
            for (most, value) in scales.iter_mut().zip(row) {
                *most = T::of(most.wide().max(value.wide().abs()));
            }
        }
        for scale in &mut *scales {
            *scale = T::of(scale.wide() / f64::from(MOST));
        }
        let most = f64::from(MOST);
        for (k, row) in rows().enumerate() {
            let (vector, part) = (k % quarter * stride, k / quarter);
            for (lane, (value, scale)) in row.iter().zip(&*scales).enumerate() {
                let scale = scale.wide();
                let weight = if scale > 0.0 { value.wide() / scale } else { 0.0 };
                let byte = weight.round_ties_even().clamp(-most, most) as i32 + EXCESS;
                let number = if self.apart { part / 2 * lanes + lane } else { 2 * lane + part / 2 };
                let at = 2 * number + part % 2;
                let element = &mut to[vector + at / 4];
                *element = T::of_bits(element.bits() | byte.cast_unsigned() << (8 * (at % 4)));
            }
        }
    }
}

/// Turns rows into integers, in place.
pub struct NarrowRows<'a, T> {
    /// The rows, one after the other.
    pub rows: &'a mut [T],
    /// Elements between the starts of two rows: as [`super::pack::row_stride`] gives for the depth, or
    /// more.
    pub stride: usize,
    /// Number of rows.
    pub count: usize,
    /// Numbers of a row.
    pub depth: usize,
}

impl<T: Element> NarrowRows<'_, T> {
    /// Does it.
    pub fn narrow(self, level: Level) {
        T::dispatch(level, self);
    }
}

impl<T: Element> Kernel<T> for NarrowRows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) {
        if const { T::HALVES } {
            s.with_integers(EachRow(self));
        }
    }
}

/// [`NarrowRows`] with the instructions that the product has.
struct EachRow<'a, T>(NarrowRows<'a, T>);

impl<T: Element> Kernel<T> for EachRow<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) {
        let NarrowRows { rows, stride, count, depth } = self.0;
        for row in rows.chunks_exact_mut(stride).take(count) {
            row[depth..].fill(T::ZERO);
            narrow(s, row, depth);
        }
    }
}

/// A row's last elements: what its sums start from, as bits, and the step.
pub(super) fn ends<T>(row: &[T]) -> (usize, usize) {
    (row.len() - 2, row.len() - 1)
}

/// A row that has an infinite number or NaN gets a step of NaN, and so do all of its products.
#[inline(always)]
fn narrow<T: Element, S: Simd<T>>(s: S, row: &mut [T], depth: usize) {
    let (mut most, mut taint) = (s.splat(T::ZERO), s.splat(T::ZERO));
    for values in row.chunks_exact(S::LANES) {
        let values = s.load(values);
        most = s.max(s.abs(values), most);
        taint = s.mul_add(values, s.splat(T::ZERO), taint);
    }
    let mut lanes = [[T::ZERO; MAX_LANES]; 2];
    s.store(most, &mut lanes[0]);
    s.store(taint, &mut lanes[1]);
    let [most, taint] = [&lanes[0][..S::LANES], &lanes[1][..S::LANES]];
    let most = most.iter().fold(T::ZERO, |most, &v| if v > most { v } else { most }).wide();
    let taint = taint.iter().fold(T::ZERO, |sum, &v| sum + v).wide();
    let largest = largest(depth);
    // Numbers whose steps would not be normal ones count as zero.
    let (step, scale) = match most {
        _ if taint.is_nan() => (f64::NAN, 0.0),
        _ if most < 1e-30 => (0.0, 0.0),
        _ => (most / largest, largest / most),
    };
    let (step, scale) = (T::of(step), s.splat(T::of(scale)));
    let quarter = quarter(depth);
    let (mut sum, ones) = (s.splat(T::ZERO), s.splat(T::of_bits(0x0001_0001)));
    for at in (0..quarter).step_by(S::LANES) {
        let some = at..quarter.min(at + S::LANES);
        let of = |part: usize| s.mul(s.load_partial(&row[part * quarter..][some.clone()]), scale);
        let pairs = [s.pack_pairs(of(0), of(2)), s.pack_pairs(of(1), of(3))];
        sum = s.add_pairs(s.add_pairs(sum, pairs[0], ones), pairs[1], ones);
        let halves = if const { S::QUADS } { s.quads(pairs) } else { pairs };
        s.store_partial(halves[0], &mut row[some.clone()]);
        s.store_partial(halves[1], &mut row[quarter..][some]);
    }
    s.store(sum, &mut lanes[0]);
    let add = |sum: i32, v: &T| sum.wrapping_add(v.bits().cast_signed());
    let sum = lanes[0][..S::LANES].iter().fold(0, add);
    let (start_at, step_at) = ends(row);
    row[start_at] = T::of_bits(sum.wrapping_mul(-EXCESS).cast_unsigned());
    row[step_at] = step;
}
