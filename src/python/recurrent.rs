//! Recurrent layers for Python.

use std::sync::{Arc, Mutex, PoisonError};

use numpy::{PyArray1, PyArrayDyn, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::arrays::{Axes, Held, New, Number, hold};
use super::detached;
use crate::cells::CellKind;
use crate::error::Error;
use crate::kernels::activation::Activation;
use crate::sequence::{self, Dropout, Gradients, Options, Raw, Results, Seeds};
use crate::simd::Element;

/// One of two, by dtype.
pub(super) enum Either<A, B> {
    F32(A),
    F64(B),
}

/// One recurrent cell's weights, packed for this machine; frozen.
#[pyclass(frozen, module = "ferrnn._core")]
pub(super) struct Weights(Either<Packed<f32>, Packed<f64>>);

/// Packed weights and what Keras calls their shapes.
struct Packed<T: Element> {
    weights: Arc<sequence::Weights<T>>,
    gates: usize,
    double_bias: bool,
}

/// The elements of a weight array in C order.
pub(super) fn weight<'py, T: Number>(
    argument: &str,
    array: &Bound<'py, PyAny>,
    shape: &[usize],
) -> PyResult<Bound<'py, PyArray1<T>>> {
    let Ok(typed) = array.cast::<PyArrayDyn<T>>() else {
        let received = match array.cast::<PyUntypedArray>() {
            Ok(array) => format!("{} of dtype {}", array.get_type().name()?, array.dtype()),
            Err(_) => array.get_type().name()?.to_string(),
        };
        return Err(PyTypeError::new_err(format!(
            "`{argument}`: expected a NumPy array of dtype {}, received {received}",
            numpy::dtype::<T>(array.py())
        )));
    };
    if typed.shape() != shape {
        return Err(Error::Shape {
            argument: "weights",
            expected: format!("{shape:?} for `{argument}`"),
            received: format!("{:?}", typed.shape()),
        }
        .into());
    }
    // A copy: what is packed must not change while it is read.
    let flat = typed.call_method1("flatten", ())?;
    Ok(flat.cast_into::<PyArray1<T>>()?)
}

/// The shape of an array of two axes.
pub(super) fn matrix_shape(argument: &str, array: &Bound<'_, PyAny>) -> PyResult<[usize; 2]> {
    let Ok(array) = array.cast::<PyUntypedArray>() else {
        return Err(PyTypeError::new_err(format!(
            "`{argument}`: expected a NumPy array, received {}",
            array.get_type().name()?
        )));
    };
    match *array.shape() {
        [rows, columns] => Ok([rows, columns]),
        ref shape => Err(pyo3::exceptions::PyValueError::new_err(format!(
            "`{argument}`: expected a two-dimensional array, received shape {shape:?}"
        ))),
    }
}

/// Whether a float array is of double precision; an error if it is of neither.
pub(super) fn is_double(argument: &str, array: &Bound<'_, PyAny>) -> PyResult<bool> {
    let Ok(untyped) = array.cast::<PyUntypedArray>() else { return Ok(false) };
    match (untyped.dtype().to_string().as_str(), untyped.dtype()) {
        ("float64", _) => Ok(true),
        ("float32", _) => Ok(false),
        (_, received) => Err(PyTypeError::new_err(format!(
            "`{argument}`: expected dtype float32 or float64, received {received}"
        ))),
    }
}

impl<T: Number> Packed<T> {
    fn new(
        cell: CellKind,
        options: Options,
        kernel: &Bound<'_, PyAny>,
        recurrent_kernel: &Bound<'_, PyAny>,
        bias: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let layout = cell.layout();
        let [features, _] = matrix_shape("kernel", kernel)?;
        let [units, _] = matrix_shape("recurrent_kernel", recurrent_kernel)?;
        let columns = layout.gates.saturating_mul(units);
        let kernel = weight::<T>("kernel", kernel, &[features, columns])?;
        let recurrent = weight::<T>("recurrent_kernel", recurrent_kernel, &[units, columns])?;
        let bias_shape: &[usize] =
            if layout.recurrent_bias { &[2, columns] } else { &[columns] };
        let bias = bias.map(|bias| weight::<T>("bias", bias, bias_shape)).transpose()?;
        let (kernel, recurrent) = (kernel.readonly(), recurrent.readonly());
        let bias = bias.map(|bias| bias.readonly());
        let raw = Raw {
            kernel: kernel.as_slice()?,
            recurrent_kernel: recurrent.as_slice()?,
            bias: bias.as_ref().map(|bias| bias.as_slice()).transpose()?,
        };
        let weights = sequence::Weights::new(cell, options, features, units, raw)?;
        Ok(Self {
            weights: Arc::new(weights),
            gates: layout.gates,
            double_bias: layout.recurrent_bias,
        })
    }
}

