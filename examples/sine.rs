//! Trains a GRU with a linear readout to predict a noisy sine, by plain gradient descent:
//! `cargo run --release --example sine`.

use ferrnn::cells::CellKind;
use ferrnn::error::Result;
use ferrnn::layers::sequence::{
    Gradients, Options, Problem, Raw, Results, Seeds, Weights, backward, forward,
};
use ferrnn::machine::memory::{View, ViewMut};

const BATCH: usize = 16;
const TIME: usize = 40;
const UNITS: usize = 12;
const RATE: f32 = 0.05;

/// Numbers in (-1, 1).
fn noise(state: &mut u64) -> f32 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    (*state >> 40) as f32 / (1 << 23) as f32 - 1.0
}

fn descend(weights: &mut [f32], gradient: &[f32]) {
    for (weight, slope) in weights.iter_mut().zip(gradient) {
        *weight -= RATE * slope;
    }
}

fn main() -> Result<()> {
    let mut random = 7;
    let mut draw = |len: usize, scale: f32| -> Vec<f32> {
        (0..len).map(|_| scale * noise(&mut random)).collect()
    };
    let mut kernel = draw(3 * UNITS, 1.0);
    let mut recurrent = draw(UNITS * 3 * UNITS, 0.3);
    let mut bias = vec![0.0; 2 * 3 * UNITS];
    let mut readout = draw(UNITS, 0.3);
    let phases = draw(BATCH, 3.0);
    let jitter = draw(BATCH * (TIME + 1), 0.05);
    let signal =
        |row: usize, t: usize| (phases[row] + 0.35 * t as f32).sin() + jitter[row * (TIME + 1) + t];
    let at = |n: usize| (n / TIME, n % TIME);
    let inputs: Vec<f32> = (0..BATCH * TIME).map(|n| signal(at(n).0, at(n).1)).collect();
    let targets: Vec<f32> = (0..BATCH * TIME).map(|n| signal(at(n).0, at(n).1 + 1)).collect();

    for epoch in 0..=300 {
        let raw = Raw {
            kernel: &kernel,
            recurrent_kernel: &recurrent,
            vectors: &[],
            bias: Some(&bias),
            projection: None,
        };
        let weights = Weights::new(CellKind::Gru, Options::default(), 1, UNITS, raw)?;
        let problem = Problem::new(&weights, View::contiguous(&inputs, [BATCH, TIME, 1])?)?;
        let mut outputs = vec![0.0; BATCH * TIME * UNITS];
        let mut state = vec![0.0; BATCH * UNITS];
        let results = Results {
            outputs: ViewMut::contiguous(&mut outputs, [BATCH, TIME, UNITS])?,
            state: vec![ViewMut::contiguous(&mut state, [BATCH, 1, UNITS])?],
        };
        let residuals = forward(&weights, &problem, results, true, &|| false)?;

        // Readout, mean squared error, and their gradients.
        let (mut loss, mut d_readout) = (0.0, vec![0.0; UNITS]);
        let mut d_outputs = vec![0.0; outputs.len()];
        let scale = 2.0 / (BATCH * TIME) as f32;
        for (n, h) in outputs.chunks(UNITS).enumerate() {
            let error = h.iter().zip(&readout).map(|(h, w)| h * w).sum::<f32>() - targets[n];
            loss += error * error / (BATCH * TIME) as f32;
            for unit in 0..UNITS {
                d_readout[unit] += scale * error * h[unit];
                d_outputs[n * UNITS + unit] = scale * error * readout[unit];
            }
        }
        if epoch % 50 == 0 {
            println!("epoch {epoch:3}: mean squared error {loss:.4}");
        }

        let (mut d_kernel, mut d_recurrent) = (kernel.clone(), recurrent.clone());
        let mut d_bias = bias.clone();
        let seeds = Seeds {
            outputs: View::contiguous(&outputs, [BATCH, TIME, UNITS])?,
            d_outputs: Some(View::contiguous(&d_outputs, [BATCH, TIME, UNITS])?),
            d_state: Vec::new(),
        };
        let gradients = Gradients {
            inputs: None,
            state: vec![ViewMut::contiguous(&mut state, [BATCH, 1, UNITS])?],
            kernel: &mut d_kernel,
            recurrent_kernel: &mut d_recurrent,
            vectors: &mut [],
            projection: None,
            bias: Some(&mut d_bias),
        };
        if let Some(mut residuals) = residuals {
            backward(&weights, &problem, &mut residuals, &seeds, gradients, true, &|| false)?;
        }
        descend(&mut kernel, &d_kernel);
        descend(&mut recurrent, &d_recurrent);
        descend(&mut bias, &d_bias);
        descend(&mut readout, &d_readout);
    }
    Ok(())
}
