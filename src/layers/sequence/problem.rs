//! What a call reads: plain data, checked once.

use std::fmt;

use super::weights::Weights;
use crate::error::{Error, Result};
use crate::machine::memory::{ArrayId, View};
use crate::machine::simd::Element;

/// A call's inputs and options. Shapes are checked when they are set, and never again.
#[derive(Clone, Debug)]
pub struct Problem<'a, T> {
    pub(crate) inputs: View<'a, T>,
    units: usize,
    outputs: usize,
    states: usize,
    gates: usize,
    /// One array `[batch, 1, size]` for each state; zeros if there is none.
    pub(crate) initial_state: Vec<View<'a, T>>,
    mask: Option<Mask<'a>>,
    pub(crate) dropout: Dropout<'a, T>,
    pub(crate) go_backwards: bool,
    pub(crate) return_sequences: bool,
    pub(crate) zero_output_for_mask: bool,
}

/// Which steps count.
#[derive(Clone, Debug)]
enum Mask<'a> {
    /// The steps that are true, `[batch, time, 1]`.
    Array(View<'a, bool>),
    /// The first steps of each row.
    Lengths(Vec<usize>),
}

/// Something about a problem, by name.
pub(super) type Facts = [(&'static str, Fact); 12];

/// How many, or whether.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fact {
    Number(usize),
    Flag(bool),
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
        }
    }
}

/// Dropout masks as data, already scaled: `[1 or gates, batch, size]`, one mask for all steps.
#[derive(Clone, Copy, Debug)]
pub struct Dropout<'a, T> {
    /// For the inputs; size is `features`.
    pub inputs: Option<View<'a, T>>,
    /// For the previous output; size is the output's.
    pub recurrent: Option<View<'a, T>>,
}

impl<'a, T: Element> Problem<'a, T> {
    /// All steps of `inputs`, forward in time, from zero states, every step's output returned.
    ///
    /// # Errors
    /// If `inputs` does not have the features that `weights` has.
    pub fn new(weights: &Weights<T>, inputs: View<'a, T>) -> Result<Self> {
        let [batch, time, features] = inputs.shape();
        if features != weights.features() {
            return Err(Error::shape("inputs", [batch, time, weights.features()], inputs.shape()));
        }
        Ok(Self {
            inputs,
            units: weights.units(),
            outputs: weights.outputs(),
            states: weights.states(),
            gates: weights.gates(),
            initial_state: Vec::new(),
            mask: None,
            dropout: Dropout { inputs: None, recurrent: None },
            go_backwards: false,
            return_sequences: true,
            zero_output_for_mask: false,
        })
    }

    /// Starts from these states, one array `[batch, 1, units]` each, the output's first.
    ///
    /// # Errors
    /// If their number or a shape does not fit.
    pub fn initial_state(mut self, state: Vec<View<'a, T>>) -> Result<Self> {
        if state.len() != self.states {
            let expected = format!("{} arrays of shape [batch, units]", self.states);
            return Err(Error::value("initial_state", expected, state.len()));
        }
        let batch = self.inputs.shape()[0];
        for (number, array) in state.iter().enumerate() {
            let size = if number == 0 { self.outputs } else { self.units };
            if array.shape() != [batch, 1, size] {
                let [rows, _, received] = array.shape();
                return Err(Error::shape("initial_state", [batch, size], [rows, received]));
            }
        }
        self.initial_state = state;
        Ok(self)
    }

    /// Steps that count, `[batch, time, 1]`: at the others the state stays and the output repeats.
    ///
    /// # Errors
    /// If its batch or time is not that of the inputs.
    pub fn mask(mut self, mask: View<'a, bool>) -> Result<Self> {
        let [batch, time, _] = self.inputs.shape();
        if mask.shape() != [batch, time, 1] {
            return Err(Error::shape("mask", [batch, time], &mask.shape()[..2]));
        }
        self.mask = Some(Mask::Array(mask));
        Ok(self)
    }

    /// The number of steps of each row that count, its first ones: as a mask.
    ///
    /// # Errors
    /// If there is not one for each row of the batch, or one is beyond the time.
    pub fn lengths(mut self, lengths: Vec<usize>) -> Result<Self> {
        let [batch, time, _] = self.inputs.shape();
        if lengths.len() != batch {
            return Err(Error::shape("lengths", [batch], [lengths.len()]));
        }
        if let Some(wrong) = lengths.iter().find(|&&length| length > time) {
            return Err(Error::value("lengths", format!("numbers from 0 to {time}"), wrong));
        }
        self.mask = Some(Mask::Lengths(lengths));
        Ok(self)
    }

    /// Multiplies inputs and previous outputs by these masks.
    ///
    /// # Errors
    /// If a mask's shape does not fit.
    pub fn dropout(mut self, dropout: Dropout<'a, T>) -> Result<Self> {
        let [batch, _, features] = self.inputs.shape();
        let masks = [
            ("input_dropout", dropout.inputs, features),
            ("recurrent_dropout", dropout.recurrent, self.outputs),
        ];
        for (argument, mask, size) in masks {
            let Some(shape) = mask.map(|mask| mask.shape()) else { continue };
            if !(shape[0] == 1 || shape[0] == self.gates) || shape[1..] != [batch, size] {
                let expected = format!("[1 or {}, {batch}, {size}]", self.gates);
                return Err(Error::Shape { argument, expected, received: format!("{shape:?}") });
            }
        }
        self.dropout = dropout;
        Ok(self)
    }

