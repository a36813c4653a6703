//! What this machine can do on one core, for each instruction set: multiply-adds per second, and
//! bytes per second read from each level of cache. Other benches' figures are shares of these.

use std::hint::black_box;
use std::time::Instant;

use ferrnn::memory::Buffer;
use ferrnn::simd::{Element, Kernel, Level, Simd};

/// Independent chains: latency times ports and more, few enough for sixteen registers.
const CHAINS: usize = 12;
const ROUNDS: usize = 200_000;

struct Peak;

impl<T: Element> Kernel<T> for Peak {
    /// Multiply-adds done.
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) -> usize {
        let (scale, shift) = (s.splat(black_box(T::of(0.999))), s.splat(black_box(T::of(0.001))));
        let mut sums = [shift; CHAINS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = s.mul_add(*sum, scale, shift);
            }
        }
        let mut kept = [T::ZERO; 16];
        for sum in sums {
            s.store(sum, &mut kept);
            black_box(&kept);
        }
        ROUNDS * CHAINS * S::LANES
    }
}

/// Reads a buffer some times over.
struct Read<'a, T> {
    buffer: &'a [T],
    times: usize,
}

impl<T: Element> Kernel<T> for Read<'_, T> {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) -> usize {
        const WAYS: usize = 12;
        let mut sums = [s.splat(T::ZERO); WAYS];
        let (groups, _) = s.vectors(self.buffer).as_chunks::<WAYS>();
        for _ in 0..self.times {
            for group in black_box(groups) {
                for (sum, &part) in sums.iter_mut().zip(group) {
                    *sum = s.max(part, *sum);
                }
            }
        }
        let mut kept = [T::ZERO; 16];
        for sum in sums {
            s.store(sum, &mut kept);
            black_box(&kept);
        }
        self.times * size_of_val(self.buffer)
    }
}

/// The most of `measure` per second in several runs.
fn best(mut measure: impl FnMut() -> usize) -> f64 {
    let mut most = 0.0_f64;
    for _ in 0..15 {
        let start = Instant::now();
        let done = measure();
        most = most.max(done as f64 / start.elapsed().as_secs_f64());
    }
    most
}

fn main() {
    println!("one core; GFLOP/s count a multiply-add as two");
    for level in Level::all() {
        let single = 2e-9 * best(|| f32::dispatch(level, Peak));
        let double = 2e-9 * best(|| f64::dispatch(level, Peak));
        print!("{:9} f32 {single:6.1}  f64 {double:6.1} GFLOP/s; reads", level.name());
        for kibibytes in [16, 256, 8 << 10, 128 << 10] {
            let mut buffer = Buffer::zeroed(kibibytes << 8).expect("memory");
            buffer.fill(1.0_f32);
            let times = (64 << 10) / kibibytes + 1;
            let speed = 1e-9 * best(|| f32::dispatch(level, Read { buffer: &buffer, times }));
            print!("  {kibibytes} KiB {speed:.0} GB/s");
        }
        println!();
    }
}
