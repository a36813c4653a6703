//! Programs of users' cells without Python: a cell written by hand against plain loops, its
//! gradients against central differences, at every level and in both precisions; and what is
//! refused.

mod refused;

use ferrnn::error::Error;
use ferrnn::kernels::activation::Activation;
use ferrnn::machine::memory::{View, ViewMut};
use ferrnn::machine::simd::{Element, Level};
use ferrnn::machine::threads::Team;
use ferrnn::programs::{
    Ends, Gradients, Home, Instruction, Op, Operand, Options, Problem, Program, Register, Results,
    Run, Section, Seeds, State,
};

const BATCH: usize = 35; // more than one group of rows, unevenly
const TIME: usize = 3;
const FEATURES: usize = 3;
const UNITS: usize = 5;

/// Chooses one of the arrays.
type Field<T> = fn(&mut Arrays<T>) -> &mut Vec<T>;

const STATIC: usize = Section::Static as usize;
const BEGIN: usize = Section::Begin as usize;
const STEP: usize = Section::Step as usize;
const STEP_BACK: usize = Section::StepBack as usize;
const SUMS: usize = Section::Sums as usize;

fn whole(register: usize) -> Operand {
    Operand { register, offset: 0, strides: [0, 0, 1] }
}

fn map(op: Op, dest: usize, sources: [usize; 3]) -> Instruction {
    let sources = sources.map(whole);
    Instruction::Map { op, accumulate: false, counts: [1, 1, UNITS], dest: whole(dest), sources }
}

fn product(dest: usize, left: usize, shape: [usize; 3], matrix: (usize, bool)) -> Instruction {
    Instruction::Product { dest, left: (left, 0), shape, matrix, accumulate: false }
}

/// `h = tanh(x · kernel + h · recurrent + bias + shift)`, and its backward pass, which sums the gradient
/// of the bias after all steps and that of the shift step by step.
fn cell(level: Option<Level>) -> Result<Program, Error> {
    let homes = [
        (Home::Series, FEATURES),         // 0: x
        (Home::Static, FEATURES * UNITS), // 1: kernel
        (Home::Static, UNITS * UNITS),    // 2: recurrent kernel
        (Home::State, UNITS),             // 3: h before
        (Home::Local, UNITS),             // 4: x · kernel
        (Home::Local, UNITS),             // 5: h · recurrent
        (Home::Local, UNITS),             // 6: their sum
        (Home::Series, UNITS),            // 7: h after
        (Home::Local, UNITS),             // 8: gradient of the output
        (Home::Local, UNITS),             // 9: gradient of h after
        (Home::Local, UNITS),             // 10: their sum
        (Home::Series, UNITS),            // 11: gradient of the sums
        (Home::Local, UNITS),             // 12: gradient of h before
        (Home::Static, FEATURES * UNITS), // 13
        (Home::Static, UNITS * UNITS),    // 14
        (Home::Series, FEATURES),         // 15: gradient of x
        (Home::Static, UNITS),            // 16: bias
        (Home::Static, UNITS),            // 17: its gradient
        (Home::Static, UNITS),            // 18: shift
        (Home::Static, UNITS),            // 19: its gradient
        (Home::Static, UNITS),            // 20: bias + shift
        (Home::Local, UNITS),             // 21: all of it
        (Home::Local, UNITS),             // 22: gradient of the sums at one step
    ];
    let registers = homes.map(|(home, width)| Register { home, width }).to_vec();
    let outer = |dest, left, depth| Instruction::Outer {
        dest,
        left: (left, 0),
        right: 11,
        shape: [1, depth, UNITS],
    };
    let sections = [
        vec![map(Op::Add, 20, [16, 18, 18])],
        vec![],
        vec![
            product(4, 0, [1, FEATURES, UNITS], (1, false)),
            product(5, 3, [1, UNITS, UNITS], (2, false)),
            map(Op::Add, 6, [4, 5, 5]),
            map(Op::Add, 21, [6, 20, 20]),
            map(Op::Activate(Activation::Tanh), 7, [21; 3]),
        ],
        vec![
            map(Op::Add, 10, [8, 9, 9]),
            map(Op::Slope(Activation::Tanh), 11, [10, 7, 7]),
            map(Op::Copy, 22, [11; 3]),
            Instruction::SumRows { dest: 19, source: 22 },
            product(12, 11, [1, UNITS, UNITS], (2, true)),
            product(15, 11, [1, UNITS, FEATURES], (1, true)),
        ],
        vec![
            outer(13, 0, FEATURES),
            outer(14, 3, UNITS),
            Instruction::SumRows { dest: 17, source: 11 },
        ],
        vec![],
    ];
    let state = State { before: 3, after: 7, d_after: Some(9), d_before: Some(12) };
    let ends = Ends {
        inputs: vec![0],
        weights: vec![1, 2, 16, 18],
        states: vec![state],
        output: 7,
        output_state: Some(0),
        d_output: Some(8),
        d_inputs: vec![Some(15)],
        d_weights: vec![Some(13), Some(14), Some(17), Some(19)],
    };
    Program::new(level, registers, sections, ends)
}

