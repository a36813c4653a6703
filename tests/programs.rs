//! Programs of users' cells without Python: a cell written by hand against plain loops, its
//! gradients against central differences, at every level and in both precisions; and what is
//! refused.

use std::sync::Arc;

use ferrnn::error::Error;
use ferrnn::kernels::activation::Activation;
use ferrnn::machine::memory::{View, ViewMut};
use ferrnn::machine::simd::{Element, Level};
use ferrnn::models::{Of, Scores};
use ferrnn::programs::{
    Ends, Gradients, Home, Instruction, Join, Op, Operand, Options, Problem, Program, Register,
    Results, Run, SECTIONS, Section, Seeds, State,
};

const BATCH: usize = 35; // more than one group of rows, unevenly
const TIME: usize = 3;
const FEATURES: usize = 3;
const UNITS: usize = 5;

/// Chooses one of the arrays.
type Field = fn(&mut Arrays<f64>) -> &mut Vec<f64>;

const STATIC: usize = Section::Static as usize;
const BEGIN: usize = Section::Begin as usize;
const STEP: usize = Section::Step as usize;
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

/// `h = tanh(x · kernel + h · recurrent)`, and its backward pass.
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
    ];
    let registers = homes.map(|(home, width)| Register { home, width }).to_vec();
    let outer = |dest, left, depth| Instruction::Outer {
        dest,
        left: (left, 0),
        right: 11,
        shape: [1, depth, UNITS],
    };
    let sections = [
        vec![],
        vec![],
        vec![
            product(4, 0, [1, FEATURES, UNITS], (1, false)),
            product(5, 3, [1, UNITS, UNITS], (2, false)),
            map(Op::Add, 6, [4, 5, 5]),
            map(Op::Activate(Activation::Tanh), 7, [6; 3]),
        ],
        vec![
            map(Op::Add, 10, [8, 9, 9]),
            map(Op::Slope(Activation::Tanh), 11, [10, 7, 7]),
            product(12, 11, [1, UNITS, UNITS], (2, true)),
            product(15, 11, [1, UNITS, FEATURES], (1, true)),
        ],
        vec![outer(13, 0, FEATURES), outer(14, 3, UNITS)],
        vec![],
    ];
    let state = State { before: 3, after: 7, d_after: Some(9), d_before: Some(12) };
    let ends = Ends {
        inputs: vec![0],
        weights: vec![1, 2],
        states: vec![state],
        output: 7,
        output_state: Some(0),
        d_output: Some(8),
        d_inputs: vec![Some(15)],
        d_weights: vec![Some(13), Some(14)],
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
    state: Vec<T>,
}

fn arrays<T: Element>() -> Arrays<T> {
    Arrays {
        inputs: numbers(BATCH * TIME * FEATURES, 1),
        kernel: numbers(FEATURES * UNITS, 2),
        recurrent: numbers(UNITS * UNITS, 3),
        state: numbers(BATCH * UNITS, 4),
    }
}

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

