//! Residuals work with the problem and the weights that they come from; with others they are
//! refused by name.

use ferrnn::cells::CellKind;
use ferrnn::error::{Error, Result};
use ferrnn::layers::sequence::{
    self, Gradients, Options, Problem, Raw, Residuals, Results, Seeds, Weights,
};
use ferrnn::machine::memory::{View, ViewMut};

const SHAPE: [usize; 3] = [3, 4, 2];
const UNITS: usize = 5;

fn weights(cell: CellKind, units: usize) -> Weights<f32> {
    let columns = cell.layout().gates * units;
    let kernel: Vec<_> = (0..SHAPE[2] * columns).map(|n| (n as f32).sin()).collect();
    let recurrent_kernel: Vec<_> = (0..units * columns).map(|n| 0.1 * (n as f32).cos()).collect();
    let raw = Raw {
        kernel: &kernel,
        recurrent_kernel: &recurrent_kernel,
        vectors: &[],
        bias: None,
        projection: None,
    };
    Weights::new(cell, Options::default(), SHAPE[2], units, raw).unwrap()
}

fn inputs() -> Vec<f32> {
    (0..SHAPE.iter().product()).map(|n| (n as f32).cos()).collect()
}

/// What `forward` keeps.
fn residuals(weights: &Weights<f32>, problem: &Problem<'_, f32>) -> Residuals<f32> {
    let shape = problem.output_shape();
    let mut outputs = vec![0.0; shape.iter().product()];
    let results =
        Results { outputs: ViewMut::contiguous(&mut outputs, shape).unwrap(), state: Vec::new() };
    sequence::forward(weights, problem, results, true, &|| false).unwrap().unwrap()
}

/// `backward` of `problem` with residuals that may be another's.
fn backward(
    weights: &Weights<f32>,
    problem: &Problem<'_, f32>,
    residuals: &mut Residuals<f32>,
) -> Result<()> {
    let shape = problem.output_shape();
    let outputs = vec![0.5; shape.iter().product()];
    let outputs = View::contiguous(&outputs, shape)?;
    let columns = weights.gates() * weights.units();
    let mut kernel = vec![0.0; weights.features() * columns];
    let mut recurrent_kernel = vec![0.0; weights.units() * columns];
    let state_shape = [shape[0], 1, shape[2]];
    let mut states = vec![vec![0.0; shape[0] * shape[2]]; weights.states()];
    let gradients = Gradients {
        inputs: None,
        state: states
            .iter_mut()
            .map(|state| ViewMut::contiguous(state, state_shape))
            .collect::<Result<_>>()?,
        kernel: &mut kernel,
        recurrent_kernel: &mut recurrent_kernel,
        vectors: &mut [],
        projection: None,
        bias: None,
    };
    let seeds = Seeds { outputs, d_outputs: Some(outputs), d_state: Vec::new() };
    sequence::backward(weights, problem, residuals, &seeds, gradients, false, &|| false)
}

fn argument(error: &Error) -> (&str, &str) {
    match error {
        Error::Value { argument, expected, .. } => (argument, expected),
        other => panic!("{other}"),
    }
}

#[test]
fn another_option_or_mask_is_refused_by_name() {
    let weights = weights(CellKind::Gru, UNITS);
    let inputs = inputs();
    let plain = || Problem::new(&weights, View::contiguous(&inputs, SHAPE).unwrap()).unwrap();
    let all = vec![true; SHAPE[0] * SHAPE[1]];
    let mask = View::contiguous(&all, [SHAPE[0], SHAPE[1], 1]).unwrap();
    let variants = [
        ("go_backwards", plain().go_backwards(true)),
        ("return_sequences", plain().return_sequences(false)),
        ("zero_output_for_mask", plain().zero_output_for_mask(true)),
        ("mask", plain().mask(mask).unwrap()),
        ("mask", plain().lengths(vec![4, 2, 3]).unwrap()),
    ];
    for (name, other) in &variants {
        let own = plain();
        backward(&weights, &own, &mut residuals(&weights, &own)).unwrap();
        backward(&weights, other, &mut residuals(&weights, other)).unwrap();
        for (one, two) in [(&own, other), (other, &own)] {
            let error = backward(&weights, one, &mut residuals(&weights, two)).unwrap_err();
            let (argument, expected) = argument(&error);
            assert_eq!(argument, "residuals");
            assert!(expected.contains(name), "{expected}");
        }
    }
}

#[test]
fn the_same_mask_in_other_memory_is_the_same_and_another_one_is_refused() {
    let weights = weights(CellKind::Lstm, UNITS);
    let inputs = inputs();
    let with = |lengths: &[usize]| {
        let plain = Problem::new(&weights, View::contiguous(&inputs, SHAPE).unwrap()).unwrap();
        plain.lengths(lengths.to_vec()).unwrap()
    };
    let mut kept = residuals(&weights, &with(&[4, 2, 3]));
    backward(&weights, &with(&[4, 2, 3]), &mut kept).unwrap();
    for other in [[4, 3, 2], [4, 2, 2], [0, 0, 0]] {
        let error = backward(&weights, &with(&other), &mut kept).unwrap_err();
        assert_eq!(argument(&error), ("residuals", "those of a problem with the same mask"));
    }
}

#[test]
fn weights_of_another_cell_or_size_are_refused() {
    let (own, inputs) = (weights(CellKind::Gru, UNITS), inputs());
    let problem = Problem::new(&own, View::contiguous(&inputs, SHAPE).unwrap()).unwrap();
    let mut kept = residuals(&own, &problem);
    let error = backward(&weights(CellKind::GruResetBefore, UNITS), &problem, &mut kept);
    assert_eq!(argument(&error.unwrap_err()).0, "residuals");
    let error = backward(&weights(CellKind::Gru, UNITS + 1), &problem, &mut kept);
    assert_eq!(argument(&error.unwrap_err()).0, "weights");
}
