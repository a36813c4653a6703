//! One step of a slice's active rows: products on register tiles, and the cell's equations on their
//! accumulators.

use std::marker::PhantomData;
use std::ops::Range;

use super::ahead::{Ahead, Cut, Rest, RowBeside};
use super::finish::{equations, of_block};
use crate::cells::{Cell, Shape, Visitor, with_shape};
use crate::kernels::activation::Activations;
use crate::kernels::add_product::{AddProduct, AddTail};
use crate::kernels::cuts::take_blocks;
use crate::kernels::pack::Packed;
use crate::layers::sequence::plan::Place;
use crate::layers::sequence::weights::Weights;
use crate::machine::memory::ViewMut;
use crate::machine::simd::{Element, Kernel, Simd};
use crate::machine::threads::UnitsMut;

/// How many of the remaining blocks of units to compute at once: enough to give the multiply-adds
/// independent chains, which are four vectors of columns, or eight if there is only one row.
#[inline(always)]
fn group<const G: usize>(rest: usize, one: bool, multiplies: bool) -> usize {
    if !multiplies {
        return rest;
    }
    let most = if one { 8 / G } else { 4 / G };
    match rest {
        8.. if most == 8 => 8,
        4.. if most >= 4 => 4,
        2.. if most >= 2 => 2,
        _ => 1,
    }
}

/// Calls `$body` with the tile of [`Cut::of`] for `$G` gates, where `$S` has the registers for it:
/// those that tiles of six rows take. Only that tile's is compiled, as in [`with_shape`].
macro_rules! with_cut {
    ($S:ty, $G:expr, $MR:ident, $MG:ident => $body:expr) => {
        with_cut!($S, $G, $MR, $MG => $body; EightByTwo SixByThree SixteenByOne)
    };
    ($S:ty, $G:expr, $MR:ident, $MG:ident => $body:expr; $($cut:ident)*) => {
        match const { Cut::of($G) } {
            $(Cut::$cut => if const {
                A::FUSED
                    && <$S as Simd<T>>::FUSED
                    && <$S as Simd<T>>::ROWS == 6
                    && matches!(Cut::of($G), Cut::$cut)
            } {
                const $MR: usize = Cut::$cut.rows();
                const $MG: usize = Cut::$cut.gates();
                $body
            },)*
            Cut::None => {}
        }
    };
}

/// A chunk of steps on its way forward: what all of them read and write.
pub(crate) struct Chunk<'a, 'v, T: Element> {
    pub(crate) weights: &'a Weights<T>,
    /// The blocks of units to compute.
    pub(crate) blocks: Range<usize>,
    /// Rows of the slice.
    pub(crate) rows: usize,
    /// Elements between two rows of the outputs and of what is computed from them.
    pub(crate) stride: usize,
    /// The recurrent weights of the last of the blocks, if its slots lie side by side in the first
    /// one or two.
    pub(crate) tail: Option<&'a Packed<T>>,
    /// Sums before a step; after it what backward needs, if that is to be kept.
    pub(crate) slots: &'a mut [T],
    pub(crate) keep: bool,
    /// The states but the output, `[block of the part][row of the slice][state]`.
    pub(crate) state: &'a mut [T],
    /// Where the states before each step are kept for backward, in the order of the chunk.
    pub(crate) kept_state: Option<&'a mut [T]>,
    /// The part's units of the caller's outputs, if every step's are wanted.
    pub(crate) outputs: Option<&'a mut ViewMut<'v, T>>,
}

impl<'v, T: Element> Chunk<'_, 'v, T> {
    /// The same, for one step of several.
    #[inline(always)]
    pub(crate) fn reborrow(&mut self) -> Chunk<'_, 'v, T> {
        Chunk {
            blocks: self.blocks.clone(),
            slots: &mut *self.slots,
            state: &mut *self.state,
            kept_state: self.kept_state.as_deref_mut(),
            outputs: self.outputs.as_deref_mut(),
            ..*self
        }
    }
}

/// One phase of a step forward. Rows of the slice are `[row][stride]`.
pub(crate) struct Step<'a, 'o, 'v, 'h, T: Element> {
    pub(crate) chunk: Chunk<'a, 'v, T>,
    /// The step's number.
    pub(crate) time: usize,
    pub(crate) phase: usize,
    /// The rows that take the step.
    pub(crate) active: &'a [u32],
    pub(crate) place: Place,
    /// Whether to walk the blocks from the end: in turns, so that what one step has read last the
    /// next reads first, from the cache.
    pub(crate) from_end: bool,
    /// The outputs before the step.
    pub(crate) previous: &'a [T],
    /// What the recurrent weights multiply; none if the product is in the slots already.
    pub(crate) operand: Option<&'a [T]>,
    /// What the phase produces.
    pub(crate) produced: &'a mut UnitsMut<'o, T>,
    /// What is to be multiplied beside the product, if that is of one row.
    pub(crate) ahead: Option<&'a mut Ahead<'h, T>>,
}

