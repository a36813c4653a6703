//! Plans of whole models for Python.

use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use numpy::PyUntypedArrayMethods;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::arrays::{Flat, New, flat};
use super::guard::{caught, detached};
use super::plan_parts::{Read, Source, clip, error, node, rule};
use super::weights::Either;
use super::written::{Spans, Written, an_array, written};
use crate::models::{
    Chain, Clip, Data, Draws, Loss, Pace, Shape, Span, Tally, Updates, gather, train,
};
use crate::training::optimizer::Rule;

/// The layers of a model one after the other, for steps in one call.
#[pyclass(frozen, module = "ferrnn._core")]
pub(super) struct Plan(Either<Own<f32>, Own<f64>>);

struct Own<T: Read> {
    chain: Mutex<Chain<T>>,
    /// The numbers of the weights that training changes.
    trained: Vec<usize>,
    /// Axes of the outputs.
    axes: usize,
}

impl<T: Read> Own<T> {
    fn new(
        parts: &Bound<'_, PyList>,
        lowest: usize,
        trained: Vec<usize>,
        axes: usize,
    ) -> PyResult<Self> {
        let nodes = parts.iter().map(|part| node(&part)).collect::<PyResult<Vec<_>>>()?;
        Ok(Self { chain: Mutex::new(Chain::new(nodes, lowest)?), trained, axes })
    }

    fn chain(&self) -> PyResult<MutexGuard<'_, Chain<T>>> {
        match self.chain.try_lock() {
            Ok(chain) => Ok(chain),
            // Every call writes what it reads before; what a panic left does not matter.
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                Err(PyRuntimeError::new_err("the plan is in use by another thread"))
            }
        }
    }
}

/// Arrays that are written: the weights of all layers, and the slots of those that are trained.
struct Arrays<T> {
    weights: Vec<Written<T>>,
    slots: Vec<[Option<Written<T>>; 3]>,
}

// SAFETY: other threads must not use the arrays during a call, see `Written`.
unsafe impl<T: Send> Send for Arrays<T> {}

impl<T: Read> Arrays<T> {
    fn new(weights: &Bound<'_, PyList>, slots: &Bound<'_, PyList>) -> PyResult<Self> {
        let one = |name: &str, array: &Bound<'_, PyAny>| {
            let shape = an_array(name, array)?.shape().to_vec();
            written::<T>(name, array, &shape)
        };
        let weights = weights.iter().map(|weight| one("weights", &weight));
        let weights = weights.collect::<PyResult<Vec<_>>>()?;
        let of_weight = |row: Bound<'_, PyAny>| {
            let mut own = [None, None, None];
            for (slot, array) in own.iter_mut().zip(row.try_iter()?) {
                *slot = Some(one("slots", &array?)?);
            }
            Ok(own)
        };
        let slots = slots.iter().map(of_weight).collect::<PyResult<Vec<_>>>()?;
        let all = weights.iter().chain(slots.iter().flatten().flatten());
        Spans::of(all.map(Written::span))?;
        Ok(Self { weights, slots })
    }

    /// The weights, and the slots of those that move.
    #[allow(clippy::type_complexity, reason = "two lists")]
    fn parts(&mut self) -> (Vec<&mut [T]>, Vec<[&mut [T]; 3]>) {
        let slots = self.slots.iter_mut().map(|own| {
            own.each_mut().map(|slot| slot.as_mut().map_or(&mut [][..], Written::elements))
        });
        (self.weights.iter_mut().map(Written::elements).collect(), slots.collect())
    }
}

/// How weights move: the rule, and what happens to gradients before.
type Way<'py> = (Bound<'py, PyTuple>, Option<(String, f64)>);

/// What `train` is asked to do, besides arrays.
struct Asked {
    loss: Loss,
    rule: Rule,
    clip: Clip,
    span: Span,
    paces: Vec<Pace>,
    tally: Tally,
    draws: Draws,
}

