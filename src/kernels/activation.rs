//! Activation functions on vectors, and their derivatives from what forward kept.

pub use super::elementary::{exp, sigmoid, tanh};
use super::elementary::{exp_minus_abs, expm1_negative, normal_cdf};
use crate::error::{Error, Result};
use crate::machine::simd::{Element, Kernel, MAX_LANES, Simd};

/// An activation function, by Keras' name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// tanh x
    Tanh,
    /// 1 / (1 + e^-x)
    Sigmoid,
    /// x / 6 + 1/2, kept in \[0, 1\]
    HardSigmoid,
    /// max(x, 0)
    Relu,
    /// x
    Linear,
    /// x / (1 + |x|)
    Softsign,
    /// ln(1 + e^x)
    Softplus,
    /// x for x > 0, else e^x - 1 (Clevert et al., 2016)
    Elu,
    /// `elu` scaled to keep mean and variance (Klambauer et al., 2017)
    Selu,
    /// x · sigmoid x
    Silu,
    /// x Φ(x), with the exact error function (Hendrycks and Gimpel, 2016)
    Gelu,
    /// e^x
    Exponential,
}

const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;

impl Activation {
    /// Every activation with its name.
    pub const ALL: [(&'static str, Self); 12] = [
        ("tanh", Self::Tanh),
        ("sigmoid", Self::Sigmoid),
        ("hard_sigmoid", Self::HardSigmoid),
        ("relu", Self::Relu),
        ("linear", Self::Linear),
        ("softsign", Self::Softsign),
        ("softplus", Self::Softplus),
        ("elu", Self::Elu),
        ("selu", Self::Selu),
        ("silu", Self::Silu),
        ("gelu", Self::Gelu),
        ("exponential", Self::Exponential),
    ];

    /// The activation called `name`; `argument` is what an error names.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn named(argument: &'static str, name: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|(known, _)| *known == name);
        found.map(|&(_, activation)| activation).ok_or_else(|| {
            // Bounded: the activations there are.
            let names: Vec<_> = Self::ALL.iter().map(|&(name, _)| name).collect();
            Error::value(argument, format!("one of {}", names.join(", ")), name)
        })
    }

    /// Whether backward needs the input; from the others the output suffices.
    #[must_use]
    pub fn keeps_input(self) -> bool {
        matches!(self, Self::Silu | Self::Gelu)
    }

    /// Whether the function is long: code that is compiled for many cells shares it
    /// ([`Simd::apart`]) instead of repeating it.
    fn is_long(self) -> bool {
        matches!(
            self,
            Self::Softplus | Self::Elu | Self::Selu | Self::Silu | Self::Gelu | Self::Exponential
        )
    }

    /// f(x), lane by lane.
    #[inline(always)]
    pub fn apply<T: Element, S: Simd<T>>(self, s: S, x: S::V) -> S::V {
        if self.is_long() { self.apply_long(s, x) } else { self.apply_short(s, x) }
    }

    #[inline(always)]
    fn apply_short<T: Element, S: Simd<T>>(self, s: S, x: S::V) -> S::V {
        let (zero, one) = (s.splat(T::ZERO), s.splat(T::ONE));
        match self {
            Self::Tanh => tanh(s, x),
            Self::Sigmoid => sigmoid(s, x),
            Self::HardSigmoid => {
                let y = s.mul_add(x, s.splat(T::of(1.0 / 6.0)), s.splat(T::of(0.5)));
                s.max(zero, s.min(one, y))
            }
            Self::Relu => s.max(zero, x),
            Self::Softsign => s.div(x, s.add(one, s.abs(x))),
            _ => x,
        }
    }

