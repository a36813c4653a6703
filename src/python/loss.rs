//! Means of losses for Python.

use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;

use super::arrays::{New, Number, flat};
use super::guard::{caught, detached};
use super::plan_parts::{Measures, divisor_of, measure};
use super::weights::is_double;
use super::written::an_array;
use crate::training::measure::Measure;
use crate::training::rows::{Rows, Weights};

/// A mean, the sum of the weights, and the derivatives.
type Found = (f64, f64, Option<Py<PyAny>>);

/// The mean of a measure over all rows, as plans have it, the sum of the rows' weights, and the
/// mean's derivatives with respect to `y_pred` if wanted. `y_true` has the number type of `y_pred`,
/// `weights` are float64, one for each row; the weighted sum is divided by `divisor`, see
/// [`divisor_of`].
#[allow(clippy::needless_pass_by_value, reason = "it is taken out of a tuple")]
#[pyfunction]
#[pyo3(signature = (measures, y_true, y_pred, differentiable=false, weights=None, divisor="rows"))]
pub(super) fn mean_loss(
    measures: Measures,
    y_true: &Bound<'_, PyAny>,
    y_pred: &Bound<'_, PyAny>,
    differentiable: bool,
    weights: Option<&Bound<'_, PyAny>>,
    divisor: &str,
) -> PyResult<Found> {
    caught(|| {
        let weights =
            weights.map(|weights| flat("weights", weights, an_array("weights", weights)?.shape()));
        let (of, weights) = (measure(&measures)?, weights.transpose()?);
        let divisor = divisor_of(divisor)?;
        let weights = weights.as_ref().map(|each| Weights { rows: each.elements(), divisor });
        let predictions = an_array("y_pred", y_pred)?;
        if is_double("y_pred", y_pred)? {
            typed::<f64>((&of, weights), y_true, predictions, differentiable)
        } else {
            typed::<f32>((&of, weights), y_true, predictions, differentiable)
        }
    })
}

fn typed<T: Number>(
    (of, weights): (&Measure, Option<Weights<'_>>),
    y_true: &Bound<'_, PyAny>,
    y_pred: &Bound<'_, PyUntypedArray>,
    differentiable: bool,
) -> PyResult<Found> {
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
    let value = detached(py, |_| of.mean(&rows, weights, to))?;
    Ok((value, weights.map_or(0.0, |weights| weights.total()), gradient.map(New::finish)))
}
