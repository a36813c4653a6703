//! The left sides of the weights' gradients: what the weights were multiplied by, as the long products
//! read it.

use std::ops::Range;

use crate::kernels::long_product::Staging;
use crate::layers::sequence::kept::{History, Rows};
use crate::layers::sequence::rows::copy_masked;
use crate::machine::simd::Element;

/// What some weights were multiplied by.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Source {
    Inputs,
    /// The previous output.
    Outputs,
    /// What the second phase multiplied.
    Operands,
    /// What was projected; the right side is the gradient with respect to the outputs.
    Projected,
}

/// One product: the gradients of some gates' weights by one source.
#[derive(Clone, Copy)]
pub(super) struct Spec {
    pub(super) source: Source,
    /// The slots that take part, a range.
    pub(super) slots: (usize, usize),
    /// Which dropout mask multiplies the source.
    pub(super) mask: usize,
}

/// Copies `panels` of the source's rows to `left`: `depth` rows, of the steps and slices that `pieces`
/// name. `space` is a row.
pub(super) fn stage<T: Element, const MR: usize>(
    (spec, panels): (Spec, Range<usize>),
    histories: &[History<'_, T>],
    pieces: &[(usize, usize)],
    space: &mut [T],
    (left, depth): (&mut [T], usize),
) {
    let mut staging = Staging::<T, MR>::new(left, depth, panels);
    for &(step, n) in pieces {
        let history = &histories[n];
        let (problem, slice) = (history.problem, history.slice);
        let (rows, mask) = match spec.source {
            Source::Inputs => {
                let rows = Rows::Given(problem.inputs, problem.time_of(step));
                (rows, problem.dropout.inputs)
            }
            Source::Outputs => (history.outputs_before(step), problem.dropout.recurrent),
            Source::Operands => (history.operands(step), problem.dropout.recurrent),
            Source::Projected => (history.operands(step), None),
        };
        let (active, size) = (slice.active(step), space.len());
        let row = |n: usize| slice.batch_row(active[n] as usize);
        match (rows, mask) {
            (Rows::Zeros, _) => {
                space.fill(T::ZERO);
                staging.add((active.len(), size), |_| &*space);
            }
            (Rows::Kept { rows, stride, .. }, None) => {
                staging.add((active.len(), size), |n| &rows[n * stride..]);
            }
            (Rows::Given(view, time), None) => {
                staging.add((active.len(), size), |n| view.row(row(n), time));
            }
            (rows, Some(mask)) => {
                for n in 0..active.len() {
                    let from = rows.get(n, || row(n)).unwrap_or_default();
                    copy_masked(space, from, Some(mask.row(spec.mask, row(n))));
                    staging.add((1, size), |_| &*space);
                }
            }
        }
    }
}