    #[inline(always)]
    fn apply_long<T: Element, S: Simd<T>>(self, s: S, x: S::V) -> S::V {
        let zero = s.splat(T::ZERO);
        match self {
            Self::Softplus => s.add(s.max(zero, x), s.map(exp_minus_abs(s, x), T::ln_1p)),
            Self::Elu => s.select_lt(zero, x, x, expm1_negative(s, s.min(zero, x))),
            Self::Selu => {
                let negative = s.mul(s.splat(T::of(SELU_ALPHA)), expm1_negative(s, s.min(zero, x)));
                s.mul(s.splat(T::of(SELU_SCALE)), s.select_lt(zero, x, x, negative))
            }
            Self::Silu => s.mul(x, sigmoid(s, x)),
            Self::Gelu => s.mul(x, normal_cdf(s, x)),
            _ => exp(s, x),
        }
    }

    /// f and f' from what forward kept: the input of `silu` and `gelu`, the output of the others.
    #[inline(always)]
    pub fn derivative<T: Element, S: Simd<T>>(self, s: S, kept: S::V) -> (S::V, S::V) {
        if self.is_long() { self.derivative_long(s, kept) } else { self.derivative_short(s, kept) }
    }

    #[inline(always)]
    fn derivative_short<T: Element, S: Simd<T>>(self, s: S, kept: S::V) -> (S::V, S::V) {
        let (zero, one) = (s.splat(T::ZERO), s.splat(T::ONE));
        let slope = match self {
            Self::Tanh => s.neg_mul_add(kept, kept, one),
            Self::Sigmoid => s.neg_mul_add(kept, kept, kept),
            Self::HardSigmoid => {
                let inside = s.select_lt(kept, one, s.splat(T::of(1.0 / 6.0)), zero);
                s.select_lt(zero, kept, inside, zero)
            }
            Self::Relu => s.select_lt(zero, kept, one, zero),
            Self::Softsign => {
                let rest = s.sub(one, s.abs(kept));
                s.mul(rest, rest)
            }
            _ => one,
        };
        (kept, slope)
    }

    #[inline(always)]
    fn derivative_long<T: Element, S: Simd<T>>(self, s: S, kept: S::V) -> (S::V, S::V) {
        let (zero, one) = (s.splat(T::ZERO), s.splat(T::ONE));
        let slope = match self {
            Self::Softplus => s.sub(one, exp_minus_abs(s, kept)),
            Self::Elu => s.select_lt(zero, kept, one, s.add(kept, one)),
            Self::Selu => {
                let scale = s.splat(T::of(SELU_SCALE));
                let negative = s.add(kept, s.splat(T::of(SELU_SCALE * SELU_ALPHA)));
                s.select_lt(zero, kept, scale, negative)
            }
            Self::Silu => {
                let sigma = sigmoid(s, kept);
                let value = s.mul(kept, sigma);
                return (value, s.mul_add(value, s.sub(one, sigma), sigma));
            }
            Self::Gelu => {
                let cdf = normal_cdf(s, kept);
                let square = s.mul(kept, kept);
                let density = exp(s, s.mul(square, s.splat(T::of(-0.5))));
                let density = s.mul(density, s.splat(T::of(0.398_942_280_401_432_7)));
                return (s.mul(kept, cdf), s.mul_add(kept, density, cdf));
            }
            _ => kept,
        };
        (kept, slope)
    }

    /// As [`Activation::apply`], with the long functions shared.
    #[inline(always)]
    pub(crate) fn apply_compact<T: Element, S: Simd<T>>(self, s: S, x: S::V) -> S::V {
        apply_compact(s, (self, None), x)
    }

    /// As [`Activation::derivative`], with the long functions shared.
    #[inline(always)]
    pub(crate) fn derivative_compact<T: Element, S: Simd<T>>(
        self,
        s: S,
        kept: S::V,
    ) -> (S::V, S::V) {
        derivative_compact(s, (self, None), kept)
    }
}

/// A function and the bound on its input, if that is clipped.
type Clipped = (Activation, Option<f64>);