/// Outputs of a program.
fn outputs<T: Element>(program: &Program, arrays: &Arrays<T>) -> (Run<T>, Vec<T>) {
    let mut run = Run::new(program, BATCH, TIME).unwrap();
    run.take(program, &[&arrays.kernel, &arrays.recurrent]).unwrap();
    let mut outputs = vec![T::ZERO; BATCH * TIME * UNITS];
    let view = ViewMut::contiguous(&mut outputs, [BATCH, TIME, UNITS]).unwrap();
    let results = Results { outputs: view, states: vec![] };
    run.forward(program, &problem(arrays), results, &|| false).unwrap();
    (run, outputs)
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
                let mut sum = 0.0;
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
        let (_, outputs) = outputs(&cell(Some(level)).unwrap(), &arrays);
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
        let (mut run, _) = outputs(&program, &given);
        let mut found = arrays::<f64>();
        let seeds = Seeds {
            d_outputs: Some(View::contiguous(&d_outputs, [BATCH, TIME, UNITS]).unwrap()),
            d_states: vec![None],
        };
        let gradients = Gradients {
            inputs: vec![Some(
                ViewMut::contiguous(&mut found.inputs, [BATCH, TIME, FEATURES]).unwrap(),
            )],
            states: vec![ViewMut::contiguous(&mut found.state, [BATCH, 1, UNITS]).unwrap()],
            weights: vec![Some(&mut found.kernel), Some(&mut found.recurrent)],
        };
        run.backward(&program, &problem(&given), &seeds, gradients, &|| false).unwrap();
        let fields: [Field; 4] =
            [|a| &mut a.inputs, |a| &mut a.kernel, |a| &mut a.recurrent, |a| &mut a.state];
        for field in fields {
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

/// The program with one thing changed is refused.
fn refused(change: impl FnOnce(&mut Vec<Register>, &mut [Vec<Instruction>; SECTIONS], &mut Ends)) {
    let registers = vec![
        Register { home: Home::Series, width: 4 },
        Register { home: Home::Local, width: 4 },
        Register { home: Home::Static, width: 16 },
        Register { home: Home::Local, width: 4 },
    ];
    let mut made = (
        registers,
        [const { Vec::new() }; SECTIONS],
        Ends {
            inputs: vec![0],
            weights: vec![2],
            states: vec![State { before: 1, after: 3, d_after: None, d_before: None }],
            output: 3,
            ..Ends::default()
        },
    );
    change(&mut made.0, &mut made.1, &mut made.2);
    assert!(Program::new(None, made.0, made.1, made.2).is_err());
}

fn copy(dest: Operand, source: Operand, count: usize) -> Instruction {
    let sources = [source; 3];
    let counts = [1, 1, count];
    Instruction::Map { op: Op::Copy, accumulate: false, counts, dest, sources }
}

#[test]
fn what_reaches_beyond_a_register_is_refused() {
    let from = |register, offset| Operand { offset, ..whole(register) };
    refused(|_, sections, _| sections[STEP] = vec![copy(whole(3), whole(0), 5)]);
    refused(|_, sections, _| sections[STEP] = vec![copy(whole(3), from(0, 1), 4)]);
    refused(|_, sections, _| sections[STEP] = vec![copy(from(3, usize::MAX), whole(0), 4)]);
    refused(|_, sections, _| sections[STEP] = vec![copy(whole(9), whole(0), 4)]);
    refused(|_, sections, _| sections[STEP] = vec![copy(whole(3), whole(3), 4)]);
    refused(|_, sections, _| sections[STEP] = vec![copy(whole(0), whole(3), 0)]);
    refused(|_, sections, _| sections[STEP] = vec![copy(whole(2), whole(0), 4)]);
    refused(|_, sections, _| sections[BEGIN] = vec![copy(whole(3), whole(0), 4)]);
    refused(|_, sections, _| sections[STATIC] = vec![copy(whole(3), whole(2), 4)]);
    refused(|_, sections, _| sections[STEP] = vec![product(3, 0, [1, 4, 5], (2, false))]);
    refused(|_, sections, _| sections[STEP] = vec![product(3, 0, [usize::MAX, 4, 4], (2, false))]);
    refused(|_, sections, _| {
        sections[STEP] = vec![Instruction::Reduce {
            join: Join::Sum,
            accumulate: false,
            counts: [1, 5, 1],
            dest: whole(3),
            source: Operand { strides: [0, 1, 1], ..whole(0) },
        }];
    });
    refused(|_, sections, _| sections[SUMS] = vec![Instruction::SumRows { dest: 2, source: 0 }]);
    refused(|registers, _, _| registers[3].width = 0);
    refused(|registers, _, _| registers[3].width = usize::MAX);
    refused(|_, _, ends| ends.output = 7);
    refused(|_, _, ends| ends.states[0].after = 1);
    refused(|_, _, ends| ends.d_output = Some(3));
}

#[test]
fn arrays_of_other_shapes_are_refused() {
    let program = cell(None).unwrap();
    let given = arrays::<f64>();
    let mut outputs = vec![0.0; BATCH * TIME * UNITS];
    let mut attempt = |problem: Problem<'_, f64>| {
        let mut run = Run::new(&program, BATCH, TIME).unwrap();
        run.take(&program, &[&given.kernel, &given.recurrent]).unwrap();
        let view = ViewMut::contiguous(&mut outputs, [BATCH, TIME, UNITS]).unwrap();
        run.forward(&program, &problem, Results { outputs: view, states: vec![] }, &|| false)
    };
    attempt(problem(&given)).unwrap();
    attempt(Problem { states: vec![], ..problem(&given) }).unwrap();
    let states = problem(&given).states.repeat(2);
    attempt(Problem { states, ..problem(&given) }).unwrap_err();
    attempt(Problem { mask: Some(&[true]), ..problem(&given) }).unwrap_err();
    let options = Options { return_sequences: false, ..OPTIONS };
    attempt(Problem { options, ..problem(&given) }).unwrap_err();
    let mut run = Run::<f64>::new(&program, BATCH, TIME).unwrap();
    run.take(&program, &[&given.kernel[..]]).unwrap_err();
    run.take(&program, &[&given.recurrent[..]; 2]).unwrap_err();
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
        run.forward(&program, &problem, results, &|| false).map(|()| outputs)
    };
    let expected = outputs(&program, &given).1;
    let mut run = Run::<f64>::new(&program, 2, TIME).unwrap();
    forward(&mut run, 2).unwrap_err(); // there are none yet
    run.take(&program, &[&given.kernel, &given.recurrent]).unwrap();
    for batch in [2, BATCH, 1, BATCH] {
        run.make_room(&program, batch, TIME).unwrap();
        let found = forward(&mut run, batch).unwrap();
        assert_eq!(found, expected[..found.len()], "{batch}");
    }
    run.take(&program, &[&given.kernel, &numbers(UNITS * UNITS, 9)[..]]).unwrap();
    assert_ne!(forward(&mut run, BATCH).unwrap(), expected);
}

#[test]
fn memory_that_cannot_be_had_is_an_error() {
    let program = cell(None).unwrap();
    assert!(Run::<f64>::new(&program, usize::MAX, TIME).is_err());
    assert!(Run::<f32>::new(&program, usize::MAX / 64, 4).is_err());
}

#[test]
fn values_are_programs_of_targets_and_outputs_alone() {
    let refused = Scores::new(Arc::new(cell(None).unwrap()), vec![vec![0.0; 15]; 2], Of::Sample);
    assert!(matches!(refused, Err(Error::Value { argument: "program", .. })), "{refused:?}");
}
