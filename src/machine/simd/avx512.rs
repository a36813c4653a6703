//! AVX-512 (F, BW, DQ, VL): vectors of 64 bytes, thirty-two registers.

#[allow(clippy::wildcard_imports, reason = "intrinsics have names of their own")]
use std::arch::x86_64::*;

use super::native::native;
use super::vector::{Kernel, Simd};

/// Proof that the CPU has AVX-512 F, BW, DQ and VL.
#[derive(Clone, Copy, Debug)]
pub struct Avx512(());

impl Avx512 {
    /// The token, if the CPU has the instructions.
    #[must_use]
    pub fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        found.then_some(Self(()))
    }

    /// The token of more instructions, if the CPU has them.
    #[allow(clippy::unused_self, reason = "the token is the proof of the other instructions")]
    fn more(self) -> Option<Vnni> {
        is_x86_feature_detected!("avx512vnni").then_some(Vnni(()))
    }

    /// Runs `kernel` in a function that is compiled with the instructions.
    pub(super) fn enter<T, K: Kernel<T>>(self, kernel: K) -> K::Output
    where
        Self: Simd<T>,
    {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        fn compiled<T, S: Simd<T>, K: Kernel<T>>(s: S, kernel: K) -> K::Output {
            kernel.run(s)
        }
        // SAFETY: `self` proves that the CPU has the instructions.
        unsafe { compiled(self, kernel) }
    }
}

/// Proof that the CPU has AVX-512 VNNI besides.
#[derive(Clone, Copy, Debug)]
pub struct Vnni(());

impl Vnni {
    fn enter<T, K: Kernel<T>>(self, kernel: K) -> K::Output
    where
        Self: Simd<T>,
    {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
        fn compiled<T, S: Simd<T>, K: Kernel<T>>(s: S, kernel: K) -> K::Output {
            kernel.run(s)
        }
        // SAFETY: `self` proves that the CPU has the instructions.
        unsafe { compiled(self, kernel) }
    }
}

native!(Avx512, f32, __m512, 16, 6, ps, masked, parted, integers, more);
native!(Avx512, f64, __m512d, 8, 6, pd, masked);
native!(Vnni, f32, __m512, 16, 6, vnni, masked, integers, quads);

/// Short names for the instructions on sixteen `f32`.
mod ps {
    #[allow(clippy::wildcard_imports, reason = "intrinsics have names of their own")]
    use std::arch::x86_64::*;
    pub use std::arch::x86_64::{
        _mm512_add_ps as add, _mm512_and_ps as and, _mm512_andnot_ps as and_not,
        _mm512_div_ps as div, _mm512_fmadd_ps as mul_add, _mm512_fnmadd_ps as neg_mul_add,
        _mm512_loadu_ps as load, _mm512_mask_storeu_ps as store_some,
        _mm512_maskz_loadu_ps as load_some, _mm512_max_ps as max, _mm512_min_ps as min,
        _mm512_mul_ps as mul, _mm512_or_ps as or, _mm512_set1_ps as splat, _mm512_sqrt_ps as sqrt,
        _mm512_storeu_ps as store, _mm512_sub_ps as sub,
    };

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub fn quarter<const N: i32>(a: __m512) -> __m512 {
        _mm512_maskz_shuffle_f32x4::<N>(0xf, a, a)
    }

