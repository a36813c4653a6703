//! A program from the first step to the last.

use super::instruction::Home;
use super::part::{Call, Part};
use super::problem::{Problem, Results, Views, expect};
use super::program::{Program, Section};
use super::run::Run;
use crate::error::{Error, Result, expect_shape};
use crate::machine::memory::{Buffer, View, ViewMut};
use crate::machine::simd::Element;
use crate::machine::threads::{Ask, Stop, Team};

impl<T: Element> Run<T> {
    fn check(
        &self,
        program: &Program,
        problem: &Problem<'_, T>,
        results: &Results<'_, T>,
    ) -> Result<()> {
        let (batch, time, ends) = (self.batch, self.time, program.ends());
        if batch == 0 || time == 0 {
            return Err(Error::value("inputs", "at least one row and one step", [batch, time]));
        }
        if !self.has_weights {
            return Err(Error::kind("weights", "weights taken before the call", "none"));
        }
        let counts = [
            ("inputs", problem.inputs.len(), ends.inputs.len()),
            ("states", problem.states.len(), ends.states.len()),
        ];
        for (argument, received, expected) in counts {
            let from_zero = argument == "states" && received == 0;
            if received != expected && !from_zero {
                return Err(Error::value(argument, format!("{expected} arrays"), received));
            }
        }
        let inputs = problem.inputs.iter().map(View::shape).zip(&ends.inputs);
        let shape = |register: usize, steps: usize| [batch, steps, program.width_of(register)];
        expect("inputs", &mut inputs.map(|(found, &of)| (shape(of, time), found)))?;
        let befores = || ends.states.iter().map(|state| shape(state.before, 1));
        expect("states", &mut befores().zip(problem.states.iter().map(View::shape)))?;
        if let Some(mask) = problem.mask.filter(|mask| mask.len() != batch * time) {
            return Err(Error::shape("mask", [batch, time], [mask.len()]));
        }
        let steps = if problem.options.return_sequences { time } else { 1 };
        expect_shape("outputs", shape(ends.output, steps), results.outputs.shape())?;
        expect("states", &mut befores().zip(results.states.iter().map(ViewMut::shape)))
    }

    /// Computes outputs and final states, with the weights that were taken; the team's threads take
    /// the parts of the batch.
    ///
    /// # Errors
    /// If no weights were taken, if a shape does not fit, if memory runs out, or if `stop` said so.
    pub fn forward(
        &mut self,
        program: &Program,
        problem: &Problem<'_, T>,
        results: Results<'_, T>,
        team: &mut Team,
        stop: Ask<'_>,
    ) -> Result<()> {
        self.check(program, problem, &results)?;
        let mut arrays = std::iter::once(results.outputs).chain(results.states).map(Some);
        let (stop, time) = (Stop::new(stop), self.time);
        self.each_part(&mut arrays, team, &|fixed, part, results, worker| {
            let call = Call { program, fixed, problem, time, stop: &stop, worker };
            part.forward(&call, results)
        })
    }
}

impl<T: Element> Part<T> {
    fn forward(&mut self, call: &Call<'_, '_, T>, results: &mut Views<'_, T>) -> Result<()> {
        self.take_inputs(call);
        let size = call.program.width_of(call.program.ends().output);
        let mut last = Buffer::zeroed(self.group * size)?;
        for first in (0..self.rows).step_by(self.group) {
            let rows = self.group.min(self.rows - first);
            self.start(call, (first, rows), &mut last);
            self.execute(call, Section::Begin, first, rows);
            for n in 0..call.time {
                call.stop.poll(call.worker)?;
                self.step(call, n, (first, rows), &mut last, results);
            }
            self.finish(call, (first, rows), &last, results);
        }
        Ok(())
    }

    /// Inputs step after step in processing order; what stands at a masked step is not data.
    fn take_inputs(&mut self, call: &Call<'_, '_, T>) {
        let Call { program, problem, time, .. } = *call;
        for (view, &register) in problem.inputs.iter().zip(&program.ends().inputs) {
            let size = program.width_of(register);
            let stride = program.registers[register].stride();
            let mut to = self.registers[register].chunks_exact_mut(stride);
            for n in 0..time {
                let step = problem.step(n, time);
                for (row, to) in (self.first..self.first + self.rows).zip(&mut to) {
                    if problem.is_real(row, step, time) {
                        to[..size].copy_from_slice(view.row(row, step));
                    } else {
                        to[..size].fill(T::ZERO);
                    }
                }
            }
        }
    }

