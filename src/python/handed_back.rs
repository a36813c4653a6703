//! Layers of a plan that the engine does not know: it hands them back to Python, in their place.

use std::sync::{Arc, Mutex, PoisonError};

use numpy::PyUntypedArrayMethods;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use super::arrays::{New, Number, flat};
use super::leaving::Inside;
use super::program::Program;
use super::written::an_array;
use crate::error::{Error, Result};
use crate::machine::lists::Listed;
use crate::machine::memory::Buffer;
use crate::machine::threads::Ask;
use crate::models::{Draws, Masks, Node, Over, Passed, Passing, Programmed, Shape, Weight};
use crate::programs::Options;

/// The exception that such a layer raised; the engine only knows that it was interrupted.
pub(super) type Raised = Arc<Mutex<Option<PyErr>>>;

/// Takes out the exception that a layer raised.
pub(super) fn take(raised: &Raised) -> Option<PyErr> {
    raised.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// The layer, as an object with `shape`, `program`, `forward` and `backward`.
pub(super) struct HandedBack<T: Number> {
    layer: Py<PyAny>,
    /// The sizes of the weights that training changes.
    sizes: Vec<usize>,
    masks: Masks,
    /// The values that it gave besides its outputs, then their gradients.
    besides: Vec<Option<Py<PyAny>>>,
    raised: Raised,
    /// Its code as a program, with Python's description of it; None if Python runs it.
    known: Option<(Py<PyAny>, Known<T>)>,
    /// For which batches of this call `known` holds: the axes of the values, whether each has a
    /// mask, whether it is training, whether backward follows.
    holds: Option<(Vec<Axes>, Vec<bool>, [bool; 2])>,
}

/// A layer as Python describes it, in either number type.
pub(super) struct Layer {
    pub(super) object: Py<PyAny>,
    pub(super) sizes: Vec<usize>,
    pub(super) masks: Masks,
    /// How many values it gives.
    pub(super) makes: usize,
    pub(super) raised: Raised,
}

/// A program, how many of its rows a sample is, and the values whose masks it takes after them.
struct Known<T: Number> {
    programmed: Programmed<T>,
    parts: usize,
    masks: Vec<(usize, Buffer<T>)>,
}

type Axes = (usize, usize, usize);

fn axes(shape: Shape) -> Axes {
    (shape.rows, shape.time, shape.features)
}

/// The masks that the values come with, in order.
fn masks<'a, T>(passing: &Passing<'a, T>) -> impl Iterator<Item = Option<&'a [bool]>> {
    std::iter::once(passing.mask).chain(passing.masks.iter().copied())
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

impl<T: Number> HandedBack<T> {
    pub(super) fn new(said: Layer) -> Self {
        let Layer { object: layer, sizes, masks, makes, raised } = said;
        let besides = (1..makes).map(|_| None).collect();
        Self { layer, sizes, masks, besides, raised, known: None, holds: None }
    }

    /// Asks for the layer's program for such a call; without one, Python runs its code.
    fn take_program(&mut self, passing: &Passing<'_, T>) -> Result<()> {
        let Shape { rows, time, .. } = passing.shape;
        if rows == 0 || time == 0 || !self.besides.is_empty() {
            self.known = None;
            return Ok(());
        }
        let more = passing.more.iter().map(|&(shape, _)| axes(shape));
        let shapes: Vec<_> = std::iter::once(axes(passing.shape)).chain(more).collect();
        let masked = masks(passing).map(|mask| mask.is_some()).collect();
        let asked = (shapes, masked, [passing.training, passing.keep]);
        if self.holds.as_ref() == Some(&asked) {
            return Ok(());
        }
        self.holds = None;
        let found = self.ask(|py| {
            let (shapes, masked, [training, keep]) = &asked;
            let said = (shapes, masked, training, keep);
            let found = self.layer.call_method1(py, "program", said)?;
            match &self.known {
                _ if found.is_none(py) => Ok(None),
                Some((said, _)) if said.is(&found) => Ok(Some(None)),
                _ => {
                    let known = self.read(found.bind(py))?;
                    Ok(Some(Some((found, known))))
                }
            }
        })?;
        match found {
            None => self.known = None,
            Some(None) => {}
            Some(known) => self.known = known,
        }
        self.holds = Some(asked);
        Ok(())
    }

