//! The products of a slice on its way forward: the input's for a whole chunk, and the recurrent one
//! where it cannot be part of the step.

use std::ops::Range;

use super::part::Run;
use crate::error::Result;
use crate::kernels::pack::row_stride;
use crate::kernels::product::{Product, Start};
use crate::layers::sequence::rows::{copy_masked, copy_rows, masks};
use crate::layers::sequence::step::forward::Place;
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

impl<T: Element> Run<'_, '_, T> {
    /// Prepares a chunk's slots and inputs for [`Self::multiply`].
    pub(crate) fn fill(&mut self, chunk: &Range<usize>) {
        let mut staged = std::mem::take(&mut self.staged);
        if masks(self.problem.dropout.inputs) <= 1 {
            self.stage_inputs(chunk, 0, &mut staged);
        }
        self.staged = staged;
        let weights = self.weights;
        let (width, inputs) = (weights.layout.slots.len(), weights.layout.input.1);
        if width == inputs {
            return;
        }
        let lanes = weights.lanes();
        let per_block = (self.slice.rows_in(chunk) * width * lanes).max(1);
        let at = self.slots_at(chunk);
        let slots = self.kept.slots[at..].chunks_exact_mut(per_block);
        for (block, values) in self.blocks.clone().zip(slots) {
            for row in values.chunks_exact_mut(width * lanes) {
                let own = &weights.own_bias[block * (width - inputs) * lanes..];
                row[inputs * lanes..].copy_from_slice(&own[..(width - inputs) * lanes]);
            }
        }
    }

    /// Fills the slots of some rows of a chunk with biases and the input's product; all of them at
    /// once, if each gate's inputs have a dropout mask of their own.
    pub(crate) fn multiply(&mut self, chunk: &Range<usize>, rows: Range<usize>) -> Result<()> {
        let weights = self.weights;
        let (width, lanes) = (weights.layout.slots.len(), weights.lanes());
        let inputs = weights.layout.input.1;
        let of_chunk = self.slice.rows_in(chunk);
        let (at, stride) = (self.slots_at(chunk), row_stride(weights.features));
        let mut staged = std::mem::take(&mut self.staged);
        let mut slots = std::mem::take(&mut self.kept.slots);
        let tail = self.tail();
        let whole = self.blocks.start..self.blocks.end - usize::from(tail.is_some());
        let product = |left: &[T], slots: &mut [T], slot: usize, blocks, right, start| {
            let left = left.get(rows.start * stride..).unwrap_or(&[]);
            let product = Product {
                blocks,
                offset: rows.start * width + slot,
                block_stride: of_chunk * width,
                start,
                ..Product::of((left, stride, rows.len()), right, (&mut slots[at..], width))
            };
            T::dispatch(weights.level, product);
        };
        let mut result = Ok(());
        if masks(self.problem.dropout.inputs) <= 1 {
            let blocks = whole.clone();
            let bias = Start::Bias(&weights.input_bias);
            product(&staged, &mut slots, 0, blocks, &weights.kernel, bias);
            if let Some(tail) = tail {
                let slot = whole.len() * of_chunk * width;
                product(&staged, &mut slots, slot, 0..1, &tail.kernel, Start::Bias(&tail.bias));
            }
        } else {
            let per_block = (of_chunk * width * lanes).max(1);
            let by_block = slots[at..].chunks_exact_mut(per_block);
            for (block, values) in self.blocks.clone().zip(by_block) {
                for row in values.chunks_exact_mut(width * lanes) {
                    let bias = &weights.input_bias[block * inputs * lanes..][..inputs * lanes];
                    row[..inputs * lanes].copy_from_slice(bias);
                }
            }
            result = weights.by_slot().map(|by_slot| {
                for (slot, right) in by_slot.kernel.iter().enumerate() {
                    self.stage_inputs(chunk, weights.layout.slots[slot], &mut staged);
                    product(&staged, &mut slots, slot, whole.clone(), right, Start::Output);
                }
            });
        }
        (self.staged, self.kept.slots) = (staged, slots);
        result
    }

    /// Copies the inputs of the chunk's rows, times their dropout mask, one after the other.
    fn stage_inputs(&self, chunk: &Range<usize>, gate: usize, staged: &mut [T]) {
        let mut rows = staged.chunks_exact_mut(row_stride(self.weights.features));
        let mask = self.problem.dropout.inputs;
        for step in chunk.clone() {
            let time = self.problem.time_of(step);
            for (&row, to) in self.slice.active(step).iter().zip(&mut rows) {
                let row = self.slice.batch_row(row as usize);
                let from = self.problem.inputs.row(row, time);
                copy_masked(
                    to,
                    from,
                    mask.map(|mask| mask.row(gate.min(mask.shape()[0] - 1), row)),
                );
            }
        }
    }

    /// The outputs of a step, from what its cell produced: to `operand`, by position.
    #[inline(never)]
    pub(crate) fn project(&mut self, active: &[u32], produced: &[T]) {
        let (weights, stride) = (self.weights, self.stride);
        let Some(right) = &weights.projection else { return };
        let whole = active.len() == self.slice.rows.len();
        if !whole {
            copy_rows(active, produced, stride, &mut self.gathered);
        }
        let left = if whole { produced } else { &self.gathered };
        let out = (&mut self.operand[..], stride / weights.lanes());
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
        let (weights, stride) = (self.weights, self.stride);
        let mask = self.problem.dropout.recurrent;
        let mask_row = |gate: usize, row: u32| {
            let row = self.slice.batch_row(row as usize);
            mask.map(|mask| mask.row(gate.min(mask.shape()[0] - 1), row))
        };
        let (first, count) = weights.layout.phases[phase];
        let count_masks = masks(mask);
        let single = count_masks > 1;
        if (weights.is_fused() && !single) || count == 0 {
            if count_masks == 0 {
                return Ok(Operand::Plain);
            }
            for &row in active {
                let at = row as usize * stride;
                let from = &source[at..][..weights.outputs];
                copy_masked(&mut self.operand[at..], from, mask_row(0, row));
            }
            return Ok(Operand::Masked);
        }
        let width = weights.layout.slots.len();
        let slots_at = self.slots_at(chunk);
        // Without masks and gaps the rows lie as the product wants them.
        let plain = count_masks == 0 && active.len() == self.slice.rows.len();
        for slot in first..first + if single { count } else { 1 } {
            let right = if single {
                &weights.by_slot()?.recurrent[phase][slot - first]
            } else {
                &weights.recurrent[phase]
            };
            if !plain {
                for (&row, to) in active.iter().zip(self.operand.chunks_exact_mut(stride)) {
                    let from = &source[row as usize * stride..][..right.depth()];
                    copy_masked(to, from, mask_row(weights.layout.slots[slot], row));
                }
            }
            let left = if plain { source } else { &self.operand };
            let out = (&mut self.kept.slots[slots_at..], width);
            let product = Product {
                blocks: self.blocks.clone(),
                offset: place.first * width + slot,
                block_stride: place.rows * width,
                start: Start::Output,
                ..Product::of((left, stride, active.len()), right, out)
            };
            T::dispatch(weights.level, product);
        }
        Ok(Operand::Added)
    }
}
