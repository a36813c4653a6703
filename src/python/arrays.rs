//! Arrays of NumPy: borrowed as they are where the engine can read them, copied where it cannot.

use numpy::npyffi::{
    NPY_ARRAY_ALIGNED, NPY_ARRAY_CARRAY_RO, NPY_ARRAY_ENSUREARRAY, NPY_ARRAY_ENSURECOPY,
    NPY_ARRAY_FORCECAST, NpyTypes, PY_ARRAY_API, PyArrayObject, get_type_object,
};
use numpy::{Element as NumpyElement, PyArrayDescr, PyArrayDescrMethods, PyUntypedArray};
use numpy::{PyUntypedArrayMethods, dtype};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::layers::sequence::Engine;
use crate::machine::memory::{View, ViewMut};

/// A type that both sides know.
pub(super) trait Number: Engine + NumpyElement {}
impl Number for f32 {}
impl Number for f64 {}

/// Loads what the binding needs of NumPy, so that no later call runs Python code for it.
pub(super) fn prepare(py: Python<'_>) -> PyResult<()> {
    New::<f32>::empty(py, &[1])?;
    for known in [dtype::<f32>(py), dtype::<f64>(py), dtype::<i64>(py), dtype::<bool>(py)] {
        known.is_native_byteorder();
    }
    Ok(())
}

/// An array `[batch, time, features]` that is kept alive and read in place. Other threads must not
/// write to it during a call, as with NumPy's own functions.
pub(super) struct Held<T> {
    /// Keeps the memory alive.
    _array: Py<PyUntypedArray>,
    at: *const T,
    shape: [usize; 3],
    strides: [isize; 2],
}

// SAFETY: the pointer is only read, through views that borrow `self`, which holds the array.
unsafe impl<T: Send> Send for Held<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Held<T> {}

impl<T> Held<T> {
    pub(super) fn view(&self) -> View<'_, T> {
        // SAFETY: the view borrows `self`.
        unsafe { self.lasting_view() }
    }

    /// The view for a caller that keeps `self` beside it.
    ///
    /// # Safety
    /// It is not read after `self` is dropped.
    pub(super) unsafe fn lasting_view<'a>(&self) -> View<'a, T> {
        // SAFETY: `hold` has checked that the array's memory is aligned and has this shape and
        // these strides; `_array` keeps it alive, and NumPy does not move an array's memory
        // while a reference to it is held.
        unsafe { View::from_raw(self.at, self.shape, self.strides) }
    }
}

/// How an array's axes become batch, time and features.
#[derive(Clone, Copy)]
pub(super) enum Axes {
    /// `[batch, time, features]`, or dropout's `[masks, batch, size]`.
    Three,
    /// `[batch, features]`, one step.
    Two,
    /// `[batch, time]`, one feature.
    Mask,
}

impl Axes {
    fn count(self) -> usize {
        if matches!(self, Self::Three) { 3 } else { 2 }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Three => "a three-dimensional array",
            Self::Two | Self::Mask => "a two-dimensional array",
        }
    }
}

/// Borrows `object`, or a copy of it where its features are not neighbours, it is not aligned, or
/// its byte order is foreign.
pub(super) fn hold<T: NumpyElement>(
    argument: &str,
    object: &Bound<'_, PyAny>,
    axes: Axes,
) -> PyResult<Held<T>> {
    let wanted = dtype::<T>(object.py());
    let array = array_of(argument, object, &wanted)?;
    if array.ndim() != axes.count() {
        return Err(PyValueError::new_err(format!(
            "`{argument}`: expected {}, received shape {:?}",
            axes.words(),
            array.shape()
        )));
    }
    if readable(array, &wanted, axes) {
        return Ok(borrowed(array, axes));
    }
    Ok(borrowed(&contiguous_copy(array, &wanted)?, axes))
}

/// `object` as an array of a dtype, in either byte order.
pub(super) fn array_of<'a, 'py>(
    argument: &str,
    object: &'a Bound<'py, PyAny>,
    wanted: &Bound<'py, PyArrayDescr>,
) -> PyResult<&'a Bound<'py, PyUntypedArray>> {
    let Ok(array) = object.cast::<PyUntypedArray>() else {
        let received = object.get_type().name()?;
        return Err(PyTypeError::new_err(format!(
            "`{argument}`: expected a NumPy array of dtype {wanted}, received {received}"
        )));
    };
    if !same_kind(&array.dtype(), wanted) {
        return Err(PyTypeError::new_err(format!(
            "`{argument}`: expected dtype {wanted}, received {}",
            array.dtype()
        )));
    }
    Ok(array)
}

pub(super) fn check_shape(
    argument: &str,
    array: &Bound<'_, PyUntypedArray>,
    shape: &[usize],
) -> PyResult<()> {
    if array.shape() == shape {
        return Ok(());
    }
    Err(PyValueError::new_err(format!(
        "`{argument}`: expected shape {shape:?}, received {:?}",
        array.shape()
    )))
}

