//! A convolutional LSTM (Shi et al., 2015), one frame at a time.

use std::sync::Arc;

use super::places::Select;
use super::stage::{Idle, Outputs, Stage, positive, size};
use crate::error::{Error, Result};
use crate::kernels::activation::Activation;
use crate::layers::convolution::{GATES, Gates};
use crate::layers::dense;
use crate::machine::memory::Buffer;
use crate::machine::simd::{Element, Level};

/// `z = x kernel + windows(h) recurrent_kernel` at each place, gates i, f, g, o side by side; then as
/// in an LSTM.
#[derive(Clone)]
pub struct ConvLstm<T: Element> {
    /// Places of a frame of states.
    pub places: usize,
    /// The product with the windows of the inputs, `[place, features]`.
    pub kernel: Arc<dense::Weights<T>>,
    /// The product with those of the states.
    pub recurrent_kernel: Arc<dense::Weights<T>>,
    /// The windows of a frame of states, `[place, tap, filters]`.
    pub windows: Arc<Select>,
    /// The function of g and of c.
    pub activation: Activation,
    /// The function of i, f and o.
    pub recurrent_activation: Activation,
}

impl<T: Element> ConvLstm<T> {
    fn filters(&self) -> usize {
        self.kernel.units() / GATES
    }

    fn check(&self) -> Result<()> {
        positive([("places", self.places), ("filters", self.filters())])?;
        let width = self.kernel.units();
        if !width.is_multiple_of(GATES) || self.recurrent_kernel.units() != width {
            let received = [width, self.recurrent_kernel.units()];
            let expected = "as many columns as `recurrent_kernel`, a multiple of 4";
            return Err(Error::value("kernel", expected, received));
        }
        let read = size([self.places, self.recurrent_kernel.features()])?;
        if self.windows.output_size() != read {
            return Err(Error::shape("windows", [read], [self.windows.output_size()]));
        }
        let state = size([self.places, self.filters()])?;
        if self.windows.input_size() != state {
            return Err(Error::shape("windows", [state], [self.windows.input_size()]));
        }
        Ok(())
    }
}

/// The states, and the memory that a step needs.
pub(super) struct ConvLstmStage<T: Element> {
    layer: ConvLstm<T>,
    h: Outputs<T>,
    c: Outputs<T>,
    /// The windows of one row's h.
    windows: Buffer<T>,
    /// The gates that the products of its places become.
    gates: Gates<T>,
}

impl<T: Element> ConvLstmStage<T> {
    pub(super) fn new(level: Level, layer: ConvLstm<T>, rows: usize) -> Result<Self> {
        layer.check()?;
        let state = layer.places * layer.filters();
        let activations = [layer.activation, layer.recurrent_activation];
        Ok(Self {
            h: Outputs::new(rows, state)?,
            c: Outputs::new(rows, state)?,
            windows: Buffer::zeroed(layer.windows.output_size())?,
            gates: Gates::new(level, activations, [layer.places, layer.filters()])?,
            layer,
        })
    }
}

impl<T: Element> Stage<T> for ConvLstmStage<T> {
    fn input_size(&self) -> usize {
        self.layer.places * self.layer.kernel.features()
    }

    fn output_size(&self) -> usize {
        self.h.units
    }

    fn work(&self) -> usize {
        let depth = self.layer.kernel.features() + self.layer.recurrent_kernel.features();
        self.layer.places * depth * self.layer.kernel.units()
    }

    fn advance(&mut self, inputs: &[T], stride: usize, idle: &mut Idle) {
        let (plane, units, apart) = (self.h.stride, self.h.units, self.gates.apart);
        for (row, inputs) in inputs.chunks_exact(stride).enumerate() {
            if idle.has(row) {
                continue;
            }
            let at = row * plane..(row + 1) * plane;
            self.layer.windows.apply(&self.h.values[at.clone()], &mut self.windows);
            let ConvLstm { kernel, recurrent_kernel, .. } = &self.layer;
            kernel.multiply(inputs, kernel.features(), &mut self.gates.projected, apart);
            let depth = recurrent_kernel.features();
            recurrent_kernel.multiply(&self.windows, depth, &mut self.gates.recurrent, apart);
            let h = &mut self.h.values[at.clone()];
            self.gates.update(&mut self.c.values[at], h);
            h[units..].fill(T::ZERO);
        }
    }

    fn outputs(&self) -> (&[T], usize) {
        self.h.get()
    }

    fn states(&self) -> Result<Vec<usize>> {
        crate::machine::lists::filled(self.h.units, 2)
    }

    fn read_state(&mut self, state: usize, row: usize, to: &mut [T]) {
        let from = if state == 0 { &self.h } else { &self.c };
        to.copy_from_slice(&from.values[row * from.stride..][..from.units]);
    }

    fn write_state(&mut self, state: usize, row: usize, from: &[T]) {
        let to = if state == 0 { &mut self.h } else { &mut self.c };
        to.values[row * to.stride..][..to.units].copy_from_slice(from);
    }

    fn reset(&mut self, row: usize) {
        for state in [&mut self.h, &mut self.c] {
            state.values[row * state.stride..][..state.stride].fill(T::ZERO);
        }
    }
}
