//! Embedding layers for Python.

use std::sync::Arc;

use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;

use super::arrays::{Flat, New, Number, flat};
use super::guard::caught;
use super::weights::{Either, is_double, matrix_shape};
use crate::layers::embedding::{self, Weights};

/// An Embedding layer's matrix for a stream; frozen.
#[pyclass(frozen, module = "ferrnn._core")]
pub(super) struct EmbeddingWeights(pub(super) Either<Arc<Weights<f32>>, Arc<Weights<f64>>>);

fn copied<T: Number>(rows: &Bound<'_, PyAny>, mask_zero: bool) -> PyResult<Arc<Weights<T>>> {
    let shape = matrix_shape("rows", rows)?;
    let rows = flat::<T>("rows", rows, &shape)?;
    Ok(Arc::new(Weights::new(shape, rows.elements(), mask_zero)?))
}

#[pymethods]
impl EmbeddingWeights {
    #[new]
    #[pyo3(signature = (rows, mask_zero=false))]
    fn new(rows: &Bound<'_, PyAny>, mask_zero: bool) -> PyResult<Self> {
        caught(|| {
            Ok(Self(if is_double("rows", rows)? {
                Either::F64(copied(rows, mask_zero)?)
            } else {
                Either::F32(copied(rows, mask_zero)?)
            }))
        })
    }
}

fn whole_numbers(ids: &Bound<'_, PyAny>) -> PyResult<(Vec<usize>, Flat<i64>)> {
    let shape = ids.cast::<PyUntypedArray>()?.shape().to_vec();
    let ids = flat::<i64>("ids", ids, &shape)?;
    Ok((shape, ids))
}

/// The row of each id.
#[pyfunction]
pub(super) fn embedding_forward(
    py: Python<'_>,
    rows: &Bound<'_, PyAny>,
    ids: &Bound<'_, PyAny>,
) -> PyResult<Py<PyAny>> {
    caught(|| {
        if is_double("rows", rows)? {
            forward::<f64>(py, rows, ids)
        } else {
            forward::<f32>(py, rows, ids)
        }
    })
}

fn forward<T: Number>(
    py: Python<'_>,
    rows: &Bound<'_, PyAny>,
    ids: &Bound<'_, PyAny>,
) -> PyResult<Py<PyAny>> {
    let shape = matrix_shape("rows", rows)?;
    let rows = flat::<T>("rows", rows, &shape)?;
    let (mut lengths, ids) = whole_numbers(ids)?;
    lengths.push(shape[1]);
    let mut outputs = New::<T>::empty(py, &lengths)?;
    // The interpreter's lock is kept, since `rows` and `ids` are read in place.
    embedding::gather(rows.elements(), shape[1], ids.elements(), outputs.elements())?;
    Ok(outputs.finish())
}

/// The gradient with respect to the rows: for each id the sum of the gradients with respect to its
/// outputs, in their order.
#[pyfunction]
pub(super) fn embedding_backward(
    py: Python<'_>,
    ids: &Bound<'_, PyAny>,
    d_outputs: &Bound<'_, PyAny>,
    count: usize,
) -> PyResult<Py<PyAny>> {
    caught(|| {
        if is_double("d_outputs", d_outputs)? {
            backward::<f64>(py, ids, d_outputs, count)
        } else {
            backward::<f32>(py, ids, d_outputs, count)
        }
    })
}

fn backward<T: Number>(
    py: Python<'_>,
    ids: &Bound<'_, PyAny>,
    d_outputs: &Bound<'_, PyAny>,
    count: usize,
) -> PyResult<Py<PyAny>> {
    let (mut shape, ids) = whole_numbers(ids)?;
    let lengths = d_outputs.cast::<PyUntypedArray>()?.shape();
    let features = lengths.last().copied().unwrap_or(0);
    shape.push(features);
    let d_outputs = flat::<T>("d_outputs", d_outputs, &shape)?;
    let mut sums = New::<T>::empty(py, &[count, features])?;
    embedding::scatter(ids.elements(), d_outputs.elements(), features, sums.elements())?;
    Ok(sums.finish())
}
