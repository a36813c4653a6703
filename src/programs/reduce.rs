//! Sums and extremes over an axis of registers.

use crate::error::{Error, Result};
use crate::kernels::row_function::over_lanes;
use crate::machine::simd::{Element, Kernel, Simd};

/// How elements are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// Their sum.
    Sum,
    /// The largest.
    Maximum,
    /// The smallest.
    Minimum,
}

impl Join {
    /// The one called `name`.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "sum" => Ok(Self::Sum),
            "maximum" => Ok(Self::Maximum),
            "minimum" => Ok(Self::Minimum),
            _ => Err(Error::value("join", "one of sum, maximum, minimum", name)),
        }
    }
}

/// `out[row][outer][inner] = join of data[row][outer][n][inner] over n`, or added to `out`.
///
/// The order of a sum is fixed by the lengths: over lanes last where `inner` is one.
pub(super) struct Reduce<'a, T> {
    pub(super) join: Join,
    pub(super) accumulate: bool,
    pub(super) rows: usize,
    pub(super) outer: usize,
    pub(super) length: usize,
    pub(super) inner: usize,
    pub(super) out: &'a mut [T],
    /// Elements between rows and between entries of the outer axis.
    pub(super) strides: [usize; 2],
    pub(super) data: &'a [T],
    /// The same, and between what is joined.
    pub(super) of_data: [usize; 3],
}

impl<T: Element> Kernel<T> for Reduce<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) {
        match self.join {
            Join::Sum => self.all(s, T::ZERO, |a, b| s.add(a, b), |a, b| a + b),
            Join::Maximum => {
                let larger = |a, b| if b > a { b } else { a };
                self.all(s, T::of(f64::NEG_INFINITY), |a, b| s.max(a, b), larger);
            }
            Join::Minimum => {
                let smaller = |a, b| if b < a { b } else { a };
                self.all(s, T::of(f64::INFINITY), |a, b| s.min(a, b), smaller);
            }
        }
    }
}

impl<T: Element> Reduce<'_, T> {
    #[inline(always)]
    fn all<S: Simd<T>>(
        self,
        s: S,
        start: T,
        join: impl Fn(S::V, S::V) -> S::V,
        joined: impl Fn(T, T) -> T,
    ) {
        for row in 0..self.rows {
            for n in 0..self.outer {
                let data = &self.data[row * self.of_data[0] + n * self.of_data[1]..];
                let out = &mut self.out[row * self.strides[0] + n * self.strides[1]..];
                if self.inner == 1 && self.of_data[2] == 1 {
                    let mut value = across(s, &data[..self.length], start, &join, &joined);
                    if self.accumulate {
                        value = value + out[0];
                    }
                    out[0] = value;
                    continue;
                }
                let mut at = 0;
                while at < self.inner {
                    let mut value = s.splat(start);
                    for k in 0..self.length {
                        value = join(value, s.load(&data[k * self.of_data[2] + at..]));
                    }
                    let to = &mut out[at..self.inner];
                    if self.accumulate {
                        value = s.add(value, s.load_partial(to));
                    }
                    s.store_partial(value, to);
                    at += S::LANES;
                }
            }
        }
    }
}

/// The elements of a line joined: lane by lane, then over the lanes, then what fills no vector.
#[inline(always)]
fn across<T: Element, S: Simd<T>>(
    s: S,
    line: &[T],
    start: T,
    join: &impl Fn(S::V, S::V) -> S::V,
    joined: &impl Fn(T, T) -> T,
) -> T {
    let mut lanes = s.splat(start);
    let mut vectors = line.chunks_exact(S::LANES);
    for vector in &mut vectors {
        lanes = join(lanes, s.load(vector));
    }
    let mut first = [start];
    s.store_partial(over_lanes(s, lanes, joined), &mut first);
    vectors.remainder().iter().fold(first[0], |a, &b| joined(a, b))
}
