//! Attention in a graph, between the projections of queries, values and keys.

use super::columns::{add, hide};
use super::dropout::Drop;
use super::node::{Draws, Node, Passed, Passing, Shape, packed, sized};
use crate::error::{Error, Result};
use crate::layers::attention::{self, Attention, Seen, Sizes, Slopes};
use crate::layers::sequence::Engine;
use crate::machine::lists::{self, Listed};
use crate::machine::memory::Buffer;
use crate::machine::threads::Ask;

/// The settings of attention.
#[derive(Clone, Copy, Debug)]
pub struct Attend {
    /// How many heads share the features of a step.
    pub heads: usize,
    /// The factor of the scores; a weight of the layer if none is given.
    pub scale: Option<f64>,
    /// Whether masked queries see nothing and hidden keys have weight 0; otherwise the outputs of
    /// such queries are 0.
    pub strictly: bool,
    /// Whether a query sees no later value.
    pub causal: bool,
    /// The distance from which on a query sees no value.
    pub window: Option<usize>,
    /// The dropout of weights in training.
    pub drop: Option<Drop>,
    /// How well a key fits a query.
    pub fit: Fit,
}

/// How well a key fits a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Their product.
    Products,
    /// The sum of their squashed sum.
    Sums,
    /// The same, by weights: so many factors.
    Factors(usize),
}

impl Attend {
    fn sizes(self, queries: Shape, values: Shape, keys: Shape) -> Result<Sizes> {
        let heads = self.heads;
        let sizes = Sizes {
            samples: queries.rows,
            heads,
            queries: queries.time,
            keys: keys.time,
            features: queries.features / heads,
            of_value: values.features / heads,
        };
        let wanted = [
            Shape { features: sizes.features * heads, ..queries },
            Shape { time: keys.time, rows: queries.rows, features: sizes.of_value * heads },
            Shape { rows: queries.rows, features: queries.features, ..keys },
        ];
        let given = [queries, values, keys];
        match wanted.iter().zip(given).find(|(wanted, given)| *wanted != given) {
            Some((wanted, given)) => Err(Error::shape("inputs", wanted.axes(), given.axes())),
            None => Ok(sizes),
        }
    }
}

/// What queries see of the keys of a batch, `[samples, 1, queries, keys]` or one for all samples;
/// empty where they see everything.
#[derive(Default)]
struct Flags {
    flags: Vec<bool>,
    axes: [usize; 4],
}

impl Flags {
    /// Notes what queries see, by the masks of queries, values and keys.
    fn note(&mut self, setting: Attend, sizes: Sizes, masks: [Option<&[bool]>; 3]) -> Result<()> {
        let Attend { strictly, causal, window, .. } = setting;
        let masks = if strictly { masks } else { [None, masks[1], None] };
        sizes.weights()?; // bounds what follows
        let masked = masks.iter().any(Option::is_some);
        let Sizes { samples, queries, keys, .. } = sizes;
        let samples = if masked { samples } else { 1 };
        let all = if masked || causal || window.is_some() { samples * queries * keys } else { 0 };
        if self.flags.len() != all {
            self.flags = lists::filled(true, all)?;
        }
        self.axes = [samples, 1, queries, keys];
        for (row, flags) in self.flags.chunks_exact_mut(keys.max(1)).enumerate() {
            let (sample, query) = (row / queries, row % queries);
            flags.fill(masks[0].is_none_or(|mask| mask[row]));
            for mask in masks[1..].iter().flatten() {
                for (seen, counts) in flags.iter_mut().zip(&mask[sample * keys..][..keys]) {
                    *seen &= counts;
                }
            }
            let far = window.unwrap_or(usize::MAX);
            let before = query.saturating_add(1).saturating_sub(far).min(keys);
            let after = if causal { 1 } else { far };
            flags[..before].fill(false);
            flags[query.saturating_add(after).min(keys)..].fill(false);
        }
        Ok(())
    }
}

/// The layer: of queries and values, and keys if they are not the values.
pub struct Attending<T: Engine> {
    setting: Attend,
    sizes: Vec<usize>,
    scale: Option<T>,
    factors: Buffer<T>,
    weights: Buffer<T>,
    /// What the weights of the last call were multiplied by; empty if nothing was dropped.
    noise: Buffer<T>,
    seen: Flags,
    /// Gradients that are not wanted or are added to others; those with respect to outputs that
    /// count.
    scratch: [Buffer<T>; 4],
}

impl<T: Engine> Attending<T> {
    /// A layer of this setting.
    ///
    /// # Errors
    /// If there is no head.
    pub fn new(setting: Attend) -> Result<Self> {
        if setting.heads == 0 {
            return Err(Error::value("heads", "a positive integer", setting.heads));
        }
        let scale = setting.scale.map(T::of);
        let (factors, own) = match setting.fit {
            Fit::Products => (0, None),
            Fit::Sums => (1, None),
            Fit::Factors(count) => (count, Some(count)),
        };
        let sizes = scale.is_none().then_some(1).into_iter().chain(own).listed()?;
        let mut factors = Buffer::unfilled(factors)?;
        factors.fill(T::of(1.0));
        let scratch = std::array::from_fn(|_| Buffer::default());
        let [weights, noise] = [Buffer::default(), Buffer::default()];
        let seen = Flags::default();
        Ok(Self { setting, sizes, scale, factors, weights, noise, seen, scratch })
    }

