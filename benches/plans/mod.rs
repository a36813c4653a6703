//! Steps of small models in plans: of built-in layers, of users' code, with penalties.

mod programs;

use std::time::Duration;

use ferrnn::cells::CellKind;
use ferrnn::kernels::activation::Activation;
use ferrnn::layers::sequence::Options;
use ferrnn::machine::memory::View;
use ferrnn::models::{
    Clip, Data, Dense, Draws, Ends, Graph, Join, Joined, Judge, Linked, Loss, Node, Pace,
    Recurrent, Scored, Setting, Span, Tally, Updates, gather, predict, train,
};
use ferrnn::training::loss::Error as Kind;
use ferrnn::training::measure::Measure;
use ferrnn::training::optimizer::Rule;
use ferrnn::training::penalty::Penalty;
use ferrnn::training::rows::Divisor;

use crate::calls::numbers;

/// A model that is given `[batch, time, features]`.
#[derive(Clone, Copy)]
pub enum Model {
    /// A recurrent layer and Dense, with a fork between them.
    Cell(CellKind),
    /// A layer of a user's with two products, and Dense.
    UsersLayer,
    /// A cell of a user's over time, and Dense.
    UsersCell,
    /// Two Dense, judged by a loss of a user's.
    UsersLoss,
    /// Two Dense, with L1 and L2 penalties on all weights.
    Penalties,
}

/// What is done with it.
#[derive(Clone, Copy)]
pub enum Way {
    /// A step of training with Adam.
    Train,
    /// Forward, with weights that are packed for it.
    Forward,
    /// Forward, with weights that are packed already.
    Predict,
}

type Nodes = Vec<(Box<dyn Node<f32>>, Vec<usize>)>;

fn dense(activation: Activation, features: usize, units: usize) -> Box<Dense<f32>> {
    Box::new(Dense::new(activation, features, units, true).unwrap())
}

fn recurrent(cell: CellKind, [features, units]: [usize; 2]) -> Box<Recurrent<f32>> {
    let setting = Setting {
        cell,
        options: Options::default(),
        features,
        units,
        bias: true,
        go_backwards: false,
        return_sequences: false,
        return_state: false,
        zero_output_for_mask: false,
        carried: None,
        drops: 1,
        input_drop: None,
        recurrent_drop: None,
    };
    Box::new(Recurrent::new(setting).unwrap())
}

impl Model {
    /// Its layers, with the values that they take, and the width of its output.
    fn nodes(self, time: usize, sizes: [usize; 2]) -> (Nodes, usize) {
        let [features, units] = sizes;
        let (linear, tanh) = (Activation::Linear, Activation::Tanh);
        match self {
            Self::Cell(cell) => {
                let nodes: Nodes = vec![
                    (recurrent(cell, sizes), vec![0]),
                    (dense(tanh, units, units), vec![1]),
                    (Box::new(Joined(Join::Sum)), vec![1, 2]),
                    (dense(linear, units, 1), vec![3]),
                ];
                (nodes, 1)
            }
            Self::UsersLayer => {
                let own = Box::new(programs::layer(features, units));
                (vec![(own, vec![0]), (dense(linear, units, 1), vec![1])], 1)
            }
            Self::UsersCell => {
                let own = Box::new(programs::cell(time, features, units));
                (vec![(own, vec![0]), (dense(linear, units, 1), vec![1])], 1)
            }
            Self::UsersLoss | Self::Penalties => {
                let (first, second) = (dense(tanh, features, units), dense(linear, units, units));
                (vec![(first, vec![0]), (second, vec![1])], units)
            }
        }
    }

    fn judge(self, outputs: usize, weights: usize) -> Judge {
        let measure = match self {
            Self::UsersLoss => Scored::Written(programs::loss(outputs)),
            _ => Scored::Measure(Measure::Error(Kind::Squared)),
        };
        let penalties = match self {
            Self::Penalties => {
                (0..weights).map(|at| (at, Penalty { l1: 1e-3, l2: 1e-2 })).collect()
            }
            _ => vec![],
        };
        let losses = vec![Loss { measure, weight: 1.0, divisor: Divisor::Rows }];
        Judge { losses, exact: false, penalties }
    }
}

/// A batch that is gathered and goes through the model; `count` runs what it is given.
pub fn run(
    model: Model,
    [rows, time, features, units]: [usize; 4],
    way: Way,
    count: impl FnOnce(&mut dyn FnMut()),
) {
    let (nodes, width) = model.nodes(time, [features, units]);
    let last = nodes.len();
    let layers =
        nodes.into_iter().map(|(node, from)| Linked { node, from, passes: true, shares: None });
    let mut graph = Graph::new(layers.collect(), Ends::single(last).unwrap()).unwrap();
    let mut weights: Vec<_> = graph.sizes().map(|size| numbers(size, 0.2)).collect();
    let mut moments: Vec<_> =
        graph.sizes().map(|size| [vec![0.0; size], vec![0.0; size]]).collect();
    let trained: Vec<_> = (0..weights.len()).collect();
    let x = numbers(rows * time * features, 1.0);
    let y = numbers(rows * width, 1.0);
    let inputs = View::contiguous(&x, [rows, time, features]).unwrap();
    let targets = View::contiguous(&y, [rows, 1, width]).unwrap();
    let data = Data { inputs: &[&inputs], targets: &[&targets], weights: &[None], order: None };
    let judge = &model.judge(width, weights.len());
    let rule = Rule::Adam { rate: 0.0, betas: [0.9, 0.999], epsilon: 1e-7, amsgrad: false };
    let (limit, until_finite_no_more) = (Duration::MAX, false);
    let span = Span { places: 0..rows, batch: rows, pass: rows, limit, until_finite_no_more };
    let paces = [Pace { rates: [1e-4, 0.0, 0.0], decay: None }];
    let (mut outputs, mut packed) = (vec![0.0; rows * width], false);
    count(&mut || {
        let mut all: Vec<_> = weights.iter_mut().map(|weight| &mut weight[..]).collect();
        let mut draws = Draws::default();
        let never = &|| false;
        match way {
            Way::Forward => {
                gather(&mut graph, data.inputs, None, 0..rows).unwrap();
                graph.pack(&all).unwrap();
                graph.forward(&all, (false, false), &mut draws, never).unwrap();
            }
            Way::Predict => {
                let to = (&mut [&mut outputs[..]][..], &mut 0);
                let given = (data.inputs, None, &span);
                predict(&mut graph, (&all, packed), given, to, never).unwrap();
                packed = true;
            }
            Way::Train => {
                let slots = moments.iter_mut();
                let slots = slots.map(|[m, v]| [&mut m[..], &mut v[..], &mut []]).collect();
                let mut updates = Updates { rule, clip: Clip::Never, trained: &trained, slots };
                let given = (&data, &span, &paces[..]);
                let told = (&mut Tally::default(), &mut vec![], &mut draws, &mut [][..]);
                train(&mut graph, judge, &mut updates, &mut all, given, told, never).unwrap();
            }
        }
    });
}
