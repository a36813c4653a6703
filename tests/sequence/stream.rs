//! One step at a time gives the bits of the whole sequence, on every instruction set.

use std::sync::Arc;

use crate::common::{Arrays, Case, Outcome, Random, run, weights};
use ferrnn::cells::CellKind;
use ferrnn::kernels::activation::Activation;
use ferrnn::kernels::row_function::RowFunction;
use ferrnn::layers::dense;
use ferrnn::layers::sequence::Engine;
use ferrnn::layers::stream::{Part, Stream};
use ferrnn::machine::memory::{View, ViewMut};
use ferrnn::machine::simd::{Element, Level};

/// The case's layer alone, from its initial states.
pub fn stream_of<T: Engine>(case: &Case, arrays: &Arrays<T>) -> Stream<T> {
    let part = Part::Recurrent(Arc::new(weights(case, arrays)));
    let mut stream = Stream::new(Some(case.level), &[part], case.features, case.batch).unwrap();
    for (number, state) in arrays.state.iter().enumerate() {
        for (row, values) in state.chunks(state.len() / case.batch).enumerate() {
            stream.write_state(number, row, values);
        }
    }
    stream
}

/// The outputs `[batch, time, units]` of one step after the other, and the states after the last.
pub fn step_by_step<T: Engine>(stream: &mut Stream<T>, inputs: &[T], time: usize) -> Outcome<T> {
    let (rows, features, units) = (stream.streams(), stream.features(), stream.units());
    let mut outputs = vec![T::of(f64::NAN); rows * time * units];
    for step in 0..time {
        let at = |row: usize| &inputs[(row * time + step) * features..][..features];
        let x: Vec<T> = (0..rows).flat_map(at).copied().collect();
        let mut y = vec![T::of(f64::NAN); rows * units];
        let to = &mut ViewMut::contiguous(&mut y, [rows, 1, units]).unwrap();
        stream.step(View::contiguous(&x, [rows, 1, features]).unwrap(), to).unwrap();
        for (row, y) in y.chunks(units).enumerate() {
            outputs[(row * time + step) * units..][..units].copy_from_slice(y);
        }
    }
    Outcome { outputs, state: states(stream) }
}

pub fn states<T: Engine>(stream: &mut Stream<T>) -> Vec<Vec<T>> {
    let (rows, sizes) = (stream.streams(), stream.state_sizes().to_vec());
    let of = |(number, size): (usize, usize)| {
        let mut state = vec![T::of(f64::NAN); rows * size];
        let to = state.chunks_mut(size).enumerate();
        to.for_each(|(row, to)| stream.read_state(number, row, to));
        state
    };
    sizes.into_iter().enumerate().map(of).collect()
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for level in Level::all() {
        for &cell in CellKind::ALL {
            // Units that fill a block or less, groups of blocks and a rest, whole groups.
            for [batch, features, units] in
                [[1, 5, 3], [1, 9, 77], [1, 3, 256], [1, 1, 150], [2, 5, 19], [7, 6, 33]]
            {
                let mut case = Case::new(cell, [batch, 5, features, units]);
                case.level = level;
                case.bias = units != 33;
                if cell == CellKind::Lstm {
                    cases.push(Case { projected: Some(units.div_ceil(2)), ..case.clone() });
                }
                cases.push(case.clone());
                case.activation = Activation::Relu;
                cases.push(case);
            }
        }
    }
    cases
}

fn check<T: Engine>(case: &Case) {
    let arrays = Arrays::random(case, 3).cast::<T>();
    let (whole, _) = run(case, &arrays, false);
    let steps = step_by_step(&mut stream_of(case, &arrays), &arrays.inputs, case.time);
    assert!(whole == steps, "{case:?}");
}

#[test]
fn steps_give_the_bits_of_the_whole_sequence() {
    for case in cases() {
        check::<f32>(&case);
        check::<f64>(&case);
    }
}

#[test]
fn a_stream_alone_equals_itself_among_others() {
    for level in Level::all() {
        for &cell in CellKind::ALL {
            let mut case = Case::new(cell, [4, 6, 5, 35]);
            case.level = level;
            let arrays = Arrays::random(&case, 4).cast::<f32>();
            let together = step_by_step(&mut stream_of(&case, &arrays), &arrays.inputs, case.time);
            let mut alone = case.clone();
            alone.batch = 1;
            for row in 0..case.batch {
                let part = |array: &[f32]| {
                    let size = array.len() / case.batch;
                    array[row * size..][..size].to_vec()
                };
                let own = Arrays {
                    inputs: part(&arrays.inputs),
                    state: arrays.state.iter().map(|state| part(state)).collect(),
                    ..arrays.clone()
                };
                let steps = step_by_step(&mut stream_of(&alone, &own), &own.inputs, case.time);
                assert!(steps.outputs == part(&together.outputs), "{alone:?}, row {row}");
            }
        }
    }
}

/// LSTM, Dense with an activation, GRU, Dense, softmax: weights for one instruction set.
fn chain(level: Level) -> Vec<Part<f32>> {
    let recurrent = |cell, features, units| {
        let mut case = Case::new(cell, [1, 1, features, units]);
        case.level = level;
        let arrays = Arrays::random(&case, 5).cast::<f32>();
        Part::Recurrent(Arc::new(weights(&case, &arrays)))
    };
    let dense = |activation, shape: [usize; 2]| {
        let mut random = Random(6);
        let kernel: Vec<f32> =
            random.numbers(shape[0] * shape[1], 0.5).iter().map(|&v| f32::of(v)).collect();
        let bias: Vec<f32> = random.numbers(shape[1], 0.5).iter().map(|&v| f32::of(v)).collect();
        let made = dense::Weights::new(Some(level), activation, shape, &kernel, Some(&bias));
        Part::Dense(Arc::new(made.unwrap()))
    };
    vec![
        recurrent(CellKind::Lstm, 3, 20),
        dense(Activation::Softplus, [20, 9]),
        recurrent(CellKind::GruResetBefore, 9, 37),
        dense(Activation::Linear, [37, 18]),
        Part::Function(RowFunction::Softmax),
    ]
}

