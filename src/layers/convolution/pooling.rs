//! Maximum pooling over frames, forward and backward.

use std::ops::Range;

use super::windows::{Axis, Frames, plan};
use crate::error::{Error, Result, expect_shape};
use crate::machine::lists::Listed;
use crate::machine::memory::{Buffer, View, ViewMut};
use crate::machine::simd::Element;
use crate::machine::threads::{self, Ask, Stop};

impl Axis {
    /// The places of a window that exist, one after the other: the first, and their number.
    fn inside(&self, window: usize) -> (usize, usize) {
        // Of the padded axis: the window's start, and the end of what exists.
        let start = window.saturating_mul(self.stride);
        let end = self.before.saturating_add(self.places);
        let first = self.before.saturating_sub(start).div_ceil(self.dilation);
        let end = end.saturating_sub(start).div_ceil(self.dilation).min(self.size);
        if first >= end {
            return (0, 0);
        }
        (start + first * self.dilation - self.before, end - first)
    }
}

/// How windows lie, and the frames that they lie over.
struct Windows<'a, T> {
    frames: Frames,
    inputs: View<'a, T>,
}

impl<'a, T: Element> Windows<'a, T> {
    /// Refuses frames of other sizes than inputs `[frame, line, columns and features]` have.
    fn new(frames: Frames, inputs: View<'a, T>) -> Result<Self> {
        for (axis, name) in [(frames.lines, "lines"), (frames.columns, "columns")] {
            let numbers = [axis.size, axis.stride, axis.dilation, axis.windows];
            if numbers.contains(&0) {
                let expected = "a positive size, stride, dilation and number of windows";
                return Err(Error::value(name, expected, numbers));
            }
        }
        if frames.features == 0 {
            return Err(Error::value("features", "a positive integer", frames.features));
        }
        let line = frames.columns.places.saturating_mul(frames.features);
        expect_shape("inputs", [inputs.shape()[0], frames.lines.places, line], inputs.shape())?;
        Ok(Self { frames, inputs })
    }

    fn line(&self) -> usize {
        self.frames.columns.windows.saturating_mul(self.frames.features)
    }

    /// Multiply-adds that take as long as `lines` lines of windows.
    fn work(&self, lines: usize) -> usize {
        let taps = self.frames.lines.size.min(self.frames.lines.places);
        let columns = self.frames.columns.size.min(self.frames.columns.places);
        let each = self.line().saturating_mul(taps).saturating_mul(columns);
        lines.saturating_mul(each).saturating_mul(4)
    }

    /// The places of each window of a line that exist: where the features of the first begin, and
    /// the number of places.
    fn columns(&self) -> Result<Vec<(usize, usize)>> {
        let Frames { columns, features, .. } = self.frames;
        let windows = (0..columns.windows).map(|window| columns.inside(window));
        windows.map(|(first, count)| (first * features, count)).listed()
    }

    /// The elements from one place of a window to the next on its line.
    fn step(&self) -> usize {
        self.frames.columns.dilation.saturating_mul(self.frames.features)
    }
}

/// The highest of each window's places that exist, NaN if any is NaN, for frames `[frame, line,
/// columns and features]`; outputs are `[frame and line of windows, 1, windows and features]`. A
/// window without places gives minus infinity.
///
/// # Errors
/// If a shape does not fit, if memory runs out, or if `stop` said so.
pub fn max_pool<T: Element>(
    frames: Frames,
    inputs: View<'_, T>,
    outputs: ViewMut<'_, T>,
    stop: Ask<'_>,
) -> Result<()> {
    let windows = Windows::new(frames, inputs)?;
    let lines = inputs.shape()[0].saturating_mul(frames.lines.windows);
    expect_shape("outputs", [lines, 1, windows.line()], outputs.shape())?;
    let (threads, parts) = plan(lines, windows.work(lines))?;
    let (columns, step) = (windows.columns()?, windows.step());
    let outputs = outputs.split(parts.iter().cloned())?;
    let tasks = parts.into_iter().zip(outputs).map(|(lines, outputs)| (lines, outputs, Ok(())));
    let mut tasks = tasks.listed()?;
    let stop = Stop::new(stop);
    threads::for_each(threads, &mut tasks, |worker, (lines, outputs, result)| {
        *result = stop.poll(worker).map(|()| {
            for (n, line) in lines.clone().enumerate() {
                let (frame, line) = (line / frames.lines.windows, line % frames.lines.windows);
                let (top, height) = frames.lines.inside(line);
                let highest = outputs.row(n, 0);
                highest.fill(T::of(f64::NEG_INFINITY));
                for y in 0..height {
                    let places = inputs.row(frame, top + y * frames.lines.dilation);
                    let each = highest.chunks_exact_mut(frames.features).zip(&columns);
                    for (highest, &(first, count)) in each {
                        for x in 0..count {
                            raise(highest, &places[first + x * step..]);
                        }
                    }
                }
            }
        });
    });
    tasks.into_iter().try_for_each(|(.., result)| result)
}

