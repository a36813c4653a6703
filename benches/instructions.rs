//! Runs the hot paths once each, so that `make bench-check` can count their instructions under
//! valgrind: counts depend neither on the clock nor on what else the machine does.
//!
//! `all`, or the names of cases, runs them one after the other and prints their names. What a case
//! does before and after its call of [`measured`] does not count. One thread, and caches of one size
//! everywhere, so that the same work is planned on every machine.

mod calls;
mod plans;

use std::env;
use std::hint::black_box;
use std::sync::Arc;

use calls::{Call, numbers};
use ferrnn::cells::CellKind;
use ferrnn::kernels::activation::Activation;
use ferrnn::kernels::row_function::RowFunction;
use ferrnn::layers::dense;
use ferrnn::layers::embedding;
use ferrnn::layers::normalization;
use ferrnn::layers::sequence::{Options, Precision, Problem, Raw, Weights};
use ferrnn::layers::stream::{Part, Stream};
use ferrnn::machine::caches::{Sizes, assume};
use ferrnn::machine::memory::{View, ViewMut};
use ferrnn::machine::simd::Level;
use ferrnn::machine::threads;
use ferrnn::training::optimizer::{self, Rule, Target};
use plans::{Model, Way};

const CELLS: [(&str, CellKind); 4] = [
    ("lstm", CellKind::Lstm),
    ("gru", CellKind::Gru),
    ("gru_reset_before", CellKind::GruResetBefore),
    ("simple_rnn", CellKind::SimpleRnn),
];
/// Batch, time, features, units: a sequence alone, a batch on both sides of a slice, odd sizes.
const SIZES: [[usize; 4]; 3] = [[1, 50, 8, 32], [8, 20, 64, 128], [32, 5, 17, 17]];
/// Rows, features, units.
const DENSE: [[usize; 3]; 2] = [[32, 64, 128], [1, 128, 10]];

/// Rows, features, units of a stream: one row, and several.
const STREAMS: [[usize; 3]; 2] = [[1, 32, 32], [5, 64, 128]];

/// Batch, time, features, units of a small model, whose step costs little more than what surrounds it.
const PLAN: [usize; 4] = [16, 5, 8, 20];
/// The same of a model without time.
const ROWS: [usize; 4] = [32, 1, 64, 128];

#[derive(Clone, Copy)]
enum Case {
    Forward(CellKind, [usize; 4]),
    /// With recurrent weights in bfloat16.
    Halved(CellKind, [usize; 4]),
    /// One step of a recurrent layer, with weights in bfloat16 or not.
    Step(CellKind, [usize; 3], bool),
    /// One step of ids, an LSTM, a normalization and Dense with softmax.
    Chain([usize; 3]),
    Normalization([usize; 2]),
    /// With the last steps of every other row masked.
    Masked(CellKind, [usize; 4]),
    Backward(CellKind, [usize; 4]),
    Pack(CellKind, [usize; 4]),
    Dense([usize; 3]),
    DenseBackward([usize; 3]),
    /// An update of this many weights in two arrays.
    Update(Rule, usize),
    /// A batch through a model.
    Plan(Model, [usize; 4], Way),
}

