//! The last steps of each row side by side: what a convolution over time reads.

use super::stage::{Idle, Outputs, Stage, positive, size};
use crate::error::Result;
use crate::machine::lists;
use crate::machine::memory::Buffer;
use crate::machine::simd::Element;

/// Windows over time: `taps` steps, `dilation` apart, the last of which is the current one.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Elements of a step.
    pub features: usize,
    /// Steps in a window.
    pub taps: usize,
    /// The distance between two of them.
    pub dilation: usize,
    /// Whether zeros stand for the steps before the first; else a row has no outputs before its first
    /// window is full.
    pub causal: bool,
}

/// A window's rows: outputs `[taps, features]`, the earliest step first.
pub(super) struct WindowStage<T: Element> {
    window: Window,
    /// Steps that are kept: those between the first of a window and its last.
    kept: usize,
    /// `[row][kept][features]`, a ring: the earliest step stands at `at`.
    ring: Buffer<T>,
    at: Vec<usize>,
    /// How many steps each row has read, at most `kept`.
    seen: Vec<usize>,
    outputs: Outputs<T>,
}

impl<T: Element> WindowStage<T> {
    pub(super) fn new(window: Window, rows: usize) -> Result<Self> {
        let Window { features, taps, dilation, .. } = window;
        positive([("features", features), ("taps", taps), ("dilation", dilation)])?;
        let kept = size([taps - 1, dilation])?;
        Ok(Self {
            window,
            kept,
            ring: Buffer::zeroed(size([rows, kept, features])?)?,
            at: lists::filled(0, rows)?,
            seen: lists::filled(0, rows)?,
            outputs: Outputs::new(rows, size([taps, features])?)?,
        })
    }

    /// Elements of a row of the ring.
    fn width(&self) -> usize {
        self.kept * self.window.features
    }
}

impl<T: Element> Stage<T> for WindowStage<T> {
    fn input_size(&self) -> usize {
        self.window.features
    }

    fn output_size(&self) -> usize {
        self.outputs.units
    }

    fn advance(&mut self, inputs: &[T], stride: usize, idle: &mut Idle) {
        let Window { features, taps, dilation, causal } = self.window;
        let (kept, width) = (self.kept, self.width());
        // A convolution reads padding too.
        idle.unmask();
        for (row, to) in self.outputs.rows_mut().enumerate() {
            if idle.has(row) {
                continue;
            }
            let step = &inputs[row * stride..][..features];
            let (earlier, last) = to[..taps * features].split_at_mut((taps - 1) * features);
            last.copy_from_slice(step);
            if kept == 0 {
                continue;
            }
            let ring = &mut self.ring[row * width..][..width];
            let at = &mut self.at[row];
            let mut place = *at;
            for tap in earlier.chunks_exact_mut(features) {
                tap.copy_from_slice(&ring[place * features..][..features]);
                place = (place + dilation) % kept;
            }
            ring[*at * features..][..features].copy_from_slice(step);
            *at = (*at + 1) % kept;
            let full = self.seen[row] == kept;
            self.seen[row] += usize::from(!full);
            if !full && !causal {
                idle.wait(row);
            }
        }
    }

    fn outputs(&self) -> (&[T], usize) {
        self.outputs.get()
    }

    /// The earlier steps, the earliest first; without padding also how many of them are real.
    fn states(&self) -> Result<Vec<usize>> {
        if self.kept == 0 {
            return Ok(Vec::new());
        }
        let mut sizes = lists::filled(self.width(), 1)?;
        if !self.window.causal {
            lists::push(&mut sizes, 1)?;
        }
        Ok(sizes)
    }

    fn read_state(&mut self, state: usize, row: usize, to: &mut [T]) {
        if state > 0 {
            to[0] = T::of(self.seen[row] as f64);
            return;
        }
        let width = self.width();
        let ring = &self.ring[row * width..][..width];
        let (later, earlier) = ring.split_at(self.at[row] * self.window.features);
        to[..earlier.len()].copy_from_slice(earlier);
        to[earlier.len()..].copy_from_slice(later);
    }

    fn write_state(&mut self, state: usize, row: usize, from: &[T]) {
        if state > 0 {
            let seen = from[0].wide();
            self.seen[row] = (0..self.kept).take_while(|&step| (step as f64) < seen).count();
            return;
        }
        let width = self.width();
        self.ring[row * width..][..width].copy_from_slice(from);
        self.at[row] = 0;
    }

    fn reset(&mut self, row: usize) {
        let width = self.width();
        self.ring[row * width..][..width].fill(T::ZERO);
        (self.at[row], self.seen[row]) = (0, 0);
    }
}