/// f of the clipped input; long functions are shared, and all functions are where size matters more
/// than speed.
#[inline(always)]
fn apply_compact<T: Element, S: Simd<T>>(s: S, (f, clip): Clipped, x: S::V) -> S::V {
    if clip.is_none() && !f.is_long() && !S::SMALL {
        return f.apply_short(s, x);
    }
    let mut lanes = [T::ZERO; MAX_LANES];
    s.store(x, &mut lanes);
    s.apart(Long { function: (f, clip), lanes: &mut lanes, slopes: None });
    s.load(&lanes)
}

/// Value and slope from what was kept: with a clip that is the input, whose slope is zero beyond
/// the bounds.
#[inline(always)]
fn derivative_compact<T: Element, S: Simd<T>>(
    s: S,
    (f, clip): Clipped,
    kept: S::V,
) -> (S::V, S::V) {
    if clip.is_none() && !f.is_long() && !S::SMALL {
        return f.derivative_short(s, kept);
    }
    let (mut lanes, mut slopes) = ([T::ZERO; MAX_LANES], [T::ZERO; MAX_LANES]);
    s.store(kept, &mut lanes);
    s.apart(Long { function: (f, clip), lanes: &mut lanes, slopes: Some(&mut slopes) });
    (s.load(&lanes), s.load(&slopes))
}

/// A long function of one vector, or its value and slope from what was kept.
struct Long<'a, T> {
    function: Clipped,
    lanes: &'a mut [T; MAX_LANES],
    slopes: Option<&'a mut [T; MAX_LANES]>,
}

impl<T: Element> Kernel<T> for Long<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) {
        let (f, clip) = self.function;
        let given = s.load(self.lanes);
        let inside = clip.map_or(given, |bound| clipped(s, bound, given));
        let Some(slopes) = self.slopes else {
            return s.store(f.apply(s, inside), self.lanes);
        };
        let kept = if clip.is_some() && !f.keeps_input() { f.apply(s, inside) } else { inside };
        let (value, slope) = f.derivative(s, kept);
        let slope = clip.map_or(slope, |bound| {
            s.select_lt(s.splat(T::of(bound)), s.abs(given), s.splat(T::ZERO), slope)
        });
        s.store(value, self.lanes);
        s.store(slope, slopes);
    }
}

/// x, kept in \[-bound, bound\]; NaN stays NaN.
#[inline(always)]
fn clipped<T: Element, S: Simd<T>>(s: S, bound: f64, x: S::V) -> S::V {
    s.max(s.splat(T::of(-bound)), s.min(s.splat(T::of(bound)), x))
}

/// The pair of functions a cell applies: one to its gates, one to its candidate and its state. Those of
/// gates and candidate take sums of products, which may be clipped first.
pub trait Activations<T: Element>: Copy + Send + Sync {
    /// Whether a cell's step may be compiled into one kernel with its product. Others take two,
    /// so that tiles are not compiled again for every choice of functions.
    const FUSED: bool;
    /// The function of the gates.
    fn gate<S: Simd<T>>(self, s: S, x: S::V) -> S::V;
    /// The function of the candidate.
    fn candidate<S: Simd<T>>(self, s: S, x: S::V) -> S::V;
    /// The candidate's function of a state, which is never clipped.
    fn state<S: Simd<T>>(self, s: S, x: S::V) -> S::V;
    /// Its value and slope.
    fn state_derivative<S: Simd<T>>(self, s: S, x: S::V) -> (S::V, S::V);
    /// What backward needs of a gate.
    fn keep_gate<V>(self, input: V, output: V) -> V;
    /// What backward needs of a candidate.
    fn keep_candidate<V>(self, input: V, output: V) -> V;
    /// Value and slope of a gate from what was kept.
    fn gate_derivative<S: Simd<T>>(self, s: S, kept: S::V) -> (S::V, S::V);
    /// Value and slope of a candidate from what was kept.
    fn candidate_derivative<S: Simd<T>>(self, s: S, kept: S::V) -> (S::V, S::V);
}

/// Sigmoid gates, tanh candidate: compiled in.
#[derive(Clone, Copy, Debug)]
pub struct Standard;

