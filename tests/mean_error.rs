//! Mean errors against the formula written out, and their slopes against differences.

mod common;

use common::Random;
use ferrnn::training::loss::{Error, mean_error};
use ferrnn::training::pairs::Pair;
use ferrnn::training::rows::Rows;

fn numbers(len: usize, seed: u64) -> Vec<f64> {
    Random(seed).numbers(len, 2.0).into_iter().collect()
}

const EPS: f64 = 0.125;

fn plainly(error: Error, targets: &[f64], predictions: &[f64]) -> f64 {
    let raised = |x: f64| x.max(EPS);
    let sign = |y: f64| if y > 0.0 { 1.0 } else { -1.0 };
    let values = targets.iter().zip(predictions).map(|(y, p)| match error {
        Error::Squared => (p - y).powi(2),
        Error::Absolute => (p - y).abs(),
        Error::Huber(delta) if (p - y).abs() > delta => delta * ((p - y).abs() - delta / 2.0),
        Error::Huber(_) => (p - y).powi(2) / 2.0,
        Error::LogCosh => (p - y).cosh().ln(),
        Error::Pair(Pair::Percentage(_)) => 100.0 * ((p - y) / raised(y.abs())).abs(),
        Error::Pair(Pair::Logarithmic(_)) => ((1.0 + raised(*p)) / (1.0 + raised(*y))).ln().powi(2),
        Error::Pair(Pair::Poisson(_)) => p - y * (p + EPS).ln(),
        Error::Pair(Pair::Divergence(_)) => {
            let [y, p] = [y, p].map(|x| raised(*x).min(1.0));
            // The mean of 4 classes, of which there are as many values.
            4.0 * y * (y.ln() - p.ln())
        }
        Error::Pair(Pair::Hinge { squared, binary }) => {
            let short = (1.0 - if binary { sign(*y) } else { *y } * p).max(0.0);
            if squared { short.powi(2) } else { short }
        }
    });
    values.sum::<f64>() / targets.len() as f64
}

fn check(error: Error, targets: &[f64], mut predictions: Vec<f64>, classes: usize) {
    let rows = Rows { targets, predictions: &predictions, classes };
    let mut slopes = vec![f64::NAN; targets.len()];
    let mean = mean_error(error, &rows, Some(&mut slopes));
    let scale = mean.abs().max(1.0);
    assert!((mean - plainly(error, targets, &predictions)).abs() < 1e-14 * scale, "{error:?}");
    for (n, &slope) in slopes.iter().enumerate() {
        let (at, step) = (predictions[n], 1e-6);
        let ends = [at + step, at - step].map(|moved| {
            predictions[n] = moved;
            plainly(error, targets, &predictions)
        });
        predictions[n] = at;
        let difference = (ends[0] - ends[1]) / (2.0 * step);
        assert!((slope - difference).abs() < 1e-8 * scale, "{error:?} {n}");
    }
}

#[test]
fn means_and_slopes() {
    for error in [Error::Squared, Error::Absolute, Error::Huber(0.75), Error::LogCosh] {
        for len in [1, 7, 8, 9, 33] {
            check(error, &numbers(len, 1), numbers(len, 2), 1);
        }
    }
}

#[test]
fn means_and_slopes_of_what_depends_on_targets() {
    for pair in [
        Pair::Percentage(EPS),
        Pair::Logarithmic(EPS),
        Pair::Hinge { squared: false, binary: false },
        Pair::Hinge { squared: true, binary: false },
    ] {
        check(Error::Pair(pair), &numbers(36, 1), numbers(36, 2), 4);
    }
    for squared in [false, true] {
        let labels =
            numbers(36, 1).iter().map(|&y| f64::from(u8::from(y > 0.0))).collect::<Vec<_>>();
        let pair = Pair::Hinge { squared, binary: true };
        check(Error::Pair(pair), &labels, numbers(36, 2), 4);
    }
    // On both sides of what is clipped.
    let shares = |seed| numbers(36, seed).iter().map(|x| x.abs()).collect::<Vec<_>>();
    for pair in [Pair::Poisson(EPS), Pair::Divergence(EPS)] {
        check(Error::Pair(pair), &shares(1), shares(2), 4);
    }
}

#[test]
fn no_slope_where_equal_and_nan_where_nan() {
    let mut slopes = [9.0_f32; 3];
    let rows = Rows { targets: &[1.0; 3], predictions: &[1.0, f32::NAN, 3.0], classes: 1 };
    let mean = mean_error(Error::Absolute, &rows, Some(&mut slopes));
    assert!(mean.is_nan() && slopes[1].is_nan());
    assert_eq!((slopes[0], slopes[2]), (0.0, 1.0 / 3.0));
    for pair in [
        Pair::Percentage(1e-7),
        Pair::Logarithmic(1e-7),
        Pair::Poisson(1e-7),
        Pair::Divergence(1e-7),
        Pair::Hinge { squared: true, binary: false },
    ] {
        let mean = mean_error(Error::Pair(pair), &rows, Some(&mut slopes));
        assert!(mean.is_nan() && slopes[1].is_nan(), "{pair:?}");
        assert!(slopes[0].is_finite() && slopes[2].is_finite(), "{pair:?}");
    }
    let mean = mean_error(Error::Pair(Pair::Percentage(1e-7)), &rows, Some(&mut slopes));
    assert!(mean.is_nan());
    assert_eq!((slopes[0], slopes[2]), (0.0, 100.0 / 3.0));
}

#[test]
fn many_small_numbers_are_not_lost() {
    let len = 1_000_001;
    let (targets, predictions) = (vec![0.0_f32; len], vec![0.1_f32; len]);
    let rows = Rows { targets: &targets, predictions: &predictions, classes: 1 };
    let mean = mean_error(Error::Squared, &rows, None);
    assert!((mean - f64::from(0.1_f32).powi(2)).abs() < 1e-12);
}