    fn attention<'a>(
        &'a self,
        sizes: Sizes,
        [queries, values, keys]: [&'a [T]; 3],
    ) -> Result<Attention<'a, T>> {
        let Flags { flags, axes } = &self.seen;
        let (axes, strictly) = (*axes, self.setting.strictly);
        let seen = (!flags.is_empty()).then_some(Seen { flags, axes, strictly });
        let scale = packed(self.scale)?;
        let noise = (!self.noise.is_empty()).then_some(&self.noise[..]);
        let factors = &self.factors[..];
        Ok(Attention { sizes, queries, keys, values, scale, factors, seen, noise })
    }
}

/// The value, and the key: the value if there is none.
fn value_and_key<V: Copy>(more: &[V]) -> Result<[V; 2]> {
    match *more {
        [value] => Ok([value, value]),
        [value, key] => Ok([value, key]),
        _ => Err(Error::value("inputs", "two or three arrays", 1 + more.len())),
    }
}

impl<T: Engine> Node<T> for Attending<T> {
    fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    fn shape(&self, inputs: Shape) -> Result<Shape> {
        self.joined(&[inputs])
    }

    fn joined(&self, inputs: &[Shape]) -> Result<Shape> {
        let [value, key] = value_and_key(&inputs[1..])?;
        let sizes = self.setting.sizes(inputs[0], value, key)?;
        Ok(Shape { features: sizes.of_value * sizes.heads, ..inputs[0] })
    }

    fn pack(&mut self, weights: &[&mut [T]]) -> Result<()> {
        if let (None, Some(scale)) = (self.setting.scale, weights.first()) {
            self.scale = Some(scale[0]);
        }
        if let (Fit::Factors(_), Some(factors)) = (self.setting.fit, weights.last()) {
            self.factors.copy_from_slice(factors);
        }
        Ok(())
    }

    fn forward(
        &mut self,
        passing: &Passing<'_, T>,
        outputs: &mut [T],
        draws: &mut Draws,
        stop: Ask<'_>,
    ) -> Result<()> {
        let [value, key] = value_and_key(passing.more)?;
        let sizes = self.setting.sizes(passing.shape, value.0, key.0)?;
        let [of_value, of_key] = value_and_key(passing.masks)?;
        self.seen.note(self.setting, sizes, [passing.mask, of_value, of_key])?;
        sized(&mut self.weights, sizes.weights()?)?;
        match self.setting.drop.filter(|_| passing.training) {
            Some(drop) => {
                sized(&mut self.noise, sizes.weights()?)?;
                drop.draw(draws, &mut self.noise)?;
            }
            None => self.noise = Buffer::default(),
        }
        let mut weights = std::mem::take(&mut self.weights);
        let attention = self.attention(sizes, [passing.inputs, value.1, key.1])?;
        let done = attention::forward(&attention, &mut weights, outputs, stop);
        self.weights = weights;
        if !self.setting.strictly {
            hide(passing.mask, sizes.of_value * sizes.heads, outputs);
        }
        done
    }

    fn backward(
        &mut self,
        passed: Passed<'_, T>,
        gradients: &mut [Buffer<T>],
        stop: Ask<'_>,
    ) -> Result<()> {
        let Passed { shape, inputs, more, mask, mut d_outputs, d_inputs, d_more, .. } = passed;
        let [value, key] = value_and_key(more)?;
        let sizes = self.setting.sizes(shape, value.0, key.0)?;
        let mut scratch = std::mem::take(&mut self.scratch);
        let [by_queries, by_values, by_keys, of_outputs] = &mut scratch;
        if mask.is_some() && !self.setting.strictly {
            sized(of_outputs, d_outputs.len())?;
            of_outputs.copy_from_slice(d_outputs);
            hide(mask, sizes.of_value * sizes.heads, of_outputs);
            d_outputs = &of_outputs[..];
        }
        sized(by_queries, inputs.len())?;
        sized(by_values, value.1.len())?;
        sized(by_keys, key.1.len())?;
        let attention = self.attention(sizes, [inputs, value.1, key.1])?;
        let by_scale = self.setting.scale.is_none();
        let (of_scale, gradients) = gradients.split_at_mut(usize::from(by_scale));
        let mut unwanted = [T::ZERO];
        let factors = match (self.setting.fit, gradients) {
            (Fit::Factors(_), [factors, ..]) => &mut factors[..],
            _ => &mut unwanted[..self.factors.len()],
        };
        let slopes = Slopes { queries: by_queries, keys: by_keys, values: by_values, factors };
        let d_outputs = (d_outputs, None);
        let by_scale =
            attention::backward(&attention, &self.weights, d_outputs, slopes, by_scale, stop)?;
        if let Some(gradient) = of_scale.first_mut() {
            gradient[0] = T::of(by_scale);
        }
        if more.len() == 1 {
            add(by_values, by_keys);
        }
        let found = [&*by_queries, &*by_values, &*by_keys];
        let wanted = std::iter::once(d_inputs).chain(d_more.iter_mut().map(Option::take));
        for (to, from) in wanted.zip(found) {
            if let Some(to) = to {
                to.copy_from_slice(from);
            }
        }
        self.scratch = scratch;
        Ok(())
    }
}
