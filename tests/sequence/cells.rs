//! Every cell on every instruction set: forward against the naive equations, gradients against
//! finite differences.

use crate::common::{
    Arrays, Case, assert_close, cases, check_slopes, naive, run, slopes, some_rows, widen,
};
use ferrnn::cells::CellKind;
use ferrnn::kernels::activation::Activation;
use ferrnn::kernels::pack::Precision;
use ferrnn::machine::simd::Level;
use proptest::prelude::*;

/// Forward in both precisions, gradients in both.
fn check(case: &Case, seed: u64) {
    let arrays = Arrays::random(case, seed);
    let expected = naive(case, &arrays);
    let (received, _) = run(case, &arrays, false);
    assert_close(case, &expected.outputs, &received.outputs, 1e-11);
    for (expected, received) in expected.state.iter().zip(&received.state) {
        assert_close(case, expected, received, 1e-11);
    }
    check_slopes(case, &arrays, 1e-6);

    let single = arrays.cast::<f32>();
    let (received, _) = run(case, &single, false);
    // A gate that may be negative is not a share: what it keeps, errors included, grows from step
    // to step.
    let grows = if case.recurrent_activation == Activation::Tanh { 20.0 } else { 1.0 };
    assert_close(case, &expected.outputs, &widen(&received.outputs), 1e-4 * grows);
    let (wide, narrow) = (slopes(case, &arrays), slopes(case, &single));
    for (wide, narrow) in wide.iter().zip(&narrow) {
        let scale = wide.iter().fold(1.0_f64, |most, v| most.max(v.abs()));
        let scaled: Vec<_> = wide.iter().map(|v| v / scale).collect();
        let narrow: Vec<_> = widen(narrow).iter().map(|v| v / scale).collect();
        assert_close(case, &scaled, &narrow, 2e-4 * grows);
    }
}

fn every_level(mut each: impl FnMut(Level, CellKind)) {
    for level in Level::all() {
        for &cell in CellKind::ALL {
            each(level, cell);
        }
    }
}

#[test]
fn every_option_at_ragged_sizes() {
    let sizes = [[1, 1, 1, 1], [5, 2, 3, 3], [5, 9, 2, 17], [3, 2, 5, 16], [33, 2, 4, 3]];
    every_level(|level, cell| {
        for (n, &size) in sizes.iter().enumerate() {
            for options in 0..48 {
                let mut case = Case::new(cell, size);
                case.level = level;
                case.masked = options & 1 > 0;
                case.backwards = options & 2 > 0;
                case.sequences = options & 4 == 0;
                case.initial = options & 8 == 0;
                case.dropout = [0, 1, 9][options / 16];
                // The rest alternates: each value meets each of the above at some size.
                case.zero_masked = (options + n) % 2 > 0;
                case.bias = (options / 2 + n) % 3 > 0;
                if size[0] * size[3] > 90 && (options + n) % 4 > 0 {
                    continue;
                }
                check(&case, options as u64);
            }
        }
    });
}

#[test]
fn large_sizes() {
    every_level(|level, cell| {
        for size in [[33, 9, 7, 17], [5, 2, 3, 100], [1, 9, 100, 33]] {
            let mut case = Case::new(cell, size);
            case.level = level;
            case.masked = size[0] > 1;
            check(&case, 3);
        }
    });
}

#[test]
fn every_activation() {
    every_level(|level, cell| {
        for (n, &(_, activation)) in Activation::ALL.iter().enumerate() {
            for (of_gates, size) in [(false, [3, 3, 2, 5]), (true, [2, 2, 3, 17])] {
                let mut case = Case::new(cell, size);
                case.level = level;
                if of_gates {
                    case.recurrent_activation = activation;
                } else {
                    case.activation = activation;
                }
                case.masked = n % 2 > 0;
                case.dropout = [0, 1, 9][n % 3];
                let mut arrays = Arrays::random(&case, 11 + n as u64);
                // So that exponentials of exponentials do not overflow.
                let scale = if activation == Activation::Exponential { 0.05 } else { 0.5 };
                for weight in arrays.kernel.iter_mut().chain(&mut arrays.recurrent) {
                    *weight *= scale;
                }
                let expected = naive(&case, &arrays);
                let (received, _) = run(&case, &arrays, false);
                assert_close(&case, &expected.outputs, &received.outputs, 1e-11);
                check_slopes(&case, &arrays, 1e-5);
                let (received, _) = run(&case, &arrays.cast::<f32>(), false);
                assert_close(&case, &expected.outputs, &widen(&received.outputs), 1e-4);
            }
        }
    });
}

