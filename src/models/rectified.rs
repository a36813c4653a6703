//! Rectifiers in a graph: lines with a bend, entry by entry and rounded as NumPy rounds them.

use super::columns::{less, sums, sums_of_products};
use super::node::{Draws, Node, Passed, Passing, Shape, sized, some_features};
use crate::error::{Error, Result};
use crate::kernels::activation::Activation;
use crate::kernels::row_function::RowFunction;
use crate::layers::dense::activate;
use crate::layers::sequence::Engine;
use crate::machine::memory::Buffer;
use crate::machine::simd::Element;
use crate::machine::threads::Ask;

/// A layer without weights.
#[derive(Clone, Copy, Debug)]
pub enum Rectified {
    /// `x` from the threshold to `most`, below it `slope * (x - threshold)`.
    Relu {
        /// The largest output.
        most: Option<f64>,
        /// The slope below the threshold.
        slope: f64,
        /// Where the line bends.
        threshold: f64,
    },
    /// `x` above 0, below it that times a slope.
    Leaky(f64),
    /// `x` above 0, below it `e^x - 1` times a number.
    Elu(f64),
}

/// `to = f(x, y)`
fn each<T: Element>(to: &mut [T], [xs, ys]: [&[T]; 2], f: impl Fn(T, T) -> T) {
    for (to, (&x, &y)) in to.iter_mut().zip(xs.iter().zip(ys)) {
        *to = f(x, y);
    }
}

/// 1 if it holds, else 0.
fn one_if<T: Element>(holds: bool) -> T {
    if holds { T::ONE } else { T::ZERO }
}

/// A value where it is below 0, else 0.
fn below<T: Element>(x: T) -> T {
    if x > T::ZERO { T::ZERO } else { x }
}