fn numbers<T: Element>(count: usize, seed: usize) -> Vec<T> {
    (0..count).map(|n| T::of(((n * 7 + seed * 13) as f64).sin() * 0.6)).collect()
}

struct Arrays<T> {
    inputs: Vec<T>,
    kernel: Vec<T>,
    recurrent: Vec<T>,
    bias: Vec<T>,
    shift: Vec<T>,
    state: Vec<T>,
}

impl<T> Arrays<T> {
    fn weights(&self) -> [&[T]; 4] {
        [&self.kernel, &self.recurrent, &self.bias, &self.shift]
    }
}

fn arrays<T: Element>() -> Arrays<T> {
    Arrays {
        inputs: numbers(BATCH * TIME * FEATURES, 1),
        kernel: numbers(FEATURES * UNITS, 2),
        recurrent: numbers(UNITS * UNITS, 3),
        bias: numbers(UNITS, 6),
        shift: numbers(UNITS, 7),
        state: numbers(BATCH * UNITS, 4),
    }
}

const FIELDS: [Field<f64>; 6] = [
    |a| &mut a.inputs,
    |a| &mut a.kernel,
    |a| &mut a.recurrent,
    |a| &mut a.bias,
    |a| &mut a.shift,
    |a| &mut a.state,
];

const OPTIONS: Options =
    Options { go_backwards: false, return_sequences: true, zero_output: false };

fn problem<T: Element>(arrays: &Arrays<T>) -> Problem<'_, T> {
    Problem {
        inputs: vec![View::contiguous(&arrays.inputs, [BATCH, TIME, FEATURES]).unwrap()],
        states: vec![View::contiguous(&arrays.state, [BATCH, 1, UNITS]).unwrap()],
        mask: None,
        options: OPTIONS,
    }
}

/// Outputs of a program, cut into parts for as many threads.
fn outputs<T: Element>(program: &Program, arrays: &Arrays<T>, parts: usize) -> (Run<T>, Vec<T>) {
    let mut run = Run::new(program, BATCH, TIME, parts).unwrap();
    assert_eq!(run.parts(), parts);
    run.take(program, &arrays.weights()).unwrap();
    let mut outputs = vec![T::ZERO; BATCH * TIME * UNITS];
    let view = ViewMut::contiguous(&mut outputs, [BATCH, TIME, UNITS]).unwrap();
    let results = Results { outputs: view, states: vec![] };
    let team = &mut Team::gather(parts);
    run.forward(program, &problem(arrays), results, team, &|| false).unwrap();
    (run, outputs)
}

/// Gradients after that.
fn gradients<T: Element>(program: &Program, given: &Arrays<T>, run: &mut Run<T>) -> Arrays<T> {
    let d_outputs: Vec<T> = numbers(BATCH * TIME * UNITS, 5);
    let mut found = arrays();
    let seeds = Seeds {
        d_outputs: Some(View::contiguous(&d_outputs, [BATCH, TIME, UNITS]).unwrap()),
        d_states: vec![None],
    };
    let gradients = Gradients {
        inputs: vec![Some(
            ViewMut::contiguous(&mut found.inputs, [BATCH, TIME, FEATURES]).unwrap(),
        )],
        states: vec![ViewMut::contiguous(&mut found.state, [BATCH, 1, UNITS]).unwrap()],
        weights: vec![
            Some(&mut found.kernel),
            Some(&mut found.recurrent),
            Some(&mut found.bias),
            Some(&mut found.shift),
        ],
    };
    let team = &mut Team::gather(run.parts());
    run.backward(program, &problem(given), &seeds, gradients, team, &|| false).unwrap();
    found
}

fn wide<T: Element>(value: T) -> f64 {
    value.wide()
}

/// The same by plain loops in double precision.
fn naive<T: Element>(arrays: &Arrays<T>) -> Vec<f64> {
    let mut outputs = vec![0.0; BATCH * TIME * UNITS];
    for row in 0..BATCH {
        let mut h: Vec<f64> = (0..UNITS).map(|u| wide(arrays.state[row * UNITS + u])).collect();
        for t in 0..TIME {
            let next = |u: usize| {
                let mut sum = wide(arrays.bias[u]) + wide(arrays.shift[u]);
                for f in 0..FEATURES {
                    let x = wide(arrays.inputs[(row * TIME + t) * FEATURES + f]);
                    sum += x * wide(arrays.kernel[f * UNITS + u]);
                }
                for k in 0..UNITS {
                    sum += h[k] * wide(arrays.recurrent[k * UNITS + u]);
                }
                sum.tanh()
            };
            let new: Vec<_> = (0..UNITS).map(next).collect();
            outputs[(row * TIME + t) * UNITS..][..UNITS].copy_from_slice(&new);
            h = new;
        }
    }
    outputs
}

