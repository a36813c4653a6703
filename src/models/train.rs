//! Steps of training, batch after batch.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::graph::Graph;
use super::judge::{Data, Judge, Memory, Tally, sample};
use super::node::{Draws, Shape};
use super::rows::Samples;
use super::update::{Pace, Updates};
use crate::error::{Error, Result};
use crate::layers::sequence::Engine;
use crate::machine::lists::{self, Listed};
use crate::machine::memory::Buffer;
use crate::machine::threads::{self, Ask, hold, long};

/// Multiply-adds that take as long as reading an element of a sample.
const COST: usize = 24;

/// Which samples are taken, and for how long.
pub struct Span {
    /// Places in the order.
    pub places: Range<usize>,
    /// Samples of a batch; the last of a pass may have fewer.
    pub batch: usize,
    /// Places of a pass over the samples, after which batches and sums begin anew.
    pub pass: usize,
    /// After this time no further step is begun.
    pub limit: Duration,
    /// Whether a loss that is not finite ends it, after the step that had it.
    pub until_finite_no_more: bool,
}

/// Takes steps, one for each of `paces` or as many as `span` has; `tally` counts each once it is
/// done, even if a later one fails, and begins anew with each pass: `ended` receives those of the
/// passes before. A step that fails has changed no weight. `kept` receives the outputs of the
/// samples at `span.places`, one array for each output, or is empty.
///
/// # Errors
/// If arrays do not fit, if memory runs out, or if `stop` said so.
pub fn train<T: Engine>(
    graph: &mut Graph<T>,
    judge: &Judge,
    updates: &mut Updates<'_, T>,
    weights: &mut [&mut [T]],
    (data, span, paces): (&Data<'_, T>, &Span, &[Pace]),
    (tally, ended, draws, kept): (&mut Tally, &mut Vec<Tally>, &mut Draws, &mut [&mut [T]]),
    stop: Ask<'_>,
) -> Result<()> {
    graph.check(weights)?;
    updates.check(weights)?;
    data.check(graph, judge, span)?;
    graph.begin();
    let (_held, _long) = (hold(), (paces.len() > 1).then(long));
    let (start, mut memory) = (Instant::now(), Memory::default());
    let mut first = span.places.start;
    for &pace in paces {
        if first >= span.places.end || (tally.steps > 0 && start.elapsed() >= span.limit) {
            break;
        }
        if tally.steps > 0 && first.is_multiple_of(span.pass) {
            lists::push(ended, tally.next_pass())?;
        }
        let whole = span.pass - first % span.pass;
        let places = first..span.places.end.min(first.saturating_add(span.batch.min(whole)));
        first = places.end;
        let rows = places.len();
        gather(graph, data.inputs, data.order, places.clone())?;
        graph.pack(weights)?;
        graph.forward(weights, (true, true), draws, stop)?;
        keep(graph, kept, places.clone(), span)?;
        let mut next = tally.clone();
        let loss = judge.loss(graph, data, places, (&mut next, &mut memory), stop)?;
        graph.backward(stop)?;
        let added = penalize(judge, weights, graph.gradients());
        updates.apply(pace, weights, graph.gradients())?;
        graph.follow(weights);
        next.count_in(loss + added, rows);
        *tally = next;
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
    judge: &Judge,
    weights: &[&mut [T]],
    (data, span): (&Data<'_, T>, &Span),
    tally: &mut Tally,
    stop: Ask<'_>,
) -> Result<()> {
    graph.check(weights)?;
    data.check(graph, judge, span)?;
    graph.begin();
    let _held = hold();
    let start = Instant::now();
    let (mut first, mut draws) = (span.places.start, Draws::default());
    let mut memory = Memory::default();
    let added = penalize(judge, weights, &mut []);
    while first < span.places.end && (tally.steps == 0 || start.elapsed() < span.limit) {
        let places = first..span.places.end.min(first.saturating_add(span.batch));
        first = places.end;
        let rows = places.len();
        gather(graph, data.inputs, data.order, places.clone())?;
        if tally.steps == 0 {
            graph.pack(weights)?;
        }
        graph.forward(weights, (false, false), &mut draws, stop)?;
        let loss = judge.loss(graph, data, places, (tally, &mut memory), stop)?;
        tally.count_in(loss + added, rows);
    }
    Ok(())
}

/// The sum of the penalties on weights; their gradients join those of the layers, if these are given.
fn penalize<T: Engine>(judge: &Judge, weights: &[&mut [T]], gradients: &mut [Buffer<T>]) -> f64 {
    let mut total = 0.0;
    for &(at, penalty) in &judge.penalties {
        total += penalty.of(&*weights[at]);
        if let Some(gradient) = gradients.get_mut(at) {
            penalty.add_gradient(&*weights[at], 1.0, gradient);
        }
    }
    total
}

/// Computes outputs batch by batch, and writes those of the samples at `span.places`; `done` counts the
/// samples. `packed` says that weights are as they were in the last call.
///
/// # Errors
/// If arrays do not fit, if memory runs out, or if `stop` said so.
pub fn predict<T: Engine>(
    graph: &mut Graph<T>,
    (weights, packed): (&[&mut [T]], bool),
    (inputs, order, span): (&[&dyn Samples<T>], Option<&[i64]>, &Span),
    (outputs, done): (&mut [&mut [T]], &mut usize),
    stop: Ask<'_>,
) -> Result<()> {
    graph.check(weights)?;
    check_span(count_of("x", inputs)?, order, span)?;
    if outputs.len() != graph.ends().1 {
        let expected = format!("{} arrays", graph.ends().1);
        return Err(Error::value("outputs", expected, outputs.len()));
    }
    graph.begin();
    let _held = hold();
    if !packed {
        graph.pack(weights)?;
    }
    let (start, mut first, mut draws) = (Instant::now(), span.places.start, Draws::default());
    while first < span.places.end && (*done == 0 || start.elapsed() < span.limit) {
        let places = first..span.places.end.min(first.saturating_add(span.batch));
        first = places.end;
        gather(graph, inputs, order, places.clone())?;
        graph.forward(weights, (false, false), &mut draws, stop)?;
        keep(graph, outputs, places.clone(), span)?;
        *done += places.len();
    }
    Ok(())
}

/// Writes the outputs of a batch into arrays for all samples at `span.places`.
fn keep<T: Engine>(
    graph: &Graph<T>,
    outputs: &mut [&mut [T]],
    places: Range<usize>,
    span: &Span,
) -> Result<()> {
    let (before, rows) = (places.start - span.places.start, places.len());
    for (number, all) in outputs.iter_mut().enumerate() {
        let (width, made) = (all.len() / span.places.len(), graph.outputs(number)?);
        if made.len() != rows * width {
            let axes = graph.output_shape(number)?.axes();
            return Err(Error::shape("outputs", [rows, width], axes));
        }
        all[before * width..][..made.len()].copy_from_slice(made);
    }
    Ok(())
}

/// The number of samples that all arrays have.
fn count_of<T>(name: &'static str, arrays: &[&dyn Samples<T>]) -> Result<usize> {
    let mut counts = arrays.iter().map(|array| array.axes()[0]);
    let first = counts.next().unwrap_or(0);
    match counts.find(|&count| count != first) {
        Some(count) => Err(Error::value(name, format!("arrays of {first} samples"), count)),
        None => Ok(first),
    }
}

impl<T: Engine> Data<'_, T> {
    fn check(&self, graph: &Graph<T>, judge: &Judge, span: &Span) -> Result<()> {
        let count = count_of("x", self.inputs)?;
        let (targets, outputs) = (count_of("y", self.targets)?, graph.ends().1);
        if [self.targets.len(), judge.losses.len()] != [outputs; 2] {
            let received = [self.targets.len(), judge.losses.len()];
            return Err(Error::value(
                "y",
                format!("targets and losses for {outputs} outputs"),
                received,
            ));
        }
        let count_of_weights = graph.sizes().count();
        if let Some((wrong, _)) = judge.penalties.iter().find(|(at, _)| *at >= count_of_weights) {
            let expected = format!("numbers below {count_of_weights}");
            return Err(Error::value("penalties", expected, wrong));
        }
        let mut weights = self.weights.iter().flatten().map(|weights| weights.axes()[0]);
        if let Some(wrong) = weights.find(|&weights| weights != count) {
            return Err(Error::shape("sample_weight", [count], [wrong]));
        }
        if self.weights.len() != outputs {
            let expected = format!("an entry for each of {outputs} outputs");
            return Err(Error::value("sample_weight", expected, self.weights.len()));
        }
        if targets != count {
            return Err(Error::shape("y", [count], [targets]));
        }
        check_span(count, self.order, span)
    }
}

/// Refuses empty batches, and places at which there is none of `count` samples.
fn check_span(count: usize, order: Option<&[i64]>, span: &Span) -> Result<()> {
    for (name, number) in [("batch", span.batch), ("pass", span.pass)] {
        if number == 0 {
            return Err(Error::value(name, "a positive integer", number));
        }
    }
    check_places(count, order, &span.places)
}

/// Refuses places at which there is none of `count` samples.
fn check_places(count: usize, order: Option<&[i64]>, places: &Range<usize>) -> Result<()> {
    let all = order.map_or(count, <[i64]>::len);
    if places.start > places.end || places.end > all {
        return Err(Error::value("places", format!("a range within 0..{all}"), places));
    }
    let known = |&sample: &i64| usize::try_from(sample).is_ok_and(|sample| sample < count);
    match order.and_then(|order| order[places.clone()].iter().find(|n| !known(n))) {
        Some(wrong) => Err(Error::value("order", format!("numbers in 0..{count}"), wrong)),
        None => Ok(()),
    }
}

/// Makes room for the samples at some places of an order, and writes them into the graph.
///
/// # Errors
/// If there are no such samples, or a layer does not take them, or if memory runs out.
pub fn gather<T: Engine>(
    graph: &mut Graph<T>,
    inputs: &[&dyn Samples<T>],
    order: Option<&[i64]>,
    places: Range<usize>,
) -> Result<()> {
    check_places(count_of("x", inputs)?, order, &places)?;
    graph.prepare(&shapes_of(inputs, places.len())?)?;
    for (number, inputs) in inputs.iter().enumerate() {
        let [_, time, features] = inputs.axes();
        let (to, size) = (graph.inputs(number)?, (time * features).max(1));
        let threads = threads::worth(to.len().saturating_mul(COST))?;
        let of_share = places.len().div_ceil(threads).max(1);
        let mut shares = to.chunks_mut(of_share * size).enumerate().listed()?;
        threads::for_each(threads, &mut shares, |_, (share, to)| {
            let places = places.start + *share * of_share..;
            for (place, to) in places.zip(to.chunks_exact_mut(size)) {
                inputs.read(sample(order, place), to);
            }
        });
    }
    Ok(())
}

/// The shapes of a batch of some inputs.
///
/// # Errors
/// If memory runs out.
pub fn shapes_of<T>(inputs: &[&dyn Samples<T>], rows: usize) -> Result<Vec<Shape>> {
    let shapes = inputs.iter().map(|inputs| {
        let [_, time, features] = inputs.axes();
        Shape { rows, time, features }
    });
    shapes.listed()
}
