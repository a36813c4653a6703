//! A program from the last step to the first: gradients.

use super::forward::Problem;
use super::instruction::Home;
use super::program::{Program, Section};
use super::run::Run;
use crate::error::{Error, Result, expect_shape};
use crate::machine::memory::{Buffer, View, ViewMut};
use crate::machine::simd::Element;
use crate::machine::threads::{Ask, Stop};

/// Gradients with respect to what forward returned.
pub struct Seeds<'a, T> {
    /// `[batch, time or 1, size]`.
    pub d_outputs: Option<View<'a, T>>,
    /// `[batch, 1, size]` for each state, or none of them.
    pub d_states: Vec<Option<View<'a, T>>>,
}

/// Gradients with respect to what forward read.
pub struct Gradients<'a, T> {
    /// `[batch, time, size]` with respect to each of the inputs that need one, or none of them.
    pub inputs: Vec<Option<ViewMut<'a, T>>>,
    /// `[batch, 1, size]` with respect to each state.
    pub states: Vec<ViewMut<'a, T>>,
    /// With respect to each of the weights that have one.
    pub weights: Vec<Option<&'a mut [T]>>,
}

/// What is passed from a step to the one before it, besides the registers.
struct Carried<T: Element> {
    /// The gradient with respect to the output that masked steps repeat, for each row of a group.
    repeated: Buffer<T>,
    /// The states' gradients at masked steps.
    states: Buffer<T>,
    /// Elements of a row of `states`.
    size: usize,
}

impl<T: Element> Run<T> {
    /// Computes gradients; `problem` is forward's.
    ///
    /// # Errors
    /// If the program has no backward pass, if a shape does not fit, if memory runs out, or if
    /// `stop` said so.
    pub fn backward(
        &mut self,
        program: &Program,
        problem: &Problem<'_, T>,
        seeds: &Seeds<'_, T>,
        mut gradients: Gradients<'_, T>,
        stop: Ask<'_>,
    ) -> Result<()> {
        self.check_back(program, problem, seeds, &gradients)?;
        let stop = Stop::new(stop);
        self.pack(program, true)?;
        self.clear_sums(program);
        let size = program.ends().states.iter().map(|state| program.width_of(state.before)).sum();
        let mut carried = Carried {
            repeated: Buffer::zeroed(self.group * program.width_of(program.ends().output))?,
            states: Buffer::zeroed(self.group * size)?,
            size,
        };
        for first in (0..self.batch).step_by(self.group) {
            let rows = (first, self.group.min(self.batch - first));
            self.begin(program, problem, seeds, rows, &mut carried);
            for n in (0..self.time).rev() {
                stop.poll(0)?;
                self.step_back(program, problem, seeds, n, rows, &mut carried)?;
            }
            self.end(program, problem, rows, &carried, &mut gradients);
        }
        stop.poll(0)?;
        self.execute(program, Section::Sums, 0, self.batch * self.time)?;
        stop.poll(0)?;
        self.execute(program, Section::StaticBack, 0, 1)?;
        self.give(program, problem, &mut gradients);
        Ok(())
    }

    fn check_back(
        &self,
        program: &Program,
        problem: &Problem<'_, T>,
        seeds: &Seeds<'_, T>,
        gradients: &Gradients<'_, T>,
    ) -> Result<()> {
        let (batch, ends) = (self.batch, program.ends());
        if !program.goes_back() {
            return Err(Error::kind("program", "a program with a backward pass", "one without"));
        }
        if batch == 0 || self.time == 0 {
            return Err(Error::value(
                "inputs",
                "at least one row and one step",
                [batch, self.time],
            ));
        }
        let steps = if problem.options.return_sequences { self.time } else { 1 };
        let size = program.width_of(ends.output);
        if let Some(view) = &seeds.d_outputs {
            expect_shape("d_outputs", [batch, steps, size], view.shape())?;
        }
        for (view, state) in seeds.d_states.iter().zip(&ends.states) {
            if let Some(view) = view {
                expect_shape("d_states", [batch, 1, program.width_of(state.before)], view.shape())?;
            }
        }
        for (view, &register) in gradients.inputs.iter().zip(&ends.inputs) {
            let Some(view) = view else { continue };
            expect_shape("d_inputs", [batch, self.time, program.width_of(register)], view.shape())?;
        }
        for (view, state) in gradients.states.iter().zip(&ends.states) {
            expect_shape("d_states", [batch, 1, program.width_of(state.before)], view.shape())?;
        }
        for (array, &register) in gradients.weights.iter().zip(&ends.weights) {
            let received = array.as_ref().map_or(program.width_of(register), |array| array.len());
            if received != program.width_of(register) {
                let expected = [program.width_of(register)];
                return Err(Error::shape("d_weights", expected, [received]));
            }
        }
        Ok(())
    }