/// The cases by name.
fn cases() -> Vec<(String, Case)> {
    let mut cases = Vec::new();
    let mut add = |what: &str, sizes: &[usize], case| {
        let sizes: Vec<_> = sizes.iter().map(usize::to_string).collect();
        cases.push((format!("{what} {}", sizes.join(",")), case));
    };
    for (name, cell) in CELLS {
        for sizes in SIZES {
            add(&format!("{name} forward"), &sizes, Case::Forward(cell, sizes));
            add(&format!("{name} backward"), &sizes, Case::Backward(cell, sizes));
        }
        add(&format!("{name} masked"), &SIZES[1], Case::Masked(cell, SIZES[1]));
        add(&format!("{name} pack"), &SIZES[1], Case::Pack(cell, SIZES[1]));
        for sizes in &SIZES[..2] {
            add(&format!("{name} bfloat16"), sizes, Case::Halved(cell, *sizes));
        }
        for sizes in STREAMS {
            add(&format!("{name} stream"), &sizes, Case::Step(cell, sizes, false));
        }
        add(&format!("{name} stream bfloat16"), &STREAMS[0], Case::Step(cell, STREAMS[0], true));
    }
    for (name, cell) in CELLS {
        add(&format!("{name} plan"), &PLAN, Case::Plan(Model::Cell(cell), PLAN, Way::Train));
    }
    let lstm = Model::Cell(CellKind::Lstm);
    add("lstm plan forward", &PLAN, Case::Plan(lstm, PLAN, Way::Forward));
    let (layer, cell) = (Model::UsersLayer, Model::UsersCell);
    add("users_layer plan", &ROWS, Case::Plan(layer, ROWS, Way::Train));
    add("users_layer plan predict", &ROWS, Case::Plan(layer, ROWS, Way::Predict));
    add("users_cell plan", &PLAN, Case::Plan(cell, PLAN, Way::Train));
    add("users_cell plan predict", &PLAN, Case::Plan(cell, PLAN, Way::Predict));
    add("users_loss plan", &ROWS, Case::Plan(Model::UsersLoss, ROWS, Way::Train));
    add("penalties plan", &ROWS, Case::Plan(Model::Penalties, ROWS, Way::Train));
    for sizes in STREAMS {
        add("chain stream", &sizes, Case::Chain(sizes));
    }
    add("normalization", &[80, 70], Case::Normalization([80, 70]));
    for sizes in DENSE {
        add("dense forward", &sizes, Case::Dense(sizes));
        add("dense backward", &sizes, Case::DenseBackward(sizes));
    }
    let momentum = Rule::Momentum { rate: 0.01, momentum: 0.9, nesterov: false };
    let adam = Rule::Adam { rate: 0.001, betas: [0.9, 0.999], epsilon: 1e-7, amsgrad: false };
    add("sgd update", &[10_001], Case::Update(momentum, 10_001));
    add("adam update", &[10_001], Case::Update(adam, 10_001));
    cases
}

/// What is counted: valgrind knows this function by its name, and its end by its return.
#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    work();
    black_box(()); // so that `work` is a call and not a jump
}

/// Once to fill the pools, once to be counted.
fn count(mut work: impl FnMut()) {
    work();
    measured(&mut work);
}

fn recurrent(case: Case, cell: CellKind, [batch, time, features, units]: [usize; 4]) {
    let columns = cell.layout().gates * units;
    let kernel = numbers(features * columns, 1.0 / (features as f32).sqrt());
    let recurrent_kernel = numbers(units * columns, 1.0 / (units as f32).sqrt());
    let bias = numbers(columns * if cell.layout().recurrent_bias { 2 } else { 1 }, 0.1);
    let pack = || {
        let bias = Some(&bias[..]);
        let raw = Raw {
            kernel: &kernel,
            recurrent_kernel: &recurrent_kernel,
            vectors: &[],
            bias,
            projection: None,
        };
        let bfloat16 = matches!(case, Case::Halved(..) | Case::Step(.., true));
        let precision = if bfloat16 { Precision::Bfloat16 } else { Precision::Full };
        let options = Options { precision, ..Options::default() };
        Weights::new(cell, options, features, units, raw).unwrap()
    };
    if matches!(case, Case::Step(..)) {
        return stream(&[Part::Recurrent(Arc::new(pack()))], features, batch);
    }
    let weights = pack();
    let inputs = numbers(batch * time * features, 1.0);
    let mask: Vec<_> =
        (0..batch * time).map(|n| n / time % 2 == 0 || n % time < time / 2).collect();
    let view = View::contiguous(&inputs, [batch, time, features]).unwrap();
    let mut problem = Problem::new(&weights, view).unwrap();
    if matches!(case, Case::Masked(..)) {
        problem = problem.mask(View::contiguous(&mask, [batch, time, 1]).unwrap()).unwrap();
    }
    let mut call = Call::new(&weights, [batch, time, units]);
    match case {
        Case::Pack(..) => count(|| drop(black_box(pack()))),
        Case::Backward(..) => count(|| call.backward(&weights, &problem)),
        _ => count(|| drop(call.forward(&weights, &problem, false))),
    }
}

