//! Products of two values in a graph.

use super::node::{Passed, Passing, Shape};
use crate::error::{Error, Result};
use crate::layers::products::{Matrix, multiply};
use crate::machine::simd::Element;
use crate::machine::threads::Ask;

/// Products of two values, summed over the steps or the features of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dot {
    /// Whether the sum is over the steps of each value, and not over its features.
    pub over_steps: [bool; 2],
    /// Whether the outputs have one step only.
    pub flat: bool,
}

impl Dot {
    /// The operands: what is left of the first value has the rows, of the second the columns.
    fn operands<'a, T: Element>(
        self,
        (shape, first): (Shape, &'a [T]),
        more: &[(Shape, &'a [T])],
    ) -> Result<[Matrix<'a, T>; 2]> {
        let &[(other, second)] = more else { return Err(two_values(1 + more.len())) };
        let [over_first, over_second] = self.over_steps;
        let matrix =
            |of, shape: Shape, turned| Matrix::new(of, [shape.time, shape.features], turned);
        Ok([matrix(first, shape, over_first), matrix(second, other, !over_second)])
    }

    /// The shape of the outputs.
    pub(super) fn joined(self, inputs: &[Shape]) -> Result<Shape> {
        let &[first, second] = inputs else { return Err(two_values(inputs.len())) };
        let axes = |shape: Shape, over_steps: bool| {
            let Shape { time, features, .. } = shape;
            if over_steps { (features, time) } else { (time, features) }
        };
        let (rows, depth) = axes(first, self.over_steps[0]);
        let (columns, inner) = axes(second, self.over_steps[1]);
        if (first.rows, depth) != (second.rows, inner) {
            return Err(Error::shape("inputs", first.axes(), second.axes()));
        }
        let made = Shape { time: rows, features: columns, ..first };
        let of_row = Shape { rows: 1, ..made }.elements()?;
        Ok(if self.flat { Shape { time: 1, features: of_row, ..made } } else { made })
    }

    /// Writes the products.
    pub(super) fn forward<T: Element>(
        self,
        passing: &Passing<'_, T>,
        outputs: &mut [T],
        stop: Ask<'_>,
    ) -> Result<()> {
        let Passing { shape, inputs, more, .. } = *passing;
        let [left, right] = self.operands((shape, inputs), more)?;
        multiply(shape.rows, left, right, outputs, stop)
    }

    /// Writes the gradients with respect to both values.
    pub(super) fn backward<T: Element>(self, passed: Passed<'_, T>, stop: Ask<'_>) -> Result<()> {
        let Passed { shape, inputs, more, d_outputs, d_inputs, d_more, .. } = passed;
        let [left, right] = self.operands((shape, inputs), more)?;
        let shape_of_product = [left.used()[0], right.used()[1]];
        let slope = Matrix::new(d_outputs, shape_of_product, false);
        let wanted = [
            (d_inputs, slope, right.transposed(), left.turned),
            (d_more.first_mut().and_then(Option::take), left.transposed(), slope, right.turned),
        ];
        for (to, one, other, turned) in wanted {
            let Some(to) = to else { continue };
            let transposed = (other.transposed(), one.transposed());
            let (one, other) = if turned { transposed } else { (one, other) };
            multiply(shape.rows, one, other, to, stop)?;
        }
        Ok(())
    }
}

fn two_values(received: usize) -> Error {
    Error::value("inputs", "two arrays", received)
}
