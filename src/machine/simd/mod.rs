//! Vectors: one trait, one file for each instruction set, and the choice between them.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(all(target_arch = "x86_64", feature = "doubled"))]
mod doubled;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod native;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
mod vector;

use std::fmt::Debug;
use std::ops::{Add, Mul};
use std::sync::OnceLock;

#[cfg(all(target_arch = "x86_64", feature = "doubled"))]
pub use doubled::Doubled;
#[cfg(target_arch = "aarch64")]
pub use neon::Neon;
pub use portable::Portable;
pub use vector::{Kernel, MAX_LANES, Simd};
#[cfg(target_arch = "x86_64")]
pub use {avx2::Avx2, avx512::Avx512};

use crate::error::{Error, Result};

/// A floating-point type the engine computes in, with the constants of its elementary functions.
pub trait Element:
    Copy
    + Default
    + PartialEq
    + PartialOrd
    + Debug
    + Add<Output = Self>
    + Mul<Output = Self>
    + Send
    + Sync
    + 'static
    + private::Sealed
{
    /// Whether weights can be kept in fewer bits, in those of a number ([`Element::pair`]).
    const HALVES: bool;
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;
    /// log2(e).
    const LOG2_E: Self;
    /// ln 2 in two parts; the first has so few bits that its product with an exponent is exact.
    const LN_2: [Self; 2];
    /// Below this, `exp` is smaller than the smallest normal number and counts as zero.
    const EXP_MIN: Self;
    /// Above this, `exp` overflows.
    const EXP_MAX: Self;
    /// From here on, `tanh` rounds to one.
    const TANH_MAX: Self;
    /// `exp(r) - 1 = r + r² q(r)` for |r| <= ln(2) / 2: coefficients of `q`, highest power first.
    const EXPM1: &'static [Self];

    /// The nearest value to `value`.
    fn of(value: f64) -> Self;
    /// `value` as `f64`, exactly.
    fn wide(self) -> f64;
    /// ln(1 + self).
    #[must_use]
    fn ln_1p(self) -> Self;
    /// The error function.
    #[must_use]
    fn erf(self) -> Self;
    /// Itself, or zero; without a branch.
    #[must_use]
    fn kept_if(self, keep: bool) -> Self;
    /// Two numbers rounded to bfloat16 (ties to even), `low` in the low half of the bits: for `f32`
    /// alone, `f64` has no such halves.
    #[must_use]
    fn pair(low: Self, high: Self) -> Self;
    /// The number of these bits, which is never computed with: for `f32` alone, as [`Element::pair`].
    #[must_use]
    fn of_bits(bits: u32) -> Self;
    /// The bits of a number: for `f32` alone.
    #[must_use]
    fn bits(self) -> u32;
    /// Runs `kernel` with the instructions of `level`.
    fn dispatch<K: Kernel<Self>>(level: Level, kernel: K) -> K::Output;
}

/// An instruction set this CPU has.
#[derive(Clone, Copy, Debug)]
pub enum Level {
    /// Plain arrays of four or two elements: what every CPU of the architecture can do.
    Portable(Portable),
    /// AVX2 and FMA, two vectors as one: for tests of AVX-512's layouts on CPUs without it.
    #[cfg(all(target_arch = "x86_64", feature = "doubled"))]
    Doubled(Doubled),
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    /// AVX-512 F, BW, DQ and VL.
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    /// NEON, whose multiply-add is fused.
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
}

impl Level {
    /// Every level this CPU has, slowest first.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let native: &[Option<Self>] = &[
            #[cfg(all(target_arch = "x86_64", feature = "doubled"))]
            Doubled::detect().map(Self::Doubled),
            #[cfg(target_arch = "x86_64")]
            Avx2::detect().map(Self::Avx2),
            #[cfg(target_arch = "x86_64")]
            Avx512::detect().map(Self::Avx512),
            #[cfg(target_arch = "aarch64")]
            Neon::detect().map(Self::Neon),
        ];
        std::iter::once(Self::Portable(Portable)).chain(native.iter().copied().flatten()).collect()
    }

    /// The level called `name`.
    ///
    /// # Errors
    /// If there is none of that name, or this CPU does not have it.
    pub fn named(name: &str) -> Result<Self> {
        let all = Self::all();
        let found = all.iter().copied().find(|level| level.name() == name);
        found.ok_or_else(|| {
            let names: Vec<_> = all.iter().map(|level| level.name()).collect();
            Error::value("FERRNN_SIMD", format!("one of {}", names.join(", ")), name)
        })
    }

    /// The level in use: the one `FERRNN_SIMD` names, else the fastest.
    ///
    /// # Errors
    /// If `FERRNN_SIMD` names one that this CPU does not have.
    pub fn current() -> Result<Self> {
        static CURRENT: OnceLock<Result<Level>> = OnceLock::new();
        CURRENT
            .get_or_init(|| match std::env::var("FERRNN_SIMD") {
                Ok(name) if !name.is_empty() => Self::named(&name),
                _ => Ok(*Self::all().last().unwrap_or(&Self::Portable(Portable))),
            })
            .clone()
    }

    /// The level in use, for rows of so many elements: AVX2 where they fill half of an AVX-512 vector
    /// at most, since a vector costs what its lanes cost, used or not.
    ///
    /// # Errors
    /// As [`Level::current`].
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(unused_variables, reason = "vectors of one size only")
    )]
    pub fn for_rows<T: Element>(elements: usize) -> Result<Self> {
        let level = Self::current()?;
        #[cfg(target_arch = "x86_64")]
        if let (Self::Avx512(_), Some(half)) = (level, Avx2::detect())
            && elements <= Self::Avx2(half).lanes::<T>()
        {
            return Ok(Self::Avx2(half));
        }
        Ok(level)
    }

    /// The name that `FERRNN_SIMD` takes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable(_) => "portable",
            #[cfg(all(target_arch = "x86_64", feature = "doubled"))]
            Self::Doubled(_) => "doubled",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512",
            #[cfg(target_arch = "aarch64")]
            Self::Neon(_) => "neon",
        }
    }

    /// Whether a step's functions are never compiled in ([`Simd::SMALL`]).
    pub(crate) fn is_small(self) -> bool {
        matches!(self, Self::Portable(_)) && Portable::SMALL
    }

    /// Elements of a vector of `T`.
    #[must_use]
    pub fn lanes<T: Element>(self) -> usize {
        struct Lanes;
        impl<T> Kernel<T> for Lanes {
            type Output = usize;
            #[inline(always)]
            fn run<S: Simd<T>>(self, _: S) -> usize {
                S::LANES
            }
        }
        T::dispatch(self, Lanes)
    }

    /// Whether steps of `T` are compiled into one kernel each ([`Simd::FUSED`]).
    #[must_use]
    pub fn fuses<T: Element>(self) -> bool {
        struct Fuses;
        impl<T> Kernel<T> for Fuses {
            type Output = bool;
            #[inline(always)]
            fn run<S: Simd<T>>(self, _: S) -> bool {
                S::FUSED
            }
        }
        T::dispatch(self, Fuses)
    }

    /// Whether the level has [`Simd::PAIRS_APART`].
    pub(crate) fn pairs_apart(self) -> bool {
        struct Apart;
        impl Kernel<f32> for Apart {
            type Output = bool;
            #[inline(always)]
            fn run<S: Simd<f32>>(self, _: S) -> bool {
                S::PAIRS_APART
            }
        }
        f32::dispatch(self, Apart)
    }

    /// Rows of the largest register tile.
    #[must_use]
    pub fn rows<T: Element>(self) -> usize {
        struct TileRows;
        impl<T> Kernel<T> for TileRows {
            type Output = usize;
            #[inline(always)]
            fn run<S: Simd<T>>(self, _: S) -> usize {
                S::ROWS
            }
        }
        T::dispatch(self, TileRows)
    }
}

