//! Products with weights of 8 bits, in integers: their sums are exact, so that no instruction set and
//! no order changes them.
//!
//! A column of weights is `scale · q` with integers |q| <= 127. A row of the left side becomes
//! `step · a`, its integers as large as the sums of all columns leave room for in 32 bits: 15 bits and
//! a sign up to a depth of 516, one bit less for each doubling. A product is the sum of `q · a`, rounded
//! once, times `step · scale`.
//!
//! The depth is cut into four quarters. A lane has a weight of each, as bytes `q + 128`, and a row of
//! integers has pairs: those of the first and third quarter, then those of the second and fourth. The
//! even bytes are multiplied by the former, the odd ones by the latter. What the 128 adds is known, and
//! the sums start from its opposite.

use crate::machine::simd::{Element, Kernel, Level, Simd};

/// The largest integer of a weight.
const MOST: u16 = 127;
/// What is added to a weight, so that its byte has no sign.
const EXCESS: i32 = 128;
/// The fewest values that a row's integers are to have on either side of zero.
const FEWEST: usize = 127;

/// The largest depth of a product.
pub const MOST_DEPTH: usize = (1 << 31) / MOST as usize / FEWEST;

/// The largest integer of a row of this depth: no sum leaves 32 bits.
fn largest(depth: usize) -> f64 {
    const SUM: usize = (1 << 31) - 1;
    f64::from(i16::MAX).min((SUM / (MOST as usize * depth.max(1))) as f64)
}

/// Quarters of a depth, rounded up: vectors of weights of a column, and half of a row's pairs.
#[must_use]
pub fn quarter(depth: usize) -> usize {
    depth.div_ceil(4)
}

/// Fills `scales`, one for each column, and `to` with a block's weights; `from` has its rows, `width`
/// vectors each.
pub(super) struct PackBytes<'a, T> {
    pub(super) from: &'a [T],
    pub(super) width: usize,
    pub(super) depth: usize,
    /// Zeros.
    pub(super) scales: &'a mut [T],
    /// Zeros.
    pub(super) to: &'a mut [T],
}

impl<T: Element> Kernel<T> for PackBytes<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, _: S) {
        let Self { from, width, depth, scales, to } = self;
        let (columns, quarter) = (width * S::LANES, quarter(depth));
        let rows = || from.chunks_exact(columns.max(1)).take(depth);
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
            let (vectors, part) = (k % quarter * columns, k / quarter);
            for (column, (value, scale)) in row.iter().zip(&*scales).enumerate() {
                let scale = scale.wide();
                let weight = if scale > 0.0 { value.wide() / scale } else { 0.0 };
                let byte = weight.round_ties_even().clamp(-most, most) as i32 + EXCESS;
                let lane = column % S::LANES;
                let number =
                    if S::PAIRS_APART { part / 2 * S::LANES + lane } else { 2 * lane + part / 2 };
                let at = 2 * number + part % 2;
                let element = &mut to[vectors + column - lane + at / 4];
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
        if const { !T::HALVES } {
            return;
        }
        for row in self.rows.chunks_exact_mut(self.stride).take(self.count) {
            row[self.depth..].fill(T::ZERO);
            narrow(s, row, self.depth);
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
    let mut lanes = [[T::ZERO; crate::machine::simd::MAX_LANES]; 2];
    s.store(most, &mut lanes[0]);
    s.store(taint, &mut lanes[1]);
    let [most, taint] = lanes.map(|lanes| lanes.map(T::wide));
    let (most, taint) = (most.into_iter().fold(0.0, f64::max), taint.into_iter().sum::<f64>());
    let largest = largest(depth);
    // Numbers whose steps would not be normal ones count as zero.
    let (step, scale) = match most {
        _ if taint.is_nan() => (f64::NAN, 0.0),
        _ if most < 1e-30 => (0.0, 0.0),
        _ => (most / largest, largest / most),
    };
    let (step, scale) = (T::of(step), s.splat(T::of(scale)));
    let pairs = 2 * quarter(depth);
    for at in (0..pairs).step_by(S::LANES) {
        let low = s.mul(s.load(&row[at..]), scale);
        let high = s.mul(s.load(&row[at + pairs..]), scale);
        s.store(s.pack_pairs(low, high), &mut row[at..]);
    }
    let sum = row[..pairs].iter().fold(0_i32, |sum, pair| {
        let bits = pair.bits().cast_signed();
        sum.wrapping_add(bits << 16 >> 16).wrapping_add(bits >> 16)
    });
    let (start_at, step_at) = ends(row);
    row[start_at] = T::of_bits(sum.wrapping_mul(-EXCESS).cast_unsigned());
    row[step_at] = step;
}