/// One step of rows of inputs.
fn stream(parts: &[Part<f32>], features: usize, rows: usize) {
    let mut stream = Stream::new(None, parts, features, rows).unwrap();
    let inputs = numbers(rows * features, 1.0);
    let inputs = View::contiguous(&inputs, [rows, 1, features]).unwrap();
    let units = stream.units();
    let mut outputs = vec![0.0; rows * units];
    let mut outputs = ViewMut::contiguous(&mut outputs, [rows, 1, units]).unwrap();
    count(|| stream.step(inputs, &mut outputs).unwrap());
}

/// One step of ids, one row's being padding if there are several.
fn chain([rows, features, units]: [usize; 3]) {
    let kernel = numbers(features * 4 * units, 0.1);
    let recurrent_kernel = numbers(units * 4 * units, 0.1);
    let raw = Raw {
        kernel: &kernel,
        recurrent_kernel: &recurrent_kernel,
        vectors: &[],
        bias: None,
        projection: None,
    };
    let lstm = Weights::new(CellKind::Lstm, Options::default(), features, units, raw).unwrap();
    let embedding = embedding::Weights::new([50, features], &numbers(50 * features, 1.0), true);
    let normalization = normalization::Weights::new(None, units, (1e-3, true), None, None).unwrap();
    let head =
        dense::Weights::new(None, Activation::Linear, [units, 10], &numbers(units * 10, 0.1), None);
    let parts = [
        Part::Embedding(Arc::new(embedding.unwrap())),
        Part::Recurrent(Arc::new(lstm)),
        Part::Normalization(Arc::new(normalization)),
        Part::Dense(Arc::new(head.unwrap())),
        Part::Function(RowFunction::Softmax),
    ];
    let mut stream = Stream::new(None, &parts, 1, rows).unwrap();
    let ids: Vec<_> = (0_i64..).take(rows).map(|row| (row + 3) % 5).collect();
    let mut outputs = vec![0.0; rows * 10];
    let mut outputs = ViewMut::contiguous(&mut outputs, [rows, 1, 10]).unwrap();
    count(|| stream.step_ids(&ids, &mut outputs).unwrap());
}

/// Forward and backward.
fn normalize([rows, features]: [usize; 2]) {
    let weights = normalization::Weights::new(None, features, (1e-3, true), None, None).unwrap();
    let inputs = numbers(rows * features, 1.0);
    let d_outputs = numbers(rows * features, 1.0);
    let mut kept = vec![0.0; rows * normalization::KEPT];
    let (mut outputs, mut d_inputs) = (d_outputs.clone(), d_outputs.clone());
    let (mut d_gamma, mut d_beta) = (vec![0.0; features], vec![0.0; features]);
    count(|| {
        normalization::forward(&weights, &inputs, &mut outputs, Some(&mut kept)).unwrap();
        let seeds = normalization::Seeds { inputs: &inputs, kept: &kept, d_outputs: &d_outputs };
        let by_weights = (Some(&mut d_gamma[..]), Some(&mut d_beta[..]));
        let d_inputs = Some(&mut d_inputs[..]);
        normalization::backward(&weights, seeds, d_inputs, by_weights.0, by_weights.1).unwrap();
    });
}