    /// The states before the first step, and the output that a masked first step repeats.
    fn start(&mut self, call: &Call<'_, '_, T>, (first, rows): (usize, usize), last: &mut [T]) {
        let Call { program, problem, .. } = *call;
        let ends = program.ends();
        for (n, state) in ends.states.iter().enumerate() {
            let (base, stride) = program.place(state.before, first);
            let size = program.width_of(state.before);
            for row in 0..rows {
                let to = &mut self.registers[state.before][base + row * stride..][..size];
                match problem.states.get(n) {
                    Some(view) => to.copy_from_slice(view.row(self.first + first + row, 0)),
                    None => to.fill(T::ZERO),
                }
            }
        }
        last.fill(T::ZERO);
        let zeroed = problem.options.zero_output && problem.mask.is_some();
        let repeated = ends.output_state.filter(|_| !zeroed);
        if let Some(state) = repeated.and_then(|state| problem.states.get(state)) {
            let size = program.width_of(ends.output);
            for (row, last) in last.chunks_exact_mut(size).take(rows).enumerate() {
                last.copy_from_slice(state.row(self.first + first + row, 0));
            }
        }
    }

    fn step(
        &mut self,
        call: &Call<'_, '_, T>,
        n: usize,
        (first, rows): (usize, usize),
        last: &mut [T],
        results: &mut Views<'_, T>,
    ) {
        let Call { program, problem, time, .. } = *call;
        let at = n * self.rows + first;
        self.execute(call, Section::Step, at, rows);
        let step = problem.step(n, time);
        let ends = program.ends();
        let size = program.width_of(ends.output);
        let (base, stride) = program.place(ends.output, at);
        let output = &self.registers[ends.output][base..];
        let mut outputs = results[0].as_mut().filter(|_| problem.options.return_sequences);
        for (row, last) in last.chunks_exact_mut(size).take(rows).enumerate() {
            if problem.is_real(self.first + first + row, step, time) {
                last.copy_from_slice(&output[row * stride..][..size]);
            } else if problem.options.zero_output {
                last.fill(T::ZERO);
            }
            if let Some(outputs) = &mut outputs {
                outputs.row(first + row, n).copy_from_slice(last);
            }
        }
        self.carry(call, at, (first, rows), step);
    }

    /// The states after a step become those before the next; at a masked step they stay.
    fn carry(
        &mut self,
        call: &Call<'_, '_, T>,
        at: usize,
        (first, rows): (usize, usize),
        step: usize,
    ) {
        let Call { program, problem, time, .. } = *call;
        for state in program.ends().states.iter().filter(|state| !program.stays(state)) {
            let size = program.width_of(state.before);
            let (from, stride) = program.place(state.after, at);
            let (base, own) = program.place(state.before, at);
            let kept = program.registers[state.before].home == Home::State;
            let next = if kept { base + self.rows * own } else { base };
            let mut before = std::mem::take(&mut self.registers[state.before]);
            let after = &self.registers[state.after][from..];
            for row in 0..rows {
                if problem.is_real(self.first + first + row, step, time) {
                    let after = &after[row * stride..][..size];
                    before[next + row * own..][..size].copy_from_slice(after);
                } else if kept {
                    let from = base + row * own;
                    before.copy_within(from..from + size, next + row * own);
                }
            }
            self.registers[state.before] = before;
        }
    }

    fn finish(
        &self,
        call: &Call<'_, '_, T>,
        (first, rows): (usize, usize),
        last: &[T],
        results: &mut Views<'_, T>,
    ) {
        let Call { program, problem, time, .. } = *call;
        let ends = program.ends();
        let (outputs, states) = results.split_at_mut(1);
        let outputs = outputs.iter_mut().flatten();
        for outputs in outputs.filter(|_| !problem.options.return_sequences) {
            let size = program.width_of(ends.output);
            for (row, last) in last.chunks_exact(size).take(rows).enumerate() {
                outputs.row(first + row, 0).copy_from_slice(last);
            }
        }
        for (view, state) in states.iter_mut().flatten().zip(&ends.states) {
            let (base, stride) = program.place(state.before, time * self.rows + first);
            for row in 0..rows {
                let to = view.row(first + row, 0);
                let from = &self.registers[state.before][base + row * stride..];
                to.copy_from_slice(&from[..to.len()]);
            }
        }
    }
}
