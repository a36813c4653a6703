//! Recurrent layers for Python.

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::arrays::{Axes, Held, New, Number, hold};
use super::guard::{caught, detached};
use super::problem::{Arrays, Problem};
use super::weights::{Either, Packed, Weights};
use crate::error::Error;
use crate::layers::sequence::{self, Gradients, Results, Seeds};
use crate::machine::simd::Element;

/// What forward kept for backward, with the weights it used; opaque.
#[pyclass(frozen, module = "ferrnn._core")]
pub(super) struct Residuals(Either<Kept<f32>, Kept<f64>>);

struct Kept<T: Element> {
    weights: Arc<sequence::Weights<T>>,
    /// What forward read: its arrays are kept alive, so that no other array can get the same
    /// address.
    arrays: Arc<Arrays<T>>,
    residuals: Mutex<sequence::Residuals<T>>,
}

/// Two arguments of different dtypes.
fn mixed(argument: &str) -> PyErr {
    PyTypeError::new_err(format!(
        "`{argument}`: expected the dtype of `weights`, received another dtype"
    ))
}

/// Outputs, final states, and what backward needs.
type Forward<K> = (Py<PyAny>, Py<PyTuple>, Option<K>);

/// Outputs, final states (none unless wanted), and what backward needs.
#[pyfunction]
#[pyo3(signature = (weights, problem, differentiable=false, final_state=true))]
pub(super) fn rnn_forward(
    py: Python<'_>,
    weights: &Weights,
    problem: &Problem,
    differentiable: bool,
    final_state: bool,
) -> PyResult<Forward<Residuals>> {
    caught(|| match (&weights.0, &problem.0) {
        (Either::F32(packed), Either::F32(arrays)) => {
            let (outputs, state, kept) =
                forward(py, packed, arrays, (differentiable, final_state))?;
            Ok((outputs, state, kept.map(|kept| Residuals(Either::F32(kept)))))
        }
        (Either::F64(packed), Either::F64(arrays)) => {
            let (outputs, state, kept) =
                forward(py, packed, arrays, (differentiable, final_state))?;
            Ok((outputs, state, kept.map(|kept| Residuals(Either::F64(kept)))))
        }
        _ => Err(mixed("problem")),
    })
}

fn forward<T: Number>(
    py: Python<'_>,
    packed: &Packed<T>,
    arrays: &Arc<Arrays<T>>,
    (differentiable, final_state): (bool, bool),
) -> PyResult<Forward<Kept<T>>> {
    let (weights, problem) = (&packed.weights, arrays.problem());
    let [batch, time, size] = problem.output_shape();
    let shape: &[usize] =
        if problem.return_sequences { &[batch, time, size] } else { &[batch, size] };
    let mut outputs = New::<T>::empty(py, shape)?;
    let states = if final_state { weights.states() } else { 0 };
    let new = |state| New::<T>::empty(py, &[batch, weights.state_size(state)]);
    let mut state = (0..states).map(new).collect::<PyResult<Vec<_>>>()?;
    let residuals = detached(py, |stop| {
        let views = state.iter_mut().enumerate();
        let views = views.map(|(n, state)| state.view([batch, 1, weights.state_size(n)]));
        let results = Results {
            outputs: outputs.view([batch, time, size])?,
            state: views.collect::<crate::error::Result<_>>()?,
        };
        sequence::forward(weights, problem, results, differentiable, stop)
    })?;
    let kept = residuals.map(|residuals| Kept {
        weights: weights.clone(),
        arrays: arrays.clone(),
        residuals: Mutex::new(residuals),
    });
    let state = PyTuple::new(py, state.into_iter().map(New::finish))?;
    Ok((outputs.finish(), state.unbind(), kept))
}

type Backward = (Option<Py<PyAny>>, Py<PyTuple>, Py<PyTuple>);

/// Gradients with respect to the inputs, the weights and the initial states.
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
    caught(|| {
        let options = (inputs_need_gradient, consume);
        let seeds = (outputs, d_outputs, d_final_state.unwrap_or_default());
        match (&weights.0, &residuals.0, &problem.0) {
            (Either::F32(packed), Either::F32(kept), Either::F32(arrays)) => {
                check(kept, arrays)?;
                backward(py, packed, kept, arrays, &seeds, options)
            }
            (Either::F64(packed), Either::F64(kept), Either::F64(arrays)) => {
                check(kept, arrays)?;
                backward(py, packed, kept, arrays, &seeds, options)
            }
            (Either::F32(_), Either::F64(_), Either::F32(_)) => Err(of_dtype("float32", "float64")),
            (Either::F64(_), Either::F32(_), Either::F64(_)) => Err(of_dtype("float64", "float32")),
            _ => Err(mixed("problem")),
        }
    })
}

