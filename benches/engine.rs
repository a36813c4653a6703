//! The tile, the activations, and forward and backward of each cell, on the instruction set in use
//! and one thread. Divide by what `cargo bench --bench machine` prints for the share of the peak.

mod calls;

use std::hint::black_box;

use calls::{Call, numbers};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ferrnn::cells::CellKind;
use ferrnn::kernels::activation::Activation;
use ferrnn::kernels::pack::{Packed, row_stride};
use ferrnn::kernels::product::{Product, Start};
use ferrnn::layers::sequence::{Options, Problem, Raw, Weights};
use ferrnn::machine::memory::{Buffer, View};
use ferrnn::machine::simd::{Element, Kernel, Level, Simd};
use ferrnn::machine::threads;

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
                    blocks: 0..right.blocks(),
                    from_end: false,
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
            let raw = Raw {
                kernel: &kernel,
                recurrent_kernel: &recurrent,
                vectors: &[],
                bias: None,
                projection: None,
            };
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

criterion_group!(benches, tile, activations, cells);
criterion_main!(benches);
