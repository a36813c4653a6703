//! Operations of elements on registers: one loop over blocks of rows for each operation.

use std::hint::black_box;

use crate::error::{Error, Result};
use crate::kernels::activation::Activation;
use crate::machine::simd::{Element, Kernel, MAX_LANES, Simd};

/// An operation of up to three elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// a
    Copy,
    /// -a
    Negative,
    /// |a|
    Absolute,
    /// -1, 0 or 1
    Sign,
    /// √a
    Sqrt,
    /// 1 / √a
    Rsqrt,
    /// ln a
    Log,
    /// sin a
    Sin,
    /// cos a
    Cos,
    /// f(a)
    Activate(Activation),
    /// a + b
    Add,
    /// a - b
    Subtract,
    /// a · b
    Multiply,
    /// a / b
    Divide,
    /// The smaller.
    Minimum,
    /// The larger.
    Maximum,
    /// 1 where a < b, else 0.
    Less,
    /// 1 where a <= b, else 0.
    LessEqual,
    /// 1 where a = b, else 0.
    Equal,
    /// a · f'(b), b being what [`Activation::derivative`] takes.
    Slope(Activation),
    /// b where a is not zero, else c.
    Select,
    /// a where b > c, half of it where they are equal, else 0: what a maximum passes back.
    Share,
}

/// The operations that are not activations, by name.
const NAMED: [(&str, Op); 20] = [
    ("copy", Op::Copy),
    ("negative", Op::Negative),
    ("absolute", Op::Absolute),
    ("sign", Op::Sign),
    ("sqrt", Op::Sqrt),
    ("rsqrt", Op::Rsqrt),
    ("log", Op::Log),
    ("sin", Op::Sin),
    ("cos", Op::Cos),
    ("add", Op::Add),
    ("subtract", Op::Subtract),
    ("multiply", Op::Multiply),
    ("divide", Op::Divide),
    ("minimum", Op::Minimum),
    ("maximum", Op::Maximum),
    ("less", Op::Less),
    ("less_equal", Op::LessEqual),
    ("equal", Op::Equal),
    ("select", Op::Select),
    ("share", Op::Share),
];

impl Op {
    /// The operation called `name`: an activation's name, with `slope:` before it its derivative.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn named(name: &str) -> Result<Self> {
        if let Some(&(_, op)) = NAMED.iter().find(|(known, _)| *known == name) {
            return Ok(op);
        }
        if let Some(activation) = name.strip_prefix("slope:") {
            return Activation::named("op", activation).map(Self::Slope);
        }
        Activation::named("op", name)
            .map(Self::Activate)
            .map_err(|_| Error::value("op", "the name of an operation", name))
    }

    /// How many elements it takes.
    #[must_use]
    pub fn arity(self) -> usize {
        match self {
            Self::Copy
            | Self::Negative
            | Self::Absolute
            | Self::Sign
            | Self::Sqrt
            | Self::Rsqrt
            | Self::Log
            | Self::Sin
            | Self::Cos
            | Self::Activate(_) => 1,
            Self::Select | Self::Share => 3,
            _ => 2,
        }
    }
}

/// Where an operand's elements are: strides of rows and of two axes, and whether the last axis
/// exists or one element stands for all of it.
#[derive(Clone, Copy)]
pub(super) struct Source<'a, T> {
    pub(super) data: &'a [T],
    pub(super) strides: [usize; 3],
    pub(super) repeated: bool,
}

/// `out = op(sources)`, or added to `out`, for `counts` rows and two axes more, `inner` elements each.
///
/// Every slice has [`MAX_LANES`] meaningless elements after its last.
pub(super) struct Map<'a, T> {
    pub(super) op: Op,
    pub(super) accumulate: bool,
    pub(super) counts: [usize; 3],
    pub(super) inner: usize,
    pub(super) out: &'a mut [T],
    pub(super) strides: [usize; 3],
    pub(super) sources: [Source<'a, T>; 3],
}

impl<T: Element> Kernel<T> for Map<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) {
        // The operations that most cells are made of have loops of their own; the others share one
        // loop for each number of operands, which looks up the operation for each vector: their own
        // loops would be a tenth of the engine's machine code.
        match self.op {
            op if const { S::SMALL } => self.shared(s, op),
            Op::Copy => self.unary(s, |x| x),
            Op::Activate(Activation::Tanh) => self.unary(s, |x| Activation::Tanh.apply(s, x)),
            Op::Activate(Activation::Sigmoid) => self.unary(s, |x| Activation::Sigmoid.apply(s, x)),
            Op::Add => self.binary(s, |a, b| s.add(a, b)),
            Op::Subtract => self.binary(s, |a, b| s.sub(a, b)),
            Op::Multiply => self.binary(s, |a, b| s.mul(a, b)),
            Op::Slope(Activation::Tanh) => {
                self.binary(s, |g, y| s.mul(g, Activation::Tanh.derivative(s, y).1));
            }
            Op::Slope(Activation::Sigmoid) => {
                self.binary(s, |g, y| s.mul(g, Activation::Sigmoid.derivative(s, y).1));
            }
            op => self.shared(s, op),
        }
    }
}

/// The operations of one element.
#[inline(always)]
fn of_one<T: Element, S: Simd<T>>(s: S, op: Op, x: S::V) -> S::V {
    let (zero, one) = (s.splat(T::ZERO), s.splat(T::ONE));
    match op {
        Op::Negative => s.sub(zero, x),
        Op::Absolute => s.abs(x),
        Op::Sign => {
            let up = s.select_lt(zero, x, one, zero);
            s.sub(up, s.select_lt(x, zero, one, zero))
        }
        Op::Sqrt => s.sqrt(x),
        Op::Rsqrt => s.div(one, s.sqrt(x)),
        Op::Log => s.map(x, |x| T::of(x.wide().ln())),
        Op::Sin => s.map(x, |x| T::of(x.wide().sin())),
        Op::Cos => s.map(x, |x| T::of(x.wide().cos())),
        Op::Activate(activation) => activation.apply_compact(s, x),
        _ => x,
    }
}

