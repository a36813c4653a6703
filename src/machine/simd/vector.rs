//! The one vocabulary of vectors that kernels are written in.

/// A computation written once for any instruction set. Everything `run` calls must be
/// `#[inline(always)]`, so that it is compiled with the instructions of `s`.
pub trait Kernel<T> {
    /// What `run` returns.
    type Output;
    /// Computes with the instructions that `s` stands for.
    fn run<S: Simd<T>>(self, s: S) -> Self::Output;
}

/// The vector operations of one instruction set. A value of the type proves that the CPU has it.
pub trait Simd<T>: Copy {
    /// `LANES` elements.
    type V: Copy + Send + Sync + 'static;
    /// Elements of a vector.
    const LANES: usize;
    /// Rows of the largest register tile: what fits beside four vectors of columns.
    const ROWS: usize;
    /// Whether the library's size matters more than this level's speed: a step's functions are then
    /// always looked up at run time.
    const SMALL: bool = false;
    /// Whether steps are compiled into one kernel each, with their products: those of `f32`, whose
    /// speed matters most.
    const FUSED: bool = size_of::<T>() == 4 && !Self::SMALL;

    /// `value` in all lanes.
    fn splat(self, value: T) -> Self::V;
    /// The first `LANES` elements.
    fn load(self, from: &[T]) -> Self::V;
    /// The first `LANES` elements of `to` become `v`.
    fn store(self, v: Self::V, to: &mut [T]);
    /// An aligned buffer as vectors. Panics if it is not aligned or not a whole number of them.
    fn vectors(self, buffer: &[T]) -> &[Self::V];
    /// As `vectors`, to write.
    fn vectors_mut(self, buffer: &mut [T]) -> &mut [Self::V];
    /// a + b
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// a - b
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// a · b
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// a / b
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// a · b + c, rounded once where the instruction set can.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// c - a · b, rounded as `mul_add`.
    fn neg_mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The smaller; `b` if either is NaN.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// The larger; `b` if either is NaN.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// |a|
    fn abs(self, a: Self::V) -> Self::V;
    /// The square root, rounded correctly.
    fn sqrt(self, a: Self::V) -> Self::V;
    /// |a| with the sign of `sign`.
    fn copy_sign(self, a: Self::V, sign: Self::V) -> Self::V;
    /// The nearest integer, ties to even.
    fn round(self, a: Self::V) -> Self::V;
    /// 2^n for an integral n in the exponent range of normal numbers.
    fn pow2(self, n: Self::V) -> Self::V;
    /// The first number of each lane of `Element::pair`.
    fn low_half(self, pairs: Self::V) -> Self::V;
    /// The second number.
    fn high_half(self, pairs: Self::V) -> Self::V;
    /// Whether the two numbers of a pair lie in two halves of a vector of them, all first ones before
    /// all second ones; else in two halves of a lane.
    const PAIRS_APART: bool = false;
    /// Of every two bytes the first, as a number of 16 bits. This and what follows on integers, which
    /// are the bits of lanes, is for `f32` alone.
    #[inline(always)]
    fn even_bytes(self, _bytes: Self::V) -> Self::V {
        unreachable!("{NO_INTEGERS}")
    }
    /// Of every two bytes the second.
    #[inline(always)]
    fn odd_bytes(self, _bytes: Self::V) -> Self::V {
        unreachable!("{NO_INTEGERS}")
    }
    /// Two numbers of 16 bits, rounded with ties to even, `low` in the low half of each lane.
    #[inline(always)]
    fn pack_pairs(self, _low: Self::V, _high: Self::V) -> Self::V {
        unreachable!("{NO_INTEGERS}")
    }
    /// To each lane's sum, an integer of 32 bits that wraps around, adds both products of a pair of
    /// weights and one of `pairs`, which is the same in all lanes.
    #[inline(always)]
    fn add_pairs(self, _sums: Self::V, _weights: Self::V, _pairs: Self::V) -> Self::V {
        unreachable!("{NO_INTEGERS}")
    }
    /// Whether four products of bytes and their sum are one instruction ([`Self::add_quads`]).
    const QUADS: bool = false;
    /// Of four numbers of 16 bits in each lane, the first and the third in one vector and the others in
    /// a second: their low bytes, and their high ones, which make up for the signs of the low ones. At
    /// most 127 · 257 on either side of zero.
    #[inline(always)]
    fn quads(self, _pairs: [Self::V; 2]) -> [Self::V; 2] {
        unreachable!("{NO_INTEGERS}")
    }
    /// As `add_pairs`, with four bytes that have no sign and four that have one.
    #[inline(always)]
    fn add_quads(self, _sums: Self::V, _weights: Self::V, _quads: Self::V) -> Self::V {
        unreachable!("{NO_INTEGERS}")
    }
    /// Sums of products with low bytes, and 256 times those with high ones.
    #[inline(always)]
    fn join_quads(self, _low: Self::V, _high: Self::V) -> Self::V {
        unreachable!("{NO_INTEGERS}")
    }
    /// Integers of 32 bits as the nearest numbers.
    #[inline(always)]
    fn numbers(self, _integers: Self::V) -> Self::V {
        unreachable!("{NO_INTEGERS}")
    }
    /// Runs a kernel of products of integers, with instructions that only some CPUs of the level have
    /// for them. The results are the same: such sums are exact.
    #[inline(always)]
    fn with_integers<K: Kernel<T>>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }
    /// Prefetches a vector into the second-level cache; on x86 only.
    #[inline(always)]
    fn prefetch(self, vector: &Self::V) {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        // SAFETY: a hint, which any x86-64 CPU knows; nothing is read.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(vector).cast());
        }
        let _ = vector;
    }
    /// `yes` where a < b, else `no`; NaN compares false.
    fn select_lt(self, a: Self::V, b: Self::V, yes: Self::V, no: Self::V) -> Self::V;

    /// The first `LANES` elements of a slice that may be shorter; zero beyond its end.
    #[inline(always)]
    fn load_partial(self, from: &[T]) -> Self::V
    where
        T: Copy + Default,
    {
        if from.len() >= Self::LANES {
            return self.load(from);
        }
        let mut lanes = [T::default(); MAX_LANES];
        for (lane, &value) in lanes.iter_mut().zip(from) {
            *lane = value;
        }
        self.load(&lanes)
    }

    /// Stores as many lanes as `to` has room for.
    #[inline(always)]
    fn store_partial(self, v: Self::V, to: &mut [T])
    where
        T: Copy + Default,
    {
        if to.len() >= Self::LANES {
            return self.store(v, to);
        }
        let mut lanes = [T::default(); MAX_LANES];
        self.store(v, &mut lanes);
        for (value, &lane) in to.iter_mut().zip(&lanes) {
            *value = lane;
        }
    }

    /// One of `PARTS` equal parts of the lanes, two or four, as the first ones; zero in the others.
    #[inline(always)]
    fn part<const PARTS: usize>(self, v: Self::V, number: usize) -> Self::V
    where
        T: Copy + Default,
    {
        let mut lanes = [T::default(); MAX_LANES];
        self.store(v, &mut lanes);
        let size = Self::LANES / PARTS;
        lanes.copy_within(number * size..(number + 1) * size, 0);
        lanes[size..].fill(T::default());
        self.load(&lanes)
    }

    /// Runs `kernel` in a function of its own, which all callers share: for code that is long and
    /// rarely run.
    fn apart<K: Kernel<T>>(self, kernel: K) -> K::Output;

    /// `f` of each lane: for functions that no instruction helps with.
    #[inline(always)]
    fn map(self, v: Self::V, f: fn(T) -> T) -> Self::V
    where
        T: Copy + Default,
    {
        let mut lanes = [T::default(); MAX_LANES];
        self.store(v, &mut lanes);
        for lane in &mut lanes[..Self::LANES] {
            *lane = f(*lane);
        }
        self.load(&lanes)
    }
}

/// The message of operations that vectors of `f64` do not have.
const NO_INTEGERS: &str = "integers in double precision";

/// The most lanes a vector of any instruction set has.
pub const MAX_LANES: usize = 16;
