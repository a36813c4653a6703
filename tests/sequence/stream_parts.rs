//! Parts of layers in a stream, against plain loops, on every instruction set.

use std::sync::Arc;

use crate::common::Random;
use ferrnn::kernels::activation::Activation;
use ferrnn::layers::dense;
use ferrnn::layers::stream::{
    ConvLstm, Elementwise, Fold, Folding, Operation, Part, Products, Select, Stream, Window,
};
use ferrnn::machine::memory::{View, ViewMut};
use ferrnn::machine::simd::Level;

/// Outputs `[rows][step][units]` for inputs `[rows][step][features]`.
fn run(level: Level, parts: &[Part<f64>], rows: &[Vec<Vec<f64>>]) -> Vec<Vec<Vec<f64>>> {
    let (count, features) = (rows.len(), rows[0][0].len());
    let mut stream = Stream::new(Some(level), parts, features, count).unwrap();
    let mut outputs = vec![Vec::new(); count];
    for step in 0..rows[0].len() {
        let inputs: Vec<f64> = rows.iter().flat_map(|row| row[step].clone()).collect();
        let mut out = vec![0.0; count * stream.units()];
        let view = View::contiguous(&inputs, [count, 1, features]).unwrap();
        let mut to = ViewMut::contiguous(&mut out, [count, 1, stream.units()]).unwrap();
        stream.step(view, &mut to).unwrap();
        for (row, own) in outputs.iter_mut().zip(out.chunks(stream.units())) {
            row.push(own.to_vec());
        }
    }
    outputs
}

fn sequences(rows: usize, steps: usize, features: usize) -> Vec<Vec<Vec<f64>>> {
    let mut random = Random(3);
    (0..rows).map(|_| (0..steps).map(|_| random.numbers(features, 1.0)).collect()).collect()
}

#[test]
fn a_window_holds_the_last_steps() {
    for level in Level::all() {
        for (features, taps, dilation) in [(1, 2, 1), (5, 3, 1), (17, 4, 3), (3, 1, 2)] {
            for causal in [false, true] {
                let window = Window { features, taps, dilation, causal };
                let rows = sequences(2, 12, features);
                let received = run(level, &[Part::Window(window)], &rows);
                let reach = (taps - 1) * dilation;
                for (row, outputs) in rows.iter().zip(&received) {
                    for (step, output) in outputs.iter().enumerate() {
                        if step < reach && !causal {
                            assert!(output.iter().all(|v| v.is_nan()), "{window:?}, {step}");
                            continue;
                        }
                        let tap = |tap: usize| {
                            (step + tap * dilation)
                                .checked_sub(reach)
                                .map_or(vec![0.0; features], |at| row[at].clone())
                        };
                        let expected: Vec<f64> = (0..taps).flat_map(tap).collect();
                        assert_eq!(*output, expected, "{window:?}, {step}");
                    }
                }
            }
        }
    }
}

#[test]
fn arithmetic_has_a_number_for_each_element() {
    let of = |operation, x: f64, a: f64| match operation {
        Operation::Add => x + a,
        Operation::Subtract => x - a,
        Operation::Divide => x / a,
        Operation::Minimum => x.min(a),
        Operation::Slope if x > 0.0 => x,
        Operation::Multiply | Operation::Slope => x * a,
        Operation::Above if x > a => x,
        Operation::Above => x * 0.0,
    };
    for level in Level::all() {
        for (name, operation) in Operation::ALL {
            assert_eq!(Operation::named(name).unwrap(), operation);
            let numbers = Random(5).numbers(19, 1.0);
            let elementwise = Arc::new(Elementwise::new(operation, &numbers).unwrap());
            let rows = sequences(3, 1, 19);
            let received = run(level, &[Part::Elementwise(elementwise)], &rows);
            for (row, output) in rows.iter().zip(&received) {
                for ((&x, &a), &y) in row[0].iter().zip(&numbers).zip(&output[0]) {
                    let expected = of(operation, x, a);
                    assert!(y.to_bits() == expected.to_bits(), "{level:?}, {operation:?}");
                }
            }
        }
    }
    assert!(Operation::named("modulo").is_err());
}

#[test]
fn pieces_are_put_elsewhere_and_folded() {
    let nowhere = Select::NOWHERE;
    for level in Level::all() {
        for width in [1, 3, 9, 21] {
            // Three windows of two places, some of them padding.
            let from = vec![nowhere, 0, 3, 1, 2, nowhere];
            let weights = Random(7).numbers(2 * width, 1.0);
            let rows = sequences(2, 1, 4 * width);
            let folds = [
                (Folding::new(3, 2, width, Fold::Max).unwrap(), f64::NEG_INFINITY),
                (Folding::new(3, 2, width, Fold::Sum).unwrap(), 0.25),
                (Folding::weighted(3, 2, width, &weights).unwrap(), 0.5),
            ];
            for (number, (folding, fill)) in folds.into_iter().enumerate() {
                let select = Select::new(4, width, from.clone(), fill).unwrap();
                let parts = [Part::Select(Arc::new(select)), Part::Folding(Arc::new(folding))];
                let received = run(level, &parts, &rows);
                for (row, output) in rows.iter().zip(&received) {
                    for (place, pair) in from.chunks(2).enumerate() {
                        for at in 0..width {
                            let tap = |piece: u32| {
                                if piece == nowhere {
                                    fill
                                } else {
                                    row[0][piece as usize * width + at]
                                }
                            };
                            let (a, b) = (tap(pair[0]), tap(pair[1]));
                            let expected = match number {
                                0 => a.max(b),
                                1 => a + b,
                                _ => a * weights[at] + b * weights[width + at],
                            };
                            let received = output[0][place * width + at];
                            assert!(
                                received.to_bits() == expected.to_bits(),
                                "{level:?}, {number}"
                            );
                        }
                    }
                }
            }
        }
    }
}