    /// The two quarters that are to be the first.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub fn half<const QUARTERS: i32>(a: __m512) -> __m512 {
        _mm512_maskz_shuffle_f32x4::<QUARTERS>(0xff, a, a)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub fn round(a: __m512) -> __m512 {
        _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub fn pow2(n: __m512) -> __m512 {
        _mm512_scalef_ps(_mm512_set1_ps(1.0), n)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub fn low_half(pairs: __m512) -> __m512 {
        _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_castps_si512(pairs)))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub fn high_half(pairs: __m512) -> __m512 {
        _mm512_and_ps(pairs, _mm512_set1_ps(f32::from_bits(0xffff_0000)))
    }

    pub const PAIRS_APART: bool = false;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub fn even_bytes(bytes: __m512) -> __m512 {
        _mm512_and_ps(bytes, _mm512_castsi512_ps(_mm512_set1_epi16(0xff)))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub fn odd_bytes(bytes: __m512) -> __m512 {
        _mm512_castsi512_ps(_mm512_srli_epi16::<8>(_mm512_castps_si512(bytes)))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub fn pack_pairs(low: __m512, high: __m512) -> __m512 {
        let low = _mm512_and_si512(_mm512_cvtps_epi32(low), _mm512_set1_epi32(0xffff));
        let high = _mm512_slli_epi32::<16>(_mm512_cvtps_epi32(high));
        _mm512_castsi512_ps(_mm512_or_si512(low, high))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub fn add_pairs(sums: __m512, weights: __m512, pairs: __m512) -> __m512 {
        let products = _mm512_madd_epi16(_mm512_castps_si512(weights), _mm512_castps_si512(pairs));
        _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(sums), products))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub fn numbers(integers: __m512) -> __m512 {
        _mm512_cvtepi32_ps(_mm512_castps_si512(integers))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub fn less(a: __m512, b: __m512) -> __mmask16 {
        _mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub fn select(mask: __mmask16, yes: __m512, no: __m512) -> __m512 {
        _mm512_mask_blend_ps(mask, no, yes)
    }
}

/// Those names, where products and their sum are one instruction.
mod vnni {
    #[allow(clippy::wildcard_imports, reason = "intrinsics have names of their own")]
    use std::arch::x86_64::*;

    pub use super::ps::{
        PAIRS_APART, add, and, and_not, div, even_bytes, high_half, less, load, load_some,
        low_half, max, min, mul, mul_add, neg_mul_add, numbers, odd_bytes, or, pack_pairs, pow2,
        round, select, splat, sqrt, store, store_some, sub,
    };

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    pub fn add_pairs(sums: __m512, weights: __m512, pairs: __m512) -> __m512 {
        _mm512_castsi512_ps(_mm512_dpwssd_epi32(
            _mm512_castps_si512(sums),
            _mm512_castps_si512(weights),
            _mm512_castps_si512(pairs),
        ))
    }

    /// The second of every two bytes.
    const ODD: __mmask64 = 0xaaaa_aaaa_aaaa_aaaa;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    pub fn low_bytes(first: __m512, second: __m512) -> __m512 {
        let second = _mm512_slli_epi16::<8>(_mm512_castps_si512(second));
        let bytes = _mm512_mask_blend_epi8(ODD, _mm512_castps_si512(first), second);
        _mm512_castsi512_ps(bytes)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    pub fn high_bytes(first: __m512, second: __m512) -> __m512 {
        let half = _mm512_set1_epi16(128);
        let first = _mm512_add_epi16(_mm512_castps_si512(first), half);
        let second = _mm512_add_epi16(_mm512_castps_si512(second), half);
        let bytes = _mm512_mask_blend_epi8(ODD, _mm512_srli_epi16::<8>(first), second);
        _mm512_castsi512_ps(bytes)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    pub fn add_quads(sums: __m512, weights: __m512, quads: __m512) -> __m512 {
        _mm512_castsi512_ps(_mm512_dpbusd_epi32(
            _mm512_castps_si512(sums),
            _mm512_castps_si512(weights),
            _mm512_castps_si512(quads),
        ))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    pub fn join_quads(low: __m512, high: __m512) -> __m512 {
        let high = _mm512_slli_epi32::<8>(_mm512_castps_si512(high));
        _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(low), high))
    }
}

/// Short names for the instructions on eight `f64`.
mod pd {
    #[allow(clippy::wildcard_imports, reason = "intrinsics have names of their own")]
    use std::arch::x86_64::*;
    pub use std::arch::x86_64::{
        _mm512_add_pd as add, _mm512_and_pd as and, _mm512_andnot_pd as and_not,
        _mm512_div_pd as div, _mm512_fmadd_pd as mul_add, _mm512_fnmadd_pd as neg_mul_add,
        _mm512_loadu_pd as load, _mm512_mask_storeu_pd as store_some,
        _mm512_maskz_loadu_pd as load_some, _mm512_max_pd as max, _mm512_min_pd as min,
        _mm512_mul_pd as mul, _mm512_or_pd as or, _mm512_set1_pd as splat, _mm512_sqrt_pd as sqrt,
        _mm512_storeu_pd as store, _mm512_sub_pd as sub,
    };

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub fn round(a: __m512d) -> __m512d {
        _mm512_roundscale_pd::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub fn pow2(n: __m512d) -> __m512d {
        _mm512_scalef_pd(_mm512_set1_pd(1.0), n)
    }

    /// Never needed, see `Element::pair`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub fn low_half(pairs: __m512d) -> __m512d {
        pairs
    }

    /// As `low_half`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub fn high_half(pairs: __m512d) -> __m512d {
        pairs
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub fn less(a: __m512d, b: __m512d) -> __mmask8 {
        _mm512_cmp_pd_mask::<_CMP_LT_OQ>(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub fn select(mask: __mmask8, yes: __m512d, no: __m512d) -> __m512d {
        _mm512_mask_blend_pd(mask, no, yes)
    }
}