/// Whether elements are of the wanted type, in either byte order. Type numbers are compared: NumPy's
/// own comparison can run Python code, and then hides what a signal handler raised.
pub(super) fn same_kind(given: &Bound<'_, PyArrayDescr>, wanted: &Bound<'_, PyArrayDescr>) -> bool {
    given.num() == wanted.num()
}

/// Whether an array holds `T`, in either byte order.
pub(super) fn holds<T: NumpyElement>(array: &Bound<'_, PyAny>) -> bool {
    let array = array.cast::<PyUntypedArray>();
    array.is_ok_and(|array| same_kind(&array.dtype(), &dtype::<T>(array.py())))
}

/// The elements of an array in C order: its own memory if they lie in that order, else a copy.
pub(super) struct Flat<T> {
    /// Keeps the memory alive.
    array: Py<PyUntypedArray>,
    at: *const T,
    len: usize,
}

impl<T> Flat<T> {
    pub(super) fn array<'py>(&self, py: Python<'py>) -> &Bound<'py, PyUntypedArray> {
        self.array.bind(py)
    }

    pub(super) fn elements(&self) -> &[T] {
        // SAFETY: `flat` has checked that the memory is aligned, C-contiguous and has `len`
        // elements of this type; `array` keeps it alive, and other threads must not write to it
        // during a call.
        unsafe { std::slice::from_raw_parts(self.at, self.len) }
    }
}

// SAFETY: the pointer is only read, through slices that borrow `self`, which holds the array.
unsafe impl<T: Send> Send for Flat<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Flat<T> {}

/// The elements of `array`, which must hold `T` and have `shape`.
pub(super) fn flat<T: NumpyElement>(
    argument: &str,
    array: &Bound<'_, PyAny>,
    shape: &[usize],
) -> PyResult<Flat<T>> {
    let wanted = dtype::<T>(array.py());
    let untyped = array_of(argument, array, &wanted)?;
    check_shape(argument, untyped, shape)?;
    let contiguous = if untyped.is_c_contiguous() && native_and_aligned(untyped) {
        untyped.clone()
    } else {
        contiguous_copy(untyped, &wanted)?
    };
    // SAFETY: the pointer is that of a live array object.
    let at = unsafe { (*contiguous.as_array_ptr()).fields.data }.cast::<T>().cast_const();
    // An empty array's pointer may be anything but null.
    let len = shape.iter().product();
    Ok(Flat { array: contiguous.unbind(), at, len })
}

pub(super) fn native_and_aligned(array: &Bound<'_, PyUntypedArray>) -> bool {
    // SAFETY: the pointer is that of a live array object.
    let flags = unsafe { (*array.as_array_ptr()).fields.flags };
    flags & NPY_ARRAY_ALIGNED != 0 && array.dtype().is_native_byteorder() != Some(false)
}

/// A C-contiguous copy of `array` in a dtype of native byte order.
pub(super) fn contiguous_copy<'py>(
    array: &Bound<'py, PyUntypedArray>,
    wanted: &Bound<'py, PyArrayDescr>,
) -> PyResult<Bound<'py, PyUntypedArray>> {
    let py = array.py();
    let flags = NPY_ARRAY_CARRAY_RO | NPY_ARRAY_ENSUREARRAY | NPY_ARRAY_ENSURECOPY;
    // SAFETY: both are live objects of their kinds; NumPy takes over a reference to the dtype. Null
    // means that an exception is set, which `from_owned_ptr_or_err` takes over.
    let copy = unsafe {
        let wanted = wanted.clone().into_dtype_ptr();
        let flags = flags | NPY_ARRAY_FORCECAST;
        let copy = PY_ARRAY_API.PyArray_FromArray(py, array.as_array_ptr(), wanted, flags);
        Bound::from_owned_ptr_or_err(py, copy)?
    };
    Ok(copy.cast_into::<PyUntypedArray>()?)
}

/// Borrows rows of features, `[..., *features]`, as `[rows, 1, features]`; copies them if they lie
/// otherwise. Also returns the lengths of the axes before the features.
pub(super) fn hold_rows<'a, T: NumpyElement>(
    argument: &str,
    object: &'a Bound<'_, PyAny>,
    features: &[usize],
) -> PyResult<(Held<T>, &'a [usize])> {
    let wanted = dtype::<T>(object.py());
    let array = array_of(argument, object, &wanted)?;
    let leading = match array.shape().strip_suffix(features) {
        Some(leading) if !leading.is_empty() => leading,
        _ => {
            return Err(PyValueError::new_err(format!(
                "`{argument}`: expected at least one axis before the final {features:?}, received \
                 shape {:?}",
                array.shape()
            )));
        }
    };
    if leading.len() == 1 && features.len() == 1 && readable(array, &wanted, Axes::Two) {
        return Ok((borrowed(array, Axes::Two), leading));
    }
    let array = if array.is_c_contiguous() && native_and_aligned(array) {
        array.clone()
    } else {
        contiguous_copy(array, &wanted)?
    };
    let width: usize = features.iter().product();
    let shape = [leading.iter().product(), 1, width];
    // SAFETY: the pointer is that of a live array object.
    let at = unsafe { (*array.as_array_ptr()).fields.data }.cast::<T>().cast_const();
    Ok((Held { _array: array.unbind(), at, shape, strides: [width.cast_signed(), 0] }, leading))
}

