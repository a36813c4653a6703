//! A step's inputs and outputs, read and written where NumPy has them: no table of borrows, no
//! allocation unless an array must be made.

use std::marker::PhantomData;

use numpy::npyffi::{
    NPY_ARRAY_ALIGNED, NPY_ARRAY_C_CONTIGUOUS, NPY_ARRAY_WRITEABLE, PyArrayObject_fields,
};
use numpy::{PyArrayDescr, PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::arrays::{New, Number, same_kind};

/// What NumPy knows about an array.
fn fields<'a>(object: &'a Bound<'_, PyAny>) -> Option<&'a PyArrayObject_fields> {
    let array = object.cast::<PyUntypedArray>().ok()?;
    // SAFETY: the pointer is that of an array object, which `object` keeps alive.
    Some(unsafe { &(*array.as_array_ptr()).fields })
}

/// The lengths of an array's axes, and the bytes between neighbours on each.
fn shape_of(fields: &PyArrayObject_fields) -> (&[isize], &[isize]) {
    let axes = usize::try_from(fields.nd).unwrap_or(0);
    if axes == 0 {
        return (&[], &[]);
    }
    // SAFETY: NumPy keeps as many lengths and strides as the array has axes.
    unsafe {
        (
            std::slice::from_raw_parts(fields.dimensions, axes),
            std::slice::from_raw_parts(fields.strides, axes),
        )
    }
}

/// Whether an array's elements are of the wanted type. NumPy holds one object for each native
/// dtype; but an array from a pickle has another one.
fn is_of(
    object: &Bound<'_, PyAny>,
    fields: &PyArrayObject_fields,
    wanted: &Bound<'_, PyArrayDescr>,
) -> bool {
    std::ptr::eq(fields.descr.cast(), wanted.as_ptr())
        || object.cast::<PyUntypedArray>().is_ok_and(|array| {
            let given = array.dtype();
            same_kind(&given, wanted) && given.is_native_byteorder() != Some(false)
        })
}

/// Inputs `[features]` or `[streams, features]`, features side by side, read in place.
pub(super) struct InputRows<'a, T> {
    at: *const u8,
    shape: &'a [isize],
    strides: &'a [isize],
    elements: PhantomData<&'a [T]>,
}

impl<'a, T: Copy> InputRows<'a, T> {
    /// The array, if it can be read as it is.
    pub(super) fn of(
        object: &'a Bound<'_, PyAny>,
        wanted: &Bound<'_, PyArrayDescr>,
    ) -> Option<Self> {
        let fields = fields(object)?;
        let (shape, strides) = shape_of(fields);
        let same = is_of(object, fields, wanted);
        // A shape without features is for `check` to refuse.
        let close = matches!(shape.last(), None | Some(0 | 1))
            || strides.last() == Some(&size_of::<T>().cast_signed());
        let readable = same && close && fields.flags & NPY_ARRAY_ALIGNED != 0;
        let at = fields.data.cast::<u8>().cast_const();
        readable.then_some(Self { at, shape, strides, elements: PhantomData })
    }

    /// Whether there is one row without an axis for rows; an error if the shape does not fit.
    pub(super) fn check(&self, streams: usize, features: usize) -> PyResult<bool> {
        match *self.shape {
            [size] if size.cast_unsigned() == features && streams == 1 => Ok(true),
            [rows, size] if size.cast_unsigned() == features && rows.cast_unsigned() == streams => {
                Ok(false)
            }
            ref received => {
                let one = if streams == 1 { format!("({features},) or ") } else { String::new() };
                Err(PyValueError::new_err(format!(
                    "`inputs`: expected the shape {one}({streams}, {features}), received {}",
                    tuple(received)
                )))
            }
        }
    }

    /// Copies one row; to be called after `check`.
    pub(super) fn copy(&self, row: usize, to: &mut [T]) {
        let between = if self.strides.len() > 1 { self.strides[0] } else { 0 };
        // SAFETY: `of` has found aligned elements side by side, `check` as many as `to` takes and a
        // row of this number; the array is alive, and the interpreter's lock, which is not released
        // until the rows are copied, keeps others from writing.
        let from = unsafe {
            let at = self.at.offset(row.cast_signed() * between).cast::<T>();
            std::slice::from_raw_parts(at, to.len())
        };
        to.copy_from_slice(from);
    }

    /// Whether these are the ids of all streams: `[streams]`, or one without an axis (then true); an
    /// error if they are not.
    pub(super) fn check_ids(&self, streams: usize) -> PyResult<bool> {
        match *self.shape {
            [] if streams == 1 => Ok(true),
            [rows] if rows.cast_unsigned() == streams => Ok(false),
            ref received => {
                let one = if streams == 1 { "() or " } else { "" };
                Err(PyValueError::new_err(format!(
                    "`inputs`: expected ids of the shape {one}({streams},), received {}",
                    tuple(received)
                )))
            }
        }
    }

