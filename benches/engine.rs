//! The tile, the activations, and forward and backward of each cell, on the instruction set in use
//! and one thread. Divide by what `cargo bench --bench machine` prints for the share of the peak.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ferrnn::cells::CellKind;
use ferrnn::kernels::activation::Activation;
use ferrnn::kernels::pack::{Packed, row_stride};
use ferrnn::kernels::tile::{Product, Start};
use ferrnn::memory::{Buffer, View, ViewMut};
use ferrnn::sequence::{
    Gradients, Options, Problem, Raw, Results, Seeds, Weights, backward, forward,
};
use ferrnn::simd::{Element, Kernel, Level, Simd};
use ferrnn::threads;

/// Numbers in (-1, 1) that repeat only after 2^31 draws.
fn numbers(len: usize, scale: f32) -> Vec<f32> {
    let mut state = 1_u32;
    let mut draw = || {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| scale * draw()).collect()
}

fn tile(c: &mut Criterion) {
    let level = Level::current().unwrap();
    let mut group = c.benchmark_group("tile");
    for (rows, depth, columns) in [(24, 256, 256), (1, 256, 256), (33, 100, 100)] {
        let stride = row_stride(depth);
        let mut left = Buffer::zeroed(rows * stride).unwrap();
        left.copy_from_slice(&numbers(rows * stride, 1.0));
        let matrix = numbers(depth * columns, 0.1);
        let right =
            Packed::new(level, depth, 1, columns, |k, _, n| matrix[k * columns + n]).unwrap();
        let out_stride = row_stride(columns);
        let mut out = Buffer::zeroed(rows * out_stride).unwrap();
        group.throughput(Throughput::Elements((2 * rows * depth * columns) as u64));
        group.bench_function(format!("{rows}x{depth}x{columns}"), |b| {
            b.iter(|| {
                let product = Product {
                    left: &left,
                    stride,
                    rows,
                    from: 0,
                    right: &right,
                    depth: (0, depth),
                    out: &mut out,
                    offset: 0,
                    block_stride: 1,
                    row_stride: out_stride / level.lanes::<f32>(),
                    start: Start::Zero,
                };
                f32::dispatch(level, product);
            });
        });
    }
    group.finish();
}

struct Apply<'a> {
    activation: Activation,
    from: &'a [f32],
    to: &'a mut [f32],
}

impl Kernel<f32> for Apply<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd<f32>>(self, s: S) {
        for (from, to) in self.from.chunks(S::LANES).zip(self.to.chunks_mut(S::LANES)) {
            s.store(self.activation.apply(s, s.load(from)), to);
        }
    }
}

fn activations(c: &mut Criterion) {
    let level = Level::current().unwrap();
    let from = numbers(4096, 6.0);
    let mut to = from.clone();
    let mut group = c.benchmark_group("activation");
    group.throughput(Throughput::Elements(from.len() as u64));
    for (name, activation) in Activation::ALL {
        group.bench_function(name, |b| {
            b.iter(|| {
                f32::dispatch(level, Apply { activation, from: black_box(&from), to: &mut to });
            });
        });
    }
    group.finish();
}

fn cells(c: &mut Criterion) {
    threads::set_count(1);
    for [batch, time, features, units] in [[1, 100, 64, 128], [32, 100, 256, 256]] {
        for &cell in CellKind::ALL {
            let gates = cell.layout().gates;
            let kernel = numbers(features * gates * units, 1.0 / (features as f32).sqrt());
            let recurrent = numbers(units * gates * units, 1.0 / (units as f32).sqrt());
            let raw = Raw { kernel: &kernel, recurrent_kernel: &recurrent, bias: None };
            let weights = Weights::new(cell, Options::default(), features, units, raw).unwrap();
            let inputs = numbers(batch * time * features, 1.0);
            let view = View::contiguous(&inputs, [batch, time, features]).unwrap();
            let problem = Problem::new(&weights, view).unwrap();
            let mut call = Call::new(&weights, [batch, time, units]);
            let flops = 2 * batch * time * (features + units) * gates * units;

            let mut group =
                c.benchmark_group(format!("{cell:?} {:?}", [batch, time, features, units]));
            group.sample_size(10).throughput(Throughput::Elements(flops as u64));
            group.bench_function("forward", |b| b.iter(|| call.forward(&weights, &problem, false)));
            group.throughput(Throughput::Elements(3 * flops as u64));
            group.bench_function("forward and backward", |b| {
                b.iter(|| call.backward(&weights, &problem));
            });
            group.finish();
        }
    }
}

/// The arrays that a call writes, and the gradient it starts from.
struct Call {
    shape: [usize; 3],
    outputs: Vec<f32>,
    state: Vec<Vec<f32>>,
    d_outputs: Vec<f32>,
    d_inputs: Vec<f32>,
    d_kernel: Vec<f32>,
    d_recurrent: Vec<f32>,
}

impl Call {
    fn new(weights: &Weights<f32>, shape: [usize; 3]) -> Self {
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
        }
    }

    fn forward(
        &mut self,
        weights: &Weights<f32>,
        problem: &Problem<'_, f32>,
        keep: bool,
    ) -> Option<ferrnn::sequence::Residuals<f32>> {
        let [batch, _, units] = self.shape;
        let state = self.state.iter_mut().map(|s| ViewMut::contiguous(s, [batch, 1, units]));
        let results = Results {
            outputs: ViewMut::contiguous(&mut self.outputs, self.shape).unwrap(),
            state: state.collect::<Result<_, _>>().unwrap(),
        };
        forward(weights, problem, results, keep, &|| false).unwrap()
    }

    fn backward(&mut self, weights: &Weights<f32>, problem: &Problem<'_, f32>) {
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
            bias: None,
        };
        backward(weights, problem, &mut residuals, &seeds, gradients, true, &|| false).unwrap();
    }
}

criterion_group!(benches, tile, activations, cells);
criterion_main!(benches);
