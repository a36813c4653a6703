//! NumPy arrays that are written in place, and those that are read meanwhile.

use numpy::PyUntypedArrayMethods;
use numpy::npyffi::NPY_ARRAY_WRITEABLE;
use numpy::{Element as NumpyElement, PyUntypedArray, dtype};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use super::arrays::{
    Flat, array_of, check_shape, contiguous_copy, flat, native_and_aligned, same_kind,
};

/// A C-contiguous array that is kept alive and written in place. Other threads must not use it
/// during a call, as with NumPy's own functions.
pub(super) struct Written<T> {
    /// Keeps the memory alive.
    _array: Py<PyUntypedArray>,
    at: *mut T,
    len: usize,
}

impl<T> Written<T> {
    /// Where its memory begins and ends.
    pub(super) fn span(&self) -> (usize, usize) {
        span(self.at, self.len)
    }

    pub(super) fn elements(&mut self) -> &mut [T] {
        // SAFETY: `written` has checked that the memory is aligned, C-contiguous, writeable and has
        // `len` elements of this type; `_array` keeps it alive, and `Spans::new` has checked that
        // nothing else which a call writes shares it, `Spans::clear` nothing that it reads.
        unsafe { std::slice::from_raw_parts_mut(self.at, self.len) }
    }
}

/// Borrows `array`, which must hold `T` and have `shape`, to be written.
pub(super) fn written<T: NumpyElement>(
    argument: &str,
    array: &Bound<'_, PyAny>,
    shape: &[usize],
) -> PyResult<Written<T>> {
    let wanted = dtype::<T>(array.py());
    let untyped = array_of(argument, array, &wanted)?;
    check_shape(argument, untyped, shape)?;
    // SAFETY: the pointer is that of a live array object.
    let fields = unsafe { &(*untyped.as_array_ptr()).fields };
    let writeable = fields.flags & NPY_ARRAY_WRITEABLE != 0;
    if !(writeable && untyped.is_c_contiguous() && native_and_aligned(untyped)) {
        return Err(PyValueError::new_err(format!(
            "`{argument}`: expected a writeable C-contiguous array in native byte order, received one \
             that is not"
        )));
    }
    let (at, len) = (fields.data.cast::<T>(), shape.iter().product());
    Ok(Written { _array: untyped.clone().unbind(), at, len })
}

/// `array` as an array object.
pub(super) fn an_array<'a, 'py>(
    argument: &str,
    array: &'a Bound<'py, PyAny>,
) -> PyResult<&'a Bound<'py, PyUntypedArray>> {
    array.cast::<PyUntypedArray>().map_err(|_| match array.get_type().name() {
        Ok(received) => PyTypeError::new_err(format!(
            "`{argument}`: expected a NumPy array, received {received}"
        )),
        Err(error) => error,
    })
}

/// A NumPy scalar as an array without axes: sums of such arrays are scalars.
pub(super) fn as_array<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let number = object.cast::<PyUntypedArray>().is_err() && object.hasattr("dtype")?;
    if number {
        return object.py().import("numpy")?.call_method1("asarray", (object,));
    }
    Ok(object.clone())
}

/// The elements of `array` as `T`, whatever number type it holds.
pub(super) fn cast<T: NumpyElement>(
    argument: &str,
    array: &Bound<'_, PyAny>,
    shape: &[usize],
) -> PyResult<Flat<T>> {
    let wanted = dtype::<T>(array.py());
    let array = as_array(array)?;
    let untyped = an_array(argument, &array)?;
    if same_kind(&untyped.dtype(), &wanted) {
        return flat(argument, &array, shape);
    }
    flat(argument, contiguous_copy(untyped, &wanted)?.as_any(), shape)
}

/// Stretches of memory that are written in one call, in order.
pub(super) struct Spans(Vec<(usize, usize)>);

impl Spans {
    /// The memory of `single` and `double`.
    ///
    /// # Errors
    /// If two arrays share memory.
    pub(super) fn new<'a>(
        single: impl Iterator<Item = &'a Written<f32>>,
        double: impl Iterator<Item = &'a Written<f64>>,
    ) -> PyResult<Self> {
        Self::of(single.map(Written::span).chain(double.map(Written::span)))
    }

    /// Stretches of memory.
    ///
    /// # Errors
    /// If two share some of it.
    pub(super) fn of(spans: impl Iterator<Item = (usize, usize)>) -> PyResult<Self> {
        Self::apart(spans.collect())
    }

    // Compiled once, whatever the spans come from.
    fn apart(mut spans: Vec<(usize, usize)>) -> PyResult<Self> {
        spans.retain(|(start, end)| start < end);
        spans.sort_unstable();
        if spans.windows(2).any(|pair| pair[1].0 < pair[0].1) {
            return Err(PyValueError::new_err(
                "`weights` and slots: expected separate arrays, received arrays that share memory",
            ));
        }
        Ok(Self(spans))
    }

    /// Makes a copy of an array that would be written while it is read.
    pub(super) fn clear<T: NumpyElement>(
        &self,
        py: Python<'_>,
        read: Flat<T>,
    ) -> PyResult<Flat<T>> {
        let (start, end) = span(read.elements().as_ptr(), read.elements().len());
        let next = self.0.partition_point(|&(_, other)| other <= start);
        if self.0.get(next).is_none_or(|&(first, _)| first >= end) {
            return Ok(read);
        }
        let array = read.array(py);
        let shape = array.shape().to_vec();
        flat("gradients", contiguous_copy(array, &dtype::<T>(py))?.as_any(), &shape)
    }
}

fn span<T>(at: *const T, len: usize) -> (usize, usize) {
    (at.addr(), at.addr() + len * size_of::<T>())
}
