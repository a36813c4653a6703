//! AVX2 and FMA: vectors of 32 bytes, sixteen registers.

#[allow(clippy::wildcard_imports, reason = "intrinsics have names of their own")]
use std::arch::x86_64::*;

use super::native::native;
use super::vector::{Kernel, Simd};

/// Proof that the CPU has AVX2 and FMA.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

impl Avx2 {
    /// The token, if the CPU has the instructions.
    #[must_use]
    pub fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        found.then_some(Self(()))
    }

    /// Runs `kernel` in a function that is compiled with the instructions.
    pub(super) fn enter<T, K: Kernel<T>>(self, kernel: K) -> K::Output
    where
        Self: Simd<T>,
    {
        self.enter_as(self, kernel)
    }

    /// Runs `kernel` with the vectors of `s`, which are made of these instructions.
    #[allow(clippy::unused_self, reason = "the token is the proof that the call is defined")]
    pub(super) fn enter_as<T, S: Simd<T>, K: Kernel<T>>(self, s: S, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma")]
        fn compiled<T, S: Simd<T>, K: Kernel<T>>(s: S, kernel: K) -> K::Output {
            kernel.run(s)
        }
        // SAFETY: `self` proves that the CPU has the instructions.
        unsafe { compiled(s, kernel) }
    }
}

native!(Avx2, f32, __m256, 8, 3, ps, parted, integers);
native!(Avx2, f64, __m256d, 4, 3, pd);

/// Short names for the instructions on eight `f32`.
mod ps {
    #[allow(clippy::wildcard_imports, reason = "intrinsics have names of their own")]
    use std::arch::x86_64::*;
    pub use std::arch::x86_64::{
        _mm256_add_ps as add, _mm256_and_ps as and, _mm256_andnot_ps as and_not,
        _mm256_div_ps as div, _mm256_fmadd_ps as mul_add, _mm256_fnmadd_ps as neg_mul_add,
        _mm256_loadu_ps as load, _mm256_max_ps as max, _mm256_min_ps as min, _mm256_mul_ps as mul,
        _mm256_or_ps as or, _mm256_set1_ps as splat, _mm256_sqrt_ps as sqrt,
        _mm256_storeu_ps as store, _mm256_sub_ps as sub,
    };

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub fn quarter<const N: i32>(a: __m256) -> __m256 {
        let moved = _mm256_castpd_ps(_mm256_permute4x64_pd::<N>(_mm256_castps_pd(a)));
        _mm256_blend_ps::<0b11>(_mm256_setzero_ps(), moved)
    }

    /// The two quarters that are to be the first.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub fn half<const QUARTERS: i32>(a: __m256) -> __m256 {
        let moved = _mm256_castpd_ps(_mm256_permute4x64_pd::<QUARTERS>(_mm256_castps_pd(a)));
        _mm256_blend_ps::<0b1111>(_mm256_setzero_ps(), moved)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub fn round(a: __m256) -> __m256 {
        _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub fn pow2(n: __m256) -> __m256 {
        let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
        _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub fn low_half(pairs: __m256) -> __m256 {
        _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_castps_si256(pairs)))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub fn high_half(pairs: __m256) -> __m256 {
        _mm256_and_ps(pairs, _mm256_set1_ps(f32::from_bits(0xffff_0000)))
    }

    pub const PAIRS_APART: bool = false;

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub fn even_bytes(bytes: __m256) -> __m256 {
        _mm256_and_ps(bytes, _mm256_castsi256_ps(_mm256_set1_epi16(0xff)))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub fn odd_bytes(bytes: __m256) -> __m256 {
        _mm256_castsi256_ps(_mm256_srli_epi16::<8>(_mm256_castps_si256(bytes)))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub fn pack_pairs(low: __m256, high: __m256) -> __m256 {
        let low = _mm256_and_si256(_mm256_cvtps_epi32(low), _mm256_set1_epi32(0xffff));
        let high = _mm256_slli_epi32::<16>(_mm256_cvtps_epi32(high));
        _mm256_castsi256_ps(_mm256_or_si256(low, high))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub fn add_pairs(sums: __m256, weights: __m256, pairs: __m256) -> __m256 {
        let products = _mm256_madd_epi16(_mm256_castps_si256(weights), _mm256_castps_si256(pairs));
        _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(sums), products))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub fn numbers(integers: __m256) -> __m256 {
        _mm256_cvtepi32_ps(_mm256_castps_si256(integers))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub fn less(a: __m256, b: __m256) -> __m256 {
        _mm256_cmp_ps::<_CMP_LT_OQ>(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub fn select(mask: __m256, yes: __m256, no: __m256) -> __m256 {
        _mm256_blendv_ps(no, yes, mask)
    }
}

/// Short names for the instructions on four `f64`.
mod pd {
    #[allow(clippy::wildcard_imports, reason = "intrinsics have names of their own")]
    use std::arch::x86_64::*;
    pub use std::arch::x86_64::{
        _mm256_add_pd as add, _mm256_and_pd as and, _mm256_andnot_pd as and_not,
        _mm256_div_pd as div, _mm256_fmadd_pd as mul_add, _mm256_fnmadd_pd as neg_mul_add,
        _mm256_loadu_pd as load, _mm256_max_pd as max, _mm256_min_pd as min, _mm256_mul_pd as mul,
        _mm256_or_pd as or, _mm256_set1_pd as splat, _mm256_sqrt_pd as sqrt,
        _mm256_storeu_pd as store, _mm256_sub_pd as sub,
    };

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub fn round(a: __m256d) -> __m256d {
        _mm256_round_pd::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub fn pow2(n: __m256d) -> __m256d {
        let exponent = _mm256_cvtepi32_epi64(_mm256_cvtpd_epi32(n));
        let exponent = _mm256_add_epi64(exponent, _mm256_set1_epi64x(1023));
        _mm256_castsi256_pd(_mm256_slli_epi64::<52>(exponent))
    }

    /// Never needed, see `Element::pair`.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub fn low_half(pairs: __m256d) -> __m256d {
        pairs
    }

    /// As `low_half`.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub fn high_half(pairs: __m256d) -> __m256d {
        pairs
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub fn less(a: __m256d, b: __m256d) -> __m256d {
        _mm256_cmp_pd::<_CMP_LT_OQ>(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub fn select(mask: __m256d, yes: __m256d, no: __m256d) -> __m256d {
        _mm256_blendv_pd(no, yes, mask)
    }
}
