//! The end of the interpreter, with daemon threads at work.
//!
//! Before Python 3.14 the interpreter ends such a thread where it next takes the lock, by unwinding
//! its stack. Rust frames cannot be unwound like that: the process would abort. Therefore no thread
//! but the one that ends the interpreter may be inside the binding then. An `atexit` function
//! closes a gate before the binding, and waits for those that are inside. It opens again after a
//! while, if the interpreter still lives then: another `atexit` function may be waiting for a
//! thread's work.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use pyo3::prelude::*;

/// How long the gate stays closed, and how long the end waits for threads inside.
const CLOSED: Duration = Duration::from_secs(1);
/// Between two checks.
const PAUSE: Duration = Duration::from_micros(200);

/// Threads that are inside, with the lock or about to take it.
static INSIDE: AtomicUsize = AtomicUsize::new(0);
/// Not zero from the moment the gate closes.
static LEAVING: AtomicUsize = AtomicUsize::new(0);
/// When it closed.
static SINCE: Mutex<Option<Instant>> = Mutex::new(None);

/// What is known of a thread. It is looked up once per call, which costs a few additions.
struct Here {
    /// Whether it is among those inside.
    counted: Cell<bool>,
    /// Whether it is the interpreter's main one, and the process for which that was found.
    main: Cell<Option<(bool, u32)>>,
}

impl Here {
    fn is_main(&self) -> bool {
        matches!(self.main.get(), Some((true, _)))
    }
}

thread_local! {
    static HERE: Here = const { Here { counted: Cell::new(false), main: Cell::new(None) } };
}

/// The time inside, until it is dropped.
pub(super) struct Inside(bool);

impl Inside {
    /// Enters, with the interpreter's lock.
    pub(super) fn enter() -> Self {
        HERE.with(|here| {
            // The main thread is the one that ends the interpreter. It is known from its first long
            // call.
            if here.is_main() || here.counted.get() {
                return Self(false);
            }
            if !count() {
                Python::attach(|py| py.detach(wait_at_the_gate));
                INSIDE.fetch_add(1, Ordering::SeqCst);
            }
            here.counted.set(true);
            Self(true)
        })
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        if self.0 {
            HERE.with(|here| here.counted.set(false));
            INSIDE.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// A time outside, without the interpreter's lock; dropped before the lock is taken again.
pub(super) struct Outside(bool);

impl Outside {
    /// Leaves.
    pub(super) fn leave() -> Self {
        let counted = HERE.with(|here| here.counted.replace(false));
        if counted {
            INSIDE.fetch_sub(1, Ordering::SeqCst);
        }
        Self(counted)
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        if self.0 {
            if !count() {
                wait_at_the_gate();
                INSIDE.fetch_add(1, Ordering::SeqCst);
            }
            HERE.with(|here| here.counted.set(true));
        }
    }
}

/// Counts this thread among those inside, unless the gate is closed.
fn count() -> bool {
    INSIDE.fetch_add(1, Ordering::SeqCst);
    // Either `_leave` sees this thread inside, or this thread sees that the gate is closed.
    let open = LEAVING.load(Ordering::SeqCst) == 0;
    if !open {
        INSIDE.fetch_sub(1, Ordering::SeqCst);
    }
    open
}

/// Waits until the gate opens, for ever if the interpreter ends first.
#[cold]
fn wait_at_the_gate() {
    let since = *SINCE.lock().unwrap_or_else(PoisonError::into_inner);
    while since.is_some_and(|since| since.elapsed() < CLOSED) {
        // SAFETY: may be called by any thread at any time.
        while unsafe { pyo3::ffi::Py_IsInitialized() } == 0 {
            thread::park(); // the process is about to end
        }
        thread::sleep(PAUSE);
    }
}

/// Closes the gate and waits until no other thread is inside; for `atexit`.
#[pyfunction]
pub(super) fn _leave(py: Python<'_>) {
    HERE.with(|here| here.main.set(Some((true, std::process::id()))));
    let start = Instant::now();
    *SINCE.lock().unwrap_or_else(PoisonError::into_inner) = Some(start);
    LEAVING.store(1, Ordering::SeqCst);
    py.detach(|| {
        while INSIDE.load(Ordering::SeqCst) > 0 && start.elapsed() < CLOSED {
            thread::sleep(PAUSE);
        }
    });
}

/// Forgets the threads that a child process does not have; for the child, after a `fork`.
#[pyfunction]
pub(super) fn _forked() {
    INSIDE.store(usize::from(HERE.with(|here| here.counted.get())), Ordering::SeqCst);
}

/// Whether this thread is the interpreter's main one, and the process for which that was found.
pub(super) fn main_thread(py: Python<'_>) -> PyResult<(bool, u32)> {
    if let Some(known) = HERE.with(|here| here.main.get()) {
        return Ok(known);
    }
    let threading = py.import("threading")?;
    let main = threading.call_method0("main_thread")?.getattr("ident")?;
    let found = (main.eq(threading.call_method0("get_ident")?)?, std::process::id());
    HERE.with(|here| here.main.set(Some(found)));
    Ok(found)
}

/// Sets all this up when the module is imported.
pub(super) fn prepare(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    py.import("atexit")?.call_method1("register", (module.getattr("_leave")?,))?;
    let os = py.import("os")?;
    if os.hasattr("register_at_fork")? {
        let keywords = pyo3::types::PyDict::new(py);
        keywords.set_item("after_in_child", module.getattr("_forked")?)?;
        os.call_method("register_at_fork", (), Some(&keywords))?;
    }
    Ok(())
}
