//! One step of a slice's active rows, forward and backward: products on register tiles, and the
//! cell's equations on their accumulators.

use std::marker::PhantomData;

use crate::cells::{Cell, Gradient, Layout, Previous};
use crate::kernels::activation::Activations;
use crate::kernels::pack::Packed;
use crate::kernels::tile::{Rows, accumulate, blocks, rows_at, with_rows};
use crate::memory::ViewMut;
use crate::simd::{Element, Kernel, Simd};

/// The most slots and states a cell has.
const MAX_SLOTS: usize = 4;
const MAX_STATES: usize = 1;

/// The slots of a phase's recurrent product, `(0, 0)` if there is no such phase.
const fn phase_slots(layout: Layout, phase: usize) -> (usize, usize) {
    if phase < layout.phases.len() { layout.phases[phase] } else { (0, 0) }
}

/// Where the vectors of a chunk lie: `[block][chunk row][width]`.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// The chunk row of the step's first active row.
    pub(super) first: usize,
    /// Rows of the chunk.
    pub(super) rows: usize,
}

impl Place {
    #[inline(always)]
    fn at(self, block: usize, position: usize, width: usize) -> usize {
        (block * self.rows + self.first + position) * width
    }
}

/// Rows `[row of the slice][stride]`: outputs and what is computed from them.
#[derive(Clone, Copy)]
pub(super) struct RowMajor<'a, T> {
    pub(super) data: &'a [T],
    pub(super) stride: usize,
}

/// One phase of a step forward.
pub(super) struct Step<'a, 'o, T: Element, C, A, const PHASE: usize> {
    pub(super) cell: PhantomData<C>,
    pub(super) activations: A,
    /// The rows that take the step.
    pub(super) active: &'a [u32],
    /// What the recurrent weights multiply; none if the product is in the slots already.
    pub(super) operand: Option<RowMajor<'a, T>>,
    pub(super) weights: &'a Packed<T>,
    /// The chunk's slots; sums on entry, what backward wants on return.
    pub(super) slots: &'a mut [T],
    pub(super) place: Place,
    /// The outputs before the step.
    pub(super) previous: RowMajor<'a, T>,
    /// What the phase produces, with the rows of `previous`.
    pub(super) produced: &'a mut [T],
    /// The other states, `[block][row of the slice][state]`.
    pub(super) state: &'a mut [T],
    /// Rows of the slice.
    pub(super) slice_rows: usize,
    /// Where the states before the step are kept for backward, in the order of the chunk.
    pub(super) kept_state: Option<&'a mut [T]>,
    /// The caller's outputs and the step to write, in the last phase.
    pub(super) outputs: Option<(&'a mut ViewMut<'o, T>, usize)>,
}

impl<T, C, A, const PHASE: usize> Kernel<T> for Step<'_, '_, T, C, A, PHASE>
where
    T: Element,
    C: Cell<T>,
    A: Activations<T>,
{
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) {
        match const { phase_slots(C::LAYOUT, PHASE).1 } {
            1 => self.all_blocks::<S, 1>(s),
            2 => self.all_blocks::<S, 2>(s),
            3 => self.all_blocks::<S, 3>(s),
            4 => self.all_blocks::<S, 4>(s),
            _ => unreachable!("a phase that the cell does not have"),
        }
    }
}

