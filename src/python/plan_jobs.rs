//! What plans are asked to do with models: steps of training, or an evaluation.

use std::sync::Mutex;
use std::time::Duration;

use numpy::PyUntypedArrayMethods;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::arrays::{Flat, flat};
use super::guard::detached;
use super::handed_back::{Raised, take};
use super::plan_parts::{Read, Source, clip, divisor_of, rule, scored};
use super::written::{Spans, Written, an_array, written};
use crate::error::{Error, Result};
use crate::machine::threads::{self, Ask, Stop, for_each};
use crate::models::{
    Clip, Data, Draws, Graph, Judge, Loss, Measured, Pace, Span, Tally, Updates, judge, train,
};
use crate::training::optimizer::Rule;
use crate::training::penalty::Penalty;

/// Arrays that are written: the weights of all layers, the slots of those that are trained, and outputs.
pub(super) struct Arrays<T> {
    weights: Vec<Written<T>>,
    slots: Vec<[Option<Written<T>>; 3]>,
    outputs: Vec<Written<T>>,
}

// SAFETY: other threads must not use the arrays during a call, see `Written`.
unsafe impl<T: Send> Send for Arrays<T> {}

impl<T: Read> Arrays<T> {
    pub(super) fn new(weights: &Bound<'_, PyList>, slots: &Bound<'_, PyList>) -> PyResult<Self> {
        let arrays = Self::unchecked(weights, slots, &[])?;
        Spans::of(arrays.spans())?;
        Ok(arrays)
    }

    /// Without checking whether two share memory.
    fn unchecked(
        weights: &Bound<'_, PyList>,
        slots: &Bound<'_, PyList>,
        outputs: &[Bound<'_, PyAny>],
    ) -> PyResult<Self> {
        let one = |name: &str, array: &Bound<'_, PyAny>| {
            let shape = an_array(name, array)?.shape().to_vec();
            written::<T>(name, array, &shape)
        };
        let weights = weights.iter().map(|weight| one("weights", &weight));
        let weights = weights.collect::<PyResult<Vec<_>>>()?;
        let of_weight = |row: Bound<'_, PyAny>| {
            let mut moments = [None, None, None];
            for (slot, array) in moments.iter_mut().zip(row.try_iter()?) {
                *slot = Some(one("slots", &array?)?);
            }
            Ok(moments)
        };
        let slots = slots.iter().map(of_weight).collect::<PyResult<Vec<_>>>()?;
        let outputs = outputs.iter().map(|output| one("outputs", output));
        Ok(Self { weights, slots, outputs: outputs.collect::<PyResult<_>>()? })
    }

    fn spans(&self) -> impl Iterator<Item = (usize, usize)> {
        let slots = self.slots.iter().flatten().flatten();
        self.weights.iter().chain(slots).chain(&self.outputs).map(Written::span)
    }

    /// The weights, the slots of those that move, and the outputs.
    #[allow(clippy::type_complexity, reason = "three lists")]
    pub(super) fn parts(&mut self) -> (Vec<&mut [T]>, Vec<[&mut [T]; 3]>, Vec<&mut [T]>) {
        let slots = self.slots.iter_mut().map(|moments| {
            moments.each_mut().map(|slot| slot.as_mut().map_or(&mut [][..], Written::elements))
        });
        let [weights, outputs] = [&mut self.weights, &mut self.outputs];
        (
            weights.iter_mut().map(Written::elements).collect(),
            slots.collect(),
            outputs.iter_mut().map(Written::elements).collect(),
        )
    }
}

/// How weights move: the rule, and what happens to gradients before.
pub(super) type Way<'py> = (Bound<'py, PyTuple>, Option<(String, f64)>);

/// Weights, slots, and arrays for the outputs of all samples, if they are wanted; inputs, targets,
/// the weights of samples for each output, and order; which places are taken; what it is judged by;
/// how weights move, the rates and decays of the steps (None: it is only judged); the sum of losses,
/// of samples and of the losses of each output so far; the generators.
pub(super) type Asked<'py> = (
    (Bound<'py, PyList>, Bound<'py, PyList>, Vec<Bound<'py, PyAny>>),
    Samplings<'py>,
    Spanned,
    Judged<'py>,
    Option<Moving<'py>>,
    (f64, f64, Vec<f64>),
    Vec<(u64, u64)>,
);

/// Places, batch, the places of a pass, the limit of time, and whether a loss that is not finite ends it.
type Spanned = ((usize, usize), usize, usize, f64, bool);

