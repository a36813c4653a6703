//! What outputs are judged by: losses and metrics, with the weights of samples and the masks of steps.

use std::ops::Range;

use super::graph::Graph;
use super::node::Shape;
use super::rows::Samples;
use super::scores::{Scores, Scoring};
use super::update::sum;
use crate::error::{Error, Result};
use crate::layers::sequence::Engine;
use crate::machine::lists;
use crate::machine::threads::Ask;
use crate::training::classes::{hits, weighted_hits};
use crate::training::measure::Measure;
use crate::training::penalty::Penalty;
use crate::training::rows::{Divisor, Rows, Weights};

/// Samples and targets in the order in which they are taken.
pub struct Data<'a, T> {
    /// The inputs.
    pub inputs: &'a [&'a dyn Samples<T>],
    /// The targets, of the shape of the outputs.
    pub targets: &'a [&'a dyn Samples<T>],
    /// The weights of samples, or of their steps, for each output that has some.
    pub weights: &'a [Option<&'a dyn Samples<f64>>],
    /// The order of the samples; all in their own order if there is none.
    pub order: Option<&'a [i64]>,
}

/// What is averaged over an output.
#[derive(Clone, Debug)]
pub enum Scored {
    /// A measure of the engine.
    Measure(Measure),
    /// Code of a user.
    Written(Scores),
}

impl Scored {
    /// How many targets a sample has, if those `received` fit.
    fn targets(&self, shape: Shape, received: &[usize]) -> Result<usize> {
        let (expected, fits) = match self {
            Self::Measure(measure) => {
                let expected = [shape.time, measure.labels().width(shape.features)];
                (expected, received == expected)
            }
            Self::Written(scores) => {
                let expected = [1, scores.targets()];
                (expected, received.iter().product::<usize>() == expected[1])
            }
        };
        if fits {
            Ok(expected.iter().product())
        } else {
            Err(Error::shape("y", expected, received))
        }
    }
}

/// What an output is judged by.
#[derive(Clone, Debug)]
pub struct Loss {
    /// What is averaged.
    pub measure: Scored,
    /// Its weight among the losses of all outputs.
    pub weight: f64,
    /// What the sum of weighted values is divided by.
    pub divisor: Divisor,
}

/// What a step is judged by.
#[derive(Clone, Debug)]
pub struct Judge {
    /// One for each output.
    pub losses: Vec<Loss>,
    /// Whether the sum over outputs is compensated for rounding, as Python's is from 3.12 on.
    pub exact: bool,
    /// The penalties on weights, by the numbers of these.
    pub penalties: Vec<(usize, Penalty)>,
}

/// A metric so far.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The number of its output.
    pub output: usize,
    /// What it averages.
    pub measure: Scored,
    /// Whether the weights of samples count.
    pub weighted: bool,
    /// The sum of the values.
    pub total: f64,
    /// The sum of their weights.
    pub count: f64,
}

/// The totals after some steps.
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
    /// The sums of the losses of each output; samples count as for all of them.
    pub parts: Vec<f64>,
    /// The metrics.
    pub measured: Vec<Measured>,
}

impl Tally {
    /// Counts a step, its loss as a number of the outputs' type.
    pub(super) fn count_in(&mut self, loss: f64, rows: usize) {
        self.loss = loss;
        self.total += loss * rows as f64;
        self.count += rows as f64;
        self.steps += 1;
    }

    /// Begins the sums of the next pass; gives those of this one.
    pub(super) fn next_pass(&mut self) -> Self {
        let ended = self.clone();
        (self.total, self.count) = (0.0, 0.0);
        self.parts.fill(0.0);
        for metric in &mut self.measured {
            (metric.total, metric.count) = (0.0, 0.0);
        }
        ended
    }
}

