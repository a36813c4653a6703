//! Dense layers for Python.

use std::sync::Arc;

use numpy::PyUntypedArrayMethods;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::arrays::{Flat, New, Number, flat, hold_rows};
use super::guard::{caught, detached};
use super::weights::{Either, is_double};
use super::written::an_array;
use crate::kernels::activation::Activation;
use crate::layers::dense::{self, Seeds, Weights};

/// A Dense layer's kernel and bias, packed for this machine; frozen.
///
/// The first axes of the kernel are those of the inputs; the others are those of the outputs and of
/// the bias.
#[pyclass(frozen, module = "ferrnn._core")]
pub(super) struct DenseWeights(
    pub(super) Either<Arc<Weights<f32>>, Arc<Weights<f64>>>,
    KernelShape,
);

struct KernelShape {
    lengths: Vec<usize>,
    inputs: usize, // how many of the lengths
}

impl KernelShape {
    fn of(kernel: &Bound<'_, PyAny>, inputs: usize) -> PyResult<Self> {
        let lengths = an_array("kernel", kernel)?.shape().to_vec();
        if inputs == 0 || inputs >= lengths.len() {
            return Err(PyValueError::new_err(format!(
                "`kernel`: expected {inputs} input axes, at least one, followed by output axes, at \
                 least one, received shape {lengths:?}"
            )));
        }
        Ok(Self { lengths, inputs })
    }

    fn features(&self) -> &[usize] {
        &self.lengths[..self.inputs]
    }

    fn units(&self) -> &[usize] {
        &self.lengths[self.inputs..]
    }

    fn pack<T: Number>(
        &self,
        kernel: &Bound<'_, PyAny>,
        bias: Option<&Bound<'_, PyAny>>,
        activation: Activation,
    ) -> PyResult<Arc<Weights<T>>> {
        let kernel = flat::<T>("kernel", kernel, &self.lengths)?;
        let bias = bias.map(|bias| flat::<T>("bias", bias, self.units())).transpose()?;
        let bias = bias.as_ref().map(Flat::elements);
        let shape = [self.features().iter().product(), self.units().iter().product()];
        Ok(Arc::new(Weights::new(None, activation, shape, kernel.elements(), bias)?))
    }
}

#[pymethods]
impl DenseWeights {
    #[new]
    #[pyo3(signature = (kernel, bias=None, activation="linear", inputs=1))]
    fn new(
        kernel: &Bound<'_, PyAny>,
        bias: Option<&Bound<'_, PyAny>>,
        activation: &str,
        inputs: usize,
    ) -> PyResult<Self> {
        caught(|| {
            let activation = Activation::named("activation", activation)?;
            let shape = KernelShape::of(kernel, inputs)?;
            let packed = if is_double("kernel", kernel)? {
                Either::F64(shape.pack(kernel, bias, activation)?)
            } else {
                Either::F32(shape.pack(kernel, bias, activation)?)
            };
            Ok(Self(packed, shape))
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

/// Outputs, and what backward needs besides them.
#[pyfunction]
#[pyo3(signature = (weights, inputs, differentiable=false))]
pub(super) fn dense_forward(
    py: Python<'_>,
    weights: &DenseWeights,
    inputs: &Bound<'_, PyAny>,
    differentiable: bool,
) -> PyResult<Forward> {
    caught(|| match &weights.0 {
        Either::F32(packed) => forward(py, packed, &weights.1, inputs, differentiable),
        Either::F64(packed) => forward(py, packed, &weights.1, inputs, differentiable),
    })
}

fn forward<T: Number>(
    py: Python<'_>,
    weights: &Weights<T>,
    shape: &KernelShape,
    inputs: &Bound<'_, PyAny>,
    differentiable: bool,
) -> PyResult<Forward> {
    let (inputs, leading) = hold_rows::<T>("inputs", inputs, shape.features())?;
    let made = [leading, shape.units()].concat();
    let mut outputs = New::<T>::empty(py, &made)?;
    let mut sums = if differentiable && weights.keeps_input() {
        Some(New::<T>::empty(py, &made)?)
    } else {
        None
    };
    let rows = inputs.view().shape()[0];
    detached(py, |stop| {
        let shape = [rows, 1, weights.units()];
        let sums = sums.as_mut().map(|sums| sums.view(shape)).transpose()?;
        dense::forward(weights, inputs.view(), outputs.view(shape)?, sums, stop)
    })?;
    Ok((outputs.finish(), sums.map(New::finish)))
}

type Backward = (Option<Py<PyAny>>, Py<PyTuple>);

/// Gradients with respect to the inputs, kernel and bias.
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
            Either::F32(packed) => backward(py, packed, &weights.1, arrays, inputs_need_gradient),
            Either::F64(packed) => backward(py, packed, &weights.1, arrays, inputs_need_gradient),
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
    shape: &KernelShape,
    (inputs, outputs, saved, d_outputs): Arrays<'_, '_>,
    inputs_need_gradient: bool,
) -> PyResult<Backward> {
    let (inputs, leading) = hold_rows::<T>("inputs", inputs, shape.features())?;
    let (d_outputs, _) = hold_rows::<T>("d_outputs", d_outputs, shape.units())?;
    let (kept, _) = match (weights.keeps_input(), saved) {
        (false, _) => hold_rows::<T>("outputs", outputs, shape.units())?,
        (true, Some(saved)) => hold_rows::<T>("saved", saved, shape.units())?,
        (true, None) => {
            return Err(PyTypeError::new_err(
                "`saved`: expected the array that `dense_forward` returned, received None",
            ));
        }
    };
    let mut d_inputs = if inputs_need_gradient {
        Some(New::<T>::empty(py, &[leading, shape.features()].concat())?)
    } else {
        None
    };
    let mut d_kernel = New::<T>::empty(py, &shape.lengths)?;
    let mut d_bias =
        if weights.has_bias() { Some(New::<T>::empty(py, shape.units())?) } else { None };
    detached(py, |stop| {
        let (rows, features) = (inputs.view().shape()[0], weights.features());
        let seeds = Seeds { inputs: inputs.view(), kept: kept.view(), d_outputs: d_outputs.view() };
        let d_inputs = d_inputs.as_mut().map(|d| d.view([rows, 1, features])).transpose()?;
        let d_bias = d_bias.as_mut().map(New::elements);
        dense::backward(weights, seeds, d_inputs, d_kernel.elements(), d_bias, stop)
    })?;
    let mut by_weight = vec![d_kernel.finish()];
    by_weight.extend(d_bias.map(New::finish));
    Ok((d_inputs.map(New::finish), PyTuple::new(py, by_weight)?.unbind()))
}
