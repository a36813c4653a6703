//! Problems for Python.

use std::sync::Arc;

use pyo3::prelude::*;

use super::arrays::{Axes, Held, Number, hold};
use super::guard::caught;
use super::weights::{Either, Weights};
use crate::layers::sequence::{self, Dropout};
use crate::machine::memory::View;
use crate::machine::simd::Element;

/// What a recurrent call reads: checked once, then plain data; frozen.
#[pyclass(frozen, module = "ferrnn._core")]
pub(super) struct Problem(pub(super) Either<Arc<Arrays<f32>>, Arc<Arrays<f64>>>);

/// The engine's problem, and the arrays that it reads.
pub(super) struct Arrays<T: Element> {
    /// Handed out by [`Self::problem`] only, for no longer than the arrays are held.
    problem: sequence::Problem<'static, T>,
    _held: Vec<Held<T>>,
    _mask: Option<Held<bool>>,
}

impl<T: Element> Arrays<T> {
    pub(super) fn problem(&self) -> &sequence::Problem<'_, T> {
        &self.problem
    }
}

/// An array's view for as long as it is in `held`.
fn viewed<T: Element>(held: &mut Vec<Held<T>>, array: Held<T>) -> View<'static, T> {
    // SAFETY: `Arrays` keeps `held` beside the problem that reads the view.
    let view = unsafe { array.lasting_view() };
    held.push(array);
    view
}

/// The arguments of `Problem` that are arrays.
struct Objects<'a, 'py> {
    inputs: &'a Bound<'py, PyAny>,
    initial_state: Option<Vec<Bound<'py, PyAny>>>,
    mask: Option<&'a Bound<'py, PyAny>>,
    input_dropout: Option<&'a Bound<'py, PyAny>>,
    recurrent_dropout: Option<&'a Bound<'py, PyAny>>,
}

impl Objects<'_, '_> {
    /// Makes and checks the problem.
    fn hold<T: Number>(
        &self,
        weights: &sequence::Weights<T>,
        (go_backwards, return_sequences, zero_output_for_mask): (bool, bool, bool),
    ) -> PyResult<Arrays<T>> {
        let mut held = Vec::new();
        let mut view = |argument, array: &Bound<'_, PyAny>, axes| -> PyResult<_> {
            Ok(viewed(&mut held, hold(argument, array, axes)?))
        };
        let inputs = view("inputs", self.inputs, Axes::Three)?;
        let states = self.initial_state.iter().flatten();
        let states = states.map(|state| view("initial_state", state, Axes::Two));
        let states = states.collect::<PyResult<Vec<_>>>()?;
        let mask = self.mask.map(|mask| hold::<bool>("mask", mask, Axes::Mask)).transpose()?;
        let mut three = |argument, array: Option<&Bound<'_, PyAny>>| {
            array.map(|array| view(argument, array, Axes::Three)).transpose()
        };
        let dropout = Dropout {
            inputs: three("input_dropout", self.input_dropout)?,
            recurrent: three("recurrent_dropout", self.recurrent_dropout)?,
        };
        let mut problem = sequence::Problem::new(weights, inputs)?
            .go_backwards(go_backwards)
            .return_sequences(return_sequences)
            .zero_output_for_mask(zero_output_for_mask);
        if self.initial_state.is_some() {
            problem = problem.initial_state(states)?;
        }
        if let Some(mask) = &mask {
            // SAFETY: `Arrays` keeps `mask` beside the problem that reads the view.
            problem = problem.mask(unsafe { mask.lasting_view() })?;
        }
        Ok(Arrays { problem: problem.dropout(dropout)?, _held: held, _mask: mask })
    }
}

#[pymethods]
impl Problem {
    #[new]
    #[pyo3(signature = (weights, inputs, initial_state=None, mask=None, input_dropout=None,
        recurrent_dropout=None, go_backwards=false, return_sequences=true,
        zero_output_for_mask=false))]
    #[allow(clippy::too_many_arguments, reason = "they are Python's keywords")]
    #[allow(clippy::fn_params_excessive_bools, reason = "they are Python's keywords")]
    fn new(
        weights: &Weights,
        inputs: &Bound<'_, PyAny>,
        initial_state: Option<Vec<Bound<'_, PyAny>>>,
        mask: Option<&Bound<'_, PyAny>>,
        input_dropout: Option<&Bound<'_, PyAny>>,
        recurrent_dropout: Option<&Bound<'_, PyAny>>,
        go_backwards: bool,
        return_sequences: bool,
        zero_output_for_mask: bool,
    ) -> PyResult<Self> {
        caught(|| {
            let objects = Objects { inputs, initial_state, mask, input_dropout, recurrent_dropout };
            let flags = (go_backwards, return_sequences, zero_output_for_mask);
            Ok(Self(match &weights.0 {
                Either::F32(packed) => Either::F32(Arc::new(objects.hold(&packed.weights, flags)?)),
                Either::F64(packed) => Either::F64(Arc::new(objects.hold(&packed.weights, flags)?)),
            }))
        })
    }
}
