//! Elementary functions on vectors: exponentials and what is made of them.

use crate::machine::simd::{Element, Simd};

/// `exp(x) - 1` for clamped x as `2^n · p + (2^n - 1)`: returns `(2^n, p)`.
#[inline(always)]
fn exp_parts<T: Element, S: Simd<T>>(s: S, x: S::V) -> (S::V, S::V) {
    let n = s.round(s.mul(x, s.splat(T::LOG2_E)));
    let r = s.neg_mul_add(n, s.splat(T::LN_2[0]), x);
    let r = s.neg_mul_add(n, s.splat(T::LN_2[1]), r);
    let mut q = s.splat(T::EXPM1[0]);
    for &coefficient in &T::EXPM1[1..] {
        q = s.mul_add(q, r, s.splat(coefficient));
    }
    (s.pow2(n), s.mul_add(s.mul(r, r), q, r))
}

/// e^-|x|; zero where that is below the smallest normal number.
#[inline(always)]
pub fn exp_minus_abs<T: Element, S: Simd<T>>(s: S, x: S::V) -> S::V {
    let limit = s.splat(T::EXP_MIN);
    let y = s.sub(s.splat(T::ZERO), s.abs(x));
    let (scale, p) = exp_parts(s, s.max(limit, y));
    let e = s.mul_add(scale, p, scale);
    s.select_lt(y, limit, s.splat(T::ZERO), e)
}

/// 1 / (1 + e^-x), accurate relative to the result on both sides; NaN stays NaN.
#[inline(always)]
pub fn sigmoid<T: Element, S: Simd<T>>(s: S, x: S::V) -> S::V {
    let e = exp_minus_abs(s, x);
    let one = s.splat(T::ONE);
    let numerator = s.select_lt(x, s.splat(T::ZERO), e, one);
    s.div(numerator, s.add(one, e))
}

/// tanh x: odd to the bit, accurate relative to the result near zero; NaN stays NaN.
#[inline(always)]
pub fn tanh<T: Element, S: Simd<T>>(s: S, x: S::V) -> S::V {
    let y = s.min(s.splat(T::TANH_MAX), s.abs(x));
    let (scale, p) = exp_parts(s, s.add(y, y));
    let expm1 = s.mul_add(scale, p, s.sub(scale, s.splat(T::ONE)));
    s.copy_sign(s.div(expm1, s.add(expm1, s.splat(T::of(2.0)))), x)
}

/// e^x - 1 for x <= 0.
#[inline(always)]
pub(super) fn expm1_negative<T: Element, S: Simd<T>>(s: S, x: S::V) -> S::V {
    let (scale, p) = exp_parts(s, s.max(s.splat(T::EXP_MIN), x));
    s.mul_add(scale, p, s.sub(scale, s.splat(T::ONE)))
}

/// e^x; infinite above the range, zero below the normal one.
#[inline(always)]
pub fn exp<T: Element, S: Simd<T>>(s: S, x: S::V) -> S::V {
    let (low, high) = (s.splat(T::EXP_MIN), s.splat(T::EXP_MAX));
    // Half of x twice: the scale of the largest results would not be a normal number.
    let half = s.mul(s.min(high, s.max(low, x)), s.splat(T::of(0.5)));
    let (scale, p) = exp_parts(s, half);
    let root = s.mul_add(scale, p, scale);
    let e = s.select_lt(x, low, s.splat(T::ZERO), s.mul(root, root));
    s.select_lt(high, x, s.splat(T::of(f64::INFINITY)), e)
}

/// Φ(x), the distribution of a standard normal variable.
#[inline(always)]
pub(super) fn normal_cdf<T: Element, S: Simd<T>>(s: S, x: S::V) -> S::V {
    let erf = s.map(s.mul(x, s.splat(T::of(std::f64::consts::FRAC_1_SQRT_2))), T::erf);
    s.mul_add(erf, s.splat(T::of(0.5)), s.splat(T::of(0.5)))
}
