//! Penalties on weights, which join the loss.

use crate::machine::simd::Element;

/// `l1 · Σ|x| + l2 · Σx²`, the same on every instruction set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Penalty {
    /// The factor of the absolute values.
    pub l1: f64,
    /// The factor of the squares.
    pub l2: f64,
}

/// Partial sums side by side.
const CHAINS: usize = 8;

impl Penalty {
    /// The penalty on some numbers.
    #[must_use]
    pub fn of<T: Element>(self, x: &[T]) -> f64 {
        let mut penalty = 0.0;
        if self.l1 != 0.0 {
            penalty += self.l1 * sum_of(x, f64::abs);
        }
        if self.l2 != 0.0 {
            penalty += self.l2 * sum_of(x, |x| x * x);
        }
        penalty
    }

    /// Adds the gradient with respect to `x`, times `slope`, to what is there.
    #[inline(never)]
    pub fn add_gradient<T: Element>(self, x: &[T], slope: f64, to: &mut [T]) {
        let of_squares = T::of(2.0 * slope * self.l2);
        let [positive, negative] = [slope, -slope].map(|slope| T::of(slope * self.l1));
        for (to, &x) in to.iter_mut().zip(x) {
            let of_sign = positive.kept_if(x > T::ZERO) + negative.kept_if(x < T::ZERO);
            *to = *to + (x * of_squares + of_sign);
        }
    }
}

#[inline(never)]
fn sum_of<T: Element>(x: &[T], of: impl Fn(f64) -> f64) -> f64 {
    let mut sums = [0.0; CHAINS];
    let (blocks, rest) = x.as_chunks::<CHAINS>();
    for block in blocks {
        for (sum, x) in sums.iter_mut().zip(block) {
            *sum += of(x.wide());
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    let sum = ((a + b) + (c + d)) + ((e + f) + (g + h));
    rest.iter().fold(sum, |sum, x| sum + of(x.wide()))
}
