//! Layer normalization on every instruction set: against plain loops, finite differences, to the bit.

mod common;

use common::Random;
use ferrnn::layers::normalization::{KEPT, Seeds, Weights, backward, forward};
use ferrnn::machine::simd::{Element, Level};

/// Fills no register, one, several, and leaves a tail.
const LENGTHS: [usize; 6] = [1, 3, 8, 16, 19, 70];
const ROWS: usize = 5;

struct Layer {
    level: Level,
    centered: bool,
    features: usize,
    gamma: Vec<f64>,
    beta: Vec<f64>,
}

fn layers() -> Vec<Layer> {
    let mut random = Random(3);
    let mut layers = Vec::new();
    for level in Level::all() {
        for features in LENGTHS {
            for centered in [true, false] {
                let [gamma, beta] = [(); 2].map(|()| random.numbers(features, 1.0));
                layers.push(Layer { level, centered, features, gamma, beta });
            }
        }
    }
    layers
}

impl Layer {
    fn weights<T: Element>(&self, epsilon: f64) -> Weights<T> {
        let cast = |values: &[f64]| values.iter().map(|&v| T::of(v)).collect::<Vec<_>>();
        let (gamma, beta) = (cast(&self.gamma), cast(&self.beta));
        Weights::new(
            Some(self.level),
            self.features,
            (epsilon, self.centered),
            Some(&gamma),
            Some(&beta),
        )
        .unwrap()
    }

    fn run<T: Element>(&self, inputs: &[T]) -> (Vec<T>, Vec<T>) {
        let mut outputs = vec![T::of(f64::NAN); inputs.len()];
        let mut kept = vec![T::of(f64::NAN); KEPT * inputs.len() / self.features];
        forward(&self.weights(1e-3), inputs, &mut outputs, Some(&mut kept)).unwrap();
        (outputs, kept)
    }

    /// Gradients with respect to inputs, gamma and beta.
    fn gradients<T: Element>(&self, inputs: &[T], d_outputs: &[T]) -> [Vec<T>; 3] {
        let nan = |length| vec![T::of(f64::NAN); length];
        let (_, kept) = self.run(inputs);
        let seeds = Seeds { inputs, kept: &kept, d_outputs };
        let mut found = [nan(inputs.len()), nan(self.features), nan(self.features)];
        let [d_inputs, d_gamma, d_beta] = &mut found;
        backward(&self.weights(1e-3), seeds, Some(d_inputs), Some(d_gamma), Some(d_beta)).unwrap();
        found
    }
}

fn singles(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&v| f32::of(v)).collect()
}

#[test]
fn outputs_are_those_of_plain_loops() {
    for layer in layers() {
        let inputs = Random(4).numbers(ROWS * layer.features, 3.0);
        let (outputs, _) = layer.run(&inputs);
        let (coarse, _) = layer.run(&singles(&inputs));
        for (n, (x, y)) in
            inputs.chunks(layer.features).zip(outputs.chunks(layer.features)).enumerate()
        {
            let count = layer.features as f64;
            let mean = if layer.centered { x.iter().sum::<f64>() / count } else { 0.0 };
            let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
            for k in 0..layer.features {
                let normalized = (x[k] - mean) / (variance + 1e-3).sqrt();
                let expected = normalized * layer.gamma[k] + layer.beta[k];
                let case = (layer.level, layer.features);
                assert!((y[k] - expected).abs() < 1e-13, "{case:?}: {} {expected}", y[k]);
                let single = f64::from(coarse[n * layer.features + k]);
                assert!((single - expected).abs() < 2e-5, "{case:?}: {single} {expected}");
            }
        }
    }
}

