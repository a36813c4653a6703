//! Users' code as the programs that it is lowered to.

use std::sync::Arc;

use ferrnn::error::Result;
use ferrnn::kernels::activation::Activation;
use ferrnn::machine::memory::Buffer;
use ferrnn::machine::threads::Ask;
use ferrnn::models::{Draws, Node, Of, Over, Passed, Passing, Programmed, Scores, Shape, Weight};
use ferrnn::programs::{
    Ends, Home, Instruction, Join, Op, Operand, Options, Program, Register, SECTIONS, State,
};

const TANH: Op = Op::Activate(Activation::Tanh);
const SLOPE: Op = Op::Slope(Activation::Tanh);

/// A program as a layer whose weights are all trained.
pub struct Written {
    programmed: Programmed<f32>,
    sizes: Vec<usize>,
    units: usize,
}

impl Written {
    fn new(program: Program, units: usize, over: Option<Over>) -> Self {
        let weights = (0..program.ends().weights.len()).map(Weight::Own).collect();
        let programmed = Programmed::new(Arc::new(program), weights, over);
        let sizes = programmed.sizes().map(|(_, size)| size).collect();
        Self { programmed, sizes, units }
    }
}

impl Node<f32> for Written {
    fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    fn shape(&self, inputs: Shape) -> Result<Shape> {
        Ok(Shape { time: 1, features: self.units, ..inputs })
    }

    fn pack(&mut self, _weights: &[&mut [f32]]) -> Result<()> {
        self.programmed.renew();
        Ok(())
    }

    fn forward(
        &mut self,
        passing: &Passing<'_, f32>,
        outputs: &mut [f32],
        _draws: &mut Draws,
        stop: Ask<'_>,
    ) -> Result<()> {
        let given = (&[passing.inputs][..], passing.mask);
        self.programmed.forward(passing.shape.rows, given, passing.weights, outputs, stop)
    }

    fn backward(
        &mut self,
        passed: Passed<'_, f32>,
        gradients: &mut [Buffer<f32>],
        stop: Ask<'_>,
    ) -> Result<()> {
        let seeds = (passed.d_outputs, passed.mask);
        self.programmed.backward(seeds, &mut [passed.d_inputs], gradients, stop)
    }
}

fn registers(homes: &[(Home, usize)]) -> Vec<Register> {
    homes.iter().map(|&(home, width)| Register { home, width }).collect()
}

/// All elements of a register, or one that stands for all.
fn operand(register: usize, repeated: bool) -> Operand {
    Operand { register, offset: 0, strides: [0, 0, usize::from(!repeated)] }
}

fn map(op: Op, width: usize, dest: usize, sources: [usize; 3]) -> Instruction {
    let sources = sources.map(|source| operand(source, false));
    let dest = operand(dest, false);
    Instruction::Map { op, accumulate: false, counts: [1, 1, width], dest, sources }
}

fn product(dest: usize, left: usize, shape: [usize; 2], matrix: (usize, bool)) -> Instruction {
    let shape = [1, shape[0], shape[1]];
    Instruction::Product { dest, left: (left, 0), shape, matrix, accumulate: false }
}

fn outer(dest: usize, left: usize, right: usize, [depth, columns]: [usize; 2]) -> Instruction {
    Instruction::Outer { dest, left: (left, 0), right, shape: [1, depth, columns] }
}

fn made(homes: &[(Home, usize)], [step, back, sums]: [Vec<Instruction>; 3], ends: Ends) -> Program {
    let sections: [_; SECTIONS] = [vec![], vec![], step, back, sums, vec![]];
    Program::new(None, registers(homes), sections, ends).unwrap()
}

/// `tanh(tanh(x · a) · b)`.
pub fn layer(features: usize, units: usize) -> Written {
    let homes = [
        (Home::Series, features),         // 0: x
        (Home::Static, features * units), // 1: a
        (Home::Static, units * units),    // 2: b
        (Home::Local, units),             // 3: x · a
        (Home::Series, units),            // 4: its tanh
        (Home::Local, units),             // 5: that · b
        (Home::Series, units),            // 6: its tanh
        (Home::Local, units),             // 7: gradient by 6
        (Home::Series, units),            // 8: by 5
        (Home::Local, units),             // 9: by 4
        (Home::Series, units),            // 10: by 3
        (Home::Series, features),         // 11: by x
        (Home::Static, features * units), // 12: by a
        (Home::Static, units * units),    // 13: by b
    ];
    let step = vec![
        product(3, 0, [features, units], (1, false)),
        map(TANH, units, 4, [3; 3]),
        product(5, 4, [units, units], (2, false)),
        map(TANH, units, 6, [5; 3]),
    ];
    let back = vec![
        map(SLOPE, units, 8, [7, 6, 6]),
        product(9, 8, [units, units], (2, true)),
        map(SLOPE, units, 10, [9, 4, 4]),
        product(11, 10, [units, features], (1, true)),
    ];
    let sums = vec![outer(12, 0, 10, [features, units]), outer(13, 4, 8, [units, units])];
    let ends = Ends {
        inputs: vec![0],
        weights: vec![1, 2],
        output: 6,
        d_output: Some(7),
        d_inputs: vec![Some(11)],
        d_weights: vec![Some(12), Some(13)],
        ..Ends::default()
    };
    Written::new(made(&homes, [step, back, sums], ends), units, None)
}

