//! Activations in a graph that are not part of a product.

use super::columns::less;
use super::node::{Draws, Node, Passed, Passing, Shape, some_features};
use crate::error::{Error, Result};
use crate::kernels::activation::Activation;
use crate::kernels::row_function::RowFunction;
use crate::layers::dense::activate;
use crate::layers::sequence::Engine;
use crate::machine::memory::Buffer;
use crate::machine::simd::Element;
use crate::machine::threads::Ask;
use crate::training::sums::sum_of;

/// The layer: softmax over features, or an activation. The derivatives of other functions are
/// computed by NumPy.
pub struct Activated(RowFunction);

impl Activated {
    /// A layer of this function.
    ///
    /// # Errors
    /// If its derivative is not implemented here.
    pub fn new(function: RowFunction) -> Result<Self> {
        match function {
            RowFunction::Softmax
            | RowFunction::Each(
                Activation::Tanh | Activation::Sigmoid | Activation::Relu | Activation::Elu,
            ) => Ok(Self(function)),
            RowFunction::Each(_) => {
                let expected = "softmax, tanh, sigmoid, relu or elu";
                Err(Error::value("activation", expected, function))
            }
        }
    }
}

/// `to = slope(x, y, d)`
fn each<T: Element>(
    to: &mut [T],
    [inputs, outputs, slopes]: [&[T]; 3],
    slope: impl Fn(T, T, T) -> T,
) {
    for ((to, &x), (&y, &d)) in to.iter_mut().zip(inputs).zip(outputs.iter().zip(slopes)) {
        *to = slope(x, y, d);
    }
}

/// `slopes * f'` of `y = f(x)`, entry by entry and rounded as NumPy rounds it.
fn pass_back<T: Element>(activation: Activation, given: [&[T]; 3], to: &mut [T]) {
    let (zero, one) = (T::ZERO, T::ONE);
    match activation {
        Activation::Tanh => each(to, given, |_, y, d| d * less(one, y * y)),
        Activation::Sigmoid => each(to, given, |_, y, d| d * y * less(one, y)),
        Activation::Relu => each(to, given, |x, _, d| if x > zero { d } else { zero }),
        Activation::Elu => each(to, given, |x, y, d| if x > zero { d } else { d * (y + one) }),
        _ => unreachable!("see `new`"),
    }
}

/// The backward pass of softmax, row by row.
fn of_softmax<T: Element>(features: usize, [outputs, slopes]: [&[T]; 2], to: &mut [T]) {
    let rows = outputs.chunks_exact(features).zip(slopes.chunks_exact(features));
    for (to, (y, d)) in to.chunks_exact_mut(features).zip(rows) {
        let sum = sum_of(features, &|at| y[at] * d[at]);
        for (to, (&y, &d)) in to.iter_mut().zip(y.iter().zip(d)) {
            *to = y * less(d, sum);
        }
    }
}

impl<T: Engine> Node<T> for Activated {
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
        activate(None, self.0, passing.shape.features, passing.inputs, outputs)
    }

    fn backward(
        &mut self,
        passed: Passed<'_, T>,
        _gradients: &mut [Buffer<T>],
        _stop: Ask<'_>,
    ) -> Result<()> {
        let Passed { shape, inputs, outputs, d_outputs, d_inputs, .. } = passed;
        let Some(d_inputs) = d_inputs else { return Ok(()) };
        match self.0 {
            RowFunction::Softmax => of_softmax(shape.features, [outputs, d_outputs], d_inputs),
            RowFunction::Each(each) => pass_back(each, [inputs, outputs, d_outputs], d_inputs),
        }
        Ok(())
    }
}
