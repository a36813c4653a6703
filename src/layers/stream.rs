//! A chain of layers, one step at a time, for some rows ("streams") at once: what each layer keeps
//! from step to step lives here, and a step takes no memory, no lock and no system call.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::kernels::pack::row_stride;
use crate::kernels::row_function::{ApplyToRows, RowFunction};
use crate::layers::dense;
use crate::layers::embedding;
use crate::layers::normalization;
use crate::layers::sequence;
use crate::layers::sequence::Engine;
use crate::machine::memory::{Buffer, View, ViewMut};
use crate::machine::simd::{Element, Level};

/// A layer of the chain.
#[derive(Clone)]
pub enum Part<T: Element> {
    /// A recurrent layer.
    Recurrent(Arc<sequence::Weights<T>>),
    /// A Dense layer.
    Dense(Arc<dense::Weights<T>>),
    /// An Embedding, which may only come first: the stream then takes one id a row.
    Embedding(Arc<embedding::Weights<T>>),
    /// A layer normalization.
    Normalization(Arc<normalization::Weights<T>>),
    /// An activation on its own.
    Function(RowFunction),
}

enum Stage<T: Element> {
    Recurrent(sequence::Steps<T>),
    Dense(dense::Steps<T>),
    Embedding(embedding::Steps<T>),
    Normalization(normalization::Steps<T>),
    Function(Applied<T>),
}

/// An activation and its last outputs.
struct Applied<T: Element> {
    function: RowFunction,
    level: Level,
    stride: usize,
    units: usize,
    outputs: Buffer<T>,
}

/// The layers with their states.
pub struct Stream<T: Element> {
    /// The instruction set of activations on their own.
    level: Level,
    streams: usize,
    features: usize,
    units: usize,
    /// Elements between two rows of `staged`.
    stride: usize,
    /// The step's inputs, by row.
    staged: Buffer<T>,
    stages: Vec<Stage<T>>,
    /// The stage of each state array, and its number there.
    states: Vec<(usize, usize)>,
    work: usize,
}

impl<T: Engine> Stream<T> {
    /// `streams` sequences of `features` inputs before their first step, from zero states. `level`
    /// is the instruction set of activations on their own, `None` the one in use.
    ///
    /// # Errors
    /// If a layer does not take what the one before gives (an Embedding takes one feature, the id), if
    /// `streams` or `features` is zero, or if memory runs out.
    pub fn new(
        level: Option<Level>,
        parts: &[Part<T>],
        features: usize,
        streams: usize,
    ) -> Result<Self> {
        for (argument, size) in [("streams", streams), ("features", features)] {
            if size == 0 {
                return Err(Error::value(argument, "a positive number", size));
            }
        }
        let stride = row_stride(features);
        let staged = streams.checked_mul(stride).ok_or(Error::Memory(usize::MAX))?;
        let mut stream = Self {
            level: level.map_or_else(Level::current, Ok)?,
            streams,
            features,
            units: features,
            stride,
            staged: Buffer::zeroed(staged)?,
            // Bounded: the layers of a model.
            stages: Vec::with_capacity(parts.len()),
            states: Vec::new(),
            work: 0,
        };
        for part in parts {
            stream.push(part)?;
        }
        stream.work = stream.work.saturating_mul(streams);
        Ok(stream)
    }

