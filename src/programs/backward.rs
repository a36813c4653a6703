//! A program from the last step to the first: gradients.

use super::instruction::Home;
use super::part::{Call, Part};
use super::problem::{Problem, Views, expect};
use super::program::{Program, Section};
use super::run::Run;
use crate::error::{Error, Result, expect_shape};
use crate::machine::memory::{Buffer, View, ViewMut};
use crate::machine::simd::Element;
use crate::machine::threads::{Ask, Stop, Team};

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
    /// Computes gradients; `problem` is forward's. The team's threads take the parts of the batch,
    /// then the sums.
    ///
    /// # Errors
    /// If the program has no backward pass, if a shape does not fit, if memory runs out, or if
    /// `stop` said so.
    pub fn backward(
        &mut self,
        program: &Program,
        problem: &Problem<'_, T>,
        seeds: &Seeds<'_, T>,
        gradients: Gradients<'_, T>,
        team: &mut Team,
        stop: Ask<'_>,
    ) -> Result<()> {
        self.check_back(program, problem, seeds, &gradients)?;
        let stop = Stop::new(stop);
        self.pack(program, true)?;
        self.clear_sums(program);
        let Gradients { inputs, states, mut weights } = gradients;
        let (count, time) = (inputs.len(), self.time);
        let mut arrays = inputs.into_iter().chain(states.into_iter().map(Some));
        self.each_part(&mut arrays, team, &|fixed, part, arrays, worker| {
            let call = Call { program, fixed, problem, time, stop: &stop, worker };
            part.backward(&call, seeds, arrays.split_at_mut(count))
        })?;
        self.sum(program, team, &stop)?;
        stop.poll(0)?;
        self.execute(program, Section::StaticBack);
        self.give(program, &mut weights);
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
        let shape = |register: usize, steps: usize| [batch, steps, program.width_of(register)];
        if let Some(view) = &seeds.d_outputs {
            expect_shape("d_outputs", shape(ends.output, steps), view.shape())?;
        }
        let befores = || ends.states.iter().map(|state| shape(state.before, 1));
        let given = befores().zip(&seeds.d_states);
        expect("d_states", &mut given.filter_map(|(of, view)| Some((of, view.as_ref()?.shape()))))?;
        let wanted = ends.inputs.iter().zip(&gradients.inputs);
        let mut wanted =
            wanted.filter_map(|(&of, view)| Some((shape(of, self.time), view.as_ref()?.shape())));
        expect("d_inputs", &mut wanted)?;
        expect("d_states", &mut befores().zip(gradients.states.iter().map(ViewMut::shape)))?;
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
                self.fixed.registers[dest].fill(T::ZERO);
            }
        }
    }

    /// Writes the gradients with respect to weights to where they are wanted.
    fn give(&self, program: &Program, weights: &mut [Option<&mut [T]>]) {
        for (array, register) in weights.iter_mut().zip(&program.ends().d_weights) {
            let Some(array) = array else { continue };
            match register {
                Some(register) => {
                    let size = array.len();
                    array.copy_from_slice(&self.fixed.registers[*register][..size]);
                }
                None => array.fill(T::ZERO),
            }
        }
    }
}

/// A part's gradients with respect to inputs, and to initial states.
type Wanted<'a, 'b, T> = (&'a mut Views<'b, T>, &'a mut Views<'b, T>);

impl<T: Element> Part<T> {
    fn backward(
        &mut self,
        call: &Call<'_, '_, T>,
        seeds: &Seeds<'_, T>,
        (inputs, states): Wanted<'_, '_, T>,
    ) -> Result<()> {
        let Call { program, time, .. } = *call;
        let size = program.ends().states.iter().map(|state| program.width_of(state.before)).sum();
        let mut carried = Carried {
            repeated: Buffer::zeroed(self.group * program.width_of(program.ends().output))?,
            states: Buffer::zeroed(self.group * size)?,
            size,
        };
        self.clear_sums();
        for first in (0..self.rows).step_by(self.group) {
            let rows = (first, self.group.min(self.rows - first));
            self.clear_rows(program);
            self.begin(call, seeds, rows, &mut carried);
            for n in (0..time).rev() {
                call.stop.poll(call.worker)?;
                self.step_back(call, seeds, n, rows, &mut carried);
            }
            self.add_rows(program, rows);
            self.end(call, rows, &carried, states);
        }
        self.give_inputs(call, inputs);
        Ok(())
    }

