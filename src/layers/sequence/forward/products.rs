//! The products of a slice on its way forward: the input's for a whole chunk, and the recurrent one
//! where it cannot be part of the step.

use std::ops::Range;

use super::part::PartForward;
use crate::error::Result;
use crate::kernels::pack::row_stride;
use crate::kernels::product::{Product, Start};
use crate::layers::sequence::part::SlicePart;
use crate::layers::sequence::plan::Place;
use crate::layers::sequence::rows::{copy_masked, copy_rows, mask_passes, masks};
use crate::machine::simd::Element;

/// What the recurrent weights multiply in a phase.
pub(crate) enum Operand {
    /// The previous output, or what the phase before produced.
    Plain,
    /// That times a dropout mask.
    Masked,
    /// Nothing: the product is in the slots.
    Added,
}

impl Operand {
    pub(crate) fn choose<'a, T>(&self, plain: &'a [T], masked: &'a [T]) -> Option<&'a [T]> {
        match self {
            Self::Plain => Some(plain),
            Self::Masked => Some(masked),
            Self::Added => None,
        }
    }
}

impl<T: Element> PartForward<'_, T> {
    /// Prepares a chunk's slots and inputs for [`Self::multiply`].
    pub(crate) fn fill(&mut self, chunk: &Range<usize>) {
        let at = self.slots_at(chunk);
        let Self { part, memory, .. } = self;
        if masks(part.problem.dropout.inputs) <= 1 {
            stage_inputs(part, chunk, 0, &mut memory.staged);
            let (stride, rows) = (row_stride(part.weights.features), part.slice.rows_in(chunk));
            part.weights.narrow(&mut memory.staged, stride, rows, part.weights.features);
        }
        let weights = part.weights;
        let (width, inputs) = (weights.layout.slots.len(), weights.layout.input.1);
        if width == inputs {
            return;
        }
        let (lanes, others) = (weights.lanes(), (width - inputs) * weights.lanes());
        let per_block = (part.slice.rows_in(chunk) * width * lanes).max(1);
        let slots = memory.kept.slots[at..].chunks_exact_mut(per_block);
        for (block, values) in part.blocks.clone().zip(slots) {
            for row in values.chunks_exact_mut(width * lanes) {
                let bias = &weights.recurrent_bias[block * others..];
                row[inputs * lanes..].copy_from_slice(&bias[..others]);
            }
        }
    }

    /// Fills the slots of some rows of a chunk with biases and the input's product; all of them at
    /// once, if each gate's inputs have a dropout mask of their own.
    pub(crate) fn multiply(&mut self, chunk: &Range<usize>, rows: Range<usize>) -> Result<()> {
        let (at, tail) = (self.slots_at(chunk), self.tail());
        let Self { part, memory, .. } = self;
        let weights = part.weights;
        let (width, lanes) = (weights.layout.slots.len(), weights.lanes());
        let of_chunk = part.slice.rows_in(chunk);
        let stride = row_stride(weights.features);
        let whole = part.blocks.start..part.blocks.end - usize::from(tail.is_some());
        let product = |left: &[T], slots: &mut [T], slot: usize, blocks, right, start| {
            let left = left.get(rows.start * stride..).unwrap_or(&[]);
            let product = Product {
                blocks,
                offset: rows.start * width + slot,
                block_stride: of_chunk * width,
                start,
                ..Product::of((left, stride, rows.len()), right, (slots, width))
            };
            T::dispatch(weights.level, product);
        };
        let (staged, slots) = (&mut memory.staged, &mut memory.kept.slots[at..]);
        let count_masks = masks(part.problem.dropout.inputs);
        if count_masks <= 1 {
            let blocks = whole.clone();
            product(staged, slots, 0, blocks, &weights.kernel, Start::Bias(&weights.input_bias));
            if let Some(tail) = tail {
                let slot = whole.len() * of_chunk * width;
                product(staged, slots, slot, 0..1, &tail.kernel, Start::Bias(&tail.bias));
            }
            return Ok(());
        }
        let inputs = weights.layout.input.1 * lanes;
        let by_block = slots.chunks_exact_mut((of_chunk * width * lanes).max(1));
        for (block, values) in part.blocks.clone().zip(by_block) {
            for row in values.chunks_exact_mut(width * lanes) {
                row[..inputs].copy_from_slice(&weights.input_bias[block * inputs..][..inputs]);
            }
        }
        let by_slot = &weights.by_slot()?.kernel;
        for (pass, right) in
            mask_passes(weights.layout.slots, weights.layout.input, count_masks).zip(by_slot)
        {
            stage_inputs(part, chunk, pass.gate, staged);
            product(staged, slots, pass.first, whole.clone(), right, Start::Output);
        }
        Ok(())
    }

    /// The outputs of a step, from what its cell produced: to `operand`, by position.
    #[inline(never)]
    pub(crate) fn project(&mut self, active: &[u32], produced: &[T]) {
        let Self { part, stride, memory, .. } = self;
        let (weights, stride) = (part.weights, *stride);
        let Some(right) = &weights.projection else { return };
        let whole = active.len() == part.rows();
        if !whole {
            copy_rows(active, produced, stride, &mut memory.gathered);
        }
        let left = if whole { produced } else { &memory.gathered };
        let out = (&mut memory.operand[..], stride / weights.lanes());
        T::dispatch(weights.level, Product::of((left, stride, active.len()), right, out));
    }

    /// Makes what the recurrent weights multiply, or adds its products to the slots where they are
    /// not part of the step.
    pub(crate) fn prepare_operand(
        &mut self,
        phase: usize,
        active: &[u32],
        source: &[T],
        chunk: &Range<usize>,
        place: Place,
    ) -> Result<Operand> {
        let SlicePart { weights, problem, slice, .. } = self.part;
        let (stride, mask) = (self.stride, problem.dropout.recurrent);
        let mask_row =
            |gate: usize, row: u32| mask.map(|mask| mask.row(gate, slice.batch_row(row as usize)));
        let phase_slots = weights.layout.phases[phase];
        let count_masks = masks(mask);
        if (weights.is_fused() && count_masks <= 1) || phase_slots.1 == 0 {
            if count_masks == 0 {
                return Ok(Operand::Plain);
            }
            for &row in active {
                let at = row as usize * stride;
                let from = &source[at..][..weights.outputs];
                copy_masked(&mut self.memory.operand[at..], from, mask_row(0, row));
            }
            return Ok(Operand::Masked);
        }
        let (slots_at, width) = (self.slots_at(chunk), weights.layout.slots.len());
        let Self { part, memory, .. } = self;
        // Without masks and gaps the rows lie as the product needs them, if it needs no integers.
        let plain = count_masks == 0 && active.len() == part.rows() && !weights.is_int8();
        let from_end = weights.is_int8() && memory.steps_done % 2 == 1;
        for pass in mask_passes(weights.layout.slots, phase_slots, count_masks) {
            let right = match count_masks {
                0 | 1 => &weights.recurrent[phase],
                _ => &weights.by_slot()?.recurrent[phase][pass.first - phase_slots.0],
            };
            if !plain {
                for (&row, to) in active.iter().zip(memory.operand.chunks_exact_mut(stride)) {
                    let from = &source[row as usize * stride..][..right.depth()];
                    copy_masked(to, from, mask_row(pass.gate, row));
                }
                weights.narrow(&mut memory.operand, stride, active.len(), right.depth());
            }
            let left = if plain { source } else { &memory.operand };
            let out = (&mut memory.kept.slots[slots_at..], width);
            let product = Product {
                blocks: part.blocks.clone(),
                from_end,
                offset: place.first * width + pass.first,
                block_stride: place.rows * width,
                start: Start::Output,
                ..Product::of((left, stride, active.len()), right, out)
            };
            T::dispatch(weights.level, product);
        }
        Ok(Operand::Added)
    }
}

/// Copies the inputs of the chunk's rows, times the dropout mask of a gate, one after the other.
fn stage_inputs<T: Element>(
    part: &SlicePart<'_, T>,
    chunk: &Range<usize>,
    gate: usize,
    staged: &mut [T],
) {
    let mut rows = staged.chunks_exact_mut(row_stride(part.weights.features));
    let mask = part.problem.dropout.inputs;
    for step in chunk.clone() {
        let time = part.problem.time_of(step);
        for (&row, to) in part.slice.active(step).iter().zip(&mut rows) {
            let row = part.slice.batch_row(row as usize);
            copy_masked(
                to,
                part.problem.inputs.row(row, time),
                mask.map(|mask| mask.row(gate, row)),
            );
        }
    }
}
