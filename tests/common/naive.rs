//! The naive reference: the equations as they stand in the papers, row by row, in `f64`.

use ferrnn::cells::CellKind;
use ferrnn::kernels::activation::Activation;

use super::{Arrays, Case, Outcome};

fn activate(activation: Activation, x: f64) -> f64 {
    let elu = |x: f64| if x > 0.0 { x } else { x.exp_m1() };
    match activation {
        Activation::Tanh => x.tanh(),
        Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Activation::HardSigmoid => (x / 6.0 + 0.5).clamp(0.0, 1.0),
        Activation::Relu => x.max(0.0),
        Activation::Linear => x,
        Activation::Softsign => x / (1.0 + x.abs()),
        Activation::Softplus => x.exp().ln_1p(),
        Activation::Elu => elu(x),
        Activation::Selu if x > 0.0 => 1.050_700_987_355_480_5 * x,
        Activation::Selu => 1.050_700_987_355_480_5 * 1.673_263_242_354_377_2 * x.exp_m1(),
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::Gelu => 0.5 * x * (1.0 + libm::erf(x / 2.0_f64.sqrt())),
        Activation::Exponential => x.exp(),
    }
}

/// One row's step, as the equations stand in the papers.
fn naive_step(
    case: &Case,
    arrays: &Arrays<f64>,
    row: usize,
    x: &[f64],
    s: &[Vec<f64>],
) -> Vec<Vec<f64>> {
    let (f, u, columns) = (case.features, case.units, case.gates() * case.units);
    let masked = |values: &[f64], masks: &[f64], gate: usize| -> Vec<f64> {
        let size = values.len();
        let gate = gate.min(case.masks().saturating_sub(1));
        let at = (gate * case.batch + row) * size;
        let scale = |n: usize| if case.dropout > 0 { masks[at + n] } else { 1.0 };
        (0..size).map(|n| values[n] * scale(n)).collect()
    };
    let gate_input = |gate: usize, n: usize| {
        let x = masked(x, &arrays.input_dropout, gate);
        let column = gate * u + n;
        let bias = if case.bias { arrays.bias[column] } else { 0.0 };
        bias + (0..f).map(|k| x[k] * arrays.kernel[k * columns + column]).sum::<f64>()
    };
    let gate_state = |gate: usize, n: usize, h: &[f64]| {
        let column = gate * u + n;
        let own = case.bias && case.cell.layout().recurrent_bias;
        let bias = if own { arrays.bias[columns + column] } else { 0.0 };
        let product = h.iter().enumerate().map(|(k, h)| h * arrays.recurrent[k * columns + column]);
        bias + product.sum::<f64>()
    };
    let h = |gate: usize| masked(&s[0], &arrays.recurrent_dropout, gate);
    let both = |gate: usize, n: usize| gate_input(gate, n) + gate_state(gate, n, &h(gate));
    let cut = |x: f64| case.clip.map_or(x, |bound| x.clamp(-bound, bound));
    let state_act = |x: f64| activate(case.activation, x);
    let act = |x: f64| activate(case.activation, cut(x));
    let rec = |x: f64| activate(case.recurrent_activation, cut(x));
    match case.cell {
        CellKind::SimpleRnn => vec![(0..u).map(|n| act(both(0, n))).collect()],
        CellKind::IndRnn => {
            let own = |n: usize| arrays.vectors[n] * h(0)[n];
            vec![(0..u).map(|n| act(gate_input(0, n) + own(n))).collect()]
        }
        CellKind::Lstm => {
            let c: Vec<_> = (0..u)
                .map(|n| rec(both(1, n)) * s[1][n] + rec(both(0, n)) * act(both(2, n)))
                .collect();
            vec![(0..u).map(|n| rec(both(3, n)) * state_act(c[n])).collect(), c]
        }
        CellKind::PeepholeLstm => {
            let peephole = |vector: usize, n: usize, c: f64| arrays.vectors[vector * u + n] * c;
            let state = |n: usize| {
                let before = s[1][n];
                let i = rec(both(0, n) + peephole(0, n, before));
                let f = rec(both(1, n) + peephole(1, n, before));
                f * before + i * act(both(2, n))
            };
            let c: Vec<_> = (0..u).map(state).collect();
            let output = |n: usize| rec(both(3, n) + peephole(2, n, c[n])) * state_act(c[n]);
            vec![(0..u).map(output).collect(), c]
        }
        CellKind::CoupledLstm => {
            let state = |n: usize| {
                let forget = rec(both(0, n));
                forget * s[1][n] + (1.0 - forget) * act(both(1, n))
            };
            let c: Vec<_> = (0..u).map(state).collect();
            vec![(0..u).map(|n| rec(both(2, n)) * state_act(c[n])).collect(), c]
        }
        CellKind::MinimalGated => {
            let forget: Vec<_> = (0..u).map(|n| rec(both(0, n))).collect();
            let reset: Vec<_> = (0..u).map(|n| forget[n] * h(1)[n]).collect();
            let unit = |n: usize| {
                let candidate = act(gate_input(1, n) + gate_state(1, n, &reset));
                (1.0 - forget[n]) * s[0][n] + forget[n] * candidate
            };
            vec![(0..u).map(unit).collect()]
        }
        CellKind::Gru => {
            let unit = |n: usize| {
                let (z, r) = (rec(both(0, n)), rec(both(1, n)));
                let candidate = act(gate_input(2, n) + r * gate_state(2, n, &h(2)));
                z * s[0][n] + (1.0 - z) * candidate
            };
            vec![(0..u).map(unit).collect()]
        }
        CellKind::GruResetBefore => {
            let reset: Vec<_> = (0..u).map(|n| rec(both(1, n)) * h(2)[n]).collect();
            let unit = |n: usize| {
                let z = rec(both(0, n));
                let candidate = act(gate_input(2, n) + gate_state(2, n, &reset));
                z * s[0][n] + (1.0 - z) * candidate
            };
            vec![(0..u).map(unit).collect()]
        }
    }
}

