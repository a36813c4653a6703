//! A user's code as a part of a model: a program that takes one step for each row, or the steps of
//! a cell over time.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::machine::lists::Listed;
use crate::machine::memory::{Buffer, View, ViewMut};
use crate::machine::simd::Element;
use crate::machine::threads::{Ask, Team};
use crate::programs::{Gradients, Options, Problem, Program, Results, Run, Seeds};

/// A weight of a program.
pub enum Weight<T: Element> {
    /// One of the weights that come with each call, by its number.
    Own(usize),
    /// A constant.
    Constant(Buffer<T>),
}

/// A program, its constants, and the memory between forward and backward.
pub struct Programmed<T: Element> {
    program: Arc<Program>,
    weights: Vec<Weight<T>>,
    over: Option<Over>,
    run: Option<Run<T>>,
    /// Whether the weights are still those that it has taken.
    current: bool,
}

/// The steps of a cell, which start from states of zeros.
#[derive(Clone, Copy, Debug)]
pub struct Over {
    /// How many there are.
    pub time: usize,
    /// How they are taken.
    pub options: Options,
}

/// For code that is not a cell.
const OF_ROWS: Over = Over {
    time: 1,
    options: Options { go_backwards: false, return_sequences: false, zero_output: false },
};

impl<T: Element> Programmed<T> {
    /// A program with its weights in order; it takes steps `over` time, or one for each row.
    #[must_use]
    pub fn new(program: Arc<Program>, weights: Vec<Weight<T>>, over: Option<Over>) -> Self {
        Self { program, weights, over, run: None, current: false }
    }

    /// Says that weights may have changed; otherwise they are taken once.
    pub fn renew(&mut self) {
        self.current = false;
    }

    /// The steps, and the mask if it says which of them count.
    fn steps<'a>(&self, mask: Option<&'a [bool]>) -> (Over, Option<&'a [bool]>) {
        self.over.map_or((OF_ROWS, None), |over| (over, mask))
    }

    /// The number of elements of each weight of which there is a gradient, by its number.
    pub fn sizes(&self) -> impl Iterator<Item = (usize, usize)> {
        let registers = self.weights.iter().zip(&self.program.ends().weights);
        registers.filter_map(|(weight, &register)| match weight {
            Weight::Own(number) => Some((*number, self.program.width_of(register))),
            Weight::Constant(_) => None,
        })
    }

    /// Elements of a row of the outputs.
    #[must_use]
    pub fn width(&self) -> usize {
        self.program.width_of(self.program.ends().output)
    }

    /// Computes `outputs` for `rows` rows, `[rows, time, size]` like all arrays;
    /// [`Programmed::backward`] may follow if the program has a backward pass.
    ///
    /// # Errors
    /// If arrays do not fit the program, if memory runs out, or if `stop` said so.
    pub fn forward(
        &mut self,
        rows: usize,
        (inputs, mask): (&[&[T]], Option<&[bool]>),
        weights: &[&mut [T]],
        outputs: &mut [T],
        stop: Ask<'_>,
    ) -> Result<()> {
        let (Over { time, options }, mask) = self.steps(mask);
        let mut team = Team::gather(self.program.threads::<T>(rows, time)?);
        let parts = team.size();
        // Taken out: what is refused memory keeps none.
        let mut run = if let Some(mut run) = self.run.take() {
            run.make_room(&self.program, rows, time, parts)?;
            run
        } else {
            self.current = false;
            Run::new(&self.program, rows, time, parts)?
        };
        if !self.current {
            run.take(&self.program, &given(&self.weights, weights)?)?;
            self.current = true;
        }
        let views =
            inputs.iter().map(|array| View::contiguous(array, axes(rows, time, array.len())));
        let problem = Problem { inputs: views.listed_or()?, states: Vec::new(), mask, options };
        let steps = if options.return_sequences { time } else { 1 };
        let shape = axes(rows, steps, outputs.len());
        let outputs = ViewMut::contiguous(outputs, shape)?;
        let results = Results { outputs, states: Vec::new() };
        run.forward(&self.program, &problem, results, &mut team, stop)?;
        self.run = Some(run);
        Ok(())
    }

    /// Writes the gradients with respect to the inputs that need one and to all weights, from that
    /// with respect to the outputs.
    ///
    /// # Errors
    /// If nothing was computed before, if arrays do not fit, if memory runs out, or if `stop` said so.
    pub fn backward(
        &mut self,
        (d_outputs, mask): (&[T], Option<&[bool]>),
        d_inputs: &mut [Option<&mut [T]>],
        gradients: &mut [Buffer<T>],
        stop: Ask<'_>,
    ) -> Result<()> {
        let (Over { time, options }, mask) = self.steps(mask);
        let steps = if options.return_sequences { time } else { 1 };
        let rows = d_outputs.len() / steps.saturating_mul(self.width()).max(1);
        let Some(run) = &mut self.run else {
            return Err(Error::kind("program", "a forward pass before the backward pass", "none"));
        };
        let mut places = gradients.iter_mut().map(|array| Some(&mut array[..])).listed()?;
        let own = self.weights.iter().map(|weight| match weight {
            Weight::Own(number) => places.get_mut(*number).and_then(Option::take),
            Weight::Constant(_) => None,
        });
        let weights = own.listed()?;
        for unread in places.into_iter().flatten() {
            unread.fill(T::ZERO);
        }
        let inputs = d_inputs.iter_mut().map(|array| {
            let view = |array| {
                let array: &mut [T] = array;
                let shape = axes(rows, time, array.len());
                ViewMut::contiguous(array, shape)
            };
            array.as_deref_mut().map(view).transpose()
        });
        let gradients = Gradients { inputs: inputs.listed_or()?, states: Vec::new(), weights };
        let problem = Problem { inputs: Vec::new(), states: Vec::new(), mask, options };
        let d_outputs = View::contiguous(d_outputs, axes(rows, steps, d_outputs.len()))?;
        let seeds = Seeds { d_outputs: Some(d_outputs), d_states: Vec::new() };
        let threads = self.program.threads::<T>(rows, time)?.min(run.parts());
        let mut team = Team::gather(threads);
        run.backward(&self.program, &problem, &seeds, gradients, &mut team, stop)
    }
}

/// The weights and constants in order.
fn given<'a, T: Element>(of: &'a [Weight<T>], weights: &'a [&mut [T]]) -> Result<Vec<&'a [T]>> {
    let arrays = of.iter().map(|weight| match weight {
        Weight::Own(number) => weights.get(*number).map(|array| &**array).ok_or_else(|| {
            Error::value("weights", "all weights that the program reads", weights.len())
        }),
        Weight::Constant(array) => Ok(&array[..]),
    });
    arrays.listed_or()
}

/// The shape of so many rows and steps.
fn axes(rows: usize, steps: usize, elements: usize) -> [usize; 3] {
    [rows, steps, elements / rows.saturating_mul(steps).max(1)]
}
