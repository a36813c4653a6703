//! The last block of an LSTM's units, where few of its lanes are units: 100 units are six blocks of
//! sixteen and four more. Its gates then lie side by side in one vector, a quarter each, and its
//! products take a quarter of the time. Every sum is the same chain of multiply-adds as elsewhere.

use super::weights::{Options, Raw};
use crate::cells::CellKind;
use crate::error::Result;
use crate::kernels::activation::Activation;
use crate::kernels::pack::Packed;
use crate::memory::Buffer;
use crate::simd::{Element, Level};

/// Gates of an LSTM.
const GATES: usize = 4;

/// Weights and biases of such a block, `[depth][gate][unit]`.
pub(super) struct Tail<T: Element> {
    pub(super) kernel: Packed<T>,
    pub(super) recurrent: Packed<T>,
    pub(super) bias: Buffer<T>,
}

impl<T: Element> Tail<T> {
    /// The last block, if it is one of an LSTM whose product is part of the step, and its units are a
    /// quarter of a vector or fewer.
    pub(super) fn new(
        cell: CellKind,
        options: Options,
        level: Level,
        (features, units): (usize, usize),
        raw: &Raw<'_, T>,
    ) -> Result<Option<Self>> {
        let lanes = level.lanes::<T>();
        let (first, rest) = (units / lanes * lanes, units % lanes);
        let standard = options.activation == Activation::Tanh
            && options.recurrent_activation == Activation::Sigmoid;
        let fused = T::FUSED && standard && !options.bfloat16 && cell == CellKind::Lstm;
        if !fused || rest == 0 || rest * GATES > lanes {
            return Ok(None);
        }
        let size = lanes / GATES;
        let row = |values: &[T], lane: usize| {
            let (gate, unit) = (lane / size, lane % size);
            if unit < rest { values[gate * units + first + unit] } else { T::ZERO }
        };
        let columns = GATES * units;
        let pack = |matrix: &[T], depth: usize| {
            Packed::new(level, depth, 1, lanes, |k, _, lane| row(&matrix[k * columns..], lane))
        };
        let mut bias = Buffer::zeroed(lanes)?;
        if let Some(raw) = raw.bias {
            for (lane, value) in bias.iter_mut().enumerate() {
                *value = row(raw, lane);
            }
        }
        let kernel = pack(raw.kernel, features)?;
        let recurrent = pack(raw.recurrent_kernel, units)?;
        Ok(Some(Self { kernel, recurrent, bias }))
    }
}
