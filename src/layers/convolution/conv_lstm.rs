//! One step of a convolutional LSTM (Shi et al., 2015).

use super::windows::{Axis, Frames, Gathered, plan};
use crate::error::{Error, Result, expect_shape};
use crate::kernels::activation::Activation;
use crate::kernels::pack::row_stride;
use crate::kernels::row_function::{ApplyToRows, RowFunction};
use crate::layers::dense::Weights;
use crate::machine::lists::Listed;
use crate::machine::memory::{Buffer, View, ViewMut};
use crate::machine::simd::{Element, Kernel, Level, Simd};
use crate::machine::threads::{self, Ask, Stop};

pub(crate) const GATES: usize = 4;

/// The places of a line, or of a whole frame: their products become the gates i, f, g and o, and
/// these become the states.
pub(crate) struct Gates<T: Element> {
    level: Level,
    /// The function of g and c, and that of i, f and o.
    activations: [Activation; 2],
    filters: usize,
    /// The products with the inputs and with the states, `[place][apart]`.
    pub(crate) projected: Buffer<T>,
    pub(crate) recurrent: Buffer<T>,
    pub(crate) apart: usize,
    /// `[gate][plane]`
    sums: Buffer<T>,
    plane: usize,
    /// c, activated.
    shown: Buffer<T>,
}

impl<T: Element> Gates<T> {
    pub(crate) fn new(
        level: Level,
        activations: [Activation; 2],
        [places, filters]: [usize; 2],
    ) -> Result<Self> {
        let apart = row_stride(filters.saturating_mul(GATES));
        let plane = row_stride(places.saturating_mul(filters));
        let products = places.saturating_mul(apart);
        Ok(Self {
            level,
            activations,
            filters,
            projected: Buffer::zeroed(products)?,
            recurrent: Buffer::zeroed(products)?,
            apart,
            sums: Buffer::zeroed(plane.saturating_mul(GATES))?,
            plane,
            shown: Buffer::zeroed(plane)?,
        })
    }

    /// The next c, where the last one is, and h: aligned rows of whole vectors that hold all places.
    pub(crate) fn update(&mut self, c: &mut [T], h: &mut [T]) {
        self.spread();
        let (level, [act, gate]) = (self.level, self.activations);
        let (input_forget, rest) = self.sums.split_at_mut(2 * self.plane);
        let (candidate, output) = rest.split_at_mut(self.plane);
        activate(level, gate, input_forget);
        activate(level, act, candidate);
        activate(level, gate, output);
        let (input, forget) = input_forget.split_at(self.plane);
        T::dispatch(level, Remember { input, forget, candidate, c });
        self.shown.copy_from_slice(c);
        activate(level, act, &mut self.shown);
        T::dispatch(level, Show { output, shown: &self.shown, h });
    }

    /// Sums the products into the gates.
    fn spread(&mut self) {
        let filters = self.filters;
        let pairs = self.projected.chunks_exact(self.apart);
        for (place, (x, h)) in pairs.zip(self.recurrent.chunks_exact(self.apart)).enumerate() {
            for gate in 0..GATES {
                let to = &mut self.sums[gate * self.plane + place * filters..][..filters];
                let (x, h) = (&x[gate * filters..][..filters], &h[gate * filters..][..filters]);
                for (to, (&x, &h)) in to.iter_mut().zip(x.iter().zip(h)) {
                    *to = x + h;
                }
            }
        }
    }
}

fn activate<T: Element>(level: Level, activation: Activation, values: &mut [T]) {
    let (function, units) = (RowFunction::Each(activation), values.len());
    T::dispatch(level, ApplyToRows { function, values, stride: units, units });
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

/// The layer: its kernels, of units i, f, g, o side by side, and its activations.
#[derive(Clone, Copy)]
pub struct ConvLstmLayer<'a, T: Element> {
    /// The product with windows of the inputs.
    pub kernel: &'a Weights<T>,
    /// The product with windows of h: as many windows as places, padded with zeros.
    pub recurrent_kernel: &'a Weights<T>,
    /// The windows of the inputs.
    pub frames: Frames,
    /// The function of g and of c.
    pub activation: Activation,
    /// The function of i, f and o.
    pub recurrent_activation: Activation,
}

impl<T: Element> ConvLstmLayer<'_, T> {
    fn filters(&self) -> usize {
        self.kernel.units() / GATES
    }

    /// The windows of the states.
    fn of_states(&self) -> Frames {
        let axis = |of: Axis| Axis {
            places: of.windows,
            stride: 1,
            before: (of.size - 1) / 2,
            windows: of.windows,
            ..of
        };
        let Frames { lines, columns, .. } = self.frames;
        let lines = Axis { dilation: 1, ..axis(lines) };
        Frames { lines, columns: axis(columns), features: self.filters() }
    }

    fn check(&self) -> Result<()> {
        self.frames.check(self.kernel)?;
        let [width, recurrent] = [self.kernel, self.recurrent_kernel].map(Weights::units);
        if !width.is_multiple_of(GATES) || recurrent != width {
            let expected = "as many columns as `recurrent_kernel`, a multiple of 4";
            return Err(Error::value("kernel", expected, [width, recurrent]));
        }
        self.of_states().check(self.recurrent_kernel)
    }
}

