//! What this machine can do: multiply-adds per second, and bytes per second read from memory of a
//! given size. Speeds of layers are shares of these.

use std::hint::black_box;
use std::time::Instant;

use crate::error::Result;
use crate::machine::lists;
use crate::machine::memory::Buffer;
use crate::machine::simd::{Element, Kernel, Level, Simd};
use crate::machine::threads;

/// How often each is measured; the best counts.
const RUNS: usize = 15;
/// Bytes that one measurement reads, at least.
const READ: usize = 1 << 25;

/// Multiply-adds of `T` per second of one core at `level`.
#[must_use]
pub fn multiply_adds<T: Element>(level: Level) -> f64 {
    (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            let done = T::dispatch(level, Peak);
            done as f64 / start.elapsed().as_secs_f64()
        })
        .fold(0.0, f64::max)
}

/// Bytes per second that `count` threads together read from `bytes` of memory each, again and again.
/// Whole cache lines are read, which are whole vectors at every level.
///
/// # Errors
/// If memory runs out.
pub fn read(level: Level, bytes: usize, count: usize) -> Result<f64> {
    const LINE: usize = 64;
    let bytes = bytes / LINE * LINE;
    let mut buffers = lists::room(count)?;
    for _ in 0..count {
        let mut buffer = Buffer::unfilled(bytes / size_of::<f32>())?;
        buffer.fill(1.0_f32);
        // Bounded: room was made.
        buffers.push(buffer);
    }
    let times = READ.div_ceil(bytes.max(1));
    let mut best = 0.0_f64;
    for _ in 0..RUNS {
        let start = Instant::now();
        threads::for_each(count, &mut buffers, |_, buffer| {
            f32::dispatch(level, Read { buffer, times });
        });
        let done = count * times * bytes;
        best = best.max(done as f64 / start.elapsed().as_secs_f64());
    }
    Ok(best)
}

/// Multiply-adds in registers; gives how many.
struct Peak;

impl<T: Element> Kernel<T> for Peak {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) -> usize {
        // As many independent chains as the largest tile has: latency times ports and more.
        match const { S::ROWS } {
            3 => peak::<T, S, 12>(s),
            6 => peak::<T, S, 24>(s),
            rows => unreachable!("a tile of {rows} rows"),
        }
    }
}

#[inline(always)]
fn peak<T: Element, S: Simd<T>, const CHAINS: usize>(s: S) -> usize {
    const ROUNDS: usize = 200_000;
    let (scale, shift) = (s.splat(black_box(T::of(0.999))), s.splat(black_box(T::of(0.001))));
    let mut sums = [shift; CHAINS];
    for _ in 0..ROUNDS {
        for sum in &mut sums {
            *sum = s.mul_add(*sum, scale, shift);
        }
    }
    keep(s, sums);
    ROUNDS * CHAINS * S::LANES
}

/// Reads a buffer several times.
struct Read<'a, T> {
    buffer: &'a [T],
    times: usize,
}

impl<T: Element> Kernel<T> for Read<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) {
        const WAYS: usize = 12;
        let mut largest = [s.splat(T::ZERO); WAYS];
        let (groups, _) = s.vectors(self.buffer).as_chunks::<WAYS>();
        for _ in 0..self.times {
            for group in black_box(groups) {
                for (largest, &part) in largest.iter_mut().zip(group) {
                    *largest = s.max(part, *largest);
                }
            }
        }
        keep(s, largest);
    }
}

/// Makes the compiler believe that `results` are used.
#[inline(always)]
fn keep<T: Element, S: Simd<T>, const N: usize>(s: S, results: [S::V; N]) {
    let mut kept = [T::ZERO; crate::machine::simd::MAX_LANES];
    for result in results {
        s.store(result, &mut kept);
        black_box(&kept);
    }
}
