//! Copies and sums of single rows, with dropout masks.

use std::ops::Range;

use super::weights::Weights;
use crate::machine::memory::View;
use crate::machine::simd::Element;

/// A part's states but the output, or the gradients with respect to them, as the steps have them.
pub(crate) struct States<'a, T> {
    /// The part's units.
    units: Range<usize>,
    /// Its share of the output.
    output: Range<usize>,
    /// Elements between two rows of outputs, and before the part's units in a row.
    outputs: (usize, usize),
    /// `[block of the part][row][state][LANES]`.
    others: &'a mut [T],
    rows: usize,
    count: usize,
    lanes: usize,
}

impl<'a, T: Element> States<'a, T> {
    pub(crate) fn new(
        weights: &Weights<T>,
        blocks: &Range<usize>,
        rows: usize,
        others: &'a mut [T],
        outputs: (usize, usize),
    ) -> Self {
        Self {
            units: weights.units_of(blocks),
            output: weights.outputs_of(blocks),
            outputs,
            others,
            rows,
            count: weights.layout.states,
            lanes: weights.lanes(),
        }
    }

    /// Where a block of one of the other states begins; they are numbered from 1.
    fn other(&self, state: usize, block: usize, row: usize) -> usize {
        ((block * self.rows + row) * self.count + state - 1) * self.lanes
    }

    /// Takes over the part's units of one row of one state; the output's goes to `outputs`.
    pub(crate) fn read(&mut self, state: usize, row: usize, from: &[T], outputs: &mut [T]) {
        let share = if state == 0 { &self.output } else { &self.units };
        let from = &from[share.clone()];
        if state == 0 {
            let (stride, first) = self.outputs;
            outputs[row * stride + first..][..from.len()].copy_from_slice(from);
            return;
        }
        for (block, values) in from.chunks(self.lanes).enumerate() {
            let at = self.other(state, block, row);
            self.others[at..][..values.len()].copy_from_slice(values);
        }
    }

    /// Hands out the part's units of one row of one state.
    pub(crate) fn write(&self, state: usize, row: usize, outputs: &[T], to: &mut [T]) {
        if state == 0 {
            let (stride, first) = self.outputs;
            to.copy_from_slice(&outputs[row * stride + first..][..to.len()]);
            return;
        }
        for (block, values) in to.chunks_mut(self.lanes).enumerate() {
            let at = self.other(state, block, row);
            values.copy_from_slice(&self.others[at..][..values.len()]);
        }
    }
}

/// The number of dropout masks.
pub(crate) fn masks<T>(mask: Option<View<'_, T>>) -> usize {
    mask.map_or(0, |mask| mask.shape()[0])
}

/// One product whose operand is multiplied by a dropout mask, or by none.
#[derive(Clone, Copy)]
pub(crate) struct MaskPass {
    /// The first of the slots it goes to.
    pub(crate) first: usize,
    /// How many these are.
    pub(crate) count: usize,
    /// The number of its mask.
    pub(crate) gate: usize,
}

/// The products that go to `count` slots from `first` on: one, or if there are several masks, one for
/// each gate, then one for each slot. `gates` are those of all slots.
pub(crate) fn mask_passes(
    gates: &'static [usize],
    (first, count): (usize, usize),
    masks: usize,
) -> impl Iterator<Item = MaskPass> {
    let each = masks > 1;
    let passes = if each { count } else { count.min(1) };
    (first..first + passes).map(move |slot| {
        if each {
            MaskPass { first: slot, count: 1, gate: gates[slot] }
        } else {
            MaskPass { first, count, gate: 0 }
        }
    })
}

/// `to = from · mask`, without a mask `to = from`.
pub(crate) fn copy_masked<T: Element>(to: &mut [T], from: &[T], mask: Option<&[T]>) {
    let to = &mut to[..from.len()];
    match mask {
        None => copy(to, from),
        Some(mask) => {
            for ((to, &from), &mask) in to.iter_mut().zip(from).zip(mask) {
                *to = from * mask;
            }
        }
    }
}

/// `to = from`. A few elements are copied here: a call for them would cost more.
#[inline]
fn copy<T: Element>(to: &mut [T], from: &[T]) {
    match from.len() {
        1 => copy_array::<T, 1>(to, from),
        2 => copy_array::<T, 2>(to, from),
        3 => copy_array::<T, 3>(to, from),
        4 => copy_array::<T, 4>(to, from),
        8 => copy_array::<T, 8>(to, from),
        _ => to.copy_from_slice(from),
    }
}

fn copy_array<T: Element, const N: usize>(to: &mut [T], from: &[T]) {
    if let (Some(to), Some(from)) = (to.first_chunk_mut::<N>(), from.first_chunk()) {
        *to = *from;
    }
}

/// Copies the rows called `rows`, which ascend, one after the other.
pub(crate) fn copy_rows<T: Element>(rows: &[u32], from: &[T], stride: usize, to: &mut [T]) {
    if rows.last().is_some_and(|&last| last as usize + 1 == rows.len()) {
        let together = rows.len() * stride; // the first rows
        to[..together].copy_from_slice(&from[..together]);
        return;
    }
    for (&row, to) in rows.iter().zip(to.chunks_exact_mut(stride)) {
        to.copy_from_slice(&from[row as usize * stride..][..stride]);
    }
}

/// `to += from`
pub(crate) fn add<T: Element>(to: &mut [T], from: &[T]) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = *to + from;
    }
}

/// `to += from · mask`
pub(crate) fn add_masked<T: Element>(to: &mut [T], from: &[T], mask: Option<&[T]>) {
    let Some(mask) = mask else { return add(to, from) };
    for ((to, &from), &mask) in to.iter_mut().zip(from).zip(mask) {
        *to = *to + from * mask;
    }
}

/// Writes the output of a row that does not take a step: its last one, or zeros.
pub(crate) fn repeat<T: Element>(to: &mut [T], last: &[T], zero: bool) {
    if zero {
        to.fill(T::ZERO);
    } else {
        to.copy_from_slice(&last[..to.len()]);
    }
}

/// The rows below `rows` that are not among `active`, which ascend.
pub(crate) fn skipping(active: &[u32], rows: usize) -> impl Iterator<Item = usize> {
    let mut taking = active.iter().copied().peekable();
    (0..rows).filter(move |&row| taking.next_if_eq(&(row as u32)).is_none())
}
