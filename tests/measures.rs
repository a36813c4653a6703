//! Weighted means against means of single rows, and their gradients against central differences.

mod common;

use common::{Random, check_mean};
use ferrnn::training::classes::{Crossentropy, weighted_hits};
use ferrnn::training::loss::Error;
use ferrnn::training::measure::Measure;
use ferrnn::training::pairs::Pair;
use ferrnn::training::quantiles::Quantiles;
use ferrnn::training::rows::{Divisor, Labels, Rows, Weights};

const ROWS: usize = 7;
const CLASSES: usize = 3;

fn measures() -> Vec<Measure> {
    let kinds = [Labels::Binary, Labels::OneHot, Labels::Numbers];
    let of = kinds.iter().flat_map(|&labels| {
        [Some(1e-7), None].map(|epsilon| {
            Measure::Crossentropy(Crossentropy { labels, smoothing: 0.1, epsilon, ignored: None })
        })
    });
    let pairs = [
        Pair::Percentage(0.5),
        Pair::Logarithmic(1e-7),
        Pair::Poisson(1e-7),
        Pair::Divergence(0.05),
        Pair::Hinge { squared: false, binary: false },
        Pair::Hinge { squared: true, binary: false },
    ];
    let errors = [Error::Squared, Error::Absolute, Error::Huber(0.25), Error::LogCosh];
    let errors = errors.into_iter().chain(pairs.map(Error::Pair));
    let quantiles = Quantiles { probabilities: vec![0.1, 0.5, 0.7] };
    of.chain(errors.map(Measure::Error)).chain([Measure::Pinball(quantiles)]).collect()
}

fn targets(measure: &Measure) -> Vec<f64> {
    match measure.labels() {
        Labels::Numbers => (0..ROWS).map(|row| (row * 7 % CLASSES) as f64).collect(),
        Labels::Weighted => (0..2 * ROWS).map(|n| (n * 7 % 11) as f64 / 5.0).collect(),
        _ => Random(3).numbers(ROWS * CLASSES, 1.0).iter().map(|x| x.abs()).collect(),
    }
}

fn predictions() -> Vec<f64> {
    Random(5).numbers(ROWS * CLASSES, 0.4).iter().map(|x| 0.5 + x).collect()
}

const WEIGHTS: [f64; ROWS] = [0.5, 0.0, 2.0, 1.0, 0.25, 3.0, 0.75];

#[test]
fn rows_count_by_their_weights() {
    for measure in measures() {
        let (targets, predictions) = (targets(&measure), predictions());
        let width = targets.len() / ROWS;
        let values = (0..ROWS).map(|row| {
            let one = Rows {
                targets: &targets[row * width..][..width],
                predictions: &predictions[row * CLASSES..][..CLASSES],
                classes: CLASSES,
            };
            WEIGHTS[row] * measure.mean(&one, None, None).unwrap()
        });
        let sum = values.sum::<f64>();
        let rows = Rows { targets: &targets, predictions: &predictions, classes: CLASSES };
        for (divisor, by) in [(Divisor::Rows, 7.0), (Divisor::Weights, 7.5), (Divisor::One, 1.0)] {
            let weights = Weights { rows: &WEIGHTS, divisor };
            let mean = measure.mean(&rows, Some(weights), None).unwrap();
            let bound = 1e-14 * mean.abs().max(1.0);
            assert!((mean - sum / by).abs() < bound, "{measure:?} {divisor:?}");
        }
        let ones = Weights { rows: &[1.0; ROWS], divisor: Divisor::Weights };
        let [whole, plain] =
            [Some(ones), None].map(|weights| measure.mean(&rows, weights, None).unwrap());
        assert!((whole - plain).abs() < 1e-14 * plain.abs().max(1.0), "{measure:?}");
        let nothing = Weights { rows: &[0.0; ROWS], divisor: Divisor::Weights };
        assert!(measure.mean(&rows, Some(nothing), None).unwrap().abs() < f64::MIN_POSITIVE);
        let few = Weights { rows: &WEIGHTS[1..], divisor: Divisor::Weights };
        let refused = measure.mean(&rows, Some(few), None).unwrap_err();
        assert!(refused.to_string().contains("sample_weight"));
    }
}

#[test]
fn gradients_are_differences_of_weighted_means() {
    for measure in measures() {
        let (targets, predictions) = (targets(&measure), predictions());
        for divisor in [Divisor::Rows, Divisor::Weights, Divisor::One] {
            let weights = Some(Weights { rows: &WEIGHTS, divisor });
            let mean = |predictions: &[f64], slopes: Option<&mut [f64]>| {
                let rows = Rows { targets: &targets, predictions, classes: CLASSES };
                measure.mean(&rows, weights, slopes).unwrap()
            };
            check_mean(mean, &predictions, &measure);
        }
    }
}

#[test]
fn hits_count_by_their_weights() {
    let predictions = [0.2, 0.7, 0.6, 0.5, 0.1, 0.4];
    let count = |labels, targets: &[f32]| {
        let rows = Rows { targets, predictions: &predictions, classes: 3 };
        weighted_hits(labels, 0.45, &rows, &[0.5, 4.0]).unwrap()
    };
    assert_eq!(count(Labels::Numbers, &[1.0, 2.0]), (0.5, 4.5));
    assert_eq!(count(Labels::OneHot, &[0.0, 0.0, 1.0, 1.0, 0.0, 0.0]), (4.0, 4.5));
    assert_eq!(count(Labels::Binary, &[0.0, 1.0, 0.0, 1.0, 1.0, 0.0]), (9.0, 13.5));
}