    /// Takes the last step first; outputs come in the order they are computed.
    #[must_use]
    pub fn go_backwards(mut self, yes: bool) -> Self {
        self.go_backwards = yes;
        self
    }

    /// Returns the output of every step, or of the last one only.
    #[must_use]
    pub fn return_sequences(mut self, yes: bool) -> Self {
        self.return_sequences = yes;
        self
    }

    /// Makes the output at masked steps zero instead of repeating the last one.
    #[must_use]
    pub fn zero_output_for_mask(mut self, yes: bool) -> Self {
        self.zero_output_for_mask = yes;
        self
    }

    /// The shape of the inputs.
    #[must_use]
    pub fn input_shape(&self) -> [usize; 3] {
        self.inputs.shape()
    }

    /// The shape of the outputs: one step if only the last is returned.
    #[must_use]
    pub fn output_shape(&self) -> [usize; 3] {
        let [batch, time, _] = self.inputs.shape();
        [batch, if self.return_sequences { time } else { 1 }, self.outputs]
    }

    /// Refuses weights of a shape other than that the problem was made for.
    pub(super) fn check(&self, weights: &Weights<T>) -> Result<()> {
        let ours = [self.inputs.shape()[2], self.units, self.outputs, self.gates, self.states];
        let units = [weights.units(), weights.outputs()];
        let theirs = [weights.features(), units[0], units[1], weights.gates(), weights.states()];
        if ours == theirs {
            return Ok(());
        }
        let expected =
            format!("the problem's [features, units, outputs, gates, states], which are {ours:?}");
        Err(Error::value("weights", expected, theirs))
    }

    /// What must be the same in a backward pass as in forward, besides the arrays' values.
    pub(super) fn facts(&self) -> Facts {
        let [batch, time, features] = self.inputs.shape();
        let Dropout { inputs, recurrent } = self.dropout;
        let count = |masks: Option<View<'_, T>>| Fact::Number(masks.map_or(0, |m| m.shape()[0]));
        [
            ("batch", Fact::Number(batch)),
            ("time", Fact::Number(time)),
            ("features", Fact::Number(features)),
            ("units", Fact::Number(self.units)),
            ("outputs", Fact::Number(self.outputs)),
            ("go_backwards", Fact::Flag(self.go_backwards)),
            ("return_sequences", Fact::Flag(self.return_sequences)),
            ("zero_output_for_mask", Fact::Flag(self.zero_output_for_mask)),
            ("mask", Fact::Flag(self.mask.is_some())),
            ("initial_state", Fact::Flag(!self.initial_state.is_empty())),
            ("input_dropout", count(inputs)),
            ("recurrent_dropout", count(recurrent)),
        ]
    }

    /// The name of an argument for which another problem has another array of the same shape.
    #[must_use]
    pub fn differs(&self, other: &Self) -> Option<&'static str> {
        fn another<T>(one: Option<View<'_, T>>, other: Option<View<'_, T>>) -> bool {
            let both = one.zip(other).filter(|(one, other)| one.shape() == other.shape());
            both.is_some_and(|(one, other)| one.id() != other.id())
        }
        let mut states = self.initial_state.iter().zip(&other.initial_state);
        let (dropout, others) = (self.dropout, other.dropout);
        let found = [
            ("inputs", another(Some(self.inputs), Some(other.inputs))),
            ("initial_state", states.any(|(&one, &other)| another(Some(one), Some(other)))),
            ("mask", another(self.mask_view(), other.mask_view())),
            ("input_dropout", another(dropout.inputs, others.inputs)),
            ("recurrent_dropout", another(dropout.recurrent, others.recurrent)),
        ];
        found.into_iter().find_map(|(name, differs)| differs.then_some(name))
    }

    fn mask_view(&self) -> Option<View<'a, bool>> {
        match self.mask {
            Some(Mask::Array(mask)) => Some(mask),
            Some(Mask::Lengths(_)) | None => None,
        }
    }

    /// The identity of the mask's array, by which it is recognized without being read.
    pub(super) fn mask_array(&self) -> Option<ArrayId> {
        self.mask_view().map(|mask| mask.id())
    }

    /// The input step that is taken as number `step`.
    pub(crate) fn time_of(&self, step: usize) -> usize {
        if self.go_backwards { self.inputs.shape()[1] - 1 - step } else { step }
    }

    /// Whether there may be rows that do not take every step.
    pub(crate) fn is_masked(&self) -> bool {
        self.mask.is_some()
    }

    /// Whether a row takes a step.
    pub(crate) fn active(&self, row: usize, step: usize) -> bool {
        match &self.mask {
            None => true,
            Some(Mask::Array(mask)) => mask.row(row, self.time_of(step))[0],
            Some(Mask::Lengths(lengths)) => self.time_of(step) < lengths[row],
        }
    }

    /// How many steps a row takes.
    pub(crate) fn steps_of(&self, row: usize) -> usize {
        let time = self.inputs.shape()[1];
        match &self.mask {
            None => time,
            Some(Mask::Array(_)) => (0..time).filter(|&step| self.active(row, step)).count(),
            Some(Mask::Lengths(lengths)) => lengths[row],
        }
    }

    /// Whether backward can read the previous outputs from the outputs that were returned.
    pub(crate) fn outputs_hold_states(&self) -> bool {
        self.return_sequences && (self.mask.is_none() || !self.zero_output_for_mask)
    }
}