/// The states that a step reads and those that it writes: the former `[frame, line of windows, windows
/// and filters]`, the latter `[frame and line of windows, 1, windows and filters]`.
pub struct States<'a, T> {
    /// The outputs before the step.
    pub h: View<'a, T>,
    /// The memory before the step.
    pub c: View<'a, T>,
    /// The outputs.
    pub new_h: ViewMut<'a, T>,
    /// The memory.
    pub new_c: ViewMut<'a, T>,
}

/// One step: inputs are `[frame, line, columns and features]`.
///
/// # Errors
/// If a shape does not fit, if memory runs out, or if `stop` said so.
pub fn step<T: Element>(
    layer: ConvLstmLayer<'_, T>,
    inputs: View<'_, T>,
    states: States<'_, T>,
    stop: Ask<'_>,
) -> Result<()> {
    layer.check()?;
    let (frames, of_states) = (layer.frames, layer.of_states());
    let (count, windows) = (inputs.shape()[0], frames.lines.windows);
    expect_shape("inputs", [count, frames.lines.places, frames.line()], inputs.shape())?;
    let States { h, c, new_h, new_c } = states;
    expect_shape("h", [count, windows, of_states.line()], h.shape())?;
    expect_shape("c", [count, windows, of_states.line()], c.shape())?;
    let lines = count.saturating_mul(windows);
    expect_shape("new_h", [lines, 1, of_states.line()], new_h.shape())?;
    expect_shape("new_c", [lines, 1, of_states.line()], new_c.shape())?;
    let work = frames.work(layer.kernel, lines);
    let work = work.saturating_add(of_states.work(layer.recurrent_kernel, lines));
    let (threads, parts) = plan(lines, work)?;
    let (new_h, new_c) = (new_h.split(parts.iter().cloned())?, new_c.split(parts.iter().cloned())?);
    let tasks = parts.into_iter().zip(new_h.into_iter().zip(new_c));
    let mut tasks = tasks.map(|(lines, (h, c))| (lines, h, c, Ok(()))).listed()?;
    let stop = Stop::new(stop);
    threads::for_each(threads, &mut tasks, |worker, (lines, new_h, new_c, result)| {
        *result = stop.poll(worker).and_then(|()| {
            let mut line = Line::new(layer)?;
            for (n, at) in lines.clone().enumerate() {
                let (frame, at) = (at / windows, at % windows);
                line.step((inputs, h, c), (frame, at), new_h.row(n, 0), new_c.row(n, 0));
            }
            Ok(())
        });
    });
    tasks.into_iter().try_for_each(|(.., result)| result)
}

/// What a thread keeps for the lines that it computes one after the other.
struct Line<'a, T: Element> {
    layer: ConvLstmLayer<'a, T>,
    of_inputs: Gathered<T>,
    of_h: Gathered<T>,
    gates: Gates<T>,
    c: Buffer<T>,
    h: Buffer<T>,
}

impl<'a, T: Element> Line<'a, T> {
    fn new(layer: ConvLstmLayer<'a, T>) -> Result<Self> {
        let of_states = layer.of_states();
        let plane = row_stride(of_states.line());
        let activations = [layer.activation, layer.recurrent_activation];
        let size = [of_states.columns.places, of_states.features];
        Ok(Self {
            layer,
            of_inputs: Gathered::new(layer.frames)?,
            of_h: Gathered::new(of_states)?,
            gates: Gates::new(layer.kernel.level(), activations, size)?,
            c: Buffer::zeroed(plane)?,
            h: Buffer::zeroed(plane)?,
        })
    }

    fn step(
        &mut self,
        (inputs, h, c): (View<'_, T>, View<'_, T>, View<'_, T>),
        (frame, line): (usize, usize),
        new_h: &mut [T],
        new_c: &mut [T],
    ) {
        self.of_inputs.gather(inputs, frame, line);
        self.of_h.gather(h, frame, line);
        let (apart, size) = (self.gates.apart, new_c.len());
        self.of_inputs.multiply(self.layer.kernel, &mut self.gates.projected, apart);
        self.of_h.multiply(self.layer.recurrent_kernel, &mut self.gates.recurrent, apart);
        self.c[..size].copy_from_slice(c.row(frame, line));
        self.gates.update(&mut self.c, &mut self.h);
        new_c.copy_from_slice(&self.c[..size]);
        new_h.copy_from_slice(&self.h[..size]);
    }
}
