//! Losses and metrics that a user wrote: programs that give values of a sample by its targets and outputs.

use std::fmt;
use std::sync::Arc;

use super::node::{Shape, sized};
use super::programmed::{Programmed, Weight};
use crate::error::{Error, Result};
use crate::machine::lists::{self, Listed};
use crate::machine::memory::Buffer;
use crate::machine::simd::Element;
use crate::machine::threads::Ask;
use crate::programs::Program;
use crate::training::rows::Divisor;

/// A program of two inputs, the targets and the outputs of a sample, and its constants.
#[derive(Clone)]
pub struct Scores {
    program: Arc<Program>,
    constants: Arc<[Vec<f64>]>,
    /// What a value stands for.
    pub(super) of: Of,
}

/// What a value of a program stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// A value of one sample.
    Sample,
    /// The mean over a batch is the value of the batch.
    Batch,
    /// The square root of the mean over a batch is the value of the batch.
    RootOfBatch,
}

impl fmt::Debug for Scores {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Scores").field("constants", &self.constants).finish_non_exhaustive()
    }
}

impl Scores {
    /// A program of two inputs, without states, whose weights are all constants.
    ///
    /// # Errors
    /// If it is not such a program.
    pub fn new(program: Arc<Program>, constants: Vec<Vec<f64>>, of: Of) -> Result<Self> {
        let ends = program.ends();
        let found = [ends.inputs.len(), ends.states.len(), ends.weights.len()];
        if found != [2, 0, constants.len()] {
            let expected = format!("[2, 0, {}] inputs, states and weights", constants.len());
            return Err(Error::value("program", expected, found));
        }
        Ok(Self { program, constants: constants.into(), of })
    }

    /// The number of a sample's targets.
    #[must_use]
    pub fn targets(&self) -> usize {
        self.program.width_of(self.program.ends().inputs[0])
    }

    /// The memory with which they are computed.
    pub(super) fn scoring<T: Element>(&self) -> Result<Scoring<T>> {
        let constants = self.constants.iter().map(|given| {
            let mut constant = Buffer::unfilled(given.len())?;
            for (to, &from) in constant.iter_mut().zip(given) {
                *to = T::of(from);
            }
            Ok(Weight::Constant(constant))
        });
        Ok(Scoring {
            programmed: Programmed::new(self.program.clone(), constants.listed_or()?, None),
            of: self.of,
            values: Buffer::default(),
        })
    }
}

/// Memory for the values of a batch.
pub(super) struct Scoring<T: Element> {
    programmed: Programmed<T>,
    of: Of,
    /// One or more for each sample; then their gradients.
    values: Buffer<T>,
}

/// Sums over the values of a batch.
pub(super) struct Sums {
    /// The sum of the values, each times its weight.
    pub(super) total: f64,
    /// The sum of their weights.
    pub(super) weights: f64,
    /// The number of values of a sample.
    pub(super) values: usize,
}

impl<T: Element> Scoring<T> {
    /// Computes the values; `weights` are those of rows, of which a sample has one for each step.
    pub(super) fn sums(
        &mut self,
        (targets, outputs): (&[T], &[T]),
        shape: Shape,
        weights: Option<&[f64]>,
        stop: Ask<'_>,
    ) -> Result<Sums> {
        let each = self.programmed.width();
        sized(&mut self.values, shape.rows.checked_mul(each).ok_or(Error::Memory(usize::MAX))?)?;
        self.programmed.forward(
            shape.rows,
            (&[targets, outputs], None),
            &[],
            &mut self.values,
            stop,
        )?;
        let (mut total, mut all) = (0.0, 0.0);
        for (at, value) in self.values.iter().enumerate() {
            let weight = weights.map_or(1.0, |weights| weights[row_of(at, each, shape)]);
            total += value.wide() * weight;
            all += weight;
        }
        Ok(Sums { total, weights: all, values: each })
    }

    /// After [`Scoring::sums`], what is added to a metric's total and to its count.
    pub(super) fn counted(&self, sums: &Sums) -> (f64, f64) {
        match self.of {
            // A sample counts once, however many values it has; so does a batch of one.
            Of::Sample => (sums.total / sums.values as f64, sums.weights / sums.values as f64),
            of => (of.value(sums.total / sums.weights), 1.0),
        }
    }

    /// After [`Scoring::sums`], the mean or its root, with its gradient with respect to the outputs.
    pub(super) fn mean(
        &mut self,
        sums: &Sums,
        (shape, weights, divisor): (Shape, Option<&[f64]>, Divisor),
        slopes: &mut [T],
        stop: Ask<'_>,
    ) -> Result<f64> {
        let by = match divisor {
            Divisor::Rows => self.values.len() as f64,
            Divisor::Weights => sums.weights,
            Divisor::One => 1.0,
        };
        let share = if by == 0.0 { 0.0 } else { 1.0 / by };
        let mean = self.of.value(sums.total * share);
        let share = if self.of == Of::RootOfBatch { share / (2.0 * mean) } else { share };
        for (at, value) in self.values.iter_mut().enumerate() {
            let weight = weights.map_or(1.0, |weights| weights[row_of(at, sums.values, shape)]);
            *value = T::of(weight * share);
        }
        let mut d_inputs = lists::room(2)?;
        lists::push(&mut d_inputs, None)?;
        lists::push(&mut d_inputs, Some(slopes))?;
        self.programmed.backward((&self.values, None), &mut d_inputs, &mut [], stop)?;
        Ok(mean)
    }
}

impl Of {
    /// The value of a batch, by the mean over it.
    fn value(self, mean: f64) -> f64 {
        if self == Self::RootOfBatch { mean.sqrt() } else { mean }
    }
}

/// The row of the outputs to which the value number `at` belongs, where a sample has `each` values: the
/// same number for each of its steps, or one for all of them.
fn row_of(at: usize, each: usize, shape: Shape) -> usize {
    let (sample, value) = (at / each, at % each);
    sample * shape.time + value * shape.time / each
}
