//! Dense layers for Python.

use std::sync::Arc;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::arrays::{Axes, Flat, New, Number, flat, hold};
use super::guard::{caught, detached};
use super::weights::{Either, is_double, matrix_shape};
use crate::kernels::activation::Activation;
use crate::layers::dense::{self, Seeds, Weights};

/// A Dense layer's kernel and bias, packed for this machine; frozen.
#[pyclass(frozen, module = "ferrnn._core")]
pub(super) struct DenseWeights(pub(super) Either<Arc<Weights<f32>>, Arc<Weights<f64>>>);

fn pack<T: Number>(
    kernel: &Bound<'_, PyAny>,
    bias: Option<&Bound<'_, PyAny>>,
    activation: Activation,
) -> PyResult<Arc<Weights<T>>> {
    let [features, units] = matrix_shape("kernel", kernel)?;
    let kernel = flat::<T>("kernel", kernel, &[features, units])?;
    let bias = bias.map(|bias| flat::<T>("bias", bias, &[units])).transpose()?;
    let bias = bias.as_ref().map(Flat::elements);
    Ok(Arc::new(Weights::new(None, activation, [features, units], kernel.elements(), bias)?))
}

#[pymethods]
impl DenseWeights {
    #[new]
    #[pyo3(signature = (kernel, bias=None, activation="linear"))]
    fn new(
        kernel: &Bound<'_, PyAny>,
        bias: Option<&Bound<'_, PyAny>>,
        activation: &str,
    ) -> PyResult<Self> {
        caught(|| {
            let activation = Activation::named("activation", activation)?;
            Ok(Self(if is_double("kernel", kernel)? {
                Either::F64(pack(kernel, bias, activation)?)
            } else {
                Either::F32(pack(kernel, bias, activation)?)
            }))
        })
    }

    /// Whether backward needs the sums before the activation.
    #[getter]
    fn keeps_input(&self) -> bool {
        match &self.0 {
            Either::F32(weights) => weights.keeps_input(),
            Either::F64(weights) => weights.keeps_input(),
        }
    }

    #[getter]
    fn features(&self) -> usize {
        match &self.0 {
            Either::F32(weights) => weights.features(),
            Either::F64(weights) => weights.features(),
        }
    }

    #[getter]
    fn units(&self) -> usize {
        match &self.0 {
            Either::F32(weights) => weights.units(),
            Either::F64(weights) => weights.units(),
        }
    }
}

type Forward = (Py<PyAny>, Option<Py<PyAny>>);

/// Outputs, and what backward wants besides them.
#[pyfunction]
#[pyo3(signature = (weights, inputs, differentiable=false))]
pub(super) fn dense_forward(
    py: Python<'_>,
    weights: &DenseWeights,
    inputs: &Bound<'_, PyAny>,
    differentiable: bool,
) -> PyResult<Forward> {
    caught(|| match &weights.0 {
        Either::F32(weights) => forward(py, weights, inputs, differentiable),
        Either::F64(weights) => forward(py, weights, inputs, differentiable),
    })
}

fn forward<T: Number>(
    py: Python<'_>,
    weights: &Weights<T>,
    inputs: &Bound<'_, PyAny>,
    differentiable: bool,
) -> PyResult<Forward> {
    let inputs = hold::<T>("inputs", inputs, Axes::Two)?;
    let (rows, units) = (inputs.view().shape()[0], weights.units());
    let mut outputs = New::<T>::empty(py, &[rows, units])?;
    let mut sums = if differentiable && weights.keeps_input() {
        Some(New::<T>::empty(py, &[rows, units])?)
    } else {
        None
    };
    detached(py, |stop| {
        let shape = [rows, 1, units];
        let sums = sums.as_mut().map(|sums| sums.view(shape)).transpose()?;
        dense::forward(weights, inputs.view(), outputs.view(shape)?, sums, stop)
    })?;
    Ok((outputs.finish(), sums.map(New::finish)))
}

type Backward = (Option<Py<PyAny>>, Py<PyTuple>);

/// Gradients by the inputs, and by kernel and bias.
#[pyfunction]
#[pyo3(signature = (weights, inputs, outputs, saved, d_outputs, inputs_need_gradient=true))]
pub(super) fn dense_backward(
    py: Python<'_>,
    weights: &DenseWeights,
    inputs: &Bound<'_, PyAny>,
    outputs: &Bound<'_, PyAny>,
    saved: Option<&Bound<'_, PyAny>>,
    d_outputs: &Bound<'_, PyAny>,
    inputs_need_gradient: bool,
) -> PyResult<Backward> {
    caught(|| {
        let arrays = (inputs, outputs, saved, d_outputs);
        match &weights.0 {
            Either::F32(weights) => backward(py, weights, arrays, inputs_need_gradient),
            Either::F64(weights) => backward(py, weights, arrays, inputs_need_gradient),
        }
    })
}

type Arrays<'a, 'py> = (
    &'a Bound<'py, PyAny>,
    &'a Bound<'py, PyAny>,
    Option<&'a Bound<'py, PyAny>>,
    &'a Bound<'py, PyAny>,
);

fn backward<T: Number>(
    py: Python<'_>,
    weights: &Weights<T>,
    (inputs, outputs, saved, d_outputs): Arrays<'_, '_>,
    inputs_need_gradient: bool,
) -> PyResult<Backward> {
    let inputs = hold::<T>("inputs", inputs, Axes::Two)?;
    let d_outputs = hold::<T>("d_outputs", d_outputs, Axes::Two)?;
    let kept = match (weights.keeps_input(), saved) {
        (false, _) => hold::<T>("outputs", outputs, Axes::Two)?,
        (true, Some(saved)) => hold::<T>("saved", saved, Axes::Two)?,
        (true, None) => {
            return Err(PyTypeError::new_err(
                "`saved`: expected the array that `dense_forward` gave, received None",
            ));
        }
    };
    let (features, units) = (weights.features(), weights.units());
    let rows = inputs.view().shape()[0];
    let mut d_inputs =
        if inputs_need_gradient { Some(New::<T>::empty(py, &[rows, features])?) } else { None };
    let mut d_kernel = New::<T>::empty(py, &[features, units])?;
    let mut d_bias = if weights.has_bias() { Some(New::<T>::empty(py, &[units])?) } else { None };
    detached(py, |stop| {
        let seeds = Seeds { inputs: inputs.view(), kept: kept.view(), d_outputs: d_outputs.view() };
        let d_inputs = d_inputs.as_mut().map(|d| d.view([rows, 1, features])).transpose()?;
        let d_bias = d_bias.as_mut().map(New::elements);
        dense::backward(weights, seeds, d_inputs, d_kernel.elements(), d_bias, stop)
    })?;
    let mut by_weight = vec![d_kernel.finish()];
    by_weight.extend(d_bias.map(New::finish));
    Ok((d_inputs.map(New::finish), PyTuple::new(py, by_weight)?.unbind()))
}
