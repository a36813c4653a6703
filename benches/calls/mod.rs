//! Calls of recurrent layers as the benches make them.

use ferrnn::layers::sequence::{
    Gradients, Problem, Residuals, Results, Seeds, Weights, backward, forward,
};
use ferrnn::machine::memory::{View, ViewMut};

/// Numbers in (-1, 1) that repeat only after 2^31 draws.
pub fn numbers(len: usize, scale: f32) -> Vec<f32> {
    let mut state = 1_u32;
    let mut draw = || {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| scale * draw()).collect()
}

/// The arrays that a call writes, and the gradient it starts from.
pub struct Call {
    shape: [usize; 3],
    outputs: Vec<f32>,
    state: Vec<Vec<f32>>,
    d_outputs: Vec<f32>,
    d_inputs: Vec<f32>,
    d_kernel: Vec<f32>,
    d_recurrent: Vec<f32>,
    d_bias: Option<Vec<f32>>,
}

impl Call {
    /// Arrays for outputs `[batch, time, units]`.
    pub fn new(weights: &Weights<f32>, shape: [usize; 3]) -> Self {
        let [batch, time, units] = shape;
        let columns = weights.gates() * units;
        Self {
            shape,
            outputs: vec![0.0; batch * time * units],
            state: vec![vec![0.0; batch * units]; weights.states()],
            d_outputs: numbers(batch * time * units, 1.0),
            d_inputs: vec![0.0; batch * time * weights.features()],
            d_kernel: vec![0.0; weights.features() * columns],
            d_recurrent: vec![0.0; units * columns],
            d_bias: weights.bias_len().map(|len| vec![0.0; len]),
        }
    }

    /// All outputs and final states; with `keep`, what backward wants.
    pub fn forward(
        &mut self,
        weights: &Weights<f32>,
        problem: &Problem<'_, f32>,
        keep: bool,
    ) -> Option<Residuals<f32>> {
        let [batch, _, units] = self.shape;
        let state = self.state.iter_mut().map(|s| ViewMut::contiguous(s, [batch, 1, units]));
        let results = Results {
            outputs: ViewMut::contiguous(&mut self.outputs, self.shape).unwrap(),
            state: state.collect::<Result<_, _>>().unwrap(),
        };
        forward(weights, problem, results, keep, &|| false).unwrap()
    }

    /// Forward, and the gradients by inputs and weights.
    pub fn backward(&mut self, weights: &Weights<f32>, problem: &Problem<'_, f32>) {
        let mut residuals = self.forward(weights, problem, true).unwrap();
        let [batch, _, units] = self.shape;
        let seeds = Seeds {
            outputs: View::contiguous(&self.outputs, self.shape).unwrap(),
            d_outputs: Some(View::contiguous(&self.d_outputs, self.shape).unwrap()),
            d_state: Vec::new(),
        };
        let state = self.state.iter_mut().map(|s| ViewMut::contiguous(s, [batch, 1, units]));
        let gradients = Gradients {
            inputs: Some(ViewMut::contiguous(&mut self.d_inputs, problem.input_shape()).unwrap()),
            state: state.collect::<Result<_, _>>().unwrap(),
            kernel: &mut self.d_kernel,
            recurrent_kernel: &mut self.d_recurrent,
            vectors: &mut [],
            projection: None,
            bias: self.d_bias.as_deref_mut(),
        };
        backward(weights, problem, &mut residuals, &seeds, gradients, true, &|| false).unwrap();
    }
}
