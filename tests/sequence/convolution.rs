//! Convolutions over frames on every instruction set: the bits of a product with copied windows, and
//! a convolutional LSTM against plain loops.

use crate::common::Random;
use ferrnn::kernels::activation::Activation;
use ferrnn::layers::convolution::{self, Axis, ConvLstmLayer, Frames, States};
use ferrnn::layers::dense::{self, Weights};
use ferrnn::machine::memory::{View, ViewMut};
use ferrnn::machine::simd::Level;

fn axis(places: usize, size: usize, stride: usize, dilation: usize, same: bool) -> Axis {
    let reach = (size - 1) * dilation + 1;
    if !same {
        let windows = (places - reach) / stride + 1;
        return Axis { places, size, stride, dilation, before: 0, windows };
    }
    let windows = places.div_ceil(stride);
    let before = ((windows - 1) * stride + reach).saturating_sub(places) / 2;
    Axis { places, size, stride, dilation, before, windows }
}

fn frames() -> Vec<Frames> {
    let frame = |lines, columns, features| Frames { lines, columns, features };
    vec![
        frame(axis(7, 3, 1, 1, true), axis(9, 3, 1, 1, true), 1),
        frame(axis(7, 3, 1, 1, false), axis(9, 3, 1, 1, false), 3),
        frame(axis(8, 2, 2, 1, true), axis(11, 5, 3, 1, true), 2),
        frame(axis(9, 3, 1, 2, true), axis(13, 1, 1, 1, false), 8),
        frame(axis(2, 5, 1, 3, true), axis(2, 5, 1, 1, true), 5),
        frame(axis(5, 1, 3, 1, false), axis(40, 2, 3, 1, false), 12),
    ]
}

/// `[frame, line of windows, window, column, line, feature]`, each place read or zero.
fn windows(frames: Frames, count: usize, inputs: &[f64]) -> Vec<f64> {
    let Frames { lines, columns, features } = frames;
    let mut found = Vec::new();
    for frame in 0..count {
        for (line, column) in places(lines.windows, columns.windows) {
            for (x, y) in places(columns.size, lines.size) {
                let y = (line * lines.stride + y * lines.dilation).checked_sub(lines.before);
                let x = (column * columns.stride + x).checked_sub(columns.before);
                let y = y.filter(|&y| y < lines.places);
                let at = y
                    .zip(x.filter(|&x| x < columns.places))
                    .map(|(y, x)| ((frame * lines.places + y) * columns.places + x) * features);
                found.extend((0..features).map(|n| at.map_or(0.0, |at| inputs[at + n])));
            }
        }
    }
    found
}

fn places(first: usize, second: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..first).flat_map(move |a| (0..second).map(move |b| (a, b)))
}

/// The product with copied windows, `[frame, line, window, unit]`.
fn product(weights: &Weights<f64>, frames: Frames, count: usize, inputs: &[f64]) -> Vec<f64> {
    let rows = count * frames.lines.windows * frames.columns.windows;
    let copies = windows(frames, count, inputs);
    let mut outputs = vec![f64::NAN; rows * weights.units()];
    let from = View::contiguous(&copies, [rows, 1, weights.features()]).unwrap();
    let to = ViewMut::contiguous(&mut outputs, [rows, 1, weights.units()]).unwrap();
    dense::forward(weights, from, to, None, &|| false).unwrap();
    outputs
}

fn weights(level: Level, random: &mut Random, features: usize, units: usize) -> Weights<f64> {
    let scale = 1.0 / (features as f64).sqrt();
    let (kernel, bias) = (random.numbers(features * units, scale), random.numbers(units, 0.5));
    Weights::new(Some(level), Activation::Tanh, [features, units], &kernel, Some(&bias)).unwrap()
}

fn line(frames: Frames) -> usize {
    frames.columns.places * frames.features
}

fn taps(frames: Frames) -> usize {
    frames.lines.size * frames.columns.size
}

