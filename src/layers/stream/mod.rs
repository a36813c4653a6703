//! A chain of layers, one step at a time, for some rows ("streams") at once: what each layer keeps
//! from step to step lives here, and a step makes no allocation. It takes no lock and makes no system
//! call, unless a layer has so much work that it calls for other threads.

mod built_in;
mod conv_lstm;
mod elementwise;
mod places;
mod stage;
mod window;

use std::sync::Arc;

pub use conv_lstm::ConvLstm;
pub use elementwise::{Elementwise, Operation};
pub use places::{Fold, Folding, Products, Select};
pub use window::Window;

use self::stage::{Idle, Outputs, Stage};
use crate::error::{Error, Result};
use crate::kernels::row_function::RowFunction;
use crate::layers::dense;
use crate::layers::embedding;
use crate::layers::normalization;
use crate::layers::sequence;
use crate::layers::sequence::Engine;
use crate::machine::lists::Listed;
use crate::machine::memory::{Buffer, View, ViewMut};
use crate::machine::simd::{Element, Level};
use crate::machine::threads::hold;

/// Multiply-adds of a step from which on its layers may call for other threads, which then stay awake
/// from one layer to the next.
const LARGE: usize = 700_000;

/// A layer of the chain, or a part of one.
#[derive(Clone)]
pub enum Part<T: Element> {
    /// A recurrent layer.
    Recurrent(Arc<sequence::Weights<T>>),
    /// A Dense layer.
    Dense(Arc<dense::Weights<T>>),
    /// An Embedding, which may only come first: the stream then takes one id per row.
    Embedding(Arc<embedding::Weights<T>>),
    /// A layer normalization.
    Normalization(Arc<normalization::Weights<T>>),
    /// An activation on its own.
    Function(RowFunction),
    /// The last steps side by side.
    Window(Window),
    /// Pieces of a row in another order.
    Select(Arc<Select>),
    /// Products at each place of a frame.
    Products(Products<T>),
    /// Windows of places folded.
    Folding(Arc<Folding<T>>),
    /// Arithmetic on each element.
    Elementwise(Arc<Elementwise<T>>),
    /// A convolutional LSTM.
    ConvLstm(ConvLstm<T>),
}

impl<T: Engine> Part<T> {
    /// The layer for `rows` rows of `units` inputs, before its first step.
    fn stage(&self, level: Level, rows: usize, units: usize) -> Result<Box<dyn Stage<T>>> {
        Ok(match self {
            Self::Recurrent(layer) => Box::new(sequence::RecurrentStage::new(layer.clone(), rows)?),
            Self::Dense(layer) => Box::new(dense::DenseStage::new(layer.clone(), rows)?),
            Self::Embedding(layer) => {
                Box::new(embedding::EmbeddingStage::new(layer.clone(), rows)?)
            }
            Self::Normalization(layer) => {
                Box::new(normalization::NormalizationStage::new(layer.clone(), rows)?)
            }
            &Self::Function(layer) => {
                Box::new(built_in::FunctionStage::new(level, layer, rows, units)?)
            }
            &Self::Window(layer) => Box::new(window::WindowStage::new(layer, rows)?),
            Self::Select(layer) => Box::new(places::SelectStage::new(layer.clone(), rows)?),
            Self::Products(layer) => Box::new(places::ProductsStage::new(layer.clone(), rows)?),
            Self::Folding(layer) => {
                Box::new(places::FoldingStage::new(level, layer.clone(), rows)?)
            }
            Self::Elementwise(layer) => {
                Box::new(elementwise::ElementwiseStage::new(level, layer.clone(), rows)?)
            }
            Self::ConvLstm(layer) => {
                Box::new(conv_lstm::ConvLstmStage::new(level, layer.clone(), rows)?)
            }
        })
    }
}

/// The layers with their states.
pub struct Stream<T: Element> {
    /// The instruction set of parts without weights.
    level: Level,
    streams: usize,
    features: usize,
    units: usize,
    /// The step's inputs, by row.
    staged: Outputs<T>,
    stages: Vec<Box<dyn Stage<T>>>,
    /// The stage of each state array, and its number there.
    states: Vec<(usize, usize)>,
    /// The length of a row of each.
    sizes: Vec<usize>,
    idle: Idle,
    /// What stands for the outputs of a row that has none yet.
    absent: Buffer<T>,
    work: usize,
}

