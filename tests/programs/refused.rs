//! Programs, arrays and sizes that are refused.

use std::sync::Arc;

use ferrnn::error::Error;
use ferrnn::machine::memory::ViewMut;
use ferrnn::machine::threads::Team;
use ferrnn::models::{Of, Scores};
use ferrnn::programs::{
    Ends, Home, Instruction, Join, Op, Operand, Options, Problem, Program, Register, Results, Run,
    SECTIONS, State,
};

use super::{
    BATCH, BEGIN, OPTIONS, STATIC, STEP, STEP_BACK, SUMS, TIME, UNITS, arrays, cell, problem,
    product, whole,
};

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
    refused(|_, sections, _| {
        sections[STEP_BACK] = vec![Instruction::SumRows { dest: 2, source: 0 }];
    });
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
        let mut run = Run::new(&program, BATCH, TIME, 2).unwrap();
        run.take(&program, &given.weights()).unwrap();
        let view = ViewMut::contiguous(&mut outputs, [BATCH, TIME, UNITS]).unwrap();
        let results = Results { outputs: view, states: vec![] };
        run.forward(&program, &problem, results, &mut Team::gather(2), &|| false)
    };
    attempt(problem(&given)).unwrap();
    attempt(Problem { states: vec![], ..problem(&given) }).unwrap();
    let states = problem(&given).states.repeat(2);
    attempt(Problem { states, ..problem(&given) }).unwrap_err();
    attempt(Problem { mask: Some(&[true]), ..problem(&given) }).unwrap_err();
    let options = Options { return_sequences: false, ..OPTIONS };
    attempt(Problem { options, ..problem(&given) }).unwrap_err();
    let mut run = Run::<f64>::new(&program, BATCH, TIME, 1).unwrap();
    run.take(&program, &given.weights()[..1]).unwrap_err();
    run.take(&program, &[&given.recurrent[..]; 4]).unwrap_err();
}

#[test]
fn memory_that_cannot_be_had_is_an_error() {
    let program = cell(None).unwrap();
    assert!(Run::<f64>::new(&program, usize::MAX, TIME, 2).is_err());
    assert!(Run::<f32>::new(&program, usize::MAX / 64, 4, 3).is_err());
}

#[test]
fn values_are_programs_of_targets_and_outputs_alone() {
    let refused = Scores::new(Arc::new(cell(None).unwrap()), vec![vec![0.0; 15]; 2], Of::Sample);
    assert!(matches!(refused, Err(Error::Value { argument: "program", .. })), "{refused:?}");
}
