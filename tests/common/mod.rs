//! One recurrent call as plain data, run by the engine and by a naive reference.

#![allow(dead_code, reason = "each test file uses its own part")]

mod naive;
mod rows;

use ferrnn::cells::CellKind;
use ferrnn::kernels::activation::Activation;
use ferrnn::layers::sequence::{
    Dropout, Engine, Gradients, Options, Precision, Problem, Raw, Residuals, Results, Seeds,
    Weights, backward, forward,
};
use ferrnn::machine::memory::{View, ViewMut};
use ferrnn::machine::simd::{Element, Level};
pub use naive::naive;
#[allow(unused_imports, reason = "each test file uses its own part")]
pub use rows::{some_rows, take};

/// Uniform numbers from a seed (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// In (-1, 1).
    pub fn number(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    pub fn numbers(&mut self, len: usize, scale: f64) -> Vec<f64> {
        (0..len).map(|_| scale * self.number()).collect()
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.bits() % end as u64) as usize
    }
}

/// What a call is told.
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
    /// The bound of what goes into the activations.
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
        self.gates() * self.units * if self.cell.layout().recurrent_bias { 2 } else { 1 }
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
    /// In place of the mask, if there are any.
    pub lengths: Option<Vec<usize>>,
    pub input_dropout: Vec<T>,
    pub recurrent_dropout: Vec<T>,
    pub d_outputs: Vec<T>,
    pub d_state: Vec<Vec<T>>,
}

impl Arrays<f64> {
    /// Random arrays: inputs of order one, weights that neither kill nor blow up the states.
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

/// What a call gives: outputs, final states.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome<T> {
    pub outputs: Vec<T>,
    pub state: Vec<Vec<T>>,
}

/// Gradients in the order inputs, kernel, recurrent kernel, vectors, bias, initial states, projection.
pub type Slopes<T> = Vec<Vec<T>>;

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

pub fn slopes<T: Engine>(case: &Case, arrays: &Arrays<T>) -> Slopes<T> {
    let (outcome, residuals) = run(case, arrays, true);
    let mut residuals = residuals.unwrap();
    let first = backpropagate(case, arrays, &outcome, &mut residuals, false);
    let again = backpropagate(case, arrays, &outcome, &mut residuals, true);
    assert!(first == again || first.iter().flatten().any(|v| v.wide().is_nan()), "not pure");
    first
}

fn backpropagate<T: Engine>(
    case: &Case,
    arrays: &Arrays<T>,
    outcome: &Outcome<T>,
    residuals: &mut Residuals<T>,
    consume: bool,
) -> Slopes<T> {
    let (b, t, f, u) = (case.batch, case.time, case.features, case.outputs());
    let sizes = case.state_sizes();
    let weights = weights(case, arrays);
    let problem = problem(case, arrays, &weights);
    let nan = |len: usize| vec![T::of(f64::NAN); len];
    let mut inputs = nan(b * t * f);
    let mut kernel = nan(arrays.kernel.len());
    let mut recurrent = nan(arrays.recurrent.len());
    let mut vectors = nan(arrays.vectors.len());
    let mut bias = nan(arrays.bias.len());
    let mut projection = nan(arrays.projection.len());
    let mut state: Vec<_> = sizes.iter().map(|size| nan(b * size)).collect();
    let views = state.iter_mut().zip(&sizes);
    let out = [b, case.out_time(), u];
    let seeds = Seeds {
        outputs: View::contiguous(&outcome.outputs, out).unwrap(),
        d_outputs: Some(View::contiguous(&arrays.d_outputs, out).unwrap()),
        d_state: arrays
            .d_state
            .iter()
            .zip(&sizes)
            .map(|(d, &size)| Some(View::contiguous(d, [b, 1, size]).unwrap()))
            .collect(),
    };
    let gradients = Gradients {
        inputs: Some(ViewMut::contiguous(&mut inputs, [b, t, f]).unwrap()),
        state: views.map(|(s, &size)| ViewMut::contiguous(s, [b, 1, size]).unwrap()).collect(),
        kernel: &mut kernel,
        recurrent_kernel: &mut recurrent,
        vectors: &mut vectors,
        bias: case.bias.then_some(&mut bias),
        projection: case.projected.map(|_| &mut projection[..]),
    };
    backward(&weights, &problem, residuals, &seeds, gradients, consume, &|| false).unwrap();
    if !case.bias {
        bias.fill(T::ZERO);
    }
    let mut slopes = vec![inputs, kernel, recurrent, vectors, bias];
    slopes.extend(state);
    if case.projected.is_some() {
        slopes.push(projection);
    }
    slopes
}

/// The number that gradients are taken of.
pub fn loss(arrays: &Arrays<f64>, outcome: &Outcome<f64>) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let states = arrays.d_state.iter().zip(&outcome.state);
    dot(&arrays.d_outputs, &outcome.outputs) + states.map(|(d, s)| dot(d, s)).sum::<f64>()
}

/// The array that a place in `Slopes` is the gradient by.
pub fn argument(arrays: &mut Arrays<f64>, place: usize) -> &mut Vec<f64> {
    match place {
        0 => &mut arrays.inputs,
        1 => &mut arrays.kernel,
        2 => &mut arrays.recurrent,
        3 => &mut arrays.vectors,
        4 => &mut arrays.bias,
        state if state - 5 < arrays.state.len() => &mut arrays.state[state - 5],
        _ => &mut arrays.projection,
    }
}

/// Compares every gradient with central differences of the naive reference along a random direction.
pub fn check_slopes(case: &Case, arrays: &Arrays<f64>, tolerance: f64) {
    let slopes = slopes(case, arrays);
    if cfg!(miri) {
        return; // It looks at the engine's memory; the reference would take it hours.
    }
    let mut random = Random(7);
    for (place, slope) in slopes.iter().enumerate() {
        if (5..5 + case.states()).contains(&place) && !case.initial {
            continue;
        }
        let mut moved = arrays.clone();
        let direction = random.numbers(slope.len(), 1.0);
        let eps = 2e-6;
        let mut at = |scale: f64| {
            let origin = argument(&mut arrays.clone(), place).clone();
            for ((value, from), by) in
                argument(&mut moved, place).iter_mut().zip(&origin).zip(&direction)
            {
                *value = from + scale * by;
            }
            loss(arrays, &naive(case, &moved))
        };
        let mut difference = |eps: f64| (at(eps) - at(-eps)) / (2.0 * eps);
        let (expected, coarse) = (difference(eps), difference(2.0 * eps));
        let received: f64 = slope.iter().zip(&direction).map(|(a, b)| a * b).sum();
        let size = slope.iter().map(|v| v * v).sum::<f64>().sqrt().max(1.0);
        // The difference itself is wrong by a third of this, where the loss bends much.
        let bend = (expected - coarse).abs();
        assert!(
            (expected - received).abs() <= tolerance * size + bend,
            "{case:?}: argument {place}: expected {expected}, received {received}"
        );
    }
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
