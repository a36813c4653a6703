//! Windows over the steps of a sequence.

use super::columns::add;
use super::node::{Shape, sized};
use crate::error::{Error, Result};
use crate::machine::lists::Listed;
use crate::machine::memory::Buffer;
use crate::machine::simd::Element;
use crate::machine::threads;

/// The padding of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// Nothing: windows lie within it.
    Valid,
    /// Zeros at both ends: with a stride of one there are as many windows as steps.
    Same,
    /// Zeros before it: no window reaches beyond its step.
    Causal,
}

/// How windows lie over steps.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    size: usize,
    stride: usize,
    dilation: usize,
    padding: Padding,
}

/// Windows over a number of steps: the padding begins with `before` steps.
#[derive(Clone, Copy)]
pub(super) struct Over {
    windows: Windows,
    time: usize,
    before: usize,
    pub(super) count: usize,
}

impl Windows {
    /// Windows of `size` steps, `dilation` apart, of which one begins every `stride` steps.
    ///
    /// # Errors
    /// If a number is zero.
    pub fn new([size, stride, dilation]: [usize; 3], padding: Padding) -> Result<Self> {
        if [size, stride, dilation].contains(&0) {
            return Err(Error::value(
                "windows",
                "a positive size, stride and dilation",
                [size, stride, dilation],
            ));
        }
        Ok(Self { size, stride, dilation, padding })
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Where windows lie over `time` steps.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn over(&self, time: usize) -> Result<Over> {
        let reach = (self.size - 1).saturating_mul(self.dilation).saturating_add(1);
        let count = match self.padding {
            Padding::Valid => time.checked_sub(reach).map_or(0, |rest| rest / self.stride + 1),
            Padding::Same | Padding::Causal => time.div_ceil(self.stride),
        };
        if count == 0 {
            let least = if self.padding == Padding::Valid { reach } else { 1 };
            return Err(Error::value("inputs", format!("at least {least} steps"), time));
        }
        let end = ((count - 1) * self.stride).saturating_add(reach);
        let before = match self.padding {
            Padding::Valid => 0,
            Padding::Same => end.saturating_sub(time) / 2,
            Padding::Causal => reach - 1,
        };
        Ok(Over { windows: *self, time, before, count })
    }
}

impl Over {
    /// Calls `each` with the runs of neighbouring steps that windows have, from the last window to the
    /// first: where a run begins in the windows and in the steps, and how long it is.
    pub(super) fn runs(&self, mut each: impl FnMut(usize, usize, usize)) {
        let Windows { size, stride, dilation, .. } = self.windows;
        let run = if dilation == 1 { size } else { 1 };
        let end = self.before.saturating_add(self.time);
        for window in (0..self.count).rev() {
            for place in (0..size).step_by(run) {
                let start = (window * stride).saturating_add(place.saturating_mul(dilation));
                let (first, last) = (start.max(self.before), start.saturating_add(run).min(end));
                if first < last {
                    let at = window * size + place + (first - start);
                    each(at, first - self.before, last - first);
                }
            }
        }
    }

    /// The windows of all rows, `[rows, window, place in it, features]`; the padding is zero.
    pub(super) fn gather<T: Element>(
        &self,
        shape: Shape,
        inputs: &[T],
        gathered: &mut Buffer<T>,
    ) -> Result<()> {
        let features = shape.features;
        let each = self.count.saturating_mul(self.windows.size).saturating_mul(features);
        sized(gathered, shape.rows.saturating_mul(each))?;
        by_row(shape.rows, (inputs, shape.time * features), (gathered, each), |from, to| {
            if self.windows.padding != Padding::Valid {
                to.fill(T::ZERO);
            }
            self.runs(|at, step, steps| {
                let from = &from[step * features..][..steps * features];
                to[at * features..][..steps * features].copy_from_slice(from);
            });
        })
    }

    /// The backward pass of [`Over::gather`]: each step sums what its windows have, in the order of
    /// its places in them.
    ///
    /// # Errors
    /// If memory runs out.
    pub(super) fn sum_up<T: Element>(
        &self,
        shape: Shape,
        gathered: &[T],
        to: &mut [T],
    ) -> Result<()> {
        let features = shape.features;
        let each = self.count * self.windows.size * features;
        by_row(shape.rows, (gathered, each), (to, shape.time * features), |from, to| {
            to.fill(T::ZERO);
            self.runs(|at, step, steps| {
                let from = &from[at * features..][..steps * features];
                add(&mut to[step * features..][..steps * features], from);
            });
        })
    }
}

/// Multiply-adds that take as long as copying an element of a window.
const COST: usize = 8;

/// Calls `work` for each row of two arrays, whose rows have so many elements, on several threads if they
/// have many.
fn by_row<T: Element>(
    rows: usize,
    (from, of_row): (&[T], usize),
    (to, to_row): (&mut [T], usize),
    work: impl Fn(&[T], &mut [T]) + Sync,
) -> Result<()> {
    let threads = threads::worth(from.len().max(to.len()).saturating_mul(COST))?;
    let share = rows.div_ceil(threads).max(1);
    let mut shares = from.chunks(share * of_row).zip(to.chunks_mut(share * to_row)).listed()?;
    threads::for_each(threads, &mut shares, |_, (from, to)| {
        for (from, to) in from.chunks_exact(of_row).zip(to.chunks_exact_mut(to_row)) {
            work(from, to);
        }
    });
    Ok(())
}
