//! Steps of training against the same steps by hand, and passes in one call against a call for each.

use ferrnn::cells::CellKind;
use ferrnn::machine::memory::View;
use ferrnn::models::{
    Clip, Data, Draws, Judge, Loss, Pace, Scored, Shape, Span, Tally, Updates, judge, train,
};
use ferrnn::training::loss::Error as Kind;
use ferrnn::training::measure::Measure;
use ferrnn::training::optimizer::Rule;
use ferrnn::training::penalty::Penalty;
use ferrnn::training::rows::Divisor;

use super::models::{Layers, Model, SHAPE, dense, recurrent};
use crate::common::Random;

const ORDER: [i64; 7] = [6, 0, 5, 1, 4, 2, 3];
const SAMPLES: Shape = Shape { rows: 7, ..SHAPE };

fn layers() -> Layers {
    vec![(recurrent(CellKind::Lstm, 3, 4, false), vec![0]), (dense(4, 2), vec![1])]
}

fn mean_square() -> Judge {
    let losses = vec![Loss {
        measure: Scored::Measure(Measure::Error(Kind::Squared)),
        weight: 1.0,
        divisor: Divisor::Rows,
    }];
    let penalties = vec![(1, Penalty { l1: 0.3, l2: 0.0 }), (3, Penalty { l1: 0.1, l2: 0.2 })];
    Judge { losses, exact: false, penalties }
}

fn descent(trained: &[usize]) -> Updates<'_, f64> {
    let slots = trained.iter().map(|_| Default::default()).collect();
    Updates { rule: Rule::Descent { rate: 0.0 }, clip: Clip::Never, trained, slots }
}

fn span(places: usize) -> Span {
    let limit = std::time::Duration::MAX;
    Span { places: 0..places, batch: 3, pass: 7, limit, until_finite_no_more: false }
}

