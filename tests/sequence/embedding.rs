//! Rows for ids and sums by id; in a stream ids come in, and padding keeps the states of its row.

use std::sync::Arc;

use crate::common::{Arrays, Case, Random, weights};
use ferrnn::cells::CellKind;
use ferrnn::layers::embedding::{Weights, gather, scatter};
use ferrnn::layers::normalization;
use ferrnn::layers::sequence::Engine;
use ferrnn::layers::stream::{Part, Stream};
use ferrnn::machine::memory::{View, ViewMut};
use ferrnn::machine::simd::Level;

const IDS: usize = 6;
const FEATURES: usize = 5;

#[test]
fn rows_go_out_and_their_gradients_come_back() {
    let rows = Random(1).numbers(IDS * FEATURES, 1.0);
    let ids = [3, 0, 3, 5];
    let mut outputs = vec![f64::NAN; ids.len() * FEATURES];
    gather(&rows, FEATURES, &ids, &mut outputs).unwrap();
    let d_outputs = Random(2).numbers(outputs.len(), 1.0);
    let mut sums = vec![f64::NAN; rows.len()];
    scatter(&ids, &d_outputs, FEATURES, &mut sums).unwrap();
    let mut expected = vec![0.0; rows.len()];
    for (n, id) in [3, 0, 3, 5].into_iter().enumerate() {
        for k in 0..FEATURES {
            assert_eq!(outputs[n * FEATURES + k].to_bits(), rows[id * FEATURES + k].to_bits());
            expected[id * FEATURES + k] += d_outputs[n * FEATURES + k];
        }
    }
    assert_eq!(sums, expected);
}

/// Ids, their matrix, a recurrent layer and a normalization.
fn parts<T: Engine>(level: Level, cell: CellKind, mask_zero: bool) -> Vec<Part<T>> {
    let mut case = Case::new(cell, [1, 1, FEATURES, 19]);
    case.level = level;
    let arrays = Arrays::random(&case, 3).cast::<T>();
    let rows: Vec<_> = Random(4).numbers(IDS * FEATURES, 1.0).iter().map(|&v| T::of(v)).collect();
    let normalization =
        normalization::Weights::new(Some(level), 19, (1e-3, true), None, None).unwrap();
    vec![
        Part::Embedding(Arc::new(Weights::new([IDS, FEATURES], &rows, mask_zero).unwrap())),
        Part::Recurrent(Arc::new(weights(&case, &arrays))),
        Part::Normalization(Arc::new(normalization)),
    ]
}

fn step<T: Engine>(stream: &mut Stream<T>, ids: &[i64]) -> Vec<T> {
    let (rows, units) = (stream.streams(), stream.units());
    let mut outputs = vec![T::of(f64::NAN); rows * units];
    let to = &mut ViewMut::contiguous(&mut outputs, [rows, 1, units]).unwrap();
    stream.step_ids(ids, to).unwrap();
    outputs
}

fn check<T: Engine>(level: Level, cell: CellKind) {
    let ids = [[3_i64, 0, 2], [0, 4, 0], [1, 5, 0], [0, 0, 0], [2, 0, 4]];
    let parts = parts::<T>(level, cell, true);
    let mut together = Stream::new(Some(level), &parts, 1, 3).unwrap();
    let mut alone: Vec<_> =
        (0..3).map(|_| Stream::new(Some(level), &parts, 1, 1).unwrap()).collect();
    let mut last = [T::ZERO; 3 * 19];
    for (n, step_ids) in ids.iter().enumerate() {
        let outputs = step(&mut together, step_ids);
        for (row, &id) in step_ids.iter().enumerate() {
            let own = row * 19..(row + 1) * 19;
            // The stream that has this row alone leaves out its padding altogether.
            if id != 0 {
                last[own.clone()].copy_from_slice(&step(&mut alone[row], &[id]));
            }
            let started = ids[..=n].iter().any(|ids| ids[row] != 0);
            assert!(!started || outputs[own.clone()] == last[own], "{level:?}, {cell:?}, {row}");
        }
        for state in 0..together.state_sizes().len() {
            for (row, alone) in alone.iter_mut().enumerate() {
                let (mut here, mut there) = ([T::ZERO; 19], [T::ZERO; 19]);
                together.read_state(state, row, &mut here);
                alone.read_state(state, 0, &mut there);
                assert!(here == there, "{level:?}, {cell:?}, state {state} of row {row}, step {n}");
            }
        }
    }
}

#[test]
fn a_row_of_padding_keeps_its_states() {
    for level in Level::all() {
        for &cell in CellKind::ALL {
            check::<f32>(level, cell);
            check::<f64>(level, cell);
        }
    }
}

#[test]
fn zero_is_an_id_like_others_unless_it_is_padding() {
    let level = Level::current().unwrap();
    let parts = parts::<f32>(level, CellKind::Gru, false);
    let mut stream = Stream::new(None, &parts, 1, 1).unwrap();
    let mut state = [0.0; 19];
    step(&mut stream, &[0]);
    stream.read_state(0, 0, &mut state);
    assert!(state.iter().all(|&h| h != 0.0));
}

#[test]
fn what_does_not_fit_is_refused() {
    let parts = parts::<f32>(Level::current().unwrap(), CellKind::Lstm, true);
    let mut stream = Stream::new(None, &parts, 1, 2).unwrap();
    let mut y = [0.0; 38];
    let mut message = |ids: &[i64], shape| {
        let mut outputs = ViewMut::contiguous(&mut y, shape).unwrap();
        stream.step_ids(ids, &mut outputs).unwrap_err().to_string()
    };
    let fits = [2, 1, 19];
    assert_eq!(message(&[1], fits), "`ids`: expected shape [2], received [1]");
    let received = message(&[1, 6], fits);
    assert_eq!(received, "`ids`: expected ids from 0 to 5, received ids from 1 to 6");
    assert_eq!(message(&[-1, -1], fits), "`ids`: expected ids from 0 to 5, received -1");
    let received = message(&[1, 2], [1, 2, 19]);
    assert_eq!(received, "`outputs`: expected shape [2, 1, 19], received [1, 2, 19]");
    let mut outputs = ViewMut::contiguous(&mut y, fits).unwrap();
    let numbers = View::contiguous(&[0.0; 2], [2, 1, 1]).unwrap();
    let received = stream.step(numbers, &mut outputs).unwrap_err().to_string();
    assert!(received.contains("`inputs`: expected ids below 6"), "{received}");

    let refused = |parts: &[Part<f32>], features| {
        Stream::new(None, parts, features, 1).map(|_| ()).unwrap_err().to_string()
    };
    let twice = [parts[1].clone(), parts[0].clone()];
    assert!(refused(&twice, FEATURES).contains("an Embedding only as part number 0"));
    assert!(
        refused(&parts, 2).contains("part number 0 to take 2 features, received one that takes 1")
    );
    assert!(refused(&parts[2..], 3).contains("to take 3 features, received one that takes 19"));
}
