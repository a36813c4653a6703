//! Many steps of a part in one kernel, where nothing else is to be done between them: a small
//! layer's step costs less than entering a kernel.

use std::marker::PhantomData;
use std::ops::Range;

use super::ahead::Ahead;
use super::forward::{self as step_forward, Chunk, Step};
use crate::cells::{Cell, Visitor};
use crate::error::Result;
use crate::kernels::activation::Standard;
use crate::layers::sequence::part::SlicePart;
use crate::layers::sequence::plan::Place;
use crate::layers::sequence::rows::{copy_rows, repeat, skipping};
use crate::machine::simd::{Element, Kernel, Simd};
use crate::machine::threads::Turn;

/// The steps of a cell whose step has one phase, fused with its product, without dropout.
pub(crate) struct Sweep<'a, 'e, 'v, T: Element> {
    pub(crate) part: &'a SlicePart<'a, T>,
    pub(crate) chunk: Chunk<'a, 'v, T>,
    /// The first step of the chunk, and how many rows its steps take.
    pub(crate) begin: usize,
    pub(crate) chunk_rows: usize,
    /// The steps to take.
    pub(crate) steps: Range<usize>,
    /// Steps so far that had active rows.
    pub(crate) steps_done: &'a mut usize,
    pub(crate) turn: &'a mut Turn<'e, T>,
    /// All outputs before each step, if they are kept.
    pub(crate) kept_outputs: Option<&'a mut [T]>,
    /// What is to be multiplied beside the steps.
    pub(crate) ahead: Option<Ahead<'a, T>>,
}

impl<T: Element> Visitor<T> for Sweep<'_, '_, '_, T> {
    /// The next step to take, and whether the caller is to take it alone.
    type Output = Result<(usize, bool)>;

    fn visit<C: Cell<T>>(self) -> Self::Output {
        T::dispatch(self.part.weights.level, OfCell::<T, C> { cell: PhantomData, of: self })
    }
}

struct OfCell<'a, 'e, 'v, T: Element, C> {
    cell: PhantomData<C>,
    of: Sweep<'a, 'e, 'v, T>,
}

impl<T: Element, C: Cell<T>> Kernel<T> for OfCell<'_, '_, '_, T, C> {
    type Output = Result<(usize, bool)>;

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) -> Self::Output {
        let end = self.of.steps.end;
        let fits = const { S::FUSED && C::LAYOUT.phases.len() == 1 };
        assert!(fits, "a step that is not one kernel");
        if const { S::FUSED && C::LAYOUT.phases.len() == 1 } {
            let left = sweep::<T, C, S>(s, self.of)?;
            return Ok(left.map_or((end, false), |next| (next, true)));
        }
        Ok((end, false))
    }
}

/// Returns the step before which the others have left, if they have.
#[inline(always)]
fn sweep<T: Element, C: Cell<T>, S: Simd<T>>(
    s: S,
    mut given: Sweep<'_, '_, '_, T>,
) -> Result<Option<usize>> {
    let SlicePart { problem, slice, number, .. } = *given.part;
    let (stride, rows) = (given.chunk.stride, given.chunk_rows);
    let (first, zero) = (given.part.first_unit(), problem.zero_output_for_mask);
    for step in given.steps {
        let active = slice.active(step);
        let everyone = active.len() == slice.rows.len();
        if active.is_empty() {
            let planes = given.turn.planes();
            let repeated = planes.plane(*given.steps_done % 2);
            if let Some(outputs) = &mut given.chunk.outputs {
                for row in 0..slice.rows.len() {
                    let to = outputs.row(row, step);
                    repeat(to, &repeated[row * stride + first..], zero);
                }
            }
            continue;
        }
        let place = Place { first: slice.before(step) - slice.before(given.begin), rows };
        if let Some(ahead) = &mut given.ahead {
            ahead.begin(place.first);
        }
        let (planes, mut produced) = given.turn.open(number);
        let previous = planes.plane(*given.steps_done % 2);
        if let Some(kept) = &mut given.kept_outputs {
            copy_rows(active, previous, stride, &mut kept[slice.before(step) * stride..]);
        }
        let fused = Step {
            chunk: given.chunk.reborrow(),
            time: step,
            phase: 0,
            active,
            place,
            from_end: *given.steps_done % 2 == 1,
            previous,
            operand: Some(previous),
            produced: &mut produced,
            ahead: given.ahead.as_mut(),
        };
        step_forward::OfCell::<T, C, _, 0>::new(fused, Standard).run(s);
        if !everyone {
            for row in skipping(active, slice.rows.len()) {
                let to = produced.from(row, first);
                let from = &previous[row * stride + first..];
                to.copy_from_slice(&from[..to.len()]);
                if let Some(outputs) = &mut given.chunk.outputs {
                    repeat(outputs.row(row, step), from, zero);
                }
            }
        }
        *given.steps_done += 1;
        if given.turn.pass()? {
            return Ok(Some(step + 1));
        }
    }
    Ok(None)
}
