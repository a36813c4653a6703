//! Whole models: the gradients of graphs with forks with respect to all weights against central
//! differences, and what is refused.

use ferrnn::cells::CellKind;
use ferrnn::kernels::activation::Activation;
use ferrnn::layers::sequence::Options;
use ferrnn::machine::memory::View;
use ferrnn::models::{
    BothWays, Dense, Draws, Drop, Dropout, Embedding, Ends, Graph, Join, Joined, Linked, Masking,
    Merge, Node, Noise, Normalization, Recurrent, Reshape, Samples, Setting, Shape, Span, predict,
};

use crate::common::Random;

pub const SHAPE: Shape = Shape { rows: 5, time: 4, features: 3 };
const TINY: f64 = 1e-6;

fn setting(cell: CellKind, features: usize, units: usize, sequences: bool) -> Setting {
    Setting {
        cell,
        options: Options::default(),
        features,
        units,
        bias: true,
        go_backwards: false,
        return_sequences: sequences,
        return_state: false,
        zero_output_for_mask: false,
        carried: None,
        drops: 1,
        input_drop: None,
        recurrent_drop: None,
    }
}

pub fn recurrent(
    cell: CellKind,
    features: usize,
    units: usize,
    sequences: bool,
) -> Box<dyn Node<f64>> {
    Box::new(Recurrent::new(setting(cell, features, units, sequences)).unwrap())
}

pub fn dense(features: usize, units: usize) -> Box<dyn Node<f64>> {
    Box::new(Dense::new(Activation::Tanh, features, units, true).unwrap())
}

pub type Layers = Vec<(Box<dyn Node<f64>>, Vec<usize>)>;

fn link(layers: Layers, inputs: usize) -> Vec<Linked<f64>> {
    // Nobody needs the inputs' gradients; what reads a layer with weights passes gradients on.
    let mut wanted = vec![false; inputs];
    let linked = layers.into_iter().map(|(node, from)| {
        let passes = !node.sizes().is_empty() || from.iter().any(|&value| wanted[value]);
        wanted.resize(wanted.len() + 1 + node.besides(), passes);
        Linked { node, from, passes, shares: None }
    });
    linked.collect()
}

/// A graph, weights for it and inputs.
pub struct Model {
    pub graph: Graph<f64>,
    pub weights: Vec<Vec<f64>>,
    pub inputs: Vec<Vec<f64>>,
    pub shapes: Vec<Shape>,
}

impl Model {
    /// A graph of one input, whose last layer gives the output.
    pub fn new(layers: Layers, shape: Shape, seed: u64) -> Self {
        let output = layers.len();
        Self::of_ends(layers, &[shape], vec![output], seed)
    }

    pub fn of_ends(layers: Layers, shapes: &[Shape], outputs: Vec<usize>, seed: u64) -> Self {
        let ends = Ends { inputs: shapes.len(), outputs };
        Self::of(Graph::new(link(layers, shapes.len()), ends).unwrap(), shapes, seed)
    }

    pub fn of(graph: Graph<f64>, shapes: &[Shape], seed: u64) -> Self {
        let mut random = Random(seed);
        let weights = graph.sizes().map(|size| random.numbers(size, 0.8)).collect();
        let inputs = shapes.iter().map(|shape| random.numbers(shape.elements().unwrap(), 1.0));
        Self { inputs: inputs.collect(), graph, weights, shapes: shapes.to_vec() }
    }

    /// Fills a step of the inputs with the value that [`Masking`] of 0.25 hides.
    pub fn hide(&mut self, step: usize) {
        let features = self.shapes[0].features;
        self.inputs[0][features * step..][..features].fill(0.25);
    }

    /// The sum of the outputs, weighted with `seeds`.
    pub fn value(&mut self, seeds: &[f64], keep: bool) -> f64 {
        self.graph.prepare(&self.shapes).unwrap();
        for (number, inputs) in self.inputs.iter().enumerate() {
            self.graph.inputs(number).unwrap().copy_from_slice(inputs);
        }
        let mut weights = self.weights.clone();
        let weights: Vec<_> = weights.iter_mut().map(|weight| &mut weight[..]).collect();
        self.graph.pack(&weights).unwrap();
        let mut draws = Draws(vec![(11, 0)]);
        self.graph.forward(&weights, (keep, true), &mut draws, &|| false).unwrap();
        let outputs = (0..self.graph.ends().1).flat_map(|at| self.graph.outputs(at).unwrap());
        outputs.zip(seeds).map(|(output, seed)| output * seed).sum()
    }

