//! The last block of units, where few of its lanes are units: 100 units are six blocks of sixteen and
//! four more. Its slots then lie side by side in one vector, a quarter each, and its products take a
//! quarter of the time. Every sum is the same chain of multiply-adds as elsewhere; a slot that a
//! product leaves out is multiplied by zeros, which changes no sum of finite numbers.

use super::weights::{Options, Raw};
use crate::cells::Layout;
use crate::error::Result;
use crate::kernels::activation::Activation;
use crate::kernels::pack::Packed;
use crate::memory::Buffer;
use crate::simd::{Element, Level};

/// Slots of the cells that have a tail: LSTM, and GRU with the reset gate after the product.
const SLOTS: usize = 4;

/// Weights and biases of such a block, `[depth][slot][unit]`.
pub(super) struct Tail<T: Element> {
    pub(super) kernel: Packed<T>,
    pub(super) recurrent: Packed<T>,
    pub(super) bias: Buffer<T>,
}

impl<T: Element> Tail<T> {
    /// The last block, if its units are a quarter of a vector or fewer, and the cell has one product
    /// that is part of its step. `bias` is that of a slot and unit.
    pub(super) fn new(
        layout: Layout,
        options: Options,
        level: Level,
        (features, units): (usize, usize),
        raw: &Raw<'_, T>,
        bias_of: impl Fn(usize, usize) -> T,
    ) -> Result<Option<Self>> {
        let (lanes, size) = (level.lanes::<T>(), level.lanes::<T>() / SLOTS);
        let first = units / lanes * lanes;
        let standard = options.activation == Activation::Tanh
            && options.recurrent_activation == Activation::Sigmoid;
        let [phase] = layout.phases else { return Ok(None) };
        let fused = T::FUSED && standard && !options.bfloat16 && layout.slots.len() == SLOTS;
        if !fused || first == units || units - first > size {
            return Ok(None);
        }
        let columns = layout.gates * units;
        let pack = |matrix: &[T], depth: usize, (start, count): (usize, usize)| {
            Packed::new(level, depth, 1, lanes, |k, _, lane| {
                let (slot, unit) = (lane / size, first + lane % size);
                if unit < units && (start..start + count).contains(&slot) {
                    matrix[k * columns + layout.slots[slot] * units + unit]
                } else {
                    T::ZERO
                }
            })
        };
        let mut bias = Buffer::zeroed(lanes)?;
        for slot in 0..SLOTS {
            for unit in first..units {
                bias[slot * size + unit - first] = bias_of(slot, unit);
            }
        }
        let kernel = pack(raw.kernel, features, layout.input)?;
        let recurrent = pack(raw.recurrent_kernel, units, *phase)?;
        Ok(Some(Self { kernel, recurrent, bias }))
    }
}
