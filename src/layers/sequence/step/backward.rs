//! One step backward of a slice's active rows: the cell's equations, and what they read and write.

use std::marker::PhantomData;
use std::ops::Range;

use super::finish::of_block;
use crate::cells::{Cell, Gradient, MAX_SLOTS, MAX_STATES, Previous, Visitor};
use crate::kernels::activation::Activations;
use crate::layers::sequence::plan::{Place, Slice};
use crate::layers::sequence::weights::Weights;
use crate::machine::memory::View;
use crate::machine::simd::{Element, Kernel, Simd};
use crate::machine::threads::UnitsMut;

/// Gradients with respect to states below this count as zero. They would keep shrinking to
/// subnormal numbers, which take some CPUs a hundred times as long, and are far below the rounding
/// of any gradient that counts.
const fn tiny<T>() -> f64 {
    // 2^-100 and 2^-900
    if size_of::<T>() == 4 { 7.888_609_052_210_118e-31 } else { 1.183_052_186_166_774_7e-271 }
}

#[inline(always)]
fn without_tiny<T: Element, S: Simd<T>>(s: S, v: S::V) -> S::V {
    s.select_lt(s.abs(v), s.splat(T::of(tiny::<T>())), s.splat(T::ZERO), v)
}

/// One phase of a step backward: everything but the products.
pub(crate) struct StepBack<'a, 'o, T: Element> {
    pub(crate) weights: &'a Weights<T>,
    pub(crate) phase: usize,
    /// The rows that take the step.
    pub(crate) active: &'a [u32],
    /// The chunk's slots: what forward kept on entry, gradients with respect to the sums on return.
    pub(crate) slots: &'a mut [T],
    pub(crate) place: Place,
    /// The part's outputs before the step, by position; empty if the cell does not read them.
    pub(crate) previous: &'a [T],
    /// The other states before the step, in the order of the chunk.
    pub(crate) kept_state: &'a [T],
    /// The gradient with respect to the part's outputs after the step on entry, on return with
    /// respect to those before it, except through the product; by row of the slice.
    pub(crate) d_output: &'a mut [T],
    /// Elements between two rows of `d_output`, `d_operand` and `previous`.
    pub(crate) stride: usize,
    /// The gradient with respect to the caller's outputs, and the step, where it is to join
    /// `d_output` first.
    pub(crate) d_outputs: Option<(View<'a, T>, usize)>,
    /// The rows' slice.
    pub(crate) slice: &'a Slice,
    /// The gradient with respect to what the phase produced, if that was not the output; by row of
    /// the slice.
    pub(crate) d_operand: &'a [T],
    /// The gradients with respect to the other states, `[block of the part][row of the
    /// slice][state]`.
    pub(crate) d_state: &'a mut [T],
    /// Those with respect to the weights of each unit alone, `[block of the part][row of the
    /// slice][vector]`.
    pub(crate) d_vectors: &'a mut [T],
    /// The gradients with respect to the sums once more, `[position][slot][units]`, for the
    /// products.
    pub(crate) d_sums: &'a mut UnitsMut<'o, T>,
    /// The part's blocks of units.
    pub(crate) blocks: Range<usize>,
}

impl<T: Element> Visitor<T> for StepBack<'_, '_, T> {
    type Output = ();

    fn visit<C: Cell<T>>(self) {
        dispatch_phase!(T, C, self.weights, self);
    }
}

/// A phase of a cell's step, with its functions.
struct OfCell<'a, 'o, T: Element, C, A, const PHASE: usize> {
    cell: PhantomData<C>,
    activations: A,
    of: StepBack<'a, 'o, T>,
}

impl<'a, 'o, T: Element, C, A, const PHASE: usize> OfCell<'a, 'o, T, C, A, PHASE> {
    fn new(of: StepBack<'a, 'o, T>, activations: A) -> Self {
        Self { cell: PhantomData, activations, of }
    }
}

impl<T, C, A, const PHASE: usize> Kernel<T> for OfCell<'_, '_, T, C, A, PHASE>
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
        let (width, states) = (C::LAYOUT.slots.len(), C::LAYOUT.states);
        let Self { activations, of, .. } = self;
        let StepBack { active, place, previous, stride, d_operand, slice, .. } = of;
        let (rows, first) = (slice.rows.len(), of.blocks.start);
        let kept_state = s.vectors(of.kept_state);
        let all_slots = s.vectors_mut(of.slots);
        let all_states = s.vectors_mut(of.d_state);
        let count = C::LAYOUT.vectors;
        let all_d_vectors = s.vectors_mut(of.d_vectors);
        for block in 0..of.blocks.len() {
            let lane = block * S::LANES;
            let at = place.at(block, 0, 1);
            let of_rows = all_slots[at * width..].chunks_exact_mut(width);
            let mut before_rows = kept_state[at * states..].chunks_exact(states.max(1));
            let of_states = &mut all_states[block * rows * states..];
            let of_vectors = &mut all_d_vectors[block * rows * count..];
            let vectors = of_block(s, &of.weights.vectors, first + block, count);
            for ((position, &row), kept) in active.iter().enumerate().zip(of_rows) {
                let row = row as usize;
                let mut slots = [s.splat(T::ZERO); MAX_SLOTS];
                slots[..width].copy_from_slice(kept);

                let mut before = [s.splat(T::ZERO); MAX_STATES];
                let mut d_state = [s.splat(T::ZERO); MAX_STATES];
                let carried = &mut of_states[row * states..][..states];
                if let Some(kept) = before_rows.next() {
                    before[..states].copy_from_slice(&kept[..states]);
                }
                for (to, &from) in d_state.iter_mut().zip(&*carried) {
                    *to = without_tiny(s, from);
                }
                let output = if C::LAYOUT.reads_output {
                    s.load(&previous[position * stride + lane..])
                } else {
                    s.splat(T::ZERO)
                };
                let at = row * stride + lane;
                let operand = if PHASE + 1 < C::LAYOUT.phases.len() {
                    s.load(&d_operand[at..])
                } else {
                    s.splat(T::ZERO)
                };
                let mut d_output = s.load(&of.d_output[at..]);
                if let Some((d_outputs, step)) = of.d_outputs {
                    let d_outputs = d_outputs.row(slice.batch_row(row), step);
                    let d_outputs = &d_outputs[(first * S::LANES + lane)..];
                    d_output = s.add(d_output, s.load_partial(d_outputs));
                }
                let d_output = without_tiny(s, d_output);
                let direct = C::backward(
                    s,
                    activations,
                    PHASE,
                    &mut slots,
                    vectors,
                    Previous { output, state: &before[..states] },
                    Gradient {
                        output: d_output,
                        state: &mut d_state[..states],
                        operand,
                        vectors: &mut of_vectors[row * count..][..count],
                    },
                );
                s.store(direct, &mut of.d_output[at..]);
                kept.copy_from_slice(&slots[..width]);
                carried.copy_from_slice(&d_state[..states]);
                let to = of.d_sums.slots(position, first * S::LANES + lane);
                for (&d_sum, to) in slots[..width].iter().zip(to) {
                    s.store_partial(d_sum, to);
                }
            }
        }
    }
}
