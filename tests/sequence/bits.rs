//! What is guaranteed to the bit, on every instruction set: any number of threads, a row alone or
//! in its batch, padded or not, whole or step by step.

use std::sync::Mutex;

use crate::common::{Arrays, Outcome, cases, run, shared, slopes, some_rows, take};
use ferrnn::machine::threads;

/// The number of threads belongs to the process; the tests that set it take turns.
pub static THREADS: Mutex<()> = Mutex::new(());

#[test]
fn threads_change_no_bit() {
    let _turn = THREADS.lock().unwrap();
    // Work for at least three threads if each unit costs an activation. Two groups of rows, and
    // five.
    for case in shared([[37, 40, 5, 65], [150, 40, 3, 9]]) {
        let arrays = Arrays::random(&case, 1).cast::<f32>();
        let results = [1, 2, 3].map(|count| {
            threads::set_count(count);
            (run(&case, &arrays, false).0, slopes(&case, &arrays))
        });
        assert!(results[0] == results[1], "{case:?}: two threads");
        assert!(results[0] == results[2], "{case:?}: three threads");
    }
}

#[test]
fn a_row_alone_equals_itself_in_any_batch() {
    // The second with a kernel so large that the gradients with respect to the inputs of several
    // steps wait for each other.
    let large = cases([11, 6, 1030, 150]).into_iter().step_by(2);
    for case in cases([11, 6, 5, 19]).into_iter().chain(large) {
        let arrays = Arrays::random(&case, 2).cast::<f32>();
        let (whole, _) = run(&case, &arrays, false);
        let whole_slopes = slopes(&case, &arrays);
        for rows in [&[0][..], &[10], &[3, 4, 7, 9], &[8, 1]] {
            let (fewer, some) = some_rows(&case, &arrays, rows);
            let (part, _) = run(&fewer, &some, false);
            assert_eq!(part.outputs, take(&whole.outputs, case.batch, rows), "{case:?}");
            for (part, whole) in part.state.iter().zip(&whole.state) {
                assert_eq!(*part, take(whole, case.batch, rows), "{case:?}");
            }
            let part = slopes(&fewer, &some);
            for place in std::iter::once(0).chain(5..5 + case.states()) {
                let expected = take(&whole_slopes[place], case.batch, rows);
                assert_eq!(part[place], expected, "{case:?}: gradient {place}");
            }
        }
    }
}

/// Sizes at which one row's inputs are multiplied beside its steps: several windows of steps and a
/// rest, a depth that the pieces do not divide, and groups of blocks with none beside them.
const AHEAD: [[usize; 2]; 2] = [[34, 132], [64, 80]];

#[test]
fn inputs_multiplied_ahead_change_no_bit() {
    for [features, units] in AHEAD {
        for case in cases([2, 45, features, units]) {
            let arrays = Arrays::random(&case, 7).cast::<f32>();
            let (whole, _) = run(&case, &arrays, false);
            let whole_slopes = slopes(&case, &arrays);
            for row in 0..2 {
                let (one, some) = some_rows(&case, &arrays, &[row]);
                let (alone, _) = run(&one, &some, false);
                assert!(alone.outputs == take(&whole.outputs, 2, &[row]), "{case:?}");
                assert!(slopes(&one, &some)[0] == take(&whole_slopes[0], 2, &[row]), "{case:?}");
            }
        }
    }
}

#[test]
fn padding_changes_no_bit() {
    for mut case in cases([4, 6, 3, 13]) {
        case.masked = false;
        let arrays = Arrays::random(&case, 3).cast::<f32>();
        let (plain, _) = run(&case, &arrays, false);
        let plain_slopes = slopes(&case, &arrays);
        let extra = 5;
        let mut padded = case.clone();
        (padded.time, padded.masked) = (case.time + extra, true);
        let pad = |array: &[f32], size: usize, value: f32| -> Vec<f32> {
            let rows = array.chunks(case.time * size);
            rows.flat_map(|row| [row.to_vec(), vec![value; extra * size]].concat()).collect()
        };
        let mut more = arrays.clone();
        more.inputs = pad(&arrays.inputs, case.features, f32::NAN);
        more.d_outputs = pad(&arrays.d_outputs, case.outputs(), 0.0);
        more.mask = (0..case.batch * padded.time).map(|n| n % padded.time < case.time).collect();
        let (outcome, _) = run(&padded, &more, false);
        assert_eq!(outcome.state, plain.state, "{case:?}");
        for row in 0..case.batch {
            let (size, time) = (case.outputs(), case.time);
            let real = &outcome.outputs[row * padded.time * size..][..time * size];
            let expected = &plain.outputs[row * time * size..][..time * size];
            assert_eq!(real, expected, "{case:?}");
        }
        let slopes = slopes(&padded, &more);
        assert_eq!(slopes[0], pad(&plain_slopes[0], case.features, 0.0), "{case:?}");
        assert_eq!(slopes[1..], plain_slopes[1..], "{case:?}");
    }
}

#[test]
fn step_by_step_equals_the_whole() {
    for case in cases([3, 5, 4, 18]) {
        let arrays = Arrays::random(&case, 4).cast::<f32>();
        let (whole, _) = run(&case, &arrays, false);
        let mut step = case.clone();
        step.time = 1;
        let mut state = arrays.state.clone();
        for time in 0..case.time {
            let at = |row: usize| row * case.time + time;
            let mut now = arrays.clone();
            now.inputs = (0..case.batch)
                .flat_map(|row| arrays.inputs[at(row) * case.features..][..case.features].to_vec())
                .collect();
            now.mask = (0..case.batch).map(|row| arrays.mask[at(row)]).collect();
            now.state = state;
            let (Outcome { outputs, state: next }, _) = run(&step, &now, false);
            for row in 0..case.batch {
                let size = case.outputs();
                let expected = &whole.outputs[at(row) * size..][..size];
                assert_eq!(&outputs[row * size..][..size], expected, "{case:?}");
            }
            state = next;
        }
        assert_eq!(state, whole.state, "{case:?}");
    }
}

#[test]
fn parts_change_no_bit() {
    let _turn = THREADS.lock().unwrap();
    // Few rows whose units are cut into parts, with work for at least three threads.
    let cases = shared([[3, 400, 5, 130], [1, 300, 34, 260]]);
    for case in cases.filter(|case| case.dropout != 1) {
        let arrays = Arrays::random(&case, 5).cast::<f32>();
        let results = [1, 2, 3].map(|count| {
            threads::set_count(count);
            (run(&case, &arrays, false).0, slopes(&case, &arrays))
        });
        assert!(results[0] == results[1], "{case:?}: two threads");
        assert!(results[0] == results[2], "{case:?}: three threads");
    }
}

#[test]
fn lengths_are_a_mask_of_the_first_steps() {
    for backwards in [false, true] {
        for mut case in cases([7, 9, 3, 18]).into_iter().filter(|case| case.dropout == 0) {
            (case.masked, case.backwards) = (true, backwards);
            let lengths = [4, 9, 0, 1, 9, 3, 8];
            let mut arrays = Arrays::random(&case, 6).cast::<f32>();
            arrays.mask = (0..7 * 9).map(|n| n % 9 < lengths[n / 9]).collect();
            let by_mask = (run(&case, &arrays, false).0, slopes(&case, &arrays));
            arrays.lengths = Some(lengths.to_vec());
            let by_lengths = (run(&case, &arrays, false).0, slopes(&case, &arrays));
            assert!(by_mask == by_lengths, "{case:?}");
        }
    }
}