    /// Zero in the registers of gradients that are the same for all rows and steps.
    fn clear_sums(&mut self, program: &Program) {
        for instruction in program.sections[Section::StepBack as usize..].iter().flatten() {
            let dest = instruction.dest();
            if program.registers[dest].home == Home::Static {
                self.registers[dest].fill(T::ZERO);
            }
        }
    }

    /// The gradients after the last step.
    fn begin(
        &mut self,
        program: &Program,
        problem: &Problem<'_, T>,
        seeds: &Seeds<'_, T>,
        (first, rows): (usize, usize),
        carried: &mut Carried<T>,
    ) {
        for (n, state) in program.ends().states.iter().enumerate() {
            let Some(register) = state.d_after else { continue };
            let (_, stride) = Self::place(program, register, 0);
            let given = seeds.d_states.get(n).and_then(Option::as_ref);
            let size = program.width_of(register);
            for (row, to) in
                self.registers[register].chunks_exact_mut(stride).take(rows).enumerate()
            {
                match given {
                    Some(view) => to[..size].copy_from_slice(view.row(first + row, 0)),
                    None => to[..size].fill(T::ZERO),
                }
            }
        }
        carried.repeated.fill(T::ZERO);
        if let Some(view) = seeds.d_outputs.as_ref().filter(|_| !problem.options.return_sequences) {
            let size = program.width_of(program.ends().output);
            for (row, to) in carried.repeated.chunks_exact_mut(size).take(rows).enumerate() {
                to.copy_from_slice(view.row(first + row, 0));
            }
        }
    }

    fn step_back(
        &mut self,
        program: &Program,
        problem: &Problem<'_, T>,
        seeds: &Seeds<'_, T>,
        n: usize,
        (first, rows): (usize, usize),
        carried: &mut Carried<T>,
    ) -> Result<()> {
        let ends = program.ends();
        let step = problem.step(n, self.time);
        let d_outputs = seeds.d_outputs.as_ref().filter(|_| problem.options.return_sequences);
        let time = self.time;
        let real = |row| problem.is_real(first + row, step, time);
        if let Some(register) = ends.d_output {
            let size = program.width_of(register);
            let (_, stride) = Self::place(program, register, 0);
            let repeated = carried.repeated.chunks_exact_mut(size);
            let to = self.registers[register].chunks_exact_mut(stride);
            for (row, (repeated, to)) in repeated.zip(to).take(rows).enumerate() {
                let to = &mut to[..size];
                if let Some(view) = d_outputs {
                    for (sum, &d) in repeated.iter_mut().zip(view.row(first + row, n)) {
                        *sum = *sum + d;
                    }
                }
                if real(row) {
                    to.copy_from_slice(repeated);
                    repeated.fill(T::ZERO);
                } else {
                    to.fill(T::ZERO);
                    if problem.options.zero_output {
                        repeated.fill(T::ZERO);
                    }
                }
            }
        }
        if problem.mask.is_some() {
            self.hold(program, rows, &real, carried);
        }
        self.execute(program, Section::StepBack, n * self.batch + first, rows)?;
        self.carry_back(program, n * self.batch + first, rows, carried, problem.mask.is_some());
        Ok(())
    }