#[test]
fn a_step_of_training_is_forward_backward_and_update() {
    let mut model = Model::new(layers(), SAMPLES, 6);
    let targets = Random(7).numbers(14, 1.0);
    let inputs = View::contiguous(&model.inputs[0], SAMPLES.axes()).unwrap();
    let wanted = View::contiguous(&targets, [7, 1, 2]).unwrap();
    let data =
        Data { inputs: &[&inputs], targets: &[&wanted], weights: &[None], order: Some(&ORDER) };
    let (mut loss, span) = (mean_square(), span(7));
    // By hand: each batch gathered, its gradient, and a step against it.
    let mut by_hand = Model::new(layers(), Shape { rows: 0, ..SAMPLES }, 6);
    by_hand.weights.clone_from(&model.weights);
    let (mut total, mut outputs_by_hand) = (0.0, Vec::new());
    for batch in ORDER.chunks(3) {
        let rows = |all: &[f64], width: usize| -> Vec<f64> {
            let row = |row: &i64| usize::try_from(*row).unwrap() * width;
            batch.iter().flat_map(|at| all[row(at)..][..width].to_vec()).collect()
        };
        by_hand.shapes[0].rows = batch.len();
        by_hand.inputs[0] = rows(&model.inputs[0], 12);
        let expected = rows(&targets, 2);
        by_hand.value(&[], true);
        let (_, outputs, slopes) = by_hand.graph.judged(0, 0).unwrap();
        outputs_by_hand.extend_from_slice(outputs);
        for ((slope, output), expected) in slopes.iter_mut().zip(outputs).zip(&expected) {
            let off = output - expected;
            total += off * off / 2.0;
            *slope = off / batch.len() as f64; // 2 / (rows * features)
        }
        by_hand.graph.backward(&|| false).unwrap();
        let gradients = by_hand.graph.gradients();
        for (at, (weight, gradient)) in by_hand.weights.iter_mut().zip(gradients).enumerate() {
            let penalty = loss.penalties.iter().find(|(number, _)| *number == at);
            let Penalty { l1, l2 } = penalty.map_or(Penalty { l1: 0.0, l2: 0.0 }, |found| found.1);
            for (weight, slope) in weight.iter_mut().zip(&**gradient) {
                let w = *weight;
                total += batch.len() as f64 * (l1 * w.abs() + l2 * w * w);
                *weight -= 0.1 * (slope + l1 * w.signum() + 2.0 * l2 * w);
            }
        }
    }
    let trained: Vec<_> = (0..model.weights.len()).collect();
    let mut updates = descent(&trained);
    let before = model.weights.clone();
    let (mut tally, mut draws) = (Tally::default(), Draws::default());
    let paces = [Pace { rates: [0.1, 0.0, 0.0], decay: None }; 3];
    let mut weights: Vec<_> = model.weights.iter_mut().map(|weight| &mut weight[..]).collect();
    let graph = &mut model.graph;
    let mut outputs = [f64::NAN; 14];
    let mut kept = [&mut outputs[..]];
    let mut ended = Vec::new();
    let told = (&mut tally, &mut ended, &mut draws, &mut kept[..]);
    let given = (&data, &span, &paces[..]);
    train(graph, &loss, &mut updates, &mut weights, given, told, &|| false).unwrap();
    assert!(tally.steps == 3 && ended.is_empty());
    assert!((tally.total - total).abs() < 1e-12 * total, "{} and {total}", tally.total);
    let own = model.weights.iter().flatten().chain(&outputs);
    let other = by_hand.weights.iter().flatten().chain(&outputs_by_hand);
    for (own, other) in own.zip(other) {
        assert!((own - other).abs() < 1e-12, "{own} and {other}");
    }
    assert_ne!(model.weights, before);
    let mut weights: Vec<_> = model.weights.iter_mut().map(|weight| &mut weight[..]).collect();
    let mut judged = Tally::default();
    judge(&mut model.graph, &loss, &weights, (&data, &span), &mut judged, &|| false).unwrap();
    assert!(judged.total < tally.total && (judged.count - 7.0).abs() < 1e-9);
    let mut refused = |loss: &Judge, weights: &[&mut [f64]]| {
        let result = judge(&mut model.graph, loss, weights, (&data, &span), &mut judged, &|| false);
        result.unwrap_err().to_string()
    };
    loss.penalties[1].0 = 5;
    assert!(refused(&loss, &weights).contains("`penalties`: expected numbers below 5, received 5"));
    weights.pop();
    assert!(refused(&loss, &weights).contains("expected 5 arrays"));
}

#[test]
fn two_passes_in_one_call_are_one_after_the_other() {
    let mut model = Model::new(layers(), SAMPLES, 6);
    let targets = Random(7).numbers(14, 1.0);
    let inputs = View::contiguous(&model.inputs[0], SAMPLES.axes()).unwrap();
    let wanted = View::contiguous(&targets, [7, 1, 2]).unwrap();
    let trained: Vec<_> = (0..model.weights.len()).collect();
    let mut updates = descent(&trained);
    let paces = [Pace { rates: [0.1, 0.0, 0.0], decay: None }; 6];
    let mut passes = |order: &[i64], weights: &mut [Vec<f64>]| -> Vec<_> {
        let (inputs, targets) = (&[&inputs as _][..], &[&wanted as _][..]);
        let data = Data { inputs, targets, weights: &[None], order: Some(order) };
        let span = span(order.len());
        let (mut tally, mut ended, mut draws) = (Tally::default(), vec![], Draws::default());
        let told = (&mut tally, &mut ended, &mut draws, &mut [][..]);
        let given = (&data, &span, &paces[..]);
        let mut all: Vec<_> = weights.iter_mut().map(|weight| &mut weight[..]).collect();
        let graph = &mut model.graph;
        train(graph, &mean_square(), &mut updates, &mut all, given, told, &|| false).unwrap();
        ended.iter().chain([&tally]).map(|pass| (pass.total, pass.count, pass.loss)).collect()
    };
    let [mut one, mut other] = [model.weights.clone(), model.weights.clone()];
    let first = passes(&ORDER, &mut one)[0];
    let second = passes(&ORDER, &mut one)[0];
    assert_eq!(passes(&[ORDER, ORDER].concat(), &mut other), [first, second]);
    assert!(one == other && first.0 > second.0);
}