/// `h = tanh(x · kernel + h · recurrent)`, of which the last is given.
pub fn cell(time: usize, features: usize, units: usize) -> Written {
    let homes = [
        (Home::Series, features),         // 0: x
        (Home::Static, features * units), // 1: kernel
        (Home::Static, units * units),    // 2: recurrent kernel
        (Home::State, units),             // 3: h before
        (Home::Local, units),             // 4: x · kernel
        (Home::Local, units),             // 5: h · recurrent
        (Home::Local, units),             // 6: their sum
        (Home::Series, units),            // 7: h after
        (Home::Local, units),             // 8: gradient by the output
        (Home::Local, units),             // 9: by h after
        (Home::Local, units),             // 10: their sum
        (Home::Series, units),            // 11: by the sums
        (Home::Local, units),             // 12: by h before
        (Home::Static, features * units), // 13: by kernel
        (Home::Static, units * units),    // 14: by recurrent kernel
        (Home::Series, features),         // 15: by x
    ];
    let step = vec![
        product(4, 0, [features, units], (1, false)),
        product(5, 3, [units, units], (2, false)),
        map(Op::Add, units, 6, [4, 5, 5]),
        map(TANH, units, 7, [6; 3]),
    ];
    let back = vec![
        map(Op::Add, units, 10, [8, 9, 9]),
        map(SLOPE, units, 11, [10, 7, 7]),
        product(12, 11, [units, units], (2, true)),
        product(15, 11, [units, features], (1, true)),
    ];
    let sums = vec![outer(13, 0, 11, [features, units]), outer(14, 3, 11, [units, units])];
    let ends = Ends {
        inputs: vec![0],
        weights: vec![1, 2],
        states: vec![State { before: 3, after: 7, d_after: Some(9), d_before: Some(12) }],
        output: 7,
        output_state: Some(0),
        d_output: Some(8),
        d_inputs: vec![Some(15)],
        d_weights: vec![Some(13), Some(14)],
    };
    let options = Options { go_backwards: false, return_sequences: false, zero_output: false };
    let over = Some(Over { time, options });
    Written::new(made(&homes, [step, back, sums], ends), units, over)
}

/// The mean of `tanh((y - targets)^2)` over `width` outputs of a sample.
pub fn loss(width: usize) -> Scores {
    let homes = [
        (Home::Series, width), // 0: targets
        (Home::Series, width), // 1: y
        (Home::Static, 1),     // 2: 1 / width
        (Home::Static, 1),     // 3: 2 / width
        (Home::Series, width), // 4: y - targets
        (Home::Local, width),  // 5: its square
        (Home::Series, width), // 6: the tanh of that
        (Home::Local, 1),      // 7: their sum
        (Home::Local, 1),      // 8: their mean
        (Home::Local, 1),      // 9: gradient by the mean
        (Home::Local, 1),      // 10: twice that by 6
        (Home::Local, width),  // 11: as a row
        (Home::Local, width),  // 12: twice that by 5
        (Home::Series, width), // 13: by y
    ];
    let sum = Instruction::Reduce {
        join: Join::Sum,
        accumulate: false,
        counts: [1, width, 1],
        dest: Operand { strides: [0, 0, 1], ..operand(7, false) },
        source: Operand { strides: [0, 1, 1], ..operand(6, false) },
    };
    let spread = Instruction::Map {
        op: Op::Copy,
        accumulate: false,
        counts: [1, 1, width],
        dest: operand(11, false),
        sources: [operand(10, true); 3],
    };
    let step = vec![
        map(Op::Subtract, width, 4, [1, 0, 0]),
        map(Op::Multiply, width, 5, [4; 3]),
        map(TANH, width, 6, [5; 3]),
        sum,
        map(Op::Multiply, 1, 8, [7, 2, 2]),
    ];
    let back = vec![
        map(Op::Multiply, 1, 10, [9, 3, 3]),
        spread,
        map(SLOPE, width, 12, [11, 6, 6]),
        map(Op::Multiply, width, 13, [12, 4, 4]),
    ];
    let ends = Ends {
        inputs: vec![0, 1],
        weights: vec![2, 3],
        output: 8,
        d_output: Some(9),
        d_inputs: vec![None, Some(13)],
        d_weights: vec![None, None],
        ..Ends::default()
    };
    let constants = vec![vec![1.0 / width as f64], vec![2.0 / width as f64]];
    let program = made(&homes, [step, back, vec![]], ends);
    Scores::new(Arc::new(program), constants, Of::Sample).unwrap()
}
