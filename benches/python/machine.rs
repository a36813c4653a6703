//! Measures what a floor is made of, on one core and with no code of ours: float32 FMAs and reads.
//!
//! Prints `gflops l1 l2 l3 memory`, the last four in GB/s. `floor.py` builds it with
//! `rustc -C opt-level=3 -C target-cpu=native`, so that the widest vectors of this CPU are used.

use std::hint::black_box;
use std::time::Instant;

/// Independent chains of FMAs: at least latency times ports, and few enough for the registers.
const CHAINS: usize = if cfg!(target_arch = "aarch64") { 24 } else { 10 };

#[cfg(target_feature = "avx512f")]
mod vector {
    pub use std::arch::x86_64::{
        __m512 as Vector, _mm512_fmadd_ps as fma, _mm512_set1_ps as splat,
    };
    pub const LANES: usize = 16;
}

#[cfg(all(target_feature = "fma", not(target_feature = "avx512f")))]
mod vector {
    pub use std::arch::x86_64::{
        __m256 as Vector, _mm256_fmadd_ps as fma, _mm256_set1_ps as splat,
    };
    pub const LANES: usize = 8;
}

#[cfg(target_arch = "aarch64")]
mod vector {
    pub use std::arch::aarch64::{float32x4_t as Vector, vdupq_n_f32 as splat};
    pub const LANES: usize = 4;
    /// The instruction takes the sum first.
    #[target_feature(enable = "neon")]
    pub fn fma(a: Vector, b: Vector, c: Vector) -> Vector {
        std::arch::aarch64::vfmaq_f32(c, a, b)
    }
}

#[cfg(not(any(target_feature = "fma", target_arch = "aarch64")))]
mod vector {
    pub type Vector = [f32; LANES];
    pub const LANES: usize = 4;
    #[inline(always)]
    pub fn splat(x: f32) -> Vector {
        [x; LANES]
    }
    #[inline(always)]
    pub fn fma(a: Vector, b: Vector, c: Vector) -> Vector {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
}

/// GFLOP/s of one core, the best of several runs.
#[allow(unused_unsafe)] // the intrinsics are safe where their feature is known at build time
fn peak() -> f64 {
    let rounds = 3_000_000;
    let mut best = f64::INFINITY;
    for _ in 0..9 {
        let (scale, shift) = unsafe { (vector::splat(0.999), vector::splat(0.001)) };
        let (scale, shift) = black_box((scale, shift));
        let mut sums: [vector::Vector; CHAINS] = black_box([shift; CHAINS]);
        let start = Instant::now();
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = unsafe { vector::fma(*sum, scale, shift) };
            }
        }
        best = best.min(start.elapsed().as_secs_f64());
        black_box(sums);
    }
    (2 * vector::LANES * CHAINS * rounds) as f64 / best / 1e9
}

/// GB/s of reading `bytes` of memory over and over, the best of several runs: whole vectors, none of
/// them across two cache lines, each added to one of as many sums as [`CHAINS`].
#[allow(unused_unsafe)]
fn read(bytes: usize) -> f64 {
    let one = black_box(unsafe { vector::splat(1.0) });
    let count = bytes / size_of::<vector::Vector>();
    let skipped = 64 / size_of::<vector::Vector>();
    let data = black_box(vec![one; count + skipped]);
    let first = data.as_ptr().align_offset(64);
    let passes = (200_000_000 / bytes).max(2);
    let mut best = f64::INFINITY;
    for _ in 0..7 {
        let start = Instant::now();
        for _ in 0..passes {
            let mut sums = [one; CHAINS];
            for block in black_box(&data[first..][..count]).chunks_exact(CHAINS) {
                for (sum, &part) in sums.iter_mut().zip(block) {
                    *sum = unsafe { vector::fma(part, one, *sum) };
                }
            }
            black_box(sums);
        }
        best = best.min(start.elapsed().as_secs_f64() / passes as f64);
    }
    bytes as f64 / best / 1e9
}

fn main() {
    print!("{:.1}", peak());
    for bytes in [16 << 10, 256 << 10, 4 << 20, 256 << 20] {
        print!(" {:.1}", read(bytes));
    }
    println!();
}