    /// The addresses that hold the rows.
    pub(super) fn extent(&self) -> (usize, usize) {
        let (mut low, mut high) = (self.at as usize, self.at as usize + size_of::<T>());
        for (&length, &stride) in self.shape.iter().zip(self.strides) {
            let reach = (length - 1).max(0) * stride;
            low = low.wrapping_add_signed(reach.min(0));
            high = high.wrapping_add_signed(reach.max(0));
        }
        (low, high)
    }
}

/// Where a step's outputs go.
pub(super) struct Target<'py, T> {
    object: Bound<'py, PyAny>,
    at: *mut T,
    units: usize,
}

impl<'py, T: Number> Target<'py, T> {
    /// A new array.
    pub(super) fn new(py: Python<'py>, flat: bool, [streams, units]: [usize; 2]) -> PyResult<Self> {
        let shape = [streams, units];
        let (object, at) = New::<T>::empty(py, &shape[usize::from(flat)..])?.into_parts();
        Ok(Self { object: object.into_bound(py), at, units })
    }

    /// The caller's array, which must not reach into the addresses `low..high` of the inputs.
    pub(super) fn given(
        object: &Bound<'py, PyAny>,
        wanted: &Bound<'py, PyArrayDescr>,
        flat: bool,
        [streams, units]: [usize; 2],
        (low, high): (usize, usize),
    ) -> PyResult<Self> {
        let Some(fields) = fields(object) else {
            return Err(PyTypeError::new_err(format!(
                "`out`: expected a NumPy array, received {}",
                object.get_type().name()?
            )));
        };
        if !is_of(object, fields, wanted) {
            return Err(PyTypeError::new_err(format!(
                "`out`: expected dtype {wanted}, received {}",
                object.getattr("dtype")?.repr()?
            )));
        }
        let (shape, _) = shape_of(fields);
        let expected = [streams.cast_signed(), units.cast_signed()];
        if *shape != expected[usize::from(flat)..] {
            return Err(PyValueError::new_err(format!(
                "`out`: expected the shape {}, received {}",
                tuple(&expected[usize::from(flat)..]),
                tuple(shape)
            )));
        }
        for (flag, word) in [
            (NPY_ARRAY_WRITEABLE, "writeable"),
            (NPY_ARRAY_C_CONTIGUOUS, "C-contiguous"),
            (NPY_ARRAY_ALIGNED, "aligned"),
        ] {
            if fields.flags & flag == 0 {
                return Err(PyValueError::new_err(format!(
                    "`out`: expected an array that is {word}, received one that is not"
                )));
            }
        }
        let at = fields.data.cast::<T>();
        if (at as usize) < high && low < at as usize + size_of::<T>() * streams * units {
            return Err(PyValueError::new_err(
                "`out`: expected an array apart from `inputs`, received one that overlaps it",
            ));
        }
        Ok(Self { object: object.clone(), at, units })
    }

    /// Sets one row.
    pub(super) fn copy(&mut self, row: usize, from: &[T]) {
        debug_assert_eq!(from.len(), self.units);
        // SAFETY: the array is contiguous, aligned, writeable and has this row, as `given` has
        // checked or `new` made it; the interpreter's lock is held. `from` is the engine's memory.
        unsafe {
            self.at.add(row * self.units).copy_from_nonoverlapping(from.as_ptr(), self.units);
        }
    }

    pub(super) fn finish(self) -> Bound<'py, PyAny> {
        self.object
    }
}

/// A shape as Python prints it.
fn tuple(shape: &[isize]) -> String {
    let lengths: Vec<_> = shape.iter().map(isize::to_string).collect();
    let comma = if shape.len() == 1 { "," } else { "" };
    format!("({}{comma})", lengths.join(", "))
}

/// `inputs` as a contiguous array of the wanted dtype: whatever NumPy can read as `numbers`.
pub(super) fn converted<'py>(
    inputs: &Bound<'py, PyAny>,
    wanted: &Bound<'py, PyArrayDescr>,
    numbers: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let py = inputs.py();
    let numpy = py.import("numpy")?;
    let array = numpy.call_method1("asarray", (inputs,))?;
    let dtype = array.getattr("dtype")?;
    if !"fiub".contains(&dtype.getattr("kind")?.extract::<String>()?) {
        return Err(PyTypeError::new_err(format!(
            "`inputs`: expected {numbers}, received dtype {dtype}"
        )));
    }
    let kwargs = PyDict::new(py);
    kwargs.set_item("dtype", wanted)?;
    kwargs.set_item("order", "C")?;
    numpy.call_method("array", (array,), Some(&kwargs))
}
