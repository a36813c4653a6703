//! Streams for Python: one call is one step of every layer.

use numpy::{PyArrayDescr, PyUntypedArray, dtype};
use pyo3::exceptions::{PyIndexError, PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::arrays::{Axes, New, Number, hold};
use super::guard::{away, caught};
use super::parts::{Streamed, parts};
use super::rows::{InputRows, Target, converted};
use super::weights::Either;
use crate::error::Error;
use crate::layers::embedding;
use crate::layers::stream;
use crate::machine::lists;

/// From this many multiply-adds on (some tens of microseconds) a step releases the interpreter's
/// lock: getting it back may take as long as another thread keeps it.
const DETACHED_WORK: usize = 1 << 20;

/// A chain of layers that takes one step per call and keeps its states.
#[pyclass(subclass, module = "ferrnn._core")]
pub(super) struct Stream(Either<Chain<f32>, Chain<f64>>);

struct Chain<T: Number> {
    stream: stream::Stream<T>,
    dtype: Py<PyArrayDescr>,
    /// The step's ids, in a stream of ids.
    ids: Vec<i64>,
}

fn busy() -> PyErr {
    PyRuntimeError::new_err(
        "the stream is in use by another thread; a stream computes one step at a time, so give \
         each thread its own `stream.copy()`",
    )
}

impl<T: Streamed> Chain<T> {
    fn new(parts: &Bound<'_, PyList>, features: usize, streams: usize) -> PyResult<Self> {
        let stream = stream::Stream::new(None, &self::parts(parts)?, features, streams)?;
        Ok(Self { stream, dtype: dtype::<T>(parts.py()).unbind(), ids: lists::filled(0, streams)? })
    }

    fn step<'py>(
        &mut self,
        inputs: &Bound<'py, PyAny>,
        out: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if self.stream.ids().is_some() {
            return self.step_ids(inputs, out);
        }
        let py = inputs.py();
        let stream = &mut self.stream;
        let wanted = self.dtype.bind(py);
        let copied;
        let rows = if let Some(rows) = InputRows::<T>::of(inputs, wanted) {
            rows
        } else {
            copied = converted(inputs, wanted, "real numbers")?;
            InputRows::of(&copied, wanted)
                .ok_or_else(|| PyTypeError::new_err("`inputs`: no array"))?
        };
        let (streams, units) = (stream.streams(), stream.units());
        let flat = rows.check(streams, stream.features())?;
        let mut target = match out {
            Some(out) => Target::<T>::given(out, wanted, flat, [streams, units], rows.extent())?,
            None => Target::<T>::new(py, flat, [streams, units])?,
        };
        for row in 0..streams {
            rows.copy(row, stream.inputs(row));
        }
        self.advance(py, &mut target);
        Ok(target.finish())
    }

    fn advance(&mut self, py: Python<'_>, target: &mut Target<'_, T>) {
        let stream = &mut self.stream;
        if stream.work() < DETACHED_WORK {
            stream.advance();
        } else {
            away(py, || stream.advance());
        }
        for row in 0..stream.streams() {
            target.copy(row, stream.outputs(row));
        }
    }

    /// A step of a stream of ids.
    fn step_ids<'py>(
        &mut self,
        inputs: &Bound<'py, PyAny>,
        out: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = inputs.py();
        let flat = self.read_ids(inputs)?;
        let stream = &mut self.stream;
        embedding::check("inputs", &self.ids, stream.ids().unwrap_or(0))?;
        let shape = [stream.streams(), stream.units()];
        let mut target = match out {
            // The ids are copied before anything is written.
            Some(out) => Target::<T>::given(out, self.dtype.bind(py), flat, shape, (0, 0))?,
            None => Target::<T>::new(py, flat, shape)?,
        };
        for (row, &id) in self.ids.iter().enumerate() {
            stream.set_id(row, id.cast_unsigned() as usize);
        }
        self.advance(py, &mut target);
        Ok(target.finish())
    }

    /// Fills `ids`; returns whether there is one without an axis.
    fn read_ids(&mut self, inputs: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = inputs.py();
        let streams = self.stream.streams();
        if streams == 1
            && !inputs.is_instance_of::<PyUntypedArray>()
            && let Ok(id) = inputs.extract::<i64>()
        {
            self.ids[0] = id;
            return Ok(true);
        }
        let wanted = dtype::<i64>(py);
        let copied;
        let rows = if let Some(rows) = InputRows::<i64>::of(inputs, &wanted) {
            rows
        } else {
            copied = converted(inputs, &wanted, "ids, which are integers")?;
            InputRows::of(&copied, &wanted)
                .ok_or_else(|| PyTypeError::new_err("`inputs`: no array"))?
        };
        let flat = rows.check_ids(streams)?;
        rows.copy(0, &mut self.ids);
        Ok(flat)
    }

    fn read<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let stream = &mut self.stream;
        let streams = stream.streams();
        let mut arrays = Vec::new();
        for (state, units) in stream.state_sizes().to_vec().into_iter().enumerate() {
            let mut array = New::<T>::empty(py, &[streams, units])?;
            for (row, to) in array.elements().chunks_exact_mut(units).enumerate() {
                stream.read_state(state, row, to);
            }
            arrays.push(array.finish());
        }
        PyTuple::new(py, arrays)
    }

    fn write(&mut self, arrays: &[Bound<'_, PyAny>]) -> PyResult<()> {
        let streams = self.stream.streams();
        let sizes = self.stream.state_sizes().to_vec();
        if arrays.len() != sizes.len() {
            let expected = format!("{} arrays", sizes.len());
            return Err(Error::value("states", expected, arrays.len()).into());
        }
        let held = arrays.iter().map(|array| hold::<T>("states", array, Axes::Two));
        let held = held.collect::<PyResult<Vec<_>>>()?;
        for (held, &units) in held.iter().zip(&sizes) {
            if held.view().shape() != [streams, 1, units] {
                let [rows, _, received] = held.view().shape();
                return Err(Error::shape("states", [streams, units], [rows, received]).into());
            }
        }
        for (state, held) in held.iter().enumerate() {
            for row in 0..streams {
                self.stream.write_state(state, row, held.view().row(row, 0));
            }
        }
        Ok(())
    }

    fn reset(&mut self, rows: Option<Vec<isize>>) -> PyResult<()> {
        let streams = self.stream.streams();
        let Some(rows) = rows else {
            for row in 0..streams {
                self.stream.reset(row);
            }
            return Ok(());
        };
        let place = |row: isize| {
            let place = if row < 0 { row + streams.cast_signed() } else { row };
            usize::try_from(place).ok().filter(|&place| place < streams).ok_or_else(|| {
                PyIndexError::new_err(format!(
                    "`rows`: expected row numbers from -{streams} to {}, received {row}",
                    streams - 1
                ))
            })
        };
        let places = rows.into_iter().map(place).collect::<PyResult<Vec<_>>>()?;
        for row in places {
            self.stream.reset(row);
        }
        Ok(())
    }
}