    /// Sets the states' gradients aside at a step that is masked.
    fn hold(
        &mut self,
        program: &Program,
        rows: usize,
        real: &dyn Fn(usize) -> bool,
        carried: &mut Carried<T>,
    ) {
        carried.states.fill(T::ZERO);
        let mut from = 0;
        for state in &program.ends().states {
            let Some(register) = state.d_after else { continue };
            let (_, stride) = Self::place(program, register, 0);
            let size = program.width_of(register);
            for row in (0..rows).filter(|&row| !real(row)) {
                let own = &mut self.registers[register][row * stride..][..size];
                carried.states[row * carried.size + from..][..size].copy_from_slice(own);
                own.fill(T::ZERO);
            }
            from += size;
        }
    }

    /// The gradients with respect to the states before a step become those after the one before it.
    fn carry_back(
        &mut self,
        program: &Program,
        at: usize,
        rows: usize,
        carried: &Carried<T>,
        masked: bool,
    ) {
        let mut from = 0;
        for state in &program.ends().states {
            let Some(register) = state.d_after else { continue };
            let (_, stride) = Self::place(program, register, 0);
            let size = program.width_of(register);
            let mut next = std::mem::take(&mut self.registers[register]);
            for row in 0..rows {
                let next = &mut next[row * stride..][..size];
                match state.d_before {
                    Some(before) => {
                        let (base, stride) = Self::place(program, before, at);
                        let before = &self.registers[before][base + row * stride..];
                        next.copy_from_slice(&before[..size]);
                    }
                    None => next.fill(T::ZERO),
                }
                if masked {
                    let held = &carried.states[row * carried.size + from..];
                    for (next, &held) in next.iter_mut().zip(held) {
                        *next = *next + held;
                    }
                }
            }
            self.registers[register] = next;
            from += size;
        }
    }

    /// The gradients with respect to the initial states.
    fn end(
        &mut self,
        program: &Program,
        problem: &Problem<'_, T>,
        (first, rows): (usize, usize),
        carried: &Carried<T>,
        gradients: &mut Gradients<'_, T>,
    ) {
        let ends = program.ends();
        let zeroed = problem.options.zero_output || problem.mask.is_none();
        for (n, (view, state)) in gradients.states.iter_mut().zip(&ends.states).enumerate() {
            let Some(register) = state.d_after else { continue };
            let (_, stride) = Self::place(program, register, 0);
            for row in 0..rows {
                let to = view.row(first + row, 0);
                let size = to.len();
                to.copy_from_slice(&self.registers[register][row * stride..][..size]);
                if ends.output_state == Some(n) && !zeroed {
                    for (to, &d) in to.iter_mut().zip(&carried.repeated[row * size..]) {
                        *to = *to + d;
                    }
                }
            }
        }
    }

    /// Writes the gradients with respect to inputs and weights to where they are wanted.
    fn give(&self, program: &Program, problem: &Problem<'_, T>, gradients: &mut Gradients<'_, T>) {
        let ends = program.ends();
        for (view, register) in gradients.inputs.iter_mut().zip(&ends.d_inputs) {
            let Some(view) = view else { continue };
            for n in 0..self.time {
                let step = problem.step(n, self.time);
                for row in 0..self.batch {
                    let to = view.row(row, step);
                    let Some(register) = register.filter(|_| problem.is_real(row, step, self.time))
                    else {
                        to.fill(T::ZERO);
                        continue;
                    };
                    let (base, _) = Self::place(program, register, n * self.batch + row);
                    to.copy_from_slice(&self.registers[register][base..][..to.len()]);
                }
            }
        }
        for (array, register) in gradients.weights.iter_mut().zip(&ends.d_weights) {
            let Some(array) = array else { continue };
            match register {
                Some(register) => {
                    let size = array.len();
                    array.copy_from_slice(&self.registers[*register][..size]);
                }
                None => array.fill(T::ZERO),
            }
        }
    }
}