#[pymethods]
impl Weights {
    #[new]
    #[pyo3(signature = (cell, kernel, recurrent_kernel, bias=None, activation="tanh",
        recurrent_activation="sigmoid", reset_after=true))]
    fn new(
        cell: &str,
        kernel: &Bound<'_, PyAny>,
        recurrent_kernel: &Bound<'_, PyAny>,
        bias: Option<&Bound<'_, PyAny>>,
        activation: &str,
        recurrent_activation: &str,
        reset_after: bool,
    ) -> PyResult<Self> {
        let cell = match (cell, reset_after) {
            ("lstm", _) => CellKind::Lstm,
            ("gru", true) => CellKind::Gru,
            ("gru", false) => CellKind::GruResetBefore,
            ("simple_rnn", _) => CellKind::SimpleRnn,
            (other, _) => {
                return Err(Error::value("cell", "one of lstm, gru, simple_rnn", other).into());
            }
        };
        let options = Options {
            activation: Activation::named("activation", activation)?,
            recurrent_activation: Activation::named("recurrent_activation", recurrent_activation)?,
            level: None,
        };
        Ok(Self(if is_double("kernel", kernel)? {
            Either::F64(Packed::new(cell, options, kernel, recurrent_kernel, bias)?)
        } else {
            Either::F32(Packed::new(cell, options, kernel, recurrent_kernel, bias)?)
        }))
    }

    #[getter]
    fn features(&self) -> usize {
        match &self.0 {
            Either::F32(packed) => packed.weights.features(),
            Either::F64(packed) => packed.weights.features(),
        }
    }

    #[getter]
    fn units(&self) -> usize {
        match &self.0 {
            Either::F32(packed) => packed.weights.units(),
            Either::F64(packed) => packed.weights.units(),
        }
    }
}

/// What a recurrent call reads: checked once, then plain data; frozen.
#[pyclass(frozen, module = "ferrnn._core")]
pub(super) struct Problem(Either<Arrays<f32>, Arrays<f64>>);

struct Arrays<T: Element> {
    inputs: Held<T>,
    initial_state: Option<Vec<Held<T>>>,
    mask: Option<Held<bool>>,
    input_dropout: Option<Held<T>>,
    recurrent_dropout: Option<Held<T>>,
    go_backwards: bool,
    return_sequences: bool,
    zero_output_for_mask: bool,
}

impl<T: Element> Arrays<T> {
    fn problem<'a>(
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
        let objects = Objects { inputs, initial_state, mask, input_dropout, recurrent_dropout };
        let flags = (go_backwards, return_sequences, zero_output_for_mask);
        Ok(Self(match &weights.0 {
            Either::F32(packed) => Either::F32(objects.hold(&packed.weights, flags)?),
            Either::F64(packed) => Either::F64(objects.hold(&packed.weights, flags)?),
        }))
    }
}

/// What forward kept for backward, with the weights it used; opaque.
#[pyclass(frozen, module = "ferrnn._core")]
pub(super) struct Residuals(Either<Kept<f32>, Kept<f64>>);

struct Kept<T: Element> {
    weights: Arc<sequence::Weights<T>>,
    residuals: Mutex<sequence::Residuals<T>>,
}

/// Two arguments of different dtypes.
fn mixed(argument: &str) -> PyErr {
    PyTypeError::new_err(format!("`{argument}`: expected the dtype of `weights`, received another"))
}

type Forward = (Py<PyAny>, Py<PyTuple>, Option<Residuals>);

/// Outputs, final states, and what backward wants.
#[pyfunction]
#[pyo3(signature = (weights, problem, differentiable=false))]
pub(super) fn rnn_forward(
    py: Python<'_>,
    weights: &Weights,
    problem: &Problem,
    differentiable: bool,
) -> PyResult<Forward> {
    match (&weights.0, &problem.0) {
        (Either::F32(packed), Either::F32(arrays)) => {
            let (outputs, state, kept) = forward(py, packed, arrays, differentiable)?;
            Ok((outputs, state, kept.map(|kept| Residuals(Either::F32(kept)))))
        }
        (Either::F64(packed), Either::F64(arrays)) => {
            let (outputs, state, kept) = forward(py, packed, arrays, differentiable)?;
            Ok((outputs, state, kept.map(|kept| Residuals(Either::F64(kept)))))
        }
        _ => Err(mixed("problem")),
    }
}

fn forward<T: Number>(
    py: Python<'_>,
    packed: &Packed<T>,
    arrays: &Arrays<T>,
    differentiable: bool,
) -> PyResult<(Py<PyAny>, Py<PyTuple>, Option<Kept<T>>)> {
    let weights = &packed.weights;
    let problem = arrays.problem(weights)?;
    let [batch, time, units] = problem.output_shape();
    let shape: &[usize] =
        if arrays.return_sequences { &[batch, time, units] } else { &[batch, units] };
    let mut outputs = New::<T>::new(py, shape)?;
    let mut state = (0..weights.states())
        .map(|_| New::<T>::new(py, &[batch, units]))
        .collect::<PyResult<Vec<_>>>()?;
    let residuals = detached(py, |stop| {
        let views = state.iter_mut().map(|state| state.view([batch, 1, units]));
        let results = Results {
            outputs: outputs.view([batch, time, units])?,
            state: views.collect::<crate::error::Result<_>>()?,
        };
        sequence::forward(weights, &problem, results, differentiable, stop)
    })?;
    let kept = residuals
        .map(|residuals| Kept { weights: weights.clone(), residuals: Mutex::new(residuals) });
    let state = PyTuple::new(py, state.into_iter().map(New::finish))?;
    Ok((outputs.finish(), state.unbind(), kept))
}

