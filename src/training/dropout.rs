//! Random numbers and masks from a counter: Philox 4x64 of ten rounds (Salmon et al., 2011), with the numbers that
//! `numpy.random.Philox(key=seed, counter=[0, 0, 0, call]).random_raw()` gives. By hand,
//! since the stream is a promise: a seed gives the same masks in every version.

use crate::machine::simd::Element;

const FACTORS: [u64; 2] = [0xD2E7_470E_E14C_6C93, 0xCA5A_8263_9512_1157];
const BUMPS: [u64; 2] = [0x9E37_79B9_7F4A_7C15, 0xBB67_AE85_84CA_A73B];
const ROUNDS: usize = 10;

/// 32-bit numbers of a block.
const BLOCK: usize = 8;

/// The four numbers of one count.
fn philox(mut counter: [u64; 4], mut key: [u64; 2]) -> [u64; 4] {
    for _ in 0..ROUNDS {
        let first = u128::from(FACTORS[0]) * u128::from(counter[0]);
        let second = u128::from(FACTORS[1]) * u128::from(counter[2]);
        counter = [
            (second >> 64) as u64 ^ counter[1] ^ key[0],
            second as u64,
            (first >> 64) as u64 ^ counter[3] ^ key[1],
            first as u64,
        ];
        key = [key[0].wrapping_add(BUMPS[0]), key[1].wrapping_add(BUMPS[1])];
    }
    counter
}

/// Blocks that are computed at once, since none waits for another.
const AHEAD: usize = 4;

/// The 64-bit numbers of a call, one by one.
pub(super) struct Numbers {
    key: [u64; 2],
    /// Block, and number of the call.
    counter: [u64; 4],
    left: [[u64; 4]; AHEAD],
    taken: usize,
}

impl Numbers {
    pub(super) fn new(seed: u64, call: u64) -> Self {
        let left = [[0; 4]; AHEAD];
        Self { key: [seed, 0], counter: [0, 0, 0, call], left, taken: 4 * AHEAD }
    }

    #[inline(always)]
    pub(super) fn next(&mut self) -> u64 {
        if self.taken == 4 * AHEAD {
            self.refill();
        }
        self.taken += 1;
        self.left.as_flattened()[self.taken - 1]
    }

    #[inline(never)]
    fn refill(&mut self) {
        for block in &mut self.left {
            self.counter[0] += 1; // NumPy counts up before its first block
            *block = philox(self.counter, self.key);
        }
        self.taken = 0;
    }
}

/// Fills `mask` with zero where the next 32-bit number is below `threshold`, else with `scale`: the
/// low half of each 64-bit number comes first.
pub fn dropout_mask<T: Element>(seed: u64, call: u64, threshold: u64, scale: T, mask: &mut [T]) {
    // NumPy counts up before its first block.
    for (block, entries) in (1..).zip(mask.chunks_mut(BLOCK)) {
        let numbers = philox([block, 0, 0, call], [seed, 0]);
        let halves = numbers.into_iter().flat_map(|number| [number & 0xffff_ffff, number >> 32]);
        for (entry, number) in entries.iter_mut().zip(halves) {
            // A product, since no branch predictor foresees random numbers.
            *entry = scale * T::of(f64::from(u8::from(number >= threshold)));
        }
    }
}