impl Rectified {
    #[inline(never)]
    fn values<T: Engine>(self, features: usize, inputs: &[T], to: &mut [T]) -> Result<()> {
        let same = [inputs, inputs];
        match self {
            Self::Relu { most, slope, threshold } => {
                let threshold = T::of(threshold);
                each(to, same, |x, _| x * one_if(x > threshold));
                if let Some(most) = most.map(T::of) {
                    for y in &mut *to {
                        *y = if *y > most { most } else { *y };
                    }
                }
                if slope != 0.0 {
                    let slope = T::of(slope);
                    for (y, &x) in to.iter_mut().zip(inputs) {
                        *y = *y + slope * below(less(x, threshold));
                    }
                }
            }
            Self::Leaky(slope) => {
                let slope = T::of(slope);
                each(to, same, |x, _| x * if x > T::ZERO { T::ONE } else { slope });
            }
            Self::Elu(alpha) => {
                activate(None, RowFunction::Each(Activation::Elu), features, inputs, to)?;
                let alpha = T::of(alpha);
                for (y, &x) in to.iter_mut().zip(inputs) {
                    *y = if x > T::ZERO { *y } else { alpha * *y };
                }
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn pass_back<T: Element>(self, [inputs, outputs, slopes]: [&[T]; 3], to: &mut [T]) {
        match self {
            Self::Relu { most, slope, threshold } => {
                let threshold = T::of(threshold);
                each(to, [inputs, slopes], |x, d| d * one_if(x > threshold));
                if let Some(most) = most.map(T::of) {
                    to.iter_mut().zip(inputs).for_each(|(to, &x)| *to = *to * one_if(x < most));
                }
                if slope != 0.0 {
                    let slope = T::of(slope);
                    for (to, (&x, &d)) in to.iter_mut().zip(inputs.iter().zip(slopes)) {
                        *to = *to + slope * d * one_if(x < threshold);
                    }
                }
            }
            Self::Leaky(slope) => {
                let slope = T::of(slope);
                each(to, [inputs, slopes], |x, d| d * if x > T::ZERO { T::ONE } else { slope });
            }
            Self::Elu(alpha) => {
                let alpha = T::of(alpha);
                each(to, [inputs, outputs], |x, y| if x > T::ZERO { T::ONE } else { y + alpha });
                to.iter_mut().zip(slopes).for_each(|(to, &d)| *to = d * *to);
            }
        }
    }
}

impl<T: Engine> Node<T> for Rectified {
    fn shape(&self, inputs: Shape) -> Result<Shape> {
        some_features(inputs)
    }

    fn forward(
        &mut self,
        passing: &Passing<'_, T>,
        outputs: &mut [T],
        _draws: &mut Draws,
        _stop: Ask<'_>,
    ) -> Result<()> {
        self.values(passing.shape.features, passing.inputs, outputs)
    }

    fn backward(
        &mut self,
        passed: Passed<'_, T>,
        _gradients: &mut [Buffer<T>],
        _stop: Ask<'_>,
    ) -> Result<()> {
        if let Some(d_inputs) = passed.d_inputs {
            self.pass_back([passed.inputs, passed.outputs, passed.d_outputs], d_inputs);
        }
        Ok(())
    }
}

/// The layer whose slope below 0 is learned, one for each entry of a row, or one for each feature.
pub struct LearntSlopes<T: Engine> {
    size: [usize; 1],
    by_features: bool,
    slopes: Buffer<T>,
    /// Inputs where they are below 0, and the gradient with respect to the slope of each entry.
    scratch: [Buffer<T>; 2],
}

impl<T: Engine> LearntSlopes<T> {
    /// A layer of `size` slopes.
    #[must_use]
    pub fn new(size: usize, by_features: bool) -> Self {
        let scratch = [Buffer::default(), Buffer::default()];
        Self { size: [size], by_features, slopes: Buffer::default(), scratch }
    }
}

impl<T: Engine> Node<T> for LearntSlopes<T> {
    fn sizes(&self) -> &[usize] {
        &self.size
    }

    fn shape(&self, inputs: Shape) -> Result<Shape> {
        let time = if self.by_features { 1 } else { inputs.time };
        let ([size], row) = (self.size, Shape { rows: 1, time, ..inputs });
        if row.elements()? != size || size == 0 {
            let expected = format!("{size} elements, one for each slope, and at least one");
            return Err(Error::value("inputs", expected, inputs.axes()));
        }
        Ok(inputs)
    }

    fn pack(&mut self, weights: &[&mut [T]]) -> Result<()> {
        sized(&mut self.slopes, self.size[0])?;
        self.slopes.copy_from_slice(weights[0]);
        Ok(())
    }

    fn forward(
        &mut self,
        passing: &Passing<'_, T>,
        outputs: &mut [T],
        _draws: &mut Draws,
        _stop: Ask<'_>,
    ) -> Result<()> {
        let rows = passing.inputs.chunks_exact(self.size[0]);
        for (to, row) in outputs.chunks_exact_mut(self.size[0]).zip(rows) {
            for (to, (&x, &slope)) in to.iter_mut().zip(row.iter().zip(&*self.slopes)) {
                *to = if x > T::ZERO { x } else { T::ZERO } + slope * below(x);
            }
        }
        Ok(())
    }

    fn backward(
        &mut self,
        passed: Passed<'_, T>,
        gradients: &mut [Buffer<T>],
        _stop: Ask<'_>,
    ) -> Result<()> {
        let Passed { shape, inputs, d_outputs, d_inputs, .. } = passed;
        let [negative, of_entries] = &mut self.scratch;
        sized(negative, inputs.len())?;
        sized(of_entries, shape.time * shape.features)?;
        each(negative, [inputs, inputs], |x, _| below(x));
        sums_of_products(d_outputs, negative, of_entries);
        if self.by_features {
            sums(of_entries, &mut gradients[0]);
        } else {
            gradients[0].copy_from_slice(of_entries);
        }
        let Some(d_inputs) = d_inputs else { return Ok(()) };
        let rows = inputs.chunks_exact(self.size[0]).zip(d_outputs.chunks_exact(self.size[0]));
        for (to, (row, d)) in d_inputs.chunks_exact_mut(self.size[0]).zip(rows) {
            let all = row.iter().zip(d).zip(&*self.slopes);
            for (to, ((&x, &d), &slope)) in to.iter_mut().zip(all) {
                *to = d * if x > T::ZERO { T::ONE } else { slope };
            }
        }
        Ok(())
    }
}
