//! Convolutions over frames for Python.

use std::sync::Arc;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use super::arrays::{Axes, New, Number, hold};
use super::dense::DenseWeights;
use super::guard::{caught, detached};
use super::weights::{Either, is_double};
use crate::kernels::activation::Activation;
use crate::layers::convolution::{self, Axis, ConvLstmLayer, Frames, States};
use crate::layers::dense::Weights;
use crate::machine::memory::View;

/// Size, stride, dilation, places before, windows.
type Given = (usize, usize, usize, usize, usize);

fn axis(places: usize, (size, stride, dilation, before, windows): Given) -> Axis {
    Axis { places, size, stride, dilation, before, windows }
}

/// How windows lie over inputs `[frame, line, columns and features]`.
fn frames<T: Number>(
    weights: &Weights<T>,
    inputs: View<'_, T>,
    [lines, columns]: [Given; 2],
) -> PyResult<Frames> {
    let [_, places, line] = inputs.shape();
    let taps = lines.0.saturating_mul(columns.0);
    let features = weights.features().checked_div(taps).unwrap_or(0);
    if features == 0 || features * taps != weights.features() || line % features != 0 {
        return Err(PyValueError::new_err(format!(
            "`inputs`: expected lines of whole places, with 1/{taps} of the kernel's {} rows as \
             features, received lines of {line} elements",
            weights.features()
        )));
    }
    Ok(Frames { lines: axis(places, lines), columns: axis(line / features, columns), features })
}

/// Outputs `[frame, line, column, unit]` for inputs `[frame, line, columns and features]`.
#[pyfunction]
pub(super) fn convolution_forward(
    py: Python<'_>,
    weights: &DenseWeights,
    inputs: &Bound<'_, PyAny>,
    lines: Given,
    columns: Given,
) -> PyResult<Py<PyAny>> {
    caught(|| match &weights.0 {
        Either::F32(weights) => forward(py, weights, inputs, [lines, columns]),
        Either::F64(weights) => forward(py, weights, inputs, [lines, columns]),
    })
}

fn forward<T: Number>(
    py: Python<'_>,
    weights: &Weights<T>,
    inputs: &Bound<'_, PyAny>,
    axes: [Given; 2],
) -> PyResult<Py<PyAny>> {
    let inputs = hold::<T>("inputs", inputs, Axes::Three)?;
    let frames = frames(weights, inputs.view(), axes)?;
    let (count, units) = (inputs.view().shape()[0], weights.units());
    let [lines, columns] = [frames.lines, frames.columns].map(|axis| axis.windows);
    let mut outputs = New::<T>::empty(py, &[count, lines, columns, units])?;
    detached(py, |stop| {
        let to = outputs.view([count * lines, 1, columns * units])?;
        convolution::forward(weights, frames, inputs.view(), to, stop)
    })?;
    Ok(outputs.finish())
}

type Next = (Py<PyAny>, Py<PyAny>);