/// The whole call, row by row, in `f64`.
pub fn naive(case: &Case, arrays: &Arrays<f64>) -> Outcome<f64> {
    let (t, f, u) = (case.time, case.features, case.outputs());
    let sizes = case.state_sizes();
    let mut outputs = vec![0.0; case.batch * case.out_time() * u];
    let mut finals: Vec<_> = sizes.iter().map(|size| vec![0.0; case.batch * size]).collect();
    for row in 0..case.batch {
        let initial = |(s, &size): (&Vec<f64>, &usize)| s[row * size..][..size].to_vec();
        let mut state: Vec<Vec<f64>> = if case.initial {
            arrays.state.iter().zip(&sizes).map(initial).collect()
        } else {
            sizes.iter().map(|&size| vec![0.0; size]).collect()
        };
        let mut output = state[0].clone();
        for step in 0..t {
            let time = if case.backwards { t - 1 - step } else { step };
            let real = !case.masked || arrays.mask[row * t + time];
            if real {
                let x = &arrays.inputs[(row * t + time) * f..][..f];
                state = naive_step(case, arrays, row, x, &state);
                if case.projected.is_some() {
                    let whole = state[0].iter().enumerate();
                    let sum =
                        |n| whole.clone().map(|(k, v)| v * arrays.projection[k * u + n]).sum();
                    state[0] = (0..u).map(sum).collect();
                }
            }
            output = if real || !case.zero_masked { state[0].clone() } else { vec![0.0; u] };
            if case.sequences {
                outputs[(row * t + step) * u..][..u].copy_from_slice(&output);
            }
        }
        if !case.sequences {
            outputs[row * u..][..u].copy_from_slice(&output);
        }
        for (array, state) in finals.iter_mut().zip(&state) {
            array[row * state.len()..][..state.len()].copy_from_slice(state);
        }
    }
    Outcome { outputs, state: finals }
}
