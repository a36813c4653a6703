//! Attention and rectifiers in graphs: the gradients with respect to the weights before them
//! against central differences.

use ferrnn::models::{Attend, Attending, Fit, LearntSlopes, Masking, Rectified};

use crate::models::{Layers, Model, SHAPE, dense};

const PLAIN: Attend = Attend {
    heads: 2,
    scale: Some(0.6),
    strictly: true,
    causal: false,
    window: None,
    drop: None,
    fit: Fit::Products,
};

/// Queries, values and keys from products of their own, and steps of the inputs that do not count.
fn check(setting: Attend, three: bool, hidden: &[usize]) {
    let width = if three { 6 } else { 4 };
    let from = if three { vec![2, 3, 4] } else { vec![2, 3] };
    let attending = Attending::new(setting).unwrap();
    let mut layers: Layers = vec![
        (Box::new(Masking(0.25)), vec![0]),
        (dense(3, 4), vec![1]),
        (dense(3, width), vec![1]),
    ];
    if three {
        layers.push((dense(3, 4), vec![1]));
    }
    let made = 1 + layers.len();
    layers.push((Box::new(attending), from));
    layers.push((dense(width, 2), vec![made]));
    let mut model = Model::new(layers, SHAPE, 9);
    for step in hidden {
        model.hide(*step);
    }
    model.check();
}

#[test]
fn gradients_pass_attention() {
    let settings = [
        PLAIN,
        Attend { causal: true, ..PLAIN },
        Attend { window: Some(2), heads: 1, ..PLAIN },
        Attend { strictly: false, heads: 1, scale: None, ..PLAIN },
        Attend { strictly: false, causal: true, scale: None, ..PLAIN },
        Attend { fit: Fit::Sums, ..PLAIN },
        Attend { fit: Fit::Factors(2), ..PLAIN },
        Attend { strictly: false, heads: 1, fit: Fit::Factors(4), ..PLAIN },
        Attend { fit: Fit::Factors(1), scale: None, ..PLAIN },
    ];
    for setting in settings {
        for three in [true, false] {
            check(setting, three, &[]);
            check(setting, three, &[2, 3, 7, 8, 9, 10, 11, 19]);
        }
    }
}

#[test]
fn gradients_pass_rectifiers() {
    let kinds = [
        Rectified::Relu { most: None, slope: 0.0, threshold: 0.0 },
        Rectified::Relu { most: Some(0.6), slope: 0.3, threshold: 0.1 },
        Rectified::Leaky(0.2),
        Rectified::Elu(1.5),
    ];
    for kind in kinds {
        let layers: Layers =
            vec![(dense(3, 4), vec![0]), (Box::new(kind), vec![1]), (dense(4, 2), vec![2])];
        Model::new(layers, SHAPE, 10).check();
    }
    for (size, by_features) in [(16, false), (4, true)] {
        let learnt = LearntSlopes::new(size, by_features);
        let layers: Layers =
            vec![(dense(3, 4), vec![0]), (Box::new(learnt), vec![1]), (dense(4, 2), vec![2])];
        Model::new(layers, SHAPE, 11).check();
    }
}