impl Judge {
    /// The loss of a batch, whose gradients become the graph's slopes.
    pub(super) fn loss<T: Engine>(
        &self,
        graph: &mut Graph<T>,
        data: &Data<'_, T>,
        places: Range<usize>,
        (tally, memory): (&mut Tally, &mut Memory<T>),
        stop: Ask<'_>,
    ) -> Result<f64> {
        let (mut found, samples) = (lists::room(self.losses.len())?, places.len() as f64);
        let Memory { weighing, written } = memory;
        let mut written = Written { memory: written, at: 0 };
        for (number, (loss, of_output)) in self.losses.iter().zip(data.targets).enumerate() {
            let shape = graph.output_shape(number)?;
            let width = loss.measure.targets(shape, &of_output.axes()[1..])?;
            weighing.read(data.weights[number], data.order, places.clone(), shape)?;
            weighing.mask(graph.output_mask(number)?, shape)?;
            let (targets, outputs, slopes) = graph.judged(number, width)?;
            for (place, to) in places.clone().zip(targets.chunks_exact_mut(width.max(1))) {
                of_output.read(sample(data.order, place), to);
            }
            let rows = Rows { targets, predictions: outputs, classes: shape.features };
            for metric in tally.measured.iter_mut().filter(|each| each.output == number) {
                let weights = weighing.of_metric(metric.weighted)?;
                let (total, count) = match &metric.measure {
                    Scored::Measure(measure) => added(measure, &rows, weights, shape)?,
                    Scored::Written(scores) => {
                        let pair = (rows.targets, rows.predictions);
                        let scoring = written.next(scores)?;
                        let sums = scoring.sums(pair, shape, weights, stop)?;
                        scoring.counted(&sums)
                    }
                };
                metric.total += total;
                metric.count += count;
            }
            if let Scored::Measure(Measure::Crossentropy(of)) = &loss.measure
                && of.ignored.is_some()
            {
                weighing.ignore(rows.targets.iter().map(|&label| of.ignores(label)), shape)?;
            }
            let weights = weighing.of_loss(loss.divisor, shape)?;
            let mean = match &loss.measure {
                Scored::Measure(measure) => {
                    let weights = weights.map(|rows| Weights { rows, divisor: loss.divisor });
                    measure.mean(&rows, weights, Some(&mut *slopes))?
                }
                Scored::Written(scores) => {
                    let (pair, scoring) = ((rows.targets, rows.predictions), written.next(scores)?);
                    let sums = scoring.sums(pair, shape, weights, stop)?;
                    scoring.mean(&sums, (shape, weights, loss.divisor), &mut *slopes, stop)?
                }
            };
            let value = loss.weighted(mean, slopes);
            if let Some(sum) = tally.parts.get_mut(number) {
                *sum += value * samples;
            }
            lists::push(&mut found, loss.weight * value)?;
        }
        Ok(sum(found.into_iter(), self.exact))
    }
}

/// Memory that is kept from batch to batch.
pub(super) struct Memory<T: Engine> {
    weighing: Weighing,
    /// Of losses and metrics that are programs, in the order in which they are computed.
    written: Vec<Scoring<T>>,
}

impl<T: Engine> Default for Memory<T> {
    fn default() -> Self {
        Self { weighing: Weighing::default(), written: Vec::new() }
    }
}

/// The memory of each program in turn.
struct Written<'a, T: Engine> {
    memory: &'a mut Vec<Scoring<T>>,
    at: usize,
}

impl<T: Engine> Written<'_, T> {
    fn next(&mut self, scores: &Scores) -> Result<&mut Scoring<T>> {
        if self.at == self.memory.len() {
            lists::push(self.memory, scores.scoring()?)?;
        }
        self.at += 1;
        Ok(&mut self.memory[self.at - 1])
    }
}

impl Loss {
    /// The mean as a number of the outputs' type; `slopes` take the weight of the loss.
    #[allow(clippy::float_cmp, reason = "a weight of 1 changes nothing")]
    fn weighted<T: Engine>(&self, mean: f64, slopes: &mut [T]) -> f64 {
        if self.weight != 1.0 {
            let weight = T::of(self.weight);
            for slope in slopes {
                *slope = weight * *slope;
            }
        }
        T::of(mean).wide()
    }
}

/// What a batch adds to the sums of a metric.
fn added<T: Engine>(
    metric: &Measure,
    rows: &Rows<'_, T>,
    weights: Option<&[f64]>,
    shape: Shape,
) -> Result<(f64, f64)> {
    // A sample counts once, however many values it has.
    let values = if metric.by_entries() { shape.features } else { 1 } * shape.time;
    let (samples, values) = (shape.rows as f64, values as f64);
    match (metric, weights) {
        (&Measure::Hits(labels, threshold), Some(weights)) => {
            let (total, count) = weighted_hits(labels, threshold, rows, weights)?;
            Ok((total / values, count / values))
        }
        (_, Some(weights)) => {
            let weights = Weights { rows: weights, divisor: Divisor::Weights };
            let count = weights.total() / values;
            Ok((metric.mean(rows, Some(weights), None)? * count, count))
        }
        (&Measure::Hits(labels, threshold), None) => {
            Ok((hits(labels, threshold, rows)? as f64 / values, samples))
        }
        (_, None) => Ok((metric.mean(rows, None, None)? * samples, samples)),
    }
}

