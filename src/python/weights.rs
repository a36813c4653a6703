//! Packed weights for Python.

use std::sync::Arc;

use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use super::arrays::{Flat, Number, flat, holds};
use super::guard::caught;
use crate::cells::{CellKind, Layout};
use crate::error::Error;
use crate::kernels::activation::Activation;
use crate::layers::sequence::{self, Options, Precision, Raw};
use crate::machine::simd::Element;

/// One of two, by dtype.
pub(super) enum Either<A, B> {
    F32(A),
    F64(B),
}

/// One recurrent cell's weights, packed for this machine; frozen.
#[pyclass(frozen, module = "ferrnn._core")]
pub(super) struct Weights(pub(super) Either<Packed<f32>, Packed<f64>>);

/// Packed weights and their shapes as Keras has them.
pub(super) struct Packed<T: Element> {
    pub(super) weights: Arc<sequence::Weights<T>>,
    pub(super) gates: usize,
    pub(super) double_bias: bool,
    /// Vectors of weights of each unit alone.
    pub(super) vectors: usize,
}

/// The shape of an array of two axes.
pub(super) fn matrix_shape(argument: &str, array: &Bound<'_, PyAny>) -> PyResult<[usize; 2]> {
    let Ok(array) = array.cast::<PyUntypedArray>() else {
        return Err(PyTypeError::new_err(format!(
            "`{argument}`: expected a NumPy array, received {}",
            array.get_type().name()?
        )));
    };
    match *array.shape() {
        [rows, columns] => Ok([rows, columns]),
        ref shape => Err(pyo3::exceptions::PyValueError::new_err(format!(
            "`{argument}`: expected a two-dimensional array, received shape {shape:?}"
        ))),
    }
}

/// Whether a float array is of double precision; an error if it is of neither.
pub(super) fn is_double(argument: &str, array: &Bound<'_, PyAny>) -> PyResult<bool> {
    if holds::<f64>(array) || holds::<f32>(array) {
        return Ok(holds::<f64>(array));
    }
    let received = match array.cast::<PyUntypedArray>() {
        Ok(array) => array.dtype().to_string(),
        Err(_) => array.get_type().name()?.to_string(),
    };
    Err(PyTypeError::new_err(format!(
        "`{argument}`: expected a NumPy array of dtype float32 or float64, received {received}"
    )))
}

/// The number of units, from a cell's arrays: the recurrent kernel, or the vectors of a cell that
/// has no recurrent product.
fn units(
    layout: &Layout,
    recurrent_kernel: Option<&Bound<'_, PyAny>>,
    vectors: Option<&Bound<'_, PyAny>>,
    projection: Option<&Bound<'_, PyAny>>,
) -> PyResult<usize> {
    let refused = |argument, expected: String, received: String| {
        Err(Error::Shape { argument, expected, received }.into())
    };
    if layout.recurrent() == 0 {
        if recurrent_kernel.is_some() {
            let expected = "None, because the cell has no recurrent product";
            return Err(Error::kind("recurrent_kernel", expected, "an array").into());
        }
        let Some(vectors) = vectors else {
            return refused("vectors", format!("[{}, units]", layout.vectors), "None".to_owned());
        };
        return Ok(matrix_shape("vectors", vectors)?[1]);
    }
    let expected = format!("[units, {} * units]", layout.gates);
    let Some(recurrent_kernel) = recurrent_kernel else {
        return refused("recurrent_kernel", expected, "None".to_owned());
    };
    let [rows, columns] = matrix_shape("recurrent_kernel", recurrent_kernel)?;
    let (units, expected) = match projection {
        None => (rows, expected),
        Some(projection) => {
            let [units, outputs] = matrix_shape("projection", projection)?;
            let expected = format!("[{outputs}, {}]", layout.gates.saturating_mul(units));
            (if rows == outputs { units } else { 0 }, expected)
        }
    };
    if columns != layout.gates.saturating_mul(units) {
        return refused("recurrent_kernel", expected, format!("[{rows}, {columns}]"));
    }
    Ok(units)
}