fn readable(
    array: &Bound<'_, PyUntypedArray>,
    wanted: &Bound<'_, PyArrayDescr>,
    axes: Axes,
) -> bool {
    let size = wanted.itemsize().cast_signed();
    let strides = array.strides();
    let features = array.shape().last().copied().unwrap_or(0);
    let neighbours = matches!(axes, Axes::Mask) || features <= 1 || strides.last() == Some(&size);
    native_and_aligned(array) && neighbours && strides.iter().all(|stride| stride % size == 0)
}

fn borrowed<T>(array: &Bound<'_, PyUntypedArray>, axes: Axes) -> Held<T> {
    let size = size_of::<T>().cast_signed();
    let (n, by) = (array.shape(), array.strides());
    let (shape, strides) = match axes {
        Axes::Three => ([n[0], n[1], n[2]], [by[0] / size, by[1] / size]),
        Axes::Two => ([n[0], 1, n[1]], [by[0] / size, 0]),
        Axes::Mask => ([n[0], n[1], 1], [by[0] / size, by[1] / size]),
    };
    // SAFETY: the pointer is that of a live array object.
    let at = unsafe { (*array.as_array_ptr()).fields.data }.cast::<T>().cast_const();
    Held { _array: array.clone().unbind(), at, shape, strides }
}

/// A new array, to be filled before anybody sees it.
pub(super) struct New<T> {
    array: Py<PyAny>,
    at: *mut T,
    len: usize,
}

// SAFETY: nobody else knows the array yet.
unsafe impl<T: Send> Send for New<T> {}

impl<T: Number> New<T> {
    /// An array of `shape`, allocated by NumPy.
    pub(super) fn empty(py: Python<'_>, shape: &[usize]) -> PyResult<Self> {
        let too_large = || {
            let shape = format!("{shape:?}");
            pyo3::exceptions::PyMemoryError::new_err(format!(
                "could not allocate an array of shape {shape}"
            ))
        };
        let sizes: Result<Vec<_>, _> = shape.iter().map(|&n| isize::try_from(n)).collect();
        let mut sizes = sizes.map_err(|_| too_large())?;
        let len = shape.iter().try_fold(1_usize, |product, &n| product.checked_mul(n));
        let len = len.ok_or_else(too_large)?;
        // SAFETY: a call of NumPy's C interface with a valid type number and sizes; null means that
        // an exception is set, which `from_owned_ptr_or_err` takes over.
        let array = unsafe {
            let class = get_type_object(py, NpyTypes::PyArray_Type);
            let array = PY_ARRAY_API.PyArray_New(
                py,
                class,
                i32::try_from(shape.len()).map_err(|_| too_large())?,
                sizes.as_mut_ptr(),
                dtype::<T>(py).num(),
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                0,
                0,
                std::ptr::null_mut(),
            );
            Bound::from_owned_ptr_or_err(py, array)?
        };
        // SAFETY: `PyArray_New` gave an array object.
        let raw = unsafe { &*array.as_ptr().cast::<PyArrayObject>() };
        Ok(Self { at: raw.fields.data.cast(), len, array: array.unbind() })
    }

    /// The elements, whose values are arbitrary: the engine writes them all. (Zeros first would cost
    /// the calling thread as much as a twentieth of a call whose work is shared out.)
    pub(super) fn elements(&mut self) -> &mut [T] {
        // SAFETY: the array has `len` elements, is C-contiguous, and nobody else has it. Its memory
        // comes from outside, through a pointer of which the compiler knows nothing, so its bits
        // are some bits; any are a valid `f32` or `f64` (`Element` is sealed).
        let elements = unsafe { std::slice::from_raw_parts_mut(self.at, self.len) };
        if cfg!(debug_assertions) {
            elements.fill(T::of(f64::NAN)); // so that tests see what was left out
        }
        elements
    }

    /// To be written as `[batch, time, features]`.
    pub(super) fn view(&mut self, shape: [usize; 3]) -> crate::error::Result<ViewMut<'_, T>> {
        ViewMut::contiguous(self.elements(), shape)
    }

    pub(super) fn finish(self) -> Py<PyAny> {
        self.array
    }

    /// The array, and where its elements are; to be written before anybody reads them.
    pub(super) fn into_parts(self) -> (Py<PyAny>, *mut T) {
        (self.array, self.at)
    }
}
