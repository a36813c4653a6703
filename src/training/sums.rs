//! Sums of neighbours as `numpy.add.reduce` has them.

use crate::machine::simd::Element;

/// The sum of the values at `0..count`, to the bit that of an array of them.
pub(crate) fn sum_of<T: Element>(count: usize, value: &dyn Fn(usize) -> T) -> T {
    pairwise(0, count, value)
}

/// Partial sums of neighbours, and how many of these are summed at once before they are halved.
const CHAINS: usize = 8;
const BLOCK: usize = 128;

/// As `numpy.add.reduce` of neighbours: pairs of blocks, eight sums in each.
fn pairwise<T: Element>(first: usize, count: usize, value: &dyn Fn(usize) -> T) -> T {
    if count < CHAINS {
        return (first..first + count).map(value).fold(T::ZERO, |sum, each| sum + each);
    }
    if count > BLOCK {
        let half = count / 2 - count / 2 % CHAINS;
        return pairwise(first, half, value) + pairwise(first + half, count - half, value);
    }
    let mut sums = [T::ZERO; CHAINS];
    for (n, sum) in sums.iter_mut().enumerate() {
        *sum = value(first + n);
    }
    let whole = count - count % CHAINS;
    for at in (CHAINS..whole).step_by(CHAINS) {
        for (n, sum) in sums.iter_mut().enumerate() {
            *sum = *sum + value(first + at + n);
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    let sum = ((a + b) + (c + d)) + ((e + f) + (g + h));
    (whole..count).fold(sum, |sum, at| sum + value(first + at))
}
