//! Dropout masks: the numbers of NumPy's Philox. Normal numbers: their distribution.

use ferrnn::training::dropout::dropout_mask;
use ferrnn::training::normal::normal;

/// The first 32-bit numbers, by the threshold that each of them just passes.
fn numbers(seed: u64, call: u64, count: usize) -> Vec<u64> {
    let passes = |at: usize, threshold: u64| {
        let mut mask = vec![f64::NAN; at + 1];
        dropout_mask(seed, call, threshold, 2.0, &mut mask);
        mask[at] > 1.0
    };
    let find = |at: usize| {
        let (mut low, mut high) = (0, 1 << 32); // `low` passes, `high` does not
        while high - low > 1 {
            let middle = u64::midpoint(low, high);
            if passes(at, middle) { low = middle } else { high = middle }
        }
        low
    };
    (0..count).map(find).collect()
}

/// `numpy.random.Philox(key=7, counter=[0, 0, 0, 3]).random_raw(6).view("<u4")`, NumPy 2.4
const EXPECTED: [u64; 12] = [
    2_241_052_425,
    1_160_483_932,
    308_134_362,
    3_762_392_210,
    1_424_404_389,
    260_260_847,
    3_770_770_776,
    1_449_627_492,
    3_975_883_979,
    2_105_929_654,
    1_881_201_402,
    1_945_421_625,
];

#[test]
fn numbers_are_those_of_numpy() {
    assert_eq!(numbers(7, 3, EXPECTED.len()), EXPECTED);
}

#[test]
fn entries_are_zero_or_the_scale() {
    let mut mask = [f32::NAN; 1001];
    dropout_mask(1, 2, 1 << 30, 1.5, &mut mask);
    let kept = mask.iter().filter(|&&entry| entry.to_bits() == 1.5_f32.to_bits()).count();
    assert_eq!(kept + mask.iter().filter(|&&entry| entry.to_bits() == 0).count(), mask.len());
    assert!((700..800).contains(&kept), "{kept} of 1001 kept at a rate of a quarter");
}

/// How many of a million numbers are expected below `-x`, as for above `x`: `1 - erf(x / sqrt(2))` of
/// tables, halved.
const BEYOND: [(f64, f64); 5] =
    [(0.0, 500_000.0), (1.0, 158_655.3), (2.0, 22_750.1), (3.0, 1349.9), (3.7, 107.8)];

#[test]
fn normal_numbers_are_distributed_as_such() {
    let mut numbers = vec![f64::NAN; 1_000_000];
    normal(11, 5, 1.0, &mut numbers);
    for (x, expected) in BEYOND {
        // Five standard deviations of the count.
        let allowed = 5.0 * f64::sqrt(expected);
        for sign in [-1.0, 1.0] {
            let found = numbers.iter().filter(|&&number| sign * number > x).count() as f64;
            assert!((found - expected).abs() < allowed, "{found} beyond {x}, expected {expected}");
        }
    }
    let moment = |power: i32| numbers.iter().map(|x| x.powi(power)).sum::<f64>() / 1e6;
    for (power, expected, allowed) in
        [(1, 0.0, 5e-3), (2, 1.0, 7e-3), (3, 0.0, 2e-2), (4, 3.0, 5e-2)]
    {
        let found = moment(power);
        assert!((found - expected).abs() < allowed, "moment {power}: {found}");
    }
}

#[test]
fn normal_numbers_are_those_of_their_call_in_either_type() {
    let (mut single, mut double, mut other) = ([f32::NAN; 999], [f64::NAN; 999], [f64::NAN; 99]);
    normal(3, 1, 1.0, &mut single);
    normal(3, 1, 1.0, &mut double);
    normal(3, 1, 1.0, &mut other);
    assert!(other.iter().zip(double).all(|(x, y)| x.to_bits() == y.to_bits()));
    assert!(single.iter().zip(double).all(|(&x, y)| x.to_bits() == (y as f32).to_bits()));
    normal(3, 2, 1.0, &mut other);
    assert!(other.iter().zip(double).all(|(x, y)| x.to_bits() != y.to_bits()));
}
