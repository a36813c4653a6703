//! One recurrent call as plain data, run by the engine and by a naive reference.

#![allow(dead_code, reason = "each test file uses its own part")]

mod naive;
mod random;
mod rows;
mod slopes;

use ferrnn::cells::CellKind;
use ferrnn::kernels::activation::Activation;
use ferrnn::layers::sequence::{
    Dropout, Engine, Options, Precision, Problem, Raw, Residuals, Results, Weights, forward,
};
use ferrnn::machine::memory::{View, ViewMut};
use ferrnn::machine::simd::{Element, Level};
pub use naive::naive;
pub use random::Random;
#[allow(unused_imports, reason = "each test file uses its own part")]
pub use rows::{some_rows, take};
#[allow(unused_imports, reason = "each test file uses its own part")]
pub use slopes::{Slopes, argument, check_mean, check_slopes, loss, slopes};

/// The settings of a call.
#[allow(clippy::struct_excessive_bools, reason = "each is an option of its own")]
#[derive(Clone, Debug)]
pub struct Case {
    pub cell: CellKind,
    pub activation: Activation,
    pub recurrent_activation: Activation,
    pub level: Level,
    pub batch: usize,
    pub time: usize,
    pub features: usize,
    pub units: usize,
    pub bias: bool,
    pub initial: bool,
    pub masked: bool,
    pub backwards: bool,
    pub sequences: bool,
    pub zero_masked: bool,
    /// Dropout masks: 0, 1, or one for each gate.
    pub dropout: usize,
    pub precision: Precision,
    /// The bound on the inputs of the activations.
    pub clip: Option<f64>,
    /// Size of the output, if it is projected.
    pub projected: Option<usize>,
}

impl Case {
    pub fn new(cell: CellKind, [batch, time, features, units]: [usize; 4]) -> Self {
        Self {
            cell,
            activation: Activation::Tanh,
            recurrent_activation: Activation::Sigmoid,
            level: *Level::all().last().unwrap(),
            batch,
            time,
            features,
            units,
            bias: true,
            initial: true,
            masked: false,
            backwards: false,
            sequences: true,
            zero_masked: false,
            dropout: 0,
            precision: Precision::Full,
            clip: None,
            projected: None,
        }
    }

    pub fn gates(&self) -> usize {
        self.cell.layout().gates
    }

    pub fn states(&self) -> usize {
        1 + self.cell.layout().states
    }

    /// Size of the output.
    pub fn outputs(&self) -> usize {
        self.projected.unwrap_or(self.units)
    }

    /// Size of each state.
    pub fn state_sizes(&self) -> Vec<usize> {
        (0..self.states()).map(|n| if n == 0 { self.outputs() } else { self.units }).collect()
    }

    pub fn masks(&self) -> usize {
        if self.dropout > 1 { self.gates() } else { self.dropout }
    }

    pub fn bias_len(&self) -> usize {
        self.cell.layout().bias() * self.units
    }

    pub fn out_time(&self) -> usize {
        if self.sequences { self.time } else { 1 }
    }
}

/// The arrays of a call.
#[derive(Clone, Debug)]
pub struct Arrays<T> {
    pub inputs: Vec<T>,
    pub kernel: Vec<T>,
    pub recurrent: Vec<T>,
    pub vectors: Vec<T>,
    pub projection: Vec<T>,
    pub bias: Vec<T>,
    pub state: Vec<Vec<T>>,
    pub mask: Vec<bool>,
    /// Lengths in place of the mask, if there are any.
    pub lengths: Option<Vec<usize>>,
    pub input_dropout: Vec<T>,
    pub recurrent_dropout: Vec<T>,
    pub d_outputs: Vec<T>,
    pub d_state: Vec<Vec<T>>,
}

impl Arrays<f64> {
    /// Random arrays: inputs of order one, weights with which states neither vanish nor explode.
    pub fn random(case: &Case, seed: u64) -> Self {
        let mut random = Random(seed);
        let (b, t, f, u) = (case.batch, case.time, case.features, case.units);
        let (columns, o) = (case.gates() * u, case.outputs());
        let recurrent = o * case.cell.layout().recurrent() * u;
        let dropout = |random: &mut Random, size: usize| {
            let kept = (0..case.masks() * b * size).map(|_| random.number() < 0.4);
            kept.map(|kept| if kept { 1.0 / 0.7 } else { 0.0 }).collect()
        };
        let arrays = Self {
            inputs: random.numbers(b * t * f, 1.5),
            kernel: random.numbers(f * columns, 1.5 / (f as f64).sqrt()),
            recurrent: random.numbers(recurrent, 1.2 / (u as f64).sqrt()),
            vectors: Vec::new(),
            projection: Vec::new(),
            bias: random.numbers(case.bias_len(), 0.7),
            state: case.state_sizes().iter().map(|size| random.numbers(b * size, 0.9)).collect(),
            mask: (0..b * t).map(|_| random.number() < 0.4).collect(),
            lengths: None,
            input_dropout: dropout(&mut random, f),
            recurrent_dropout: dropout(&mut random, o),
            d_outputs: random.numbers(b * case.out_time() * o, 1.0),
            d_state: case.state_sizes().iter().map(|size| random.numbers(b * size, 1.0)).collect(),
        };
        let vectors = random.numbers(case.cell.layout().vectors * u, 0.8);
        let weights = case.projected.map_or(0, |outputs| u * outputs);
        let projection = random.numbers(weights, 2.0 / (u as f64).sqrt());
        Self { vectors, projection, ..arrays }
    }

