//! One phase of a stream's step: all blocks of units on one thread, or pieces of them on several.

use std::ops::Range;

use super::forward::{Chunk, Step};
use super::single::RowStep;
use crate::kernels::int8::TILE;
use crate::kernels::pack::Packed;
use crate::kernels::product::{Product, Start};
use crate::layers::sequence::plan::Place;
use crate::layers::sequence::weights::Weights;
use crate::machine::simd::Element;
use crate::machine::threads::{Geometry, MOST_PIECES, Team, UnitsMut};

/// Blocks of a piece at least: those that the products of a step compute together.
pub(crate) fn least_blocks<T: Element>(weights: &Weights<T>, single: bool) -> usize {
    let by_vectors = weights.is_int8() || single;
    let together = |packed: &Packed<T>| match packed.width() {
        width if by_vectors => TILE >> width.trailing_zeros().min(TILE.ilog2()),
        width => (4 / width.max(1)).max(1),
    };
    weights.recurrent.iter().map(together).fold(together(&weights.kernel), usize::max)
}

/// What all pieces of a phase read.
pub(crate) struct Phase<'a, T: Element> {
    pub(crate) weights: &'a Weights<T>,
    pub(crate) number: usize,
    /// Whether it runs in one pass, see [`super::single::is_single`].
    pub(crate) single: bool,
    /// Every row.
    pub(crate) rows: &'a [u32],
    /// Elements between two rows of outputs.
    pub(crate) stride: usize,
    /// The step's inputs as the weights multiply them, and the elements between two rows.
    pub(crate) inputs: (&'a [T], usize),
    /// The outputs before the step.
    pub(crate) previous: &'a [T],
    /// The rows that the recurrent weights multiply, and the elements between two of them.
    pub(crate) operand: (&'a [T], usize),
    /// Whether the last blocks of units come first: what a cache still holds of the weights is what
    /// was read last, so steps go back and forth.
    pub(crate) backwards: bool,
}

/// Some blocks of units, and what a phase writes of them.
pub(crate) struct Piece<'a, T> {
    blocks: Range<usize>,
    /// The other states, `[block][row][state][LANES]`.
    state: &'a mut [T],
    /// `[block][row][slot][LANES]`
    slots: &'a mut [T],
    /// The outputs, or what an early phase produces.
    produced: UnitsMut<'a, T>,
}

impl<T: Element> Piece<'_, T> {
    /// The first blocks, and the others.
    fn split(self, count: usize) -> (Self, Option<Self>) {
        let Self { blocks, state, slots, produced } = self;
        if blocks.len() <= count {
            return (Self { blocks, state, slots, produced }, None);
        }
        let middle = blocks.start + count;
        let share = |all: usize| all / blocks.len() * count;
        let units = produced.units();
        let (states, later_states) = state.split_at_mut(share(state.len()));
        let (first_slots, later_slots) = slots.split_at_mut(share(slots.len()));
        let (first, later) = produced.split(units.start + share(units.len()));
        (
            Self {
                blocks: blocks.start..middle,
                state: states,
                slots: first_slots,
                produced: first,
            },
            Some(Self {
                blocks: middle..blocks.end,
                state: later_states,
                slots: later_slots,
                produced: later,
            }),
        )
    }
}

