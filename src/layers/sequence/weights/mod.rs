//! A cell's weights, packed once for this machine.

pub(crate) mod tail;

use std::ops::Range;
use std::sync::OnceLock;

use crate::cells::{CellKind, KEPT, Layout};
use crate::error::{Error, Result};
use crate::kernels::activation::Chosen;
use crate::kernels::int8::NarrowRows;
use crate::kernels::pack::{Packed, Precision, row_stride};
use crate::layers::sequence::options::{Options, Raw};
use crate::machine::memory::Buffer;
use crate::machine::simd::{Element, Level};
use tail::Tail;

/// The number of multiply-adds that take as long as a gate's activation and its use in a step:
/// measured from 20 to 256 units, forward and backward.
const ELEMENTWISE: usize = 40;

/// A cell's weights, packed; what backward and dropout need besides is packed on first use.
pub struct Weights<T: Element> {
    pub(crate) cell: CellKind,
    pub(crate) layout: Layout,
    pub(crate) level: Level,
    pub(crate) features: usize,
    pub(crate) units: usize,
    /// The output's size: that of the projection, or the number of units.
    pub(crate) outputs: usize,
    pub(crate) has_bias: bool,
    pub(crate) activations: Chosen,
    pub(crate) precision: Precision,
    /// The input's product: `[block][features][input slots][LANES]`.
    pub(crate) kernel: Packed<T>,
    /// Each phase's product with the previous output.
    pub(crate) recurrent: Vec<Packed<T>>,
    /// What the slots of the input's product start from, `[block][input slots][LANES]`.
    pub(crate) input_bias: Buffer<T>,
    /// What the slots that the input's product leaves out start from, `[block][slot][LANES]`.
    pub(crate) recurrent_bias: Buffer<T>,
    /// What the cell produces is multiplied by this, unless it is the output itself.
    pub(crate) projection: Option<Packed<T>>,
    /// The weights of each unit alone, `[block][vector][LANES]`.
    pub(crate) vectors: Buffer<T>,
    /// The last block once more, if few of its lanes are units.
    pub(crate) tail: Option<Tail<T>>,
    transposed: OnceLock<Transposed<T>>,
    by_slot: OnceLock<BySlot<T>>,
}

/// The transposes, for the backward pass. Depth runs over slots, then units.
pub(crate) struct Transposed<T: Element> {
    pub(crate) kernel: Packed<T>,
    pub(crate) recurrent: Vec<Packed<T>>,
    pub(crate) projection: Option<Packed<T>>,
}

/// One product for each slot, for dropout with a mask for each gate.
pub(crate) struct BySlot<T: Element> {
    /// By slot.
    pub(crate) kernel: Vec<Packed<T>>,
    /// By phase and slot.
    pub(crate) recurrent: Vec<Vec<Packed<T>>>,
}