/// Inputs, targets, the weights of samples for each output, and order.
type Samplings<'py> = (
    Bound<'py, PyList>,
    Bound<'py, PyList>,
    Vec<Option<Bound<'py, PyAny>>>,
    Option<Bound<'py, PyAny>>,
);

/// How weights move, and the rates and decays of the steps.
type Moving<'py> = (Way<'py>, Vec<f64>, Option<Vec<f64>>);

/// For each output what is averaged, its weight, and what a sum of weighted values is divided by;
/// whether the sum of these is compensated for rounding; for each metric the output, what is
/// averaged, whether the weights of samples count, and the sums so far; for each penalty the number
/// of its weight, and both factors.
type Judged<'py> = (
    Vec<(Bound<'py, PyAny>, f64, String)>,
    bool,
    Vec<(usize, Bound<'py, PyAny>, bool, (f64, f64))>,
    Vec<(usize, f64, f64)>,
);

/// Steps, the last loss, the sums of the passes that ended and of the last one, and what ended it
/// early.
type Done<'py> = (usize, f64, Vec<Sums>, Option<Bound<'py, PyAny>>);

/// The sum of losses, the number of samples, the sums of the losses of each output, and both sums of
/// each metric.
type Sums = (f64, f64, Vec<f64>, Vec<(f64, f64)>);

struct Moves {
    rule: Rule,
    clip: Clip,
    paces: Vec<Pace>,
}

/// One model, and what is to be done with it.
struct Job<T> {
    arrays: Arrays<T>,
    work: Work,
    draws: Draws,
    result: Result<()>,
    /// What a layer raised that was handed back to Python.
    raised: Option<PyErr>,
}

/// What is to be done, whatever the number type.
struct Work {
    x: Vec<Source>,
    y: Vec<Source>,
    weights: Vec<Option<Source>>,
    order: Option<Flat<i64>>,
    judge: Judge,
    span: Span,
    moves: Option<Moves>,
    tally: Tally,
    ended: Vec<Tally>,
}

impl Work {
    fn new(
        (x, y, given, order): Samplings<'_>,
        span: Spanned,
        judged: &Judged<'_>,
        moves: Option<Moving<'_>>,
        tally: (f64, f64, Vec<f64>),
    ) -> PyResult<Self> {
        let (places, batch, pass, limit, until_finite_no_more) = span;
        let limit = Duration::try_from_secs_f64(limit).unwrap_or(Duration::MAX);
        let measured = judged.2.iter().map(|&(output, ref of, weighted, (total, count))| {
            Ok(Measured { output, measure: scored(of)?, weighted, total, count })
        });
        let measured = measured.collect::<PyResult<_>>()?;
        let losses = judged.0.iter().map(|(of, weight, divisor)| {
            Ok(Loss { measure: scored(of)?, weight: *weight, divisor: divisor_of(divisor)? })
        });
        let losses = losses.collect::<PyResult<_>>()?;
        let penalties = judged.3.iter().map(|&(at, l1, l2)| (at, Penalty { l1, l2 })).collect();
        let given = given.iter().map(|array| {
            array.as_ref().map(|array| Source::new("sample_weight", array)).transpose()
        });
        let moves = moves.map(|(way, rates, decays)| {
            let rule = rule(&way.0)?;
            PyResult::Ok(Moves {
                rule,
                clip: clip(way.1.as_ref())?,
                paces: paces(rule, &rates, decays.as_deref()),
            })
        });
        Ok(Self {
            x: Source::all("x", &x)?,
            y: Source::all("y", &y)?,
            weights: given.collect::<PyResult<_>>()?,
            order: order_of(order.as_ref())?,
            judge: Judge { losses, exact: judged.1, penalties },
            span: Span { places: places.0..places.1, batch, pass, limit, until_finite_no_more },
            moves: moves.transpose()?,
            tally: Tally {
                total: tally.0,
                count: tally.1,
                parts: tally.2,
                measured,
                ..Tally::default()
            },
            ended: Vec::new(),
        })
    }
}

impl<T: Read> Job<T> {
    fn new(said: Asked<'_>) -> PyResult<Self> {
        let ((weights, slots, outputs), samples, span, judged, moves, tally, draws) = said;
        Ok(Self {
            arrays: Arrays::unchecked(&weights, &slots, &outputs)?,
            work: Work::new(samples, span, &judged, moves, tally)?,
            draws: Draws(draws),
            // A job that was not begun was interrupted.
            result: Err(Error::Interrupted),
            raised: None,
        })
    }

