//! Users' cells as programs, for Python.

use std::sync::{Arc, Mutex, PoisonError};

use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use super::arrays::{Axes, Flat, Held, New, Number, flat, hold};
use super::guard::{caught, detached};
use crate::error::Error;
use crate::machine::simd::Element;
use crate::machine::threads::Team;
use crate::programs::{
    self, Ends, Gradients, Home, Instruction, Join, Op, Operand, Options, Problem, Register,
    Results, Run, Seeds, State,
};

/// A checked program for one dtype, opaque and frozen.
#[pyclass(frozen, module = "ferrnn._core")]
pub(super) struct Program {
    program: Arc<programs::Program>,
    double: bool,
}

impl Program {
    /// The program, which computes with numbers of either type.
    pub(super) fn program(&self) -> Arc<programs::Program> {
        self.program.clone()
    }

    /// The program, for numbers of its own type.
    pub(super) fn checked<T: Number>(&self) -> PyResult<Arc<programs::Program>> {
        if self.double == (size_of::<T>() == size_of::<f64>()) {
            return Ok(self.program.clone());
        }
        let (expected, received) =
            if self.double { ("float32", "float64") } else { ("float64", "float32") };
        Err(Error::kind("program", format!("a {expected} program, like the plan"), received).into())
    }
}

type ByAxis = (usize, usize, usize);
type OperandArgument = (usize, usize, ByAxis);

fn operand((register, offset, strides): OperandArgument) -> Operand {
    Operand { register, offset, strides: strides.into() }
}

/// An instruction from a tuple that begins with its name.
fn instruction(given: &Bound<'_, PyTuple>) -> PyResult<Instruction> {
    let name = given.get_item(0)?;
    let name = name.cast::<PyString>()?.to_str()?;
    match name {
        "map" => {
            type Given = (String, bool, ByAxis, OperandArgument, Vec<OperandArgument>);
            let (op, accumulate, counts, dest, sources) = given.get_item(1)?.extract::<Given>()?;
            let op = Op::named(&op)?;
            if sources.len() != op.arity() {
                let expected = format!("{} sources for {op:?}", op.arity());
                return Err(Error::value("sections", expected, sources.len()).into());
            }
            let mut all = [Operand::default(); 3];
            for (to, &from) in all.iter_mut().zip(&sources) {
                *to = operand(from);
            }
            let (counts, dest) = (counts.into(), operand(dest));
            Ok(Instruction::Map { op, accumulate, counts, dest, sources: all })
        }
        "reduce" => {
            type Given = (String, bool, ByAxis, OperandArgument, OperandArgument);
            let (join, accumulate, counts, dest, source) = given.get_item(1)?.extract::<Given>()?;
            Ok(Instruction::Reduce {
                join: Join::named(&join)?,
                accumulate,
                counts: counts.into(),
                dest: operand(dest),
                source: operand(source),
            })
        }
        "product" => {
            type Given = (usize, (usize, usize), ByAxis, (usize, bool), bool);
            let (dest, left, shape, matrix, accumulate) = given.get_item(1)?.extract::<Given>()?;
            Ok(Instruction::Product { dest, left, shape: shape.into(), matrix, accumulate })
        }
        "outer" => {
            type Given = (usize, (usize, usize), usize, ByAxis);
            let (dest, left, right, shape) = given.get_item(1)?.extract::<Given>()?;
            Ok(Instruction::Outer { dest, left, right, shape: shape.into() })
        }
        "sum_rows" => {
            let (dest, source) = given.get_item(1)?.extract()?;
            Ok(Instruction::SumRows { dest, source })
        }
        _ => Err(Error::value("sections", "the name of an instruction", name).into()),
    }
}

fn home(name: &str) -> PyResult<Home> {
    match name {
        "static" => Ok(Home::Static),
        "series" => Ok(Home::Series),
        "state" => Ok(Home::State),
        "local" => Ok(Home::Local),
        _ => Err(Error::value("registers", "static, series, state or local", name).into()),
    }
}

type StateArgument = (usize, usize, Option<usize>, Option<usize>);