impl<T: Element> Phase<'_, T> {
    /// Computes the phase, on the threads of `team` if there is one.
    #[inline]
    pub(crate) fn compute(
        &self,
        team: Option<&mut Team>,
        state: &mut [T],
        slots: &mut [T],
        produced: &mut [T],
    ) {
        let blocks = 0..self.weights.blocks();
        match team {
            None if self.single => self.one_row(blocks, state, slots, produced),
            None => self.several_rows(blocks, state, slots, &mut self.units(produced)),
            Some(team) => {
                let produced = self.units(produced);
                self.pieces(team, Piece { blocks, state, slots, produced });
            }
        }
    }

    fn units<'p>(&self, plane: &'p mut [T]) -> UnitsMut<'p, T> {
        let (rows, width, stride) = (self.rows.len(), self.weights.padded_units(), self.stride);
        UnitsMut::whole(plane, Geometry { rows, slots: 1, width, stride })
    }

    #[cold]
    fn pieces(&self, team: &mut Team, whole: Piece<'_, T>) {
        let (blocks, least) = (whole.blocks.len(), least_blocks(self.weights, self.single));
        let size = blocks.div_ceil(team.pieces()).next_multiple_of(least);
        let mut rest = Some(whole);
        let mut pieces: [_; MOST_PIECES] = std::array::from_fn(|_| {
            let (piece, others) = rest.take()?.split(size);
            rest = others;
            Some(piece)
        });
        let pieces = &mut pieces[..blocks.div_ceil(size)];
        if self.backwards {
            for share in team.shares(pieces.len()) {
                pieces[share].reverse();
            }
        }
        team.for_each(pieces, |_, piece| {
            let Some(Piece { blocks, state, slots, produced }) = piece else { return };
            if self.single {
                let first = produced.units().start;
                self.one_row(blocks.clone(), state, slots, produced.from(0, first));
            } else {
                self.several_rows(blocks.clone(), state, slots, produced);
            }
        });
    }

    #[inline]
    fn one_row(&self, blocks: Range<usize>, state: &mut [T], slots: &mut [T], produced: &mut [T]) {
        let &Self { weights, number: phase, inputs, previous, operand, backwards, .. } = self;
        weights.cell.visit(RowStep {
            weights,
            phase,
            blocks,
            inputs: inputs.0,
            operand: operand.0,
            previous,
            produced,
            state,
            slots,
            backwards,
        });
    }

    #[inline(never)]
    fn several_rows(
        &self,
        blocks: Range<usize>,
        state: &mut [T],
        slots: &mut [T],
        produced: &mut UnitsMut<'_, T>,
    ) {
        let &Self { weights, number: phase, previous, operand, .. } = self;
        if phase == 0 {
            self.multiply_inputs(&blocks, slots);
        }
        let fused = weights.is_fused();
        if !fused && weights.layout.recurrent() > 0 {
            let product = Product {
                start: Start::Output,
                ..self.product(operand, &weights.recurrent[phase], (&blocks, slots))
            };
            let offset = weights.layout.phases[phase].0;
            T::dispatch(weights.level, Product { offset, ..product });
        }
        let rows = self.rows.len();
        let chunk = Chunk {
            weights,
            blocks,
            rows,
            stride: self.stride,
            tail: None,
            slots,
            keep: false,
            state,
            kept_state: None,
            outputs: None,
        };
        weights.cell.visit(Step {
            chunk,
            time: 0,
            phase,
            active: self.rows,
            place: Place { first: 0, rows },
            from_end: self.backwards,
            previous,
            operand: fused.then_some(operand.0),
            produced,
            ahead: None,
        });
    }

    /// Fills slots with biases and the inputs' product.
    fn multiply_inputs(&self, blocks: &Range<usize>, slots: &mut [T]) {
        let weights = self.weights;
        let (width, lanes) = (weights.layout.slots.len(), weights.lanes());
        let inputs_end = weights.layout.input.1 * lanes;
        let others = width * lanes - inputs_end;
        if others > 0 {
            let of_blocks = slots.chunks_exact_mut(self.rows.len() * width * lanes);
            let biases = weights.recurrent_bias[blocks.start * others..].chunks_exact(others);
            for (rows, bias) in of_blocks.zip(biases) {
                for row in rows.chunks_exact_mut(width * lanes) {
                    row[inputs_end..].copy_from_slice(bias);
                }
            }
        }
        let product = Product {
            start: Start::Bias(&weights.input_bias),
            ..self.product(self.inputs, &weights.kernel, (blocks, slots))
        };
        T::dispatch(weights.level, product);
    }

    /// A product of the rows with some blocks of weights, whose sums go to their first slots.
    fn product<'p>(
        &self,
        (left, stride): (&'p [T], usize),
        right: &'p Packed<T>,
        (blocks, slots): (&Range<usize>, &'p mut [T]),
    ) -> Product<'p, T> {
        let (rows, width) = (self.rows.len(), self.weights.layout.slots.len());
        Product {
            blocks: blocks.clone(),
            block_stride: rows * width,
            from_end: self.weights.is_int8() && self.backwards,
            ..Product::of((left, stride, rows), right, (slots, width))
        }
    }
}