impl<T: Element> Activations<T> for Standard {
    const FUSED: bool = true;
    #[inline(always)]
    fn gate<S: Simd<T>>(self, s: S, x: S::V) -> S::V {
        sigmoid(s, x)
    }
    #[inline(always)]
    fn candidate<S: Simd<T>>(self, s: S, x: S::V) -> S::V {
        tanh(s, x)
    }
    #[inline(always)]
    fn state<S: Simd<T>>(self, s: S, x: S::V) -> S::V {
        tanh(s, x)
    }
    #[inline(always)]
    fn state_derivative<S: Simd<T>>(self, s: S, x: S::V) -> (S::V, S::V) {
        Activation::Tanh.derivative(s, tanh(s, x))
    }
    #[inline(always)]
    fn keep_gate<V>(self, _input: V, output: V) -> V {
        output
    }
    #[inline(always)]
    fn keep_candidate<V>(self, _input: V, output: V) -> V {
        output
    }
    #[inline(always)]
    fn gate_derivative<S: Simd<T>>(self, s: S, kept: S::V) -> (S::V, S::V) {
        Activation::Sigmoid.derivative(s, kept)
    }
    #[inline(always)]
    fn candidate_derivative<S: Simd<T>>(self, s: S, kept: S::V) -> (S::V, S::V) {
        Activation::Tanh.derivative(s, kept)
    }
}

/// Any pair, chosen at run time.
#[derive(Clone, Copy, Debug)]
pub struct Chosen {
    /// The function of the gates.
    pub gate: Activation,
    /// The function of the candidate.
    pub candidate: Activation,
    /// The bound on the input of the gates' function, if it is clipped.
    pub gate_clip: Option<f64>,
    /// The bound on the input of the candidate's.
    pub candidate_clip: Option<f64>,
}

impl Chosen {
    /// Whether these are [`Standard`]'s, which are compiled in.
    #[must_use]
    pub fn is_standard(self) -> bool {
        let clips = self.gate_clip.is_some() || self.candidate_clip.is_some();
        self.gate == Activation::Sigmoid && self.candidate == Activation::Tanh && !clips
    }
}

impl<T: Element> Activations<T> for Chosen {
    const FUSED: bool = false;
    #[inline(always)]
    fn gate<S: Simd<T>>(self, s: S, x: S::V) -> S::V {
        apply_compact(s, (self.gate, self.gate_clip), x)
    }
    #[inline(always)]
    fn candidate<S: Simd<T>>(self, s: S, x: S::V) -> S::V {
        apply_compact(s, (self.candidate, self.candidate_clip), x)
    }
    #[inline(always)]
    fn state<S: Simd<T>>(self, s: S, x: S::V) -> S::V {
        self.candidate.apply_compact(s, x)
    }
    #[inline(always)]
    fn state_derivative<S: Simd<T>>(self, s: S, x: S::V) -> (S::V, S::V) {
        let value = self.candidate.apply_compact(s, x);
        let kept = if self.candidate.keeps_input() { x } else { value };
        (value, self.candidate.derivative_compact(s, kept).1)
    }
    #[inline(always)]
    fn keep_gate<V>(self, input: V, output: V) -> V {
        if self.gate.keeps_input() || self.gate_clip.is_some() { input } else { output }
    }
    #[inline(always)]
    fn keep_candidate<V>(self, input: V, output: V) -> V {
        if self.candidate.keeps_input() || self.candidate_clip.is_some() { input } else { output }
    }
    #[inline(always)]
    fn gate_derivative<S: Simd<T>>(self, s: S, kept: S::V) -> (S::V, S::V) {
        derivative_compact(s, (self.gate, self.gate_clip), kept)
    }
    #[inline(always)]
    fn candidate_derivative<S: Simd<T>>(self, s: S, kept: S::V) -> (S::V, S::V) {
        derivative_compact(s, (self.candidate, self.candidate_clip), kept)
    }
}
