//! Mean errors and crossentropies for Python.

use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;

use super::arrays::{New, Number, flat};
use super::guard::{caught, detached};
use super::plan_parts::labels_of;
use super::weights::is_double;
use super::written::an_array;
use crate::training::classes::{Crossentropy, Rows};
use crate::training::loss::{Error, mean_error as mean};

/// The mean of the squared or absolute differences, and its derivatives by `y_pred` if wanted.
#[pyfunction]
#[pyo3(signature = (y_true, y_pred, squared, differentiable=false))]
pub(super) fn mean_error(
    y_true: &Bound<'_, PyAny>,
    y_pred: &Bound<'_, PyAny>,
    squared: bool,
    differentiable: bool,
) -> PyResult<(f64, Option<Py<PyAny>>)> {
    caught(|| {
        let error = if squared { Error::Squared } else { Error::Absolute };
        let predictions = an_array("y_pred", y_pred)?;
        if is_double("y_pred", y_pred)? {
            typed::<f64>(error, y_true, predictions, differentiable)
        } else {
            typed::<f32>(error, y_true, predictions, differentiable)
        }
    })
}

fn typed<T: Number>(
    error: Error,
    y_true: &Bound<'_, PyAny>,
    y_pred: &Bound<'_, PyUntypedArray>,
    differentiable: bool,
) -> PyResult<(f64, Option<Py<PyAny>>)> {
    let (py, shape) = (y_pred.py(), y_pred.shape());
    let targets = flat::<T>("y_true", y_true, shape)?;
    let predictions = flat::<T>("y_pred", y_pred.as_any(), shape)?;
    let mut gradient = if differentiable { Some(New::<T>::empty(py, shape)?) } else { None };
    let (targets, predictions) = (targets.elements(), predictions.elements());
    let gradient_elements = gradient.as_mut().map(New::elements);
    let value = detached(py, |_| Ok(mean(error, targets, predictions, gradient_elements)))?;
    Ok((value, gradient.map(New::finish)))
}

/// The mean crossentropy of probabilities, and its derivatives by `y_pred` if wanted. `labels` are
/// "binary", "one-hot" or "numbers"; `y_true` has the number type of `y_pred`.
#[pyfunction]
#[pyo3(signature = (y_true, y_pred, labels, smoothing, epsilon, differentiable=false))]
pub(super) fn mean_crossentropy(
    y_true: &Bound<'_, PyAny>,
    y_pred: &Bound<'_, PyAny>,
    labels: &str,
    smoothing: f64,
    epsilon: f64,
    differentiable: bool,
) -> PyResult<(f64, Option<Py<PyAny>>)> {
    caught(|| {
        let of = Crossentropy { labels: labels_of(labels)?, smoothing, epsilon };
        let predictions = an_array("y_pred", y_pred)?;
        if is_double("y_pred", y_pred)? {
            crossentropy::<f64>(of, y_true, predictions, differentiable)
        } else {
            crossentropy::<f32>(of, y_true, predictions, differentiable)
        }
    })
}

fn crossentropy<T: Number>(
    of: Crossentropy,
    y_true: &Bound<'_, PyAny>,
    y_pred: &Bound<'_, PyUntypedArray>,
    differentiable: bool,
) -> PyResult<(f64, Option<Py<PyAny>>)> {
    let (py, shape) = (y_pred.py(), y_pred.shape());
    let targets = flat::<T>("y_true", y_true, an_array("y_true", y_true)?.shape())?;
    let predictions = flat::<T>("y_pred", y_pred.as_any(), shape)?;
    let mut gradient = if differentiable { Some(New::<T>::empty(py, shape)?) } else { None };
    let rows = Rows {
        targets: targets.elements(),
        predictions: predictions.elements(),
        classes: shape.last().copied().unwrap_or(1),
    };
    let to = gradient.as_mut().map(New::elements);
    let value = detached(py, |_| of.mean(&rows, to))?;
    Ok((value, gradient.map(New::finish)))
}