#[test]
fn gradients_match_finite_differences() {
    for mut layer in layers().into_iter().filter(|layer| layer.features > 1) {
        let length = ROWS * layer.features;
        let inputs = Random(5).numbers(length, 1.0);
        let d_outputs = Random(6).numbers(length, 1.0);
        let ways = [length, layer.features, layer.features];
        let ways = ways.map(|length| Random(7).numbers(length, 1.0));
        let found = layer.gradients(&inputs, &d_outputs);
        for (which, way) in ways.iter().enumerate() {
            let mut loss = |by: f64| {
                let moved = |from: &[f64]| -> Vec<_> {
                    from.iter().zip(way).map(|(value, way)| value + by * way).collect()
                };
                let kept = (layer.gamma.clone(), layer.beta.clone());
                let mut own = inputs.clone();
                match which {
                    0 => own = moved(&inputs),
                    1 => layer.gamma = moved(&layer.gamma),
                    _ => layer.beta = moved(&layer.beta),
                }
                let (outputs, _) = layer.run(&own);
                (layer.gamma, layer.beta) = kept;
                outputs.iter().zip(&d_outputs).map(|(y, d)| y * d).sum::<f64>()
            };
            let slope = (loss(1e-5) - loss(-1e-5)) / 2e-5;
            let product: f64 = found[which].iter().zip(way).map(|(d, way)| d * way).sum();
            assert!(product.abs() > 1e-6, "a zero gradient proves nothing");
            let case = (layer.level, layer.centered, layer.features, which);
            assert!(
                (product - slope).abs() < 1e-6 * slope.abs().max(0.1),
                "{case:?}: {product} {slope}"
            );
        }
    }
}

#[test]
fn a_row_has_the_same_bits_alone_and_in_a_batch() {
    for layer in layers() {
        let inputs = singles(&Random(8).numbers(ROWS * layer.features, 1.0));
        let d_outputs = singles(&Random(9).numbers(inputs.len(), 1.0));
        let (outputs, _) = layer.run(&inputs);
        let [d_inputs, ..] = layer.gradients(&inputs, &d_outputs);
        for row in 0..ROWS {
            let own = row * layer.features..(row + 1) * layer.features;
            assert_eq!(layer.run(&inputs[own.clone()]).0, outputs[own.clone()]);
            let [alone, ..] = layer.gradients(&inputs[own.clone()], &d_outputs[own.clone()]);
            assert_eq!(alone, d_inputs[own]);
        }
    }
}

#[test]
fn a_row_that_is_not_finite_leaves_the_others_alone() {
    // Divided by an infinite root, the other entries of a row that is not centered are zeros.
    for layer in layers().into_iter().filter(|layer| layer.centered) {
        for broken in [f32::NAN, f32::INFINITY] {
            let mut inputs = singles(&Random(10).numbers(ROWS * layer.features, 1.0));
            let d_outputs = singles(&Random(11).numbers(inputs.len(), 1.0));
            let before = (layer.run(&inputs).0, layer.gradients(&inputs, &d_outputs));
            inputs[layer.features] = broken;
            let after = (layer.run(&inputs).0, layer.gradients(&inputs, &d_outputs));
            let (first, others) = (layer.features, 2 * layer.features);
            assert!(after.0[first..others].iter().all(|y| y.is_nan()), "{:?}", layer.level);
            assert!(
                before.0[..first] == after.0[..first] && before.0[others..] == after.0[others..]
            );
            assert_eq!(before.1[0][..first], after.1[0][..first]);
            assert_eq!(before.1[0][others..], after.1[0][others..]);
        }
    }
}

#[test]
fn without_scale_and_shift_the_bits_are_those_of_one_and_zero() {
    for mut layer in layers() {
        layer.gamma.fill(1.0);
        layer.beta.fill(0.0);
        let inputs = Random(12).numbers(ROWS * layer.features, 1.0);
        let bare =
            Weights::new(Some(layer.level), layer.features, (1e-3, layer.centered), None, None)
                .unwrap();
        let mut outputs = vec![f64::NAN; inputs.len()];
        forward(&bare, &inputs, &mut outputs, None).unwrap();
        assert_eq!(layer.run(&inputs).0, outputs);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let error = |features, gamma: Option<&[f32]>, beta: Option<&[f32]>| {
        Weights::new(None, features, (1e-3, true), gamma, beta).map(|_| ()).unwrap_err().to_string()
    };
    assert_eq!(error(0, None, None), "`features`: expected a positive integer, received 0");
    assert_eq!(error(2, Some(&[1.0]), None), "`gamma`: expected shape [2], received [1]");
    assert_eq!(error(2, None, Some(&[1.0; 3])), "`beta`: expected shape [2], received [3]");
    let weights = Weights::<f32>::new(None, 3, (1e-3, true), None, None).unwrap();
    let message = |inputs: &[f32], outputs: &mut [f32]| {
        forward(&weights, inputs, outputs, None).unwrap_err().to_string()
    };
    let received = message(&[0.0; 4], &mut [0.0; 4]);
    assert_eq!(received, "`inputs`: expected a multiple of 3 elements, received 4");
    let received = message(&[0.0; 6], &mut [0.0; 3]);
    assert_eq!(received, "`outputs`: expected shape [6], received [3]");
}
