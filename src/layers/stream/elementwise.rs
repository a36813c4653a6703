//! Arithmetic that combines each element of a row with its own number.

use std::sync::Arc;

use super::stage::{Idle, Outputs, Stage, positive};
use crate::error::{Error, Result};
use crate::kernels::pack::row_stride;
use crate::machine::memory::Buffer;
use crate::machine::simd::{Element, Kernel, Level, Simd};

/// What is done to an element x with a number a.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// x + a
    Add,
    /// x - a
    Subtract,
    /// x a
    Multiply,
    /// x / a
    Divide,
    /// The lesser of x and a.
    Minimum,
    /// x where it is positive, else x a.
    Slope,
    /// x where it is above a, else 0.
    Above,
}

impl Operation {
    /// Every operation with its name.
    pub const ALL: [(&'static str, Self); 7] = [
        ("add", Self::Add),
        ("subtract", Self::Subtract),
        ("multiply", Self::Multiply),
        ("divide", Self::Divide),
        ("minimum", Self::Minimum),
        ("slope", Self::Slope),
        ("above", Self::Above),
    ];

    /// The operation called `name`.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn named(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|(known, _)| *known == name);
        found.map(|&(_, operation)| operation).ok_or_else(|| {
            Error::value("parts", format!("one of {:?}", Self::ALL.map(|(known, _)| known)), name)
        })
    }
}

/// An operation with a number for each element of a row.
pub struct Elementwise<T: Element> {
    operation: Operation,
    units: usize,
    /// Padded to the length of a row.
    numbers: Buffer<T>,
}

impl<T: Element> Elementwise<T> {
    /// For rows of as many elements as there are numbers.
    ///
    /// # Errors
    /// If there are none, or memory runs out.
    pub fn new(operation: Operation, numbers: &[T]) -> Result<Self> {
        positive([("numbers", numbers.len())])?;
        let mut padded = Buffer::zeroed(row_stride(numbers.len()))?;
        padded[..numbers.len()].copy_from_slice(numbers);
        Ok(Self { operation, units: numbers.len(), numbers: padded })
    }
}

/// The operation, and the last outputs.
pub(super) struct ElementwiseStage<T: Element> {
    level: Level,
    elementwise: Arc<Elementwise<T>>,
    outputs: Outputs<T>,
}

impl<T: Element> ElementwiseStage<T> {
    pub(super) fn new(level: Level, elementwise: Arc<Elementwise<T>>, rows: usize) -> Result<Self> {
        Ok(Self { level, outputs: Outputs::new(rows, elementwise.units)?, elementwise })
    }
}

impl<T: Element> Stage<T> for ElementwiseStage<T> {
    fn input_size(&self) -> usize {
        self.outputs.units
    }

    fn output_size(&self) -> usize {
        self.outputs.units
    }

    fn advance(&mut self, inputs: &[T], _stride: usize, _idle: &mut Idle) {
        let values = &mut *self.outputs.values;
        values.copy_from_slice(&inputs[..values.len()]);
        T::dispatch(self.level, Operate { elementwise: &self.elementwise, values });
    }

    fn outputs(&self) -> (&[T], usize) {
        self.outputs.get()
    }
}

struct Operate<'a, T: Element> {
    elementwise: &'a Elementwise<T>,
    values: &'a mut [T],
}

impl<T: Element> Kernel<T> for Operate<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) {
        let zero = s.splat(T::ZERO);
        let numbers = s.vectors(&self.elementwise.numbers);
        match self.elementwise.operation {
            Operation::Add => each(s, self.values, numbers, |x, a| s.add(x, a)),
            Operation::Subtract => each(s, self.values, numbers, |x, a| s.sub(x, a)),
            Operation::Multiply => each(s, self.values, numbers, |x, a| s.mul(x, a)),
            Operation::Divide => each(s, self.values, numbers, |x, a| s.div(x, a)),
            Operation::Minimum => {
                each(s, self.values, numbers, |x, a| s.select_lt(a, x, a, x));
            }
            Operation::Slope => {
                each(s, self.values, numbers, |x, a| s.select_lt(zero, x, x, s.mul(x, a)));
            }
            Operation::Above => {
                each(s, self.values, numbers, |x, a| s.select_lt(a, x, x, s.mul(x, zero)));
            }
        }
    }
}

#[inline(always)]
fn each<T: Element, S: Simd<T>>(
    s: S,
    values: &mut [T],
    numbers: &[S::V],
    apply: impl Fn(S::V, S::V) -> S::V,
) {
    for row in s.vectors_mut(values).chunks_exact_mut(numbers.len()) {
        for (v, &a) in row.iter_mut().zip(numbers) {
            *v = apply(*v, a);
        }
    }
}