type Backward = (Option<Py<PyAny>>, Py<PyTuple>, Py<PyTuple>);

/// Gradients by the inputs, by the weights and by the initial states.
#[pyfunction]
#[pyo3(signature = (weights, residuals, problem, outputs, d_outputs=None, d_final_state=None,
    inputs_need_gradient=true, consume=false))]
#[allow(clippy::too_many_arguments, reason = "they are Python's keywords")]
pub(super) fn rnn_backward(
    py: Python<'_>,
    weights: &Weights,
    residuals: &Residuals,
    problem: &Problem,
    outputs: &Bound<'_, PyAny>,
    d_outputs: Option<&Bound<'_, PyAny>>,
    d_final_state: Option<Vec<Option<Bound<'_, PyAny>>>>,
    inputs_need_gradient: bool,
    consume: bool,
) -> PyResult<Backward> {
    let options = (inputs_need_gradient, consume);
    let seeds = (outputs, d_outputs, d_final_state.unwrap_or_default());
    match (&weights.0, &residuals.0, &problem.0) {
        (Either::F32(packed), Either::F32(kept), Either::F32(arrays)) => {
            backward(py, packed, kept, arrays, &seeds, options)
        }
        (Either::F64(packed), Either::F64(kept), Either::F64(arrays)) => {
            backward(py, packed, kept, arrays, &seeds, options)
        }
        _ => Err(mixed("residuals")),
    }
}

type SeedObjects<'a, 'py> =
    (&'a Bound<'py, PyAny>, Option<&'a Bound<'py, PyAny>>, Vec<Option<Bound<'py, PyAny>>>);

fn backward<T: Number>(
    py: Python<'_>,
    packed: &Packed<T>,
    kept: &Kept<T>,
    arrays: &Arrays<T>,
    (outputs, d_outputs, d_state): &SeedObjects<'_, '_>,
    (inputs_need_gradient, consume): (bool, bool),
) -> PyResult<Backward> {
    let weights = &kept.weights;
    let problem = arrays.problem(weights)?;
    let axes = if arrays.return_sequences { Axes::Three } else { Axes::Two };
    let outputs = hold::<T>("outputs", outputs, axes)?;
    let d_outputs = d_outputs.map(|d| hold::<T>("d_outputs", d, axes)).transpose()?;
    let d_state = d_state
        .iter()
        .map(|d| d.as_ref().map(|d| hold::<T>("d_final_state", d, Axes::Two)).transpose())
        .collect::<PyResult<Vec<_>>>()?;

    let (batch, units, features) =
        (problem.output_shape()[0], weights.units(), weights.features());
    let columns = packed.gates * units;
    let shape = problem.input_shape();
    let mut d_inputs =
        if inputs_need_gradient { Some(New::<T>::new(py, &shape)?) } else { None };
    let mut d_initial = (0..weights.states())
        .map(|_| New::<T>::new(py, &[batch, units]))
        .collect::<PyResult<Vec<_>>>()?;
    let mut d_kernel = New::<T>::new(py, &[features, columns])?;
    let mut d_recurrent = New::<T>::new(py, &[units, columns])?;
    let bias_shape: &[usize] = if packed.double_bias { &[2, columns] } else { &[columns] };
    let mut d_bias = match weights.bias_len() {
        Some(_) => Some(New::<T>::new(py, bias_shape)?),
        None => None,
    };
    detached(py, |stop| {
        let seeds = Seeds {
            outputs: outputs.view(),
            d_outputs: d_outputs.as_ref().map(Held::view),
            d_state: d_state.iter().map(|d| d.as_ref().map(Held::view)).collect(),
        };
        let views = d_initial.iter_mut().map(|d| d.view([batch, 1, units]));
        let gradients = Gradients {
            inputs: d_inputs.as_mut().map(|d| d.view(shape)).transpose()?,
            state: views.collect::<crate::error::Result<_>>()?,
            kernel: d_kernel.elements(),
            recurrent_kernel: d_recurrent.elements(),
            bias: d_bias.as_mut().map(New::elements),
        };
        let mut residuals = kept.residuals.lock().unwrap_or_else(PoisonError::into_inner);
        sequence::backward(weights, &problem, &mut residuals, &seeds, gradients, consume, stop)
    })?;
    let mut by_weight = vec![d_kernel.finish(), d_recurrent.finish()];
    by_weight.extend(d_bias.map(New::finish));
    let d_initial = PyTuple::new(py, d_initial.into_iter().map(New::finish))?;
    let by_weight = PyTuple::new(py, by_weight)?;
    Ok((d_inputs.map(New::finish), by_weight.unbind(), d_initial.unbind()))
}
