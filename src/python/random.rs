//! Random masks for Python.

use pyo3::prelude::*;

use super::arrays::{New, Number};
use super::guard::caught;
use crate::training::dropout;

/// A mask of dropout: zeros where the next 32-bit number of the call is below `threshold`, else
/// `scale`.
#[pyfunction]
#[pyo3(signature = (seed, call, shape, threshold, scale, double=false))]
#[allow(clippy::needless_pass_by_value, reason = "it is taken out of a tuple")]
pub(super) fn dropout_mask(
    py: Python<'_>,
    seed: u64,
    call: u64,
    shape: Vec<usize>,
    threshold: u64,
    scale: f64,
    double: bool,
) -> PyResult<Py<PyAny>> {
    caught(|| {
        let numbers = (seed, call, threshold, scale);
        if double { mask::<f64>(py, &shape, numbers) } else { mask::<f32>(py, &shape, numbers) }
    })
}

fn mask<T: Number>(
    py: Python<'_>,
    shape: &[usize],
    (seed, call, threshold, scale): (u64, u64, u64, f64),
) -> PyResult<Py<PyAny>> {
    let mut mask = New::<T>::empty(py, shape)?;
    dropout::dropout_mask(seed, call, threshold, T::of(scale), mask.elements());
    Ok(mask.finish())
}
