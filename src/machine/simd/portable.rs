//! Vectors as plain arrays: the architecture's baseline, and the reference for the others.

use super::vector::{Kernel, Simd};

/// Sixteen bytes in a vector, as the baseline of x86-64 and aarch64 has them.
#[derive(Clone, Copy, Debug)]
pub struct Portable;

impl Portable {
    /// Whether less is compiled for this level: where nearly every CPU has a better one, this level
    /// is for tests and for the few CPUs that do not.
    pub(crate) const SMALL: bool = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));
}

/// `N` elements, one after the other.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Lanes<T, const N: usize>([T; N]);

macro_rules! lanewise {
    ($out:expr; $($each:tt)*) => {{
        let mut out = $out;
        for lane in 0..out.0.len() {
            out.0[lane] = ($($each)*)(lane);
        }
        out
    }};
}

macro_rules! portable {
    ($token:ty, $type:ident, $lanes:literal, $rows:literal, $int:ident $(, $extra:ident)?) => {
        impl Simd<$type> for $token {
            type V = Lanes<$type, $lanes>;
            const LANES: usize = $lanes;
            const ROWS: usize = $rows;
            const SMALL: bool = Portable::SMALL;

            #[inline(never)]
            fn apart<K: Kernel<$type>>(self, kernel: K) -> K::Output {
                kernel.run(self)
            }
            #[inline(always)]
            fn splat(self, value: $type) -> Self::V {
                Lanes([value; $lanes])
            }
            #[inline(always)]
            fn load(self, from: &[$type]) -> Self::V {
                let mut lanes = [0.0; $lanes];
                lanes.copy_from_slice(&from[..$lanes]);
                Lanes(lanes)
            }
            #[inline(always)]
            fn store(self, v: Self::V, to: &mut [$type]) {
                to[..$lanes].copy_from_slice(&v.0);
            }
            #[inline(always)]
            fn vectors(self, buffer: &[$type]) -> &[Self::V] {
                assert!(buffer.len() % $lanes == 0, "not a whole number of vectors");
                // SAFETY: `Lanes` is transparent over an array of the element, with its alignment;
                // the length is a whole number of arrays.
                unsafe {
                    std::slice::from_raw_parts(buffer.as_ptr().cast(), buffer.len() / $lanes)
                }
            }
            #[inline(always)]
            fn vectors_mut(self, buffer: &mut [$type]) -> &mut [Self::V] {
                assert!(buffer.len() % $lanes == 0, "not a whole number of vectors");
                // SAFETY: as for `vectors`, and the borrow is exclusive.
                unsafe {
                    std::slice::from_raw_parts_mut(
                        buffer.as_mut_ptr().cast(),
                        buffer.len() / $lanes,
                    )
                }
            }
            #[inline(always)]
            fn add(self, a: Self::V, b: Self::V) -> Self::V {
                lanewise!(a; |n: usize| a.0[n] + b.0[n])
            }
            #[inline(always)]
            fn sub(self, a: Self::V, b: Self::V) -> Self::V {
                lanewise!(a; |n: usize| a.0[n] - b.0[n])
            }
            #[inline(always)]
            fn mul(self, a: Self::V, b: Self::V) -> Self::V {
                lanewise!(a; |n: usize| a.0[n] * b.0[n])
            }
            #[inline(always)]
            fn div(self, a: Self::V, b: Self::V) -> Self::V {
                lanewise!(a; |n: usize| a.0[n] / b.0[n])
            }
            #[inline(always)]
            fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
                lanewise!(a; |n: usize| a.0[n] * b.0[n] + c.0[n])
            }
            #[inline(always)]
            fn neg_mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
                lanewise!(a; |n: usize| c.0[n] - a.0[n] * b.0[n])
            }
            #[inline(always)]
            fn min(self, a: Self::V, b: Self::V) -> Self::V {
                lanewise!(a; |n: usize| if a.0[n] < b.0[n] { a.0[n] } else { b.0[n] })
            }
            #[inline(always)]
            fn max(self, a: Self::V, b: Self::V) -> Self::V {
                lanewise!(a; |n: usize| if a.0[n] > b.0[n] { a.0[n] } else { b.0[n] })
            }
            #[inline(always)]
            fn abs(self, a: Self::V) -> Self::V {
                lanewise!(a; |n: usize| a.0[n].abs())
            }
            #[inline(always)]
            fn sqrt(self, a: Self::V) -> Self::V {
                lanewise!(a; |n: usize| a.0[n].sqrt())
            }
            #[inline(always)]
            fn copy_sign(self, a: Self::V, sign: Self::V) -> Self::V {
                lanewise!(a; |n: usize| a.0[n].copysign(sign.0[n]))
            }
            #[inline(always)]
            fn round(self, a: Self::V) -> Self::V {
                // Adding and taking away 1.5 · 2^(digits - 1) rounds to even without a call.
                const MAGIC: $type = 3.0 * (1_u64 << ($type::MANTISSA_DIGITS - 2)) as $type;
                lanewise!(a; |n: usize| (a.0[n] + MAGIC) - MAGIC)
            }
            #[inline(always)]
            fn pow2(self, n: Self::V) -> Self::V {
                const BIAS: $int = $type::MAX_EXP as $int - 1;
                const SHIFT: u32 = $type::MANTISSA_DIGITS - 1;
                lanewise!(n; |k: usize| {
                    $type::from_bits((n.0[k] as $int + BIAS).cast_unsigned() << SHIFT)
                })
            }
            #[inline(always)]
            fn low_half(self, pairs: Self::V) -> Self::V {
                lanewise!(pairs; |n: usize| $type::from_bits(pairs.0[n].to_bits() << 16))
            }
            #[inline(always)]
            fn high_half(self, pairs: Self::V) -> Self::V {
                lanewise!(pairs; |n: usize| $type::from_bits(pairs.0[n].to_bits() & !0xffff))
            }
            $(portable!(@$extra);)?
            #[inline(always)]
            fn select_lt(self, a: Self::V, b: Self::V, yes: Self::V, no: Self::V) -> Self::V {
                lanewise!(a; |n: usize| if a.0[n] < b.0[n] { yes.0[n] } else { no.0[n] })
            }
        }
    };
    (@integers) => {
        #[inline(always)]
        fn even_bytes(self, bytes: Self::V) -> Self::V {
            lanewise!(bytes; |n: usize| f32::from_bits(bytes.0[n].to_bits() & 0x00ff_00ff))
        }
        #[inline(always)]
        fn odd_bytes(self, bytes: Self::V) -> Self::V {
            lanewise!(bytes; |n: usize| f32::from_bits(bytes.0[n].to_bits() >> 8 & 0x00ff_00ff))
        }
        #[inline(always)]
        fn pack_pairs(self, low: Self::V, high: Self::V) -> Self::V {
            let [low, high] = [low, high].map(|v| Simd::<f32>::round(self, v));
            let bits = |value: f32| (value as i32).cast_unsigned();
            lanewise!(low; |n: usize| {
                f32::from_bits(bits(low.0[n]) & 0xffff | bits(high.0[n]) << 16)
            })
        }
        #[inline(always)]
        fn add_pairs(self, sums: Self::V, weights: Self::V, pairs: Self::V) -> Self::V {
            let halves = |pair: f32| {
                let bits = pair.to_bits().cast_signed();
                (bits << 16 >> 16, bits >> 16)
            };
            lanewise!(sums; |n: usize| {
                let ((a, b), (c, d)) = (halves(weights.0[n]), halves(pairs.0[n]));
                let sum = sums.0[n].to_bits().cast_signed();
                f32::from_bits(sum.wrapping_add(a * c).wrapping_add(b * d).cast_unsigned())
            })
        }
        #[inline(always)]
        fn numbers(self, integers: Self::V) -> Self::V {
            lanewise!(integers; |n: usize| integers.0[n].to_bits().cast_signed() as f32)
        }
    };
}

portable!(Portable, f32, 4, 3, i32, integers);
portable!(Portable, f64, 2, 3, i64);