impl<T: Element> Weights<T> {
    /// Packs the weights of a cell with `features` inputs and `units` units.
    ///
    /// # Errors
    /// If an array does not have the shape that goes with `features` and `units`, if either is
    /// zero, or if memory runs out.
    pub fn new(
        cell: CellKind,
        options: Options,
        features: usize,
        units: usize,
        raw: Raw<'_, T>,
    ) -> Result<Self> {
        let layout = cell.layout();
        let level = options.level.map_or_else(|| level_of::<T>(units), Ok)?;
        let activations = options.chosen()?;
        raw.check(layout, features, units)?;
        let outputs = raw.projection.map_or(units, |projection| projection.len() / units);
        let columns = layout.gates * units;
        let gate = |slot: usize| layout.slots[slot] * units;
        let pack = |matrix: &[T], depth, (first, count): (usize, usize)| {
            Packed::from_rows(level, depth, count, units, |k, slot| {
                &matrix[k * columns + gate(first + slot)..][..units]
            })
        };
        let mut kernel = pack(raw.kernel, features, layout.input)?;
        let recurrent =
            layout.phases.iter().map(|&slots| pack(raw.recurrent_kernel, outputs, slots));
        // Bounded: two phases at most.
        let mut recurrent = recurrent.collect::<Result<Vec<_>>>()?;
        let precision = options.precision;
        if precision == Precision::Int8 {
            kernel = kept(kernel, precision, "kernel")?;
        }
        let rounded = |packed| kept(packed, precision, "recurrent_kernel");
        // Bounded: two phases at most.
        recurrent = recurrent.into_iter().map(rounded).collect::<Result<_>>()?;
        let projection = raw.projection.map(|matrix| {
            Packed::from_rows(level, units, 1, outputs, |k, _| &matrix[k * outputs..][..outputs])
        });
        let projection = projection.transpose()?;
        let (lanes, blocks) = (level.lanes::<T>(), kernel.blocks());
        let inputs = layout.input.1;
        // Where the bias of a slot without an input begins.
        let recurrent_at = |block: usize, slot: usize| {
            (block * (layout.slots.len() - inputs) + slot - inputs) * lanes
        };
        let mut input_bias = Buffer::zeroed(blocks * inputs * lanes)?;
        let mut recurrent_bias = Buffer::zeroed(blocks * (layout.slots.len() - inputs) * lanes)?;
        if let Some(bias) = raw.bias {
            for unit in 0..units {
                let (block, lane) = (unit / lanes, unit % lanes);
                for slot in 0..inputs {
                    let of_input = T::wide(bias[gate(slot) + unit]);
                    // A gate's two biases are only ever added, unless the gate has two slots.
                    let twice = layout.slots.iter().filter(|&&g| g == layout.slots[slot]).count();
                    let of_recurrent = if layout.recurrent_bias && twice == 1 {
                        bias[columns + gate(slot) + unit].wide()
                    } else {
                        0.0
                    };
                    input_bias[(block * inputs + slot) * lanes + lane] =
                        T::of(of_input + of_recurrent);
                }
                for slot in (inputs..layout.slots.len()).filter(|&slot| layout.slots[slot] != KEPT)
                {
                    let at = recurrent_at(block, slot) + lane;
                    recurrent_bias[at] = bias[columns + gate(slot) + unit];
                }
            }
        }
        let mut vectors = Buffer::zeroed(blocks * layout.vectors * lanes)?;
        for (vector, values) in raw.vectors.chunks_exact(units).enumerate() {
            for (block, values) in values.chunks(lanes).enumerate() {
                let at = (block * layout.vectors + vector) * lanes;
                vectors[at..][..values.len()].copy_from_slice(values);
            }
        }
        let bias_of = |slot: usize, unit: usize| {
            let (block, lane) = (unit / lanes, unit % lanes);
            if slot < inputs {
                input_bias[(block * inputs + slot) * lanes + lane]
            } else {
                recurrent_bias[recurrent_at(block, slot) + lane]
            }
        };
        let tail = Tail::new(
            layout,
            (options, activations),
            level,
            [features, units, outputs],
            &raw,
            bias_of,
        )?;
        Ok(Self {
            cell,
            layout,
            level,
            features,
            units,
            outputs,
            has_bias: raw.bias.is_some(),
            activations,
            precision,
            kernel,
            recurrent,
            input_bias,
            recurrent_bias,
            projection,
            vectors,
            tail,
            transposed: OnceLock::new(),
            by_slot: OnceLock::new(),
        })
    }

    /// Number of input features.
    #[must_use]
    pub fn features(&self) -> usize {
        self.features
    }

    /// Number of units.
    #[must_use]
    pub fn units(&self) -> usize {
        self.units
    }

    /// Size of the output: that of the projection, or the number of units.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Size of a state, the output's being number 0.
    #[must_use]
    pub fn state_size(&self, state: usize) -> usize {
        if state == 0 { self.outputs } else { self.units }
    }

    /// Elements of the projection, if there is one.
    #[must_use]
    pub fn projection_len(&self) -> Option<usize> {
        self.projection.as_ref().map(|_| self.units * self.outputs)
    }

    /// Phases of a step: the cell's, and the projection.
    pub(crate) fn phases(&self) -> usize {
        self.layout.phases.len() + usize::from(self.projection.is_some())
    }

    /// Whether these are weights of the same cell, of the same sizes.
    #[must_use]
    pub fn same_shape(&self, other: &Self) -> bool {
        self.cell == other.cell
            && (self.features, self.units) == (other.features, other.units)
            && self.projection_len() == other.projection_len()
            && self.has_bias == other.has_bias
    }

    /// Number of state arrays: the output's, then the others.
    #[must_use]
    pub fn states(&self) -> usize {
        1 + self.layout.states
    }

    /// Number of gates.
    #[must_use]
    pub fn gates(&self) -> usize {
        self.layout.gates
    }

    /// Number of elements of the bias, if the cell has one.
    #[must_use]
    pub fn bias_len(&self) -> Option<usize> {
        self.has_bias.then(|| self.layout.bias() * self.units)
    }

    /// Whether the recurrent product is part of the step.
    pub(crate) fn is_fused(&self) -> bool {
        self.level.fuses::<T>() && self.activations.is_standard() && !self.is_int8()
    }

    /// Whether products are of integers, and their left sides made of them ([`NarrowRows`]).
    pub(crate) fn is_int8(&self) -> bool {
        self.precision == Precision::Int8
    }

    /// Turns `count` rows of a product's left side, `stride` elements apart, into what its weights
    /// multiply, in place.
    pub(crate) fn narrow(&self, rows: &mut [T], stride: usize, count: usize, depth: usize) {
        if self.is_int8() {
            NarrowRows { rows, stride, count, depth }.narrow(self.level);
        }
    }

    /// Elements of a vector.
    pub(crate) fn lanes(&self) -> usize {
        self.level.lanes::<T>()
    }