#[pymethods]
impl Program {
    #[new]
    #[pyo3(signature = (double, registers, sections, *, inputs, weights, states, output,
        output_state=None, d_output=None, d_inputs=Vec::new(), d_weights=Vec::new()))]
    #[allow(
        clippy::too_many_arguments,
        clippy::needless_pass_by_value,
        reason = "they are Python's keywords"
    )]
    fn new(
        double: bool,
        registers: Vec<(String, usize)>,
        sections: Vec<Vec<Bound<'_, PyTuple>>>,
        inputs: Vec<usize>,
        weights: Vec<usize>,
        states: Vec<StateArgument>,
        output: usize,
        output_state: Option<usize>,
        d_output: Option<usize>,
        d_inputs: Vec<Option<usize>>,
        d_weights: Vec<Option<usize>>,
    ) -> PyResult<Self> {
        caught(|| {
            let registers = registers.iter();
            let registers = registers
                .map(|(name, width)| Ok(Register { home: home(name)?, width: *width }))
                .collect::<PyResult<Vec<_>>>()?;
            let sections = sections
                .iter()
                .map(|section| section.iter().map(instruction).collect::<PyResult<Vec<_>>>())
                .collect::<PyResult<Vec<_>>>()?;
            let count = sections.len();
            let sections = sections.try_into().map_err(|_| {
                PyErr::from(Error::value("sections", "six lists of instructions", count))
            })?;
            let states = states.into_iter();
            let states = states
                .map(|(before, after, d_after, d_before)| State {
                    before,
                    after,
                    d_after,
                    d_before,
                })
                .collect();
            let ends = Ends {
                inputs,
                weights,
                states,
                output,
                output_state,
                d_output,
                d_inputs,
                d_weights,
            };
            let program = programs::Program::new(None, registers, sections, ends)?;
            Ok(Self { program: Arc::new(program), double })
        })
    }
}

/// The arrays of one call.
struct Given<T> {
    inputs: Vec<Held<T>>,
    weights: Vec<Flat<T>>,
    states: Vec<Held<T>>,
    mask: Option<Flat<bool>>,
    options: Options,
}

impl<T: Number> Given<T> {
    fn problem(&self) -> Problem<'_, T> {
        Problem {
            inputs: self.inputs.iter().map(Held::view).collect(),
            states: self.states.iter().map(Held::view).collect(),
            mask: self.mask.as_ref().map(Flat::elements),
            options: self.options,
        }
    }

    fn sizes(&self) -> Option<[usize; 2]> {
        let [batch, time, _] = self.inputs.first()?.view().shape();
        Some([batch, time])
    }
}

/// What forward kept for backward, with the arrays that it read; opaque.
#[pyclass(frozen, module = "ferrnn._core")]
pub(super) struct ProgramRun(Kept);

enum Kept {
    F32(Both<f32>),
    F64(Both<f64>),
}

struct Both<T: Element> {
    program: Arc<programs::Program>,
    given: Given<T>,
    run: Mutex<Run<T>>,
}

type Objects<'py> = Vec<Bound<'py, PyAny>>;
type Arrays<'a, 'py> = (&'a Objects<'py>, &'a Objects<'py>, &'a Objects<'py>);
type Mask<'a, 'py> = Option<&'a Bound<'py, PyAny>>;
type Forward<K> = (Py<PyAny>, Py<PyTuple>, K);

