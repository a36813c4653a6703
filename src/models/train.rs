//! Steps of training, batch after batch.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::graph::Graph;
use super::node::{Draws, Shape};
use super::rows::Samples;
use super::update::{Pace, Updates};
use crate::error::{Error, Result};
use crate::layers::sequence::Engine;
use crate::machine::threads::Ask;
use crate::training::loss::{self, mean_error, pointwise_error, sum_of_errors};

/// Samples and targets in the order in which they are taken.
pub struct Data<'a, T> {
    /// The inputs.
    pub inputs: &'a dyn Samples<T>,
    /// The targets, of the shape of the outputs.
    pub targets: &'a dyn Samples<T>,
    /// Which samples come one after the other; all, as they lie, if there is none.
    pub order: Option<&'a [i64]>,
}

/// Which samples are taken, and for how long.
pub struct Span {
    /// Places in the order.
    pub places: Range<usize>,
    /// Samples of a batch; the last may have fewer.
    pub batch: usize,
    /// After so long no further step is begun.
    pub limit: Duration,
    /// Whether a loss that is not finite ends it, after the step that had it.
    pub until_finite_no_more: bool,
}

/// What a step is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Loss {
    /// What is averaged.
    pub error: loss::Error,
    /// Whether values are rounded one by one, as NumPy does, and not summed as they are.
    pub pointwise: bool,
}

/// What is known after some steps.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Steps done.
    pub steps: usize,
    /// The sum of the losses, each times its batch's samples.
    pub total: f64,
    /// The sum of samples.
    pub count: f64,
    /// The last loss.
    pub loss: f64,
    /// For each metric what it sums, and the sum so far; samples count as for the loss.
    pub measured: Vec<(loss::Error, f64)>,
}

