//! Gradients of a case, and finite differences of the naive reference to compare them with.

use ferrnn::layers::sequence::{Engine, Gradients, Residuals, Seeds, backward};
use ferrnn::machine::memory::{View, ViewMut};

use super::{Arrays, Case, Outcome, Random, naive, problem, run, weights};

/// Gradients in the order inputs, kernel, recurrent kernel, vectors, bias, initial states, projection.
pub type Slopes<T> = Vec<Vec<T>>;

pub fn slopes<T: Engine>(case: &Case, arrays: &Arrays<T>) -> Slopes<T> {
    let (outcome, residuals) = run(case, arrays, true);
    let mut residuals = residuals.unwrap();
    let first = backpropagate(case, arrays, &outcome, &mut residuals, false);
    let again = backpropagate(case, arrays, &outcome, &mut residuals, true);
    assert!(first == again || first.iter().flatten().any(|v| v.wide().is_nan()), "not pure");
    first
}

fn backpropagate<T: Engine>(
    case: &Case,
    arrays: &Arrays<T>,
    outcome: &Outcome<T>,
    residuals: &mut Residuals<T>,
    consume: bool,
) -> Slopes<T> {
    let (b, t, f, u) = (case.batch, case.time, case.features, case.outputs());
    let sizes = case.state_sizes();
    let weights = weights(case, arrays);
    let problem = problem(case, arrays, &weights);
    let nan = |len: usize| vec![T::of(f64::NAN); len];
    let mut inputs = nan(b * t * f);
    let mut kernel = nan(arrays.kernel.len());
    let mut recurrent = nan(arrays.recurrent.len());
    let mut vectors = nan(arrays.vectors.len());
    let mut bias = nan(arrays.bias.len());
    let mut projection = nan(arrays.projection.len());
    let mut state: Vec<_> = sizes.iter().map(|size| nan(b * size)).collect();
    let views = state.iter_mut().zip(&sizes);
    let out = [b, case.out_time(), u];
    let seeds = Seeds {
        outputs: View::contiguous(&outcome.outputs, out).unwrap(),
        d_outputs: Some(View::contiguous(&arrays.d_outputs, out).unwrap()),
        d_state: arrays
            .d_state
            .iter()
            .zip(&sizes)
            .map(|(d, &size)| Some(View::contiguous(d, [b, 1, size]).unwrap()))
            .collect(),
    };
    let gradients = Gradients {
        inputs: Some(ViewMut::contiguous(&mut inputs, [b, t, f]).unwrap()),
        state: views.map(|(s, &size)| ViewMut::contiguous(s, [b, 1, size]).unwrap()).collect(),
        kernel: &mut kernel,
        recurrent_kernel: &mut recurrent,
        vectors: &mut vectors,
        bias: case.bias.then_some(&mut bias),
        projection: case.projected.map(|_| &mut projection[..]),
    };
    backward(&weights, &problem, residuals, &seeds, gradients, consume, &|| false).unwrap();
    if !case.bias {
        bias.fill(T::ZERO);
    }
    let mut slopes = vec![inputs, kernel, recurrent, vectors, bias];
    slopes.extend(state);
    if case.projected.is_some() {
        slopes.push(projection);
    }
    slopes
}

/// The number whose gradients are computed.
pub fn loss(arrays: &Arrays<f64>, outcome: &Outcome<f64>) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let states = arrays.d_state.iter().zip(&outcome.state);
    dot(&arrays.d_outputs, &outcome.outputs) + states.map(|(d, s)| dot(d, s)).sum::<f64>()
}

/// The array whose gradient is at a place in `Slopes`.
pub fn argument(arrays: &mut Arrays<f64>, place: usize) -> &mut Vec<f64> {
    match place {
        0 => &mut arrays.inputs,
        1 => &mut arrays.kernel,
        2 => &mut arrays.recurrent,
        3 => &mut arrays.vectors,
        4 => &mut arrays.bias,
        state if state - 5 < arrays.state.len() => &mut arrays.state[state - 5],
        _ => &mut arrays.projection,
    }
}

/// Compares every gradient with central differences of the naive reference along a random direction.
pub fn check_slopes(case: &Case, arrays: &Arrays<f64>, tolerance: f64) {
    let slopes = slopes(case, arrays);
    if cfg!(miri) {
        return; // It checks the engine's memory; the reference would take hours there.
    }
    let mut random = Random(7);
    for (place, slope) in slopes.iter().enumerate() {
        if (5..5 + case.states()).contains(&place) && !case.initial {
            continue;
        }
        let mut moved = arrays.clone();
        let direction = random.numbers(slope.len(), 1.0);
        let eps = 2e-6;
        let mut at = |scale: f64| {
            let origin = argument(&mut arrays.clone(), place).clone();
            for ((value, from), by) in
                argument(&mut moved, place).iter_mut().zip(&origin).zip(&direction)
            {
                *value = from + scale * by;
            }
            loss(arrays, &naive(case, &moved))
        };
        let mut difference = |eps: f64| (at(eps) - at(-eps)) / (2.0 * eps);
        let (expected, coarse) = (difference(eps), difference(2.0 * eps));
        let received: f64 = slope.iter().zip(&direction).map(|(a, b)| a * b).sum();
        let size = slope.iter().map(|v| v * v).sum::<f64>().sqrt().max(1.0);
        // The difference itself is wrong by a third of this, where the loss bends much.
        let bend = (expected - coarse).abs();
        assert!(
            (expected - received).abs() <= tolerance * size + bend,
            "{case:?}: argument {place}: expected {expected}, received {received}"
        );
    }
}

/// Compares the gradient of a mean with respect to predictions, which `mean` writes if it is asked
/// to, with central differences along each of them.
pub fn check_mean(
    mean: impl Fn(&[f64], Option<&mut [f64]>) -> f64,
    predictions: &[f64],
    told: &dyn std::fmt::Debug,
) {
    let mut slopes = vec![f64::NAN; predictions.len()];
    let whole = mean(predictions, Some(&mut slopes));
    assert_eq!(whole.to_bits(), mean(predictions, None).to_bits());
    let mut moved = predictions.to_vec();
    for at in 0..moved.len() {
        let [up, down] = [1e-6, -1e-6].map(|step| {
            moved[at] = predictions[at] + step;
            mean(&moved, None)
        });
        moved[at] = predictions[at];
        let expected = (up - down) / 2e-6;
        let bound = 1e-8 * whole.abs().max(1.0);
        assert!((slopes[at] - expected).abs() < bound, "{told:?} {at}: {expected}");
    }
    assert!(slopes.iter().any(|slope| slope.abs() > 1e-3));
}