    fn push(&mut self, part: &Part<T>) -> Result<()> {
        let place = self.stages.len();
        let (takes, gives, stage) = match part {
            Part::Recurrent(weights) => {
                // Bounded: the layers of a model.
                self.states.extend((0..weights.states()).map(|state| (place, state)));
                self.work += weights.features() * weights.gates() * weights.units();
                self.work += weights.recurrent_len() + weights.projection_len().unwrap_or(0);
                let steps = sequence::Steps::new(weights.clone(), self.streams)?;
                (weights.features(), weights.outputs(), Stage::Recurrent(steps))
            }
            Part::Dense(weights) => {
                self.work += weights.features() * weights.units();
                let steps = dense::Steps::new(weights.clone(), self.streams)?;
                (weights.features(), weights.units(), Stage::Dense(steps))
            }
            Part::Embedding(weights) => {
                if place > 0 {
                    let expected = "an Embedding as the first part only";
                    return Err(Error::value("parts", expected, place));
                }
                let steps = embedding::Steps::new(weights.clone(), self.streams)?;
                (1, weights.features(), Stage::Embedding(steps))
            }
            Part::Normalization(weights) => {
                let units = weights.features();
                let steps = normalization::Steps::new(weights.clone(), self.streams)?;
                (units, units, Stage::Normalization(steps))
            }
            &Part::Function(function) => {
                let (units, stride) = (self.units, row_stride(self.units));
                let outputs = Buffer::zeroed(self.streams * stride)?;
                let level = self.level;
                let stage = Applied { function, level, stride, units, outputs };
                (units, units, Stage::Function(stage))
            }
        };
        if takes != self.units {
            return Err(Error::value(
                "parts",
                format!("a part number {place} that takes {} features", self.units),
                takes,
            ));
        }
        self.units = gives;
        // Bounded: the layers of a model.
        self.stages.push(stage);
        Ok(())
    }