#[test]
fn convolutions_have_the_bits_of_products_with_copied_windows() {
    let mut random = Random(3);
    for level in Level::all() {
        for (n, frames) in frames().into_iter().enumerate() {
            let (count, units) = (3, [1, 5, 8, 16, 17, 33][n]);
            let weights = weights(level, &mut random, taps(frames) * frames.features, units);
            let inputs = random.numbers(count * frames.lines.places * line(frames), 1.0);
            let view = View::contiguous(&inputs, [count, frames.lines.places, line(frames)]);
            let shape = [count * frames.lines.windows, 1, frames.columns.windows * units];
            let mut outputs = vec![f64::NAN; shape[0] * shape[2]];
            let to = ViewMut::contiguous(&mut outputs, shape).unwrap();
            convolution::forward(&weights, frames, view.unwrap(), to, &|| false).unwrap();
            assert_eq!(outputs, product(&weights, frames, count, &inputs), "{frames:?}");
        }
    }
}

#[test]
fn a_step_of_a_convolutional_lstm_is_that_of_plain_loops() {
    let mut random = Random(4);
    for level in Level::all() {
        for (n, frames) in frames().into_iter().enumerate() {
            let (count, filters) = (2, [1, 3, 4, 8, 16, 17][n]);
            let [lines, columns] = [frames.lines, frames.columns].map(|axis| axis.windows);
            let of_states = Frames {
                lines: axis(lines, frames.lines.size, 1, 1, true),
                columns: axis(columns, frames.columns.size, 1, 1, true),
                features: filters,
            };
            let linear = |random: &mut Random, features: usize| {
                let kernel = random.numbers(taps(frames) * features * 4 * filters, 0.3);
                let size = [taps(frames) * features, 4 * filters];
                Weights::new(Some(level), Activation::Linear, size, &kernel, None).unwrap()
            };
            let kernel = linear(&mut random, frames.features);
            let recurrent_kernel = linear(&mut random, filters);
            let inputs = random.numbers(count * frames.lines.places * line(frames), 1.0);
            let states = count * lines * line(of_states);
            let (h, c) = (random.numbers(states, 1.0), random.numbers(states, 1.0));
            let (mut new_h, mut new_c) = (vec![f64::NAN; states], vec![f64::NAN; states]);
            let of =
                |array, size| View::contiguous(array, [count, size, array.len() / count / size]);
            let shape = [count * lines, 1, line(of_states)];
            convolution::step(
                ConvLstmLayer {
                    kernel: &kernel,
                    recurrent_kernel: &recurrent_kernel,
                    frames,
                    activation: Activation::Tanh,
                    recurrent_activation: Activation::Sigmoid,
                },
                of(&inputs[..], frames.lines.places).unwrap(),
                States {
                    h: of(&h, lines).unwrap(),
                    c: of(&c, lines).unwrap(),
                    new_h: ViewMut::contiguous(&mut new_h, shape).unwrap(),
                    new_c: ViewMut::contiguous(&mut new_c, shape).unwrap(),
                },
                &|| false,
            )
            .unwrap();
            let z: Vec<f64> = product(&kernel, frames, count, &inputs)
                .into_iter()
                .zip(product(&recurrent_kernel, of_states, count, &h))
                .map(|(x, h)| x + h)
                .collect();
            for (at, &c) in c.iter().enumerate() {
                let gate = |gate| z[(at / filters * 4 + gate) * filters + at % filters];
                let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
                let expected = sigmoid(gate(1)) * c + sigmoid(gate(0)) * gate(2).tanh();
                assert!((new_c[at] - expected).abs() < 1e-12, "{} {expected}", new_c[at]);
                let expected = sigmoid(gate(3)) * expected.tanh();
                assert!((new_h[at] - expected).abs() < 1e-12, "{} {expected}", new_h[at]);
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut random = Random(5);
    let frames = frames()[0];
    let level = Level::all()[0];
    let inputs = random.numbers(63, 1.0);
    let run = |frames: Frames, features| {
        let weights = weights(level, &mut Random(6), features, 2);
        let mut outputs = vec![0.0; 7 * 9 * 2];
        let view = View::contiguous(&inputs, [1, 7, 9]).unwrap();
        let to = ViewMut::contiguous(&mut outputs, [7, 1, 18]).unwrap();
        convolution::forward(&weights, frames, view, to, &|| false).map_err(|e| e.to_string())
    };
    assert_eq!(run(frames, 9), Ok(()));
    assert!(run(frames, 8).unwrap_err().contains("`kernel`"));
    let far = Axis { dilation: 2, ..frames.columns };
    assert!(run(Frames { columns: far, ..frames }, 9).unwrap_err().contains("dilation of 1"));
    let none = Axis { windows: 0, ..frames.lines };
    assert!(run(Frames { lines: none, ..frames }, 9).unwrap_err().contains("`lines`"));
    let longer = Axis { places: 10, ..frames.columns };
    assert!(run(Frames { columns: longer, ..frames }, 9).unwrap_err().contains("`inputs`"));
    let endless = Axis { stride: usize::MAX, ..frames.columns };
    assert!(run(Frames { columns: endless, ..frames }, 9).is_err());
}

/// The highest of each window by plain loops, and the gradient that goes to the first that has it.
fn pooled(frames: Frames, count: usize, inputs: &[f64], d: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let Frames { lines, columns, features } = frames;
    let (mut highest, mut d_inputs) = (Vec::new(), vec![0.0; inputs.len()]);
    for frame in 0..count {
        for (line, column) in places(lines.windows, columns.windows) {
            for n in 0..features {
                let inside = places(lines.size, columns.size).filter_map(|(y, x)| {
                    let y = (line * lines.stride + y * lines.dilation).checked_sub(lines.before)?;
                    let x = column * columns.stride + x * columns.dilation;
                    let x = x.checked_sub(columns.before)?;
                    let there = y < lines.places && x < columns.places;
                    let row = (frame * lines.places + y) * columns.places + x;
                    there.then_some(row * features + n)
                });
                let best = inside.reduce(|a, b| if inputs[b] > inputs[a] { b } else { a });
                if let Some(best) = best {
                    d_inputs[best] += d[highest.len()];
                }
                highest.push(best.map_or(f64::NEG_INFINITY, |best| inputs[best]));
            }
        }
    }
    (highest, d_inputs)
}

#[test]
fn pooling_gives_the_highest_and_the_first_that_has_it_the_gradient() {
    let mut random = Random(5);
    for mut frames in frames() {
        let count = 5;
        frames.columns.dilation = 1;
        let numbers = random.numbers(count * frames.lines.places * line(frames), 2.0);
        let inputs: Vec<f64> = numbers.iter().map(|x| x.round()).collect();
        let of_line = frames.columns.windows * frames.features;
        let shape = [count * frames.lines.windows, 1, of_line];
        // Whole numbers: their sums do not depend on the order.
        let numbers = random.numbers(shape[0] * of_line, 9.0);
        let d: Vec<f64> = numbers.iter().map(|x| x.round()).collect();
        let (expected, d_expected) = pooled(frames, count, &inputs, &d);
        let shape_of_inputs = [count, frames.lines.places, line(frames)];
        let view = View::contiguous(&inputs, shape_of_inputs).unwrap();
        let mut highest = vec![f64::NAN; d.len()];
        let to = ViewMut::contiguous(&mut highest, shape).unwrap();
        convolution::max_pool(frames, view, to, &|| false).unwrap();
        assert_eq!(highest, expected, "{frames:?}");
        let mut d_inputs = vec![f64::NAN; inputs.len()];
        let to = ViewMut::contiguous(&mut d_inputs, shape_of_inputs).unwrap();
        let of_outputs = [count, frames.lines.windows, of_line];
        let given = [&highest, &d].map(|array| View::contiguous(array, of_outputs).unwrap());
        convolution::max_pool_backward(frames, view, given, to, &|| false).unwrap();
        assert_eq!(d_inputs, d_expected, "{frames:?}");
    }
}
