//! Several values joined, entry by entry or side by side.

use super::dot::Dot;
use super::node::{Draws, Masks, Node, Passed, Passing, Shape};
use crate::error::{Error, Result};
use crate::layers::sequence::Engine;
use crate::machine::memory::Buffer;
use crate::machine::simd::Element;
use crate::machine::threads::Ask;

/// How values are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// Their sum.
    Sum,
    /// The first minus the others.
    Difference,
    /// Their product.
    Product,
    /// Their mean.
    Mean,
    /// Features side by side.
    Concat,
    /// Products of two values over an axis of each.
    Dot(Dot),
}

/// The layer. Values have one shape, except for the features of those that are put side by side.
pub struct Joined(pub Join);

impl Joined {
    /// Calls `each` with every value, by its number, in the place of its features.
    fn side_by_side(
        shapes: impl Iterator<Item = Shape>,
        mut each: impl FnMut(usize, usize, Shape),
    ) {
        let mut first = 0;
        for (number, shape) in shapes.enumerate() {
            each(number, first, shape);
            first += shape.features;
        }
    }
}

/// The product, in order, of all values except the `skipped` one at one place.
fn product<T: Element>(all: &[(Shape, &[T])], first: &[T], skipped: usize, at: usize) -> Option<T> {
    let values = std::iter::once(first).chain(all.iter().map(|(_, value)| *value));
    let others = values.enumerate().filter(|(number, _)| *number != skipped);
    others.map(|(_, value)| value[at]).reduce(|product, x| product * x)
}

impl<T: Engine> Node<T> for Joined {
    fn shape(&self, inputs: Shape) -> Result<Shape> {
        Ok(inputs)
    }

    fn joined(&self, inputs: &[Shape]) -> Result<Shape> {
        if let Join::Dot(dot) = self.0 {
            return dot.joined(inputs);
        }
        let first = inputs[0];
        let features = inputs.iter().map(|shape| shape.features);
        let features = if self.0 == Join::Concat { features.sum() } else { first.features };
        let expected = |shape: &Shape| Shape {
            features: if self.0 == Join::Concat { shape.features } else { features },
            ..first
        };
        match inputs.iter().find(|shape| **shape != expected(shape)) {
            Some(wrong) => Err(Error::shape("inputs", expected(wrong).axes(), wrong.axes())),
            None => Ok(Shape { features, ..first }),
        }
    }

    fn masks(&self) -> Masks {
        match self.0 {
            Join::Concat => Masks::Meet { all: false },
            Join::Dot(_) => Masks::End,
            _ => Masks::Meet { all: true },
        }
    }

    fn forward(
        &mut self,
        passing: &Passing<'_, T>,
        outputs: &mut [T],
        _draws: &mut Draws,
        stop: Ask<'_>,
    ) -> Result<()> {
        if let Join::Dot(dot) = self.0 {
            return dot.forward(passing, outputs, stop);
        }
        let Passing { shape, inputs, more, .. } = *passing;
        if self.0 == Join::Concat {
            let width =
                shape.features + more.iter().map(|(shape, _)| shape.features).sum::<usize>();
            let shapes = std::iter::once(shape).chain(more.iter().map(|(shape, _)| *shape));
            Self::side_by_side(shapes, |number, first, Shape { features, .. }| {
                let from = if number == 0 { inputs } else { more[number - 1].1 };
                let rows = outputs.chunks_exact_mut(width.max(1));
                for (to, from) in rows.zip(from.chunks_exact(features.max(1))) {
                    to[first..][..features].copy_from_slice(from);
                }
            });
            return Ok(());
        }
        outputs.copy_from_slice(inputs);
        for (_, value) in more {
            for (to, &x) in outputs.iter_mut().zip(*value) {
                *to = match self.0 {
                    Join::Product => *to * x,
                    // Rounding twice gives the same number as rounding once, here and below.
                    Join::Difference => T::of(to.wide() - x.wide()),
                    _ => *to + x,
                };
            }
        }
        if self.0 == Join::Mean {
            let count = (1 + more.len()) as f64;
            for to in outputs {
                *to = T::of(to.wide() / count);
            }
        }
        Ok(())
    }

    fn backward(
        &mut self,
        passed: Passed<'_, T>,
        _gradients: &mut [Buffer<T>],
        stop: Ask<'_>,
    ) -> Result<()> {
        if let Join::Dot(dot) = self.0 {
            return dot.backward(passed, stop);
        }
        let Passed { shape, inputs, more, d_outputs, d_inputs, d_more, .. } = passed;
        let width = shape.features + more.iter().map(|(shape, _)| shape.features).sum::<usize>();
        let shapes = std::iter::once(shape).chain(more.iter().map(|(shape, _)| *shape));
        let mut slopes = std::iter::once(d_inputs).chain(d_more.iter_mut().map(Option::take));
        let count = (1 + more.len()) as f64;
        Self::side_by_side(shapes, |number, first, Shape { features, .. }| {
            let Some(Some(slopes)) = slopes.next() else { return };
            if self.0 == Join::Concat {
                let rows = d_outputs.chunks_exact(width.max(1));
                for (to, from) in slopes.chunks_exact_mut(features.max(1)).zip(rows) {
                    to.copy_from_slice(&from[first..][..features]);
                }
                return;
            }
            for (at, (to, &d)) in slopes.iter_mut().zip(d_outputs).enumerate() {
                *to = match self.0 {
                    Join::Product => product(more, inputs, number, at).map_or(d, |x| d * x),
                    Join::Mean => T::of(d.wide() / count),
                    Join::Difference if number > 0 => T::of(-d.wide()),
                    _ => d,
                };
            }
        });
        Ok(())
    }
}
