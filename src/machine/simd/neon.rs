//! NEON with its fused multiply-add: vectors of 16 bytes, thirty-two registers.

use std::arch::aarch64::{float32x4_t, float64x2_t};

use super::native::native;
use super::vector::{Kernel, Simd};

/// Proof that the CPU has NEON, as nearly every aarch64 has.
#[derive(Clone, Copy, Debug)]
pub struct Neon(());

impl Neon {
    /// The token, if the CPU has the instructions.
    #[must_use]
    pub fn detect() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Self(()))
    }

    /// Runs `kernel` in a function that is compiled with the instructions.
    pub(super) fn enter<T, K: Kernel<T>>(self, kernel: K) -> K::Output
    where
        Self: Simd<T>,
    {
        #[target_feature(enable = "neon")]
        fn compiled<T, S: Simd<T>, K: Kernel<T>>(s: S, kernel: K) -> K::Output {
            kernel.run(s)
        }
        // SAFETY: `self` proves that the CPU has the instructions.
        unsafe { compiled(self, kernel) }
    }
}

native!(Neon, f32, float32x4_t, 4, 6, ps, integers);
native!(Neon, f64, float64x2_t, 2, 6, pd);

/// Bitwise operations, and those whose operands NEON has in another order than the trait.
macro_rules! shared {
    ($vector:ident, $bits:ident, $to_bits:ident, $from_bits:ident,
     $and:ident, $and_not:ident, $or:ident, $mul_add:ident, $neg_mul_add:ident,
     $less:ident, $select:ident) => {
        #[inline]
        #[target_feature(enable = "neon")]
        pub fn and(a: $vector, b: $vector) -> $vector {
            $from_bits($and($to_bits(a), $to_bits(b)))
        }

        /// `b` without the bits of `a`.
        #[inline]
        #[target_feature(enable = "neon")]
        pub fn and_not(a: $vector, b: $vector) -> $vector {
            $from_bits($and_not($to_bits(b), $to_bits(a)))
        }

        #[inline]
        #[target_feature(enable = "neon")]
        pub fn or(a: $vector, b: $vector) -> $vector {
            $from_bits($or($to_bits(a), $to_bits(b)))
        }

        #[inline]
        #[target_feature(enable = "neon")]
        pub fn mul_add(a: $vector, b: $vector, c: $vector) -> $vector {
            $mul_add(c, a, b)
        }

        #[inline]
        #[target_feature(enable = "neon")]
        pub fn neg_mul_add(a: $vector, b: $vector, c: $vector) -> $vector {
            $neg_mul_add(c, a, b)
        }

        #[inline]
        #[target_feature(enable = "neon")]
        pub fn less(a: $vector, b: $vector) -> $bits {
            $less(a, b)
        }

        #[inline]
        #[target_feature(enable = "neon")]
        pub fn select(mask: $bits, yes: $vector, no: $vector) -> $vector {
            $select(mask, yes, no)
        }

        /// NEON's own minimum is NaN if either is.
        #[inline]
        #[target_feature(enable = "neon")]
        pub fn min(a: $vector, b: $vector) -> $vector {
            select(less(a, b), a, b)
        }

        /// As `min`.
        #[inline]
        #[target_feature(enable = "neon")]
        pub fn max(a: $vector, b: $vector) -> $vector {
            select(less(b, a), a, b)
        }
    };
}

/// Short names for the instructions on four `f32`.
mod ps {
    #[allow(clippy::wildcard_imports, reason = "intrinsics have names of their own")]
    use std::arch::aarch64::*;
    pub use std::arch::aarch64::{
        vaddq_f32 as add, vdivq_f32 as div, vdupq_n_f32 as splat, vld1q_f32 as load,
        vmulq_f32 as mul, vrndnq_f32 as round, vsqrtq_f32 as sqrt, vst1q_f32 as store,
        vsubq_f32 as sub,
    };

    pub use super::on_integers::{
        PAIRS_APART, add_pairs, even_bytes, numbers, odd_bytes, pack_pairs,
    };

    shared!(
        float32x4_t,
        uint32x4_t,
        vreinterpretq_u32_f32,
        vreinterpretq_f32_u32,
        vandq_u32,
        vbicq_u32,
        vorrq_u32,
        vfmaq_f32,
        vfmsq_f32,
        vcltq_f32,
        vbslq_f32
    );