/// Each element becomes the higher of itself and the other; NaN stays.
#[inline(always)]
#[expect(clippy::eq_op, reason = "NaN alone is not equal to itself")]
fn raise<T: Element>(highest: &mut [T], others: &[T]) {
    for (highest, &x) in highest.iter_mut().zip(others) {
        let stays = *highest >= x || *highest != *highest;
        *highest = if stays { *highest } else { x };
    }
}

/// The gradient with respect to the inputs of [`max_pool`], `[frame, line, columns and features]`:
/// that with respect to an output goes to the first of its window's places that has the highest
/// value. Outputs and their gradients are `[frame, line of windows, windows and features]`.
///
/// # Errors
/// As [`max_pool`].
pub fn max_pool_backward<T: Element>(
    frames: Frames,
    inputs: View<'_, T>,
    [outputs, d_outputs]: [View<'_, T>; 2],
    d_inputs: ViewMut<'_, T>,
    stop: Ask<'_>,
) -> Result<()> {
    let windows = Windows::new(frames, inputs)?;
    let count = inputs.shape()[0];
    let expected = [count, frames.lines.windows, windows.line()];
    expect_shape("outputs", expected, outputs.shape())?;
    expect_shape("d_outputs", expected, d_outputs.shape())?;
    expect_shape("d_inputs", inputs.shape(), d_inputs.shape())?;
    let work = windows.work(count.saturating_mul(frames.lines.windows));
    let (threads, parts) = plan(count, work)?;
    let d_inputs = d_inputs.split(parts.iter().cloned())?;
    let tasks =
        parts.into_iter().zip(d_inputs).map(|(frames, d_inputs)| (frames, d_inputs, Ok(())));
    let mut tasks = tasks.listed()?;
    let stop = Stop::new(stop);
    threads::for_each(threads, &mut tasks, |worker, (numbers, d_inputs, result)| {
        *result = give_back(&windows, numbers.clone(), [outputs, d_outputs], d_inputs, || {
            stop.poll(worker)
        });
    });
    tasks.into_iter().try_for_each(|(.., result)| result)
}

/// The gradients of some frames. Windows are walked from the last: what a place receives from
/// several is then added in the order of its places in them.
fn give_back<T: Element>(
    windows: &Windows<'_, T>,
    numbers: Range<usize>,
    [outputs, d_outputs]: [View<'_, T>; 2],
    d_inputs: &mut ViewMut<'_, T>,
    poll: impl Fn() -> Result<()>,
) -> Result<()> {
    let Windows { frames, inputs } = *windows;
    let (size, step, columns) = (frames.features, windows.step(), windows.columns()?);
    let mut left = Buffer::zeroed(windows.line())?;
    for (n, frame) in numbers.enumerate() {
        poll()?;
        for y in 0..frames.lines.places {
            d_inputs.row(n, y).fill(T::ZERO);
        }
        for line in (0..frames.lines.windows).rev() {
            let (top, height) = frames.lines.inside(line);
            let highest = outputs.row(frame, line);
            left.copy_from_slice(d_outputs.row(frame, line));
            for y in (0..height).map(|y| top + y * frames.lines.dilation) {
                let (values, to) = (inputs.row(frame, y), d_inputs.row(n, y));
                let each = left.chunks_exact_mut(size).zip(highest.chunks_exact(size));
                for ((left, highest), &(first, count)) in each.zip(&columns).rev() {
                    for at in (0..count).map(|x| first + x * step) {
                        take(left, &mut to[at..], &values[at..], highest);
                    }
                }
            }
        }
    }
    Ok(())
}

/// Moves what is left to where the value is the highest. One loop over all features compiled to
/// branches for those that fill no block, and these cannot be predicted: that took ten times as
/// long for 8 features.
#[inline(always)]
fn take<T: Element>(left: &mut [T], to: &mut [T], values: &[T], highest: &[T]) {
    let size = left.len();
    let rest = (left, &mut to[..size], &values[..size], highest);
    let rest = take_blocks::<T, 16>(rest);
    let rest = take_blocks::<T, 4>(rest);
    take_blocks::<T, 1>(rest);
}

/// What is left, the gradient to add it to, the values and the highest ones, all of one length.
type Features<'a, T> = (&'a mut [T], &'a mut [T], &'a [T], &'a [T]);

/// [`take`] for blocks of `N` features; gives back those that fill none.
#[inline(always)]
fn take_blocks<T: Element, const N: usize>(
    (left, to, values, highest): Features<'_, T>,
) -> Features<'_, T> {
    let ((left, left_after), (to, to_after)) = (left.as_chunks_mut::<N>(), to.as_chunks_mut::<N>());
    let (values, values_after) = values.as_chunks::<N>();
    let (highest, highest_after) = highest.as_chunks::<N>();
    for (((left, to), value), highest) in left.iter_mut().zip(to).zip(values).zip(highest) {
        let (given, mut kept, mut sums) = (*left, *left, *to);
        for n in 0..N {
            let here = value[n] == highest[n];
            sums[n] = sums[n] + given[n].kept_if(here);
            kept[n] = given[n].kept_if(!here);
        }
        (*left, *to) = (kept, sums);
    }
    (left_after, to_after, values_after, highest_after)
}
