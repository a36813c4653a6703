//! The gradient of a part's features of the inputs: where a step has few rows, they wait for those
//! of other steps.

use std::ops::Range;

use crate::error::Result;
use crate::kernels::pack::{Packed, row_stride};
use crate::kernels::product::Product;
use crate::layers::sequence::part::SlicePart;
use crate::layers::sequence::rows::{add_masked, copy_masked, mask_passes, masks, skipping};
use crate::machine::lists;
use crate::machine::memory::{Buffer, ViewMut};
use crate::machine::simd::Element;

/// Rows to gather before their inputs' gradients are computed: enough for full tiles.
const GROUP: usize = 12;
/// The same for weights that do not stay in the second-level cache beside the recurrent ones, so that
/// they are read seldom.
const LARGE_GROUP: usize = 48;
/// With this many rows in a step, copying them costs as much as reading the weights less often
/// saves.
const COPIED_BELOW: usize = 32;

/// A part's features of the gradient, and the blocks that these are.
pub(crate) type Features<'a, T> = (ViewMut<'a, T>, Range<usize>);

/// Where the gradient goes, and what it is computed from.
pub(crate) struct InputGradient<'a, T: Element> {
    /// The input's weights, transposed.
    kernel: &'a Packed<T>,
    /// The part's features of the gradient.
    view: ViewMut<'a, T>,
    /// The blocks of features that these are.
    blocks: Range<usize>,
    /// The fewest rows that are computed together.
    least: usize,
    /// Rows that wait, and their times.
    waiting: Vec<(usize, usize)>,
    /// The gradients with respect to their sums.
    d_sums: Buffer<T>,
    /// A product's result, by position.
    product: Buffer<T>,
}

impl<'a, T: Element> InputGradient<'a, T> {
    /// For slices of `rows` rows, whose gradients with respect to the sums are `d_sums_stride`
    /// elements apart.
    pub(crate) fn new(
        kernel: &'a Packed<T>,
        (view, blocks): Features<'a, T>,
        (rows, d_sums_stride): (usize, usize),
        lanes: usize,
    ) -> Result<Self> {
        let seldom = kernel.is_large() && rows < COPIED_BELOW;
        let least = if seldom { LARGE_GROUP } else { GROUP };
        let group = (least - 1 + rows).min(2 * least);
        let most = group.max(rows);
        Ok(Self {
            kernel,
            view,
            least,
            waiting: lists::room(most)?,
            d_sums: Buffer::unfilled(group * d_sums_stride)?,
            product: Buffer::unfilled(most * row_stride(blocks.len() * lanes))?,
            blocks,
        })
    }

    /// The inputs of rows that do not take a step get none.
    pub(crate) fn skip(&mut self, part: &SlicePart<'_, T>, step: usize) {
        let time = part.problem.time_of(step);
        for row in skipping(part.slice.active(step), part.rows()) {
            self.view.row(row, time).fill(T::ZERO);
        }
    }

    /// Passes a step's gradients with respect to its sums on to the inputs: at once if they fill
    /// tiles, else together with those of other steps.
    pub(crate) fn add(&mut self, part: &SlicePart<'_, T>, step: usize, d_sums: &[T]) {
        let (active, time) = (part.slice.active(step), part.problem.time_of(step));
        let rows = active.iter().map(|&row| (row as usize, time));
        if active.len() >= self.least {
            self.write(part);
            // Bounded: `new` has made room for a group and one more step.
            self.waiting.extend(rows);
            self.multiply(part, d_sums);
            return;
        }
        let stride = part.weights.d_sums_stride();
        let to = &mut self.d_sums[self.waiting.len() * stride..];
        to[..active.len() * stride].copy_from_slice(&d_sums[..active.len() * stride]);
        // Bounded: `new` has made room for a group and one more step.
        self.waiting.extend(rows);
        if self.waiting.len() >= self.least {
            self.write(part);
        }
    }

    /// Computes the gradients with respect to the inputs of the rows that wait.
    pub(crate) fn write(&mut self, part: &SlicePart<'_, T>) {
        if !self.waiting.is_empty() {
            let d_sums = std::mem::take(&mut self.d_sums);
            self.multiply(part, &d_sums);
            self.d_sums = d_sums;
        }
    }

    fn multiply(&mut self, part: &SlicePart<'_, T>, d_sums: &[T]) {
        let SlicePart { weights, slice, .. } = *part;
        let mask = part.problem.dropout.inputs;
        let stride = row_stride(self.blocks.len() * weights.lanes());
        let features = self.blocks.start * weights.lanes()..;
        let (first, _) = weights.layout.input;
        for pass in mask_passes(weights.layout.slots, weights.layout.input, masks(mask)) {
            let rows = (d_sums, weights.d_sums_stride(), self.waiting.len());
            let out = (&mut self.product[..], stride / weights.lanes());
            let product = Product {
                from: pass.first * weights.units,
                blocks: self.blocks.clone(),
                depth: ((pass.first - first) * weights.units, pass.count * weights.units),
                ..Product::of(rows, self.kernel, out)
            };
            T::dispatch(weights.level, product);
            for (&(row, time), from) in self.waiting.iter().zip(self.product.chunks_exact(stride)) {
                let mask_row =
                    mask.map(|mask| &mask.row(pass.gate, slice.batch_row(row))[features.clone()]);
                let to = self.view.row(row, time);
                let from = &from[..to.len()];
                if pass.first == first {
                    copy_masked(to, from, mask_row);
                } else {
                    add_masked(to, from, mask_row);
                }
            }
        }
        self.waiting.clear();
    }
}
