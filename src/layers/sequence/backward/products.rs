//! The products of a part on its way back, through the recurrent weights and the projection.

use std::ops::Range;

use super::part::PartBackward;
use crate::kernels::product::{Product, Start};
use crate::layers::sequence::part::SlicePart;
use crate::layers::sequence::rows::{MaskPass, add, add_masked, mask_passes};
use crate::machine::simd::Element;

impl<T: Element> PartBackward<'_, T> {
    /// Multiplies the gradients with respect to a phase's sums with the transposed recurrent
    /// weights: into the gradient with respect to the previous output, or to what the phase before
    /// produced.
    pub(crate) fn through_product(&mut self, step: usize, phase: usize, d_sums: &[T]) {
        let SlicePart { weights, problem, slice, .. } = self.part;
        let (layout, stride) = (&weights.layout, self.stride);
        let phase_slots @ (first, count) = layout.phases[phase];
        let active = slice.active(step);
        if count == 0 {
            return self.through_mask(active);
        }
        let right = &self.given.transposed.recurrent[phase];
        let Self { part, memory, .. } = self;
        let blocks = if part.projects { 0..right.blocks() } else { part.blocks.clone() };
        let multiply = |out: &mut [T], slots: MaskPass, start| {
            let rows = (d_sums, weights.d_sums_stride(), active.len());
            let product = Product {
                from: slots.first * weights.units,
                blocks: blocks.clone(),
                // Back and forth: the cache keeps what a step read last.
                from_end: step % 2 == 1,
                depth: ((slots.first - first) * weights.units, slots.count * weights.units),
                start,
                ..Product::of(rows, right, (out, stride / weights.lanes()))
            };
            T::dispatch(weights.level, product);
        };
        let (target, product) = match phase {
            0 => (&mut memory.d_output, &mut memory.product),
            _ => (&mut memory.d_operand, &mut memory.product),
        };
        if phase > 0 {
            for &row in active {
                target[row as usize * stride..][..stride].fill(T::ZERO);
            }
        }
        let Some(mask) = problem.dropout.recurrent else {
            let all = MaskPass { first, count, gate: 0 };
            // The first rows lie as the product needs them.
            if active.last().is_none_or(|&last| last as usize + 1 == active.len()) {
                multiply(target, all, Start::Output);
                return;
            }
            for (&row, to) in active.iter().zip(product.chunks_exact_mut(stride)) {
                to.copy_from_slice(&target[row as usize * stride..][..stride]);
            }
            multiply(product, all, Start::Output);
            for (&row, from) in active.iter().zip(product.chunks_exact(stride)) {
                target[row as usize * stride..][..stride].copy_from_slice(from);
            }
            return;
        };
        let units = part.outputs();
        for pass in mask_passes(layout.slots, phase_slots, mask.shape()[0]) {
            multiply(product, pass, Start::Zero);
            for (&row, from) in active.iter().zip(product.chunks_exact(stride)) {
                let mask = &mask.row(pass.gate, slice.batch_row(row as usize))[units.clone()];
                let to = &mut target[row as usize * stride..];
                add_masked(to, &from[..units.len()], Some(mask));
            }
        }
    }

    /// Passes the gradient with respect to a step's outputs on to what was projected.
    pub(crate) fn through_projection(&mut self, chunk: &Range<usize>, step: usize) {
        let Self { part, given, stride, memory, .. } = self;
        let SlicePart { weights, problem, slice, .. } = *part;
        let Some(right) = &given.transposed.projection else { return };
        let (stride, lanes, size) = (*stride, weights.lanes(), weights.outputs);
        let seeds = given.seeds.d_outputs.filter(|_| problem.return_sequences);
        let active = slice.active(step);
        let (blocks, place) = (weights.projected_blocks(), slice.place(chunk, step));
        let kept = &mut memory.d_projected[slice.before(chunk.start) * blocks * lanes..];
        for (position, &row) in active.iter().enumerate() {
            let d_output = &mut memory.d_output[row as usize * stride..][..size];
            let d_projected = &mut memory.previous[position * stride..][..blocks * lanes];
            d_projected[..size].copy_from_slice(d_output);
            d_output.fill(T::ZERO);
            if let Some(seeds) = seeds {
                add(d_projected, seeds.row(slice.batch_row(row as usize), step));
            }
            for (block, values) in d_projected.chunks_exact(lanes).enumerate() {
                kept[place.at(block, position, lanes)..][..lanes].copy_from_slice(values);
            }
        }
        let rows = (&memory.previous[..], stride, active.len());
        let product = Product::of(rows, right, (&mut memory.product, stride / lanes));
        T::dispatch(weights.level, Product { from_end: step % 2 == 1, ..product });
        for (&row, from) in active.iter().zip(memory.product.chunks_exact(stride)) {
            memory.d_operand[row as usize * stride..][..stride].copy_from_slice(from);
        }
    }

    /// Passes the gradient with respect to the previous output, as a cell without a product saw it,
    /// on to the output itself.
    fn through_mask(&mut self, active: &[u32]) {
        let (Some(mask), units) = (self.seen_through(), self.part.units()) else { return };
        for &row in active {
            let mask = &mask.row(0, self.part.slice.batch_row(row as usize))[units.clone()];
            let d_output = &mut self.memory.d_output[row as usize * self.stride..];
            for (d_output, &mask) in d_output.iter_mut().zip(mask) {
                *d_output = *d_output * mask;
            }
        }
    }
}