    #[inline]
    #[target_feature(enable = "neon")]
    pub fn pow2(n: float32x4_t) -> float32x4_t {
        let exponent = vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127));
        vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    pub fn low_half(pairs: float32x4_t) -> float32x4_t {
        vreinterpretq_f32_u32(vshlq_n_u32::<16>(vreinterpretq_u32_f32(pairs)))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    pub fn high_half(pairs: float32x4_t) -> float32x4_t {
        let bits = vandq_u32(vreinterpretq_u32_f32(pairs), vdupq_n_u32(0xffff_0000));
        vreinterpretq_f32_u32(bits)
    }
}

/// Functions of `ps` on integers.
mod on_integers {
    #[allow(clippy::wildcard_imports, reason = "intrinsics have names of their own")]
    use std::arch::aarch64::*;

    /// Products of four numbers of 16 bits are one instruction, those of neighbors two.
    pub const PAIRS_APART: bool = true;

    #[inline]
    #[target_feature(enable = "neon")]
    pub fn even_bytes(bytes: float32x4_t) -> float32x4_t {
        let even = vandq_u32(vreinterpretq_u32_f32(bytes), vdupq_n_u32(0x00ff_00ff));
        vreinterpretq_f32_u32(even)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    pub fn odd_bytes(bytes: float32x4_t) -> float32x4_t {
        vreinterpretq_f32_u16(vshrq_n_u16::<8>(vreinterpretq_u16_f32(bytes)))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    pub fn pack_pairs(low: float32x4_t, high: float32x4_t) -> float32x4_t {
        let low = vandq_s32(vcvtnq_s32_f32(low), vdupq_n_s32(0xffff));
        vreinterpretq_f32_s32(vorrq_s32(low, vshlq_n_s32::<16>(vcvtnq_s32_f32(high))))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    pub fn add_pairs(sums: float32x4_t, weights: float32x4_t, pairs: float32x4_t) -> float32x4_t {
        let (sums, weights) = (vreinterpretq_s32_f32(sums), vreinterpretq_s16_f32(weights));
        let pairs = vreinterpretq_s16_f32(pairs);
        let sums = vmlal_laneq_s16::<0>(sums, vget_low_s16(weights), pairs);
        vreinterpretq_f32_s32(vmlal_high_laneq_s16::<1>(sums, weights, pairs))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    pub fn numbers(integers: float32x4_t) -> float32x4_t {
        vcvtq_f32_s32(vreinterpretq_s32_f32(integers))
    }
}

/// Short names for the instructions on two `f64`.
mod pd {
    #[allow(clippy::wildcard_imports, reason = "intrinsics have names of their own")]
    use std::arch::aarch64::*;
    pub use std::arch::aarch64::{
        vaddq_f64 as add, vdivq_f64 as div, vdupq_n_f64 as splat, vld1q_f64 as load,
        vmulq_f64 as mul, vrndnq_f64 as round, vsqrtq_f64 as sqrt, vst1q_f64 as store,
        vsubq_f64 as sub,
    };

    shared!(
        float64x2_t,
        uint64x2_t,
        vreinterpretq_u64_f64,
        vreinterpretq_f64_u64,
        vandq_u64,
        vbicq_u64,
        vorrq_u64,
        vfmaq_f64,
        vfmsq_f64,
        vcltq_f64,
        vbslq_f64
    );

    #[inline]
    #[target_feature(enable = "neon")]
    pub fn pow2(n: float64x2_t) -> float64x2_t {
        let exponent = vaddq_s64(vcvtq_s64_f64(n), vdupq_n_s64(1023));
        vreinterpretq_f64_s64(vshlq_n_s64::<52>(exponent))
    }

    /// Never needed, see `Element::pair`.
    #[inline]
    #[target_feature(enable = "neon")]
    pub fn low_half(pairs: float64x2_t) -> float64x2_t {
        pairs
    }

    /// As `low_half`.
    #[inline]
    #[target_feature(enable = "neon")]
    pub fn high_half(pairs: float64x2_t) -> float64x2_t {
        pairs
    }
}
