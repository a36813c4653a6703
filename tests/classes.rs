//! Crossentropies against central differences and against the sum that defines them, and which predictions
//! are right.

mod common;

use common::check_mean;
use ferrnn::training::classes::{Crossentropy, hits};
use ferrnn::training::rows::{Labels, Rows};

const CLASSES: usize = 5;

/// Numbers between 0 and 1, none of them near the ends.
fn probabilities(count: usize) -> Vec<f64> {
    (1..=count).map(|n| 0.1 + 0.8 * (n as f64 * 0.618_034).fract()).collect()
}

fn targets(labels: Labels, rows: usize) -> Vec<f64> {
    match labels {
        Labels::Binary => (0..rows * CLASSES).map(|n| f64::from(u8::from(n % 3 == 0))).collect(),
        Labels::OneHot => probabilities(rows * CLASSES),
        Labels::Numbers | Labels::Weighted => {
            (0..rows).map(|row| (row * 7 % CLASSES) as f64).collect()
        }
    }
}

#[test]
fn gradients_are_differences_of_the_mean() {
    let kinds = [Labels::Binary, Labels::OneHot, Labels::Numbers];
    for (labels, epsilon) in kinds.iter().flat_map(|&of| [(of, Some(1e-7)), (of, None)]) {
        let of = Crossentropy { labels, smoothing: 0.1, epsilon, ignored: None };
        let (targets, predictions) = (targets(labels, 7), probabilities(7 * CLASSES));
        let mean = |predictions: &[f64], slopes: Option<&mut [f64]>| {
            of.mean(&Rows { targets: &targets, predictions, classes: CLASSES }, None, slopes)
                .unwrap()
        };
        check_mean(mean, &predictions, &labels);
    }
}

#[test]
fn rows_of_the_label_that_is_ignored_neither_count_nor_move() {
    let of = Crossentropy {
        labels: Labels::Numbers,
        smoothing: 0.0,
        epsilon: None,
        ignored: Some(-1.0),
    };
    let predictions = probabilities(2 * CLASSES);
    let mut slopes = vec![1.0; 2 * CLASSES];
    let rows = Rows { targets: &[-1.0, 2.0], predictions: &predictions, classes: CLASSES };
    let mean = of.mean(&rows, None, Some(&mut slopes)).unwrap();
    let one = Rows { targets: &[2.0], predictions: &predictions[CLASSES..], classes: CLASSES };
    assert!((2.0 * mean - of.mean(&one, None, None).unwrap()).abs() < 1e-14);
    assert!(slopes[..CLASSES].iter().all(|slope| slope.abs() < f64::MIN_POSITIVE));
    assert!(slopes[CLASSES..].iter().all(|slope| slope.abs() > 1e-3));
}

#[test]
fn certain_predictions_are_clipped_and_do_not_move() {
    let of = |labels| Crossentropy { labels, smoothing: 0.0, epsilon: Some(1e-7), ignored: None };
    let mut slopes = [1.0_f32; 3];
    let rows = Rows { targets: &[1.0, 0.0, 1.0], predictions: &[0.0_f32, 1.0, 0.5], classes: 3 };
    let mean = of(Labels::Binary).mean(&rows, None, Some(&mut slopes)).unwrap();
    let below = -f64::from(1.0 - (1.0 - 1e-7_f64) as f32).ln();
    let expected = (-f64::from(1e-7_f32).ln() + below + 2.0_f64.ln()) / 3.0;
    assert!((mean - expected).abs() < 1e-12, "{mean} and {expected}");
    assert_eq!(slopes[..2], [0.0, 0.0]);
    assert!(slopes[2] < 0.0);
    let rows = Rows { targets: &[3.0], predictions: &[0.5_f32, 0.25, 0.25], classes: 3 };
    let refused = of(Labels::Numbers).mean(&rows, None, None).unwrap_err();
    assert!(refused.to_string().contains("labels from 0 to 2"));
    let refused = of(Labels::OneHot).mean(&rows, None, None).unwrap_err();
    assert!(refused.to_string().contains("y_true"));
}

#[test]
fn no_logit_makes_a_crossentropy_infinite() {
    for labels in [Labels::Binary, Labels::OneHot, Labels::Numbers] {
        let of = Crossentropy { labels, smoothing: 0.0, epsilon: None, ignored: None };
        let targets = if labels == Labels::Numbers { &[1.0_f32][..] } else { &[0.0, 1.0, 0.0] };
        let predictions = [900.0_f32, -900.0, 5.0];
        let mut slopes = [0.0; 3];
        let rows = Rows { targets, predictions: &predictions, classes: 3 };
        let mean = of.mean(&rows, None, Some(&mut slopes)).unwrap();
        let expected =
            if labels == Labels::Binary { (905.0 + 0.006_715_348) / 3.0 + 300.0 } else { 1800.0 };
        assert!((mean - expected).abs() < 1e-4, "{labels:?}: {mean}");
        assert!(slopes[0] > 0.3 && slopes[1] < -0.3, "{labels:?}: {slopes:?}");
    }
}

#[test]
fn the_first_of_the_largest_is_the_prediction() {
    let count = |labels, targets: &[f32], predictions: &[f32]| {
        hits(labels, 0.4, &Rows { targets, predictions, classes: 3 }).unwrap()
    };
    let predictions = [0.2, 0.7, 0.7, 0.5, 0.4, 0.1, f32::NAN, 0.9, 0.0];
    assert_eq!(count(Labels::Numbers, &[1.0, 2.0, 0.0], &predictions), 2);
    let whole = [0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0];
    assert_eq!(count(Labels::OneHot, &whole, &predictions), 2);
    assert_eq!(count(Labels::Binary, &whole, &predictions), 4);
}
