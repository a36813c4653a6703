//! Plans of whole models for Python.

use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use numpy::PyUntypedArrayMethods;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use super::arrays::{Flat, New, flat};
use super::guard::{caught, detached};
use super::handed_back::{Raised, as_bytes, take};
use super::plan_jobs::{Arrays, Asked, Way, graphs_for, order_of, paces, run};
use super::plan_layers::{is_handed_back, linked};
use super::plan_parts::{Read, Source, clip, rule};
use super::weights::Either;
use super::written::{Spans, Written, an_array, written};
use crate::error::Error;
use crate::models::{Clip, Draws, Ends, Graph, Span, Updates, gather, predict, shapes_of};
use crate::training::optimizer::Rule;

/// The layers of a model, to run whole steps in one call. Nothing of a model stays between two
/// calls, so that a plan serves all models of one structure.
#[pyclass(frozen, module = "ferrnn._core")]
pub(super) struct Plan(Either<Typed<f32>, Typed<f64>>);

struct Typed<T: Read> {
    /// One for each thread that has had models of its own; the first is made at once.
    graphs: Mutex<Vec<Graph<T>>>,
    parts: Py<PyList>,
    raised: Raised,
    /// Whether a layer is handed back to Python, which is done in the caller's thread.
    handed_back: bool,
    /// The numbers of the weights that training changes.
    trained: Vec<usize>,
    ends: Said,
}

/// How many inputs a graph has; of each output the number of its value and of its axes.
type Said = (usize, Vec<(usize, usize)>);

fn graph_of<T: Read>(
    parts: &Bound<'_, PyList>,
    (inputs, outputs): &Said,
    raised: &Raised,
) -> PyResult<Graph<T>> {
    let layers = parts.iter().map(|part| linked(&part, raised)).collect::<PyResult<Vec<_>>>()?;
    let outputs = outputs.iter().map(|&(value, _)| value).collect();
    Ok(Graph::new(layers, Ends { inputs: *inputs, outputs })?)
}

impl<T: Read> Typed<T> {
    fn new(parts: &Bound<'_, PyList>, trained: Vec<usize>, ends: Said) -> PyResult<Self> {
        let raised = Raised::default();
        let graphs = Mutex::new(vec![graph_of(parts, &ends, &raised)?]);
        let mut handed_back = false;
        for part in parts.iter() {
            handed_back |= is_handed_back(&part)?;
        }
        let parts = parts.clone().unbind();
        Ok(Self { graphs, parts, raised, handed_back, trained, ends })
    }

    /// What a layer raised, if that is why the engine gave up.
    fn or_raised<R>(&self, result: PyResult<R>) -> PyResult<R> {
        result.map_err(|error| take(&self.raised).unwrap_or(error))
    }

    fn graphs(&self) -> PyResult<MutexGuard<'_, Vec<Graph<T>>>> {
        match self.graphs.try_lock() {
            Ok(graphs) => Ok(graphs),
            // Every call writes before it reads; what a panic left behind does not matter.
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                Err(PyRuntimeError::new_err("the plan is in use by another thread"))
            }
        }
    }
}

impl<T: Read> Typed<T> {
    /// Steps of models, each on samples of its own.
    fn train(&self, said: Vec<Asked<'_>>, told: &Bound<'_, PyList>) -> PyResult<()> {
        let (mut guard, py) = (self.graphs()?, told.py());
        let wanted = if self.handed_back { 1 } else { graphs_for(said.len())? };
        for _ in guard.len()..wanted {
            guard.push(graph_of(self.parts.bind(py), &self.ends, &self.raised)?);
        }
        run(said, &self.trained, &mut guard[..wanted], &self.raised, told)
    }

    /// The shape of an array for an output of `rows` rows.
    fn shape_of(&self, graph: &Graph<T>, number: usize, rows: usize) -> PyResult<Vec<usize>> {
        let [_, time, features] = graph.output_shape(number)?.axes();
        Ok(match self.ends.1[number].1 {
            2 if time == 1 => vec![rows, features],
            2 => {
                return Err(
                    Error::shape("outputs", [rows, features], [rows, time, features]).into()
                );
            }
            _ => vec![rows, time, features],
        })
    }

