//! Packed weights for Python.

use std::sync::Arc;

use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use super::arrays::{Flat, Number, flat, holds};
use super::guard::caught;
use crate::cells::CellKind;
use crate::error::Error;
use crate::kernels::activation::Activation;
use crate::layers::sequence::{self, Options, Raw};
use crate::machine::simd::Element;

/// One of two, by dtype.
pub(super) enum Either<A, B> {
    F32(A),
    F64(B),
}

/// One recurrent cell's weights, packed for this machine; frozen.
#[pyclass(frozen, module = "ferrnn._core")]
pub(super) struct Weights(pub(super) Either<Packed<f32>, Packed<f64>>);

/// Packed weights and what Keras calls their shapes.
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

impl<T: Number> Packed<T> {
    fn new(
        cell: CellKind,
        options: Options,
        kernel: &Bound<'_, PyAny>,
        recurrent_kernel: &Bound<'_, PyAny>,
        bias: Option<&Bound<'_, PyAny>>,
        vectors: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let layout = cell.layout();
        let [features, _] = matrix_shape("kernel", kernel)?;
        let [units, recurrent_columns] = matrix_shape("recurrent_kernel", recurrent_kernel)?;
        if recurrent_columns != layout.gates.saturating_mul(units) {
            let expected = format!("[units, {} units]", layout.gates);
            let received = format!("[{units}, {recurrent_columns}]");
            return Err(Error::Shape { argument: "recurrent_kernel", expected, received }.into());
        }
        let columns = layout.gates.saturating_mul(units);
        let kernel = flat::<T>("kernel", kernel, &[features, columns])?;
        let recurrent = flat::<T>("recurrent_kernel", recurrent_kernel, &[units, columns])?;
        let bias_shape: &[usize] = if layout.recurrent_bias { &[2, columns] } else { &[columns] };
        let bias = bias.map(|bias| flat::<T>("bias", bias, bias_shape)).transpose()?;
        let vectors = vectors.map(|each| flat::<T>("vectors", each, &[layout.vectors, units]));
        let vectors = vectors.transpose()?;
        let raw = Raw {
            kernel: kernel.elements(),
            recurrent_kernel: recurrent.elements(),
            vectors: vectors.as_ref().map_or(&[], Flat::elements),
            bias: bias.as_ref().map(Flat::elements),
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
        recurrent_activation="sigmoid", reset_after=true, precision="full", vectors=None))]
    #[allow(clippy::too_many_arguments, reason = "they are Python's keywords")]
    fn new(
        cell: &str,
        kernel: &Bound<'_, PyAny>,
        recurrent_kernel: &Bound<'_, PyAny>,
        bias: Option<&Bound<'_, PyAny>>,
        activation: &str,
        recurrent_activation: &str,
        reset_after: bool,
        precision: &str,
        vectors: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        caught(|| {
            let bfloat16 = match precision {
                "full" => false,
                "bfloat16" => true,
                other => return Err(Error::value("precision", "full or bfloat16", other).into()),
            };
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
                level: None,
                bfloat16,
            };
            Ok(Self(if is_double("kernel", kernel)? {
                Either::F64(Packed::new(cell, options, kernel, recurrent_kernel, bias, vectors)?)
            } else {
                Either::F32(Packed::new(cell, options, kernel, recurrent_kernel, bias, vectors)?)
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