impl<T: Element> Visitor<T> for Step<'_, '_, '_, '_, T> {
    type Output = ();

    fn visit<C: Cell<T>>(self) {
        dispatch_phase!(T, C, self.chunk.weights, self);
    }
}

/// A phase of a cell's step, with its functions.
pub(crate) struct OfCell<'a, 'o, 'v, 'h, T: Element, C, A, const PHASE: usize> {
    cell: PhantomData<C>,
    activations: A,
    recurrent: &'a Packed<T>,
    of: Step<'a, 'o, 'v, 'h, T>,
}

impl<'a, 'o, 'v, 'h, T: Element, C, A, const PHASE: usize> OfCell<'a, 'o, 'v, 'h, T, C, A, PHASE> {
    #[inline(always)]
    pub(crate) fn new(of: Step<'a, 'o, 'v, 'h, T>, activations: A) -> Self {
        Self { cell: PhantomData, activations, recurrent: &of.chunk.weights.recurrent[PHASE], of }
    }
}

impl<T, C, A, const PHASE: usize> Kernel<T> for OfCell<'_, '_, '_, '_, T, C, A, PHASE>
where
    T: Element,
    C: Cell<T>,
    A: Activations<T>,
{
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) {
        // Never called: a small level looks up its functions at run time.
        if const { A::FUSED && S::SMALL } {
            return;
        }
        with_shape!(C, T, PHASE;
            AllFour => self.all_blocks::<S, 4, 4>(s),
            LastThreeOfFour => self.all_blocks::<S, 3, 4>(s),
            AllThree => self.all_blocks::<S, 3, 3>(s),
            FirstTwoOfThree => self.all_blocks::<S, 2, 3>(s),
            FirstOfThree | SecondOfThree | LastOfThree => self.all_blocks::<S, 1, 3>(s),
            One => self.all_blocks::<S, 1, 1>(s),
            NoneOfOne => self.no_product::<S, 1>(s),
            None => {},
        );
    }
}