impl<T, C, A, const PHASE: usize> Step<'_, '_, T, C, A, PHASE>
where
    T: Element,
    C: Cell<T>,
    A: Activations<T>,
{
    /// Walks the blocks of units, as many at once as give the multiply-adds enough chains: four
    /// vectors of columns, or eight if there is only one row. Each group's equations follow its
    /// product at once, through the slots, while the sums are in the first-level cache: inlined
    /// behind every size of tile instead, the equations took half the crate's time to compile again.
    #[inline(always)]
    fn all_blocks<S: Simd<T>, const G: usize>(mut self, s: S) {
        let count = self.weights.blocks();
        let one = self.active.len() == 1;
        let mut block = 0;
        while block < count {
            let rest = count - block;
            let done = if const { !A::FUSED } || self.operand.is_none() {
                rest
            } else if const { G == 1 } {
                match rest {
                    8.. if one => self.tile::<S, 1, 8, G>(s, 0, block),
                    4.. => self.all_rows::<S, 4, G>(s, block),
                    2.. => self.all_rows::<S, 2, G>(s, block),
                    _ => self.all_rows::<S, 1, G>(s, block),
                }
            } else if const { G == 2 } {
                match rest {
                    4.. if one => self.tile::<S, 1, 4, G>(s, 0, block),
                    2.. => self.all_rows::<S, 2, G>(s, block),
                    _ => self.all_rows::<S, 1, G>(s, block),
                }
            } else if one && rest >= 2 {
                self.tile::<S, 1, 2, G>(s, 0, block)
            } else {
                self.all_rows::<S, 1, G>(s, block)
            };
            for block in block..block + done {
                for position in 0..self.active.len() {
                    self.finish(s, position, block);
                }
            }
            block += done;
        }
    }

    #[inline(always)]
    fn all_rows<S: Simd<T>, const PB: usize, const G: usize>(
        &mut self,
        s: S,
        block: usize,
    ) -> usize {
        let mut row = 0;
        while row < self.active.len() {
            let rows = rows_at(self.active.len(), row, S::ROWS);
            with_rows!(rows, S::ROWS, MR => self.tile::<S, MR, PB, G>(s, row, block));
            row += rows;
        }
        PB
    }

    #[inline(always)]
    fn tile<S: Simd<T>, const MR: usize, const PB: usize, const G: usize>(
        &mut self,
        s: S,
        position: usize,
        block: usize,
    ) -> usize {
        let Some(operand) = self.operand else { return PB };
        let (first, _) = const { phase_slots(C::LAYOUT, PHASE) };
        let width = C::LAYOUT.slots.len();
        let depth = self.weights.depth();
        let place = self.place;
        let at = |r: usize, b: usize| place.at(block + b, position + r, width) + first;
        let mut acc = [[[s.splat(T::ZERO); G]; PB]; MR];
        for r in 0..MR {
            for b in 0..PB {
                acc[r][b].copy_from_slice(&s.vectors(self.slots)[at(r, b)..][..G]);
            }
        }
        let active = &self.active[position..][..MR];
        let left = Rows::<T, MR>::new(operand.data, operand.stride, depth, |r| active[r] as usize);
        let right = blocks::<T, S, PB, G>(s, self.weights, block, (0, depth));
        accumulate(s, &mut acc, left, right, 0);
        for r in 0..MR {
            for b in 0..PB {
                s.vectors_mut(self.slots)[at(r, b)..][..G].copy_from_slice(&acc[r][b]);
            }
        }
        PB
    }

    /// The cell's equations for one row and block, and everything they read and write.
    #[inline(always)]
    fn finish<S: Simd<T>>(&mut self, s: S, position: usize, block: usize) {
        let row = self.active[position] as usize;
        let width = C::LAYOUT.slots.len();
        let lane = block * S::LANES;
        let mut slots = [s.splat(T::ZERO); MAX_SLOTS];
        let kept = self.place.at(block, position, width);
        let kept = &mut s.vectors_mut(self.slots)[kept..][..width];
        slots[..width].copy_from_slice(kept);

        let states = C::LAYOUT.states;
        let mut state = [s.splat(T::ZERO); MAX_STATES];
        if states > 0 {
            let before = &s.vectors(self.state)[(block * self.slice_rows + row) * states..];
            state[..states].copy_from_slice(&before[..states]);
            if let Some(kept) = &mut self.kept_state {
                let at = self.place.at(block, position, states);
                s.vectors_mut(kept)[at..][..states].copy_from_slice(&state[..states]);
            }
        }
        let at = row * self.previous.stride + lane;
        let output = s.load(&self.previous.data[at..]);
        let produced =
            C::forward(s, self.activations, PHASE, &mut slots, output, &mut state[..states]);
        kept.copy_from_slice(&slots[..width]);
        if states > 0 {
            let after = &mut s.vectors_mut(self.state)[(block * self.slice_rows + row) * states..];
            after[..states].copy_from_slice(&state[..states]);
        }
        s.store(produced, &mut self.produced[at..]);
        if let Some((outputs, step)) = &mut self.outputs {
            s.store_partial(produced, &mut outputs.row(row, *step)[lane..]);
        }
    }
}

