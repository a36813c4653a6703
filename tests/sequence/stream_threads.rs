//! Large steps are shared by several threads: no bit changes.

use std::sync::Arc;

use crate::bits::THREADS;
use crate::common::{Arrays, Case, Outcome, Random, weights};
use crate::stream::{states, step_by_step, stream_of};
use ferrnn::cells::CellKind;
use ferrnn::kernels::activation::Activation;
use ferrnn::layers::dense;
use ferrnn::layers::embedding;
use ferrnn::layers::sequence::{Engine, Precision};
use ferrnn::layers::stream::{Part, Stream};
use ferrnn::machine::memory::ViewMut;
use ferrnn::machine::simd::{Element, Level};
use ferrnn::machine::threads;

/// What `of` gives with one, two and three threads: the same.
fn same_with_any_number_of_threads<O: PartialEq>(what: &str, of: impl Fn() -> O) {
    let _turn = THREADS.lock().unwrap();
    let results = [1, 2, 3].map(|count| {
        threads::set_count(count);
        of()
    });
    assert!(results[0] == results[1], "{what}: two threads");
    assert!(results[0] == results[2], "{what}: three threads");
}

/// Layers with work for three threads in so many rows; the last group of blocks is not whole.
fn cases(rows: usize, precision: Precision) -> impl Iterator<Item = Case> {
    let of_cell = move |&cell: &CellKind| {
        let layout = cell.layout();
        let (columns, recurrent) = (layout.gates, layout.recurrent());
        let most = 10_000_000 / rows.max(precision.bytes::<f32>());
        let units = (1..1000).map(|n| 37 * n).find(|n| n * (columns * 300 + recurrent * n) > most);
        Case::new(cell, [rows, 3, 260, units.unwrap()])
    };
    let levels = Level::all().into_iter();
    levels.flat_map(move |level| {
        CellKind::ALL.iter().map(of_cell).map(move |case| Case { level, precision, ..case })
    })
}

fn check<T: Engine>(case: &Case) {
    let arrays = Arrays::random(case, 3).cast::<T>();
    same_with_any_number_of_threads(&format!("{case:?}"), || {
        step_by_step(&mut stream_of(case, &arrays), &arrays.inputs, case.time)
    });
}

#[test]
fn one_row() {
    for case in cases(1, Precision::Full) {
        check::<f32>(&case);
        check::<f64>(&case);
    }
}

#[test]
fn several_rows() {
    for case in [3, 40].into_iter().flat_map(|rows| cases(rows, Precision::Full)) {
        check::<f32>(&case);
        check::<f64>(&case);
    }
}

#[test]
fn weights_of_fewer_bits() {
    for precision in [Precision::Bfloat16, Precision::Int8] {
        for case in [1, 5].into_iter().flat_map(|rows| cases(rows, precision)) {
            check::<f32>(&case);
        }
    }
}

#[test]
fn other_activations_and_projections() {
    for case in [1, 3].into_iter().flat_map(|rows| cases(rows, Precision::Full)) {
        let projected = (case.cell == CellKind::Lstm).then_some(77);
        check::<f32>(&Case { activation: Activation::Relu, projected, ..case });
    }
}

/// Steps of ids, some of which mask their rows.
fn masked<T: Engine>(case: &Case, arrays: &Arrays<T>) -> Outcome<T> {
    let (rows, units) = (case.batch, case.units);
    let table =
        embedding::Weights::new([4, case.features], &arrays.kernel[..4 * case.features], true);
    let parts = [
        Part::Embedding(Arc::new(table.unwrap())),
        Part::Recurrent(Arc::new(weights(case, arrays))),
    ];
    let mut stream = Stream::new(Some(case.level), &parts, 1, rows).unwrap();
    let mut outputs = Vec::new();
    for step in 0..6 {
        let ids: Vec<_> = (0..rows).map(|row| [0, 1, 2, 3][(row * row + step) % 4]).collect();
        let mut y = vec![T::of(f64::NAN); rows * units];
        let to = &mut ViewMut::contiguous(&mut y, [rows, 1, units]).unwrap();
        stream.step_ids(&ids, to).unwrap();
        outputs.extend(y);
    }
    Outcome { outputs, state: states(&mut stream) }
}

#[test]
fn masked_rows() {
    for precision in [Precision::Full, Precision::Int8] {
        for case in [1, 5].into_iter().flat_map(|rows| cases(rows, precision)) {
            let arrays = Arrays::random(&case, 7).cast::<f32>();
            same_with_any_number_of_threads(&format!("{case:?}"), || masked(&case, &arrays));
        }
    }
}

#[test]
fn dense_layers() {
    for level in Level::all() {
        for (rows, [features, units]) in [(1, [700, 2000]), (3, [300, 2100]), (40, [500, 300])] {
            let mut random = Random(5);
            let mut numbers = |count| -> Vec<f32> {
                random.numbers(count, 0.5).iter().map(|&v| f32::of(v)).collect()
            };
            let (kernel, bias) = (numbers(features * units), numbers(units));
            let shape = [features, units];
            let made =
                dense::Weights::new(Some(level), Activation::Gelu, shape, &kernel, Some(&bias));
            let (parts, inputs) =
                ([Part::Dense(Arc::new(made.unwrap()))], numbers(rows * features));
            same_with_any_number_of_threads(&format!("{level:?}, {rows} rows"), || {
                let mut stream = Stream::new(Some(level), &parts, features, rows).unwrap();
                step_by_step(&mut stream, &inputs, 1)
            });
        }
    }
}
