//! The layers of a stream as Python gives them: weights, names of activations, and settings.

use std::sync::Arc;

use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::arrays::{Flat, Number, flat};
use super::dense::DenseWeights;
use super::embedding::EmbeddingWeights;
use super::normalization::NormalizationWeights;
use super::weights::{Either, Weights};
use crate::error::Error;
use crate::kernels::activation::Activation;
use crate::kernels::row_function::RowFunction;
use crate::layers::dense;
use crate::layers::stream::{
    ConvLstm, Elementwise, Fold, Folding, Operation, Part, Products, Select, Window,
};

/// What Python holds for either dtype, as a part of a stream of one.
pub(super) trait Streamed: Number {
    fn recurrent(weights: &Weights) -> Option<Part<Self>>;
    fn dense(weights: &DenseWeights) -> Option<Part<Self>>;
    fn embedding(weights: &EmbeddingWeights) -> Option<Part<Self>>;
    fn normalization(weights: &NormalizationWeights) -> Option<Part<Self>>;
}

macro_rules! streamed {
    ($type:ty, $dtype:ident) => {
        impl Streamed for $type {
            fn recurrent(weights: &Weights) -> Option<Part<Self>> {
                let Either::$dtype(packed) = &weights.0 else { return None };
                Some(Part::Recurrent(Arc::clone(&packed.weights)))
            }
            fn dense(weights: &DenseWeights) -> Option<Part<Self>> {
                let Either::$dtype(weights) = &weights.0 else { return None };
                Some(Part::Dense(Arc::clone(weights)))
            }
            fn embedding(weights: &EmbeddingWeights) -> Option<Part<Self>> {
                let Either::$dtype(weights) = &weights.0 else { return None };
                Some(Part::Embedding(Arc::clone(weights)))
            }
            fn normalization(weights: &NormalizationWeights) -> Option<Part<Self>> {
                let Either::$dtype(weights) = &weights.0 else { return None };
                Some(Part::Normalization(Arc::clone(weights)))
            }
        }
    };
}

streamed!(f32, F32);
streamed!(f64, F64);

fn another_dtype() -> PyErr {
    PyTypeError::new_err("`parts`: expected layers of one dtype, received layers of two")
}

/// The layers of a list: weights of layers, names of activations, and tuples of a name and settings.
pub(super) fn parts<T: Streamed>(list: &Bound<'_, PyList>) -> PyResult<Vec<Part<T>>> {
    list.iter().map(|item| part(&item)).collect()
}

fn part<T: Streamed>(item: &Bound<'_, PyAny>) -> PyResult<Part<T>> {
    if let Ok(name) = item.extract::<String>() {
        return Ok(Part::Function(RowFunction::named("parts", &name)?));
    }
    if let Ok(settings) = item.cast::<PyTuple>() {
        return with_settings(settings);
    }
    let part = if let Ok(weights) = item.cast::<Weights>() {
        T::recurrent(weights.get())
    } else if let Ok(weights) = item.cast::<DenseWeights>() {
        T::dense(weights.get())
    } else if let Ok(weights) = item.cast::<EmbeddingWeights>() {
        T::embedding(weights.get())
    } else if let Ok(weights) = item.cast::<NormalizationWeights>() {
        T::normalization(weights.get())
    } else {
        return Err(PyTypeError::new_err(format!(
            "`parts`: expected a layer's weights, a name or a tuple, received {}",
            item.get_type().name()?
        )));
    };
    part.ok_or_else(another_dtype)
}

fn with_settings<T: Streamed>(item: &Bound<'_, PyTuple>) -> PyResult<Part<T>> {
    let at = |place: usize| item.get_item(place);
    let name: String = at(0)?.extract()?;
    Ok(match name.as_str() {
        "window" => Part::Window(Window {
            features: at(1)?.extract()?,
            taps: at(2)?.extract()?,
            dilation: at(3)?.extract()?,
            causal: at(4)?.extract()?,
        }),
        "select" => Part::Select(select(&at(1)?)?),
        "products" => {
            let groups =
                at(2)?.try_iter()?.map(|kernel| packed(&kernel?)).collect::<PyResult<_>>()?;
            Part::Products(Products { places: at(1)?.extract()?, groups })
        }
        "fold" => Part::Folding(Arc::new(folding(&at(1)?, &at(2)?)?)),
        "conv_lstm" => Part::ConvLstm(ConvLstm {
            places: at(1)?.extract()?,
            kernel: packed(&at(2)?)?,
            recurrent_kernel: packed(&at(3)?)?,
            windows: select(&at(4)?)?,
            activation: Activation::named("parts", &at(5)?.extract::<String>()?)?,
            recurrent_activation: Activation::named("parts", &at(6)?.extract::<String>()?)?,
        }),
        _ => {
            let numbers = numbers::<T>(&at(1)?)?;
            let operation = Operation::named(&name)?;
            Part::Elementwise(Arc::new(Elementwise::new(operation, numbers.elements())?))
        }
    })
}

/// `(pieces, width, from, fill)`
fn select(item: &Bound<'_, PyAny>) -> PyResult<Arc<Select>> {
    let (pieces, width, from, fill) = item.extract()?;
    Ok(Arc::new(Select::new(pieces, width, from, fill)?))
}

/// `(places, taps, width)`, and a fold: "max", "sum" or weights `[taps * width]`.
fn folding<T: Streamed>(shape: &Bound<'_, PyAny>, fold: &Bound<'_, PyAny>) -> PyResult<Folding<T>> {
    let (places, taps, width) = shape.extract()?;
    if let Ok(name) = fold.extract::<String>() {
        let fold = match name.as_str() {
            "max" => Fold::Max,
            "sum" => Fold::Sum,
            _ => return Err(Error::value("parts", "\"max\" or \"sum\"", name).into()),
        };
        return Ok(Folding::new(places, taps, width, fold)?);
    }
    Ok(Folding::weighted(places, taps, width, numbers::<T>(fold)?.elements())?)
}

fn packed<T: Streamed>(item: &Bound<'_, PyAny>) -> PyResult<Arc<dense::Weights<T>>> {
    match T::dense(item.cast::<DenseWeights>()?.get()) {
        Some(Part::Dense(weights)) => Ok(weights),
        _ => Err(another_dtype()),
    }
}

/// The numbers of an array with one axis.
fn numbers<T: Number>(item: &Bound<'_, PyAny>) -> PyResult<Flat<T>> {
    let count = item.cast::<PyUntypedArray>()?.len();
    flat("parts", item, &[count])
}