/// One phase of a step backward: everything but the products.
pub(super) struct StepBack<'a, T: Element, C, A, const PHASE: usize> {
    pub(super) cell: PhantomData<C>,
    pub(super) activations: A,
    /// The rows that take the step.
    pub(super) active: &'a [u32],
    /// The chunk's slots: what forward kept on entry, gradients by the sums on return.
    pub(super) slots: &'a mut [T],
    pub(super) place: Place,
    /// The outputs before the step, by position; empty if the cell does not read them.
    pub(super) previous: RowMajor<'a, T>,
    /// The other states before the step, in the order of the chunk.
    pub(super) kept_state: &'a [T],
    /// The gradient by the outputs after the step on entry, by those before it on return but for
    /// the product; by row of the slice.
    pub(super) d_output: &'a mut [T],
    /// Elements between two rows of `d_output` and `d_operand`.
    pub(super) stride: usize,
    /// The gradient by what the phase produced, if that was not the output; by row of the slice.
    pub(super) d_operand: &'a [T],
    /// The gradients by the other states, `[block][row of the slice][state]`.
    pub(super) d_state: &'a mut [T],
    /// Rows of the slice.
    pub(super) slice_rows: usize,
    /// The gradients by the sums once more, `[position][slot][padded units]`, for the products.
    pub(super) d_sums: &'a mut [T],
    /// Elements between two rows of `d_sums`.
    pub(super) d_sums_stride: usize,
    /// Blocks of units.
    pub(super) blocks: usize,
}

impl<T, C, A, const PHASE: usize> Kernel<T> for StepBack<'_, T, C, A, PHASE>
where
    T: Element,
    C: Cell<T>,
    A: Activations<T>,
{
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) {
        let (width, states) = (C::LAYOUT.slots.len(), C::LAYOUT.states);
        let padded = self.blocks * S::LANES;
        for block in 0..self.blocks {
            let lane = block * S::LANES;
            for (position, &row) in self.active.iter().enumerate() {
                let row = row as usize;
                let kept = self.place.at(block, position, width);
                let kept = &mut s.vectors_mut(self.slots)[kept..][..width];
                let mut slots = [s.splat(T::ZERO); MAX_SLOTS];
                slots[..width].copy_from_slice(kept);

                let mut before = [s.splat(T::ZERO); MAX_STATES];
                let mut d_state = [s.splat(T::ZERO); MAX_STATES];
                let own = (block * self.slice_rows + row) * states;
                if states > 0 {
                    let at = self.place.at(block, position, states);
                    before[..states].copy_from_slice(&s.vectors(self.kept_state)[at..][..states]);
                    d_state[..states].copy_from_slice(&s.vectors(self.d_state)[own..][..states]);
                }
                let output = if C::LAYOUT.reads_output {
                    s.load(&self.previous.data[position * self.previous.stride + lane..])
                } else {
                    s.splat(T::ZERO)
                };
                let at = row * self.stride + lane;
                let operand = if PHASE + 1 < C::LAYOUT.phases.len() {
                    s.load(&self.d_operand[at..])
                } else {
                    s.splat(T::ZERO)
                };
                let direct = C::backward(
                    s,
                    self.activations,
                    PHASE,
                    &mut slots,
                    Previous { output, state: &before[..states] },
                    Gradient {
                        output: s.load(&self.d_output[at..]),
                        state: &mut d_state[..states],
                        operand,
                    },
                );
                s.store(direct, &mut self.d_output[at..]);
                kept.copy_from_slice(&slots[..width]);
                if states > 0 {
                    s.vectors_mut(self.d_state)[own..][..states]
                        .copy_from_slice(&d_state[..states]);
                }
                let sums = &mut self.d_sums[position * self.d_sums_stride..];
                for (slot, &d_sum) in slots[..width].iter().enumerate() {
                    s.store(d_sum, &mut sums[slot * padded + lane..]);
                }
            }
        }
    }
}
