//! Normally distributed numbers from a counter, by the ziggurat of Marsaglia and Tsang (2000): the bell is
//! covered by slices of equal area, so that almost every number takes one look at a table.

use std::sync::LazyLock;

use super::dropout::Numbers;
use crate::machine::simd::Element;

/// Slices.
const SLICES: usize = 256;
/// Where the lowest slice ends and the tail begins.
const TAIL: f64 = 3.654_152_885_361_009;
/// The area of a slice.
const AREA: f64 = 0.004_928_673_233_99;

/// The right ends of the slices, from the lowest one up, and the bell's height there.
struct Slices {
    ends: [f64; SLICES + 1],
    heights: [f64; SLICES + 1],
}

fn bell(x: f64) -> f64 {
    (-0.5 * x * x).exp()
}

static TABLE: LazyLock<Slices> = LazyLock::new(|| {
    let (mut ends, mut heights) = ([0.0; SLICES + 1], [1.0; SLICES + 1]);
    (ends[0], ends[1]) = (AREA / bell(TAIL), TAIL);
    (heights[0], heights[1]) = (0.0, bell(TAIL));
    for at in 2..SLICES {
        heights[at] = heights[at - 1] + AREA / ends[at - 1];
        ends[at] = (-2.0 * heights[at].ln()).sqrt();
    }
    Slices { ends, heights }
});

/// A number of 53 bits in \[0, 1).
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
}

/// Fills `numbers` with those of a call: of mean 0 and variance 1, times `scale`.
pub fn normal<T: Element>(seed: u64, call: u64, scale: T, numbers: &mut [T]) {
    let (table, mut random) = (&*TABLE, Numbers::new(seed, call));
    for number in numbers {
        let bits = random.next();
        // The bits of the slice and of the sign are not among those of the place in the slice.
        let (at, x) = ((bits & 0xff) as usize, unit(bits));
        let x = x * table.ends[at];
        let x = if x < table.ends[at + 1] { x } else { edge(table, at, x, &mut random) };
        // A product, since no branch predictor foresees random signs.
        let sign = 1.0 - (bits >> 7 & 2) as f64;
        *number = T::of(sign * x) * scale;
    }
}

/// A number whose first place was at the edge of a slice, or beyond the last.
#[cold]
fn edge(table: &Slices, mut at: usize, mut x: f64, random: &mut Numbers) -> f64 {
    let Slices { ends, heights } = table;
    loop {
        if x < ends[at + 1] {
            return x;
        }
        if at == 0 {
            return beyond(random);
        }
        let height = heights[at] + unit(random.next()) * (heights[at + 1] - heights[at]);
        if height < bell(x) {
            return x;
        }
        let bits = random.next();
        at = (bits & 0xff) as usize;
        x = unit(bits) * ends[at];
    }
}

/// A number of the tail (Marsaglia, 1964).
#[cold]
fn beyond(random: &mut Numbers) -> f64 {
    loop {
        let [first, second] = [(); 2].map(|()| -(1.0 - unit(random.next())).ln());
        let x = first / TAIL;
        if second + second > x * x {
            return TAIL + x;
        }
    }
}
