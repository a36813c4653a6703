//! What Python says of a plan: layers, rules and samples, as tuples and arrays.

use numpy::PyUntypedArrayMethods;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::arrays::{Axes, Held, Number, hold, holds};
use super::handed_back::{HandedBack, Raised};
use super::written::an_array;
use crate::cells::CellKind;
use crate::error::Error;
use crate::kernels::activation::Activation;
use crate::layers::sequence::Options;
use crate::models::{
    BothWays, Clip, Dense, Drop, Dropout, Embedding, Flatten, Join, Joined, Linked, Masking, Masks,
    Merge, Node, Normalization, Recurrent, Samples, Setting,
};
use crate::training::classes::Crossentropy;
use crate::training::loss;
use crate::training::measure::Measure;
use crate::training::optimizer::Rule;
use crate::training::rows::Labels;

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

    /// Borrows several arrays.
    pub(super) fn all(argument: &str, arrays: &Bound<'_, PyList>) -> PyResult<Vec<Self>> {
        arrays.iter().map(|array| Self::new(argument, &array)).collect()
    }
}

/// A type that samples are read as.
pub(super) trait Read: Number {
    fn rows(source: &Source) -> &dyn Samples<Self>;
}

macro_rules! reads {
    ($($type:ty),+) => {
        $(impl Samples<$type> for Source {
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
            fn rows(source: &Source) -> &dyn Samples<Self> {
                source
            }
        })+
    };
}

reads!(f32, f64);

/// Which generator drops, below which number, and the factor of what stays.
type Drops = Option<(usize, u64, f64)>;

fn drop_of(said: Drops) -> Option<Drop> {
    said.map(|(generator, threshold, scale)| Drop { generator, threshold, scale })
}

/// `(layer, the values that it takes, whether gradients come to it)`.
pub(super) fn linked<T: Number>(said: &Bound<'_, PyAny>, raised: &Raised) -> PyResult<Linked<T>> {
    let (part, from, passes) = said.extract::<(Bound<'_, PyTuple>, Vec<usize>, bool)>()?;
    Ok(Linked { node: node(&part, raised)?, from, passes })
}

/// Whether a part is handed back to Python.
pub(super) fn is_handed_back(said: &Bound<'_, PyAny>) -> PyResult<bool> {
    said.get_item(0)?.get_item(0)?.eq(HANDED_BACK)
}

const HANDED_BACK: &str = "handed back";

/// A layer: its kind, then what the functions below take.
fn node<T: Number>(part: &Bound<'_, PyTuple>, raised: &Raised) -> PyResult<Box<dyn Node<T>>> {
    let kind = part.get_item(0)?.extract::<String>()?;
    match kind.as_str() {
        "recurrent" => Ok(Box::new(recurrent(part)?)),
        "both ways" => {
            let (_, ahead, back, merge, sequences) =
                part.extract::<(String, Bound<'_, PyTuple>, Bound<'_, PyTuple>, String, bool)>()?;
            let directions = [recurrent(&ahead)?, recurrent(&back)?];
            Ok(Box::new(BothWays::new(directions, merge_of(&merge)?, sequences)?))
        }
        "dense" => {
            type Said = (String, String, usize, usize, bool);
            let (_, activation, features, units, bias) = part.extract::<Said>()?;
            let activation = Activation::named("activation", &activation)?;
            Ok(Box::new(Dense::new(activation, features, units, bias)?))
        }
        "dropout" => {
            let (_, generator, threshold, scale, spatial) =
                part.extract::<(String, usize, u64, f64, bool)>()?;
            Ok(Box::new(Dropout::new(Drop { generator, threshold, scale }, spatial)))
        }
        "embedding" => {
            let (_, ids, features, mask_zero) = part.extract::<(String, usize, usize, bool)>()?;
            Ok(Box::new(Embedding::new([ids, features], mask_zero)?))
        }
        "normalization" => {
            let (_, features, epsilon, scale, shift) =
                part.extract::<(String, usize, f64, bool, bool)>()?;
            Ok(Box::new(Normalization::new(features, epsilon, scale, shift)?))
        }
        "flatten" => Ok(Box::new(Flatten)),
        "masking" => Ok(Box::new(Masking(part.get_item(1)?.extract::<f64>()?))),
        "join" => Ok(Box::new(Joined(join_of(&part.get_item(1)?.extract::<String>()?)?))),
        HANDED_BACK => {
            let (_, layer, sizes, stays, count) =
                part.extract::<(String, Py<PyAny>, Vec<usize>, bool, usize)>()?;
            let masks = if stays { Masks::Stay } else { Masks::End };
            let besides = (1..count).map(|_| None).collect();
            Ok(Box::new(HandedBack { layer, sizes, masks, besides, raised: raised.clone() }))
        }
        other => Err(Error::value("parts", "a layer's kind", other).into()),
    }
}

fn join_of(name: &str) -> PyResult<Join> {
    match name {
        "sum" => Ok(Join::Sum),
        "difference" => Ok(Join::Difference),
        "product" => Ok(Join::Product),
        "mean" => Ok(Join::Mean),
        "concat" => Ok(Join::Concat),
        other => {
            Err(Error::value("join", "sum, difference, product, mean or concat", other).into())
        }
    }
}

fn merge_of(name: &str) -> PyResult<Merge> {
    match name {
        "concat" => Ok(Merge::Concat),
        "sum" => Ok(Merge::Sum),
        "mul" => Ok(Merge::Product),
        "ave" => Ok(Merge::Mean),
        "apart" => Ok(Merge::Apart),
        other => Err(Error::value("merge", "concat, sum, mul, ave or apart", other).into()),
    }
}

/// `("recurrent", (cell, activation, recurrent_activation, reset_after), (features, units, bias),
/// (go_backwards, return_sequences, return_state, zero_output_for_mask), (masks, of inputs, of outputs))`.
fn recurrent<T: Number>(part: &Bound<'_, PyTuple>) -> PyResult<Recurrent<T>> {
    type Kind = (String, String, String, bool);
    type Flags = (bool, bool, bool, bool);
    type Said = (String, Kind, (usize, usize, bool), Flags, (usize, Drops, Drops));
    let (_, kind, (features, units, bias), flags, (drops, inputs, outputs)) =
        part.extract::<Said>()?;
    let (cell, activation, gate, reset_after) = kind;
    let cell = match CellKind::named(&cell)? {
        CellKind::Gru if !reset_after => CellKind::GruResetBefore,
        cell => cell,
    };
    let options = Options {
        activation: Activation::named("activation", &activation)?,
        recurrent_activation: Activation::named("recurrent_activation", &gate)?,
        ..Options::default()
    };
    let setting = Setting {
        cell,
        options,
        features,
        units,
        bias,
        go_backwards: flags.0,
        return_sequences: flags.1,
        return_state: flags.2,
        zero_output_for_mask: flags.3,
        drops,
        input_drop: drop_of(inputs),
        recurrent_drop: drop_of(outputs),
    };
    Ok(Recurrent::new(setting)?)
}

/// `("sgd", momentum, nesterov)`, `("adam", beta_1, beta_2, epsilon, amsgrad)`,
/// `("nadam", beta_1, beta_2, epsilon)` or `("rmsprop", rho, momentum, epsilon, centered)`.
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
        "nadam" => {
            let (_, beta_1, beta_2, epsilon) = said.extract::<(String, f64, f64, f64)>()?;
            let betas = [beta_1, beta_2];
            Ok(Rule::Nadam { rate, ahead: 0.0, correction: 1.0, betas, epsilon })
        }
        "rmsprop" => {
            let (_, rho, momentum, epsilon, centered) =
                said.extract::<(String, f64, f64, f64, bool)>()?;
            Ok(Rule::MeanSquare { rate, rho, momentum, epsilon, centered })
        }
        other => Err(Error::value("rule", "sgd, adam, nadam or rmsprop", other).into()),
    }
}

