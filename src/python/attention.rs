//! Attention for Python.

use numpy::PyUntypedArrayMethods;
use pyo3::prelude::*;

use super::arrays::{Flat, New, Number, flat};
use super::guard::{caught, detached};
use super::weights::is_double;
use super::written::an_array;
use crate::error::Error;
use crate::layers::attention::{self, Attention, Seen, Sizes, Slopes};

type Array<'a, 'py> = &'a Bound<'py, PyAny>;

type MaybeArray<'py> = Option<Bound<'py, PyAny>>;

/// What attention is computed of: query, key and value `[samples, steps, heads, features]`, what scores are
/// multiplied by, the factors of additive scores, and the noise that weights are multiplied by.
type Given<'py> = (
    Bound<'py, PyAny>,
    Bound<'py, PyAny>,
    Bound<'py, PyAny>,
    f64,
    MaybeArray<'py>,
    MaybeArray<'py>,
);

/// The same arguments, read.
struct Read<T> {
    sizes: Sizes,
    arrays: [Flat<T>; 3],
    scale: T,
    factors: Option<Flat<T>>,
    noise: Option<Flat<T>>,
}

fn axes(name: &'static str, array: Array<'_, '_>) -> PyResult<[usize; 4]> {
    let shape = an_array(name, array)?.shape();
    let found = shape.try_into();
    found.map_err(|_| Error::value(name, "a four-dimensional array", shape).into())
}

fn sizes((query, _, value, ..): &Given<'_>) -> PyResult<Sizes> {
    let [samples, queries, heads, features] = axes("query", query)?;
    let [_, keys, _, of_value] = axes("value", value)?;
    Ok(Sizes { samples, heads, queries, keys, features, of_value })
}

impl<T: Number> Read<T> {
    fn new(given: &Given<'_>) -> PyResult<Self> {
        let (sizes, (query, key, value, scale, factors, noise)) = (sizes(given)?, given);
        let Sizes { samples, heads, queries, keys, features, of_value } = sizes;
        let arrays = [
            flat("query", query, &[samples, queries, heads, features])?,
            flat("key", key, &[samples, keys, heads, features])?,
            flat("value", value, &[samples, keys, heads, of_value])?,
        ];
        let whole = [samples, heads, queries, keys];
        let noise = noise.as_ref().map(|noise| flat("noise", noise, &whole)).transpose()?;
        let factors = factors.as_ref().map(|factors| {
            let shape = an_array("factors", factors)?.shape().to_vec();
            flat("factors", factors, &shape)
        });
        Ok(Self { sizes, arrays, scale: T::of(*scale), factors: factors.transpose()?, noise })
    }

    /// `[samples, heads, queries, keys]`
    fn weights(&self) -> [usize; 4] {
        let Sizes { samples, heads, queries, keys, .. } = self.sizes;
        [samples, heads, queries, keys]
    }

    fn outputs(&self) -> [usize; 4] {
        let Sizes { samples, heads, queries, of_value, .. } = self.sizes;
        [samples, queries, heads, of_value]
    }

    fn attention<'a>(&'a self, seen: Option<Seen<'a>>) -> Attention<'a, T> {
        let [queries, keys, values] = self.arrays.each_ref().map(Flat::elements);
        let noise = self.noise.as_ref().map(Flat::elements);
        let factors = self.factors.as_ref().map(Flat::elements).unwrap_or_default();
        let Self { sizes, scale, .. } = *self;
        Attention { sizes, queries, keys, values, scale, factors, seen, noise }
    }
}

