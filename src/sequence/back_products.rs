//! The products of a slice on its way back: through the recurrent weights, and to the inputs.

use std::ops::Range;

use super::backward::Run;
use super::rows::{add_masked, copy_masked, masks};
use crate::kernels::pack::row_stride;
use crate::kernels::tile::{Product, Start};
use crate::simd::Element;

impl<T: Element> Run<'_, T> {
    /// Multiplies the gradients by a phase's sums with the transposed recurrent weights: into the
    /// gradient by the previous output, or by what the phase before produced.
    pub(super) fn through_product(&mut self, phase: usize, active: &[u32], base: usize) {
        let (weights, stride) = (self.weights, self.stride);
        let padded = weights.padded_units();
        let (first, count) = weights.layout.phases[phase];
        let right = &self.transposed.recurrent[phase];
        let d_sums_stride = self.d_sums_stride();
        let left = &self.d_sums[base * d_sums_stride..];
        let multiply = |out: &mut [T], slots: Range<usize>, start| {
            let product = Product {
                left,
                stride: d_sums_stride,
                rows: active.len(),
                from: (first + slots.start) * padded,
                right,
                depth: (slots.start * padded, slots.len() * padded),
                out,
                offset: 0,
                block_stride: 1,
                row_stride: stride / weights.lanes(),
                start,
            };
            T::dispatch(weights.level, product);
        };
        let target = if phase == 0 { &mut self.d_output } else { &mut self.d_operand };
        if phase > 0 {
            for &row in active {
                target[row as usize * stride..][..stride].fill(T::ZERO);
            }
        }
        let Some(mask) = self.history.problem.dropout.recurrent else {
            if active.len() == self.history.slice.rows.len() {
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
                let mask = mask.row(gate, self.history.slice.rows.start + row as usize);
                add_masked(
                    &mut target[row as usize * stride..],
                    &from[..weights.units],
                    Some(mask),
                );
            }
        }
    }

    /// Computes the gradients by the gathered rows' inputs, if they are wanted.
    pub(super) fn write_d_inputs(&mut self) {
        let Some(d_inputs) = &mut self.d_inputs else {
            self.gathered.clear();
            return;
        };
        let (weights, rows) = (self.weights, self.gathered.len());
        if rows == 0 {
            return;
        }
        let stride = row_stride(weights.features);
        let padded = weights.padded_units();
        let mask = self.history.problem.dropout.inputs;
        let single = masks(mask) > 1;
        let (first, count) = weights.layout.input;
        let d_sums_stride = row_stride(weights.layout.slots.len() * padded);
        for slot in 0..if single { count } else { 1 } {
            let depth = if single { (slot * padded, padded) } else { (0, count * padded) };
            let product = Product {
                left: &self.d_sums,
                stride: d_sums_stride,
                rows,
                from: first * padded + depth.0,
                right: &self.transposed.kernel,
                depth,
                out: &mut self.d_staged,
                offset: 0,
                block_stride: 1,
                row_stride: stride / weights.lanes(),
                start: Start::Zero,
            };
            T::dispatch(weights.level, product);
            let gate = if single { weights.layout.slots[first + slot] } else { 0 };
            for (&(row, time), from) in self.gathered.iter().zip(self.d_staged.chunks_exact(stride))
            {
                let of_row = mask.map(|mask| mask.row(gate, self.history.slice.rows.start + row));
                let to = d_inputs.row(row, time);
                if slot == 0 {
                    copy_masked(to, &from[..weights.features], of_row);
                } else {
                    add_masked(to, &from[..weights.features], of_row);
                }
            }
        }
        self.gathered.clear();
    }
}
