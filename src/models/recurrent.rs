//! A recurrent layer in a graph.

use super::dropout::Drop;
use super::node::{Draws, Masks, Node, Passed, Passing, Shape, expect_features, packed, sized};
use crate::cells::CellKind;
use crate::error::Result;
use crate::layers::sequence::{
    Dropout, Engine, Gradients, Options, Problem, Raw, Residuals, Results, Seeds, Weights,
    backward, forward,
};
use crate::machine::lists::Listed;
use crate::machine::memory::{Buffer, View, ViewMut};
use crate::machine::threads::Ask;

/// The settings of a recurrent layer besides its weights.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "they are the layer's arguments")]
pub struct Setting {
    /// The cell.
    pub cell: CellKind,
    /// Its activations.
    pub options: Options,
    /// Number of input features.
    pub features: usize,
    /// Number of units.
    pub units: usize,
    /// Whether the cell has a bias.
    pub bias: bool,
    /// Takes the last step first.
    pub go_backwards: bool,
    /// Gives the output of every step, or of the last one only.
    pub return_sequences: bool,
    /// Gives the states after the last step besides.
    pub return_state: bool,
    /// Makes the output at masked steps zero.
    pub zero_output_for_mask: bool,
    /// For how many rows states are carried from one step of training to the next, as weights that
    /// follow the batch; None if they are not.
    pub carried: Option<usize>,
    /// The number of dropout masks: one for all gates, or one for each.
    pub drops: usize,
    /// Dropout of the inputs.
    pub input_drop: Option<Drop>,
    /// Dropout of the previous output.
    pub recurrent_drop: Option<Drop>,
}

/// The layer: weights are kernel, recurrent kernel, bias, the vectors of each unit alone, and the
/// carried states.
pub struct Recurrent<T: Engine> {
    setting: Setting,
    sizes: Vec<usize>,
    weights: Option<Weights<T>>,
    residuals: Option<Residuals<T>>,
    /// The states before the first step, if they are carried.
    carried: Vec<Buffer<T>>,
    /// The states after the last step, then their gradients if the layer gives them.
    state: Vec<Buffer<T>>,
    d_state: Vec<Buffer<T>>,
    /// The current dropout masks, of inputs and previous outputs.
    dropped: [Buffer<T>; 2],
}

impl<T: Engine> Recurrent<T> {
    /// A layer without weights yet.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn new(setting: Setting) -> Result<Self> {
        let Setting { cell, features, units, .. } = setting;
        let layout = cell.layout();
        let columns = layout.gates.saturating_mul(units);
        let biases = if layout.recurrent_bias { 2 } else { 1 };
        let sizes = [
            Some(features.saturating_mul(columns)),
            Some(units.saturating_mul(columns)),
            setting.bias.then(|| columns.saturating_mul(biases)),
            (layout.vectors > 0).then(|| layout.vectors.saturating_mul(units)),
        ];
        let count = layout.states + 1;
        let carries = if setting.carried.is_some() { count } else { 0 };
        let carried =
            std::iter::repeat_n(setting.carried.unwrap_or(0).saturating_mul(units), carries);
        let sizes = sizes.into_iter().flatten().chain(carried).listed()?;
        let states = if setting.return_state { count } else { carries };
        let [carried, state, d_state] =
            [carries, states, count].map(|count| (0..count).map(|_| Buffer::default()).listed());
        let (carried, state, d_state) = (carried?, state?, d_state?);
        Ok(Self {
            setting,
            sizes,
            weights: None,
            residuals: None,
            carried,
            state,
            d_state,
            dropped: Default::default(),
        })
    }

    /// Draws the dropout masks of one call.
    fn draw(&mut self, rows: usize, training: bool, draws: &mut Draws) -> Result<()> {
        let Setting { features, units, drops, input_drop, recurrent_drop, .. } = self.setting;
        let kinds = [(input_drop, features), (recurrent_drop, units)];
        for ((drop, size), mask) in kinds.into_iter().zip(&mut self.dropped) {
            match drop.filter(|_| training) {
                Some(drop) => {
                    sized(mask, drops.saturating_mul(rows).saturating_mul(size))?;
                    drop.draw(draws, mask)?;
                }
                None => *mask = Buffer::default(),
            }
        }
        Ok(())
    }
}