    /// Blocks of units.
    pub(crate) fn blocks(&self) -> usize {
        self.kernel.blocks()
    }

    /// Units rounded up to whole blocks.
    pub(crate) fn padded_units(&self) -> usize {
        self.blocks() * self.lanes()
    }

    /// Blocks of the projected output; none if it is not.
    pub(crate) fn projected_blocks(&self) -> usize {
        self.projection.as_ref().map_or(0, Packed::blocks)
    }

    /// Multiply-adds of one step of one row, with its gates counted as the multiply-adds they cost.
    pub(crate) fn work(&self) -> usize {
        (self.features + ELEMENTWISE) * self.layout.gates * self.units + self.recurrent_work()
    }

    /// Elements of the weights' gradients.
    pub(crate) fn gradient_elements(&self) -> usize {
        (self.features + 1) * self.layout.gates * self.units + self.recurrent_work()
    }

    /// Multiply-adds of one step of one row that have to wait for the step before.
    pub(crate) fn recurrent_work(&self) -> usize {
        self.recurrent_len() + self.projection_len().unwrap_or(0)
    }

    /// Elements of the recurrent kernel.
    #[must_use]
    pub fn recurrent_len(&self) -> usize {
        self.outputs * self.layout.recurrent() * self.units
    }

    /// Elements between two rows of gradients with respect to the sums, `[row][slot][units]`.
    pub(crate) fn d_sums_stride(&self) -> usize {
        row_stride(self.layout.slots.len() * self.units)
    }

    /// A part's units, of its blocks.
    pub(crate) fn units_of(&self, blocks: &Range<usize>) -> Range<usize> {
        let lanes = self.lanes();
        (blocks.start * lanes).min(self.units)..(blocks.end * lanes).min(self.units)
    }

    /// A part's share of the output. A projected output has one part.
    pub(crate) fn outputs_of(&self, blocks: &Range<usize>) -> Range<usize> {
        if self.projection.is_some() { 0..self.outputs } else { self.units_of(blocks) }
    }

    /// Refuses weights that are for inference only.
    pub(crate) fn check_exact(&self) -> Result<()> {
        if self.precision != Precision::Full {
            let expected = "full precision, which gradients and a mask for each gate require";
            return Err(Error::value("weights", expected, self.precision.name()));
        }
        Ok(())
    }

    pub(crate) fn transposed(&self) -> Result<&Transposed<T>> {
        self.check_exact()?;
        lazily(&self.transposed, || {
            let recurrent = self.recurrent.iter().map(|packed| packed.transposed(self.units));
            let projection = self.projection.as_ref().map(|packed| packed.transposed(self.outputs));
            Ok(Transposed {
                kernel: self.kernel.transposed(self.units)?,
                // Bounded: two phases at most.
                recurrent: recurrent.collect::<Result<_>>()?,
                projection: projection.transpose()?,
            })
        })
    }

    pub(crate) fn by_slot(&self) -> Result<&BySlot<T>> {
        self.check_exact()?;
        lazily(&self.by_slot, || {
            let split = |packed: &Packed<T>| {
                let one = |slot| {
                    Packed::new(self.level, packed.depth(), 1, self.units, |k, _, unit| {
                        packed.element(k, slot, unit)
                    })
                };
                // Bounded: a product for each gate.
                (0..packed.width()).map(one).collect::<Result<Vec<_>>>()
            };
            Ok(BySlot {
                kernel: split(&self.kernel)?,
                // Bounded: two phases at most.
                recurrent: self.recurrent.iter().map(split).collect::<Result<_>>()?,
            })
        })
    }
}

/// The level in use, for `units` units: AVX2 if they fill half a vector or less. Fewer still have
/// all sums of a row in one vector of AVX-512, see [`tail`].
fn level_of<T: Element>(units: usize) -> Result<Level> {
    let level = Level::for_rows::<T>(units)?;
    if 2 * units > level.lanes::<T>() { Ok(level) } else { Level::current() }
}

/// The value of `cell`, made on first use; an error is not kept.
fn lazily<V>(cell: &OnceLock<V>, make: impl FnOnce() -> Result<V>) -> Result<&V> {
    if let Some(value) = cell.get() {
        return Ok(value);
    }
    let made = make()?;
    Ok(cell.get_or_init(|| made))
}

/// The operand as it is to be kept; `argument` is what an error calls its weights.
fn kept<T: Element>(
    packed: Packed<T>,
    precision: Precision,
    argument: &'static str,
) -> Result<Packed<T>> {
    if precision != Precision::Full && !T::HALVES {
        return Err(Error::value("precision", "full, for float64 weights", precision.name()));
    }
    match precision {
        Precision::Full => Ok(packed),
        Precision::Bfloat16 => packed.halved(),
        Precision::Int8 => packed.int8(argument),
    }
}