impl<T: Read> Own<T> {
    /// Steps on samples; what was done, and what ended it too early.
    fn train<'py>(
        &self,
        mut arrays: Arrays<T>,
        (x, y, order): (&Source, &Source, Option<Flat<i64>>),
        asked: Asked,
        py: Python<'py>,
    ) -> PyResult<(Tally, Option<Bound<'py, PyAny>>)> {
        let Asked { loss, rule, clip, span, paces, mut tally, mut draws } = asked;
        let mut guard = self.chain()?;
        let (chain, trained) = (&mut *guard, &self.trained[..]);
        let order = order.as_ref().map(Flat::elements);
        let done = detached(py, |stop| {
            let (mut weights, slots) = arrays.parts();
            let mut updates = Updates { rule, clip, trained, slots };
            let data = Data { inputs: T::rows(x), targets: T::rows(y), order };
            let given = (&data, &span, &paces[..]);
            train(chain, loss, &mut updates, &mut weights, given, (&mut tally, &mut draws), stop)
        });
        // A signal must not be heard of before the caller has taken down what was done.
        let error = done.and_then(|()| py.check_signals()).err();
        let error = error.map(|error| error.into_value(py).into_bound(py).into_any());
        Ok((tally, error))
    }

    fn forward(
        &self,
        mut arrays: Arrays<T>,
        (x, order): (&Source, Option<Flat<i64>>),
        (first, last): (usize, usize),
        (keep, packed, training, mut draws): (bool, bool, bool, Draws),
        py: Python<'_>,
    ) -> PyResult<Py<PyAny>> {
        let mut guard = self.chain()?;
        let chain = &mut *guard;
        let order = order.as_ref().map(Flat::elements);
        let [_, time, features] = T::rows(x).axes();
        chain.prepare(Shape { rows: last.saturating_sub(first), time, features })?;
        let shape = chain.output_shape()?;
        let axes = shape.axes();
        let two = [axes[0], axes[2]];
        let mut outputs = New::<T>::empty(py, if self.axes == 2 { &two } else { &axes })?;
        detached(py, |stop| {
            let (weights, _) = arrays.parts();
            chain.check(&weights)?;
            gather(chain, T::rows(x), order, first..last)?;
            if !packed {
                chain.pack(&weights)?;
            }
            chain.forward(&weights, (keep, training), &mut draws, stop)?;
            outputs.elements().copy_from_slice(chain.outputs()?.0);
            Ok(())
        })?;
        Ok(outputs.finish())
    }

    fn backward(
        &self,
        mut arrays: Arrays<T>,
        d_outputs: &Bound<'_, PyAny>,
        added: &[(usize, Bound<'_, PyAny>)],
        (rule, clip, pace): (Rule, Clip, Pace),
    ) -> PyResult<()> {
        let py = d_outputs.py();
        let mut guard = self.chain()?;
        let (chain, trained) = (&mut *guard, &self.trained[..]);
        let axes = chain.output_shape()?.axes();
        let two = [axes[0], axes[2]];
        let shape = if self.axes == 2 { &two[..] } else { &axes };
        let d_outputs = flat::<T>("d_outputs", d_outputs, shape)?;
        let d_outputs = d_outputs.elements();
        let added = added.iter().map(|(at, array)| {
            let shape = an_array("added", array)?.shape();
            Ok((*at, flat::<T>("added", array, shape)?))
        });
        let added = added.collect::<PyResult<Vec<_>>>()?;
        let added: Vec<_> = added.iter().map(|(at, array)| (*at, array.elements())).collect();
        detached(py, |stop| {
            let (mut weights, slots) = arrays.parts();
            let mut updates = Updates { rule, clip, trained, slots };
            chain.check(&weights)?;
            updates.check(&weights)?;
            chain.outputs()?.1.copy_from_slice(d_outputs);
            chain.backward(stop)?;
            chain.add_to_gradients(&added)?;
            updates.apply(pace, &mut weights, chain.gradients())
        })
    }
}

fn order_of(order: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Flat<i64>>> {
    let of = |order: &Bound<'_, PyAny>| flat("order", order, an_array("order", order)?.shape());
    order.map(of).transpose()
}

/// Steps, the sum of losses, the number of samples, the last loss, the metrics' sums, and what ended it
/// too early.
type Done<'py> = (usize, f64, f64, f64, Vec<f64>, Option<Bound<'py, PyAny>>);

#[pymethods]
impl Plan {
    #[new]
    #[pyo3(signature = (parts, lowest, trained, axes, double=false))]
    fn new(
        parts: &Bound<'_, PyList>,
        lowest: usize,
        trained: Vec<usize>,
        axes: usize,
        double: bool,
    ) -> PyResult<Self> {
        caught(|| {
            Ok(Self(if double {
                Either::F64(Own::new(parts, lowest, trained, axes)?)
            } else {
                Either::F32(Own::new(parts, lowest, trained, axes)?)
            }))
        })
    }

    /// Whole steps of training, one for each of `rates` or as many as there are batches.
    #[allow(clippy::too_many_arguments, reason = "they are Python's, by position")]
    #[allow(clippy::needless_pass_by_value, reason = "they are taken out of Python's objects")]
    #[pyo3(signature = (weights, slots, x, y, order, places, batch, judged, way, rates, decays,
        tally, draws, limit, until_finite_no_more))]
    fn train<'py>(
        &self,
        weights: &Bound<'py, PyList>,
        slots: &Bound<'py, PyList>,
        x: &Bound<'py, PyAny>,
        y: &Bound<'py, PyAny>,
        order: Option<&Bound<'py, PyAny>>,
        places: (usize, usize),
        batch: usize,
        judged: (String, bool, Vec<(String, f64)>),
        way: Way<'py>,
        rates: Vec<f64>,
        decays: Option<Vec<f64>>,
        tally: (f64, f64),
        draws: Vec<(u64, u64)>,
        limit: f64,
        until_finite_no_more: bool,
    ) -> PyResult<Done<'py>> {
        let py = weights.py();
        caught(|| {
            let decay = |step: usize| decays.as_ref().and_then(|all| all.get(step).copied());
            let rates = rates.iter().enumerate();
            let limit = Duration::try_from_secs_f64(limit).unwrap_or(Duration::MAX);
            let measured = judged.2.iter().map(|(name, sum)| Ok((error(name)?, *sum)));
            let measured = measured.collect::<PyResult<_>>()?;
            let asked = Asked {
                loss: Loss { error: error(&judged.0)?, pointwise: judged.1 },
                rule: rule(&way.0)?,
                clip: clip(way.1.as_ref())?,
                span: Span { places: places.0..places.1, batch, limit, until_finite_no_more },
                paces: rates.map(|(n, &rate)| Pace { rate, decay: decay(n) }).collect(),
                tally: Tally { total: tally.0, count: tally.1, measured, ..Tally::default() },
                draws: Draws(draws),
            };
            let data = (&Source::new("x", x)?, &Source::new("y", y)?, order_of(order)?);
            let (done, error) = match &self.0 {
                Either::F32(own) => own.train(Arrays::new(weights, slots)?, data, asked, py)?,
                Either::F64(own) => own.train(Arrays::new(weights, slots)?, data, asked, py)?,
            };
            let measured = done.measured.iter().map(|&(_, sum)| sum).collect();
            Ok((done.steps, done.total, done.count, done.loss, measured, error))
        })
    }

    #[allow(clippy::needless_pass_by_value, reason = "it is taken out of a list")]
    #[allow(clippy::too_many_arguments, reason = "they are Python's, by position")]
    /// The outputs for a batch as in training, with `draws`, or not; with `keep`, `backward` may follow.
    /// `packed` says that weights are as they were in the last call of this.
    #[pyo3(signature = (weights, x, order, places, keep=false, draws=None, packed=false))]
    fn forward(
        &self,
        weights: &Bound<'_, PyList>,
        x: &Bound<'_, PyAny>,
        order: Option<&Bound<'_, PyAny>>,
        places: (usize, usize),
        keep: bool,
        draws: Option<Vec<(u64, u64)>>,
        packed: bool,
    ) -> PyResult<Py<PyAny>> {
        let py = weights.py();
        caught(|| {
            let how = || (keep, packed, draws.is_some(), Draws(draws.clone().unwrap_or_default()));
            let none = PyList::empty(py);
            let data = (&Source::new("x", x)?, order_of(order)?);
            match &self.0 {
                Either::F32(own) => {
                    own.forward(Arrays::new(weights, &none)?, data, places, how(), py)
                }
                Either::F64(own) => {
                    own.forward(Arrays::new(weights, &none)?, data, places, how(), py)
                }
            }
        })
    }

    /// The rest of a step, from the gradient by the outputs that `forward` gave. `added` are gradients by
    /// weights, by number, that come to those of the layers.
    #[allow(clippy::needless_pass_by_value, reason = "they are taken out of Python's objects")]
    #[allow(clippy::too_many_arguments, reason = "they are Python's, by position")]
    #[pyo3(signature = (weights, slots, d_outputs, added, way, rate, decay=None))]
    fn backward(
        &self,
        weights: &Bound<'_, PyList>,
        slots: &Bound<'_, PyList>,
        d_outputs: &Bound<'_, PyAny>,
        added: Vec<(usize, Bound<'_, PyAny>)>,
        way: Way<'_>,
        rate: f64,
        decay: Option<f64>,
    ) -> PyResult<()> {
        caught(|| {
            let how = (rule(&way.0)?, clip(way.1.as_ref())?, Pace { rate, decay });
            match &self.0 {
                Either::F32(own) => {
                    own.backward(Arrays::new(weights, slots)?, d_outputs, &added, how)
                }
                Either::F64(own) => {
                    own.backward(Arrays::new(weights, slots)?, d_outputs, &added, how)
                }
            }
        })
    }
}
