//! Random numbers and masks for Python.

use pyo3::prelude::*;

use super::arrays::{New, Number};
use super::guard::caught;
use crate::training::{dropout, normal};

/// A mask of dropout: zeros where the next 32-bit number of the call is below `threshold`, else
/// `scale`. Without a threshold, normally distributed numbers of the standard deviation `scale`.
#[pyfunction]
#[pyo3(signature = (seed, call, shape, threshold, scale, double=false))]
#[allow(clippy::needless_pass_by_value, reason = "it is taken out of a tuple")]
pub(super) fn noise(
    py: Python<'_>,
    seed: u64,
    call: u64,
    shape: Vec<usize>,
    threshold: Option<u64>,
    scale: f64,
    double: bool,
) -> PyResult<Py<PyAny>> {
    caught(|| {
        let numbers = (seed, call, threshold, scale);
        if double { drawn::<f64>(py, &shape, numbers) } else { drawn::<f32>(py, &shape, numbers) }
    })
}

fn drawn<T: Number>(
    py: Python<'_>,
    shape: &[usize],
    (seed, call, threshold, scale): (u64, u64, Option<u64>, f64),
) -> PyResult<Py<PyAny>> {
    let (mut drawn, scale) = (New::<T>::empty(py, shape)?, T::of(scale));
    match threshold {
        Some(threshold) => dropout::dropout_mask(seed, call, threshold, scale, drawn.elements()),
        None => normal::normal(seed, call, scale, drawn.elements()),
    }
    Ok(drawn.finish())
}