fn packed(level: Level, shape: [usize; 2], seed: u64) -> (Vec<f64>, Arc<dense::Weights<f64>>) {
    let kernel = Random(seed).numbers(shape[0] * shape[1], 0.5);
    let weights = dense::Weights::new(Some(level), Activation::Linear, shape, &kernel, None);
    (kernel, Arc::new(weights.unwrap()))
}

fn product(x: &[f64], kernel: &[f64], units: usize) -> Vec<f64> {
    (0..units)
        .map(|unit| x.iter().enumerate().map(|(k, x)| x * kernel[k * units + unit]).sum())
        .collect()
}

#[test]
fn products_are_those_of_each_place_and_group() {
    for level in Level::all() {
        let (places, features, units) = (5, 3, 7);
        let made = [packed(level, [features, units], 1), packed(level, [features, units], 2)];
        let groups = made.iter().map(|(_, weights)| weights.clone()).collect();
        let rows = sequences(2, 1, 2 * places * features);
        let received = run(level, &[Part::Products(Products { places, groups })], &rows);
        for (row, output) in rows.iter().zip(&received) {
            for place in 0..places {
                for (group, (kernel, _)) in made.iter().enumerate() {
                    let x = &row[0][(group * places + place) * features..][..features];
                    let own = &output[0][(place * 2 + group) * units..][..units];
                    for (y, expected) in own.iter().zip(product(x, kernel, units)) {
                        assert!((y - expected).abs() < 1e-14, "{level:?}: {y} {expected}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_convolutional_lstm_keeps_frames() {
    let (places, features, filters) = (4, 3, 5);
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    // Windows of two places, the last of which reaches beyond the frame.
    let from = vec![0, 1, 1, 2, 2, 3, 3, Select::NOWHERE];
    for level in Level::all() {
        let (kernel, own) = packed(level, [features, 4 * filters], 1);
        let (recurrent, of_h) = packed(level, [2 * filters, 4 * filters], 2);
        let part = Part::ConvLstm(ConvLstm {
            places,
            kernel: own,
            recurrent_kernel: of_h,
            windows: Arc::new(Select::new(places, filters, from.clone(), 0.0).unwrap()),
            activation: Activation::Tanh,
            recurrent_activation: Activation::Sigmoid,
        });
        let rows = sequences(2, 3, places * features);
        let received = run(level, &[part], &rows);
        for (row, outputs) in rows.iter().zip(&received) {
            let (mut h, mut c) = (vec![0.0; places * filters], vec![0.0; places * filters]);
            for (x, output) in row.iter().zip(outputs) {
                let before = h.clone();
                for place in 0..places {
                    let mut window = before[place * filters..].to_vec();
                    window.resize(2 * filters, 0.0);
                    let mut z = product(&x[place * features..][..features], &kernel, 4 * filters);
                    for (z, more) in z.iter_mut().zip(product(&window, &recurrent, 4 * filters)) {
                        *z += more;
                    }
                    for unit in 0..filters {
                        let at = place * filters + unit;
                        let gate = |n: usize| z[n * filters + unit];
                        c[at] = sigmoid(gate(1)) * c[at] + sigmoid(gate(0)) * gate(2).tanh();
                        h[at] = sigmoid(gate(3)) * c[at].tanh();
                    }
                }
                for (y, expected) in output.iter().zip(&h) {
                    assert!((y - expected).abs() < 1e-13, "{level:?}: {y} {expected}");
                }
            }
        }
    }
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let level = Level::current().unwrap();
    let new = |part: Part<f64>| Stream::new(None, &[part], 6, 2).map(|_| ());
    let window =
        |features, taps, dilation| Part::Window(Window { features, taps, dilation, causal: true });
    assert!(new(window(6, 2, 1)).is_ok());
    for wrong in [window(5, 2, 1), window(6, 0, 1), window(6, 2, 0), window(6, usize::MAX, 2)] {
        assert!(new(wrong).is_err());
    }
    let groups = vec![packed(level, [3, 2], 1).1, packed(level, [3, 4], 1).1];
    assert!(new(Part::Products(Products { places: 1, groups })).is_err());
    assert!(new(Part::Products(Products { places: 1, groups: Vec::new() })).is_err());
    assert!(Select::new(2, 3, vec![2], 0.0).is_err());
    assert!(Select::new(2, 3, Vec::new(), 0.0).is_err());
    assert!(Folding::weighted(1, 2, 3, &[0.0; 5]).is_err());
    assert!(Folding::<f64>::new(1, 0, 3, Fold::Sum).is_err());
    assert!(Elementwise::<f64>::new(Operation::Add, &[]).is_err());
    let windows = Arc::new(Select::new(2, 2, vec![0, 1], 0.0).unwrap());
    for (kernel, recurrent) in [([3, 7], [2, 7]), ([3, 8], [2, 4]), ([3, 8], [3, 8])] {
        let part = Part::ConvLstm(ConvLstm {
            places: 2,
            kernel: packed(level, kernel, 1).1,
            recurrent_kernel: packed(level, recurrent, 1).1,
            windows: windows.clone(),
            activation: Activation::Tanh,
            recurrent_activation: Activation::Sigmoid,
        });
        assert!(new(part).is_err());
    }
}
