//! Operations of elements on registers: one loop over blocks of rows for each operation.

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

/// The operations that are no activations, by name.
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

/// Where an operand's elements are: strides of rows and of two axes, and whether the last axis is
/// there or one element stands for all of it.
#[derive(Clone, Copy)]
pub(super) struct Source<'a, T> {
    pub(super) data: &'a [T],
    pub(super) strides: [usize; 3],
    pub(super) repeated: bool,
}

/// `out = op(sources)`, or added to `out`, for `counts` rows and two axes more, `inner` elements each.
///
/// Every slice has [`MAX_LANES`] elements of no meaning behind its last.
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
        let arity = self.op.arity();
        let [rows, outer, middle] = self.counts;
        let mut lanes = [[T::ZERO; MAX_LANES]; 3];
        let masks = self.sources.map(|source| if source.repeated { 0 } else { usize::MAX });
        for row in 0..rows {
            for first in 0..outer {
                for second in 0..middle {
                    let at = |by: [usize; 3]| row * by[0] + first * by[1] + second * by[2];
                    for n in 0..arity {
                        let source = self.sources[n];
                        if source.repeated {
                            s.store(s.splat(source.data[at(source.strides)]), &mut lanes[n]);
                        }
                    }
                    let mut parts = [&lanes[0][..]; 3];
                    for n in 0..arity {
                        let source = self.sources[n];
                        parts[n] = if source.repeated {
                            &lanes[n]
                        } else {
                            &source.data[at(source.strides)..]
                        };
                    }
                    let out = &mut self.out[at(self.strides)..][..self.inner];
                    line(s, self.op, self.accumulate, out, (&parts[..arity], masks));
                }
            }
        }
    }
}

/// Vectors that are computed together: the operation is chosen once for them.
const BLOCK: usize = 4;

#[inline(always)]
fn line<T: Element, S: Simd<T>>(
    s: S,
    op: Op,
    accumulate: bool,
    out: &mut [T],
    (parts, masks): (&[&[T]], [usize; 3]),
) {
    let inner = out.len();
    let mut at = 0;
    while at < inner {
        let count = (inner - at).div_ceil(S::LANES).min(BLOCK);
        let mut values = [[s.splat(T::ZERO); BLOCK]; 3];
        for (n, part) in parts.iter().enumerate() {
            for k in 0..count {
                values[n][k] = s.load(&part[(at + k * S::LANES) & masks[n]..]);
            }
        }
        apply(s, op, &mut values);
        for k in 0..count {
            let to = &mut out[at + k * S::LANES..];
            let mut value = values[0][k];
            if accumulate {
                value = s.add(value, s.load_partial(to));
            }
            s.store_partial(value, to);
        }
        at += BLOCK * S::LANES;
    }
}

/// The first vectors become `op` of all.
#[inline(always)]
fn apply<T: Element, S: Simd<T>>(s: S, op: Op, values: &mut [[S::V; BLOCK]; 3]) {
    let (zero, one) = (s.splat(T::ZERO), s.splat(T::ONE));
    let half = s.splat(T::of(0.5));
    let [a, b, c] = values;
    macro_rules! each {
        ($k:ident => $value:expr) => {
            for $k in 0..BLOCK {
                a[$k] = $value;
            }
        };
    }
    match op {
        Op::Copy => {}
        Op::Negative => each!(k => s.sub(zero, a[k])),
        Op::Absolute => each!(k => s.abs(a[k])),
        Op::Sign => each!(k => {
            let up = s.select_lt(zero, a[k], one, zero);
            s.sub(up, s.select_lt(a[k], zero, one, zero))
        }),
        Op::Sqrt => each!(k => s.sqrt(a[k])),
        Op::Rsqrt => each!(k => s.div(one, s.sqrt(a[k]))),
        Op::Log | Op::Sin | Op::Cos => {
            let f: fn(T) -> T = match op {
                Op::Log => |x| T::of(x.wide().ln()),
                Op::Sin => |x| T::of(x.wide().sin()),
                _ => |x| T::of(x.wide().cos()),
            };
            each!(k => s.map(a[k], f));
        }
        Op::Activate(activation) => each!(k => activation.apply(s, a[k])),
        Op::Add => each!(k => s.add(a[k], b[k])),
        Op::Subtract => each!(k => s.sub(a[k], b[k])),
        Op::Multiply => each!(k => s.mul(a[k], b[k])),
        Op::Divide => each!(k => s.div(a[k], b[k])),
        Op::Minimum => each!(k => s.select_lt(b[k], a[k], b[k], s.min(b[k], a[k]))),
        Op::Maximum => each!(k => s.select_lt(a[k], b[k], b[k], s.max(b[k], a[k]))),
        Op::Less => each!(k => s.select_lt(a[k], b[k], one, zero)),
        Op::LessEqual => each!(k => {
            s.add(s.select_lt(a[k], b[k], one, zero), equal(s, a[k], b[k]))
        }),
        Op::Equal => each!(k => equal(s, a[k], b[k])),
        Op::Slope(activation) => each!(k => s.mul(a[k], activation.derivative(s, b[k]).1)),
        Op::Select => each!(k => {
            let yes = s.select_lt(zero, s.abs(a[k]), one, zero);
            s.select_lt(zero, yes, b[k], c[k])
        }),
        Op::Share => each!(k => {
            let even = s.mul(s.mul(a[k], half), equal(s, b[k], c[k]));
            s.select_lt(c[k], b[k], a[k], even)
        }),
    }
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
