//! Means of losses for Python.

use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;

use super::arrays::{New, Number, flat};
use super::guard::{caught, detached};
use super::plan_parts::{Measures, measure};
use super::weights::is_double;
use super::written::an_array;
use crate::training::measure::Measure;
use crate::training::rows::Rows;

/// The mean of a measure over all rows, as plans have it, and its derivatives by `y_pred` if
/// wanted; `y_true` has the number type of `y_pred`.
#[allow(clippy::needless_pass_by_value, reason = "it is taken out of a tuple")]
#[pyfunction]
#[pyo3(signature = (measures, y_true, y_pred, differentiable=false))]
pub(super) fn mean_loss(
    measures: Measures,
    y_true: &Bound<'_, PyAny>,
    y_pred: &Bound<'_, PyAny>,
    differentiable: bool,
) -> PyResult<(f64, Option<Py<PyAny>>)> {
    caught(|| {
        let (of, predictions) = (measure(&measures)?, an_array("y_pred", y_pred)?);
        if is_double("y_pred", y_pred)? {
            typed::<f64>(of, y_true, predictions, differentiable)
        } else {
            typed::<f32>(of, y_true, predictions, differentiable)
        }
    })
}

fn typed<T: Number>(
    of: Measure,
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