    pub fn cast<T: Element>(&self) -> Arrays<T> {
        let one = |array: &Vec<f64>| array.iter().map(|&v| T::of(v)).collect::<Vec<T>>();
        Arrays {
            inputs: one(&self.inputs),
            kernel: one(&self.kernel),
            recurrent: one(&self.recurrent),
            vectors: one(&self.vectors),
            projection: one(&self.projection),
            bias: one(&self.bias),
            state: self.state.iter().map(one).collect(),
            mask: self.mask.clone(),
            lengths: self.lengths.clone(),
            input_dropout: one(&self.input_dropout),
            recurrent_dropout: one(&self.recurrent_dropout),
            d_outputs: one(&self.d_outputs),
            d_state: self.d_state.iter().map(one).collect(),
        }
    }
}

/// What a call returns: outputs, final states.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome<T> {
    pub outputs: Vec<T>,
    pub state: Vec<Vec<T>>,
}

pub fn weights<T: Element>(case: &Case, arrays: &Arrays<T>) -> Weights<T> {
    let options = Options {
        activation: case.activation,
        recurrent_activation: case.recurrent_activation,
        level: Some(case.level),
        precision: case.precision,
        clip: case.clip,
        recurrent_clip: case.clip,
    };
    let raw = Raw {
        kernel: &arrays.kernel,
        recurrent_kernel: &arrays.recurrent,
        vectors: &arrays.vectors,
        bias: case.bias.then_some(&arrays.bias),
        projection: case.projected.map(|_| &arrays.projection[..]),
    };
    Weights::new(case.cell, options, case.features, case.units, raw).unwrap()
}

pub fn problem<'a, T: Element>(
    case: &Case,
    arrays: &'a Arrays<T>,
    weights: &Weights<T>,
) -> Problem<'a, T> {
    let (b, t, f, u) = (case.batch, case.time, case.features, case.outputs());
    let inputs = View::contiguous(&arrays.inputs, [b, t, f]).unwrap();
    let mut problem = Problem::new(weights, inputs)
        .unwrap()
        .go_backwards(case.backwards)
        .return_sequences(case.sequences)
        .zero_output_for_mask(case.zero_masked);
    if case.initial {
        let states = arrays.state.iter().zip(case.state_sizes());
        let state = states.map(|(s, size)| View::contiguous(s, [b, 1, size]).unwrap());
        problem = problem.initial_state(state.collect()).unwrap();
    }
    if let Some(lengths) = &arrays.lengths {
        problem = problem.lengths(lengths.clone()).unwrap();
    } else if case.masked {
        problem = problem.mask(View::contiguous(&arrays.mask, [b, t, 1]).unwrap()).unwrap();
    }
    if case.dropout > 0 {
        let masks = case.masks();
        let view = |array, size| Some(View::contiguous(array, [masks, b, size]).unwrap());
        let dropout = Dropout {
            inputs: view(&arrays.input_dropout, f),
            recurrent: view(&arrays.recurrent_dropout, u),
        };
        problem = problem.dropout(dropout).unwrap();
    }
    problem
}

pub fn run<T: Engine>(
    case: &Case,
    arrays: &Arrays<T>,
    keep: bool,
) -> (Outcome<T>, Option<Residuals<T>>) {
    let weights = weights(case, arrays);
    let problem = problem(case, arrays, &weights);
    let (b, u) = (case.batch, case.outputs());
    let mut outputs = vec![T::of(f64::NAN); b * case.out_time() * u];
    let sizes = case.state_sizes();
    let nan = |size: &usize| vec![T::of(f64::NAN); b * size];
    let mut state: Vec<_> = sizes.iter().map(nan).collect();
    let views = state.iter_mut().zip(&sizes);
    let results = Results {
        outputs: ViewMut::contiguous(&mut outputs, [b, case.out_time(), u]).unwrap(),
        state: views.map(|(s, &size)| ViewMut::contiguous(s, [b, 1, size]).unwrap()).collect(),
    };
    let residuals = forward(&weights, &problem, results, keep, &|| false).unwrap();
    (Outcome { outputs, state }, residuals)
}

pub fn assert_close(case: &Case, expected: &[f64], received: &[f64], tolerance: f64) {
    assert_eq!(expected.len(), received.len());
    for (n, (a, b)) in expected.iter().zip(received).enumerate() {
        assert!(
            (a - b).abs() <= tolerance * (1.0 + a.abs()),
            "{case:?}: element {n}: expected {a}, received {b}"
        );
    }
}

pub fn widen<T: Element>(values: &[T]) -> Vec<f64> {
    values.iter().map(|v| v.wide()).collect()
}

/// Every cell on every instruction set, plain, masked, with dropout, and an LSTM whose output is
/// projected.
pub fn cases(size: [usize; 4]) -> Vec<Case> {
    let mut cases = Vec::new();
    for level in Level::all() {
        for &cell in CellKind::ALL {
            for (masked, dropout) in [(false, 0), (true, 0), (false, 1), (true, 9)] {
                let mut case = Case::new(cell, size);
                (case.level, case.masked, case.dropout) = (level, masked, dropout);
                if cell == CellKind::Lstm && masked == (dropout == 0) {
                    let projected = Some((2 * case.units).div_ceil(3));
                    cases.push(Case { projected, ..case.clone() });
                }
                cases.push(case);
            }
        }
    }
    cases
}

/// The [`cases`] in turns of the two sizes: each setting at one of them, each cell at both.
pub fn shared(sizes: [[usize; 4]; 2]) -> impl Iterator<Item = Case> {
    let all = sizes.into_iter().enumerate();
    all.flat_map(|(n, size)| cases(size).into_iter().skip(n).step_by(2))
}
