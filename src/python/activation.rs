//! Activations of arrays for Python.

use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;

use super::arrays::{New, Number, flat, holds};
use super::guard::caught;
use super::weights::is_double;
use crate::kernels::row_function::RowFunction;
use crate::layers::dense;

/// An activation of each element, or softmax over the last axis: with the same bits as a layer with
/// this activation.
#[pyfunction]
pub(super) fn activate(
    py: Python<'_>,
    activation: &str,
    inputs: &Bound<'_, PyAny>,
) -> PyResult<Py<PyAny>> {
    caught(|| {
        let function = RowFunction::named("activation", activation)?;
        if is_double("inputs", inputs)? {
            apply::<f64>(py, function, inputs)
        } else {
            debug_assert!(holds::<f32>(inputs));
            apply::<f32>(py, function, inputs)
        }
    })
}

fn apply<T: Number>(
    py: Python<'_>,
    function: RowFunction,
    inputs: &Bound<'_, PyAny>,
) -> PyResult<Py<PyAny>> {
    let shape = inputs.cast::<PyUntypedArray>()?.shape().to_vec();
    let inputs = flat::<T>("inputs", inputs, &shape)?;
    let mut outputs = New::<T>::empty(py, &shape)?;
    let units = shape.last().copied().unwrap_or(1).max(1);
    // The interpreter's lock is kept, since `inputs` is read in place.
    dense::activate(None, function, units, inputs.elements(), outputs.elements())?;
    Ok(outputs.finish())
}

/// The error function of each element.
#[pyfunction]
pub(super) fn erf(py: Python<'_>, inputs: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    caught(|| {
        if is_double("inputs", inputs)? {
            apply_erf::<f64>(py, inputs)
        } else {
            apply_erf::<f32>(py, inputs)
        }
    })
}

fn apply_erf<T: Number>(py: Python<'_>, inputs: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    let shape = inputs.cast::<PyUntypedArray>()?.shape().to_vec();
    let inputs = flat::<T>("inputs", inputs, &shape)?;
    let mut outputs = New::<T>::empty(py, &shape)?;
    for (to, &x) in outputs.elements().iter_mut().zip(inputs.elements()) {
        *to = x.erf();
    }
    Ok(outputs.finish())
}