/// What a call reads: the inputs and their shape, the states to begin with, the mask.
type Read<'a, T> = (Shape, &'a [T], Vec<(Shape, &'a [T])>, Option<&'a [bool]>);

/// The initial states: those that are carried, or that came with the inputs.
fn states<'a, T: Engine>(
    setting: &Setting,
    rows: usize,
    carried: &'a [Buffer<T>],
    more: &[(Shape, &'a [T])],
) -> Result<Vec<(Shape, &'a [T])>> {
    let of_state = Shape { rows, time: 1, features: setting.units };
    carried.iter().map(|state| (of_state, &state[..])).chain(more.iter().copied()).listed()
}

/// The call, whose masks of dropout were drawn before.
fn problem<'a, T: Engine>(
    setting: &Setting,
    weights: &Weights<T>,
    (shape, inputs, states, mask): Read<'a, T>,
    dropped: &'a [Buffer<T>; 2],
) -> Result<Problem<'a, T>> {
    let view = |mask: &'a Buffer<T>, size: usize| match mask.len() {
        0 => Ok(None),
        _ => View::contiguous(mask, [setting.drops, shape.rows, size]).map(Some),
    };
    let dropout = Dropout {
        inputs: view(&dropped[0], setting.features)?,
        recurrent: view(&dropped[1], setting.units)?,
    };
    let mut problem = Problem::new(weights, View::contiguous(inputs, shape.axes())?)?
        .go_backwards(setting.go_backwards)
        .return_sequences(setting.return_sequences)
        .zero_output_for_mask(setting.zero_output_for_mask)
        .dropout(dropout)?;
    if !states.is_empty() {
        let views = states.iter().map(|(shape, state)| View::contiguous(state, shape.axes()));
        problem = problem.initial_state(views.listed_or()?)?;
    }
    if let Some(mask) = mask {
        problem = problem.mask(View::contiguous(mask, [shape.rows, shape.time, 1])?)?;
    }
    Ok(problem)
}

impl<T: Engine> Node<T> for Recurrent<T> {
    fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    fn shape(&self, inputs: Shape) -> Result<Shape> {
        expect_features(self.setting.features, inputs)?;
        let time = if self.setting.return_sequences { inputs.time } else { 1 };
        Ok(Shape { time, features: self.setting.units, ..inputs })
    }

    fn joined(&self, inputs: &[Shape]) -> Result<Shape> {
        self.shape(inputs[0])
    }

    fn besides(&self) -> usize {
        if self.setting.return_state { self.state.len() } else { 0 }
    }

    fn shape_besides(&self, _number: usize, inputs: &[Shape]) -> Result<Shape> {
        Ok(Shape { time: 1, features: self.setting.units, ..inputs[0] })
    }

    fn give(&mut self, number: usize, to: &mut [T]) -> Result<()> {
        to.copy_from_slice(&self.state[number]);
        Ok(())
    }

    fn take(&mut self, number: usize, slopes: &[T]) -> Result<()> {
        self.state[number].copy_from_slice(slopes);
        Ok(())
    }

    fn pack(&mut self, weights: &[&mut [T]]) -> Result<()> {
        let Setting { cell, options, features, units, bias, .. } = self.setting;
        let after = 2 + usize::from(bias);
        let raw = Raw {
            kernel: weights[0],
            recurrent_kernel: weights[1],
            bias: bias.then(|| &*weights[2]),
            vectors: weights[..weights.len() - self.carried.len()]
                .get(after)
                .map_or(&[], |vectors| vectors),
            projection: None,
        };
        self.weights = None; // so that its memory serves the new ones
        self.weights = Some(Weights::new(cell, options, features, units, raw)?);
        Ok(())
    }

