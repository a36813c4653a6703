//! Layer normalization for Python.

use std::sync::Arc;

use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;

use super::arrays::{Flat, New, Number, flat};
use super::guard::{away, caught};
use super::weights::Either;
use crate::error::Error;
use crate::layers::normalization::{self, KEPT, Seeds, Weights};

/// From this many elements on (some tens of microseconds) a call releases the interpreter's lock.
const DETACHED: usize = 1 << 16;

/// A layer's scale and shift, in whole vectors; frozen.
#[pyclass(frozen, module = "ferrnn._core")]
pub(super) struct NormalizationWeights(pub(super) Either<Arc<Weights<f32>>, Arc<Weights<f64>>>);

fn padded<T: Number>(
    features: usize,
    how: (f64, bool),
    gamma: Option<&Bound<'_, PyAny>>,
    beta: Option<&Bound<'_, PyAny>>,
) -> PyResult<Arc<Weights<T>>> {
    let gamma = gamma.map(|gamma| flat::<T>("gamma", gamma, &[features])).transpose()?;
    let beta = beta.map(|beta| flat::<T>("beta", beta, &[features])).transpose()?;
    let (gamma, beta) = (gamma.as_ref().map(Flat::elements), beta.as_ref().map(Flat::elements));
    Ok(Arc::new(Weights::new(None, features, how, gamma, beta)?))
}

#[pymethods]
impl NormalizationWeights {
    #[new]
    #[pyo3(signature = (features, epsilon, gamma=None, beta=None, double=false, centered=true))]
    fn new(
        features: usize,
        epsilon: f64,
        gamma: Option<&Bound<'_, PyAny>>,
        beta: Option<&Bound<'_, PyAny>>,
        double: bool,
        centered: bool,
    ) -> PyResult<Self> {
        let how = (epsilon, centered);
        caught(|| {
            Ok(Self(if double {
                Either::F64(padded(features, how, gamma, beta)?)
            } else {
                Either::F32(padded(features, how, gamma, beta)?)
            }))
        })
    }
}

/// The array's elements, and its shape, which must end with the number of features.
fn rows_of<T: Number>(
    argument: &'static str,
    array: &Bound<'_, PyAny>,
    features: usize,
) -> PyResult<(Vec<usize>, Flat<T>)> {
    let shape = array.cast::<PyUntypedArray>()?.shape().to_vec();
    if shape.last() != Some(&features) {
        let expected = format!("[..., {features}]");
        let received = format!("{shape:?}");
        return Err(Error::Shape { argument, expected, received }.into());
    }
    let rows = flat::<T>(argument, array, &shape)?;
    Ok((shape, rows))
}

type Forward = (Py<PyAny>, Option<Py<PyAny>>);

/// The normalized rows, and what backward needs besides the inputs.
#[pyfunction]
#[pyo3(signature = (weights, inputs, differentiable=false))]
pub(super) fn normalization_forward(
    py: Python<'_>,
    weights: &NormalizationWeights,
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
    let (shape, inputs) = rows_of::<T>("inputs", inputs, weights.features())?;
    let size: usize = shape.iter().product();
    let mut outputs = New::<T>::empty(py, &shape)?;
    let rows = size / weights.features();
    let mut kept = if differentiable { Some(New::<T>::empty(py, &[rows, KEPT])?) } else { None };
    let given = inputs.elements();
    let mut compute = || {
        let kept = kept.as_mut().map(New::elements);
        normalization::forward(weights, given, outputs.elements(), kept)
    };
    if size < DETACHED { compute() } else { away(py, compute) }?;
    Ok((outputs.finish(), kept.map(New::finish)))
}

type Backward = (Option<Py<PyAny>>, Option<Py<PyAny>>, Option<Py<PyAny>>);

/// Gradients with respect to the inputs, gamma and beta, those that are `wanted`.
#[pyfunction]
pub(super) fn normalization_backward(
    py: Python<'_>,
    weights: &NormalizationWeights,
    inputs: &Bound<'_, PyAny>,
    kept: &Bound<'_, PyAny>,
    d_outputs: &Bound<'_, PyAny>,
    wanted: (bool, bool, bool),
) -> PyResult<Backward> {
    caught(|| {
        let arrays = (inputs, kept, d_outputs);
        match &weights.0 {
            Either::F32(weights) => backward(py, weights, arrays, wanted),
            Either::F64(weights) => backward(py, weights, arrays, wanted),
        }
    })
}

type Arrays<'a, 'py> = (&'a Bound<'py, PyAny>, &'a Bound<'py, PyAny>, &'a Bound<'py, PyAny>);

fn backward<T: Number>(
    py: Python<'_>,
    weights: &Weights<T>,
    (inputs, kept, d_outputs): Arrays<'_, '_>,
    (by_inputs, by_gamma, by_beta): (bool, bool, bool),
) -> PyResult<Backward> {
    let features = weights.features();
    let (shape, inputs) = rows_of::<T>("inputs", inputs, features)?;
    let d_outputs = flat::<T>("d_outputs", d_outputs, &shape)?;
    let size: usize = shape.iter().product();
    let kept = flat::<T>("kept", kept, &[size / features, KEPT])?;
    let new = |wanted: bool, shape: &[usize]| {
        if wanted { New::<T>::empty(py, shape).map(Some) } else { Ok(None) }
    };
    let mut d_inputs = new(by_inputs, &shape)?;
    let mut d_gamma = new(by_gamma, &[features])?;
    let mut d_beta = new(by_beta, &[features])?;
    let seeds =
        Seeds { inputs: inputs.elements(), kept: kept.elements(), d_outputs: d_outputs.elements() };
    let mut compute = || {
        let d_inputs = d_inputs.as_mut().map(New::elements);
        let (d_gamma, d_beta) = (d_gamma.as_mut(), d_beta.as_mut());
        let (d_gamma, d_beta) = (d_gamma.map(New::elements), d_beta.map(New::elements));
        normalization::backward(weights, seeds, d_inputs, d_gamma, d_beta)
    };
    if size < DETACHED { compute() } else { away(py, compute) }?;
    Ok((d_inputs.map(New::finish), d_gamma.map(New::finish), d_beta.map(New::finish)))
}