    fn forward<'py>(
        &self,
        mut arrays: Arrays<T>,
        (x, order): (&[Source], Option<Flat<i64>>),
        (first, last): (usize, usize),
        (keep, packed, training, mut draws): (bool, bool, bool, Draws),
        py: Python<'py>,
    ) -> PyResult<Bound<'py, PyList>> {
        let mut guard = self.graphs()?;
        let graph = &mut guard[0];
        let order = order.as_ref().map(Flat::elements);
        let x: Vec<_> = x.iter().map(T::rows).collect();
        let rows = last.saturating_sub(first);
        let prepared = graph.prepare(&shapes_of(&x, rows)?);
        self.or_raised(prepared.map_err(PyErr::from))?;
        let outputs = (0..self.ends.1.len())
            .map(|number| New::<T>::empty(py, &self.shape_of(graph, number, rows)?));
        let mut outputs = outputs.collect::<PyResult<Vec<_>>>()?;
        let done = detached(py, |stop| {
            let (weights, ..) = arrays.parts();
            graph.check(&weights)?;
            graph.begin();
            gather(graph, &x, order, first..last)?;
            if !packed {
                graph.pack(&weights)?;
            }
            graph.forward(&weights, (keep, training), &mut draws, stop)?;
            for (number, outputs) in outputs.iter_mut().enumerate() {
                outputs.elements().copy_from_slice(graph.outputs(number)?);
            }
            Ok(())
        });
        self.or_raised(done)?;
        PyList::new(py, outputs.into_iter().map(New::finish))
    }

    /// The outputs for many batches, and for how many samples there was time.
    fn predict<'py>(
        &self,
        mut arrays: Arrays<T>,
        (x, order): (&[Source], Option<Flat<i64>>),
        span: &Span,
        packed: bool,
        given: Option<Bound<'py, PyList>>,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyList>, usize)> {
        let mut guard = self.graphs()?;
        let graph = &mut guard[0];
        let order = order.as_ref().map(Flat::elements);
        let x: Vec<_> = x.iter().map(T::rows).collect();
        let count = span.places.len();
        let prepared = graph.prepare(&shapes_of(&x, count.min(span.batch))?);
        self.or_raised(prepared.map_err(PyErr::from))?;
        let shapes = (0..self.ends.1.len()).map(|number| self.shape_of(graph, number, count));
        let shapes = shapes.collect::<PyResult<Vec<_>>>()?;
        let made = if let Some(made) = given {
            made
        } else {
            let made = shapes.iter().map(|shape| Ok(New::<T>::empty(py, shape)?.finish()));
            PyList::new(py, made.collect::<PyResult<Vec<_>>>()?)?
        };
        let outputs = made.iter().zip(&shapes);
        let outputs = outputs.map(|(array, shape)| written::<T>("outputs", &array, shape));
        let mut outputs = outputs.collect::<PyResult<Vec<_>>>()?;
        Spans::of(outputs.iter().map(Written::span))?;
        let mut done = 0;
        let mut to: Vec<_> = outputs.iter_mut().map(Written::elements).collect();
        let all = (&mut to[..], &mut done);
        let result = detached(py, |stop| {
            let (weights, ..) = arrays.parts();
            predict(graph, (&weights, packed), (&x, order, span), all, stop)
        });
        self.or_raised(result)?;
        Ok((made, done))
    }

    fn mask<'py>(&self, output: usize, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let guard = self.graphs()?;
        Ok(guard[0].output_mask(output)?.map(|mask| as_bytes(py, mask)))
    }

    fn backward(
        &self,
        mut arrays: Arrays<T>,
        d_outputs: &Bound<'_, PyList>,
        added: &[(usize, Bound<'_, PyAny>)],
        (rule, clip, rates, decay): (Rule, Clip, &[f64], Option<f64>),
    ) -> PyResult<()> {
        let py = d_outputs.py();
        let decays = decay.map(|decay| [decay]);
        let Some(pace) = paces(rule, rates, decays.as_ref().map(|all| &all[..])).pop() else {
            return Err(Error::value("rates", "at least one rate", rates).into());
        };
        let mut guard = self.graphs()?;
        let (graph, trained) = (&mut guard[0], &self.trained[..]);
        if d_outputs.len() != self.ends.1.len() {
            let expected = format!("{} arrays", self.ends.1.len());
            return Err(Error::value("d_outputs", expected, d_outputs.len()).into());
        }
        let slopes = d_outputs.iter().enumerate().map(|(number, array)| {
            let rows = graph.output_shape(number)?.rows;
            flat::<T>("d_outputs", &array, &self.shape_of(graph, number, rows)?)
        });
        let slopes = slopes.collect::<PyResult<Vec<_>>>()?;
        let slopes: Vec<_> = slopes.iter().map(Flat::elements).collect();
        let added = added.iter().map(|(at, array)| {
            let shape = an_array("added", array)?.shape();
            Ok((*at, flat::<T>("added", array, shape)?))
        });
        let added = added.collect::<PyResult<Vec<_>>>()?;
        let added: Vec<_> = added.iter().map(|(at, array)| (*at, array.elements())).collect();
        let done = detached(py, |stop| {
            let (mut weights, slots, _) = arrays.parts();
            let mut updates = Updates { rule, clip, trained, slots };
            graph.check(&weights)?;
            updates.check(&weights)?;
            for (number, slopes) in slopes.iter().enumerate() {
                graph.judged(number, 0)?.2.copy_from_slice(slopes);
            }
            graph.backward(stop)?;
            graph.add_to_gradients(&added)?;
            updates.apply(pace, &mut weights, graph.gradients())?;
            graph.follow(&mut weights);
            Ok(())
        });
        self.or_raised(done)
    }
}

#[pymethods]
impl Plan {
    #[new]
    #[pyo3(signature = (parts, trained, ends, double=false))]
    fn new(
        parts: &Bound<'_, PyList>,
        trained: Vec<usize>,
        ends: Said,
        double: bool,
    ) -> PyResult<Self> {
        caught(|| {
            Ok(Self(if double {
                Either::F64(Typed::new(parts, trained, ends)?)
            } else {
                Either::F32(Typed::new(parts, trained, ends)?)
            }))
        })
    }

    /// Whole steps of training of models of this structure, or no training: they are only judged.
    /// `plan_jobs` says what describes each of them, and what is put on the list `told`.
    fn train(&self, said: Vec<Asked<'_>>, told: &Bound<'_, PyList>) -> PyResult<()> {
        caught(|| match &self.0 {
            Either::F32(plan) => plan.train(said, told),
            Either::F64(plan) => plan.train(said, told),
        })
    }

    #[allow(clippy::needless_pass_by_value, reason = "it is taken out of a list")]
    #[allow(clippy::too_many_arguments, reason = "they are Python's, by position")]
    /// The outputs for a batch as in training, with `draws`, or not; with `keep`, `backward` may follow.
    /// `packed` says that weights are as they were in the last call of this.
    #[pyo3(signature = (weights, x, order, places, keep=false, draws=None, packed=false))]
    fn forward<'py>(
        &self,
        weights: &Bound<'py, PyList>,
        x: &Bound<'py, PyList>,
        order: Option<&Bound<'_, PyAny>>,
        places: (usize, usize),
        keep: bool,
        draws: Option<Vec<(u64, u64)>>,
        packed: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let py = weights.py();
        caught(|| {
            let how = || (keep, packed, draws.is_some(), Draws(draws.clone().unwrap_or_default()));
            let none = PyList::empty(py);
            let data = (&Source::all("x", x)?[..], order_of(order)?);
            match &self.0 {
                Either::F32(plan) => {
                    plan.forward(Arrays::new(weights, &none)?, data, places, how(), py)
                }
                Either::F64(plan) => {
                    plan.forward(Arrays::new(weights, &none)?, data, places, how(), py)
                }
            }
        })
    }

    #[allow(clippy::too_many_arguments, reason = "they are Python's, by position")]
    /// The outputs for the samples at `places`, computed batch by batch for `limit` seconds at most: an
    /// array for all of them, or `outputs`, and how many there was time for.
    #[pyo3(signature = (weights, x, order, places, batch, limit, packed=false, outputs=None))]
    fn predict<'py>(
        &self,
        weights: &Bound<'py, PyList>,
        x: &Bound<'py, PyList>,
        order: Option<&Bound<'_, PyAny>>,
        places: (usize, usize),
        batch: usize,
        limit: f64,
        packed: bool,
        outputs: Option<Bound<'py, PyList>>,
    ) -> PyResult<(Bound<'py, PyList>, usize)> {
        let py = weights.py();
        caught(|| {
            let limit = Duration::try_from_secs_f64(limit).unwrap_or(Duration::MAX);
            let places = places.0..places.1;
            let span =
                &Span { places, batch, pass: usize::MAX, limit, until_finite_no_more: false };
            let none = PyList::empty(py);
            let data = (&Source::all("x", x)?[..], order_of(order)?);
            match &self.0 {
                Either::F32(plan) => {
                    plan.predict(Arrays::new(weights, &none)?, data, span, packed, outputs, py)
                }
                Either::F64(plan) => {
                    plan.predict(Arrays::new(weights, &none)?, data, span, packed, outputs, py)
                }
            }
        })
    }

    /// The mask that came with the last outputs of a number, as bytes `[rows, time]`, if there is one.
    #[pyo3(signature = (output=0))]
    fn mask<'py>(&self, output: usize, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        caught(|| match &self.0 {
            Either::F32(plan) => plan.mask(output, py),
            Either::F64(plan) => plan.mask(output, py),
        })
    }

    /// The rest of a step, from the gradient with respect to the outputs that `forward` returned.
    /// `added` are gradients with respect to weights, by number, that are added to those of the
    /// layers.
    #[allow(clippy::needless_pass_by_value, reason = "they are taken out of Python's objects")]
    #[allow(clippy::too_many_arguments, reason = "they are Python's, by position")]
    #[pyo3(signature = (weights, slots, d_outputs, added, way, rates, decay=None))]
    fn backward(
        &self,
        weights: &Bound<'_, PyList>,
        slots: &Bound<'_, PyList>,
        d_outputs: &Bound<'_, PyList>,
        added: Vec<(usize, Bound<'_, PyAny>)>,
        way: Way<'_>,
        rates: Vec<f64>,
        decay: Option<f64>,
    ) -> PyResult<()> {
        caught(|| {
            let how = (rule(&way.0)?, clip(way.1.as_ref())?, &rates[..], decay);
            match &self.0 {
                Either::F32(plan) => {
                    plan.backward(Arrays::new(weights, slots)?, d_outputs, &added, how)
                }
                Either::F64(plan) => {
                    plan.backward(Arrays::new(weights, slots)?, d_outputs, &added, how)
                }
            }
        })
    }
}
