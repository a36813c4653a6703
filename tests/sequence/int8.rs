//! Weights of 8 bits: products against integers, layers against rounded weights, and bits.

use crate::bits::THREADS;
use crate::common::{
    Arrays, Case, Random, assert_close, naive, run, some_rows, take, weights, widen,
};
use crate::stream::{step_by_step, stream_of};
use ferrnn::cells::CellKind;
use ferrnn::kernels::activation::Activation;
use ferrnn::kernels::int8::NarrowRows;
use ferrnn::kernels::pack::{Packed, Precision, row_stride};
use ferrnn::kernels::product::{Product, Start};
use ferrnn::machine::memory::Buffer;
use ferrnn::machine::simd::{Element, Level};
use ferrnn::machine::threads;

/// The integers of a row or a column whose largest becomes `most`, and their step.
fn integers(values: &[f32], most: f64) -> (Vec<i64>, f32) {
    let largest = values.iter().fold(0.0, |most: f64, v| most.max(f64::from(v.abs())));
    let inverse = (most / largest) as f32;
    let round = |v: &f32| f64::from(v * inverse).round_ties_even() as i64;
    let step = (largest / most) as f32;
    if largest == 0.0 {
        return (vec![0; values.len()], 0.0);
    }
    (values.iter().map(round).collect(), step)
}

/// A column's integers and their scale.
fn column(values: &[f32]) -> (Vec<i64>, f32) {
    let largest = values.iter().fold(0.0, |most: f64, v| most.max(f64::from(v.abs())));
    let scale = (largest / 127.0) as f32;
    let round = |v: &f32| (f64::from(*v) / f64::from(scale)).round_ties_even() as i64;
    let clamped = |v: &f32| if scale > 0.0 { round(v).clamp(-127, 127) } else { 0 };
    (values.iter().map(clamped).collect(), scale)
}

/// Rows times a matrix `[depth, width, columns]`, in integers that cannot overflow.
fn expected(rows: &[f32], matrix: &[f32], depth: usize) -> Vec<f32> {
    let columns = matrix.len() / depth;
    let most = (127 * 257).min(((1_i64 << 31) - 1) / (127 * i64::try_from(depth).unwrap()));
    let of_columns: Vec<_> = (0..columns)
        .map(|c| column(&(0..depth).map(|k| matrix[k * columns + c]).collect::<Vec<_>>()))
        .collect();
    let product = |row: &[f32]| -> Vec<f32> {
        let (row, step) = integers(row, most as f64);
        let one = |(column, scale): &(Vec<i64>, f32)| {
            let sum: i64 = row.iter().zip(column).map(|(a, q)| a * q).sum();
            assert!(i32::try_from(sum).is_ok(), "a sum of more than 32 bits");
            sum as f32 * (step * scale)
        };
        of_columns.iter().map(one).collect()
    };
    rows.chunks(depth).flat_map(product).collect()
}

/// The same by the kernels.
fn received(
    level: Level,
    rows: &[f32],
    matrix: &[f32],
    [depth, width, columns]: [usize; 3],
) -> Vec<f32> {
    let (count, stride) = (rows.len() / depth, row_stride(depth));
    let full = Packed::new(level, depth, width, columns, |k, gate, column| {
        matrix[(k * width + gate) * columns + column]
    });
    let packed = full.unwrap().int8("matrix").unwrap();
    let lanes = level.lanes::<f32>();
    let mut left = Buffer::<f32>::zeroed(count * stride).unwrap();
    left.fill(f32::NAN); // what lies beyond a row must not count
    for (to, from) in left.chunks_mut(stride).zip(rows.chunks(depth)) {
        to[..depth].copy_from_slice(from);
    }
    NarrowRows { rows: &mut left, stride, count, depth }.narrow(level);
    let vectors = packed.blocks() * width;
    let mut out = Buffer::<f32>::zeroed(count * vectors * lanes).unwrap();
    let product = Product {
        block_stride: width,
        row_stride: vectors,
        start: Start::Zero,
        ..Product::of((&left, stride, count), &packed, (&mut out, vectors))
    };
    f32::dispatch(level, product);
    let at = |row: usize, gate: usize, column: usize| {
        out[row * vectors * lanes + (column / lanes * width + gate) * lanes + column % lanes]
    };
    let of_row = |row| (0..width).flat_map(move |g| (0..columns).map(move |c| (row, g, c)));
    (0..count).flat_map(of_row).map(|(row, gate, column)| at(row, gate, column)).collect()
}

#[test]
fn products_are_sums_of_integers_on_every_level() {
    let mut random = Random(5);
    for depth in [1, 2, 3, 4, 5, 7, 16, 31, 64, 113, 700] {
        for (width, columns, count) in [(1, 75, 1), (1, 41, 5), (2, 19, 3), (3, 33, 7), (4, 17, 1)]
        {
            let mut numbers =
                |count| random.numbers(count, 2.0).iter().map(|&v| v as f32).collect::<Vec<_>>();
            let (rows, mut matrix) = (numbers(count * depth), numbers(depth * width * columns));
            for row in matrix.chunks_mut(width * columns) {
                row[columns / 2] = 0.0;
            }
            let expected = expected(&rows, &matrix, depth);
            for level in Level::all() {
                let received = received(level, &rows, &matrix, [depth, width, columns]);
                assert!(expected == received, "{level:?} {depth} {width} {columns} {count}");
            }
        }
    }
}

