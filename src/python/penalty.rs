//! Penalties on weights and outputs for Python.

use numpy::PyUntypedArrayMethods;
use pyo3::prelude::*;

use super::arrays::{New, Number, flat};
use super::guard::{caught, detached};
use super::weights::is_double;
use super::written::an_array;
use crate::training::penalty::Penalty;

/// The penalty on an array, as plans have it.
#[pyfunction]
pub(super) fn penalty(x: &Bound<'_, PyAny>, l1: f64, l2: f64) -> PyResult<f64> {
    let penalty = Penalty { l1, l2 };
    caught(|| if is_double("x", x)? { value::<f64>(penalty, x) } else { value::<f32>(penalty, x) })
}

/// The gradient of the penalty, times `slope`.
#[pyfunction]
pub(super) fn penalty_gradient(
    x: &Bound<'_, PyAny>,
    l1: f64,
    l2: f64,
    slope: f64,
) -> PyResult<Py<PyAny>> {
    let penalty = Penalty { l1, l2 };
    caught(|| {
        if is_double("x", x)? {
            gradient::<f64>(penalty, x, slope)
        } else {
            gradient::<f32>(penalty, x, slope)
        }
    })
}

fn value<T: Number>(penalty: Penalty, x: &Bound<'_, PyAny>) -> PyResult<f64> {
    let flat = flat::<T>("x", x, an_array("x", x)?.shape())?;
    let elements = flat.elements();
    detached(x.py(), |_| Ok(penalty.of(elements)))
}

fn gradient<T: Number>(penalty: Penalty, x: &Bound<'_, PyAny>, slope: f64) -> PyResult<Py<PyAny>> {
    let shape = an_array("x", x)?.shape();
    let flat = flat::<T>("x", x, shape)?;
    let mut made = New::<T>::empty(x.py(), shape)?;
    let (elements, to) = (flat.elements(), made.elements());
    detached(x.py(), |_| {
        to.fill(T::ZERO);
        penalty.add_gradient(elements, slope, to);
        Ok(())
    })?;
    Ok(made.finish())
}