    fn masks(&self) -> Masks {
        if self.setting.return_sequences { Masks::Stay } else { Masks::End }
    }

    fn forward(
        &mut self,
        passing: &Passing<'_, T>,
        outputs: &mut [T],
        draws: &mut Draws,
        stop: Ask<'_>,
    ) -> Result<()> {
        let Passing { shape, inputs, more, mask, keep, training, .. } = *passing;
        self.draw(shape.rows, training, draws)?;
        let first = passing.weights.len() - self.carried.len();
        for (to, from) in self.carried.iter_mut().zip(&passing.weights[first..]) {
            sized(to, from.len())?;
            to.copy_from_slice(from);
        }
        let weights = packed(self.weights.as_ref())?;
        let states = states(&self.setting, shape.rows, &self.carried, more)?;
        let read = (shape, inputs, states, mask);
        let problem = problem(&self.setting, weights, read, &self.dropped)?;
        let outputs = ViewMut::contiguous(outputs, problem.output_shape())?;
        let of_state = [shape.rows, 1, self.setting.units];
        for state in &mut self.state {
            sized(state, of_state[0] * of_state[2])?;
        }
        let state = self.state.iter_mut().map(|state| ViewMut::contiguous(state, of_state));
        let results = Results { outputs, state: state.listed_or()? };
        self.residuals = None; // so that its memory serves the new ones
        self.residuals = forward(weights, &problem, results, keep, stop)?;
        Ok(())
    }

    fn backward(
        &mut self,
        passed: Passed<'_, T>,
        gradients: &mut [Buffer<T>],
        stop: Ask<'_>,
    ) -> Result<()> {
        let Setting { units, bias, .. } = self.setting;
        let weights = packed(self.weights.as_ref())?;
        let besides = Node::<T>::besides(self);
        let residuals = packed(self.residuals.as_mut())?;
        let Passed { shape, inputs, more, outputs, mask, d_outputs, d_inputs, d_more } = passed;
        let states = states(&self.setting, shape.rows, &self.carried, more)?;
        let read = (shape, inputs, states, mask);
        let problem = problem(&self.setting, weights, read, &self.dropped)?;
        let axes = problem.output_shape();
        let of_state = [shape.rows, 1, units];
        let given = &self.state[..besides];
        let d_state = given.iter().map(|d| View::contiguous(d, of_state).map(Some));
        let seeds = Seeds {
            outputs: View::contiguous(outputs, axes)?,
            d_outputs: Some(View::contiguous(d_outputs, axes)?),
            d_state: d_state.listed_or()?,
        };
        for d_state in &mut self.d_state {
            sized(d_state, shape.rows * units)?;
        }
        let views = self.d_state.iter_mut();
        let state = views.map(|d| ViewMut::contiguous(d, of_state)).listed_or()?;
        let [kernel, recurrent_kernel, rest @ ..] = gradients else {
            unreachable!("two kernels at least, see `new`")
        };
        let rest = &mut rest[..self.sizes.len() - 2 - self.carried.len()];
        let (d_bias, d_vectors) = rest.split_at_mut(usize::from(bias));
        let gradients = Gradients {
            inputs: d_inputs.map(|d| ViewMut::contiguous(d, shape.axes())).transpose()?,
            state,
            kernel,
            recurrent_kernel,
            vectors: d_vectors.first_mut().map_or(&mut [], |d| &mut d[..]),
            bias: d_bias.first_mut().map(|d| &mut d[..]),
            projection: None,
        };
        backward(weights, &problem, residuals, &seeds, gradients, true, stop)?;
        for (to, state) in d_more.iter_mut().zip(&self.d_state) {
            if let Some(to) = to {
                to.copy_from_slice(state);
            }
        }
        Ok(())
    }

    fn follow(&mut self, weights: &mut [&mut [T]]) {
        let first = weights.len() - self.carried.len();
        for (to, state) in weights[first..].iter_mut().zip(&self.state) {
            to.copy_from_slice(state);
        }
    }
}
