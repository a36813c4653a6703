//! Mean errors for Python.

use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;

use super::arrays::{New, Number, flat};
use super::guard::{caught, detached};
use super::weights::is_double;
use super::written::an_array;
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
