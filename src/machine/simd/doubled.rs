//! Two AVX2 vectors as one, six rows in a tile: as wide as AVX-512, for tests on CPUs without it.
//! Built with the feature `doubled` only; what it computes is AVX2's, lane by lane.

use std::arch::x86_64::{__m256, __m256d};

use super::avx2::Avx2;
use super::vector::{Kernel, Simd};

/// AVX2, twice.
#[derive(Clone, Copy, Debug)]
pub struct Doubled(Avx2);

impl Doubled {
    /// The token, if the CPU has AVX2 and FMA.
    #[must_use]
    pub fn detect() -> Option<Self> {
        Avx2::detect().map(Self)
    }

    /// The token of the instructions it uses.
    pub(super) fn half(self) -> Avx2 {
        self.0
    }
}

macro_rules! doubled {
    ($type:ident, $vector:ident, $half:literal) => {
        impl Simd<$type> for Doubled {
            type V = [$vector; 2];
            const LANES: usize = 2 * $half;
            const ROWS: usize = 6;
            // In both precisions: differences find wrong gradients in `f64` only.
            const FUSED: bool = true;

            #[inline(always)]
            fn apart<K: Kernel<$type>>(self, kernel: K) -> K::Output {
                self.0.enter_as(self, kernel)
            }
            #[inline(always)]
            fn splat(self, value: $type) -> Self::V {
                [self.0.splat(value); 2]
            }
            #[inline(always)]
            fn load(self, from: &[$type]) -> Self::V {
                [self.0.load(from), self.0.load(&from[$half..])]
            }
            #[inline(always)]
            fn store(self, v: Self::V, to: &mut [$type]) {
                self.0.store(v[0], to);
                self.0.store(v[1], &mut to[$half..]);
            }
            #[inline(always)]
            fn vectors(self, buffer: &[$type]) -> &[Self::V] {
                let (pairs, rest) = self.0.vectors(buffer).as_chunks();
                assert!(rest.is_empty(), "not a whole number of vectors");
                pairs
            }
            #[inline(always)]
            fn vectors_mut(self, buffer: &mut [$type]) -> &mut [Self::V] {
                let (pairs, rest) = self.0.vectors_mut(buffer).as_chunks_mut();
                assert!(rest.is_empty(), "not a whole number of vectors");
                pairs
            }
            doubled!($type: two add sub mul div min max copy_sign pack_pairs);
            doubled!($type: one abs sqrt round pow2 low_half high_half even_bytes odd_bytes numbers);
            doubled!($type: three mul_add neg_mul_add add_pairs);
            #[inline(always)]
            fn select_lt(self, a: Self::V, b: Self::V, yes: Self::V, no: Self::V) -> Self::V {
                [
                    Simd::<$type>::select_lt(self.0, a[0], b[0], yes[0], no[0]),
                    Simd::<$type>::select_lt(self.0, a[1], b[1], yes[1], no[1]),
                ]
            }
        }
    };
    ($type:ident: one $($name:ident)*) => {
        $(#[inline(always)]
        fn $name(self, a: Self::V) -> Self::V {
            [Simd::<$type>::$name(self.0, a[0]), Simd::<$type>::$name(self.0, a[1])]
        })*
    };
    ($type:ident: two $($name:ident)*) => {
        $(#[inline(always)]
        fn $name(self, a: Self::V, b: Self::V) -> Self::V {
            [Simd::<$type>::$name(self.0, a[0], b[0]), Simd::<$type>::$name(self.0, a[1], b[1])]
        })*
    };
    ($type:ident: three $($name:ident)*) => {
        $(#[inline(always)]
        fn $name(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
            [
                Simd::<$type>::$name(self.0, a[0], b[0], c[0]),
                Simd::<$type>::$name(self.0, a[1], b[1], c[1]),
            ]
        })*
    };
}

doubled!(f32, __m256, 8);
doubled!(f64, __m256d, 4);
