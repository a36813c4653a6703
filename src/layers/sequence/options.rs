//! The settings of a cell: its options, and its weights as arrays.

use crate::cells::Layout;
use crate::error::{Error, Result};
use crate::kernels::activation::{Activation, Chosen};
use crate::kernels::pack::Precision;
use crate::machine::simd::Level;

/// The settings of a cell besides its weights.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The function of the candidate and the output.
    pub activation: Activation,
    /// The function of the gates.
    pub recurrent_activation: Activation,
    /// The bound on the sums that go into `activation`: they are clipped to \[-bound, bound\];
    /// `None` clips nothing.
    pub clip: Option<f64>,
    /// The same for `recurrent_activation`.
    pub recurrent_clip: Option<f64>,
    /// The instruction set; `None` is the one in use ([`Level::current`]).
    pub level: Option<Level>,
    /// How weights are kept: the recurrent ones as bfloat16, or these and the input's as int8. Only
    /// for inference, in `f32`; states, biases and what follows the products stay as they are.
    /// Batches of few rows then take less time, since less is read.
    pub precision: Precision,
}

impl Options {
    /// The functions that a cell applies, and their clips.
    ///
    /// # Errors
    /// If a bound is not a positive number.
    pub(super) fn chosen(&self) -> Result<Chosen> {
        for (argument, bound) in [("clip", self.clip), ("recurrent_clip", self.recurrent_clip)] {
            if let Some(bound) = bound.filter(|bound| bound.is_nan() || *bound <= 0.0) {
                return Err(Error::value(argument, "a positive number", bound));
            }
        }
        Ok(Chosen {
            gate: self.recurrent_activation,
            candidate: self.activation,
            gate_clip: self.recurrent_clip,
            candidate_clip: self.clip,
        })
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            activation: Activation::Tanh,
            recurrent_activation: Activation::Sigmoid,
            clip: None,
            recurrent_clip: None,
            level: None,
            precision: Precision::Full,
        }
    }
}

/// A cell's weights as Keras lays them out, C-contiguous.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a, T> {
    /// `[features, gates · units]`
    pub kernel: &'a [T],
    /// `[outputs, gates · units]`; empty for a cell without a recurrent product.
    pub recurrent_kernel: &'a [T],
    /// `[vectors, units]`, the weights of each unit alone; empty for a cell without.
    pub vectors: &'a [T],
    /// `[gates · units]`, or twice that where the recurrent product has a bias of its own.
    pub bias: Option<&'a [T]>,
    /// `[units, outputs]`: the output is the product of what the cell produces with this matrix.
    /// Without one, there are as many outputs as units.
    pub projection: Option<&'a [T]>,
}

impl<T> Raw<'_, T> {
    /// Refuses arrays that are not the weights of a cell of that layout.
    ///
    /// # Errors
    /// If an array does not have the shape that goes with `features` and `units`, or either is zero.
    pub(super) fn check(&self, layout: Layout, features: usize, units: usize) -> Result<()> {
        for (argument, size) in [("features", features), ("units", units)] {
            if size == 0 {
                return Err(Error::value(argument, "a positive integer", size));
            }
        }
        let columns = layout.gates.checked_mul(units).ok_or(Error::Memory(usize::MAX))?;
        if features.checked_mul(columns) != Some(self.kernel.len()) {
            return Err(Error::shape("kernel", [features, columns], [self.kernel.len()]));
        }
        let mut outputs = units;
        if let Some(projection) = self.projection {
            if !layout.may_project() {
                let expected = "None, because the cell reads its previous output unit by unit";
                return Err(Error::kind("projection", expected, "an array"));
            }
            outputs = projection.len() / units;
            if outputs == 0 || outputs > units || outputs * units != projection.len() {
                let expected = format!("[{units}, 1 to {units}]");
                let received = format!("{:?}", [projection.len()]);
                return Err(Error::Shape { argument: "projection", expected, received });
            }
        }
        let columns = layout.recurrent() * units;
        if outputs.checked_mul(columns) != Some(self.recurrent_kernel.len()) {
            let received = [self.recurrent_kernel.len()];
            return Err(Error::shape("recurrent_kernel", [outputs, columns], received));
        }
        if layout.vectors * units != self.vectors.len() {
            return Err(Error::shape("vectors", [layout.vectors, units], [self.vectors.len()]));
        }
        match self.bias {
            Some(bias) if bias.len() != layout.bias() * units => {
                Err(Error::shape("bias", [layout.bias() * units], [bias.len()]))
            }
            _ => Ok(()),
        }
    }
}
