//! One step of a single row in one pass over the weights: both products and the cell's equations,
//! block after block. Every sum is the chain that whole sequences have: bias, inputs, previous
//! output.

use std::marker::PhantomData;
use std::ops::Range;

use super::finish::{equations, of_block};
use crate::cells::{Cell, Shape, Visitor, with_shape};
use crate::kernels::activation::Standard;
use crate::kernels::cuts::take_blocks;
use crate::kernels::pack::Packed;
use crate::kernels::tile::blocks;
use crate::layers::sequence::weights::Weights;
use crate::machine::simd::{Element, Kernel, Simd};

/// Whether a step of one row can run in one pass.
pub(crate) fn is_single<T: Element>(weights: &Weights<T>, rows: usize) -> bool {
    rows == 1 && weights.is_fused() && !weights.recurrent.iter().any(Packed::is_halved)
}

/// One phase of the step, for the given cell.
pub(crate) struct RowStep<'a, T: Element> {
    pub(crate) weights: &'a Weights<T>,
    pub(crate) phase: usize,
    /// The blocks of units to compute.
    pub(crate) blocks: Range<usize>,
    /// The step's inputs.
    pub(crate) inputs: &'a [T],
    /// What the recurrent weights multiply.
    pub(crate) operand: &'a [T],
    /// The output before the step.
    pub(crate) previous: &'a [T],
    /// What the phase produces, of these blocks.
    pub(crate) produced: &'a mut [T],
    /// The other states of these blocks, `[block][state][LANES]`.
    pub(crate) state: &'a mut [T],
    /// Of these blocks, `[block][slot][LANES]`; from the first phase to the next.
    pub(crate) slots: &'a mut [T],
    /// Whether the last blocks of units come first: what a cache still holds of the weights is what
    /// was read last, so steps go back and forth.
    pub(crate) backwards: bool,
}

impl<T: Element> Visitor<T> for RowStep<'_, T> {
    type Output = ();

    fn visit<C: Cell<T>>(self) {
        let level = self.weights.level;
        if const { C::LAYOUT.phases.len() > 1 } && self.phase > 0 {
            return T::dispatch(level, OfCell::<T, C, 1> { cell: PhantomData, of: self });
        }
        T::dispatch(level, OfCell::<T, C, 0> { cell: PhantomData, of: self });
    }
}

struct OfCell<'a, T: Element, C, const PHASE: usize> {
    cell: PhantomData<C>,
    of: RowStep<'a, T>,
}

impl<T: Element, C: Cell<T>, const PHASE: usize> Kernel<T> for OfCell<'_, T, C, PHASE> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) {
        // As many blocks at once as the multiply-adds need for about eight chains.
        if const { !S::FUSED } {
            return;
        }
        with_shape!(C, T, PHASE;
            AllFour => self.groups::<S, 2, 4, 4, 0, 4>(s),
            LastThreeOfFour => self.groups::<S, 2, 4, 3, 1, 3>(s),
            AllThree => self.groups::<S, 2, 3, 3, 0, 3>(s),
            FirstTwoOfThree => self.groups::<S, 2, 3, 3, 0, 2>(s),
            FirstOfThree => self.groups::<S, 4, 3, 2, 0, 1>(s),
            SecondOfThree => self.groups::<S, 8, 3, 0, 1, 1>(s),
            LastOfThree => self.groups::<S, 8, 3, 0, 2, 1>(s),
            One => self.groups::<S, 8, 1, 1, 0, 1>(s),
            NoneOfOne => self.groups::<S, 8, 1, 1, 0, 0>(s),
            None => {},
        );
    }
}

