//! Updates of weights for Python.

use numpy::PyUntypedArrayMethods;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::arrays::{Flat, Number, flat};
use super::guard::{caught, detached};
use super::weights::is_double;
use super::written::{Spans, Written, an_array, as_array, cast, written};
use crate::training::optimizer::{self, Rule, Target};

/// Lists that go together: an entry for each weight.
struct Arrays<'a, 'py> {
    weights: &'a Bound<'py, PyList>,
    gradients: &'a Bound<'py, PyList>,
    scales: Option<Vec<f64>>,
    slots: Vec<(&'static str, &'a Bound<'py, PyList>)>,
}

/// The arrays of one dtype, ready to be updated.
struct Ready<T> {
    weights: Vec<Written<T>>,
    gradients: Vec<Flat<T>>,
    scales: Vec<Option<f64>>,
    slots: [Vec<Written<T>>; 3],
}

impl<T> Default for Ready<T> {
    fn default() -> Self {
        let slots = [Vec::new(), Vec::new(), Vec::new()];
        Self { weights: Vec::new(), gradients: Vec::new(), scales: Vec::new(), slots }
    }
}

impl<T: Number> Ready<T> {
    fn add(&mut self, arrays: &Arrays<'_, '_>, n: usize) -> PyResult<()> {
        let weight = arrays.weights.get_item(n)?;
        let shape = an_array("weights", &weight)?.shape();
        self.weights.push(written("weights", &weight, shape)?);
        self.gradients.push(cast("gradients", &arrays.gradients.get_item(n)?, shape)?);
        for ((name, list), slots) in arrays.slots.iter().zip(&mut self.slots) {
            slots.push(written(name, &list.get_item(n)?, shape)?);
        }
        self.scales.push(arrays.scales.as_ref().map(|scales| scales[n]));
        Ok(())
    }

    /// The arrays that are written.
    fn written(&self) -> impl Iterator<Item = &Written<T>> {
        self.weights.iter().chain(self.slots.iter().flatten())
    }

    /// Copies gradients that lie in memory that is written.
    fn clear(mut self, py: Python<'_>, spans: &Spans) -> PyResult<Self> {
        let gradients = self.gradients.into_iter().map(|gradient| spans.clear(py, gradient));
        self.gradients = gradients.collect::<PyResult<_>>()?;
        Ok(self)
    }

    fn targets(&mut self) -> Vec<Target<'_, T>> {
        let mut slots = self.slots.each_mut().map(|slots| slots.iter_mut());
        let parts = self.weights.iter_mut().zip(&self.gradients).zip(&self.scales);
        let mut next = || {
            let each = slots.each_mut();
            each.map(|slots| slots.next().map_or_else(Default::default, Written::elements))
        };
        parts
            .map(|((weight, gradient), &scale)| Target {
                weight: weight.elements(),
                gradient: gradient.elements(),
                scale,
                slots: next(),
            })
            .collect()
    }
}

fn update(py: Python<'_>, rule: Rule, decay: Option<f64>, arrays: &Arrays<'_, '_>) -> PyResult<()> {
    let count = arrays.weights.len();
    let mut lengths = vec![("gradients", arrays.gradients.len())];
    lengths.extend(arrays.slots.iter().map(|(name, list)| (*name, list.len())));
    lengths.extend(arrays.scales.as_ref().map(|scales| ("scales", scales.len())));
    if let Some((name, received)) = lengths.into_iter().find(|&(_, len)| len != count) {
        return Err(PyValueError::new_err(format!(
            "`{name}`: expected {count} entries, one for each weight, received {received}"
        )));
    }
    let (mut single, mut double) = (Ready::<f32>::default(), Ready::<f64>::default());
    for n in 0..count {
        if is_double("weights", &arrays.weights.get_item(n)?)? {
            double.add(arrays, n)?;
        } else {
            single.add(arrays, n)?;
        }
    }
    let spans = Spans::new(single.written(), double.written())?;
    let (mut single, mut double) = (single.clear(py, &spans)?, double.clear(py, &spans)?);
    let (single, double) = (single.targets(), double.targets());
    detached(py, |_| {
        optimizer::update(None, rule, decay, single)?;
        optimizer::update(None, rule, decay, double)
    })
}

/// Gradient descent, in place.
#[pyfunction]
#[pyo3(signature = (weights, gradients, momenta, rate, momentum=0.0, nesterov=false, decay=None,
    scales=None))]
#[allow(clippy::too_many_arguments, reason = "one call for all weights, by position")]
pub(super) fn sgd_update(
    py: Python<'_>,
    weights: &Bound<'_, PyList>,
    gradients: &Bound<'_, PyList>,
    momenta: Option<&Bound<'_, PyList>>,
    rate: f64,
    momentum: f64,
    nesterov: bool,
    decay: Option<f64>,
    scales: Option<Vec<f64>>,
) -> PyResult<()> {
    caught(|| {
        let slots: Vec<_> = momenta.map(|momenta| ("momenta", momenta)).into_iter().collect();
        let rule = if slots.is_empty() {
            Rule::Descent { rate }
        } else {
            Rule::Momentum { rate, momentum, nesterov }
        };
        update(py, rule, decay, &Arrays { weights, gradients, scales, slots })
    })
}

/// Adam, in place.
#[pyfunction]
#[pyo3(signature = (weights, gradients, momenta, velocities, largest, rate, beta_1, beta_2, epsilon,
    decay=None, scales=None))]
#[allow(clippy::too_many_arguments, reason = "one call for all weights, by position")]
pub(super) fn adam_update(
    py: Python<'_>,
    weights: &Bound<'_, PyList>,
    gradients: &Bound<'_, PyList>,
    momenta: &Bound<'_, PyList>,
    velocities: &Bound<'_, PyList>,
    largest: Option<&Bound<'_, PyList>>,
    rate: f64,
    beta_1: f64,
    beta_2: f64,
    epsilon: f64,
    decay: Option<f64>,
    scales: Option<Vec<f64>>,
) -> PyResult<()> {
    caught(|| {
        let amsgrad = largest.is_some();
        let rule = Rule::Adam { rate, betas: [beta_1, beta_2], epsilon, amsgrad };
        let mut slots = vec![("momenta", momenta), ("velocities", velocities)];
        slots.extend(largest.map(|largest| ("largest", largest)));
        update(py, rule, decay, &Arrays { weights, gradients, scales, slots })
    })
}

/// The sum of the squares of each array.
#[pyfunction]
pub(super) fn squared_norms(py: Python<'_>, arrays: &Bound<'_, PyList>) -> PyResult<Vec<f64>> {
    caught(|| {
        let norm = |array: Bound<'_, PyAny>| {
            let array = as_array(&array)?;
            if is_double("arrays", &array)? {
                squared_norm::<f64>(py, &array)
            } else {
                squared_norm::<f32>(py, &array)
            }
        };
        arrays.iter().map(norm).collect()
    })
}

fn squared_norm<T: Number>(py: Python<'_>, array: &Bound<'_, PyAny>) -> PyResult<f64> {
    let shape = an_array("arrays", array)?.shape();
    let flat = flat::<T>("arrays", array, shape)?;
    let elements = flat.elements();
    detached(py, |_| optimizer::squared_norm(None, elements))
}