fn forward_is_naive<T: Element>(tolerance: f64) {
    let arrays = arrays::<T>();
    let expected = naive(&arrays);
    for level in Level::all() {
        let (_, outputs) = outputs(&cell(Some(level)).unwrap(), &arrays, 1);
        for (ours, theirs) in outputs.iter().zip(&expected) {
            assert!((ours.wide() - theirs).abs() < tolerance, "{}", level.name());
        }
    }
}

#[test]
fn a_program_gives_what_plain_loops_give() {
    forward_is_naive::<f32>(1e-5);
    forward_is_naive::<f64>(1e-13);
}

#[test]
fn gradients_match_central_differences() {
    let d_outputs: Vec<f64> = numbers(BATCH * TIME * UNITS, 5);
    let loss = |arrays: &Arrays<f64>| -> f64 {
        naive(arrays).iter().zip(&d_outputs).map(|(y, d)| y * d).sum()
    };
    for level in Level::all() {
        let program = cell(Some(level)).unwrap();
        let given = arrays::<f64>();
        let (mut run, _) = outputs(&program, &given, 1);
        let mut found = gradients(&program, &given, &mut run);
        for field in FIELDS {
            for n in [0, field(&mut found).len() / 2, field(&mut found).len() - 1] {
                let moved = |by: f64| {
                    let mut arrays = arrays::<f64>();
                    field(&mut arrays)[n] += by;
                    loss(&arrays)
                };
                let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                let ours = field(&mut found)[n];
                assert!((ours - slope).abs() < 1e-6, "{}: {ours} {slope}", level.name());
                assert!(ours != 0.0);
            }
        }
    }
}

fn parts_change_nothing<T: Element>() {
    let given = arrays::<T>();
    let bits = |values: &[T]| values.iter().map(|value| value.wide().to_bits()).collect::<Vec<_>>();
    let all = |a: &Arrays<T>| {
        [&a.inputs, &a.kernel, &a.recurrent, &a.bias, &a.shift, &a.state].map(|field| bits(field))
    };
    for level in Level::all() {
        let program = cell(Some(level)).unwrap();
        let (mut run, expected) = outputs(&program, &given, 1);
        let expected = (bits(&expected), all(&gradients(&program, &given, &mut run)));
        for parts in [2, 3, 7, BATCH] {
            let (mut run, found) = outputs(&program, &given, parts);
            assert_eq!(bits(&found), expected.0, "{parts} {}", level.name());
            let found = all(&gradients(&program, &given, &mut run));
            assert!(found == expected.1, "{parts} {}", level.name());
        }
    }
}

#[test]
fn results_are_the_same_in_any_number_of_parts() {
    parts_change_nothing::<f32>();
    parts_change_nothing::<f64>();
}

#[test]
fn weights_are_taken_once_for_calls_of_all_sizes() {
    let (program, given) = (cell(None).unwrap(), arrays::<f64>());
    let forward = |run: &mut Run<f64>, batch: usize| {
        let mut outputs = vec![0.0; batch * TIME * UNITS];
        let (state, inputs) = (&given.state[..batch * UNITS], &given.inputs);
        let problem = Problem {
            inputs: vec![
                View::contiguous(&inputs[..batch * TIME * FEATURES], [batch, TIME, FEATURES])
                    .unwrap(),
            ],
            states: vec![View::contiguous(state, [batch, 1, UNITS]).unwrap()],
            ..problem(&given)
        };
        let view = ViewMut::contiguous(&mut outputs, [batch, TIME, UNITS]).unwrap();
        let results = Results { outputs: view, states: vec![] };
        let team = &mut Team::gather(run.parts());
        run.forward(&program, &problem, results, team, &|| false).map(|()| outputs)
    };
    let expected = outputs(&program, &given, 1).1;
    let mut run = Run::<f64>::new(&program, 2, TIME, 1).unwrap();
    forward(&mut run, 2).unwrap_err(); // there are none yet
    run.take(&program, &given.weights()).unwrap();
    for (batch, parts) in [(2, 2), (BATCH, 1), (1, 3), (BATCH, 4), (BATCH, 2)] {
        run.make_room(&program, batch, TIME, parts).unwrap();
        let found = forward(&mut run, batch).unwrap();
        assert_eq!(found, expected[..found.len()], "{batch}");
    }
    let mut other = arrays::<f64>();
    other.recurrent = numbers(UNITS * UNITS, 9);
    run.take(&program, &other.weights()).unwrap();
    assert_ne!(forward(&mut run, BATCH).unwrap(), expected);
}