    /// Compares the gradients with respect to all weights with central differences.
    pub fn check(mut self) {
        let seeds = Random(3).numbers(200, 1.0);
        self.value(&seeds, true);
        let mut first = 0;
        for output in 0..self.graph.ends().1 {
            let (_, _, slopes) = self.graph.judged(output, 0).unwrap();
            slopes.copy_from_slice(&seeds[first..][..slopes.len()]);
            first += slopes.len();
        }
        self.graph.backward(&|| false).unwrap();
        let gradients: Vec<_> = self.graph.gradients().iter().map(|all| all.to_vec()).collect();
        for (number, gradient) in gradients.iter().enumerate() {
            assert!(gradient.iter().any(|slope| *slope != 0.0), "weight {number}");
            for (at, &gradient) in gradient.iter().enumerate().step_by(3) {
                let kept = self.weights[number][at];
                let moved = [TINY, -TINY].map(|step| {
                    self.weights[number][at] = kept + step;
                    self.value(&seeds, false)
                });
                self.weights[number][at] = kept;
                let expected = (moved[0] - moved[1]) / (2.0 * TINY);
                assert!(
                    (gradient - expected).abs() < 1e-6 * (1.0 + expected.abs()),
                    "weight {number}, entry {at}: {gradient} and {expected}"
                );
            }
        }
    }
}

fn with_state(cell: CellKind, features: usize, units: usize) -> Recurrent<f64> {
    let setting = setting(cell, features, units, true);
    Recurrent::new(Setting { return_state: true, ..setting }).unwrap()
}

#[test]
fn gradients_of_several_outputs_and_states_meet() {
    let still = Shape { rows: 5, time: 1, features: 4 };
    let directions = [(), ()].map(|()| with_state(CellKind::Lstm, 3, 2));
    let apart = BothWays::new(directions, Merge::Apart, true).unwrap();
    let layers: Layers = vec![
        // Two inputs, then both directions' outputs and four states: 2 to 7.
        (Box::new(apart), vec![0]),
        (Box::new(Joined(Join::Product)), vec![2, 3]),
        (dense(4, 2), vec![1]),
        // Starts from a state of the first and from what the second input has become: 10 to 12.
        (Box::new(with_state(CellKind::Lstm, 2, 2)), vec![8, 7, 9]),
        // Nobody reads its outputs, only its state: 13 and 14.
        (Box::new(with_state(CellKind::Gru, 2, 3)), vec![10]),
        (dense(3, 2), vec![14]),
        (Box::new(Joined(Join::Sum)), vec![15, 6]),
    ];
    let outputs = vec![16, 10, 3, 12, 9];
    Model::of_ends(layers, &[SHAPE, still], outputs, 8).check();
}

#[test]
fn merged_directions_begin_with_states_and_give_theirs() {
    let directions = [(), ()].map(|()| with_state(CellKind::Gru, 3, 2));
    let merged = BothWays::new(directions, Merge::Concat, true).unwrap();
    let layers: Layers = vec![
        (recurrent(CellKind::Gru, 3, 2, false), vec![0]),
        (dense(2, 2), vec![1]),
        (Box::new(merged), vec![0, 1, 2]),
        (dense(4, 1), vec![3]),
    ];
    Model::of_ends(layers, &[SHAPE], vec![6, 5], 9).check();
}

#[test]
fn passes_over_samples_give_each_its_outputs() {
    let still = Shape { rows: 7, time: 1, features: 4 };
    let samples = Shape { rows: 7, ..SHAPE };
    let layers: Layers =
        vec![(recurrent(CellKind::Gru, 3, 2, true), vec![0]), (dense(4, 3), vec![1])];
    let mut model = Model::of_ends(layers, &[samples, still], vec![3, 2], 12);
    model.value(&[], false);
    let expected = [0, 1].map(|at| model.graph.outputs(at).unwrap().to_vec());
    let views = [(0, samples), (1, still)];
    let views = views.map(|(at, shape)| View::contiguous(&model.inputs[at], shape.axes()).unwrap());
    let inputs: [&dyn Samples<f64>; 2] = [&views[0], &views[1]];
    let weights: Vec<_> = model.weights.iter_mut().map(|weight| &mut weight[..]).collect();
    for limit in [std::time::Duration::MAX, std::time::Duration::ZERO] {
        let (mut first, mut second, mut calls) = (vec![0.0; 21], vec![0.0; 56], 0);
        let mut all = 0;
        while all < 7 {
            let span =
                Span { places: all..7, batch: 3, pass: 7, limit, until_finite_no_more: false };
            let mut done = 0;
            let mut outputs = [&mut first[3 * all..], &mut second[8 * all..]];
            let (given, to) = ((&inputs[..], None, &span), (&mut outputs[..], &mut done));
            predict(&mut model.graph, (&weights, false), given, to, &|| false).unwrap();
            all += done;
            calls += 1;
        }
        assert_eq!(calls, if limit.is_zero() { 3 } else { 1 });
        assert_eq!([first, second], expected);
    }
}