    fn run(&mut self, graph: &mut Graph<T>, trained: &[usize], stop: Ask<'_>) -> Result<()> {
        let (mut weights, slots, mut kept) = self.arrays.parts();
        let work = &mut self.work;
        let order = work.order.as_ref().map(Flat::elements);
        let [x, y] = [&work.x, &work.y].map(|all| all.iter().map(T::rows).collect::<Vec<_>>());
        let given = work.weights.iter().map(|each| each.as_ref().map(f64::rows));
        let given = given.collect::<Vec<_>>();
        let data = Data { inputs: &x, targets: &y, weights: &given, order };
        let (judged, span, tally) = (&work.judge, &work.span, &mut work.tally);
        let Some(Moves { rule, clip, paces }) = &work.moves else {
            return judge(graph, judged, &weights, (&data, span), tally, stop);
        };
        let mut updates = Updates { rule: *rule, clip: *clip, trained, slots };
        let given = (&data, span, &paces[..]);
        let told = (tally, &mut work.ended, &mut self.draws, &mut kept[..]);
        train(graph, judged, &mut updates, &mut weights, given, told, stop)
    }

    fn done<'py>(&self, py: Python<'py>) -> Done<'py> {
        let error = self.result.as_ref().err().filter(|error| **error != Error::Interrupted);
        let error = error.map(|error| PyErr::from(error.clone()));
        let error = self.raised.as_ref().map(|raised| raised.clone_ref(py)).or(error);
        let error = error.map(|error| error.into_value(py).into_bound(py));
        let Work { tally, ended, .. } = &self.work;
        let sums = |pass: &Tally| {
            let metrics = pass.measured.iter().map(|each| (each.total, each.count)).collect();
            (pass.total, pass.count, pass.parts.clone(), metrics)
        };
        let passes = ended.iter().chain([tally]).map(sums).collect();
        (tally.steps, tally.loss, passes, error.map(Bound::into_any))
    }
}

/// What changes from step to step: as many rates for each as the rule takes, and the decays.
pub(super) fn paces(rule: Rule, rates: &[f64], decays: Option<&[f64]>) -> Vec<Pace> {
    let steps = rates.chunks_exact(rule.rates()).enumerate();
    let pace = |(step, given): (usize, &[f64])| {
        let mut rates = [0.0; 3];
        rates[..given.len()].copy_from_slice(given);
        Pace { rates, decay: decays.and_then(|all| all.get(step).copied()) }
    };
    steps.map(pace).collect()
}

pub(super) fn order_of(order: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Flat<i64>>> {
    let of = |order: &Bound<'_, PyAny>| flat("order", order, an_array("order", order)?.shape());
    order.map(of).transpose()
}

/// Does the work asked for models of one structure; several are shared out between threads, each of
/// which has one of `graphs`. `told` receives a [`Done`] of each, even if a signal ends all of it
/// early: what Python would get as a result is lost when a signal's handler raises as the call
/// returns.
pub(super) fn run<T: Read>(
    said: Vec<Asked<'_>>,
    trained: &[usize],
    graphs: &mut [Graph<T>],
    raised: &Raised,
    told: &Bound<'_, PyList>,
) -> PyResult<()> {
    let py = told.py();
    let jobs = said.into_iter().map(Job::<T>::new);
    let mut jobs = jobs.collect::<PyResult<Vec<_>>>()?;
    Spans::of(jobs.iter().flat_map(|job| job.arrays.spans()))?;
    let done = detached(py, |stop| {
        let stop = Stop::new(stop);
        let threads = graphs.len();
        let graphs: Vec<_> = graphs.iter_mut().map(Mutex::new).collect();
        for_each(threads, &mut jobs, |member, job| {
            // Each member has the graph of its number: none waits for another.
            let Ok(mut graph) = graphs[member].lock() else { return };
            let ask = || stop.poll(member).is_err();
            job.result = stop.poll(member).and_then(|()| job.run(&mut graph, trained, &ask));
            job.raised = take(raised);
        });
        Ok(())
    });
    for job in &jobs {
        told.append(job.done(py))?;
    }
    done
}

/// How many graphs this many models need.
pub(super) fn graphs_for(models: usize) -> Result<usize> {
    // A model alone has the threads of its layers' calls.
    if models < 2 { Ok(1) } else { Ok(threads::count()?.min(models)) }
}
