//! Windows over the places of frames.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::layers::dense::Weights;
use crate::machine::lists::{Listed, share};
use crate::machine::memory::{Buffer, View};
use crate::machine::simd::Element;
use crate::machine::threads;

/// How windows lie over one axis of places. Places outside of it are zeros.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    /// Number of places.
    pub places: usize,
    /// Places of a window.
    pub size: usize,
    /// Places from the start of a window to that of the next.
    pub stride: usize,
    /// Places from one place of a window to its next.
    pub dilation: usize,
    /// Places before the first that the first window covers.
    pub before: usize,
    /// Number of windows.
    pub windows: usize,
}

/// How windows lie over frames `[line, column, feature]`; along a line their places are neighbours.
#[derive(Clone, Copy, Debug)]
pub struct Frames {
    /// The axis across lines.
    pub lines: Axis,
    /// The axis along a line.
    pub columns: Axis,
    /// Features of a place.
    pub features: usize,
}

impl Frames {
    /// Elements of a window.
    fn window(&self) -> Option<usize> {
        self.lines.size.checked_mul(self.columns.size)?.checked_mul(self.features)
    }

    /// Places of a line that windows reach, those outside included.
    fn reach(&self) -> Option<usize> {
        let last = self.columns.windows.checked_sub(1)?.checked_mul(self.columns.stride)?;
        last.checked_add(self.columns.size)
    }

    /// Elements of a place of a gathered line: it has one of each line of a window.
    fn across(&self) -> usize {
        self.lines.size * self.features
    }

    pub(super) fn check<T: Element>(&self, weights: &Weights<T>) -> Result<()> {
        if self.columns.dilation != 1 {
            return Err(Error::value("columns", "a dilation of 1", self.columns.dilation));
        }
        for (axis, name) in [(self.lines, "lines"), (self.columns, "columns")] {
            let numbers = [axis.size, axis.stride, axis.windows];
            if numbers.contains(&0) {
                let expected = "a positive size, stride and number of windows";
                return Err(Error::value(name, expected, numbers));
            }
        }
        if self.window() != Some(weights.features()) {
            let expected = [self.lines.size, self.columns.size, self.features];
            return Err(Error::shape("kernel", expected, [weights.features()]));
        }
        Ok(())
    }

    pub(super) fn line(&self) -> usize {
        self.columns.places * self.features
    }

    /// Multiply-adds of `lines` lines of windows.
    pub(super) fn work<T: Element>(&self, weights: &Weights<T>, lines: usize) -> usize {
        let each = self.columns.windows.saturating_mul(weights.features());
        lines.saturating_mul(each).saturating_mul(weights.units())
    }
}

/// The places of the windows of one line: `[column][line of a window][feature]`.
pub(super) struct Gathered<T: Element> {
    frames: Frames,
    places: Buffer<T>,
}

impl<T: Element> Gathered<T> {
    pub(super) fn new(frames: Frames) -> Result<Self> {
        let elements = frames.reach().and_then(|reach| reach.checked_mul(frames.across()));
        Ok(Self { frames, places: Buffer::zeroed(elements.unwrap_or(usize::MAX))? })
    }

    /// Gathers the windows of a line of a frame of `inputs`, whose steps are lines.
    pub(super) fn gather(&mut self, inputs: View<'_, T>, frame: usize, window: usize) {
        let Frames { lines, columns, features } = self.frames;
        let across = self.frames.across();
        let first = (columns.before * across).min(self.places.len());
        for tap in 0..lines.size {
            let to = (first + tap * features).min(self.places.len());
            let to = &mut self.places[to..];
            let at = (window * lines.stride + tap * lines.dilation).wrapping_sub(lines.before);
            if at < lines.places {
                copy_pieces((inputs.row(frame, at), features), (to, across), features);
            } else {
                // Another line may have left values here; beyond the line nothing is written.
                let own = to.len().min(columns.places.saturating_mul(across));
                for piece in to[..own].chunks_mut(across) {
                    let own = piece.len().min(features);
                    piece[..own].fill(T::ZERO);
                }
            }
        }
    }

    /// `out = f(windows · kernel + bias)`, a row for each window.
    pub(super) fn multiply(&self, weights: &Weights<T>, out: &mut [T], stride: usize) {
        weights.multiply(
            &self.places,
            self.frames.columns.stride * self.frames.across(),
            out,
            stride,
        );
    }
}

/// Copies pieces of `size` elements, so many elements apart in either slice, until one ends.
pub(super) fn copy_pieces<T: Element>(from: (&[T], usize), to: (&mut [T], usize), size: usize) {
    // Copies of a known size are a few moves each; of an unknown one they are calls.
    match size {
        1 => pieces::<T, 1>(from, to, size),
        2 => pieces::<T, 2>(from, to, size),
        3 => pieces::<T, 3>(from, to, size),
        4 => pieces::<T, 4>(from, to, size),
        8 => pieces::<T, 8>(from, to, size),
        16 => pieces::<T, 16>(from, to, size),
        _ => pieces::<T, 0>(from, to, size),
    }
}

/// As [`copy_pieces`] for `N` elements; 0 stands for any number.
fn pieces<T: Element, const N: usize>(
    (from, from_stride): (&[T], usize),
    (to, to_stride): (&mut [T], usize),
    size: usize,
) {
    let size = if N == 0 { size } else { N };
    let whole =
        |len: usize, stride: usize| len.checked_sub(size).map_or(0, |rest| rest / stride + 1);
    let count = whole(from.len(), from_stride).min(whole(to.len(), to_stride));
    for n in 0..count {
        to[n * to_stride..][..size].copy_from_slice(&from[n * from_stride..][..size]);
    }
}

/// Lines that are computed between two checks whether to stop.
const LINES: usize = 64;

/// How lines are shared out: threads, and parts.
pub(super) fn plan(lines: usize, work: usize) -> Result<(usize, Vec<Range<usize>>)> {
    let threads = threads::worth(work)?;
    let parts = lines.div_ceil(LINES).next_multiple_of(threads).min(lines);
    let part = |n| share(lines, n, parts)..share(lines, n + 1, parts);
    Ok((threads, (0..parts).map(part).listed()?))
}
