//! The end of a step: gradients are clipped, weights move.

use crate::error::{Error, Result};
use crate::machine::lists;
use crate::machine::memory::Buffer;
use crate::machine::simd::Element;
use crate::training::optimizer::{Rule, Target, squared_norm, update};

/// How gradients are made smaller.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Clip {
    /// Not at all.
    Never,
    /// Entry by entry.
    Value(f64),
    /// Each by its own norm.
    Norm(f64),
    /// All by the norm of those that are trained; the sum of squares is compensated for rounding
    /// (as Python's is from 3.12 on) or not.
    Global(f64, bool),
}

/// What changes from step to step.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The learning rate with all corrections, and what else the rule takes, see [`Rule::at`].
    pub rates: [f64; 3],
    /// The part of a weight that is subtracted first.
    pub decay: Option<f64>,
}

/// How weights move.
pub struct Updates<'a, T> {
    /// The rule, whose rate is each step's.
    pub rule: Rule,
    /// What happens to gradients first.
    pub clip: Clip,
    /// The numbers of the weights that move.
    pub trained: &'a [usize],
    /// What the rule keeps for each of them; those that it does not use are empty.
    pub slots: Vec<[&'a mut [T]; 3]>,
}

impl<T: Element> Updates<'_, T> {
    /// Refuses numbers and slots that do not fit `weights`.
    ///
    /// # Errors
    /// If one does not.
    pub fn check(&self, weights: &[&mut [T]]) -> Result<()> {
        let increasing = self.trained.windows(2).all(|pair| pair[0] < pair[1]);
        let known = self.trained.last().is_none_or(|&last| last < weights.len());
        if !(increasing && known) {
            let expected = format!("increasing numbers below {}", weights.len());
            return Err(Error::value("trained", expected, self.trained));
        }
        if self.slots.len() != self.trained.len() {
            let expected = format!("entries for {} weights", self.trained.len());
            return Err(Error::value("slots", expected, self.slots.len()));
        }
        for (&at, slots) in self.trained.iter().zip(&self.slots) {
            let len = weights[at].len();
            if let Some(wrong) = slots[..self.rule.slots()].iter().find(|slot| slot.len() != len) {
                return Err(Error::shape("slots", [len], [wrong.len()]));
            }
        }
        Ok(())
    }

    /// What all gradients are multiplied by.
    fn scale_of_all(&self, gradients: &[Buffer<T>]) -> Result<Option<f64>> {
        let Clip::Global(bound, exact) = self.clip else { return Ok(None) };
        let mut squares = lists::room(self.trained.len())?;
        for &at in self.trained {
            lists::push(&mut squares, squared_norm(None, &gradients[at])?)?;
        }
        let share = share(sum(squares.into_iter(), exact).sqrt(), bound);
        Ok((share < 1.0).then_some(share))
    }

    /// Moves the weights by their gradients; an error has changed none of them.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn apply(
        &mut self,
        pace: Pace,
        weights: &mut [&mut [T]],
        gradients: &mut [Buffer<T>],
    ) -> Result<()> {
        let all = self.scale_of_all(gradients)?;
        let mut targets = lists::room(self.trained.len())?;
        let mut trained = self.trained.iter().copied().peekable();
        let mut slots = self.slots.iter_mut();
        for (at, (weight, gradient)) in weights.iter_mut().zip(gradients).enumerate() {
            if trained.next_if_eq(&at).is_none() {
                continue;
            }
            let Some(slots) = slots.next() else { break };
            let scale = clipped(self.clip, gradient)?.or(all);
            let slots = slots.each_mut().map(|slot| &mut **slot);
            let target = Target { weight, gradient, scale, slots };
            lists::push(&mut targets, target)?;
        }
        update(None, self.rule.at(pace.rates), pace.decay, targets)
    }
}

fn share(norm: f64, bound: f64) -> f64 {
    if norm > bound { bound / norm } else { 1.0 }
}

/// The sum of numbers, one after the other; `exact` adds back what rounding has lost (Neumaier,
/// 1974).
pub(super) fn sum(numbers: impl Iterator<Item = f64>, exact: bool) -> f64 {
    let (mut total, mut lost) = (0.0_f64, 0.0_f64);
    for x in numbers {
        let next = total + x;
        lost += if total.abs() >= x.abs() { (total - next) + x } else { (x - next) + total };
        total = next;
    }
    if exact && lost != 0.0 && lost.is_finite() { total + lost } else { total }
}

/// Clips a gradient, or returns the factor that it is to be multiplied by.
fn clipped<T: Element>(clip: Clip, gradient: &mut [T]) -> Result<Option<f64>> {
    match clip {
        Clip::Never | Clip::Global(..) => Ok(None),
        Clip::Value(bound) => {
            let (least, most) = (T::of(-bound), T::of(bound));
            for entry in gradient {
                // NaN stays: it is neither below nor above.
                if *entry < least {
                    *entry = least;
                } else if *entry > most {
                    *entry = most;
                }
            }
            Ok(None)
        }
        Clip::Norm(bound) => {
            let norm = squared_norm(None, gradient)?.sqrt();
            Ok(Some(share(norm, bound)))
        }
    }
}