#[test]
fn sums_that_go_into_activations_are_clipped() {
    use Activation::{Gelu, HardSigmoid, Relu, Sigmoid, Silu, Softsign, Tanh};
    every_level(|level, cell| {
        let functions =
            [(Tanh, Sigmoid), (Relu, HardSigmoid), (Silu, Gelu), (Softsign, Tanh), (Gelu, Relu)];
        for (n, (of_candidate, of_gates)) in functions.into_iter().enumerate() {
            for size in [[3, 4, 2, 5], [1, 3, 4, 17], [5, 2, 3, 36]] {
                let mut case = Case::new(cell, size);
                (case.level, case.clip) = (level, Some(0.6));
                (case.activation, case.recurrent_activation) = (of_candidate, of_gates);
                (case.masked, case.dropout) = (n % 2 > 0 && size[0] > 1, [0, 1, 9][n % 3]);
                check(&case, 5 + n as u64);
                let arrays = Arrays::random(&case, 5 + n as u64);
                let (clipped, _) = run(&case, &arrays, false);
                case.clip = None;
                let (whole, _) = run(&case, &arrays, false);
                assert!(clipped.outputs != whole.outputs, "{case:?}: nothing was clipped");
                case.clip = Some(1e300);
                assert!(run(&case, &arrays, false).0 == whole, "{case:?}: beyond any sum");
            }
        }
    });
}

#[test]
fn outputs_are_projected() {
    let sizes = [
        ([1, 5, 3, 5], 2),
        ([5, 4, 2, 37], 20),
        ([3, 2, 5, 16], 16),
        ([33, 3, 4, 19], 1),
        ([2, 130, 3, 9], 4),
        ([40, 9, 2, 7], 3),
    ];
    every_level(|level, cell| {
        if !cell.layout().may_project() {
            return;
        }
        for (n, &(size, outputs)) in sizes.iter().enumerate() {
            for options in 0..6 {
                let mut case = Case::new(cell, size);
                (case.level, case.projected) = (level, Some(outputs));
                case.masked = options % 2 > 0;
                case.backwards = options % 3 > 0;
                case.sequences = options < 4;
                case.initial = options != 2;
                case.zero_masked = n % 2 > 0;
                case.dropout = [0, 1, 9, 0, 0, 1][options];
                case.bias = n != 3;
                if options == 4 {
                    case.activation = Activation::Softsign;
                }
                if n > 3 && options > 3 {
                    continue;
                }
                check(&case, (10 * n + options) as u64);
            }
        }
    });
}

#[test]
fn long_sequences_go_in_chunks() {
    for &cell in CellKind::ALL {
        for (size, masked) in [([1, 400, 2, 3], false), ([2, 250, 1, 9], true)] {
            let mut case = Case::new(cell, size);
            case.masked = masked;
            check(&case, 5);
        }
    }
}

#[test]
fn no_rows_and_no_steps_are_defined() {
    for &cell in CellKind::ALL {
        for size in [[0, 3, 2, 4], [3, 0, 2, 4], [0, 0, 1, 1]] {
            for sequences in [true, false] {
                let mut case = Case::new(cell, size);
                case.sequences = sequences;
                let arrays = Arrays::random(&case, 1);
                let (outcome, _) = run(&case, &arrays, false);
                assert_eq!(outcome, naive(&case, &arrays));
                let slopes = slopes(&case, &arrays);
                assert!(slopes[1].iter().chain(&slopes[2]).all(|&v| v == 0.0));
            }
        }
    }
}

#[test]
fn masked_inputs_are_never_read() {
    for &cell in CellKind::ALL {
        let mut case = Case::new(cell, [5, 7, 3, 9]);
        case.masked = true;
        let arrays = Arrays::random(&case, 2);
        let mut poisoned = arrays.clone();
        for (at, &real) in arrays.mask.iter().enumerate() {
            if !real {
                poisoned.inputs[at * case.features..][..case.features].fill(f64::NAN);
            }
        }
        assert_eq!(run(&case, &arrays, false).0, run(&case, &poisoned, false).0);
        assert_eq!(slopes(&case, &arrays), slopes(&case, &poisoned));
    }
}

#[test]
fn not_a_number_stays_in_its_row() {
    for &cell in CellKind::ALL {
        let case = Case::new(cell, [4, 3, 2, 5]);
        let mut arrays = Arrays::random(&case, 3);
        let clean = run(&case, &arrays, false).0;
        arrays.inputs[(2 * case.time + 1) * case.features] = f64::NAN;
        let (outcome, _) = run(&case, &arrays, false);
        let per_row = case.time * case.units;
        for row in 0..case.batch {
            let received = &outcome.outputs[row * per_row..][..per_row];
            if row == 2 {
                assert!(received[case.units..].iter().all(|v| v.is_nan()));
                assert_eq!(received[..case.units], clean.outputs[row * per_row..][..case.units]);
            } else {
                assert_eq!(received, &clean.outputs[row * per_row..][..per_row]);
            }
        }
    }
}

