//! What Python says of a plan: layers, rules and samples, as tuples and arrays.

use numpy::PyUntypedArrayMethods;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::arrays::{Axes, Held, Number, hold, holds};
use super::written::an_array;
use crate::cells::CellKind;
use crate::error::Error;
use crate::kernels::activation::Activation;
use crate::layers::sequence::Options;
use crate::models::{Clip, Dense, Node, Recurrent, Rows, Setting};
use crate::training::loss;
use crate::training::optimizer::Rule;

/// Samples of some number type.
pub(super) enum Source {
    F32(Held<f32>),
    F64(Held<f64>),
    I64(Held<i64>),
    I32(Held<i32>),
    U8(Held<u8>),
}

impl Source {
    /// Borrows `[samples, features]` or `[samples, time, features]`.
    pub(super) fn new(argument: &str, array: &Bound<'_, PyAny>) -> PyResult<Self> {
        let axes = if an_array(argument, array)?.ndim() == 2 { Axes::Two } else { Axes::Three };
        Ok(if holds::<f32>(array) {
            Self::F32(hold(argument, array, axes)?)
        } else if holds::<f64>(array) {
            Self::F64(hold(argument, array, axes)?)
        } else if holds::<i64>(array) {
            Self::I64(hold(argument, array, axes)?)
        } else if holds::<i32>(array) {
            Self::I32(hold(argument, array, axes)?)
        } else {
            Self::U8(hold(argument, array, axes)?)
        })
    }
}

/// A type that samples are read as.
pub(super) trait Read: Number {
    fn rows(source: &Source) -> &dyn Rows<Self>;
}

macro_rules! reads {
    ($($type:ty),+) => {
        $(impl Rows<$type> for Source {
            fn axes(&self) -> [usize; 3] {
                match self {
                    Self::F32(held) => held.view().shape(),
                    Self::F64(held) => held.view().shape(),
                    Self::I64(held) => held.view().shape(),
                    Self::I32(held) => held.view().shape(),
                    Self::U8(held) => held.view().shape(),
                }
            }

            fn read(&self, row: usize, to: &mut [$type]) {
                match self {
                    Self::F32(held) => held.view().read(row, to),
                    Self::F64(held) => held.view().read(row, to),
                    Self::I64(held) => held.view().read(row, to),
                    Self::I32(held) => held.view().read(row, to),
                    Self::U8(held) => held.view().read(row, to),
                }
            }
        }

        impl Read for $type {
            fn rows(source: &Source) -> &dyn Rows<Self> {
                source
            }
        })+
    };
}

reads!(f32, f64);

/// `("recurrent", cell, activation, recurrent_activation, reset_after, features, units, bias,
/// go_backwards, return_sequences)` or `("dense", activation, features, units, bias)`.
pub(super) fn node<T: Number>(part: &Bound<'_, PyAny>) -> PyResult<Box<dyn Node<T>>> {
    let part = part.cast::<PyTuple>()?;
    let kind = part.get_item(0)?.extract::<String>()?;
    match kind.as_str() {
        "recurrent" => Ok(Box::new(Recurrent::new(setting(part)?)?)),
        "dense" => {
            type Said = (String, String, usize, usize, bool);
            let (_, activation, features, units, bias) = part.extract::<Said>()?;
            let activation = Activation::named("activation", &activation)?;
            Ok(Box::new(Dense::new(activation, features, units, bias)?))
        }
        other => Err(Error::value("parts", "recurrent or dense", other).into()),
    }
}

fn setting(part: &Bound<'_, PyTuple>) -> PyResult<Setting> {
    type Said = (String, String, String, String, bool, usize, usize, bool, bool, bool);
    let (_, cell, activation, gate, reset_after, features, units, bias, backwards, sequences) =
        part.extract::<Said>()?;
    let cell = match CellKind::named(&cell)? {
        CellKind::Gru if !reset_after => CellKind::GruResetBefore,
        cell => cell,
    };
    let options = Options {
        activation: Activation::named("activation", &activation)?,
        recurrent_activation: Activation::named("recurrent_activation", &gate)?,
        ..Options::default()
    };
    Ok(Setting {
        cell,
        options,
        features,
        units,
        bias,
        go_backwards: backwards,
        return_sequences: sequences,
    })
}

/// `("sgd", momentum, nesterov)`, without momentum where it is 0, or
/// `("adam", beta_1, beta_2, epsilon, amsgrad)`.
pub(super) fn rule(said: &Bound<'_, PyTuple>) -> PyResult<Rule> {
    let kind = said.get_item(0)?.extract::<String>()?;
    let rate = 0.0;
    match kind.as_str() {
        "sgd" => {
            let (_, momentum, nesterov) = said.extract::<(String, f64, bool)>()?;
            Ok(if momentum == 0.0 {
                Rule::Descent { rate }
            } else {
                Rule::Momentum { rate, momentum, nesterov }
            })
        }
        "adam" => {
            let (_, beta_1, beta_2, epsilon, amsgrad) =
                said.extract::<(String, f64, f64, f64, bool)>()?;
            Ok(Rule::Adam { rate, betas: [beta_1, beta_2], epsilon, amsgrad })
        }
        other => Err(Error::value("rule", "sgd or adam", other).into()),
    }
}

/// None, `("value", bound)` or `("norm", bound)`.
pub(super) fn clip(said: Option<&(String, f64)>) -> PyResult<Clip> {
    match said.map(|(kind, bound)| (kind.as_str(), *bound)) {
        None => Ok(Clip::Never),
        Some(("value", bound)) => Ok(Clip::Value(bound)),
        Some(("norm", bound)) => Ok(Clip::Norm(bound)),
        Some((other, _)) => Err(Error::value("clip", "value or norm", other).into()),
    }
}

/// "squared" or "absolute".
pub(super) fn error(name: &str) -> PyResult<loss::Error> {
    match name {
        "squared" => Ok(loss::Error::Squared),
        "absolute" => Ok(loss::Error::Absolute),
        other => Err(Error::value("error", "squared or absolute", other).into()),
    }
}
