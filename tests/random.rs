//! Dropout masks: the numbers of NumPy's Philox.

use ferrnn::training::dropout::dropout_mask;

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