fn any_case() -> impl Strategy<Value = Case> {
    let size = (1_usize..40, 1_usize..12, 1_usize..9, 1_usize..20);
    let place = (0..CellKind::ALL.len(), 0..Level::all().len(), 0_usize..2, 0_usize..2);
    let flags = prop::array::uniform6(any::<bool>());
    (size, place, flags, 0_usize..3).prop_map(|(size, place, flags, dropout)| {
        let mut case = Case::new(CellKind::ALL[place.0], [size.0, size.1, size.2, size.3]);
        case.level = Level::all()[place.1];
        case.activation = Activation::ALL[place.2].1;
        case.recurrent_activation = Activation::ALL[place.3].1;
        [case.bias, case.initial, case.masked, case.backwards, case.sequences, case.zero_masked] =
            flags;
        case.dropout = [0, 1, 9][dropout];
        case
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

    #[test]
    fn any_problem(case in any_case(), seed in any::<u64>()) {
        check(&case, seed);
    }

    /// The levels differ only by rounding.
    #[test]
    fn every_level_agrees_with_the_portable_one(case in any_case(), seed in any::<u64>()) {
        let arrays = Arrays::random(&case, seed);
        let mut portable = case.clone();
        portable.level = Level::named("portable").unwrap();
        let (expected, received) = (run(&portable, &arrays, false).0, run(&case, &arrays, false).0);
        assert_close(&case, &expected.outputs, &received.outputs, 1e-12);
        for (expected, received) in slopes(&portable, &arrays).iter().zip(&slopes(&case, &arrays)) {
            let scale = expected.iter().fold(1.0_f64, |most, v| most.max(v.abs()));
            for (a, b) in expected.iter().zip(received) {
                prop_assert!((a - b).abs() <= 1e-10 * scale, "{a} {b}");
            }
        }
    }
}

#[test]
fn bfloat16_weights_compute_as_if_rounded() {
    // Ties to even, on the upper half of the bits.
    let round = |value: f64| {
        let bits = (value as f32).to_bits();
        f64::from(f32::from_bits((bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff_0000))
    };
    for level in Level::all() {
        for &cell in CellKind::ALL.iter().filter(|cell| cell.layout().recurrent() > 0) {
            // One row and several, an odd and an even depth, fused steps and others.
            for (size, activation) in [
                ([1, 9, 3, 37], Activation::Tanh),
                ([5, 7, 4, 40], Activation::Tanh),
                ([2, 6, 3, 18], Activation::Relu),
            ] {
                let mut case = Case::new(cell, size);
                (case.level, case.activation) = (level, activation);
                let mut arrays = Arrays::random(&case, 11);
                arrays.recurrent.iter_mut().for_each(|value| *value *= 0.5);
                let (exact, _) = run(&case, &arrays.cast::<f32>(), false);
                case.precision = Precision::Bfloat16;
                let (halved, _) = run(&case, &arrays.cast::<f32>(), false);
                arrays.recurrent.iter_mut().for_each(|value| *value = round(*value));
                let expected = naive(&case, &arrays);
                assert_close(&case, &expected.outputs, &widen(&halved.outputs), 1e-5);
                assert!(exact.outputs != halved.outputs, "{case:?}: no rounding");
            }
        }
    }
}

/// The weights' gradients of this many rows take several products one after the other; those of a
/// few rows take one.
#[test]
fn gradients_of_many_rows_are_the_sums_of_those_of_few() {
    const ROWS: usize = 300;
    for case in cases([ROWS, 3, 4, 9]) {
        let arrays = Arrays::random(&case, 11).cast::<f32>();
        let whole = slopes(&case, &arrays);
        let rows: Vec<_> = (0..ROWS).collect();
        let parts: Vec<_> = rows
            .chunks(50)
            .map(|rows| {
                let (fewer, some) = some_rows(&case, &arrays, rows);
                slopes(&fewer, &some)
            })
            .collect();
        // Of kernel, recurrent kernel, vectors, bias, and projection.
        let last = case.projected.map(|_| whole.len() - 1);
        for place in (1..5).chain(last) {
            let mut expected = vec![0.0; whole[place].len()];
            for part in &parts {
                for (sum, value) in expected.iter_mut().zip(widen(&part[place])) {
                    *sum += value;
                }
            }
            assert_close(&case, &expected, &widen(&whole[place]), 1e-4);
        }
    }
}