/// The operations of two.
#[inline(always)]
fn of_two<T: Element, S: Simd<T>>(s: S, op: Op, a: S::V, b: S::V) -> S::V {
    let (zero, one) = (s.splat(T::ZERO), s.splat(T::ONE));
    match op {
        Op::Add => s.add(a, b),
        Op::Subtract => s.sub(a, b),
        Op::Multiply => s.mul(a, b),
        Op::Divide => s.div(a, b),
        Op::Minimum => s.select_lt(b, a, b, s.min(b, a)),
        Op::Maximum => s.select_lt(a, b, b, s.max(b, a)),
        Op::Less => s.select_lt(a, b, one, zero),
        Op::LessEqual => s.add(s.select_lt(a, b, one, zero), equal(s, a, b)),
        Op::Equal => equal(s, a, b),
        Op::Slope(activation) => s.mul(a, activation.derivative_compact(s, b).1),
        _ => a,
    }
}

/// The operations of three.
#[inline(always)]
fn of_three<T: Element, S: Simd<T>>(s: S, op: Op, a: S::V, b: S::V, c: S::V) -> S::V {
    let (zero, one) = (s.splat(T::ZERO), s.splat(T::ONE));
    if op == Op::Select {
        let yes = s.select_lt(zero, s.abs(a), one, zero);
        return s.select_lt(zero, yes, b, c);
    }
    let even = s.mul(s.mul(a, s.splat(T::of(0.5))), equal(s, b, c));
    s.select_lt(c, b, a, even)
}

/// 1 where a = b; NaN equals nothing.
#[inline(always)]
fn equal<T: Element, S: Simd<T>>(s: S, a: S::V, b: S::V) -> S::V {
    let (zero, one) = (s.splat(T::ZERO), s.splat(T::ONE));
    // Not NaN: -1 is less than zero times a square only of numbers.
    let apart = s.add(s.select_lt(a, b, one, zero), s.select_lt(b, a, one, zero));
    let a = s.select_lt(s.splat(T::of(-1.0)), s.abs(a), one, zero);
    let b = s.select_lt(s.splat(T::of(-1.0)), s.abs(b), one, zero);
    s.mul(s.mul(a, b), s.sub(one, apart))
}

impl<T: Element> Map<'_, T> {
    /// The loop that all operations of as many elements share.
    #[inline(always)]
    fn shared<S: Simd<T>>(self, s: S, op: Op) {
        match op.arity() {
            1 => self.unary(s, |x| of_one(s, black_box(op), x)),
            2 => self.binary(s, |a, b| of_two(s, black_box(op), a, b)),
            _ => self.ternary(s, |a, b, c| of_three(s, black_box(op), a, b, c)),
        }
    }

    #[inline(always)]
    fn unary<S: Simd<T>>(self, s: S, f: impl Fn(S::V) -> S::V) {
        let [x, ..] = self.sources;
        self.each(s, [x], |[x]| f(x));
    }

    #[inline(always)]
    fn binary<S: Simd<T>>(self, s: S, f: impl Fn(S::V, S::V) -> S::V) {
        let [a, b, _] = self.sources;
        self.each(s, [a, b], |[a, b]| f(a, b));
    }

    #[inline(always)]
    fn ternary<S: Simd<T>>(self, s: S, f: impl Fn(S::V, S::V, S::V) -> S::V) {
        let sources = self.sources;
        self.each(s, sources, |[a, b, c]| f(a, b, c));
    }

    #[inline(always)]
    fn each<S: Simd<T>, const N: usize>(
        self,
        s: S,
        sources: [Source<'_, T>; N],
        f: impl Fn([S::V; N]) -> S::V,
    ) {
        let [rows, outer, middle] = self.counts;
        let mut lanes = [[T::ZERO; MAX_LANES]; N];
        let masks = sources.map(|source| if source.repeated { 0 } else { usize::MAX });
        for row in 0..rows {
            for first in 0..outer {
                for second in 0..middle {
                    let at = |by: [usize; 3]| row * by[0] + first * by[1] + second * by[2];
                    for n in 0..N {
                        let source = sources[n];
                        if source.repeated {
                            s.store(s.splat(source.data[at(source.strides)]), &mut lanes[n]);
                        }
                    }
                    let mut parts = [&sources[0].data[..0]; N];
                    for n in 0..N {
                        let source = sources[n];
                        parts[n] = if source.repeated {
                            &lanes[n]
                        } else {
                            &source.data[at(source.strides)..]
                        };
                    }
                    let out = &mut self.out[at(self.strides)..];
                    line(s, self.inner, self.accumulate, out, (parts, masks), &f);
                }
            }
        }
    }
}

#[inline(always)]
fn line<T: Element, S: Simd<T>, const N: usize>(
    s: S,
    inner: usize,
    accumulate: bool,
    out: &mut [T],
    (parts, masks): ([&[T]; N], [usize; N]),
    f: &impl Fn([S::V; N]) -> S::V,
) {
    let out = &mut out[..inner];
    let mut at = 0;
    while at < inner {
        let mut values = [s.splat(T::ZERO); N];
        for n in 0..N {
            values[n] = s.load(&parts[n][at & masks[n]..]);
        }
        let mut value = f(values);
        let to = &mut out[at..];
        if accumulate {
            value = s.add(value, s.load_partial(to));
        }
        s.store_partial(value, to);
        at += S::LANES;
    }
}
