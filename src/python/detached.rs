//! Computing without the interpreter's lock, and errors as Python's.

use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::{PyMemoryError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::error::{self, Error};

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
pub(super) fn detached<R: Send>(
    py: Python<'_>,
    compute: impl FnOnce(&(dyn Fn() -> bool + Sync)) -> error::Result<R> + Send,
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
