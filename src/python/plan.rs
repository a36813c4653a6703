//! Plans of whole models for Python.

use std::sync::{Mutex, MutexGuard, TryLockError};

use numpy::PyUntypedArrayMethods;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::arrays::{Flat, New, flat};
use super::guard::{caught, detached};
use super::plan_jobs::{AllDone, Arrays, Said, Way, chains_for, order_of, run};
use super::plan_parts::{Read, Source, clip, node, rule};
use super::weights::Either;
use super::written::an_array;
use crate::models::{Chain, Clip, Draws, Pace, Shape, Updates, gather};
use crate::training::optimizer::Rule;

/// The layers of a model one after the other, for steps in one call. Nothing of a model stays between two
/// calls, so that a plan serves all models of one structure.
#[pyclass(frozen, module = "ferrnn._core")]
pub(super) struct Plan(Either<Typed<f32>, Typed<f64>>);

struct Typed<T: Read> {
    /// One for each thread that has had models of its own; the first one at once.
    chains: Mutex<Vec<Chain<T>>>,
    parts: Py<PyList>,
    lowest: usize,
    /// The numbers of the weights that training changes.
    trained: Vec<usize>,
    /// Axes of the outputs.
    axes: usize,
}

fn chain_of<T: Read>(parts: &Bound<'_, PyList>, lowest: usize) -> PyResult<Chain<T>> {
    let nodes = parts.iter().map(|part| node(&part)).collect::<PyResult<Vec<_>>>()?;
    Ok(Chain::new(nodes, lowest)?)
}

impl<T: Read> Typed<T> {
    fn new(
        parts: &Bound<'_, PyList>,
        lowest: usize,
        trained: Vec<usize>,
        axes: usize,
    ) -> PyResult<Self> {
        let chains = Mutex::new(vec![chain_of(parts, lowest)?]);
        Ok(Self { chains, parts: parts.clone().unbind(), lowest, trained, axes })
    }

    fn chains(&self) -> PyResult<MutexGuard<'_, Vec<Chain<T>>>> {
        match self.chains.try_lock() {
            Ok(chains) => Ok(chains),
            // Every call writes what it reads before; what a panic left does not matter.
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                Err(PyRuntimeError::new_err("the plan is in use by another thread"))
            }
        }
    }
}

impl<T: Read> Typed<T> {
    /// Steps of models, each on samples of its own.
    fn train<'py>(&self, said: Vec<Said<'py>>, py: Python<'py>) -> PyResult<AllDone<'py>> {
        let mut guard = self.chains()?;
        let wanted = chains_for(said.len())?;
        for _ in guard.len()..wanted {
            guard.push(chain_of(self.parts.bind(py), self.lowest)?);
        }
        run(said, &self.trained, &mut guard[..wanted], py)
    }

    fn forward(
        &self,
        mut arrays: Arrays<T>,
        (x, order): (&Source, Option<Flat<i64>>),
        (first, last): (usize, usize),
        (keep, packed, training, mut draws): (bool, bool, bool, Draws),
        py: Python<'_>,
    ) -> PyResult<Py<PyAny>> {
        let mut guard = self.chains()?;
        let chain = &mut guard[0];
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
        let mut guard = self.chains()?;
        let (chain, trained) = (&mut guard[0], &self.trained[..]);
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
                Either::F64(Typed::new(parts, lowest, trained, axes)?)
            } else {
                Either::F32(Typed::new(parts, lowest, trained, axes)?)
            }))
        })
    }

    /// Whole steps of training of models of this structure, or none of it: they are judged alone. What is
    /// said of each, and what is given of it, is in `plan_jobs`.
    fn train<'py>(&self, said: Vec<Said<'py>>, py: Python<'py>) -> PyResult<AllDone<'py>> {
        caught(|| match &self.0 {
            Either::F32(plan) => plan.train(said, py),
            Either::F64(plan) => plan.train(said, py),
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
                Either::F32(plan) => {
                    plan.forward(Arrays::new(weights, &none)?, data, places, how(), py)
                }
                Either::F64(plan) => {
                    plan.forward(Arrays::new(weights, &none)?, data, places, how(), py)
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
