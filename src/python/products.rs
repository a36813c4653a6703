//! Products of matrices for Python.

use numpy::PyUntypedArrayMethods;
use pyo3::prelude::*;

use super::arrays::{Flat, New, Number, flat};
use super::guard::{caught, detached};
use super::weights::is_double;
use super::written::an_array;
use crate::error::{Error, Result};
use crate::layers::products::{Matrix, multiply};
use crate::machine::threads::Ask;

type Array<'a, 'py> = &'a Bound<'py, PyAny>;

/// `left · right` for each sample, of arrays `[samples, rows, columns]`; what is `turned` stands for its
/// transpose.
#[pyfunction]
#[pyo3(signature = (left, right, turned=(false, false)))]
pub(super) fn products(
    left: Array<'_, '_>,
    right: Array<'_, '_>,
    turned: (bool, bool),
) -> PyResult<Py<PyAny>> {
    caught(|| {
        if is_double("left", an_array("left", left)?)? {
            product::<f64>(left, right, turned)
        } else {
            product::<f32>(left, right, turned)
        }
    })
}

fn product<T: Number>(
    left: Array<'_, '_>,
    right: Array<'_, '_>,
    turned: (bool, bool),
) -> PyResult<Py<PyAny>> {
    let py = left.py();
    let (one, [samples, rows, columns]) = read::<T>("left", left)?;
    let left = Matrix::new(one.elements(), [rows, columns], turned.0);
    let (other, [_, rows, columns]) = read::<T>("right", right)?;
    let right = Matrix::new(other.elements(), [rows, columns], turned.1);
    let mut made = New::<T>::empty(py, &[samples, left.used()[0], right.used()[1]])?;
    let to = made.elements();
    apart(py, &mut |stop| multiply(samples, left, right, to, stop))?;
    Ok(made.finish())
}

/// Without the interpreter's lock; compiled once for both types.
#[inline(never)]
fn apart(py: Python<'_>, compute: &mut (dyn FnMut(Ask<'_>) -> Result<()> + Send)) -> PyResult<()> {
    detached(py, |stop| compute(stop))
}

#[inline(never)]
fn read<T: Number>(
    argument: &'static str,
    array: Array<'_, '_>,
) -> PyResult<(Flat<T>, [usize; 3])> {
    let shape = an_array(argument, array)?.shape();
    let wanted = |_| Error::value(argument, "a three-dimensional array", shape);
    let axes: [usize; 3] = shape.try_into().map_err(wanted)?;
    Ok((flat(argument, array, &axes)?, axes))
}
