//! What a cell can be told: its options, and its weights as arrays.

use crate::kernels::activation::Activation;
use crate::machine::simd::Level;

/// What a cell can be told besides its weights.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The function of the candidate and the output.
    pub activation: Activation,
    /// The function of the gates.
    pub recurrent_activation: Activation,
    /// The instruction set; `None` is the one in use ([`Level::current`]).
    pub level: Option<Level>,
    /// Keeps the recurrent weights as bfloat16, 8 bits of precision instead of 24: for inference
    /// alone, in `f32` (states and sums stay as they are). Few rows are then computed faster, as half
    /// as much is read.
    pub bfloat16: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            activation: Activation::Tanh,
            recurrent_activation: Activation::Sigmoid,
            level: None,
            bfloat16: false,
        }
    }
}

/// A cell's weights as Keras lays them out, C-contiguous.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a, T> {
    /// `[features, gates · units]`
    pub kernel: &'a [T],
    /// `[units, gates · units]`
    pub recurrent_kernel: &'a [T],
    /// `[vectors, units]`, the weights of each unit alone; empty for a cell without.
    pub vectors: &'a [T],
    /// `[gates · units]`, or twice that where the recurrent product has a bias of its own.
    pub bias: Option<&'a [T]>,
}
