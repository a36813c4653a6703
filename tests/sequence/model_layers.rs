//! Layers of graphs other than recurrent ones: gradients against central differences, and what is
//! refused.

use ferrnn::cells::CellKind;
use ferrnn::kernels::activation::Activation;
use ferrnn::kernels::row_function::RowFunction;
use ferrnn::models::{
    Activated, Convolution, Dot, Ends, Graph, Join, Joined, Linked, Node, Padding, Pooling, Repeat,
    Reshape, Shape, Windows,
};

use super::models::{Layers, Model, SHAPE, dense, recurrent};

fn windows(numbers: [usize; 3], padding: Padding) -> Windows {
    Windows::new(numbers, padding).unwrap()
}

fn convolution(
    numbers: [usize; 3],
    padding: Padding,
    activation: Activation,
) -> Box<dyn Node<f64>> {
    let over = windows(numbers, padding);
    Box::new(Convolution::new(over, activation, [4, 3], true).unwrap())
}

fn pooled(mean: bool, middle: Vec<Box<dyn Node<f64>>>, last: usize) -> Model {
    let mut layers: Layers = vec![(recurrent(CellKind::Gru, 3, 4, true), vec![0])];
    for node in middle {
        let from = vec![layers.len()];
        layers.push((node, from));
    }
    layers.push((Box::new(Pooling::new(None, mean)), vec![layers.len()]));
    layers.push((dense(last, 2), vec![layers.len()]));
    Model::new(layers, Shape { time: 9, ..SHAPE }, 4)
}

#[test]
fn gradients_pass_convolutions() {
    let kinds = [
        ([3, 1, 1], Padding::Valid, Activation::Tanh),
        ([4, 2, 1], Padding::Same, Activation::Silu),
        ([2, 4, 1], Padding::Valid, Activation::Linear),
        ([3, 1, 2], Padding::Causal, Activation::Gelu),
    ];
    for (numbers, padding, activation) in kinds {
        let middle = vec![convolution(numbers, padding, activation)];
        pooled(true, middle, 3).check();
    }
}

#[test]
fn gradients_pass_pooling() {
    for (mean, padding) in [(true, Padding::Same), (false, Padding::Valid)] {
        let over = windows([3, 2, 1], padding);
        pooled(false, vec![Box::new(Pooling::new(Some(over), mean))], 4).check();
    }
}

#[test]
fn gradients_pass_repeated_steps() {
    let layers: Layers = vec![
        (recurrent(CellKind::Gru, 3, 2, false), vec![0]),
        (Box::new(Repeat(5)), vec![1]),
        (recurrent(CellKind::Lstm, 2, 3, false), vec![2]),
        (dense(3, 2), vec![3]),
    ];
    Model::new(layers, SHAPE, 2).check();
    pooled(true, vec![Box::new(Repeat(3))], 4).check();
    assert!(Node::<f64>::shape(&Repeat(usize::MAX), SHAPE).is_err());
}

#[test]
fn gradients_pass_steps_and_features_that_change_places() {
    let swap = || -> Box<dyn Node<f64>> { Box::new(Reshape::Swap) };
    pooled(true, vec![dense(4, 4), swap(), dense(9, 5), swap()], 4).check();
}

#[test]
fn gradients_pass_products_of_values() {
    for over_steps in [[false, false], [true, false], [false, true], [true, true]] {
        for flat in [false, true] {
            let dot = Joined(Join::Dot(Dot { over_steps, flat }));
            // As many features as steps, so that every axis fits every other.
            let layers: Layers = vec![
                (dense(3, 4), vec![0]),
                (dense(3, 4), vec![0]),
                (Box::new(dot), vec![1, 2]),
                (dense(if flat { 16 } else { 4 }, 2), vec![3]),
            ];
            Model::new(layers, SHAPE, 6).check();
        }
    }
    let dot = Joined(Join::Dot(Dot { over_steps: [false; 2], flat: false }));
    let joined = |shapes: &[Shape]| Node::<f64>::joined(&dot, shapes);
    assert!(joined(&[SHAPE, Shape { features: 4, ..SHAPE }]).is_err());
    assert!(joined(&[SHAPE, SHAPE, SHAPE]).is_err());
}

#[test]
fn gradients_pass_activations() {
    for name in ["tanh", "sigmoid", "relu", "elu", "softmax"] {
        let function = RowFunction::named("activation", name).unwrap();
        let middle: Vec<Box<dyn Node<f64>>> =
            vec![Box::new(Activated::new(function).unwrap()), dense(4, 4)];
        pooled(true, middle, 4).check();
    }
    let gelu = RowFunction::named("activation", "gelu").unwrap();
    assert!(Activated::new(gelu).err().unwrap().to_string().contains("softmax"));
}

/// A chain of layers on values of three features, and which weights each has.
fn shared(shares: &[Option<usize>]) -> ferrnn::error::Result<Graph<f64>> {
    let links = shares.iter().enumerate().map(|(at, &shares)| {
        let node = if at == 2 { recurrent(CellKind::Gru, 3, 3, true) } else { dense(3, 3) };
        Linked { node, from: vec![at], passes: true, shares }
    });
    Graph::new(links.collect(), Ends::single(shares.len())?)
}

#[test]
fn gradients_by_weights_of_several_layers_are_summed() {
    let graph = shared(&[None, Some(0), None, Some(1), Some(3)]).unwrap();
    assert_eq!(graph.sizes().collect::<Vec<_>>(), [9, 3, 27, 27, 18]);
    Model::of(graph, &[SHAPE], 5).check();
    for wrong in [[None, Some(1)], [Some(0), None], [None, Some(7)]] {
        let refused = shared(&wrong).err().unwrap().to_string();
        assert!(refused.contains("the same sizes"), "{refused}");
    }
    assert!(shared(&[None, None, Some(1)]).is_err());
}

#[test]
fn windows_that_do_not_fit_are_refused() {
    assert!(Windows::new([0, 1, 1], Padding::Same).is_err());
    let over = windows([4, 1, 2], Padding::Valid);
    let layers: Layers = vec![
        (convolution([3, 1, 1], Padding::Same, Activation::Tanh), vec![0]),
        (Box::new(Pooling::new(Some(over), false)), vec![1]),
    ];
    let links =
        layers.into_iter().map(|(node, from)| Linked { node, from, passes: true, shares: None });
    let mut graph = Graph::new(links.collect(), Ends::single(2).unwrap()).unwrap();
    let of = |time| [Shape { rows: 2, time, features: 4 }];
    graph.prepare(&of(7)).unwrap();
    assert!(graph.prepare(&of(6)).unwrap_err().to_string().contains("at least 7 steps"));
    let wide = [Shape { rows: 2, time: 7, features: 5 }];
    assert!(graph.prepare(&wide).unwrap_err().to_string().contains("[2, 7, 4]"));
}
