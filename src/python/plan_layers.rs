//! Descriptions of a plan's layers, as tuples from Python.

use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::arrays::Number;
use super::handed_back::{HandedBack, Layer, Raised};
use crate::cells::CellKind;
use crate::error::{Error, Result};
use crate::kernels::activation::Activation;
use crate::kernels::row_function::RowFunction;
use crate::layers::sequence::Options;
use crate::models::{
    Activated, Attend, Attending, BatchNormalization, BothWays, Convolution, Dense, Dot, Drop,
    Dropout, Embedding, Fit, Folded, Following, Join, Joined, LearntSlopes, Linked, Masking, Masks,
    Merge, Node, Noise, Normalization, Padding, Pooling, Rectified, Recurrent, Repeat, Reshape,
    Setting, Windows,
};

/// A layer as Python describes it, in either number type: its kind comes first.
enum Part {
    /// `("recurrent", ...)`, see [`setting`].
    Recurrent(Setting),
    /// `("both ways", ahead, back, merge, return_sequences)`
    BothWays([Setting; 2], Merge, bool),
    /// `("dense", activation, features, units, bias)`
    Dense(Activation, [usize; 2], bool),
    /// `("convolution", windows, activation, features, filters, bias)`
    Convolution(Windows, Activation, [usize; 2], bool),
    /// `("pooling", windows or None, mean)`
    Pooling(Option<Windows>, bool),
    /// `("activation", name)`
    Activation(RowFunction),
    /// `("attention", heads, scale or None, strictly, causal, window or None, dropout or None, None for
    /// products as scores, else how many factors sums have)`
    Attention(Attend),
    /// `("dropout", generator, threshold, scale, kind, value of what is dropped, shift of the rest)`
    Dropout(Drop, Noise),
    /// `("embedding", ids, features, mask_zero)`
    Embedding([usize; 2], bool),
    /// `("normalization", features, epsilon, centered, scale, shift)`
    Normalization(usize, (f64, bool), [bool; 2]),
    /// `("batch normalization", features, epsilon, scale, shift, (momentum, more) or None)`
    BatchNormalization(usize, f64, [bool; 2], Option<Following>),
    /// `("reshape", steps or None, features or None)` or `("swap",)`
    Reshape(Reshape),
    /// `("repeat", times)`
    Repeat(usize),
    /// `("relu", most or None, slope, threshold)`, `("leaky relu", slope)` or `("elu", alpha)`
    Rectified(Rectified),
    /// `("prelu", slopes, whether there is one for each feature)`
    LearntSlopes(usize, bool),
    /// `("masking", value)`
    Masking(f64),
    /// `("join", name)`, or `("dot", over the steps of the first value, of the second, whether the outputs
    /// have one step)`
    Join(Join),
    /// `("folded", steps of a sample, the layer)`
    Folded(usize, Box<Part>),
    /// `("handed back", layer, sizes, whether a mask stays, how many values it gives)`
    HandedBack(Layer),
}

/// `(layer, the values that it takes, whether it needs gradients, whose weights it has)`.
pub(super) fn linked<T: Number>(said: &Bound<'_, PyAny>, raised: &Raised) -> PyResult<Linked<T>> {
    type Said<'py> = (Bound<'py, PyTuple>, Vec<usize>, bool, Option<usize>);
    let (part, from, passes, shares) = said.extract::<Said<'_>>()?;
    Ok(Linked { node: node(read(&part, raised)?)?, from, passes, shares })
}

/// Whether a part is handed back to Python.
pub(super) fn is_handed_back(said: &Bound<'_, PyAny>) -> PyResult<bool> {
    said.get_item(0)?.get_item(0)?.eq(HANDED_BACK)
}

const HANDED_BACK: &str = "handed back";
const FOLDED: &str = "folded";

fn node<T: Number>(part: Part) -> Result<Box<dyn Node<T>>> {
    Ok(match part {
        Part::Recurrent(setting) => Box::new(Recurrent::new(setting)?),
        Part::BothWays([ahead, back], merge, sequences) => {
            let directions = [Recurrent::new(ahead)?, Recurrent::new(back)?];
            Box::new(BothWays::new(directions, merge, sequences)?)
        }
        Part::Dense(activation, [features, units], bias) => {
            Box::new(Dense::new(activation, features, units, bias)?)
        }
        Part::Convolution(windows, activation, ends, bias) => {
            Box::new(Convolution::new(windows, activation, ends, bias)?)
        }
        Part::Pooling(windows, mean) => Box::new(Pooling::new(windows, mean)),
        Part::Activation(function) => Box::new(Activated::new(function)?),
        Part::Attention(setting) => Box::new(Attending::new(setting)?),
        Part::Dropout(drop, noise) => Box::new(Dropout::new(drop, noise)),
        Part::Embedding(sizes, mask_zero) => Box::new(Embedding::new(sizes, mask_zero)?),
        Part::Normalization(features, how, [scale, shift]) => {
            Box::new(Normalization::new(features, how, scale, shift)?)
        }
        Part::BatchNormalization(features, epsilon, weights, following) => {
            Box::new(BatchNormalization::new(features, epsilon, weights, following)?)
        }
        Part::Reshape(reshape) => Box::new(reshape),
        Part::Repeat(times) => Box::new(Repeat(times)),
        Part::Rectified(of) => Box::new(of),
        Part::LearntSlopes(size, by_features) => Box::new(LearntSlopes::new(size, by_features)),
        Part::Masking(value) => Box::new(Masking(value)),
        Part::Join(join) => Box::new(Joined(join)),
        Part::Folded(time, inner) => Box::new(Folded::new(node(*inner)?, time)?),
        Part::HandedBack(layer) => Box::new(HandedBack::new(layer)),
    })
}