/// The weights of the rows of an output: from those of samples or of their steps, and from the
/// mask.
#[derive(Default)]
struct Weighing {
    given: Option<Vec<f64>>,
    mask: Option<Vec<f64>>,
    made: Vec<f64>,
}

impl Weighing {
    /// Reads the weights of a batch.
    fn read(
        &mut self,
        weights: Option<&dyn Samples<f64>>,
        order: Option<&[i64]>,
        places: Range<usize>,
        shape: Shape,
    ) -> Result<()> {
        let Some(weights) = weights else {
            self.given = None;
            return Ok(());
        };
        let [_, time, features] = weights.axes();
        let (width, count) = (time * features, shape.rows * shape.time);
        if ![1, shape.time].contains(&width) {
            return Err(Error::shape("sample_weight", [shape.rows, shape.time], weights.axes()));
        }
        let given = sized(&mut self.given, count)?;
        for (place, to) in places.zip(given.chunks_exact_mut(shape.time.max(1))) {
            weights.read(sample(order, place), &mut to[..width]);
            if width < to.len() {
                let each = to[0];
                to.fill(each);
            }
        }
        Ok(())
    }

    /// Takes the mask that came with the outputs.
    fn mask(&mut self, mask: Option<&[bool]>, shape: Shape) -> Result<()> {
        let Some(mask) = mask else {
            self.mask = None;
            return Ok(());
        };
        if mask.len() != shape.rows * shape.time {
            return Err(Error::shape("mask", [shape.rows, shape.time], [mask.len()]));
        }
        for (to, &counts) in sized(&mut self.mask, mask.len())?.iter_mut().zip(mask) {
            *to = f64::from(u8::from(counts));
        }
        Ok(())
    }

    /// Hides rows besides those that the mask hides.
    fn ignore(&mut self, rows: impl Iterator<Item = bool>, shape: Shape) -> Result<()> {
        if self.mask.is_none() {
            sized(&mut self.mask, shape.rows * shape.time)?.fill(1.0);
        }
        for (to, ignored) in self.mask.iter_mut().flatten().zip(rows) {
            *to = if ignored { 0.0 } else { *to };
        }
        Ok(())
    }

    /// For a metric: whether a row counts, times the weight if that is asked for.
    fn of_metric(&mut self, weighted: bool) -> Result<Option<&[f64]>> {
        let given = self.given.as_deref().filter(|_| weighted);
        product(self.mask.as_deref(), 1.0, given, &mut self.made)
    }

    /// For a loss. In a mean the rows that count together weigh as much as all rows would.
    fn of_loss(&mut self, divisor: Divisor, shape: Shape) -> Result<Option<&[f64]>> {
        if divisor == Divisor::One && self.mask.is_none() && self.given.is_none() {
            sized(&mut self.given, shape.rows * shape.time)?.fill(1.0);
        }
        let ratio = self
            .mask
            .as_ref()
            .filter(|_| divisor == Divisor::Rows)
            .map_or(1.0, |mask| mask.len() as f64 / mask.iter().sum::<f64>().max(1.0));
        product(self.mask.as_deref(), ratio, self.given.as_deref(), &mut self.made)
    }
}

/// The sample at a place.
pub(super) fn sample(order: Option<&[i64]>, place: usize) -> usize {
    order.map_or(place, |order| order[place].cast_unsigned() as usize)
}

fn sized(list: &mut Option<Vec<f64>>, count: usize) -> Result<&mut [f64]> {
    if list.as_ref().is_none_or(|list| list.len() != count) {
        *list = Some(lists::filled(0.0, count)?);
    }
    Ok(list.as_deref_mut().unwrap_or_default())
}

/// The mask times a ratio, times the weights: whichever of both exist.
fn product<'a>(
    mask: Option<&'a [f64]>,
    ratio: f64,
    given: Option<&'a [f64]>,
    made: &'a mut Vec<f64>,
) -> Result<Option<&'a [f64]>> {
    let Some(mask) = mask else { return Ok(given) };
    if made.len() != mask.len() {
        *made = lists::filled(0.0, mask.len())?;
    }
    for (to, &counts) in made.iter_mut().zip(mask) {
        *to = counts * ratio;
    }
    for (to, &weight) in made.iter_mut().zip(given.into_iter().flatten()) {
        *to *= weight;
    }
    Ok(Some(&made[..]))
}
