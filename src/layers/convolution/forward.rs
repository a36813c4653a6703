//! Convolutions of whole frames.

use super::windows::{Frames, Gathered, copy_pieces, plan};
use crate::error::{Result, expect_shape};
use crate::kernels::pack::row_stride;
use crate::layers::dense::Weights;
use crate::machine::lists::Listed;
use crate::machine::memory::{Buffer, View, ViewMut};
use crate::machine::simd::Element;
use crate::machine::threads::{self, Ask, Stop};

/// Computes `f(windows · kernel + bias)` for frames `[frame, line, columns and features]`; outputs are
/// `[frame and line of windows, 1, windows and units]`.
///
/// # Errors
/// If a shape does not fit, if memory runs out, or if `stop` said so.
pub fn forward<T: Element>(
    weights: &Weights<T>,
    frames: Frames,
    inputs: View<'_, T>,
    outputs: ViewMut<'_, T>,
    stop: Ask<'_>,
) -> Result<()> {
    frames.check(weights)?;
    let count = inputs.shape()[0];
    expect_shape("inputs", [count, frames.lines.places, frames.line()], inputs.shape())?;
    let (windows, units) = (frames.columns.windows, weights.units());
    let lines = count.saturating_mul(frames.lines.windows);
    expect_shape("outputs", [lines, 1, windows.saturating_mul(units)], outputs.shape())?;
    let (threads, parts) = plan(lines, frames.work(weights, lines))?;
    let outputs = outputs.split(parts.iter().cloned())?;
    let tasks = parts.into_iter().zip(outputs).map(|(lines, outputs)| (lines, outputs, Ok(())));
    let mut tasks = tasks.listed()?;
    let stop = Stop::new(stop);
    threads::for_each(threads, &mut tasks, |worker, (lines, outputs, result)| {
        *result = stop.poll(worker).and_then(|()| {
            let stride = row_stride(units);
            let mut gathered = Gathered::new(frames)?;
            let mut out = Buffer::unfilled(windows.saturating_mul(stride))?;
            for (n, line) in lines.clone().enumerate() {
                gathered.gather(inputs, line / frames.lines.windows, line % frames.lines.windows);
                gathered.multiply(weights, &mut out, stride);
                copy_pieces((&out, stride), (outputs.row(n, 0), units), units);
            }
            Ok(())
        });
    });
    tasks.into_iter().try_for_each(|(.., result)| result)
}