#[test]
fn gradients_of_forks_meet() {
    let lstm = recurrent(CellKind::Lstm, 3, 4, true);
    let norm = Normalization::new(8, (1e-3, true), true, true).unwrap();
    let layers: Layers = vec![
        (lstm, vec![0]),
        (dense(4, 4), vec![1]),
        (Box::new(Joined(Join::Product)), vec![1, 2, 1]),
        (Box::new(Joined(Join::Concat)), vec![3, 1]),
        (Box::new(norm), vec![4]),
        (recurrent(CellKind::Gru, 8, 4, true), vec![5]),
        (Box::new(Joined(Join::Mean)), vec![6, 1, 3]),
        (Box::new(Joined(Join::Difference)), vec![7, 2]),
        (Box::new(Joined(Join::Sum)), vec![8, 8, 6]),
        (recurrent(CellKind::SimpleRnn, 4, 2, false), vec![9]),
        (dense(2, 2), vec![10]),
    ];
    Model::new(layers, SHAPE, 1).check();
}

#[test]
fn gradients_pass_dropout_both_directions_and_flattened_steps() {
    let drop = Drop { generator: 0, threshold: 1 << 30, scale: 4.0 / 3.0 };
    let setting = setting(CellKind::Gru, 4, 3, true);
    let directions = [(), ()].map(|()| Recurrent::new(setting).unwrap());
    let layers: Layers = vec![
        (dense(3, 4), vec![0]),
        (Box::new(Dropout::new(drop, Noise::Entries)), vec![1]),
        (Box::new(BothWays::new(directions, Merge::Product, true).unwrap()), vec![2]),
        (Box::new(Dropout::new(drop, Noise::Features)), vec![3]),
        (Box::new(Reshape::Into(None, None)), vec![4]),
        (dense(12, 2), vec![5]),
    ];
    Model::new(layers, SHAPE, 2).check();
}

#[test]
fn gradients_pass_noise() {
    let drop = Drop { generator: 0, threshold: 1 << 30, scale: 0.7 };
    for noise in [Noise::Added, Noise::Multiplied, Noise::Alpha([-1.5, 0.4])] {
        let layers: Layers = vec![
            (dense(3, 4), vec![0]),
            (Box::new(Dropout::new(drop, noise)), vec![1]),
            (recurrent(CellKind::Gru, 4, 2, false), vec![2]),
        ];
        Model::new(layers, SHAPE, 8).check();
    }
}

#[test]
fn steps_that_are_masked_get_no_gradient() {
    let layers: Layers = vec![
        (Box::new(Masking(0.25)), vec![0]),
        (dense(3, 4), vec![1]),
        (recurrent(CellKind::Gru, 4, 3, true), vec![2]),
        (recurrent(CellKind::Lstm, 3, 2, false), vec![3]),
    ];
    let mut model = Model::new(layers, SHAPE, 4);
    for step in [2, 7, 8, 19] {
        model.hide(step);
    }
    model.check();
}

#[test]
fn ids_are_looked_up_and_padded() {
    let layers: Layers = vec![
        (Box::new(Embedding::new([6, 3], true).unwrap()), vec![0]),
        (recurrent(CellKind::Lstm, 3, 2, false), vec![1]),
    ];
    let shape = Shape { rows: 3, time: 1, features: 5 };
    let mut model = Model::new(layers, shape, 5);
    model.inputs[0] = (0..15).map(|n| f64::from(n * 7 % 6)).collect();
    model.check();
}

#[test]
fn graphs_that_cannot_be_computed_are_refused() {
    let wrong = |from: Vec<usize>, passes: bool| {
        let layers = vec![
            Linked { node: dense(3, 3), from: vec![0], passes: true, shares: None },
            Linked { node: dense(3, 3), from, passes, shares: None },
        ];
        Graph::new(layers, Ends::single(2).unwrap()).err().map(|error| error.to_string())
    };
    assert_eq!(wrong(vec![1], true), None);
    assert!(wrong(vec![2], true).unwrap().contains("below 2"));
    assert!(wrong(vec![], true).unwrap().contains("below 2"));
    for outputs in [vec![], vec![0], vec![1, 1], vec![2]] {
        let layers = vec![Linked { node: dense(3, 3), from: vec![0], passes: true, shares: None }];
        let refused = Graph::new(layers, Ends { inputs: 1, outputs }).err().unwrap();
        assert!(refused.to_string().contains("distinct values of 1..2"));
    }
    assert!(wrong(vec![0], true).unwrap().contains("are read"));
    assert!(wrong(vec![1], false).unwrap().contains("pass gradients on"));
    let layers = vec![
        (dense(3, 2), vec![0]),
        (Box::new(Joined(Join::Sum)) as Box<dyn Node<f64>>, vec![0, 1]),
    ];
    let mut graph = Graph::new(link(layers, 1), Ends::single(2).unwrap()).unwrap();
    assert!(graph.prepare(&[SHAPE]).unwrap_err().to_string().contains("[5, 4, 3]"));
    assert!(graph.outputs(0).unwrap_err().to_string().contains("prepared"));
    let mut two =
        Graph::new(link(vec![(dense(3, 2), vec![0, 0])], 1), Ends::single(1).unwrap()).unwrap();
    assert!(two.prepare(&[SHAPE]).unwrap_err().to_string().contains("one array"));
}