/// The means of values `[samples, queries, heads, features]`, and the weights of values before the
/// noise, `[samples, heads, queries, values]`. `mask` says which values a query sees, of the shape
/// of the weights or 1 along some axes; if `strictly`, hidden keys get no weight even where a query
/// sees none at all.
#[allow(clippy::needless_pass_by_value, reason = "it is taken out of a tuple")]
#[pyfunction]
#[pyo3(signature = (given, mask=None, strictly=true))]
pub(super) fn attention_forward(
    given: Given<'_>,
    mask: Option<&Bound<'_, PyAny>>,
    strictly: bool,
) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
    caught(|| {
        if is_double("query", an_array("query", &given.0)?)? {
            forward::<f64>(&given, mask, strictly)
        } else {
            forward::<f32>(&given, mask, strictly)
        }
    })
}

fn forward<T: Number>(
    given: &Given<'_>,
    mask: Option<&Bound<'_, PyAny>>,
    strictly: bool,
) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
    let (py, read) = (given.0.py(), Read::<T>::new(given)?);
    let mask = mask.map(|mask| {
        let axes = axes("mask", mask)?;
        PyResult::Ok((flat::<bool>("mask", mask, &axes)?, axes))
    });
    let mask = mask.transpose()?;
    let seen =
        mask.as_ref().map(|(flags, axes)| Seen { flags: flags.elements(), axes: *axes, strictly });
    let mut outputs = New::<T>::empty(py, &read.outputs())?;
    let mut weights = New::<T>::empty(py, &read.weights())?;
    let to = (weights.elements(), outputs.elements());
    detached(py, |stop| attention::forward(&read.attention(seen), to.0, to.1, stop))?;
    Ok((outputs.finish(), weights.finish()))
}

type Gradients = (Py<PyAny>, Py<PyAny>, Py<PyAny>, f64, Py<PyAny>);

/// The gradients with respect to query, key and value, to the scale if that is wanted, and to the
/// factors, from those with respect to the outputs and, if there are any, the weights.
#[allow(clippy::needless_pass_by_value, reason = "it is taken out of a tuple")]
#[pyfunction]
#[pyo3(signature = (given, weights, d_outputs, d_weights=None, by_scale=false))]
pub(super) fn attention_backward(
    given: Given<'_>,
    weights: &Bound<'_, PyAny>,
    d_outputs: &Bound<'_, PyAny>,
    d_weights: Option<&Bound<'_, PyAny>>,
    by_scale: bool,
) -> PyResult<Gradients> {
    caught(|| {
        let arrays = (weights, d_outputs, d_weights);
        if is_double("query", an_array("query", &given.0)?)? {
            backward::<f64>(&given, arrays, by_scale)
        } else {
            backward::<f32>(&given, arrays, by_scale)
        }
    })
}

fn backward<T: Number>(
    given: &Given<'_>,
    (weights, d_outputs, d_weights): (Array<'_, '_>, Array<'_, '_>, Option<Array<'_, '_>>),
    by_scale: bool,
) -> PyResult<Gradients> {
    let (py, read) = (given.0.py(), Read::<T>::new(given)?);
    let weights = flat::<T>("weights", weights, &read.weights())?;
    let d_outputs = flat::<T>("d_outputs", d_outputs, &read.outputs())?;
    let d_weights = d_weights.map(|each| flat::<T>("d_weights", each, &read.weights()));
    let d_weights = d_weights.transpose()?;
    let like = |array: &Bound<'_, PyAny>| New::<T>::empty(py, an_array("query", array)?.shape());
    let [mut queries, mut keys, mut values] = [like(&given.0)?, like(&given.1)?, like(&given.2)?];
    let count = read.factors.as_ref().map_or(0, |factors| factors.elements().len());
    let mut factors = New::<T>::empty(py, &[count])?;
    let slopes = Slopes {
        queries: queries.elements(),
        keys: keys.elements(),
        values: values.elements(),
        factors: factors.elements(),
    };
    let seeds = (d_outputs.elements(), d_weights.as_ref().map(Flat::elements));
    let weights = weights.elements();
    let by_scale = detached(py, |stop| {
        attention::backward(&read.attention(None), weights, seeds, slopes, by_scale, stop)
    })?;
    Ok((queries.finish(), keys.finish(), values.finish(), by_scale, factors.finish()))
}
