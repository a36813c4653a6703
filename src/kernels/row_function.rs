//! Functions of whole rows: an activation of each element, or softmax over the row.

use super::activation::Activation;
use super::elementary::exp_minus_abs;
use crate::error::Result;
use crate::machine::simd::{Element, Kernel, MAX_LANES, Simd};

/// A function from a row to a row of the same length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowFunction {
    /// The activation of each element.
    Each(Activation),
    /// `e^x / sum(e^x)` over the row.
    Softmax,
}

impl RowFunction {
    /// The function called `name`: "softmax", or an activation; `argument` is what an error names.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn named(argument: &'static str, name: &str) -> Result<Self> {
        if name == "softmax" {
            return Ok(Self::Softmax);
        }
        Activation::named(argument, name).map(Self::Each)
    }
}

/// Applies a function to rows of `units` elements, in place.
pub struct ApplyToRows<'a, T> {
    /// The function.
    pub function: RowFunction,
    /// Aligned rows of whole vectors; what lies beyond `units` has no meaning before and after.
    pub values: &'a mut [T],
    /// Elements between the starts of two rows.
    pub stride: usize,
    /// Elements of a row.
    pub units: usize,
}

impl<T: Element> Kernel<T> for ApplyToRows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) {
        match self.function {
            RowFunction::Each(activation) => {
                for v in s.vectors_mut(self.values) {
                    *v = activation.apply(s, *v);
                }
            }
            RowFunction::Softmax => {
                let padded = self.units.next_multiple_of(S::LANES);
                // All rows first: a vector that is read right after a part of it was written waits.
                for row in self.values.chunks_exact_mut(self.stride) {
                    row[self.units..padded].fill(T::of(f64::NEG_INFINITY));
                }
                for row in self.values.chunks_exact_mut(self.stride) {
                    softmax(s, s.vectors_mut(&mut row[..padded]));
                }
            }
        }
    }
}

/// The order of sums is fixed by the row's length: first by lane, then over the lanes.
#[inline(always)]
fn softmax<T: Element, S: Simd<T>>(s: S, row: &mut [S::V]) {
    let mut largest = row[0];
    for &v in &row[1..] {
        largest = s.max(largest, v);
    }
    let largest = over_lanes(s, largest, |a, b| if b > a { b } else { a });
    let mut sum = s.splat(T::ZERO);
    for v in &mut *row {
        *v = exp_minus_abs(s, s.sub(*v, largest));
        sum = s.add(sum, *v);
    }
    let sum = over_lanes(s, sum, |a, b| a + b);
    for v in row {
        *v = s.div(*v, sum);
    }
}

/// The lanes of `v` joined, in all lanes: the second half to the first, and so on.
#[inline(always)]
pub fn over_lanes<T: Element, S: Simd<T>>(s: S, v: S::V, join: impl Fn(T, T) -> T) -> S::V {
    let mut lanes = [T::ZERO; MAX_LANES];
    s.store(v, &mut lanes);
    let mut count = S::LANES;
    while count > 1 {
        count /= 2;
        for at in 0..count {
            lanes[at] = join(lanes[at], lanes[at + count]);
        }
    }
    s.splat(lanes[0])
}
