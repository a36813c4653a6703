//! A Bidirectional of two recurrent layers in a graph.

use super::node::{Draws, Masks, Node, Passed, Passing, Shape, sized};
use super::recurrent::Recurrent;
use crate::error::Result;
use crate::layers::sequence::Engine;
use crate::machine::lists::Listed;
use crate::machine::memory::Buffer;
use crate::machine::threads::Ask;

/// How the outputs of both become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Side by side.
    Concat,
    /// Their sum.
    Sum,
    /// Their product.
    Product,
    /// Half their sum.
    Mean,
    /// They stay apart: those of the other direction are a second value.
    Apart,
}

/// The layer: weights are those of the forward direction, then of the other.
pub struct BothWays<T: Engine> {
    directions: [Recurrent<T>; 2],
    merge: Merge,
    sequences: bool,
    sizes: Vec<usize>,
    outputs: [Buffer<T>; 2],
    slopes: [Buffer<T>; 2],
    d_inputs: Buffer<T>,
    /// The shape of one direction's outputs in the current batch.
    of_one: Shape,
}

impl<T: Engine> BothWays<T> {
    /// Two layers of equal outputs; with `sequences`, those of the second come last step first.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn new(directions: [Recurrent<T>; 2], merge: Merge, sequences: bool) -> Result<Self> {
        let sizes = directions.iter().flat_map(Node::sizes).copied().listed()?;
        let (outputs, slopes) = (Default::default(), Default::default());
        let d_inputs = Buffer::default();
        let of_one = Shape::default();
        Ok(Self { directions, merge, sequences, sizes, outputs, slopes, d_inputs, of_one })
    }

    /// Calls `each` with the places of one step of one row: in the outputs of the forward
    /// direction, in those of the other, and in the merged ones.
    fn steps(&self, of_one: Shape, mut each: impl FnMut([usize; 3])) {
        let Shape { rows, time, features: units } = of_one;
        let width = if self.merge == Merge::Concat { 2 * units } else { units };
        for row in 0..rows {
            for step in 0..time {
                let back = if self.sequences { time - 1 - step } else { step };
                let [ahead, back] = [step, back].map(|step| (row * time + step) * units);
                each([ahead, back, (row * time + step) * width]);
            }
        }
    }

    /// How many values each direction has besides, and how many of both there are before them.
    fn states(&self) -> (usize, usize) {
        (self.directions[0].besides(), usize::from(self.merge == Merge::Apart))
    }

    /// Copies a direction's outputs of the shape `of_one`, the other one's in the order of time.
    fn in_order(&self, of_one: Shape, from: &[T], to: &mut [T]) {
        let units = of_one.features;
        self.steps(of_one, |[at, other, _]| {
            to[at..][..units].copy_from_slice(&from[other..][..units]);
        });
    }

    fn merged(&self, of_one: Shape, outputs: &mut [T]) {
        let units = of_one.features;
        let ([ahead, back], half) = (&self.outputs, T::of(2.0).wide());
        self.steps(of_one, |[at, other, to]| {
            let (one, two) = (&ahead[at..][..units], &back[other..][..units]);
            if self.merge == Merge::Apart {
                outputs[to..][..units].copy_from_slice(one);
                return;
            }
            if self.merge == Merge::Concat {
                outputs[to..][..units].copy_from_slice(one);
                outputs[to + units..][..units].copy_from_slice(two);
                return;
            }
            for ((to, &one), &two) in outputs[to..][..units].iter_mut().zip(one).zip(two) {
                *to = match self.merge {
                    Merge::Product => one * two,
                    // A half is exact but for subnormal numbers, and so is one in double precision.
                    Merge::Mean => T::of((one + two).wide() / half),
                    Merge::Sum | Merge::Concat | Merge::Apart => one + two,
                };
            }
        });
    }

    /// Divides the slopes between both.
    fn divide(&mut self, of_one: Shape, d_outputs: &[T]) -> Result<()> {
        let units = of_one.features;
        let [mut d_ahead, mut d_back] = std::mem::take(&mut self.slopes);
        sized(&mut d_ahead, of_one.elements()?)?;
        sized(&mut d_back, of_one.elements()?)?;
        self.steps(of_one, |[at, other, from]| {
            let second = if self.merge == Merge::Concat { from + units } else { from };
            for unit in 0..units {
                let (one, two) = (d_outputs[from + unit], d_outputs[second + unit]);
                let [ahead, back] = [&self.outputs[0][at + unit], &self.outputs[1][other + unit]];
                (d_ahead[at + unit], d_back[other + unit]) = match self.merge {
                    Merge::Product => (one * *back, two * *ahead),
                    Merge::Mean => (T::of(one.wide() / 2.0), T::of(two.wide() / 2.0)),
                    Merge::Apart => (one, d_back[other + unit]), // which came before
                    Merge::Sum | Merge::Concat => (one, two),
                };
            }
        });
        self.slopes = [d_ahead, d_back];
        Ok(())
    }
}

