//! The weights' gradients where Keras has them: rows of matrices, from the panels that hold their sums.

use std::ops::Range;

use super::left::{Source, Spec};
use crate::error::Result;
use crate::layers::sequence::rows::add;
use crate::layers::sequence::weights::Weights;
use crate::machine::lists;
use crate::machine::memory::Buffer;
use crate::machine::simd::Element;

/// Elements that one thread writes at a time.
pub(super) const PIECE: usize = 1 << 13;

/// Where the gradients go, in Keras' layout.
pub(crate) struct WeightGradients<'a, T> {
    pub(crate) kernel: &'a mut [T],
    pub(crate) recurrent_kernel: &'a mut [T],
    pub(crate) bias: Option<&'a mut [T]>,
    pub(crate) projection: Option<&'a mut [T]>,
}

/// Panels of rows of one product.
pub(super) struct Share<T: Element> {
    pub(super) spec: Spec,
    pub(super) panels: Range<usize>,
    /// `[block of the part][panel][row][slot][LANES]`
    pub(super) sums: Buffer<T>,
}

/// Some rows of a gradient.
pub(super) struct Rows<'a, T> {
    of: Array,
    /// The first row's number; a bias is the one row after those of all sums with its left side.
    first: Option<usize>,
    columns: usize,
    to: &'a mut [T],
}

/// The array that rows are part of.
#[derive(Clone, Copy, PartialEq)]
enum Array {
    Kernel,
    Recurrent,
    Projection,
    Bias,
    RecurrentBias,
}

impl Array {
    /// Whether sums with this left side belong to it.
    fn is_of(self, source: Source) -> bool {
        match source {
            Source::Inputs => matches!(self, Self::Kernel | Self::Bias),
            Source::Outputs | Source::Operands => {
                matches!(self, Self::Recurrent | Self::RecurrentBias)
            }
            Source::Projected => self == Self::Projection,
        }
    }
}

/// All gradients in pieces, and the number of their elements.
///
/// # Errors
/// If memory runs out.
pub(super) fn rows_of<'a, T: Element>(
    weights: &Weights<T>,
    into: WeightGradients<'a, T>,
) -> Result<(Vec<Rows<'a, T>>, usize)> {
    let columns = weights.layout.gates * weights.units;
    let WeightGradients { kernel, recurrent_kernel, bias, projection } = into;
    let (bias, recurrent_bias) =
        bias.map_or_else(Default::default, |bias| bias.split_at_mut(columns));
    let arrays = [
        (Array::Kernel, columns, kernel),
        (Array::Recurrent, columns, recurrent_kernel),
        (Array::Projection, weights.outputs, projection.unwrap_or_default()),
        (Array::Bias, columns, bias),
        (Array::RecurrentBias, columns, recurrent_bias),
    ];
    let rows_of = |columns: usize| (PIECE / columns).max(1);
    let count = |(_, columns, array): &(_, usize, &mut [T])| {
        array.len().div_ceil(rows_of(*columns) * columns)
    };
    let mut all = lists::room(arrays.iter().map(count).sum())?;
    let mut elements = 0;
    for (of, columns, array) in arrays {
        elements += array.len();
        let rows = rows_of(columns);
        for (n, to) in array.chunks_mut(rows * columns).enumerate() {
            let is_bias = matches!(of, Array::Bias | Array::RecurrentBias);
            let first = (!is_bias).then_some(n * rows);
            lists::push(&mut all, Rows { of, first, columns, to })?;
        }
    }
    Ok((all, elements))
}

impl<T: Element> Rows<'_, T> {
    /// Writes those sums of a share that belong here, or adds them to what is there: sums of the units
    /// of some `blocks`.
    pub(super) fn take(
        &mut self,
        weights: &Weights<T>,
        (share, blocks): (&Share<T>, &Range<usize>),
        adds: bool,
    ) {
        let Share { spec, ref panels, ref sums } = *share;
        if !self.of.is_of(spec.source) {
            return;
        }
        let (tile_rows, lanes) = (weights.level.rows::<T>(), weights.lanes());
        let (held, per_block) = (panels.start * tile_rows, panels.len() * tile_rows);
        let first = self.first.unwrap_or_else(|| size(weights, spec));
        let mine = first..first + self.to.len() / self.columns;
        let rows = mine.start.max(held)..mine.end.min(held + per_block);
        let of_projection = spec.source == Source::Projected;
        let units = if of_projection { weights.outputs } else { weights.units };
        let blocks = if of_projection { 0..weights.projected_blocks() } else { blocks.clone() };
        let (slots, count) = (&weights.layout.slots[spec.slots.0..], spec.slots.1);
        for (n, block) in blocks.enumerate() {
            let filled = lanes.min(units - block * lanes);
            for row in rows.clone() {
                for slot in 0..count {
                    let at = ((n * per_block + row - held) * count + slot) * lanes;
                    let gate = if of_projection { 0 } else { slots[slot] };
                    let column = gate * units + block * lanes;
                    let to = &mut self.to[(row - mine.start) * self.columns + column..][..filled];
                    if adds {
                        add(to, &sums[at..]);
                    } else {
                        to.copy_from_slice(&sums[at..][..filled]);
                    }
                }
            }
        }
    }
}

/// Elements of a row of the source, without the one that stands for the bias.
pub(super) fn size<T: Element>(weights: &Weights<T>, spec: Spec) -> usize {
    match spec.source {
        Source::Inputs => weights.features,
        Source::Outputs => weights.outputs,
        Source::Operands | Source::Projected => weights.units,
    }
}