    /// Number of rows.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.streams
    }

    /// Number of input features.
    #[must_use]
    pub fn features(&self) -> usize {
        self.features
    }

    /// Number of outputs of a row.
    #[must_use]
    pub fn units(&self) -> usize {
        self.units
    }

    /// Multiply-adds of one step.
    #[must_use]
    pub fn work(&self) -> usize {
        self.work
    }

    /// The number of ids there are, if the stream takes ids.
    #[must_use]
    pub fn ids(&self) -> Option<usize> {
        match self.stages.first() {
            Some(Stage::Embedding(steps)) => Some(steps.weights().ids()),
            _ => None,
        }
    }

    /// Takes the id of one row before [`Self::advance`], in a stream of ids.
    ///
    /// # Panics
    /// If there is no such id or row.
    pub fn set_id(&mut self, stream: usize, id: usize) {
        if let Some(Stage::Embedding(steps)) = self.stages.first_mut() {
            steps.set(stream, id);
        }
    }

    /// Where the inputs of one row go before [`Self::advance`].
    pub fn inputs(&mut self, stream: usize) -> &mut [T] {
        &mut self.staged[stream * self.stride..][..self.features]
    }

    /// Takes one step with all rows. Neither allocates, locks, blocks nor calls the system.
    pub fn advance(&mut self) {
        let (mut data, mut stride) = (&*self.staged, self.stride);
        let (mut stages, mut masked) = (&mut self.stages[..], None);
        if let [Stage::Embedding(steps), rest @ ..] = stages {
            (data, stride) = steps.outputs();
            masked = steps.weights().mask_zero().then(|| steps.masked());
            stages = rest;
        }
        for stage in stages {
            match stage {
                Stage::Recurrent(steps) => T::advance(steps, data, stride, masked),
                Stage::Dense(steps) => steps.advance(data, stride),
                Stage::Normalization(steps) => steps.advance(data, stride),
                Stage::Function(own) => own.advance(data, stride),
                Stage::Embedding(_) => unreachable!("`push` lets it come first only"),
            }
            (data, stride) = stage.outputs();
        }
    }

    /// The outputs of one row after the last step.
    #[must_use]
    pub fn outputs(&self, stream: usize) -> &[T] {
        let staged = (&*self.staged, self.stride);
        let (data, stride) = self.stages.last().map_or(staged, Stage::outputs);
        &data[stream * stride..][..self.units]
    }

    /// One step: inputs `[streams, 1, features]` to outputs `[streams, 1, units]`.
    ///
    /// # Errors
    /// If a shape does not fit.
    pub fn step(&mut self, inputs: View<'_, T>, outputs: &mut ViewMut<'_, T>) -> Result<()> {
        if let Some(ids) = self.ids() {
            return Err(Error::value("inputs", format!("ids below {ids}"), "features"));
        }
        let expected = [self.streams, 1, self.features];
        if inputs.shape() != expected {
            return Err(Error::shape("inputs", expected, inputs.shape()));
        }
        self.check_outputs(outputs)?;
        for stream in 0..self.streams {
            self.inputs(stream).copy_from_slice(inputs.row(stream, 0));
        }
        self.advance_into(outputs);
        Ok(())
    }

    /// One step of a stream of ids: one of each row to outputs `[streams, 1, units]`.
    ///
    /// # Errors
    /// If there is no such id, a shape does not fit, or the stream takes no ids.
    pub fn step_ids(&mut self, ids: &[i64], outputs: &mut ViewMut<'_, T>) -> Result<()> {
        let Some(known) = self.ids() else {
            return Err(Error::value("ids", format!("{} features a row", self.features), "ids"));
        };
        if ids.len() != self.streams {
            return Err(Error::shape("ids", [self.streams], [ids.len()]));
        }
        embedding::check("ids", ids, known)?;
        self.check_outputs(outputs)?;
        for (stream, &id) in ids.iter().enumerate() {
            self.set_id(stream, id.cast_unsigned() as usize);
        }
        self.advance_into(outputs);
        Ok(())
    }

    fn check_outputs(&self, outputs: &ViewMut<'_, T>) -> Result<()> {
        let expected = [self.streams, 1, self.units];
        if outputs.shape() == expected {
            return Ok(());
        }
        Err(Error::shape("outputs", expected, outputs.shape()))
    }

    fn advance_into(&mut self, outputs: &mut ViewMut<'_, T>) {
        self.advance();
        for stream in 0..self.streams {
            outputs.row(stream, 0).copy_from_slice(self.outputs(stream));
        }
    }

    /// The length of a row of each state array, in the order of the layers; a layer's output first.
    #[must_use]
    pub fn state_sizes(&self) -> Vec<usize> {
        let size = |&(stage, state): &(usize, usize)| match &self.stages[stage] {
            Stage::Recurrent(steps) => steps.weights().state_size(state),
            _ => 0,
        };
        // Bounded: the layers of a model.
        self.states.iter().map(size).collect()
    }

    /// Copies one row of a state array.
    ///
    /// # Panics
    /// If there is no such state or row, or `to` has another length than the row.
    pub fn read_state(&mut self, state: usize, stream: usize, to: &mut [T]) {
        let (stage, number) = self.states[state];
        if let Stage::Recurrent(steps) = &mut self.stages[stage] {
            steps.read_state(number, stream, to);
        }
    }

    /// Sets one row of a state array.
    ///
    /// # Panics
    /// If there is no such state or row, or `from` has another length than the row.
    pub fn write_state(&mut self, state: usize, stream: usize, from: &[T]) {
        let (stage, number) = self.states[state];
        if let Stage::Recurrent(steps) = &mut self.stages[stage] {
            steps.write_state(number, stream, from);
        }
    }

    /// Sets all states of one row to zero.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn reset(&mut self, stream: usize) {
        assert!(stream < self.streams, "no such row");
        for stage in &mut self.stages {
            if let Stage::Recurrent(steps) = stage {
                steps.reset(stream);
            }
        }
    }
}

impl<T: Element> Stage<T> {
    fn outputs(&self) -> (&[T], usize) {
        match self {
            Self::Recurrent(steps) => steps.outputs(),
            Self::Dense(steps) => steps.outputs(),
            Self::Embedding(steps) => steps.outputs(),
            Self::Normalization(steps) => steps.outputs(),
            Self::Function(own) => (&own.outputs, own.stride),
        }
    }
}

impl<T: Element> Applied<T> {
    fn advance(&mut self, inputs: &[T], stride: usize) {
        // Rows of as many elements lie equally far apart everywhere.
        debug_assert_eq!(stride, self.stride);
        let values = &mut *self.outputs;
        values.copy_from_slice(&inputs[..values.len()]);
        let (function, stride, units) = (self.function, self.stride, self.units);
        T::dispatch(self.level, ApplyToRows { function, values, stride, units });
    }
}
