//! Mean errors against the formula written out, and their slopes against differences.

mod common;

use common::Random;
use ferrnn::training::loss::{Error, mean_error};

fn numbers(len: usize, seed: u64) -> Vec<f64> {
    Random(seed).numbers(len, 2.0).into_iter().collect()
}

fn plainly(error: Error, targets: &[f64], predictions: &[f64]) -> f64 {
    let values = targets.iter().zip(predictions).map(|(y, p)| match error {
        Error::Squared => (p - y).powi(2),
        Error::Absolute => (p - y).abs(),
        Error::Huber(delta) if (p - y).abs() > delta => delta * ((p - y).abs() - delta / 2.0),
        Error::Huber(_) => (p - y).powi(2) / 2.0,
        Error::LogCosh => (p - y).cosh().ln(),
    });
    values.sum::<f64>() / targets.len() as f64
}

#[test]
fn means_and_slopes() {
    for error in [Error::Squared, Error::Absolute, Error::Huber(0.75), Error::LogCosh] {
        for len in [1, 7, 8, 9, 33] {
            let (targets, mut predictions) = (numbers(len, 1), numbers(len, 2));
            let mut slopes = vec![f64::NAN; len];
            let mean = mean_error(error, &targets, &predictions, Some(&mut slopes));
            assert!((mean - plainly(error, &targets, &predictions)).abs() < 1e-14);
            for (n, &slope) in slopes.iter().enumerate() {
                let (at, step) = (predictions[n], 1e-6);
                let ends = [at + step, at - step].map(|moved| {
                    predictions[n] = moved;
                    plainly(error, &targets, &predictions)
                });
                predictions[n] = at;
                assert!((slope - (ends[0] - ends[1]) / (2.0 * step)).abs() < 1e-8, "{error:?} {n}");
            }
        }
    }
}

#[test]
fn no_slope_where_equal_and_nan_where_nan() {
    let mut slopes = [9.0_f32; 3];
    let mean =
        mean_error(Error::Absolute, &[1.0, 1.0, 1.0], &[1.0, f32::NAN, 3.0], Some(&mut slopes));
    assert!(mean.is_nan() && slopes[1].is_nan());
    assert_eq!((slopes[0], slopes[2]), (0.0, 1.0 / 3.0));
}

#[test]
fn many_small_numbers_are_not_lost() {
    let len = 1_000_001;
    let (targets, predictions) = (vec![0.0_f32; len], vec![0.1_f32; len]);
    let mean = mean_error(Error::Squared, &targets, &predictions, None);
    assert!((mean - f64::from(0.1_f32).powi(2)).abs() < 1e-12);
}