/// The items of a tuple, one after the other.
struct Said<'a, 'py>(Borrowed<'a, 'py, PyTuple>, usize);

impl<'a, 'py> Said<'a, 'py> {
    fn of(said: &'a Bound<'py, PyTuple>) -> Self {
        Self(said.as_borrowed(), 0)
    }

    #[inline(never)]
    fn item(&mut self) -> PyResult<Bound<'py, PyAny>> {
        self.1 += 1;
        self.0.get_item(self.1 - 1)
    }

    /// None, or a tuple.
    fn tuple(&mut self) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let item = self.item()?;
        if item.is_none() { Ok(None) } else { Ok(Some(item.cast_into::<PyTuple>()?)) }
    }

    #[inline(never)]
    fn inner(&mut self) -> PyResult<Bound<'py, PyTuple>> {
        Ok(self.item()?.cast_into::<PyTuple>()?)
    }

    #[inline(never)]
    fn name(&mut self) -> PyResult<String> {
        self.item()?.extract()
    }

    #[inline(never)]
    fn number(&mut self) -> PyResult<usize> {
        self.item()?.extract()
    }

    #[inline(never)]
    fn real(&mut self) -> PyResult<f64> {
        self.item()?.extract()
    }

    #[inline(never)]
    fn flag(&mut self) -> PyResult<bool> {
        self.item()?.is_truthy()
    }

    fn activation(&mut self, argument: &'static str) -> PyResult<Activation> {
        Ok(Activation::named(argument, &self.name()?)?)
    }

    fn drop(&mut self) -> PyResult<Drop> {
        let [generator, threshold] = [self.number()?, self.number()?];
        Ok(Drop { generator, threshold: threshold as u64, scale: self.real()? })
    }

    fn drop_or_none(&mut self) -> PyResult<Option<Drop>> {
        self.tuple()?.map(|said| Said::of(&said).drop()).transpose()
    }
}

