//! The rest of a plan's description: rules, measures and samples, as tuples and arrays from Python.

use numpy::PyUntypedArrayMethods;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::arrays::{Axes, Held, Number, flat, hold, holds};
use super::program::Program;
use super::written::an_array;
use crate::error::Error;
use crate::machine::lists::Listed;
use crate::models::{Clip, Of, Samples, Scored, Scores};
use crate::training::classes::Crossentropy;
use crate::training::loss;
use crate::training::measure::Measure;
use crate::training::optimizer::Rule;
use crate::training::pairs::Pair;
use crate::training::quantiles::Quantiles;
use crate::training::rows::{Divisor, Labels};

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

/// `("handed",)`, `("sgd", momentum, nesterov)`, `("adam", beta_1, beta_2, epsilon, amsgrad)`,
/// `("nadam", beta_1, beta_2, epsilon)` or `("rmsprop", rho, momentum, epsilon, centered)`.
pub(super) fn rule(said: &Bound<'_, PyTuple>) -> PyResult<Rule> {
    let kind = said.get_item(0)?.extract::<String>()?;
    let rate = 0.0;
    match kind.as_str() {
        "handed" => Ok(Rule::Handed),
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
        other => Err(Error::value("rule", "handed, sgd, adam, nadam or rmsprop", other).into()),
    }
}

/// None, or the kind of clipping and its bound.
pub(super) fn clip(said: Option<&(String, f64)>) -> PyResult<Clip> {
    match said.map(|(kind, bound)| (kind.as_str(), *bound)) {
        None => Ok(Clip::Never),
        Some(("value", bound)) => Ok(Clip::Value(bound)),
        Some(("norm", bound)) => Ok(Clip::Norm(bound)),
        Some(("all", bound)) => Ok(Clip::Global(bound, false)),
        Some(("all, exactly", bound)) => Ok(Clip::Global(bound, true)),
        Some((other, _)) => {
            Err(Error::value("clip", "value, norm, all, or \"all, exactly\"", other).into())
        }
    }
}

/// What a weighted sum is divided by: the number of "rows", the sum of "weights", or "one".
pub(super) fn divisor_of(name: &str) -> PyResult<Divisor> {
    match name {
        "rows" => Ok(Divisor::Rows),
        "weights" => Ok(Divisor::Weights),
        "one" => Ok(Divisor::One),
        other => Err(Error::value("divisor", "rows, weights or one", other).into()),
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

/// What is averaged, of which labels, and its numbers: "squared" or "absolute" errors, "huber" up to a size,
/// "log cosh", "percentage", "logarithmic", "poisson" or "divergence" with an epsilon, "hinge" or "squared
/// hinge", the "crossentropy" of labels with their smoothing, the epsilon of probabilities and perhaps a
/// label that is ignored, that of "logits" with the same, the "hits" of labels with a threshold, or the
/// "pinball" loss of probabilities.
pub(super) type Measures = (String, String, Vec<f64>);

/// A measure as a tuple, or an object with the `program` of a user's code, its `constants`, and
/// whether the mean of its values is that of a `whole` batch, or the `root` of the mean is.
pub(super) fn scored(said: &Bound<'_, PyAny>) -> PyResult<Scored> {
    if let Ok(tuple) = said.cast::<PyTuple>() {
        return Ok(Scored::Measure(measure(&tuple.extract()?)?));
    }
    let program = said.getattr("program")?.cast_into::<Program>()?;
    let constants = said.getattr("constants")?.try_iter()?.map(|array| {
        let array = array?;
        let shape = an_array("constants", &array)?.shape().to_vec();
        Ok(flat::<f64>("constants", &array, &shape)?.elements().iter().copied().listed()?)
    });
    let constants = constants.collect::<PyResult<Vec<_>>>()?;
    let of = match (said.getattr("whole")?.is_truthy()?, said.getattr("root")?.is_truthy()?) {
        (_, true) => Of::RootOfBatch,
        (true, false) => Of::Batch,
        (false, false) => Of::Sample,
    };
    Ok(Scored::Written(Scores::new(program.get().program(), constants, of)?))
}

pub(super) fn measure((kind, labels, numbers): &Measures) -> PyResult<Measure> {
    let number = |at: usize| {
        let missing = || Error::value("measure", format!("more numbers for {kind}"), numbers);
        numbers.get(at).copied().ok_or_else(missing)
    };
    let pair = |pair: Pair| Ok(Measure::Error(loss::Error::Pair(pair)));
    match kind.as_str() {
        "squared" => Ok(Measure::Error(loss::Error::Squared)),
        "absolute" => Ok(Measure::Error(loss::Error::Absolute)),
        "huber" => Ok(Measure::Error(loss::Error::Huber(number(0)?))),
        "log cosh" => Ok(Measure::Error(loss::Error::LogCosh)),
        "percentage" => pair(Pair::Percentage(number(0)?)),
        "logarithmic" => pair(Pair::Logarithmic(number(0)?)),
        "poisson" => pair(Pair::Poisson(number(0)?)),
        "divergence" => pair(Pair::Divergence(number(0)?)),
        "hinge" => pair(Pair::Hinge { squared: false, binary: false }),
        "squared hinge" => pair(Pair::Hinge { squared: true, binary: false }),
        "crossentropy" | "logits" => {
            let (smoothing, epsilon, ignored) = (number(0)?, number(1)?, numbers.get(2).copied());
            let epsilon = (kind == "crossentropy").then_some(epsilon);
            let labels = labels_of(labels)?;
            Ok(Measure::Crossentropy(Crossentropy { labels, smoothing, epsilon, ignored }))
        }
        "hits" => Ok(Measure::Hits(labels_of(labels)?, number(0)?)),
        "pinball" => Ok(Measure::Pinball(Quantiles { probabilities: numbers.clone() })),
        other => {
            let expected = "squared, absolute, huber, log cosh, percentage, logarithmic, poisson, \
                            divergence, hinge, squared hinge, crossentropy, logits, hits or pinball";
            Err(Error::value("measure", expected, other).into())
        }
    }
}
