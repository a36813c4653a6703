//! The machine and the build, for Python.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::guard::{caught, detached};
use crate::error::Error;
use crate::machine::caches::{self, Sizes};
use crate::machine::limits as measure;
use crate::machine::simd::Level;
use crate::machine::threads::{self, Source};

/// What the engine knows of its machine and of its build.
#[pyfunction]
pub(super) fn machine(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    caught(|| {
        let Sizes { l1, l2, l3 } = caches::sizes();
        let levels: Vec<_> = Level::all().into_iter().map(Level::name).collect();
        let source = match threads::source() {
            Source::Set => "set_num_threads",
            Source::Environment => "FERRNN_NUM_THREADS",
            Source::Cpus => "CPUs of this process",
        };
        let facts = PyDict::new(py);
        facts.set_item("version", env!("CARGO_PKG_VERSION"))?;
        facts.set_item("debug", cfg!(debug_assertions))?;
        facts.set_item("target", (std::env::consts::ARCH, std::env::consts::OS))?;
        facts.set_item("levels", levels)?;
        facts.set_item("threads_source", source)?;
        facts.set_item("caches", (l1, l2, l3))?;
        Ok(facts)
    })
}

/// Multiply-adds per second of one core in float32, and bytes per second that `threads` threads
/// together read from memory of each of the sizes.
#[pyfunction]
pub(super) fn limits(
    py: Python<'_>,
    threads: usize,
    sizes: Vec<usize>,
) -> PyResult<(f64, Vec<f64>)> {
    caught(|| {
        const MOST: usize = 1 << 12;
        if threads > MOST {
            return Err(Error::value("threads", format!("at most {MOST}"), threads).into());
        }
        let level = Level::current()?;
        detached(py, |_| {
            let reads = sizes.into_iter().map(|size| measure::read(level, size, threads.max(1)));
            Ok((measure::multiply_adds::<f32>(level), reads.collect::<crate::error::Result<_>>()?))
        })
    })
}

/// The instruction set in use.
#[pyfunction]
pub(super) fn simd_level() -> PyResult<&'static str> {
    caught(|| Ok(Level::current()?.name()))
}

/// The number of threads a call may use.
#[pyfunction]
pub(super) fn num_threads() -> PyResult<usize> {
    caught(|| Ok(threads::count()?))
}

/// Sets the number of threads a call may use.
#[pyfunction]
pub(super) fn set_num_threads(threads: isize) -> PyResult<()> {
    let count = usize::try_from(threads)
        .ok()
        .filter(|&count| count > 0)
        .ok_or_else(|| Error::value("threads", "a positive integer", threads))?;
    threads::set_count(count);
    Ok(())
}

/// Returns pooled scratch memory to the system.
#[pyfunction]
pub(super) fn clear_buffers() {
    crate::machine::memory::clear_buffers();
}