    /// `(program, rows of a sample, of a cell (time, go_backwards, return_sequences,
    /// zero_output_for_mask), weights, masks)`; of a weight the number, or the array if it is a constant, of
    /// a mask the number of the value that comes with it.
    fn read(&self, said: &Bound<'_, PyAny>) -> PyResult<Known<T>> {
        type Steps = (usize, bool, bool, bool);
        type Weights<'py> = Vec<Bound<'py, PyAny>>;
        type Said<'py> = (Bound<'py, Program>, usize, Option<Steps>, Weights<'py>, Vec<usize>);
        let (program, parts, over, weights, masks) = said.extract::<Said<'_>>()?;
        let over = over.map(|(time, go_backwards, return_sequences, zero_output)| Over {
            time,
            options: Options { go_backwards, return_sequences, zero_output },
        });
        let weights = weights.iter().map(|weight| {
            if let Ok(number) = weight.extract::<usize>() {
                return Ok(Weight::Own(number));
            }
            let array = flat::<T>("weights", weight, an_array("weights", weight)?.shape())?;
            let mut constant = Buffer::unfilled(array.elements().len())?;
            constant.copy_from_slice(array.elements());
            Ok(Weight::Constant(constant))
        });
        let weights = weights.collect::<PyResult<Vec<_>>>()?;
        let programmed = Programmed::new(program.get().checked::<T>()?, weights, over);
        for (number, size) in programmed.sizes() {
            if self.sizes.get(number) != Some(&size) {
                let expected = "the number and size of a weight of the layer";
                return Err(Error::value("weights", expected, (number, size)).into());
            }
        }
        let masks = masks.into_iter().map(|number| (number, Buffer::default())).collect();
        Ok(Known { programmed, parts, masks })
    }

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

impl<T: Number> Node<T> for HandedBack<T> {
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

    fn begin(&mut self) {
        self.holds = None;
    }

    fn pack(&mut self, _weights: &[&mut [T]]) -> Result<()> {
        if let Some((_, Known { programmed, .. })) = &mut self.known {
            programmed.renew();
        }
        Ok(())
    }

    fn forward(
        &mut self,
        passing: &Passing<'_, T>,
        outputs: &mut [T],
        _draws: &mut Draws,
        stop: Ask<'_>,
    ) -> Result<()> {
        self.take_program(passing)?;
        if let Some((_, Known { programmed, parts, masks: flags })) = &mut self.known {
            for (number, flags) in flags.iter_mut() {
                let missing = || Error::value("masks", "numbers of values with a mask", *number);
                let mask = masks(passing).nth(*number).flatten().ok_or_else(missing)?;
                if flags.len() != mask.len() {
                    *flags = Buffer::unfilled(mask.len())?;
                }
                for (flag, &counts) in flags.iter_mut().zip(mask) {
                    *flag = if counts { T::ONE } else { T::ZERO };
                }
            }
            let more = passing.more.iter().map(|&(_, values)| values);
            let flags = flags.iter().map(|(_, flags)| &flags[..]);
            let inputs = std::iter::once(passing.inputs).chain(more).chain(flags).listed()?;
            let rows = passing.shape.rows.checked_mul(*parts).ok_or(Error::Memory(usize::MAX))?;
            let given = (&inputs[..], passing.mask);
            return programmed.forward(rows, given, passing.weights, outputs, stop);
        }
        let besides = self.ask(|py| {
            let inputs = PyList::empty(py);
            inputs.append(array(py, passing.shape, passing.inputs)?)?;
            for &(shape, values) in passing.more {
                inputs.append(array(py, shape, values)?)?;
            }
            let masks: Vec<_> =
                masks(passing).map(|mask| mask.map(|mask| as_bytes(py, mask))).collect();
            let said = (inputs, masks, passing.training, passing.keep);
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
        stop: Ask<'_>,
    ) -> Result<()> {
        let Passed { d_outputs, d_inputs, d_more, mask, .. } = passed;
        if let Some((_, Known { programmed, masks, .. })) = &mut self.known {
            let more = d_more.iter_mut().map(Option::take);
            let flags = masks.iter().map(|_| None);
            let mut d_inputs = std::iter::once(d_inputs).chain(more).chain(flags).listed()?;
            return programmed.backward((d_outputs, mask), &mut d_inputs, gradients, stop);
        }
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
