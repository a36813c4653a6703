//! Layers of a plan that the engine does not know: it hands them back to Python, in their place.

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use super::arrays::{New, Number, flat};
use super::leaving::Inside;
use crate::error::{Error, Result};
use crate::machine::memory::Buffer;
use crate::machine::threads::Ask;
use crate::models::{Draws, Masks, Node, Passed, Passing, Shape};

/// The exception that such a layer raised; the engine only knows that it was interrupted.
pub(super) type Raised = Arc<Mutex<Option<PyErr>>>;

/// Takes out the exception that a layer raised.
pub(super) fn take(raised: &Raised) -> Option<PyErr> {
    raised.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// The layer, as an object with `shape`, `forward` and `backward`.
pub(super) struct HandedBack {
    pub(super) layer: Py<PyAny>,
    /// Of the weights that training changes.
    pub(super) sizes: Vec<usize>,
    pub(super) masks: Masks,
    /// What it gave besides, then the gradients by that.
    pub(super) besides: Vec<Option<Py<PyAny>>>,
    pub(super) raised: Raised,
}

type Axes = (usize, usize, usize);

fn axes(shape: Shape) -> Axes {
    (shape.rows, shape.time, shape.features)
}

/// A copy of a value, which the layer may keep.
fn array<T: Number>(py: Python<'_>, shape: Shape, values: &[T]) -> PyResult<Py<PyAny>> {
    let mut made = New::<T>::empty(py, &shape.axes())?;
    made.elements().copy_from_slice(values);
    Ok(made.finish())
}

/// A mask, as Python reads it: one byte for each step.
pub(super) fn as_bytes<'py>(py: Python<'py>, mask: &[bool]) -> Bound<'py, PyBytes> {
    let bytes: Vec<u8> = mask.iter().map(|&counts| u8::from(counts)).collect();
    PyBytes::new(py, &bytes)
}

impl HandedBack {
    /// The shape of one of the values that it gives.
    fn shape_of(&self, number: usize, inputs: &[Shape]) -> Result<Shape> {
        self.ask(|py| {
            let inputs: Vec<_> = inputs.iter().map(|&shape| axes(shape)).collect();
            let made = self.layer.call_method1(py, "shape", (inputs,))?;
            let (rows, time, features) = made.bind(py).get_item(number)?.extract::<Axes>()?;
            Ok(Shape { rows, time, features })
        })
    }

    /// Asks the layer, with the interpreter's lock.
    fn ask<R>(&self, question: impl FnOnce(Python<'_>) -> PyResult<R>) -> Result<R> {
        let answer = Python::try_attach(|py| {
            let _inside = Inside::enter();
            question(py)
        });
        match answer {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) => {
                *self.raised.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Err(Error::Interrupted)
            }
            None => Err(Error::Interrupted),
        }
    }
}

/// A copy of numbers, which the layer may keep.
fn flat_array<T: Number>(py: Python<'_>, values: &[T]) -> PyResult<Py<PyAny>> {
    let mut made = New::<T>::empty(py, &[values.len()])?;
    made.elements().copy_from_slice(values);
    Ok(made.finish())
}

fn copied<T: Number>(name: &str, to: &mut [T], from: &Bound<'_, PyAny>) -> PyResult<()> {
    to.copy_from_slice(flat::<T>(name, from, &[to.len()])?.elements());
    Ok(())
}

impl<T: Number> Node<T> for HandedBack {
    fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    fn shape(&self, inputs: Shape) -> Result<Shape> {
        Node::<T>::joined(self, &[inputs])
    }

    fn joined(&self, inputs: &[Shape]) -> Result<Shape> {
        self.shape_of(0, inputs)
    }

    fn besides(&self) -> usize {
        self.besides.len()
    }

    fn shape_besides(&self, number: usize, inputs: &[Shape]) -> Result<Shape> {
        self.shape_of(1 + number, inputs)
    }

    fn give(&mut self, number: usize, to: &mut [T]) -> Result<()> {
        let made = self.besides[number].take();
        self.ask(|py| match made {
            Some(made) => copied("outputs", to, made.bind(py)),
            None => Ok(()),
        })
    }

    fn take(&mut self, number: usize, slopes: &[T]) -> Result<()> {
        let slopes = self.ask(|py| flat_array(py, slopes))?;
        self.besides[number] = Some(slopes);
        Ok(())
    }

    fn masks(&self) -> Masks {
        self.masks
    }

    fn forward(
        &mut self,
        passing: &Passing<'_, T>,
        outputs: &mut [T],
        _draws: &mut Draws,
        _stop: Ask<'_>,
    ) -> Result<()> {
        let besides = self.ask(|py| {
            let inputs = PyList::empty(py);
            inputs.append(array(py, passing.shape, passing.inputs)?)?;
            for &(shape, values) in passing.more {
                inputs.append(array(py, shape, values)?)?;
            }
            let mask = passing.mask.map(|mask| as_bytes(py, mask));
            let said = (inputs, mask, passing.training, passing.keep);
            let made = self.layer.call_method1(py, "forward", said)?;
            let mut made = made.extract::<Vec<Py<PyAny>>>(py)?.into_iter();
            if let Some(first) = made.next() {
                copied("outputs", outputs, first.bind(py))?;
            }
            Ok(made.map(Some).collect::<Vec<_>>())
        })?;
        if besides.len() != self.besides.len() {
            let expected = format!("{} arrays", 1 + self.besides.len());
            return Err(Error::value("outputs", expected, 1 + besides.len()));
        }
        self.besides = besides;
        Ok(())
    }

    fn backward(
        &mut self,
        passed: Passed<'_, T>,
        gradients: &mut [Buffer<T>],
        _stop: Ask<'_>,
    ) -> Result<()> {
        let Passed { d_outputs, d_inputs, d_more, .. } = passed;
        self.ask(|py| {
            let given = PyList::empty(py);
            given.append(flat_array(py, d_outputs)?)?;
            for slopes in &self.besides {
                given.append(slopes)?;
            }
            let made = self.layer.call_method1(py, "backward", (given,))?;
            let (by_inputs, by_weights) =
                made.extract::<(Vec<Option<Py<PyAny>>>, Vec<Py<PyAny>>)>(py)?;
            let slopes = std::iter::once(d_inputs).chain(d_more.iter_mut().map(Option::take));
            for (to, from) in slopes.zip(by_inputs) {
                match (to, from) {
                    (Some(to), Some(from)) => copied("d_inputs", to, from.bind(py))?,
                    (Some(to), None) => to.fill(T::ZERO),
                    (None, _) => {}
                }
            }
            for (to, from) in gradients.iter_mut().zip(by_weights) {
                copied("gradients", to, from.bind(py))?;
            }
            Ok(())
        })
    }
}