/// Outputs, final states (none unless wanted), and what backward needs, if the program has a
/// backward pass.
#[pyfunction]
#[allow(
    clippy::too_many_arguments,
    clippy::needless_pass_by_value,
    reason = "they are Python's arguments"
)]
pub(super) fn program_forward<'py>(
    py: Python<'py>,
    program: &Program,
    inputs: Vec<Bound<'py, PyAny>>,
    weights: Vec<Bound<'py, PyAny>>,
    states: Vec<Bound<'py, PyAny>>,
    mask: Option<Bound<'py, PyAny>>,
    options: (bool, bool, bool),
    final_state: bool,
) -> PyResult<Forward<Option<ProgramRun>>> {
    caught(|| {
        let (go_backwards, return_sequences, zero_output) = options;
        let options = Options { go_backwards, return_sequences, zero_output };
        let arrays = (&inputs, &weights, &states);
        if program.double {
            let given = given::<f64>(arrays, mask.as_ref(), options)?;
            let (outputs, state, kept) = forward(py, &program.program, given, final_state)?;
            Ok((outputs, state, kept.map(|kept| ProgramRun(Kept::F64(kept)))))
        } else {
            let given = given::<f32>(arrays, mask.as_ref(), options)?;
            let (outputs, state, kept) = forward(py, &program.program, given, final_state)?;
            Ok((outputs, state, kept.map(|kept| ProgramRun(Kept::F32(kept)))))
        }
    })
}

fn shape_of(argument: &str, array: &Bound<'_, PyAny>) -> PyResult<Vec<usize>> {
    let Ok(array) = array.cast::<PyUntypedArray>() else {
        let received = array.get_type().name()?;
        return Err(PyTypeError::new_err(format!(
            "`{argument}`: expected a NumPy array, received {received}"
        )));
    };
    Ok(array.shape().to_vec())
}

fn given<T: Number>(
    (inputs, weights, states): Arrays<'_, '_>,
    mask: Mask<'_, '_>,
    options: Options,
) -> PyResult<Given<T>> {
    let inputs = inputs.iter().map(|array| hold::<T>("inputs", array, Axes::Three));
    let weights = weights.iter();
    let weights = weights.map(|array| flat::<T>("weights", array, &shape_of("weights", array)?));
    let states = states.iter().map(|array| hold::<T>("states", array, Axes::Two));
    let mask = mask.map(|array| flat::<bool>("mask", array, &shape_of("mask", array)?));
    Ok(Given {
        inputs: inputs.collect::<PyResult<_>>()?,
        weights: weights.collect::<PyResult<_>>()?,
        states: states.collect::<PyResult<_>>()?,
        mask: mask.transpose()?,
        options,
    })
}

fn forward<T: Number>(
    py: Python<'_>,
    program: &Arc<programs::Program>,
    given: Given<T>,
    final_state: bool,
) -> PyResult<Forward<Option<Both<T>>>> {
    let Some([batch, time]) = given.sizes() else {
        return Err(Error::value("inputs", "at least one array", 0).into());
    };
    let ends = program.ends();
    let size = program.width_of(ends.output);
    let sequences = given.options.return_sequences;
    let shape: &[usize] = if sequences { &[batch, time, size] } else { &[batch, size] };
    let mut outputs = New::<T>::empty(py, shape)?;
    let wanted = if final_state { &ends.states[..] } else { &[] };
    let sizes: Vec<_> = wanted.iter().map(|state| program.width_of(state.before)).collect();
    let new = |&size: &usize| New::<T>::empty(py, &[batch, size]);
    let mut states = sizes.iter().map(new).collect::<PyResult<Vec<_>>>()?;
    let problem = given.problem();
    let weights: Vec<_> = given.weights.iter().map(Flat::elements).collect();
    let run = detached(py, |stop| {
        let mut team = Team::gather(program.threads::<T>(batch, time)?);
        let mut run = Run::new(program, batch, time, team.size())?;
        run.take(program, &weights)?;
        let steps = if sequences { time } else { 1 };
        let views = states.iter_mut().zip(&sizes);
        let views = views.map(|(state, &size)| state.view([batch, 1, size]));
        let results = Results {
            outputs: outputs.view([batch, steps, size])?,
            states: views.collect::<crate::error::Result<_>>()?,
        };
        run.forward(program, &problem, results, &mut team, stop)?;
        Ok(run)
    })?;
    drop((problem, weights));
    let states = PyTuple::new(py, states.into_iter().map(New::finish))?.unbind();
    let kept =
        program.goes_back().then(|| Both { program: program.clone(), given, run: Mutex::new(run) });
    Ok((outputs.finish(), states, kept))
}

type Backward = (Option<Py<PyTuple>>, Py<PyTuple>, Py<PyTuple>);