impl<T, C, A, const PHASE: usize> OfCell<'_, '_, '_, '_, T, C, A, PHASE>
where
    T: Element,
    C: Cell<T>,
    A: Activations<T>,
{
    /// The equations of a phase that takes no product.
    #[inline(always)]
    fn no_product<S: Simd<T>, const W: usize>(mut self, s: S) {
        for block in self.of.chunk.blocks.clone() {
            self.finish::<S, W>(s, block);
        }
    }

    /// Walks the blocks of units, as many at once as the multiply-adds need for enough chains: four
    /// vectors of columns, or eight if there is only one row. Each group's equations follow its
    /// product at once, through the slots, while the sums are in the first-level cache: inlined
    /// behind every size of tile instead, the equations took half the crate's time to compile
    /// again.
    #[inline(always)]
    fn all_blocks<S: Simd<T>, const G: usize, const W: usize>(mut self, s: S) {
        let one = self.of.active.len() == 1;
        let mut rest = self.of.chunk.blocks.clone();
        if let Some(tail) = self.of.chunk.tail {
            rest.end -= 1;
            let end = rest.end;
            if const { A::FUSED && S::FUSED && W == 4 } {
                match tail.width() {
                    1 => self.tail::<S, 1, 4, W>(s, tail, end),
                    _ => self.tail::<S, 2, 2, W>(s, tail, end),
                }
                self.finish::<S, W>(s, end);
            }
        }
        while !rest.is_empty() {
            let count =
                group::<G>(rest.len(), one, A::FUSED && S::FUSED && self.of.operand.is_some());
            let (block, next) = take_blocks(&mut rest, count, self.of.from_end);
            match count {
                8 if const { G == 1 } => self.one_row::<S, 8, G, W>(s, block),
                4 if const { G == 1 } => self.product::<S, 4, G, W>(s, (block, next)),
                4 if const { G == 2 } => self.one_row::<S, 4, G, W>(s, block),
                2 if const { G <= 2 } => self.product::<S, 2, G, W>(s, (block, next)),
                2 => self.one_row::<S, 2, G, W>(s, block),
                _ => self.product::<S, 1, G, W>(s, (block, next)),
            }
            for block in block..block + count {
                self.finish::<S, W>(s, block);
            }
        }
        let of = &mut self.of;
        if let Some(ahead) = &mut of.ahead {
            let row = of.place.first;
            if ahead.ends(row) {
                let slots = &mut *of.chunk.slots;
                with_cut!(S, G, MR, MG => s.apart(Rest::<T, G, MR, MG> { ahead, slots }));
            }
        }
    }

    /// The product for a group of blocks of units, of all rows or of the only one.
    #[inline(always)]
    fn product<S: Simd<T>, const PB: usize, const G: usize, const W: usize>(
        &mut self,
        s: S,
        blocks: (usize, usize),
    ) {
        let one = self.of.active.len() == 1;
        let Some(product) = self.add_product::<S, PB, G, W>(blocks) else { return };
        if one { product.one_row(s) } else { s.apart(product) }
    }

    /// The only row's product for a group of blocks that has eight vectors of columns, and a piece of
    /// the input's product beside it.
    #[inline(always)]
    fn one_row<S: Simd<T>, const PB: usize, const G: usize, const W: usize>(
        &mut self,
        s: S,
        block: usize,
    ) {
        let mut ahead = self.of.ahead.take();
        if let Some(product) = self.add_product::<S, PB, G, W>((block, block)) {
            match &mut ahead {
                Some(ahead) => with_cut!(S, G, MR, MG => {
                    s.apart(RowBeside::<T, PB, G, W, MR, MG> { product, ahead });
                }),
                None => product.one_row(s),
            }
        }
        self.of.ahead = ahead;
    }

    /// The recurrent product that is added to the slots of `PB` blocks; none if it is there already.
    #[inline(always)]
    fn add_product<S: Simd<T>, const PB: usize, const G: usize, const W: usize>(
        &mut self,
        block: (usize, usize),
    ) -> Option<AddProduct<'_, T, PB, G, W>> {
        if const { !(A::FUSED && S::FUSED) } {
            return None;
        }
        let Step { chunk, place, active, operand, .. } = &mut self.of;
        let of_part = block.0 - chunk.blocks.start;
        Some(AddProduct {
            left: (*operand)?,
            stride: chunk.stride,
            rows: active,
            right: self.recurrent,
            block,
            sums: &mut *chunk.slots,
            place: (of_part * place.rows + place.first, place.rows),
            first: const { C::LAYOUT.phase(PHASE).0 },
        })
    }

    /// The last block's product, whose sums of `PARTS` slots share a vector.
    #[inline(always)]
    fn tail<S: Simd<T>, const G: usize, const PARTS: usize, const W: usize>(
        &mut self,
        s: S,
        tail: &Packed<T>,
        block: usize,
    ) {
        let Step { chunk, place, active, operand, .. } = &mut self.of;
        let Some(left) = *operand else { return };
        let of_part = block - chunk.blocks.start;
        let product = AddTail::<T, G, PARTS, W> {
            left,
            stride: chunk.stride,
            rows: active,
            right: tail,
            sums: &mut *chunk.slots,
            place: of_part * place.rows + place.first,
        };
        if product.rows.len() == 1 { product.one_row(s) } else { s.apart(product) }
    }

    /// The cell's equations for the rows of one block, and everything they read and write.
    #[inline(always)]
    fn finish<S: Simd<T>, const W: usize>(&mut self, s: S, block: usize) {
        let Step { chunk, time, place, active, previous, produced, .. } = &mut self.of;
        let states = C::LAYOUT.states;
        let (lane, of_part) = (block * S::LANES, block - chunk.blocks.start);
        let first = of_part * place.rows + place.first;
        let (slots, _) = s.vectors_mut(chunk.slots).as_chunks_mut::<W>();
        let slots = &mut slots[first..][..active.len()];
        let carried = &mut s.vectors_mut(chunk.state)[of_part * chunk.rows * states..];
        let mut kept = chunk.kept_state.as_deref_mut().map(|kept| {
            let kept = &mut s.vectors_mut(kept)[first * states..];
            kept.chunks_exact_mut(states.max(1))
        });
        let vectors = of_block(s, &chunk.weights.vectors, block, C::LAYOUT.vectors);
        let previous = &previous[lane..];
        for (&row, slots) in active.iter().zip(slots) {
            let row = row as usize;
            let carried = &mut carried[row * states..][..states];
            if let Some(kept) = kept.as_mut().and_then(Iterator::next) {
                kept.copy_from_slice(carried);
            }
            let given = (s.load(&previous[row * chunk.stride..]), carried, vectors);
            let output =
                equations::<T, C, A, S, PHASE, W>(s, self.activations, slots, given, chunk.keep);
            s.store(output, produced.from(row, lane));
            if let Some(outputs) = &mut chunk.outputs {
                s.store_partial(output, &mut outputs.row(row, *time)[of_part * S::LANES..]);
            }
        }
    }
}