/// h and c after a step of a convolutional LSTM, `[frame, line, column, filter]`; arrays are given as
/// `[frame, line, columns and features]`.
#[pyfunction]
pub(super) fn conv_lstm_step(
    py: Python<'_>,
    weights: (PyRef<'_, DenseWeights>, PyRef<'_, DenseWeights>),
    arrays: (Bound<'_, PyAny>, Bound<'_, PyAny>, Bound<'_, PyAny>),
    lines: Given,
    columns: Given,
    activations: (&str, &str),
) -> PyResult<Next> {
    caught(|| {
        let activation = Activation::named("activation", activations.0)?;
        let recurrent = Activation::named("recurrent_activation", activations.1)?;
        let (activations, axes) = ([activation, recurrent], [lines, columns]);
        let ((kernel, recurrent_kernel), (inputs, h, c)) = (weights, arrays);
        let arrays = [&inputs, &h, &c];
        match (&kernel.0, &recurrent_kernel.0) {
            (Either::F32(x), Either::F32(h)) => step(py, [x, h], arrays, axes, activations),
            (Either::F64(x), Either::F64(h)) => step(py, [x, h], arrays, axes, activations),
            _ => Err(PyTypeError::new_err(
                "`weights`: expected kernels of one dtype, received float32 and float64",
            )),
        }
    })
}

fn step<T: Number>(
    py: Python<'_>,
    [kernel, recurrent_kernel]: [&Arc<Weights<T>>; 2],
    [inputs, h, c]: [&Bound<'_, PyAny>; 3],
    axes: [Given; 2],
    [activation, recurrent_activation]: [Activation; 2],
) -> PyResult<Next> {
    let inputs = hold::<T>("inputs", inputs, Axes::Three)?;
    let (h, c) = (hold::<T>("h", h, Axes::Three)?, hold::<T>("c", c, Axes::Three)?);
    let frames = frames(kernel, inputs.view(), axes)?;
    let (count, filters) = (inputs.view().shape()[0], kernel.units() / 4);
    let [lines, columns] = [frames.lines, frames.columns].map(|axis| axis.windows);
    let shape = [count, lines, columns, filters];
    let (mut new_h, mut new_c) = (New::<T>::empty(py, &shape)?, New::<T>::empty(py, &shape)?);
    detached(py, |stop| {
        let shape = [count * lines, 1, columns * filters];
        let (new_h, new_c) = (new_h.view(shape)?, new_c.view(shape)?);
        let layer =
            ConvLstmLayer { kernel, recurrent_kernel, frames, activation, recurrent_activation };
        let states = States { h: h.view(), c: c.view(), new_h, new_c };
        convolution::step(layer, inputs.view(), states, stop)
    })?;
    Ok((new_h.finish(), new_c.finish()))
}

/// How windows lie over frames of `features` features, given as those of [`max_pool`].
fn pooled(
    [_, places, line]: [usize; 3],
    features: usize,
    [lines, columns]: [Given; 2],
) -> PyResult<Frames> {
    if features == 0 || line % features != 0 {
        return Err(PyValueError::new_err(format!(
            "`features`: expected a divisor of a line's length {line}, received {features}"
        )));
    }
    Ok(Frames { lines: axis(places, lines), columns: axis(line / features, columns), features })
}

/// The maximum of each window, `[frame, line, column, feature]`, of inputs `[frame, line, columns
/// and features]`.
#[pyfunction]
pub(super) fn max_pool(
    py: Python<'_>,
    inputs: &Bound<'_, PyAny>,
    features: usize,
    lines: Given,
    columns: Given,
) -> PyResult<Py<PyAny>> {
    caught(|| {
        if is_double("inputs", inputs)? {
            highest::<f64>(py, inputs, features, [lines, columns])
        } else {
            highest::<f32>(py, inputs, features, [lines, columns])
        }
    })
}

fn highest<T: Number>(
    py: Python<'_>,
    inputs: &Bound<'_, PyAny>,
    features: usize,
    axes: [Given; 2],
) -> PyResult<Py<PyAny>> {
    let inputs = hold::<T>("inputs", inputs, Axes::Three)?;
    let frames = pooled(inputs.view().shape(), features, axes)?;
    let count = inputs.view().shape()[0];
    let [lines, columns] = [frames.lines, frames.columns].map(|axis| axis.windows);
    let mut outputs = New::<T>::empty(py, &[count, lines, columns, features])?;
    detached(py, |stop| {
        let to = outputs.view([count * lines, 1, columns * features])?;
        convolution::max_pool(frames, inputs.view(), to, stop)
    })?;
    Ok(outputs.finish())
}

/// The gradient with respect to the inputs of [`max_pool`], with their shape; outputs and their
/// gradient are `[frame, line, columns and features]`.
#[pyfunction]
pub(super) fn max_pool_backward(
    py: Python<'_>,
    inputs: &Bound<'_, PyAny>,
    outputs: &Bound<'_, PyAny>,
    d_outputs: &Bound<'_, PyAny>,
    features: usize,
    lines: Given,
    columns: Given,
) -> PyResult<Py<PyAny>> {
    caught(|| {
        let (arrays, axes) = ([inputs, outputs, d_outputs], [lines, columns]);
        if is_double("inputs", inputs)? {
            given_back::<f64>(py, arrays, features, axes)
        } else {
            given_back::<f32>(py, arrays, features, axes)
        }
    })
}

fn given_back<T: Number>(
    py: Python<'_>,
    [inputs, outputs, d_outputs]: [&Bound<'_, PyAny>; 3],
    features: usize,
    axes: [Given; 2],
) -> PyResult<Py<PyAny>> {
    let inputs = hold::<T>("inputs", inputs, Axes::Three)?;
    let outputs = hold::<T>("outputs", outputs, Axes::Three)?;
    let d_outputs = hold::<T>("d_outputs", d_outputs, Axes::Three)?;
    let frames = pooled(inputs.view().shape(), features, axes)?;
    let shape = inputs.view().shape();
    let mut d_inputs = New::<T>::empty(py, &shape)?;
    detached(py, |stop| {
        let given = [outputs.view(), d_outputs.view()];
        convolution::max_pool_backward(frames, inputs.view(), given, d_inputs.view(shape)?, stop)
    })?;
    Ok(d_inputs.finish())
}