/// Residuals of something other than expected.
fn refused(of: &str, received: String) -> PyErr {
    Error::kind("residuals", format!("those of {of}"), received).into()
}

/// Residuals of another dtype than weights and problem.
fn of_dtype(expected: &str, received: &str) -> PyErr {
    refused(&format!("a {expected} problem"), received.to_owned())
}

/// Refuses a problem of other arrays than forward's.
fn check<T: Element>(kept: &Kept<T>, arrays: &Arc<Arrays<T>>) -> PyResult<()> {
    if Arc::ptr_eq(&kept.arrays, arrays) {
        return Ok(());
    }
    arrays.problem().differs(kept.arrays.problem()).map_or(Ok(()), |name| {
        Err(refused(
            &format!("a problem with the same `{name}`"),
            format!("those of another `{name}`"),
        ))
    })
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
    if !weights.same_shape(&packed.weights) {
        return Err(refused("a forward pass with `weights`", "those of other weights".to_owned()));
    }
    let problem = arrays.problem();
    let axes = if problem.return_sequences { Axes::Three } else { Axes::Two };
    let outputs = hold::<T>("outputs", outputs, axes)?;
    let d_outputs = d_outputs.map(|d| hold::<T>("d_outputs", d, axes)).transpose()?;
    let d_state = d_state
        .iter()
        .map(|d| d.as_ref().map(|d| hold::<T>("d_final_state", d, Axes::Two)).transpose())
        .collect::<PyResult<Vec<_>>>()?;

    let (batch, units, features) = (problem.output_shape()[0], weights.units(), weights.features());
    let columns = packed.gates * units;
    let shape = problem.input_shape();
    let mut d_inputs = if inputs_need_gradient { Some(New::<T>::empty(py, &shape)?) } else { None };
    let mut d_initial = (0..weights.states())
        .map(|state| New::<T>::empty(py, &[batch, weights.state_size(state)]))
        .collect::<PyResult<Vec<_>>>()?;
    let mut d_kernel = New::<T>::empty(py, &[features, columns])?;
    let mut d_recurrent = match weights.recurrent_len() {
        0 => None,
        _ => Some(New::<T>::empty(py, &[weights.outputs(), columns])?),
    };
    let mut d_vectors = match packed.vectors {
        0 => None,
        count => Some(New::<T>::empty(py, &[count, units])?),
    };
    let bias_shape: &[usize] = if packed.double_bias { &[2, columns] } else { &[columns] };
    let mut d_bias = match weights.bias_len() {
        Some(_) => Some(New::<T>::empty(py, bias_shape)?),
        None => None,
    };
    let mut d_projection = match weights.projection_len() {
        Some(_) => Some(New::<T>::empty(py, &[units, weights.outputs()])?),
        None => None,
    };
    detached(py, |stop| {
        let seeds = Seeds {
            outputs: outputs.view(),
            d_outputs: d_outputs.as_ref().map(Held::view),
            d_state: d_state.iter().map(|d| d.as_ref().map(Held::view)).collect(),
        };
        let views = d_initial.iter_mut().enumerate();
        let views = views.map(|(n, d)| d.view([batch, 1, weights.state_size(n)]));
        let gradients = Gradients {
            inputs: d_inputs.as_mut().map(|d| d.view(shape)).transpose()?,
            state: views.collect::<crate::error::Result<_>>()?,
            kernel: d_kernel.elements(),
            recurrent_kernel: d_recurrent.as_mut().map_or(&mut [], New::elements),
            vectors: d_vectors.as_mut().map_or(&mut [], New::elements),
            bias: d_bias.as_mut().map(New::elements),
            projection: d_projection.as_mut().map(New::elements),
        };
        let mut residuals = kept.residuals.lock().unwrap_or_else(PoisonError::into_inner);
        sequence::backward(weights, problem, &mut residuals, &seeds, gradients, consume, stop)
    })?;
    let mut by_weight = vec![d_kernel.finish()];
    by_weight.extend(d_recurrent.map(New::finish));
    by_weight.extend(d_bias.map(New::finish));
    by_weight.extend(d_vectors.map(New::finish));
    by_weight.extend(d_projection.map(New::finish));
    let d_initial = PyTuple::new(py, d_initial.into_iter().map(New::finish))?;
    let by_weight = PyTuple::new(py, by_weight)?;
    Ok((d_inputs.map(New::finish), by_weight.unbind(), d_initial.unbind()))
}