/// None, or what is bounded and the bound.
pub(super) fn clip(said: Option<&(String, f64)>) -> PyResult<Clip> {
    match said.map(|(kind, bound)| (kind.as_str(), *bound)) {
        None => Ok(Clip::Never),
        Some(("value", bound)) => Ok(Clip::Value(bound)),
        Some(("norm", bound)) => Ok(Clip::Norm(bound)),
        Some(("all", bound)) => Ok(Clip::Global(bound, false)),
        Some(("all, exactly", bound)) => Ok(Clip::Global(bound, true)),
        Some((other, _)) => Err(Error::value("clip", "value, norm or all", other).into()),
    }
}

/// What targets are: "binary", "one-hot" or "numbers".
fn labels_of(name: &str) -> PyResult<Labels> {
    match name {
        "binary" => Ok(Labels::Binary),
        "one-hot" => Ok(Labels::OneHot),
        "numbers" => Ok(Labels::Numbers),
        other => Err(Error::value("labels", "binary, one-hot or numbers", other).into()),
    }
}

/// What is averaged: "squared" or "absolute" errors, "huber" up to a size, "log cosh", the "crossentropy" of
/// labels with their smoothing and the epsilon of probabilities, that of "logits", or the "hits" of labels
/// with a threshold.
pub(super) type Measures = (String, String, f64, f64);

pub(super) fn measure((kind, labels, detail, epsilon): &Measures) -> PyResult<Measure> {
    match kind.as_str() {
        "squared" => Ok(Measure::Error(loss::Error::Squared)),
        "absolute" => Ok(Measure::Error(loss::Error::Absolute)),
        "huber" => Ok(Measure::Error(loss::Error::Huber(*detail))),
        "log cosh" => Ok(Measure::Error(loss::Error::LogCosh)),
        "crossentropy" | "logits" => {
            let epsilon = (kind == "crossentropy").then_some(*epsilon);
            let of = Crossentropy { labels: labels_of(labels)?, smoothing: *detail, epsilon };
            Ok(Measure::Crossentropy(of))
        }
        "hits" => Ok(Measure::Hits(labels_of(labels)?, *detail)),
        other => {
            let expected = "squared, absolute, huber, log cosh, crossentropy, logits or hits";
            Err(Error::value("measure", expected, other).into())
        }
    }
}