#[test]
fn a_chain_equals_its_layers_one_after_the_other() {
    for level in Level::all() {
        let parts = chain(level);
        let inputs: Vec<f32> =
            Random(8).numbers(5 * 4 * 3, 1.0).iter().map(|&v| f32::of(v)).collect();
        let mut whole = Stream::new(Some(level), &parts, 3, 5).unwrap();
        let whole = step_by_step(&mut whole, &inputs, 4);
        let (mut expected, mut features) = (inputs, 3);
        for part in parts {
            let mut layer = Stream::new(Some(level), &[part], features, 5).unwrap();
            expected = step_by_step(&mut layer, &expected, 4).outputs;
            features = layer.units();
        }
        assert!(expected == whole.outputs, "{level:?}");
        assert_eq!(whole.state.iter().map(Vec::len).collect::<Vec<_>>(), [100, 100, 185]);
        for row in whole.outputs.chunks(18) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{level:?}: {row:?}");
        }
    }
}

#[test]
fn dense_and_activations_give_the_bits_of_whole_batches() {
    for level in Level::all() {
        let parts = chain(level);
        let Part::Dense(weights) = &parts[3] else { unreachable!() };
        let inputs: Vec<f32> =
            Random(9).numbers(13 * 37, 2.0).iter().map(|&v| f32::of(v)).collect();
        let mut sums = vec![0.0; 13 * 18];
        let view = View::contiguous(&inputs, [13, 1, 37]).unwrap();
        let out = ViewMut::contiguous(&mut sums, [13, 1, 18]).unwrap();
        dense::forward(weights, view, out, None, &|| false).unwrap();
        let mut whole = vec![0.0; sums.len()];
        dense::activate(Some(level), RowFunction::Softmax, 18, &sums, &mut whole).unwrap();
        let mut stream = Stream::new(Some(level), &parts[3..], 37, 1).unwrap();
        let steps = step_by_step(&mut stream, &inputs, 13);
        assert!(whole == steps.outputs, "{level:?}");
    }
}

#[test]
fn softmax_is_accurate_and_lets_nan_through() {
    for level in Level::all() {
        for units in [1, 4, 7, 16, 33] {
            let inputs = Random(10).numbers(3 * units, 40.0);
            let mut outputs = vec![0.0; inputs.len()];
            dense::activate(Some(level), RowFunction::Softmax, units, &inputs, &mut outputs)
                .unwrap();
            for (x, y) in inputs.chunks(units).zip(outputs.chunks(units)) {
                let largest = x.iter().copied().fold(f64::MIN, f64::max);
                let sum: f64 = x.iter().map(|x| (x - largest).exp()).sum();
                for (x, y) in x.iter().zip(y) {
                    let expected = (x - largest).exp() / sum;
                    assert!((y - expected).abs() <= 1e-14 * expected, "{level:?}: {y} {expected}");
                }
            }
            let mut broken = inputs.clone();
            broken[0] = f64::NAN;
            dense::activate(Some(level), RowFunction::Softmax, units, &broken, &mut outputs)
                .unwrap();
            assert!(outputs[..units].iter().all(|y| y.is_nan()), "{level:?}");
            assert!(outputs[units..].iter().all(|y| !y.is_nan()), "{level:?}");
        }
    }
}

#[test]
fn states_are_set_and_reset_row_by_row() {
    for &cell in CellKind::ALL {
        let case = Case::new(cell, [3, 1, 4, 21]);
        let arrays = Arrays::random(&case, 11).cast::<f32>();
        let mut stream = stream_of(&case, &arrays);
        assert!(states(&mut stream) == arrays.state, "{cell:?}");
        stream.reset(1);
        let mut expected = arrays.state.clone();
        for state in &mut expected {
            state[21..42].fill(0.0);
        }
        assert!(states(&mut stream) == expected, "{cell:?}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let parts = chain(Level::current().unwrap());
    let error = |parts: &[Part<f32>], features, streams| {
        Stream::new(None, parts, features, streams).map(|_| ()).unwrap_err().to_string()
    };
    assert!(error(&parts, 3, 0).contains("`streams`: expected a positive integer, received 0"));
    assert!(
        error(&parts, 4, 1).contains("part number 0 to take 4 features, received one that takes 3")
    );
    assert!(error(&parts[1..], 3, 1).contains("to take 3 features, received one that takes 20"));
    let mut stream = Stream::new(None, &parts, 3, 2).unwrap();
    let mut message = |inputs, outputs| {
        let (x, mut y) = ([0.0; 6], [0.0; 36]);
        let inputs = View::contiguous(&x, inputs).unwrap();
        let mut outputs = ViewMut::contiguous(&mut y, outputs).unwrap();
        stream.step(inputs, &mut outputs).unwrap_err().to_string()
    };
    let received = message([1, 1, 6], [2, 1, 18]);
    assert_eq!(received, "`inputs`: expected shape [2, 1, 3], received [1, 1, 6]");
    let received = message([2, 1, 3], [1, 2, 18]);
    assert_eq!(received, "`outputs`: expected shape [2, 1, 18], received [1, 2, 18]");
}