fn dense(backward: bool, [rows, features, units]: [usize; 3]) {
    let kernel = numbers(features * units, 0.1);
    let bias = numbers(units, 0.1);
    let weights =
        dense::Weights::new(None, Activation::Tanh, [features, units], &kernel, Some(&bias))
            .unwrap();
    let inputs = numbers(rows * features, 1.0);
    let view = View::contiguous(&inputs, [rows, 1, features]).unwrap();
    let mut outputs = vec![0.0; rows * units];
    let mut forward = || {
        let outputs = ViewMut::contiguous(&mut outputs, [rows, 1, units]).unwrap();
        dense::forward(&weights, view, outputs, None, &|| false).unwrap();
    };
    if !backward {
        return count(forward);
    }
    forward();
    let d_outputs = numbers(rows * units, 1.0);
    let mut d_inputs = vec![0.0; rows * features];
    let mut d_kernel = vec![0.0; features * units];
    let mut d_bias = vec![0.0; units];
    count(|| {
        let seeds = dense::Seeds {
            inputs: view,
            kept: View::contiguous(&outputs, [rows, 1, units]).unwrap(),
            d_outputs: View::contiguous(&d_outputs, [rows, 1, units]).unwrap(),
        };
        let d_inputs = ViewMut::contiguous(&mut d_inputs, [rows, 1, features]).unwrap();
        let (d_kernel, d_bias) = (&mut d_kernel[..], Some(&mut d_bias[..]));
        dense::backward(&weights, seeds, Some(d_inputs), d_kernel, d_bias, &|| false).unwrap();
    });
}

fn update(rule: Rule, weights: usize) {
    let mut arrays: Vec<_> = (0..4).map(|n| numbers(weights, 0.1 * (n + 1) as f32)).collect();
    arrays[3].iter_mut().for_each(|velocity| *velocity = velocity.abs());
    let [weight, gradient, momentum, velocity] = &mut arrays[..] else { unreachable!() };
    count(|| {
        let cut = weights / 3;
        let (weight, other_weight) = weight.split_at_mut(cut);
        let (gradient, other_gradient) = gradient.split_at(cut);
        let (momentum, other_momentum) = momentum.split_at_mut(cut);
        let (velocity, other_velocity) = velocity.split_at_mut(cut);
        let target = |weight, gradient, momentum, velocity| {
            let slots: [&mut [f32]; 3] = [momentum, velocity, &mut []];
            Target { weight, gradient, scale: None, slots }
        };
        let targets = vec![
            target(weight, gradient, momentum, velocity),
            target(other_weight, other_gradient, other_momentum, other_velocity),
        ];
        optimizer::update(None, rule, None, targets).unwrap();
    });
}

fn main() {
    let names: Vec<_> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if names.is_empty() {
        println!("`make bench-check` runs this; names of cases run those, `all` runs all");
        return;
    }
    assume(Sizes { l1: 32 << 10, l2: 1 << 20, l3: 32 << 20 });
    threads::set_count(1);
    println!("level {}", Level::current().expect("a level of this CPU").name());
    for (name, case) in cases() {
        if names[0] != "all" && !names.contains(&name) {
            continue;
        }
        match case {
            Case::Dense(sizes) => dense(false, sizes),
            Case::DenseBackward(sizes) => dense(true, sizes),
            Case::Update(rule, weights) => update(rule, weights),
            Case::Chain(sizes) => chain(sizes),
            Case::Plan(model, sizes, way) => plans::run(model, sizes, way, |work| count(work)),
            Case::Normalization(sizes) => normalize(sizes),
            Case::Step(cell, [rows, features, units], _) => {
                recurrent(case, cell, [rows, 1, features, units]);
            }
            Case::Forward(cell, sizes)
            | Case::Halved(cell, sizes)
            | Case::Masked(cell, sizes)
            | Case::Backward(cell, sizes)
            | Case::Pack(cell, sizes) => recurrent(case, cell, sizes),
        }
        println!("{name}");
    }
}
