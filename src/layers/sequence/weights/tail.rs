//! The last block of units, where few of its lanes are units: 100 units are six blocks of sixteen
//! and four more. Its slots then lie side by side in one vector or two, a quarter or a half of the
//! lanes each, and its products take a quarter or a half of the time. Every sum is the same chain
//! of multiply-adds as elsewhere; a slot that a product leaves out is multiplied by zeros, which
//! changes no sum of finite numbers.

use crate::cells::Layout;
use crate::error::Result;
use crate::kernels::activation::Chosen;
use crate::kernels::pack::{Packed, Precision};
use crate::layers::sequence::options::{Options, Raw};
use crate::machine::memory::Buffer;
use crate::machine::simd::{Element, Level};

/// Slots of the cells that have a tail: LSTM, and GRU with the reset gate after the product.
const SLOTS: usize = 4;

/// Weights and biases of such a block, `[depth][slot][unit]`: rows of one vector or two.
pub(crate) struct Tail<T: Element> {
    pub(crate) kernel: Packed<T>,
    pub(crate) recurrent: Packed<T>,
    pub(crate) bias: Buffer<T>,
}

impl<T: Element> Tail<T> {
    /// The last block, if its units are half of the lanes or fewer, and the cell has one product that
    /// is part of its step. `bias` is that of a slot and unit.
    pub(crate) fn new(
        layout: Layout,
        (options, chosen): (Options, Chosen),
        level: Level,
        [features, units, outputs]: [usize; 3],
        raw: &Raw<'_, T>,
        bias_of: impl Fn(usize, usize) -> T,
    ) -> Result<Option<Self>> {
        let lanes = level.lanes::<T>();
        let (first, rest) = (units / lanes * lanes, units % lanes);
        let vectors = (rest * SLOTS).div_ceil(lanes);
        let size = lanes * vectors / SLOTS;
        let [phase] = layout.phases else { return Ok(None) };
        let fused = level.fuses::<T>()
            && chosen.is_standard()
            && options.precision == Precision::Full
            && layout.slots.len() == SLOTS;
        if !fused || !(1..=2).contains(&vectors) {
            return Ok(None);
        }
        let divided = |lane: usize| (lane / size, first + lane % size);
        let columns = layout.gates * units;
        let pack = |matrix: &[T], depth: usize, (start, count): (usize, usize)| {
            Packed::new(level, depth, vectors, lanes, |k, vector, lane| {
                let (slot, unit) = divided(vector * lanes + lane);
                if unit < units && (start..start + count).contains(&slot) {
                    matrix[k * columns + layout.slots[slot] * units + unit]
                } else {
                    T::ZERO
                }
            })
        };
        let mut bias = Buffer::zeroed(vectors * lanes)?;
        for (lane, value) in bias.iter_mut().enumerate() {
            let (slot, unit) = divided(lane);
            if unit < units {
                *value = bias_of(slot, unit);
            }
        }
        let kernel = pack(raw.kernel, features, layout.input)?;
        let recurrent = pack(raw.recurrent_kernel, outputs, *phase)?;
        Ok(Some(Self { kernel, recurrent, bias }))
    }
}