/// The arrays of a cell's weights, as Python has them.
struct Given<'a, 'py> {
    kernel: &'a Bound<'py, PyAny>,
    recurrent_kernel: Option<&'a Bound<'py, PyAny>>,
    bias: Option<&'a Bound<'py, PyAny>>,
    vectors: Option<&'a Bound<'py, PyAny>>,
    projection: Option<&'a Bound<'py, PyAny>>,
}

impl<T: Number> Packed<T> {
    fn new(cell: CellKind, options: Options, given: &Given<'_, '_>) -> PyResult<Self> {
        let &Given { kernel, recurrent_kernel, bias, vectors, projection } = given;
        let layout = cell.layout();
        let [features, _] = matrix_shape("kernel", kernel)?;
        let units = units(&layout, recurrent_kernel, vectors, projection)?;
        let columns = layout.gates.saturating_mul(units);
        let kernel = flat::<T>("kernel", kernel, &[features, columns])?;
        let outputs = match projection {
            Some(projection) => matrix_shape("projection", projection)?[1],
            None => units,
        };
        let projection = projection.map(|each| flat::<T>("projection", each, &[units, outputs]));
        let projection = projection.transpose()?;
        let recurrent = recurrent_kernel
            .map(|array| flat::<T>("recurrent_kernel", array, &[outputs, columns]))
            .transpose()?;
        let bias_shape: &[usize] = if layout.recurrent_bias { &[2, columns] } else { &[columns] };
        let bias = bias.map(|bias| flat::<T>("bias", bias, bias_shape)).transpose()?;
        let vectors = vectors.map(|each| flat::<T>("vectors", each, &[layout.vectors, units]));
        let vectors = vectors.transpose()?;
        let raw = Raw {
            kernel: kernel.elements(),
            recurrent_kernel: recurrent.as_ref().map_or(&[], Flat::elements),
            vectors: vectors.as_ref().map_or(&[], Flat::elements),
            bias: bias.as_ref().map(Flat::elements),
            projection: projection.as_ref().map(Flat::elements),
        };
        let weights = sequence::Weights::new(cell, options, features, units, raw)?;
        Ok(Self {
            weights: Arc::new(weights),
            gates: layout.gates,
            double_bias: layout.recurrent_bias,
            vectors: layout.vectors,
        })
    }
}

#[pymethods]
impl Weights {
    #[new]
    #[pyo3(signature = (cell, kernel, recurrent_kernel, bias=None, activation="tanh",
        recurrent_activation="sigmoid", reset_after=true, precision="full", vectors=None,
        clip=None, recurrent_clip=None, projection=None))]
    #[allow(clippy::too_many_arguments, reason = "they are Python's keywords")]
    fn new(
        cell: &str,
        kernel: &Bound<'_, PyAny>,
        recurrent_kernel: Option<&Bound<'_, PyAny>>,
        bias: Option<&Bound<'_, PyAny>>,
        activation: &str,
        recurrent_activation: &str,
        reset_after: bool,
        precision: &str,
        vectors: Option<&Bound<'_, PyAny>>,
        clip: Option<f64>,
        recurrent_clip: Option<f64>,
        projection: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        caught(|| {
            let precision = Precision::named(precision)?;
            let cell = match CellKind::named(cell)? {
                CellKind::Gru if !reset_after => CellKind::GruResetBefore,
                cell => cell,
            };
            let options = Options {
                activation: Activation::named("activation", activation)?,
                recurrent_activation: Activation::named(
                    "recurrent_activation",
                    recurrent_activation,
                )?,
                clip,
                recurrent_clip,
                level: None,
                precision,
            };
            let given = Given { kernel, recurrent_kernel, bias, vectors, projection };
            Ok(Self(if is_double("kernel", kernel)? {
                Either::F64(Packed::new(cell, options, &given)?)
            } else {
                Either::F32(Packed::new(cell, options, &given)?)
            }))
        })
    }

    #[getter]
    fn features(&self) -> usize {
        match &self.0 {
            Either::F32(packed) => packed.weights.features(),
            Either::F64(packed) => packed.weights.features(),
        }
    }

    #[getter]
    fn units(&self) -> usize {
        match &self.0 {
            Either::F32(packed) => packed.weights.units(),
            Either::F64(packed) => packed.weights.units(),
        }
    }
}
