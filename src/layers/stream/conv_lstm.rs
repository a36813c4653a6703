//! A convolutional LSTM (Shi et al., 2015), one frame at a time.

use std::sync::Arc;

use super::places::Select;
use super::stage::{Idle, Outputs, Stage, positive, size};
use crate::error::{Error, Result};
use crate::kernels::activation::Activation;
use crate::kernels::pack::row_stride;
use crate::kernels::row_function::{ApplyToRows, RowFunction};
use crate::layers::dense;
use crate::machine::memory::Buffer;
use crate::machine::simd::{Element, Kernel, Level, Simd};

const GATES: usize = 4;

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
    /// Of g, and of c.
    pub activation: Activation,
    /// Of i, f and o.
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
            return Err(Error::shape("kernel", [GATES * self.filters(); 2], received));
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

/// The states, and the memory that a step takes.
pub(super) struct ConvLstmStage<T: Element> {
    level: Level,
    layer: ConvLstm<T>,
    h: Outputs<T>,
    c: Outputs<T>,
    /// The windows of one row's h.
    windows: Buffer<T>,
    /// The products with the inputs and with those windows, `[place][stride]`.
    projected: Buffer<T>,
    recurrent: Buffer<T>,
    /// `[gate][stride of a row of states]`
    gates: Buffer<T>,
    /// c, activated.
    shown: Buffer<T>,
}

impl<T: Element> ConvLstmStage<T> {
    pub(super) fn new(level: Level, layer: ConvLstm<T>, rows: usize) -> Result<Self> {
        layer.check()?;
        let state = layer.places * layer.filters();
        let products = size([layer.places, row_stride(layer.kernel.units())])?;
        Ok(Self {
            level,
            h: Outputs::new(rows, state)?,
            c: Outputs::new(rows, state)?,
            windows: Buffer::zeroed(layer.windows.output_size())?,
            projected: Buffer::zeroed(products)?,
            recurrent: Buffer::zeroed(products)?,
            gates: Buffer::zeroed(size([GATES, row_stride(state)])?)?,
            shown: Buffer::zeroed(row_stride(state))?,
            layer,
        })
    }

    /// Sums the products into the gates.
    fn spread(&mut self) {
        let filters = self.layer.filters();
        let (apart, plane) = (row_stride(self.layer.kernel.units()), self.h.stride);
        let pairs = self.projected.chunks_exact(apart).zip(self.recurrent.chunks_exact(apart));
        for (place, (x, h)) in pairs.enumerate() {
            for gate in 0..GATES {
                let to = &mut self.gates[gate * plane + place * filters..][..filters];
                let (x, h) = (&x[gate * filters..][..filters], &h[gate * filters..][..filters]);
                for (to, (&x, &h)) in to.iter_mut().zip(x.iter().zip(h)) {
                    *to = x + h;
                }
            }
        }
    }

    fn activate(level: Level, activation: Activation, values: &mut [T]) {
        let (function, units) = (RowFunction::Each(activation), values.len());
        T::dispatch(level, ApplyToRows { function, values, stride: units, units });
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
        let (level, plane, units) = (self.level, self.h.stride, self.h.units);
        let apart = row_stride(self.layer.kernel.units());
        let (act, gate) = (self.layer.activation, self.layer.recurrent_activation);
        for (row, inputs) in inputs.chunks_exact(stride).enumerate() {
            if idle.has(row) {
                continue;
            }
            let at = row * plane..(row + 1) * plane;
            self.layer.windows.apply(&self.h.values[at.clone()], &mut self.windows);
            let ConvLstm { kernel, recurrent_kernel, .. } = &self.layer;
            kernel.multiply(inputs, kernel.features(), &mut self.projected, apart);
            let depth = recurrent_kernel.features();
            recurrent_kernel.multiply(&self.windows, depth, &mut self.recurrent, apart);
            self.spread();
            let (input_forget, rest) = self.gates.split_at_mut(2 * plane);
            let (candidate, output) = rest.split_at_mut(plane);
            Self::activate(level, gate, input_forget);
            Self::activate(level, act, candidate);
            Self::activate(level, gate, output);
            let (input, forget) = input_forget.split_at(plane);
            let c = &mut self.c.values[at.clone()];
            T::dispatch(level, Remember { input, forget, candidate, c });
            self.shown.copy_from_slice(c);
            Self::activate(level, act, &mut self.shown);
            let h = &mut self.h.values[at];
            T::dispatch(level, Show { output, shown: &self.shown, h });
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

/// `c = f c + i g`
struct Remember<'a, T> {
    input: &'a [T],
    forget: &'a [T],
    candidate: &'a [T],
    c: &'a mut [T],
}

impl<T: Element> Kernel<T> for Remember<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) {
        let added = s.vectors(self.input).iter().zip(s.vectors(self.candidate));
        let kept = s.vectors_mut(self.c).iter_mut().zip(s.vectors(self.forget));
        for ((c, &f), (&i, &g)) in kept.zip(added) {
            *c = s.add(s.mul(f, *c), s.mul(i, g));
        }
    }
}

/// `h = o a(c)`
struct Show<'a, T> {
    output: &'a [T],
    shown: &'a [T],
    h: &'a mut [T],
}

impl<T: Element> Kernel<T> for Show<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, s: S) {
        let pairs = s.vectors(self.output).iter().zip(s.vectors(self.shown));
        for (h, (&o, &c)) in s.vectors_mut(self.h).iter_mut().zip(pairs) {
            *h = s.mul(o, c);
        }
    }
}