#[test]
fn the_largest_sums_keep_to_their_bits() {
    for depth in [513, 516, 518, 519, 520, 4096, 20_001] {
        let matrix: Vec<f32> = (0..depth * 3).map(|n| [1.0, -1.0, 1.0][n % 3]).collect();
        for sign in [1.0, -1.0] {
            let rows = vec![sign * 0.37; depth];
            let expected = expected(&rows, &matrix, depth);
            for level in Level::all() {
                let received = received(level, &rows, &matrix, [depth, 1, 3]);
                assert!(expected == received, "{level:?} {depth}: {expected:?} {received:?}");
                let exact = f64::from(sign) * 0.37 * depth as f64;
                assert!((f64::from(received[0]) / exact - 1.0).abs() < 1e-6, "{received:?}");
            }
        }
    }
}

#[test]
fn rows_that_are_not_finite_become_nan_and_tiny_ones_zero() {
    let matrix: Vec<f32> = (0..6 * 5).map(|n| n as f32 - 7.0).collect();
    let mut rows = vec![0.5; 5 * 6];
    (rows[2], rows[6 + 4]) = (f32::NAN, f32::INFINITY);
    rows[12..18].fill(1e-38);
    rows[18..24].fill(0.0);
    for level in Level::all() {
        let received = received(level, &rows, &matrix, [6, 1, 5]);
        assert!(received[..10].iter().all(|v| v.is_nan()), "{level:?}: {received:?}");
        assert_eq!(received[10..20], [0.0; 10], "{level:?}");
        let exact: f32 = (0..6).map(|k| 0.5 * matrix[k * 5]).sum();
        assert!((received[20] - exact).abs() < 0.1, "{level:?}: {received:?}");
    }
}

/// Weights rounded to 8 bits, in double precision.
fn rounded(matrix: &mut [f64], columns: usize) {
    if columns == 0 {
        return;
    }
    for c in 0..columns {
        let values: Vec<_> = matrix[c..].iter().step_by(columns).map(|&v| v as f32).collect();
        let (numbers, scale) = column(&values);
        for (value, number) in matrix[c..].iter_mut().step_by(columns).zip(numbers) {
            *value = number as f64 * f64::from(scale);
        }
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for level in Level::all() {
        for &cell in CellKind::ALL {
            for (n, size) in
                [[1, 9, 3, 37], [5, 7, 4, 40], [2, 6, 13, 18], [4, 3, 1, 3]].into_iter().enumerate()
            {
                let mut case = Case::new(cell, size);
                (case.level, case.precision) = (level, Precision::Int8);
                (case.masked, case.backwards) = (n % 2 > 0, n > 1);
                case.bias = n != 2;
                case.dropout = usize::from(n == 1);
                case.activation = if n == 2 { Activation::Relu } else { Activation::Tanh };
                if cell == CellKind::Lstm {
                    cases.push(Case { projected: Some(size[3].div_ceil(2)), ..case.clone() });
                }
                cases.push(case);
            }
        }
    }
    cases
}

#[test]
fn layers_compute_as_if_weights_were_rounded() {
    for case in cases() {
        let mut arrays = Arrays::random(&case, 11);
        arrays.recurrent.iter_mut().for_each(|value| *value *= 0.5);
        let (received, _) = run(&case, &arrays.cast::<f32>(), false);
        let full = Case { precision: Precision::Full, ..case.clone() };
        let (exact, _) = run(&full, &arrays.cast::<f32>(), false);
        let columns = case.gates() * case.units;
        rounded(&mut arrays.kernel, columns);
        rounded(&mut arrays.recurrent, case.cell.layout().recurrent() * case.units);
        let expected = naive(&case, &arrays);
        assert_close(&case, &expected.outputs, &widen(&received.outputs), 3e-4);
        for (expected, received) in expected.state.iter().zip(&received.state) {
            assert_close(&case, expected, &widen(received), 3e-4);
        }
        assert!(exact.outputs != received.outputs || case.features == 1, "{case:?}: no rounding");
    }
}

#[test]
fn a_row_alone_equals_itself_in_its_batch() {
    for case in cases().into_iter().filter(|case| case.batch > 1) {
        let arrays = Arrays::random(&case, 2).cast::<f32>();
        let (whole, _) = run(&case, &arrays, false);
        for row in 0..case.batch {
            let (alone, some) = some_rows(&case, &arrays, &[row]);
            let (part, _) = run(&alone, &some, false);
            assert_eq!(part.outputs, take(&whole.outputs, case.batch, &[row]), "{case:?}");
        }
    }
}

#[test]
fn threads_change_no_bit() {
    let _turn = THREADS.lock().unwrap();
    for size in [[1, 30, 40, 200], [37, 20, 5, 65]] {
        for level in Level::all() {
            for &cell in CellKind::ALL {
                let mut case = Case::new(cell, size);
                (case.level, case.precision) = (level, Precision::Int8);
                let arrays = Arrays::random(&case, 1).cast::<f32>();
                let results = [1, 2, 3].map(|count| {
                    threads::set_count(count);
                    run(&case, &arrays, false).0
                });
                assert!(results[0] == results[1], "{case:?}: two threads");
                assert!(results[0] == results[2], "{case:?}: three threads");
            }
        }
    }
}

#[test]
fn step_by_step_equals_the_whole() {
    for mut case in cases() {
        (case.masked, case.backwards, case.dropout) = (false, false, 0);
        let arrays = Arrays::random(&case, 4).cast::<f32>();
        let (whole, _) = run(&case, &arrays, false);
        let mut stream = stream_of(&case, &arrays);
        assert!(whole == step_by_step(&mut stream, &arrays.inputs, case.time), "{case:?}");
    }
}

#[test]
#[should_panic(expected = "full precision")]
fn gates_with_masks_of_their_own_are_refused() {
    let mut case = Case::new(CellKind::Gru, [2, 3, 4, 5]);
    (case.precision, case.dropout) = (Precision::Int8, 9);
    let arrays = Arrays::random(&case, 4).cast::<f32>();
    let _ = weights(&case, &arrays);
    run(&case, &arrays, false);
}
