//! Whole sequences: packed weights, time, masks, direction, partition and scratch memory.
//!
//! A batch is cut into slices of rows; a slice runs all its steps on its own. Steps go in chunks.
//! Within a chunk only the rows that take a step count: they are numbered one after the other (step
//! by step, row by row), and the vectors of a block of units lie together in that order,
//! `[block][row of the chunk][slot][LANES]`. So the input's product of a chunk is one long product,
//! a step's rows are neighbours, and a finished chunk is already the packed right side of the
//! products that give the weights' gradients.

mod backward;
mod call;
mod forward;
mod kept;
mod options;
mod part;
pub mod plan;
mod problem;
mod rows;
mod step;
mod stream;
mod weights;

pub use call::{Gradients, Results, Seeds};
pub use kept::Residuals;
pub use options::{Options, Raw};
pub use problem::{Dropout, Problem};
pub use stream::RecurrentStage;
pub use weights::Weights;

use crate::error::Result;
pub use crate::kernels::pack::Precision;
use crate::machine::simd::Element;
pub use crate::machine::threads::Ask;

/// The engine compiled for one element type. All kernels are instantiated here, once, and not again
/// in every crate that calls them.
pub trait Engine: Element {
    /// See [`forward()`].
    ///
    /// # Errors
    /// As [`forward()`].
    fn forward(
        weights: &Weights<Self>,
        problem: &Problem<'_, Self>,
        results: Results<'_, Self>,
        keep: bool,
        stop: Ask<'_>,
    ) -> Result<Option<Residuals<Self>>>;

    /// See [`backward()`].
    ///
    /// # Errors
    /// As [`backward()`].
    fn backward(
        weights: &Weights<Self>,
        problem: &Problem<'_, Self>,
        residuals: &mut Residuals<Self>,
        seeds: &Seeds<'_, Self>,
        gradients: Gradients<'_, Self>,
        consume: bool,
        stop: Ask<'_>,
    ) -> Result<()>;

    /// One step of a layer that keeps its states, with rows of inputs `stride` elements apart; rows
    /// that are `masked` keep their states.
    fn advance(
        stage: &mut RecurrentStage<Self>,
        inputs: &[Self],
        stride: usize,
        masked: Option<&[bool]>,
    );
}

macro_rules! engine {
    ($type:ty) => {
        impl Engine for $type {
            fn forward(
                weights: &Weights<Self>,
                problem: &Problem<'_, Self>,
                results: Results<'_, Self>,
                keep: bool,
                stop: Ask<'_>,
            ) -> Result<Option<Residuals<Self>>> {
                forward::forward(weights, problem, results, keep, stop)
            }
            fn backward(
                weights: &Weights<Self>,
                problem: &Problem<'_, Self>,
                residuals: &mut Residuals<Self>,
                seeds: &Seeds<'_, Self>,
                gradients: Gradients<'_, Self>,
                consume: bool,
                stop: Ask<'_>,
            ) -> Result<()> {
                backward::backward(weights, problem, residuals, seeds, gradients, consume, stop)
            }
            fn advance(
                stage: &mut RecurrentStage<Self>,
                inputs: &[Self],
                stride: usize,
                masked: Option<&[bool]>,
            ) {
                match masked {
                    Some(masked) => stage.advance_unmasked(inputs, stride, masked),
                    None => stage.advance(inputs, stride),
                }
            }
        }
    };
}

engine!(f32);
engine!(f64);

/// Runs `problem` and writes `results`; with `keep`, returns what backward needs.
///
/// # Errors
/// If an array of `results` has another shape, if memory runs out, or if `stop` said so.
pub fn forward<T: Engine>(
    weights: &Weights<T>,
    problem: &Problem<'_, T>,
    results: Results<'_, T>,
    keep: bool,
    stop: Ask<'_>,
) -> Result<Option<Residuals<T>>> {
    T::forward(weights, problem, results, keep, stop)
}

/// Carries gradients from the outputs and final states back to everything that went in. With
/// `consume` the residuals' memory is used up; a second use is an error.
///
/// # Errors
/// If an array has another shape than forward's, if the residuals are used up or belong to another
/// problem, if memory runs out, or if `stop` said so.
pub fn backward<T: Engine>(
    weights: &Weights<T>,
    problem: &Problem<'_, T>,
    residuals: &mut Residuals<T>,
    seeds: &Seeds<'_, T>,
    gradients: Gradients<'_, T>,
    consume: bool,
    stop: Ask<'_>,
) -> Result<()> {
    T::backward(weights, problem, residuals, seeds, gradients, consume, stop)
}