impl<T: Engine> Node<T> for BothWays<T> {
    fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    fn shape(&self, inputs: Shape) -> Result<Shape> {
        let of_one = self.directions[0].shape(inputs)?;
        let twice = if self.merge == Merge::Concat { 2 } else { 1 };
        Ok(Shape { features: twice * of_one.features, ..of_one })
    }

    fn joined(&self, inputs: &[Shape]) -> Result<Shape> {
        self.shape(inputs[0])
    }

    fn besides(&self) -> usize {
        let (states, first) = self.states();
        first + 2 * states
    }

    fn shape_besides(&self, number: usize, inputs: &[Shape]) -> Result<Shape> {
        let first = self.states().1;
        if number < first {
            return self.directions[0].shape(inputs[0]);
        }
        self.directions[0].shape_besides(number - first, inputs)
    }

    fn give(&mut self, number: usize, to: &mut [T]) -> Result<()> {
        let (states, first) = self.states();
        if number < first {
            self.in_order(self.of_one, &self.outputs[1], to);
            return Ok(());
        }
        let number = number - first;
        self.directions[number / states].give(number % states, to)
    }

    fn take(&mut self, number: usize, slopes: &[T]) -> Result<()> {
        let (states, first) = self.states();
        if number < first {
            let mut d_back = std::mem::take(&mut self.slopes[1]);
            sized(&mut d_back, slopes.len())?;
            self.in_order(self.of_one, slopes, &mut d_back); // its own inverse
            self.slopes[1] = d_back;
            return Ok(());
        }
        let number = number - first;
        self.directions[number / states].take(number % states, slopes)
    }

    fn masks(&self) -> Masks {
        if self.sequences { Masks::Stay } else { Masks::End }
    }

    fn pack(&mut self, weights: &[&mut [T]]) -> Result<()> {
        let [ahead, back] = &mut self.directions;
        let (first, second) = weights.split_at(ahead.sizes().len());
        ahead.pack(first)?;
        back.pack(second)
    }

    fn forward(
        &mut self,
        passing: &Passing<'_, T>,
        outputs: &mut [T],
        draws: &mut Draws,
        stop: Ask<'_>,
    ) -> Result<()> {
        let of_one = self.directions[0].shape(passing.shape)?;
        self.of_one = of_one;
        let Passing { shape, inputs, more, weights, mask, masks, keep, training } = *passing;
        let (first, second) = more.split_at(more.len() / 2);
        let pairs = self.directions.iter_mut().zip(&mut self.outputs);
        for ((direction, outputs), more) in pairs.zip([first, second]) {
            sized(outputs, of_one.elements()?)?;
            let passing = Passing { shape, inputs, more, weights, mask, masks, keep, training };
            direction.forward(&passing, outputs, draws, stop)?;
        }
        self.merged(of_one, outputs);
        Ok(())
    }

    fn backward(
        &mut self,
        passed: Passed<'_, T>,
        gradients: &mut [Buffer<T>],
        stop: Ask<'_>,
    ) -> Result<()> {
        let Passed { shape, inputs, more, mask, d_outputs, mut d_inputs, d_more, .. } = passed;
        let of_one = self.directions[0].shape(shape)?;
        self.divide(of_one, d_outputs)?;
        if d_inputs.is_some() {
            sized(&mut self.d_inputs, inputs.len())?;
        }
        let [ahead, back] = &mut self.directions;
        let (first, second) = gradients.split_at_mut(ahead.sizes().len());
        let wanted = d_inputs.is_some();
        let ([one, two], [d_one, d_two]) = (&self.outputs, &self.slopes);
        let d_ahead = d_inputs.as_deref_mut();
        let (more, other_more) = more.split_at(more.len() / 2);
        let mut d_more = d_more.iter_mut().map(Option::as_deref_mut).listed()?;
        let half = d_more.len() / 2;
        let (d_more, other_d_more) = d_more.split_at_mut(half);
        let of_ahead = Passed {
            shape,
            inputs,
            more,
            outputs: one,
            mask,
            d_outputs: d_one,
            d_inputs: d_ahead,
            d_more,
        };
        ahead.backward(of_ahead, first, stop)?;
        let d_back = wanted.then_some(&mut self.d_inputs[..]);
        let of_back = Passed {
            shape,
            inputs,
            more: other_more,
            outputs: two,
            mask,
            d_outputs: d_two,
            d_inputs: d_back,
            d_more: other_d_more,
        };
        back.backward(of_back, second, stop)?;
        for (sum, &other) in d_inputs.into_iter().flatten().zip(&*self.d_inputs) {
            *sum = *sum + other;
        }
        Ok(())
    }
}
