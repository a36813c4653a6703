//! The doors between the interpreter and the engine: a panic becomes an exception, and a long
//! computation releases the interpreter's lock.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, Once, PoisonError};

use pyo3::exceptions::{PyMemoryError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use super::leaving::{Inside, Outside, main_thread};
use crate::error::Error;

pyo3::create_exception!(
    ferrnn,
    InternalError,
    PyRuntimeError,
    "A bug in the engine itself, never in its arguments: please report it."
);

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

/// Where the last panic happened.
static PLACE: Mutex<Option<String>> = Mutex::new(None);

/// Notes the places of panics from now on, in addition to what is printed.
pub(super) fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let place = panic.location().map(ToString::to_string);
            *PLACE.lock().unwrap_or_else(PoisonError::into_inner) = place;
            print(panic);
        }));
    });
}

/// Runs a function called from Python; a panic in it becomes an [`InternalError`].
pub(super) fn caught<R>(call: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
    let _inside = Inside::enter();
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| Err(internal(&*panic)))
}

fn internal(panic: &(dyn Any + Send)) -> PyErr {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let place = PLACE.lock().unwrap_or_else(PoisonError::into_inner).take();
    InternalError::new_err(format!(
        "a bug in the engine: {} ({}, ferrnn {}). Please report it with a few lines that reproduce \
         it and with what `ferrnn config` prints.",
        text.unwrap_or("no message"),
        place.as_deref().unwrap_or("place unknown"),
        env!("CARGO_PKG_VERSION"),
    ))
}

/// Runs `compute` without the interpreter's lock; it can ask whether a signal wants it to stop.
pub(super) fn detached<R: Send>(
    py: Python<'_>,
    compute: impl FnOnce(&(dyn Fn() -> bool + Sync)) -> crate::error::Result<R> + Send,
) -> PyResult<R> {
    let (main, process) = main_thread(py)?;
    let raised: Mutex<Option<PyErr>> = Mutex::new(None);
    let ask = || {
        // Signals are handled in the main thread alone. In any other there is nothing to ask, and
        // its interpreter may have ended: to attach would then read memory that is gone. After a
        // `fork` another thread may be the main one.
        if !main && std::process::id() == process {
            return false;
        }
        #[allow(clippy::redundant_closure_for_method_calls, reason = "lifetimes ask for it")]
        let Some(Err(error)) = Python::try_attach(|py| py.check_signals()) else { return false };
        *raised.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        true
    };
    let result = away(py, || compute(&ask));
    match raised.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(result?),
    }
}

/// Runs `compute` without the interpreter's lock.
pub(super) fn away<R: Send>(py: Python<'_>, compute: impl FnOnce() -> R + Send) -> R {
    py.detach(|| {
        let _outside = Outside::leave();
        compute()
    })
}

/// Panics, for the tests of what becomes of that: `here`, without the interpreter's lock (`away`), or
/// in another thread of the engine (`team`).
#[pyfunction]
pub(super) fn _panic(py: Python<'_>, place: &str) -> PyResult<()> {
    caught(|| match place {
        "here" => panic!("a panic for a test"),
        "away" => detached(py, |_| panic!("a panic for a test")),
        "team" => detached(py, |_| {
            crate::machine::threads::for_each(2, &mut [0, 1], |_, state| {
                assert!(*state == 0, "a panic for a test");
            });
            Ok(())
        }),
        other => Err(Error::value("place", "here, away or team", other).into()),
    })
}