impl<T: Element, C: Cell<T>, const PHASE: usize> OfCell<'_, T, C, PHASE> {
    #[inline(always)]
    fn groups<
        S: Simd<T>,
        const PB: usize,
        const W: usize,
        const I: usize,
        const F: usize,
        const G: usize,
    >(
        mut self,
        s: S,
    ) {
        let (mut rest, from_end) = (0..self.of.blocks.len(), self.of.backwards);
        // Whole groups first, then the blocks that are left over, or the other way round.
        let whole = rest.end / PB * PB;
        while !rest.is_empty() {
            let together = if from_end { rest.end <= whole } else { rest.start < whole };
            let count = if together { PB } else { 1 };
            let (block, _) = take_blocks(&mut rest, count, from_end);
            match count {
                1 if const { PB > 1 } => self.group::<S, 1, W, I, F, G>(s, block),
                _ => self.group::<S, PB, W, I, F, G>(s, block),
            }
        }
    }

    #[inline(always)]
    fn group<
        S: Simd<T>,
        const PB: usize,
        const W: usize,
        const I: usize,
        const F: usize,
        const G: usize,
    >(
        &mut self,
        s: S,
        of_part: usize,
    ) {
        let of = &mut self.of;
        let block = of.blocks.start + of_part;
        let mut sums = [[s.splat(T::ZERO); W]; PB];
        for (b, sums) in sums.iter_mut().enumerate() {
            let block = block + b;
            if const { I == 0 } {
                sums.copy_from_slice(&s.vectors(of.slots)[(of_part + b) * W..][..W]);
            } else {
                sums[..I].copy_from_slice(&s.vectors(&of.weights.input_bias)[block * I..][..I]);
                let bias = &s.vectors(&of.weights.recurrent_bias)[block * (W - I)..][..W - I];
                sums[I..].copy_from_slice(bias);
            }
        }
        if const { I > 0 } {
            add_product::<T, S, PB, W, 0, I>(s, &mut sums, of.inputs, &of.weights.kernel, block);
        }
        if const { G > 0 } {
            let recurrent = &of.weights.recurrent[PHASE];
            add_product::<T, S, PB, W, F, G>(s, &mut sums, of.operand, recurrent, block);
        }
        // Through memory that stays in the first-level cache: inlined, the equations would be
        // compiled `PB` times.
        for (b, sums) in sums.iter().enumerate() {
            s.vectors_mut(of.slots)[(of_part + b) * W..][..W].copy_from_slice(sums);
        }
        for of_part in of_part..of_part + PB {
            self.finish::<S, W>(s, of_part);
        }
    }

    /// The cell's equations for one block, and everything they read and write. Apart from the step of
    /// several rows, with which it shares [`equations`] and [`of_block`]: the rest is where operands
    /// lie, and that step's chunks, lists of rows and kept states made this one 4 to 5 % slower.
    #[inline(always)]
    fn finish<S: Simd<T>, const W: usize>(&mut self, s: S, of_part: usize) {
        let of = &mut self.of;
        let (states, block) = (C::LAYOUT.states, of.blocks.start + of_part);
        let (slots, _) = s.vectors_mut(of.slots).as_chunks_mut::<W>();
        let carried = match states {
            0 => &mut [],
            _ => &mut s.vectors_mut(of.state)[of_part * states..][..states],
        };
        let output = s.load(&of.previous[block * S::LANES..]);
        let vectors = of_block(s, &of.weights.vectors, block, C::LAYOUT.vectors);
        let slots = &mut slots[of_part];
        let produced = equations::<T, C, _, S, PHASE, W>(
            s,
            Standard,
            slots,
            (output, carried, vectors),
            false,
        );
        s.store(produced, &mut of.produced[of_part * S::LANES..]);
    }
}

/// `sums[b][F..F + G] += left · right[block + b]`
#[inline(always)]
fn add_product<
    T: Element,
    S: Simd<T>,
    const PB: usize,
    const W: usize,
    const F: usize,
    const G: usize,
>(
    s: S,
    sums: &mut [[S::V; W]; PB],
    left: &[T],
    right: &Packed<T>,
    block: usize,
) {
    let depth = right.depth();
    let left = &left[..depth];
    let right = blocks::<T, S, PB, G>(s, right, block, (0, depth));
    for k in 0..depth {
        let value = s.splat(left[k]);
        for b in 0..PB {
            for g in 0..G {
                sums[b][F + g] = s.mul_add(value, right[b][k][g], sums[b][F + g]);
            }
        }
    }
}
