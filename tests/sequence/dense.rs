//! Dense layers on every instruction set: against plain loops, finite differences, and to the bit.

use crate::common::Random;
use ferrnn::kernels::activation::Activation;
use ferrnn::layers::dense::{Seeds, Weights, backward, forward};
use ferrnn::machine::memory::{View, ViewMut};
use ferrnn::machine::simd::Level;

struct Layer {
    kernel: Vec<f64>,
    bias: Vec<f64>,
    size: [usize; 2],
    activation: Activation,
    level: Level,
}

impl Layer {
    fn weights(&self) -> Weights<f64> {
        let (level, bias) = (Some(self.level), Some(&self.bias[..]));
        Weights::new(level, self.activation, self.size, &self.kernel, bias).unwrap()
    }

    /// Outputs, and the sums if they are kept.
    fn run(&self, inputs: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let weights = self.weights();
        let [features, units] = self.size;
        let rows = inputs.len() / features;
        let (mut outputs, mut sums) = (vec![f64::NAN; rows * units], vec![f64::NAN; rows * units]);
        forward(
            &weights,
            View::contiguous(inputs, [rows, 1, features]).unwrap(),
            ViewMut::contiguous(&mut outputs, [rows, 1, units]).unwrap(),
            Some(ViewMut::contiguous(&mut sums, [rows, 1, units]).unwrap()),
            &|| false,
        )
        .unwrap();
        (outputs, sums)
    }

    fn loss(&self, inputs: &[f64], d: &[f64]) -> f64 {
        self.run(inputs).0.iter().zip(d).map(|(y, d)| y * d).sum()
    }
}

fn layers() -> Vec<Layer> {
    let mut random = Random(5);
    let mut layers = Vec::new();
    for level in Level::all() {
        for (n, (_, activation)) in Activation::ALL.into_iter().enumerate() {
            let size = [[3, 17], [17, 1], [100, 5], [1, 33]][n % 4];
            layers.push(Layer {
                kernel: random.numbers(size[0] * size[1], 1.0 / (size[0] as f64).sqrt()),
                bias: random.numbers(size[1], 0.5),
                size,
                activation,
                level,
            });
        }
    }
    layers
}

#[test]
fn sums_equal_plain_loops() {
    for layer in layers() {
        let [features, units] = layer.size;
        let inputs = Random(1).numbers(7 * features, 1.0);
        let (_, sums) = layer.run(&inputs);
        for (n, sum) in sums.iter().enumerate() {
            let (row, unit) = (n / units, n % units);
            let terms =
                (0..features).map(|k| inputs[row * features + k] * layer.kernel[k * units + unit]);
            assert!((sum - layer.bias[unit] - terms.sum::<f64>()).abs() < 1e-12);
        }
    }
}

#[test]
fn gradients_match_finite_differences() {
    for mut layer in layers() {
        let [features, units] = layer.size;
        let mut random = Random(2);
        let rows = 5;
        let inputs = random.numbers(rows * features, 1.0);
        let d = random.numbers(rows * units, 1.0);
        let (outputs, sums) = layer.run(&inputs);
        let weights = layer.weights();
        let kept = if weights.keeps_input() { &sums } else { &outputs };
        let mut d_inputs = vec![f64::NAN; inputs.len()];
        let mut d_kernel = vec![f64::NAN; features * units];
        let mut d_bias = vec![f64::NAN; units];
        let seeds = Seeds {
            inputs: View::contiguous(&inputs, [rows, 1, features]).unwrap(),
            kept: View::contiguous(kept, [rows, 1, units]).unwrap(),
            d_outputs: View::contiguous(&d, [rows, 1, units]).unwrap(),
        };
        let view = ViewMut::contiguous(&mut d_inputs, [rows, 1, features]).unwrap();
        backward(&weights, seeds, Some(view), &mut d_kernel, Some(&mut d_bias), &|| false).unwrap();
        let eps = 1e-6;
        for (place, slope) in [(0, &d_inputs), (1, &d_kernel), (2, &d_bias)] {
            let direction = random.numbers(slope.len(), 1.0);
            let mut at = |scale: f64| {
                let mut inputs = inputs.clone();
                let moved = match place {
                    0 => &mut inputs,
                    1 => &mut layer.kernel,
                    _ => &mut layer.bias,
                };
                for (value, by) in moved.iter_mut().zip(&direction) {
                    *value += scale * by;
                }
                layer.loss(&inputs, &d)
            };
            let ahead = at(eps);
            // The weights have moved already; the inputs are copied afresh.
            let behind = if place == 0 { at(-eps) } else { at(-2.0 * eps) };
            let expected = (ahead - behind) / (2.0 * eps);
            if place > 0 {
                at(eps);
            }
            let received: f64 = slope.iter().zip(&direction).map(|(a, b)| a * b).sum();
            assert!(
                (expected - received).abs() < 1e-5 * (1.0 + expected.abs()),
                "{:?} {:?} {place}: expected {expected}, received {received}",
                layer.activation,
                layer.level
            );
        }
    }
}

#[test]
fn a_row_alone_equals_itself_in_its_batch() {
    for layer in layers() {
        let [features, units] = layer.size;
        let inputs = Random(3).numbers(150 * features, 1.0);
        let (whole, _) = layer.run(&inputs);
        for row in [0, 95, 96, 149] {
            let (alone, _) = layer.run(&inputs[row * features..][..features]);
            assert_eq!(alone, whole[row * units..][..units]);
        }
    }
}
