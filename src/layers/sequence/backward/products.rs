//! The products of a part on its way back: through the recurrent weights, and to the inputs.

use std::ops::Range;

use super::part::Run;
use crate::kernels::pack::row_stride;
use crate::kernels::product::{Product, Start};
use crate::layers::sequence::rows::{add, add_masked, copy_masked, masks};
use crate::machine::simd::Element;

impl<T: Element> Run<'_, T> {
    /// Multiplies the gradients by a phase's sums with the transposed recurrent weights: into the
    /// gradient by the previous output, or by what the phase before produced.
    pub(crate) fn through_product(
        &mut self,
        (step, phase): (usize, usize),
        active: &[u32],
        d_sums: &[T],
    ) {
        let (weights, stride) = (self.weights, self.stride);
        let (first, count) = weights.layout.phases[phase];
        if count == 0 {
            return self.through_mask(active);
        }
        let right = &self.transposed.recurrent[phase];
        let blocks = match weights.projection {
            Some(_) => 0..right.blocks(),
            None => self.blocks.clone(),
        };
        let multiply = |out: &mut [T], slots: Range<usize>, start| {
            let rows = (d_sums, weights.d_sums_stride(), active.len());
            let product = Product {
                from: (first + slots.start) * weights.units,
                blocks: blocks.clone(),
                // Back and forth: the cache keeps what a step read last.
                from_end: step % 2 == 1,
                depth: (slots.start * weights.units, slots.len() * weights.units),
                start,
                ..Product::of(rows, right, (out, stride / weights.lanes()))
            };
            T::dispatch(weights.level, product);
        };
        let units = self.outputs();
        let target = if phase == 0 { &mut self.d_output } else { &mut self.d_operand };
        if phase > 0 {
            for &row in active {
                target[row as usize * stride..][..stride].fill(T::ZERO);
            }
        }
        let slice = self.history.slice;
        let Some(mask) = self.history.problem.dropout.recurrent else {
            // The first rows lie as the product wants them.
            if active.last().is_none_or(|&last| last as usize + 1 == active.len()) {
                multiply(target, 0..count, Start::Output);
                return;
            }
            for (&row, to) in active.iter().zip(self.product.chunks_exact_mut(stride)) {
                to.copy_from_slice(&target[row as usize * stride..][..stride]);
            }
            multiply(&mut self.product, 0..count, Start::Output);
            for (&row, from) in active.iter().zip(self.product.chunks_exact(stride)) {
                target[row as usize * stride..][..stride].copy_from_slice(from);
            }
            return;
        };
        let single = mask.shape()[0] > 1;
        for slot in 0..if single { count } else { 1 } {
            let slots = if single { slot..slot + 1 } else { 0..count };
            multiply(&mut self.product, slots, Start::Zero);
            let gate = if single { weights.layout.slots[first + slot] } else { 0 };
            for (&row, from) in active.iter().zip(self.product.chunks_exact(stride)) {
                let mask = &mask.row(gate, slice.batch_row(row as usize))[units.clone()];
                let to = &mut target[row as usize * stride..];
                add_masked(to, &from[..units.len()], Some(mask));
            }
        }
    }

    /// Takes the gradient by a step's outputs on to what was projected to them.
    pub(crate) fn through_projection(&mut self, chunk: &Range<usize>, step: usize) {
        let Some(right) = &self.transposed.projection else { return };
        let (weights, stride, lanes) = (self.weights, self.stride, self.weights.lanes());
        let (slice, size) = (self.history.slice, weights.outputs);
        let seeds = self.seeds.d_outputs.filter(|_| self.history.problem.return_sequences);
        let active = slice.active(step);
        let blocks = size.div_ceil(lanes);
        let (before, rows) = (slice.before(chunk.start), slice.rows_in(chunk));
        let first = slice.before(step) - before;
        let kept = &mut self.d_projected[before * blocks * lanes..];
        for (position, &row) in active.iter().enumerate() {
            let d_output = &mut self.d_output[row as usize * stride..][..size];
            let d_projected = &mut self.previous[position * stride..][..blocks * lanes];
            d_projected[..size].copy_from_slice(d_output);
            d_output.fill(T::ZERO);
            if let Some(seeds) = seeds {
                add(d_projected, seeds.row(slice.batch_row(row as usize), step));
            }
            for (block, values) in d_projected.chunks_exact(lanes).enumerate() {
                let at = (block * rows + first + position) * lanes;
                kept[at..][..lanes].copy_from_slice(values);
            }
        }
        let rows = (&self.previous[..], stride, active.len());
        let product = Product::of(rows, right, (&mut self.product, stride / lanes));
        T::dispatch(weights.level, Product { from_end: step % 2 == 1, ..product });
        for (&row, from) in active.iter().zip(self.product.chunks_exact(stride)) {
            self.d_operand[row as usize * stride..][..stride].copy_from_slice(from);
        }
    }

    /// Takes the gradient by the previous output as a cell without a product saw it on to the output
    /// itself.
    fn through_mask(&mut self, active: &[u32]) {
        let (Some(mask), units) = (self.seen_through(), self.units()) else { return };
        for &row in active {
            let mask = &mask.row(0, self.history.slice.batch_row(row as usize))[units.clone()];
            let d_output = &mut self.d_output[row as usize * self.stride..];
            for (d_output, &mask) in d_output.iter_mut().zip(mask) {
                *d_output = *d_output * mask;
            }
        }
    }

    /// Takes a step's gradients by its sums on to the inputs: at once if they fill tiles, else
    /// together with those of other steps.
    pub(crate) fn pass_to_inputs(&mut self, step: usize, active: &[u32], d_sums: &[T]) {
        let time = self.history.problem.time_of(step);
        let rows = active.iter().map(|&row| (row as usize, time));
        if active.len() >= self.least {
            self.write_d_inputs();
            // Bounded: `Run::new` has made room for a group and a step more.
            self.gathered.extend(rows);
            self.multiply_inputs(d_sums);
            return;
        }
        let stride = self.weights.d_sums_stride();
        let to = &mut self.d_sums[self.gathered.len() * stride..];
        to[..active.len() * stride].copy_from_slice(&d_sums[..active.len() * stride]);
        // Bounded: `Run::new` has made room for a group and a step more.
        self.gathered.extend(rows);
        if self.gathered.len() >= self.least {
            self.write_d_inputs();
        }
    }

    /// Computes the gradients by the gathered rows' inputs.
    pub(crate) fn write_d_inputs(&mut self) {
        if !self.gathered.is_empty() {
            let d_sums = std::mem::take(&mut self.d_sums);
            self.multiply_inputs(&d_sums);
            self.d_sums = d_sums;
        }
    }

    fn multiply_inputs(&mut self, d_sums: &[T]) {
        let Some(d_inputs) = &mut self.views.d_inputs else { return };
        let (weights, columns) = (self.weights, self.views.columns.clone());
        let stride = row_stride(columns.len() * weights.lanes());
        let mask = self.history.problem.dropout.inputs;
        let single = masks(mask) > 1;
        let (first, count) = weights.layout.input;
        let features = columns.start * weights.lanes()..;
        for slot in 0..if single { count } else { 1 } {
            let (slot_before, slots) = if single { (slot, 1) } else { (0, count) };
            let rows = (d_sums, weights.d_sums_stride(), self.gathered.len());
            let out = (&mut self.d_staged[..], stride / weights.lanes());
            let product = Product {
                from: (first + slot_before) * weights.units,
                blocks: columns.clone(),
                depth: (slot_before * weights.units, slots * weights.units),
                ..Product::of(rows, &self.transposed.kernel, out)
            };
            T::dispatch(weights.level, product);
            let gate = if single { weights.layout.slots[first + slot] } else { 0 };
            for (&(row, time), from) in self.gathered.iter().zip(self.d_staged.chunks_exact(stride))
            {
                let row_mask = mask.map(|mask| {
                    &mask.row(gate, self.history.slice.batch_row(row))[features.clone()]
                });
                let to = d_inputs.row(row, time);
                let from = &from[..to.len()];
                if slot == 0 {
                    copy_masked(to, from, row_mask);
                } else {
                    add_masked(to, from, row_mask);
                }
            }
        }
        self.gathered.clear();
    }
}