impl<T: Engine> Stream<T> {
    /// `streams` sequences of `features` inputs before their first step, from zero states. `level`
    /// is the instruction set of activations on their own, `None` the one in use.
    ///
    /// # Errors
    /// If a layer does not accept what the one before it gives (an Embedding takes one feature, the
    /// id), if `streams` or `features` is zero, or if memory runs out.
    pub fn new(
        level: Option<Level>,
        parts: &[Part<T>],
        features: usize,
        streams: usize,
    ) -> Result<Self> {
        for (argument, size) in [("streams", streams), ("features", features)] {
            if size == 0 {
                return Err(Error::value(argument, "a positive integer", size));
            }
        }
        let mut stream = Self {
            level: level.map_or_else(Level::current, Ok)?,
            streams,
            features,
            units: features,
            staged: Outputs::new(streams, features)?,
            // Bounded: the layers of a model.
            stages: Vec::with_capacity(parts.len()),
            states: Vec::new(),
            sizes: Vec::new(),
            idle: Idle::new(streams)?,
            absent: Buffer::default(),
            work: 0,
        };
        for part in parts {
            stream.push(part)?;
        }
        stream.absent = Buffer::unfilled(stream.units)?;
        stream.absent.fill(T::of(f64::NAN));
        stream.work = stream.work.saturating_mul(streams);
        Ok(stream)
    }

    fn push(&mut self, part: &Part<T>) -> Result<()> {
        let place = self.stages.len();
        let stage = part.stage(self.level, self.streams, self.units)?;
        if place > 0 && stage.ids().is_some() {
            let received = format!("one as part number {place}");
            return Err(Error::kind("parts", "an Embedding only as part number 0", received));
        }
        if stage.input_size() != self.units {
            let expected = format!("part number {place} to take {} features", self.units);
            let received = format!("one that takes {}", stage.input_size());
            return Err(Error::kind("parts", expected, received));
        }
        self.units = stage.output_size();
        self.work = self.work.saturating_add(stage.work());
        let sizes = stage.states()?;
        (0..sizes.len()).map(|state| (place, state)).append(&mut self.states)?;
        sizes.into_iter().append(&mut self.sizes)?;
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
        self.stages.first().and_then(|stage| stage.ids())
    }

    /// Takes the id of one row before [`Self::advance`], in a stream of ids.
    ///
    /// # Panics
    /// If there is no such id or row.
    pub fn set_id(&mut self, stream: usize, id: usize) {
        if let Some(stage) = self.stages.first_mut() {
            stage.set_id(stream, id);
        }
    }

    /// Where the inputs of one row go before [`Self::advance`].
    pub fn inputs(&mut self, stream: usize) -> &mut [T] {
        &mut self.staged.values[stream * self.staged.stride..][..self.features]
    }

    /// Takes one step with all rows, without allocations; on this thread alone, without locks or system
    /// calls, unless a layer's share is large.
    pub fn advance(&mut self) {
        let _held = (self.work >= LARGE).then(hold);
        let (mut data, mut stride) = self.staged.get();
        self.idle.clear();
        for stage in &mut self.stages {
            stage.advance(data, stride, &mut self.idle);
            (data, stride) = stage.outputs();
        }
    }

    /// The outputs of one row after the last step: NaN if a window without padding is not full yet.
    #[must_use]
    pub fn outputs(&self, stream: usize) -> &[T] {
        if self.idle.waits(stream) {
            return &self.absent;
        }
        let (data, stride) =
            self.stages.last().map_or_else(|| self.staged.get(), |stage| stage.outputs());
        &data[stream * stride..][..self.units]
    }

    /// One step: inputs `[streams, 1, features]` to outputs `[streams, 1, units]`.
    ///
    /// # Errors
    /// If a shape does not fit.
    pub fn step(&mut self, inputs: View<'_, T>, outputs: &mut ViewMut<'_, T>) -> Result<()> {
        if let Some(ids) = self.ids() {
            return Err(Error::kind("inputs", format!("ids below {ids}"), "features"));
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
            let expected = format!("{} features for each row", self.features);
            return Err(Error::kind("ids", expected, "ids"));
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
    pub fn state_sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// Copies one row of a state array.
    ///
    /// # Panics
    /// If there is no such state or row, or `to` has another length than the row.
    pub fn read_state(&mut self, state: usize, stream: usize, to: &mut [T]) {
        let (stage, number) = self.states[state];
        self.stages[stage].read_state(number, stream, to);
    }

    /// Sets one row of a state array.
    ///
    /// # Panics
    /// If there is no such state or row, or `from` has another length than the row.
    pub fn write_state(&mut self, state: usize, stream: usize, from: &[T]) {
        let (stage, number) = self.states[state];
        self.stages[stage].write_state(number, stream, from);
    }

    /// Sets all states of one row to zero.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn reset(&mut self, stream: usize) {
        assert!(stream < self.streams, "no such row");
        for stage in &mut self.stages {
            stage.reset(stream);
        }
    }
}
