//! Problems for Python.

use pyo3::prelude::*;

use super::arrays::{Axes, Held, Number, hold};
use super::guard::caught;
use super::weights::{Either, Weights};
use crate::layers::sequence::{self, Dropout};
use crate::machine::simd::Element;

/// What a recurrent call reads: checked once, then plain data; frozen.
#[pyclass(frozen, module = "ferrnn._core")]
pub(super) struct Problem(pub(super) Either<Arrays<f32>, Arrays<f64>>);

pub(super) struct Arrays<T: Element> {
    inputs: Held<T>,
    initial_state: Option<Vec<Held<T>>>,
    mask: Option<Held<bool>>,
    input_dropout: Option<Held<T>>,
    recurrent_dropout: Option<Held<T>>,
    go_backwards: bool,
    pub(super) return_sequences: bool,
    zero_output_for_mask: bool,
}

impl<T: Element> Arrays<T> {
    pub(super) fn problem<'a>(
        &'a self,
        weights: &sequence::Weights<T>,
    ) -> crate::error::Result<sequence::Problem<'a, T>> {
        let mut problem = sequence::Problem::new(weights, self.inputs.view())?
            .go_backwards(self.go_backwards)
            .return_sequences(self.return_sequences)
            .zero_output_for_mask(self.zero_output_for_mask);
        if let Some(state) = &self.initial_state {
            problem = problem.initial_state(state.iter().map(Held::view).collect())?;
        }
        if let Some(mask) = &self.mask {
            problem = problem.mask(mask.view())?;
        }
        if self.input_dropout.is_some() || self.recurrent_dropout.is_some() {
            problem = problem.dropout(Dropout {
                inputs: self.input_dropout.as_ref().map(Held::view),
                recurrent: self.recurrent_dropout.as_ref().map(Held::view),
            })?;
        }
        Ok(problem)
    }
}

impl<T: Element> Arrays<T> {
    /// The name of an argument for which another problem has another array of the same shape.
    pub(super) fn differs(&self, other: &Self) -> Option<&'static str> {
        fn other_array<T>(one: Option<&Held<T>>, other: Option<&Held<T>>) -> bool {
            one.zip(other).is_some_and(|(one, other)| one.is_another(other))
        }
        let states = self.initial_state.iter().flatten().zip(other.initial_state.iter().flatten());
        let recurrent = (self.recurrent_dropout.as_ref(), other.recurrent_dropout.as_ref());
        let found = [
            ("inputs", self.inputs.is_another(&other.inputs)),
            ("initial_state", states.into_iter().any(|(one, other)| one.is_another(other))),
            ("mask", other_array(self.mask.as_ref(), other.mask.as_ref())),
            (
                "input_dropout",
                other_array(self.input_dropout.as_ref(), other.input_dropout.as_ref()),
            ),
            ("recurrent_dropout", other_array(recurrent.0, recurrent.1)),
        ];
        found.into_iter().find_map(|(name, differs)| differs.then_some(name))
    }
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
    fn hold<T: Number>(
        &self,
        weights: &sequence::Weights<T>,
        (go_backwards, return_sequences, zero_output_for_mask): (bool, bool, bool),
    ) -> PyResult<Arrays<T>> {
        let state = |array| hold("initial_state", array, Axes::Two);
        let states = self.initial_state.as_ref();
        let three = |argument, array: Option<&Bound<'_, PyAny>>| {
            array.map(|array| hold(argument, array, Axes::Three)).transpose()
        };
        let arrays = Arrays {
            inputs: hold("inputs", self.inputs, Axes::Three)?,
            initial_state: states
                .map(|states| states.iter().map(state).collect::<PyResult<_>>())
                .transpose()?,
            mask: self.mask.map(|mask| hold("mask", mask, Axes::Mask)).transpose()?,
            input_dropout: three("input_dropout", self.input_dropout)?,
            recurrent_dropout: three("recurrent_dropout", self.recurrent_dropout)?,
            go_backwards,
            return_sequences,
            zero_output_for_mask,
        };
        arrays.problem(weights)?;
        Ok(arrays)
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
                Either::F32(packed) => Either::F32(objects.hold(&packed.weights, flags)?),
                Either::F64(packed) => Either::F64(objects.hold(&packed.weights, flags)?),
            }))
        })
    }
}