    /// The gradients after the last step.
    fn begin(
        &mut self,
        call: &Call<'_, '_, T>,
        seeds: &Seeds<'_, T>,
        (first, rows): (usize, usize),
        carried: &mut Carried<T>,
    ) {
        let Call { program, problem, .. } = *call;
        let first = self.first + first;
        for (n, state) in program.ends().states.iter().enumerate() {
            let Some(register) = state.d_after else { continue };
            let (_, stride) = program.place(register, 0);
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
        call: &Call<'_, '_, T>,
        seeds: &Seeds<'_, T>,
        n: usize,
        (first, rows): (usize, usize),
        carried: &mut Carried<T>,
    ) {
        let Call { program, problem, time, .. } = *call;
        let ends = program.ends();
        let step = problem.step(n, time);
        let d_outputs = seeds.d_outputs.as_ref().filter(|_| problem.options.return_sequences);
        let of_batch = self.first + first;
        let real = |row| problem.is_real(of_batch + row, step, time);
        if let Some(register) = ends.d_output {
            let size = program.width_of(register);
            let (_, stride) = program.place(register, 0);
            let repeated = carried.repeated.chunks_exact_mut(size);
            let to = self.registers[register].chunks_exact_mut(stride);
            for (row, (repeated, to)) in repeated.zip(to).take(rows).enumerate() {
                let to = &mut to[..size];
                if let Some(view) = d_outputs {
                    for (sum, &d) in repeated.iter_mut().zip(view.row(of_batch + row, n)) {
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
        let at = n * self.rows + first;
        self.execute(call, Section::StepBack, at, rows);
        self.carry_back(program, at, rows, carried, problem.mask.is_some());
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
            let (_, stride) = program.place(register, 0);
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
            let (_, stride) = program.place(register, 0);
            let size = program.width_of(register);
            let mut next = std::mem::take(&mut self.registers[register]);
            for row in 0..rows {
                let next = &mut next[row * stride..][..size];
                match state.d_before {
                    Some(before) => {
                        let (base, stride) = program.place(before, at);
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
        call: &Call<'_, '_, T>,
        (first, rows): (usize, usize),
        carried: &Carried<T>,
        states: &mut Views<'_, T>,
    ) {
        let Call { program, problem, .. } = *call;
        let ends = program.ends();
        let zeroed = problem.options.zero_output || problem.mask.is_none();
        for (n, (view, state)) in states.iter_mut().flatten().zip(&ends.states).enumerate() {
            let Some(register) = state.d_after else { continue };
            let (_, stride) = program.place(register, 0);
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

    /// Writes the gradients with respect to inputs to where they are wanted.
    fn give_inputs(&self, call: &Call<'_, '_, T>, inputs: &mut Views<'_, T>) {
        let Call { program, problem, time, .. } = *call;
        for (view, register) in inputs.iter_mut().zip(&program.ends().d_inputs) {
            let Some(view) = view else { continue };
            for n in 0..time {
                let step = problem.step(n, time);
                for row in 0..self.rows {
                    let to = view.row(row, step);
                    let real = problem.is_real(self.first + row, step, time);
                    let Some(register) = register.filter(|_| real) else {
                        to.fill(T::ZERO);
                        continue;
                    };
                    let (base, _) = program.place(register, n * self.rows + row);
                    to.copy_from_slice(&self.registers[register][base..][..to.len()]);
                }
            }
        }
    }
}