/// The bits of two bfloat16 in those of an `f32`, which is only ever taken apart again.
fn bfloat16_pair(low: f32, high: f32) -> f32 {
    let round = |value: f32| {
        let bits = value.to_bits();
        if value.is_nan() {
            return (bits >> 16) | 0x40; // stays NaN, whatever the low bits were
        }
        (bits + 0x7fff + ((bits >> 16) & 1)) >> 16
    };
    f32::from_bits((round(high) << 16) | round(low))
}

mod private {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

macro_rules! element {
    ($type:ident, $halves:literal, [$pair:expr, $of_bits:expr, $bits:expr], $erf:path, $limits:expr, $ln2:expr, $expm1:expr) => {
        impl Element for $type {
            const HALVES: bool = $halves;
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const LOG2_E: Self = std::$type::consts::LOG2_E;
            const LN_2: [Self; 2] = $ln2;
            const EXP_MIN: Self = $limits[0];
            const EXP_MAX: Self = $limits[1];
            const TANH_MAX: Self = $limits[2];
            const EXPM1: &'static [Self] = &$expm1;

            fn of(value: f64) -> Self {
                value as Self
            }
            fn wide(self) -> f64 {
                f64::from(self)
            }
            fn ln_1p(self) -> Self {
                $type::ln_1p(self)
            }
            fn erf(self) -> Self {
                $erf(self)
            }
            fn kept_if(self, keep: bool) -> Self {
                Self::from_bits(self.to_bits() & if keep { !0 } else { 0 })
            }
            fn pair(low: Self, high: Self) -> Self {
                $pair(low, high)
            }
            fn of_bits(bits: u32) -> Self {
                $of_bits(bits)
            }
            fn bits(self) -> u32 {
                $bits(self)
            }
            fn dispatch<K: Kernel<Self>>(level: Level, kernel: K) -> K::Output {
                match level {
                    Level::Portable(s) => kernel.run(s),
                    #[cfg(all(target_arch = "x86_64", feature = "doubled"))]
                    Level::Doubled(s) => s.half().enter_as(s, kernel),
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx2(s) => s.enter(kernel),
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx512(s) => s.enter(kernel),
                    #[cfg(target_arch = "aarch64")]
                    Level::Neon(s) => s.enter(kernel),
                }
            }
        }
    };
}

// The polynomials: for f32 a minimax fit of degree 5 (as in Cephes' expf), for f64 the Taylor
// coefficients 1/13! .. 1/2!, whose remainder r^14/14! is below 2^-57.
element!(
    f32,
    true,
    [bfloat16_pair, f32::from_bits, f32::to_bits],
    libm::erff,
    [-87.336_54, 88.722_83, 9.2],
    [0.693_359_4, -2.121_944_4e-4],
    [1.987_569_2e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.500_000_1]
);
element!(
    f64,
    false,
    [
        |_, _| unreachable!("halves of double precision"),
        |_| unreachable!("bits of double precision"),
        |_: f64| unreachable!("bits of double precision")
    ],
    libm::erf,
    [-708.396_418_532_264_1, 709.782_712_893_384, 19.1],
    [6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10],
    [
        1.605_904_383_682_161_5e-10,
        2.087_675_698_786_81e-9,
        2.505_210_838_544_172e-8,
        2.755_731_922_398_589e-7,
        2.755_731_922_398_589e-6,
        2.480_158_730_158_73e-5,
        1.984_126_984_126_984e-4,
        1.388_888_888_888_889e-3,
        8.333_333_333_333_333e-3,
        4.166_666_666_666_666_4e-2,
        1.666_666_666_666_666_6e-1,
        0.5,
    ]
);