/// Gradients with respect to the inputs (if wanted), the weights (None without any) and the initial
/// states.
#[pyfunction]
pub(super) fn program_backward(
    py: Python<'_>,
    run: &ProgramRun,
    d_outputs: Option<&Bound<'_, PyAny>>,
    d_states: Option<Vec<Option<Bound<'_, PyAny>>>>,
    inputs_need_gradient: bool,
) -> PyResult<Backward> {
    caught(|| {
        let d_states = d_states.unwrap_or_default();
        match &run.0 {
            Kept::F32(both) => backward(py, both, d_outputs, &d_states, inputs_need_gradient),
            Kept::F64(both) => backward(py, both, d_outputs, &d_states, inputs_need_gradient),
        }
    })
}

fn backward<T: Number>(
    py: Python<'_>,
    both: &Both<T>,
    d_outputs: Option<&Bound<'_, PyAny>>,
    d_states: &[Option<Bound<'_, PyAny>>],
    inputs_need_gradient: bool,
) -> PyResult<Backward> {
    let (program, given) = (&both.program, &both.given);
    let ends = program.ends();
    let [batch, time] = given.sizes().unwrap_or_default();
    let axes = if given.options.return_sequences { Axes::Three } else { Axes::Two };
    let d_outputs = d_outputs.map(|array| hold::<T>("d_outputs", array, axes)).transpose()?;
    let d_states = d_states.iter();
    let d_states = d_states
        .map(|d| d.as_ref().map(|d| hold::<T>("d_states", d, Axes::Two)).transpose())
        .collect::<PyResult<Vec<_>>>()?;
    let wanted = if inputs_need_gradient { &ends.inputs[..] } else { &[] };
    let input_sizes: Vec<_> = wanted.iter().map(|&input| program.width_of(input)).collect();
    let state_sizes: Vec<_> =
        ends.states.iter().map(|state| program.width_of(state.before)).collect();
    let mut inputs = (input_sizes.iter())
        .map(|&size| New::<T>::empty(py, &[batch, time, size]))
        .collect::<PyResult<Vec<_>>>()?;
    let mut states = (state_sizes.iter())
        .map(|&size| New::<T>::empty(py, &[batch, size]))
        .collect::<PyResult<Vec<_>>>()?;
    let mut weights = (ends.d_weights.iter().zip(&ends.weights))
        .map(|(d, &weight)| d.map(|_| New::<T>::empty(py, &[program.width_of(weight)])).transpose())
        .collect::<PyResult<Vec<_>>>()?;
    let problem = given.problem();
    detached(py, |stop| {
        let seeds = Seeds {
            d_outputs: d_outputs.as_ref().map(Held::view),
            d_states: d_states.iter().map(|d| d.as_ref().map(Held::view)).collect(),
        };
        let d_inputs = inputs.iter_mut().zip(&input_sizes);
        let d_inputs = d_inputs.map(|(d, &size)| d.view([batch, time, size]).map(Some));
        let d_initial = states.iter_mut().zip(&state_sizes);
        let d_initial = d_initial.map(|(d, &size)| d.view([batch, 1, size]));
        let gradients = Gradients {
            inputs: d_inputs.collect::<crate::error::Result<_>>()?,
            states: d_initial.collect::<crate::error::Result<_>>()?,
            weights: weights.iter_mut().map(|d| d.as_mut().map(New::elements)).collect(),
        };
        let mut run = both.run.lock().unwrap_or_else(PoisonError::into_inner);
        let threads = program.threads::<T>(batch, time)?.min(run.parts());
        run.backward(program, &problem, &seeds, gradients, &mut Team::gather(threads), stop)
    })?;
    let finished = |arrays: Vec<New<T>>| PyTuple::new(py, arrays.into_iter().map(New::finish));
    let inputs = if inputs_need_gradient { Some(finished(inputs)?.unbind()) } else { None };
    let weights = PyTuple::new(py, weights.into_iter().map(|d| d.map(New::finish)))?.unbind();
    Ok((inputs, weights, finished(states)?.unbind()))
}