/// Takes steps, one for each of `paces` or as many as `span` has; `tally` counts each once it is done,
/// also where a later one fails. A step that fails has changed no weight.
///
/// # Errors
/// If arrays do not fit, if memory runs out, or if `stop` said so.
pub fn train<T: Engine>(
    graph: &mut Graph<T>,
    loss: Loss,
    updates: &mut Updates<'_, T>,
    weights: &mut [&mut [T]],
    (data, span, paces): (&Data<'_, T>, &Span, &[Pace]),
    (tally, draws): (&mut Tally, &mut Draws),
    stop: Ask<'_>,
) -> Result<()> {
    graph.check(weights)?;
    updates.check(weights)?;
    data.check(span)?;
    let start = Instant::now();
    let mut first = span.places.start;
    for &pace in paces {
        if first >= span.places.end || (tally.steps > 0 && start.elapsed() >= span.limit) {
            break;
        }
        let places = first..span.places.end.min(first.saturating_add(span.batch));
        first = places.end;
        let rows = places.len();
        gather(graph, data.inputs, data.order, places.clone())?;
        graph.pack(weights)?;
        graph.forward(weights, (true, true), draws, stop)?;
        let mean = data.loss(graph, loss, places, &mut tally.measured)?;
        graph.backward(stop)?;
        updates.apply(pace, weights, graph.gradients())?;
        tally.count_in(T::of(mean).wide(), rows);
        if span.until_finite_no_more && !tally.loss.is_finite() {
            break;
        }
    }
    Ok(())
}

/// Judges a model without training it, batch by batch: `tally` counts as that of [`train`].
///
/// # Errors
/// If arrays do not fit, if memory runs out, or if `stop` said so.
pub fn judge<T: Engine>(
    graph: &mut Graph<T>,
    loss: Loss,
    weights: &[&mut [T]],
    (data, span): (&Data<'_, T>, &Span),
    tally: &mut Tally,
    stop: Ask<'_>,
) -> Result<()> {
    graph.check(weights)?;
    data.check(span)?;
    let start = Instant::now();
    let (mut first, mut draws) = (span.places.start, Draws::default());
    while first < span.places.end && (tally.steps == 0 || start.elapsed() < span.limit) {
        let places = first..span.places.end.min(first.saturating_add(span.batch));
        first = places.end;
        let rows = places.len();
        gather(graph, data.inputs, data.order, places.clone())?;
        if tally.steps == 0 {
            graph.pack(weights)?;
        }
        graph.forward(weights, (false, false), &mut draws, stop)?;
        let mean = data.loss(graph, loss, places, &mut tally.measured)?;
        tally.count_in(T::of(mean).wide(), rows);
    }
    Ok(())
}

/// Computes outputs batch by batch, and writes those of the samples at `span.places`; `done` counts the
/// samples. `packed` says that weights are as they were in the last call.
///
/// # Errors
/// If arrays do not fit, if memory runs out, or if `stop` said so.
pub fn predict<T: Engine>(
    graph: &mut Graph<T>,
    (weights, packed): (&[&mut [T]], bool),
    (inputs, order, span): (&dyn Samples<T>, Option<&[i64]>, &Span),
    (outputs, done): (&mut [T], &mut usize),
    stop: Ask<'_>,
) -> Result<()> {
    graph.check(weights)?;
    check_span(inputs.axes()[0], order, span)?;
    if !packed {
        graph.pack(weights)?;
    }
    let width = outputs.len() / span.places.len().max(1);
    let (start, mut first, mut draws) = (Instant::now(), span.places.start, Draws::default());
    while first < span.places.end && (*done == 0 || start.elapsed() < span.limit) {
        let places = first..span.places.end.min(first.saturating_add(span.batch));
        let rows = places.len();
        first = places.end;
        gather(graph, inputs, order, places)?;
        graph.forward(weights, (false, false), &mut draws, stop)?;
        let made = graph.outputs()?;
        if made.len() != rows * width {
            return Err(Error::shape("outputs", [rows, width], graph.output_shape()?.axes()));
        }
        outputs[*done * width..][..made.len()].copy_from_slice(made);
        *done += rows;
    }
    Ok(())
}

impl Tally {
    /// Counts a step, its loss as a number of the outputs' type.
    fn count_in(&mut self, loss: f64, rows: usize) {
        self.loss = loss;
        self.total += loss * rows as f64;
        self.count += rows as f64;
        self.steps += 1;
    }
}

impl<T: Engine> Data<'_, T> {
    fn check(&self, span: &Span) -> Result<()> {
        let count = self.inputs.axes()[0];
        if self.targets.axes()[0] != count {
            return Err(Error::shape("y", [count], [self.targets.axes()[0]]));
        }
        check_span(count, self.order, span)
    }

    /// The mean error of a batch, whose gradient becomes the graph's slopes.
    fn loss(
        &self,
        graph: &mut Graph<T>,
        loss: Loss,
        places: Range<usize>,
        measured: &mut [(loss::Error, f64)],
    ) -> Result<f64> {
        let shape = graph.output_shape()?;
        let [_, time, features] = self.targets.axes();
        if [time, features] != [shape.time, shape.features] {
            return Err(Error::shape("y", [shape.time, shape.features], [time, features]));
        }
        let (targets, outputs, slopes) = graph.judged()?;
        for (place, to) in places.zip(targets.chunks_exact_mut((time * features).max(1))) {
            self.targets.read(sample(self.order, place), to);
        }
        for (error, sum) in measured {
            *sum += if loss.pointwise {
                sum_of_errors(*error, targets, outputs)
            } else {
                mean_error(*error, targets, outputs, None) * shape.rows as f64
            };
        }
        Ok(if loss.pointwise {
            pointwise_error(loss.error, targets, outputs, slopes)
        } else {
            mean_error(loss.error, targets, outputs, Some(slopes))
        })
    }
}

/// The sample at a place.
fn sample(order: Option<&[i64]>, place: usize) -> usize {
    order.map_or(place, |order| order[place].cast_unsigned() as usize)
}

/// Refuses batches of nothing, and places at which there is none of `count` samples.
fn check_span(count: usize, order: Option<&[i64]>, span: &Span) -> Result<()> {
    if span.batch == 0 {
        return Err(Error::value("batch", "a positive number", span.batch));
    }
    check_places(count, order, &span.places)
}

/// Refuses places at which there is none of `count` samples.
fn check_places(count: usize, order: Option<&[i64]>, places: &Range<usize>) -> Result<()> {
    let all = order.map_or(count, <[i64]>::len);
    if places.start > places.end || places.end > all {
        return Err(Error::value("places", format!("places up to {all}"), places));
    }
    let known = |&sample: &i64| usize::try_from(sample).is_ok_and(|sample| sample < count);
    match order.and_then(|order| order[places.clone()].iter().find(|n| !known(n))) {
        Some(wrong) => Err(Error::value("order", format!("numbers below {count}"), wrong)),
        None => Ok(()),
    }
}

/// Makes room for the samples at some places of an order, and writes them into the graph.
///
/// # Errors
/// If there are no such samples, or a layer does not take them, or if memory runs out.
pub fn gather<T: Engine>(
    graph: &mut Graph<T>,
    inputs: &dyn Samples<T>,
    order: Option<&[i64]>,
    places: Range<usize>,
) -> Result<()> {
    let [count, time, features] = inputs.axes();
    check_places(count, order, &places)?;
    graph.prepare(Shape { rows: places.len(), time, features })?;
    let width = time * features;
    for (place, to) in places.zip(graph.inputs()?.chunks_exact_mut(width.max(1))) {
        inputs.read(sample(order, place), to);
    }
    Ok(())
}
