//! Pooling over time in a graph.

use super::columns::{add, add_up, count, divide, hide, multiply, sums};
use super::node::{Draws, Masks, Node, Passed, Passing, Shape, sized};
use super::windows::Windows;
use crate::error::{Error, Result};
use crate::layers::sequence::Engine;
use crate::machine::lists;
use crate::machine::memory::Buffer;
use crate::machine::simd::Element;
use crate::machine::threads::Ask;

/// The layer: the steps of a window, or without windows all steps of a row, become one, their mean
/// or their maximum. The mean of a row is that of the steps that count, zero where none does. Steps
/// of a row that share the maximum share the gradient; in a window the first has all of it.
pub struct Pooling<T: Engine> {
    windows: Option<Windows>,
    mean: bool,
    scratch: Buffer<T>,
}

/// The steps of a window, one after the other: the first, and how many; of the last window first.
type Runs = Vec<(usize, usize)>;

impl<T: Engine> Pooling<T> {
    /// A layer over these windows, or over rows.
    #[must_use]
    pub fn new(windows: Option<Windows>, mean: bool) -> Self {
        Self { windows, mean, scratch: Buffer::default() }
    }

    fn runs(&self, time: usize) -> Result<Runs> {
        let Some(windows) = &self.windows else { return lists::filled((0, time), 1) };
        let over = windows.over(time)?;
        let mut runs = lists::room(over.count)?;
        // Bounded: room was made, and neighbours are one run.
        over.runs(|_, first, steps| runs.push((first, steps)));
        Ok(runs)
    }

    /// Which steps of a row count for a mean of them all.
    fn counts<'m>(&self, mask: Option<&'m [bool]>, row: usize, time: usize) -> Option<&'m [bool]> {
        let whole = self.mean && self.windows.is_none();
        mask.filter(|_| whole).map(|mask| &mask[row * time..][..time])
    }

    /// The mean over some steps.
    fn average(&mut self, steps: &[T], mask: Option<&[bool]>, to: &mut [T]) -> Result<()> {
        let features = to.len();
        if mask.is_some() {
            sized(&mut self.scratch, steps.len())?;
            self.scratch.copy_from_slice(steps);
            hide(mask, features, &mut self.scratch);
            sums(&self.scratch, to);
        } else if self.windows.is_some() {
            add_up(steps, to);
        } else {
            sums(steps, to);
        }
        divide(to, steps_of(mask, steps.len() / features));
        Ok(())
    }
}

/// What sums are divided by.
fn steps_of<T: Element>(mask: Option<&[bool]>, steps: usize) -> T {
    T::of(count(mask, steps).max(1) as f64)
}

/// Each element becomes the higher of itself and the other; NaN stays.
#[expect(clippy::eq_op, reason = "NaN alone is not equal to itself")]
fn highest<T: Element>(steps: &[T], to: &mut [T]) {
    to.copy_from_slice(&steps[..to.len()]);
    for step in steps.chunks_exact(to.len()) {
        for (to, &x) in to.iter_mut().zip(step) {
            let stays = *to >= x || *to != *to;
            *to = if stays { *to } else { x };
        }
    }
}

/// The gradient with respect to steps whose highest are `highest`: `each` holds that with respect
/// to these, and the first of them receives it.
fn to_first<T: Element>(steps: &[T], highest: &[T], each: &mut [T], to: &mut [T]) {
    let width = highest.len();
    for (to, step) in to.chunks_exact_mut(width).zip(steps.chunks_exact(width)) {
        for ((to, each), (&x, &highest)) in
            to.iter_mut().zip(&mut *each).zip(step.iter().zip(highest))
        {
            let here = x == highest;
            *to = *to + if here { *each } else { T::ZERO };
            *each = if here { T::ZERO } else { *each };
        }
    }
}

/// As [`to_first`], where all of them share it.
fn to_all<T: Element>(steps: &[T], highest: &[T], each: &mut [T], to: &mut [T]) {
    let width = highest.len();
    // Where the highest are, and then their shares.
    for (to, step) in to.chunks_exact_mut(width).zip(steps.chunks_exact(width)) {
        for (to, (x, highest)) in to.iter_mut().zip(step.iter().zip(highest)) {
            *to = if x == highest { T::ONE } else { T::ZERO };
        }
    }
    for (feature, each) in each.iter_mut().enumerate() {
        let shares = to[feature..].iter().step_by(width).fold(T::ZERO, |sum, &share| sum + share);
        *each = T::of(each.wide() / shares.wide());
    }
    multiply(to, each);
}

impl<T: Engine> Node<T> for Pooling<T> {
    fn shape(&self, inputs: Shape) -> Result<Shape> {
        if inputs.features == 0 || inputs.time == 0 {
            return Err(Error::value("inputs", "at least one step and one feature", inputs.axes()));
        }
        let time =
            self.windows.as_ref().map_or(Ok(1), |windows| Ok(windows.over(inputs.time)?.count))?;
        Ok(Shape { time, ..inputs })
    }

    fn masks(&self) -> Masks {
        Masks::End
    }

    fn forward(
        &mut self,
        passing: &Passing<'_, T>,
        outputs: &mut [T],
        _draws: &mut Draws,
        _stop: Ask<'_>,
    ) -> Result<()> {
        let Shape { time, features, .. } = passing.shape;
        let runs = self.runs(time)?;
        let rows = passing.inputs.chunks_exact(time * features);
        let all = rows.zip(outputs.chunks_exact_mut(runs.len() * features));
        for (row, (inputs, outputs)) in all.enumerate() {
            let mask = self.counts(passing.mask, row, time);
            for (to, &(first, steps)) in outputs.chunks_exact_mut(features).rev().zip(&runs) {
                let steps = &inputs[first * features..][..steps * features];
                if self.mean {
                    self.average(steps, mask, to)?;
                } else {
                    highest(steps, to);
                }
            }
        }
        Ok(())
    }

    fn backward(
        &mut self,
        passed: Passed<'_, T>,
        _gradients: &mut [Buffer<T>],
        _stop: Ask<'_>,
    ) -> Result<()> {
        let Passed { shape, inputs, outputs, mask, d_outputs, d_inputs, .. } = passed;
        let Some(d_inputs) = d_inputs else { return Ok(()) };
        let Shape { time, features, .. } = shape;
        let runs = self.runs(time)?;
        sized(&mut self.scratch, features)?;
        d_inputs.fill(T::ZERO);
        for (row, d_inputs) in d_inputs.chunks_exact_mut(time * features).enumerate() {
            let inputs = &inputs[row * time * features..][..time * features];
            let mask = self.counts(mask, row, time);
            for (window, &(first, steps)) in (0..runs.len()).rev().zip(&runs) {
                let own = (row * runs.len() + window) * features..;
                let (from, each) = (&d_outputs[own.clone()][..features], &mut self.scratch[..]);
                each.copy_from_slice(from);
                let here = first * features..(first + steps) * features;
                let (to, highest) = (&mut d_inputs[here.clone()], &outputs[own][..features]);
                match (self.mean, &self.windows) {
                    (true, _) => {
                        divide(each, steps_of(mask, steps));
                        add(to, each);
                    }
                    (false, Some(_)) => to_first(&inputs[here], highest, each, to),
                    (false, None) => to_all(&inputs[here], highest, each, to),
                }
            }
            hide(mask, features, d_inputs);
        }
        Ok(())
    }
}