fn read(part: &Bound<'_, PyTuple>, raised: &Raised) -> PyResult<Part> {
    let mut said = Said::of(part);
    Ok(match said.name()?.as_str() {
        "recurrent" => Part::Recurrent(setting(part)?),
        "both ways" => {
            let directions = [setting(&said.inner()?)?, setting(&said.inner()?)?];
            Part::BothWays(directions, merge_of(&said.name()?)?, said.flag()?)
        }
        "dense" => {
            let activation = said.activation("activation")?;
            Part::Dense(activation, [said.number()?, said.number()?], said.flag()?)
        }
        "convolution" => {
            let windows = windows(&said.inner()?)?;
            let activation = said.activation("activation")?;
            let ends = [said.number()?, said.number()?];
            Part::Convolution(windows, activation, ends, said.flag()?)
        }
        "pooling" => {
            let over = said.tuple()?.map(|over| windows(&over)).transpose()?;
            Part::Pooling(over, said.flag()?)
        }
        "activation" => Part::Activation(RowFunction::named("activation", &said.name()?)?),
        "attention" => {
            let (heads, scale) = (said.number()?, said.item()?.extract()?);
            let (strictly, causal) = (said.flag()?, said.flag()?);
            let (window, drop) = (said.item()?.extract()?, said.drop_or_none()?);
            let fit = match said.item()?.extract::<Option<usize>>()? {
                None => Fit::Products,
                Some(0) => Fit::Sums,
                Some(factors) => Fit::Factors(factors),
            };
            Part::Attention(Attend { heads, scale, strictly, causal, window, drop, fit })
        }
        "dropout" => {
            let (drop, kind) = (said.drop()?, said.name()?);
            Part::Dropout(drop, noise_of(&kind, [said.real()?, said.real()?])?)
        }
        "embedding" => Part::Embedding([said.number()?, said.number()?], said.flag()?),
        "normalization" => {
            let (features, how) = (said.number()?, (said.real()?, said.flag()?));
            Part::Normalization(features, how, [said.flag()?, said.flag()?])
        }
        "batch normalization" => {
            let (features, epsilon) = (said.number()?, said.real()?);
            let weights = [said.flag()?, said.flag()?];
            let following = said.tuple()?.map(|following| {
                let mut said = Said::of(&following);
                PyResult::Ok(Following { momentum: said.real()?, more: said.real()? })
            });
            Part::BatchNormalization(features, epsilon, weights, following.transpose()?)
        }
        "reshape" => Part::Reshape(Reshape::Into(said.item()?.extract()?, said.item()?.extract()?)),
        "swap" => Part::Reshape(Reshape::Swap),
        "repeat" => Part::Repeat(said.number()?),
        "dot" => {
            let over_steps = [said.flag()?, said.flag()?];
            Part::Join(Join::Dot(Dot { over_steps, flat: said.flag()? }))
        }
        "relu" => {
            let (most, slope) = (said.item()?.extract()?, said.real()?);
            Part::Rectified(Rectified::Relu { most, slope, threshold: said.real()? })
        }
        "leaky relu" => Part::Rectified(Rectified::Leaky(said.real()?)),
        "elu" => Part::Rectified(Rectified::Elu(said.real()?)),
        "prelu" => Part::LearntSlopes(said.number()?, said.flag()?),
        "masking" => Part::Masking(said.real()?),
        "join" => Part::Join(join_of(&said.name()?)?),
        FOLDED => {
            let (time, inner) = (said.number()?, said.inner()?);
            if inner.get_item(0)?.eq(FOLDED)? {
                return Err(Error::value("parts", "a layer that is folded once", FOLDED).into());
            }
            Part::Folded(time, Box::new(read(&inner, raised)?))
        }
        HANDED_BACK => {
            let layer = said.item()?.unbind();
            let sizes = said.item()?.extract::<Vec<usize>>()?;
            let masks = if said.flag()? { Masks::Stay } else { Masks::End };
            let makes = said.number()?;
            Part::HandedBack(Layer { object: layer, sizes, masks, makes, raised: raised.clone() })
        }
        other => return Err(Error::value("parts", "the name of a kind of layer", other).into()),
    })
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

fn noise_of(kind: &str, alpha: [f64; 2]) -> PyResult<Noise> {
    match kind {
        "entries" => Ok(Noise::Entries),
        "features" => Ok(Noise::Features),
        "alpha" => Ok(Noise::Alpha(alpha)),
        "added" => Ok(Noise::Added),
        "multiplied" => Ok(Noise::Multiplied),
        other => {
            let expected = "entries, features, alpha, added or multiplied";
            Err(Error::value("noise", expected, other).into())
        }
    }
}

/// Size, stride, dilation, and the padding.
fn windows(said: &Bound<'_, PyTuple>) -> PyResult<Windows> {
    let mut said = Said::of(said);
    let numbers = [said.number()?, said.number()?, said.number()?];
    let padding = match said.name()?.as_str() {
        "valid" => Padding::Valid,
        "same" => Padding::Same,
        "causal" => Padding::Causal,
        other => return Err(Error::value("padding", "valid, same or causal", other).into()),
    };
    Ok(Windows::new(numbers, padding)?)
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
/// (go_backwards, return_sequences, return_state, zero_output_for_mask, rows of carried states or
/// None), (masks, of inputs, of outputs))`; the dropout of inputs and of outputs is None, or a
/// generator, the number below which it drops, and the factor of the rest.
fn setting(part: &Bound<'_, PyTuple>) -> PyResult<Setting> {
    let mut said = Said::of(part);
    said.item()?;
    let [kind, sizes, flags, drops] = [said.inner()?, said.inner()?, said.inner()?, said.inner()?];
    let mut kind = Said::of(&kind);
    let cell = CellKind::named(&kind.name()?)?;
    let activation = kind.activation("activation")?;
    let recurrent_activation = kind.activation("recurrent_activation")?;
    let cell = match cell {
        CellKind::Gru if !kind.flag()? => CellKind::GruResetBefore,
        cell => cell,
    };
    let (mut sizes, mut flags, mut drops) = (Said::of(&sizes), Said::of(&flags), Said::of(&drops));
    let masks = drops.number()?;
    Ok(Setting {
        cell,
        options: Options { activation, recurrent_activation, ..Options::default() },
        features: sizes.number()?,
        units: sizes.number()?,
        bias: sizes.flag()?,
        go_backwards: flags.flag()?,
        return_sequences: flags.flag()?,
        return_state: flags.flag()?,
        zero_output_for_mask: flags.flag()?,
        carried: flags.item()?.extract()?,
        drops: masks,
        input_drop: drops.drop_or_none()?,
        recurrent_drop: drops.drop_or_none()?,
    })
}
