//! The memory of training: what forward keeps for backward, counted byte by byte.

use crate::common::{Arrays, Case, run};
use ferrnn::cells::CellKind;
use ferrnn::machine::simd::{Element, Level};

/// Batch, time, features, units: the last fills the registers of every level.
const SIZES: [usize; 4] = [6, 50, 5, 64];
/// Bytes by which rows that products read are longer than their elements: one cache line.
const PADDING: usize = 64;

/// Vectors of the cell that are kept for each step, and rows of the second phase's operand.
fn kept(cell: CellKind) -> [usize; 2] {
    match cell {
        // Four gates and c.
        CellKind::Lstm | CellKind::PeepholeLstm => [5, 0],
        // Three gates and the candidate's recurrent sum, or c.
        CellKind::Gru | CellKind::CoupledLstm => [4, 0],
        // Three gates and r * h; gate, candidate and room for a gradient, and f * h.
        CellKind::GruResetBefore | CellKind::MinimalGated => [3, 1],
        CellKind::SimpleRnn | CellKind::IndRnn => [1, 0],
    }
}

fn bytes<T: Element + ferrnn::layers::sequence::Engine>(case: &Case) -> usize {
    run::<T>(case, &Arrays::random(case, 1).cast(), true).1.unwrap().bytes()
}

/// Every cell at every level, with outputs at every step or at the last.
fn cases() -> impl Iterator<Item = Case> {
    CellKind::ALL.iter().flat_map(|&cell| {
        Level::all().into_iter().flat_map(move |level| {
            let case = Case { level, ..Case::new(cell, SIZES) };
            [case.clone(), Case { sequences: false, ..case }]
        })
    })
}

#[test]
fn a_step_keeps_20_bytes_of_an_lstm_16_of_a_gru_4_of_a_simple_rnn_for_each_row_and_unit() {
    let [batch, time, _, units] = SIZES;
    for case in cases() {
        let [vectors, operands] = kept(case.cell);
        let rows = operands + usize::from(!case.sequences); // h, where the caller's outputs lack it
        let expected = |element| (vectors + rows) * element * units + rows * PADDING;
        assert_eq!(bytes::<f32>(&case), batch * time * expected(4), "{case:?}");
        let padding = rows * PADDING; // sixteen elements, twice as long
        assert_eq!(bytes::<f64>(&case), batch * time * (expected(8) + padding), "{case:?}");
    }
}

#[test]
fn masked_steps_keep_nothing() {
    for case in cases() {
        let masked = Case { masked: true, ..case };
        let real = Arrays::random(&masked, 1).mask.iter().filter(|&&real| real).count();
        let [batch, time, ..] = SIZES;
        assert!(real < batch * time);
        let unmasked = Case { masked: false, ..masked.clone() };
        assert_eq!(bytes::<f32>(&masked) * batch * time, bytes::<f32>(&unmasked) * real);
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    for case in cases() {
        ferrnn::machine::threads::set_count(1);
        let one = bytes::<f32>(&case);
        ferrnn::machine::threads::set_count(3);
        assert_eq!(bytes::<f32>(&case), one);
    }
}
