//! The Python module: arrays in, arrays out, errors mapped.

mod activation;
mod arrays;
mod dense;
mod embedding;
mod loss;
mod machine;
mod normalization;
mod optimizer;
mod problem;
mod random;
mod recurrent;
mod rows;
mod stream;
mod weights;
mod written;

use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::{PyMemoryError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::error::Error;
use crate::simd::Level;

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::Shape { .. } | Error::Value { .. } => PyValueError::new_err(text),
            Error::Memory(_) => PyMemoryError::new_err(text),
            Error::Consumed | Error::Interrupted => PyRuntimeError::new_err(text),
        }
    }
}

/// Runs `compute` without the interpreter's lock; it can ask whether a signal wants it to stop.
fn detached<R: Send>(
    py: Python<'_>,
    compute: impl FnOnce(&(dyn Fn() -> bool + Sync)) -> crate::error::Result<R> + Send,
) -> PyResult<R> {
    let raised: Mutex<Option<PyErr>> = Mutex::new(None);
    let ask = || {
        #[allow(clippy::redundant_closure_for_method_calls, reason = "lifetimes ask for it")]
        let Err(error) = Python::attach(|py| py.check_signals()) else { return false };
        *raised.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        true
    };
    let result = py.detach(|| compute(&ask));
    match raised.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(result?),
    }
}

/// The instruction set in use.
#[pyfunction]
fn simd_level() -> PyResult<&'static str> {
    Ok(Level::current()?.name())
}

/// The number of threads a call may use.
#[pyfunction]
fn num_threads() -> PyResult<usize> {
    Ok(crate::threads::count()?)
}

/// Sets the number of threads a call may use.
#[pyfunction]
fn set_num_threads(threads: isize) -> PyResult<()> {
    let count = usize::try_from(threads)
        .ok()
        .filter(|&count| count > 0)
        .ok_or_else(|| Error::value("threads", "a positive number", threads))?;
    crate::threads::set_count(count);
    Ok(())
}

/// Returns pooled scratch memory to the system.
#[pyfunction]
fn clear_buffers() {
    crate::memory::clear_buffers();
}

/// The native engine.
#[pymodule(gil_used = false)]
mod _core {
    #[pymodule_export]
    use super::activation::activate;
    #[pymodule_export]
    use super::dense::{DenseWeights, dense_backward, dense_forward};
    #[pymodule_export]
    use super::embedding::{EmbeddingWeights, embedding_backward, embedding_forward};
    #[pymodule_export]
    use super::loss::mean_error;
    #[pymodule_export]
    use super::machine::{limits, machine};
    #[pymodule_export]
    use super::normalization::{
        NormalizationWeights, normalization_backward, normalization_forward,
    };
    #[pymodule_export]
    use super::optimizer::{adam_update, sgd_update, squared_norms};
    #[pymodule_export]
    use super::problem::Problem;
    #[pymodule_export]
    use super::random::dropout_mask;
    #[pymodule_export]
    use super::recurrent::{Residuals, rnn_backward, rnn_forward};
    #[pymodule_export]
    use super::stream::Stream;
    #[pymodule_export]
    use super::weights::Weights;
    #[pymodule_export]
    use super::{clear_buffers, num_threads, set_num_threads, simd_level};
}