/// Does the same for either dtype.
macro_rules! either {
    ($chain:expr, $typed:ident => $body:expr) => {
        match $chain {
            Either::F32($typed) => $body,
            Either::F64($typed) => $body,
        }
    };
}

#[pymethods]
impl Stream {
    #[new]
    #[pyo3(signature = (parts, features, streams=1, double=false))]
    fn new(
        parts: &Bound<'_, PyList>,
        features: usize,
        streams: usize,
        double: bool,
    ) -> PyResult<Self> {
        caught(|| {
            Ok(Self(if double {
                Either::F64(Chain::new(parts, features, streams)?)
            } else {
                Either::F32(Chain::new(parts, features, streams)?)
            }))
        })
    }

    /// One step of every layer.
    #[pyo3(signature = (inputs, out=None))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        inputs: &Bound<'py, PyAny>,
        out: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        caught(|| {
            let mut stream = slf.try_borrow_mut().map_err(|_| busy())?;
            either!(&mut stream.0, chain => chain.step(inputs, out))
        })
    }

    /// Copies of the states.
    #[pyo3(name = "_read_states")]
    fn read_states<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        caught(|| {
            let mut stream = slf.try_borrow_mut().map_err(|_| busy())?;
            either!(&mut stream.0, chain => chain.read(slf.py()))
        })
    }

    /// Sets the states.
    #[allow(clippy::needless_pass_by_value, reason = "it is taken out of a sequence")]
    #[pyo3(name = "_write_states")]
    fn write_states(slf: &Bound<'_, Self>, states: Vec<Bound<'_, PyAny>>) -> PyResult<()> {
        caught(|| {
            let mut stream = slf.try_borrow_mut().map_err(|_| busy())?;
            either!(&mut stream.0, chain => chain.write(&states))
        })
    }

    /// Changes the number of streams, all of which start from zero states; `parts` are those it was
    /// made of.
    #[pyo3(name = "_resize")]
    fn resize(slf: &Bound<'_, Self>, parts: &Bound<'_, PyList>, streams: usize) -> PyResult<()> {
        caught(|| {
            let mut stream = slf.try_borrow_mut().map_err(|_| busy())?;
            either!(&mut stream.0, chain => {
                let features = chain.stream.features();
                *chain = Chain::new(parts, features, streams)?;
                Ok(())
            })
        })
    }

    /// Sets the states of all rows, or of some, to zero.
    #[pyo3(name = "_reset", signature = (rows=None))]
    fn reset(slf: &Bound<'_, Self>, rows: Option<Vec<isize>>) -> PyResult<()> {
        caught(|| {
            let mut stream = slf.try_borrow_mut().map_err(|_| busy())?;
            either!(&mut stream.0, chain => chain.reset(rows))
        })
    }

    #[getter]
    fn streams(slf: &Bound<'_, Self>) -> PyResult<usize> {
        let stream = slf.try_borrow().map_err(|_| busy())?;
        Ok(either!(&stream.0, chain => chain.stream.streams()))
    }

    /// The number of ids there are, if the stream takes ids; else None.
    #[getter]
    fn ids(slf: &Bound<'_, Self>) -> PyResult<Option<usize>> {
        let stream = slf.try_borrow().map_err(|_| busy())?;
        Ok(either!(&stream.0, chain => chain.stream.ids()))
    }

    #[getter]
    fn features(slf: &Bound<'_, Self>) -> PyResult<usize> {
        let stream = slf.try_borrow().map_err(|_| busy())?;
        Ok(either!(&stream.0, chain => chain.stream.features()))
    }

    #[getter]
    fn units(slf: &Bound<'_, Self>) -> PyResult<usize> {
        let stream = slf.try_borrow().map_err(|_| busy())?;
        Ok(either!(&stream.0, chain => chain.stream.units()))
    }
}
