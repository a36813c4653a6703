//! What a cell declares about itself, and what the kernels refuse.

use ferrnn::cells::{CellKind, KEPT, Layout, Shape};

const LSTM_LIKE: Layout = Layout {
    gates: 4,
    states: 1,
    slots: &[0, 1, 2, 3],
    vectors: 0,
    input: (0, 4),
    phases: &[(0, 4)],
    recurrent_bias: false,
    reads_output: false,
};

#[test]
fn every_cell_of_the_list_has_kernels_for_each_phase() {
    for cell in CellKind::ALL {
        let layout = cell.layout();
        for phase in 0..layout.phases.len() {
            assert_ne!(Shape::of(&layout, phase), Shape::None, "{cell:?}");
        }
        assert_eq!(Shape::of(&layout, layout.phases.len()), Shape::None);
        let gates = layout.slots.iter().filter(|&&gate| gate != KEPT);
        assert!(gates.copied().all(|gate| gate < layout.gates), "{cell:?}");
    }
}

#[test]
fn cells_are_found_by_name() {
    assert_eq!(CellKind::named("peephole_lstm").unwrap(), CellKind::PeepholeLstm);
    let error = CellKind::named("transformer").unwrap_err().to_string();
    assert!(error.contains("minimal_gated") && error.contains("transformer"), "{error}");
}

#[test]
fn a_cell_that_sees_its_output_is_not_projected() {
    let may = |cell: CellKind| cell.layout().may_project();
    assert!(may(CellKind::Lstm) && may(CellKind::SimpleRnn) && may(CellKind::CoupledLstm));
    assert!(!may(CellKind::Gru) && !may(CellKind::MinimalGated) && !may(CellKind::IndRnn));
}

#[test]
#[should_panic(expected = "not among the")]
fn a_phase_of_another_shape_is_refused() {
    let slots = &[0, 1];
    let _ = Layout { gates: 2, slots, input: (0, 2), phases: &[(0, 2)], ..LSTM_LIKE }.checked();
}

#[test]
#[should_panic(expected = "products of all gates")]
fn gates_that_see_no_previous_output_are_refused() {
    let _ = Layout { phases: &[(0, 3)], ..LSTM_LIKE }.checked();
}

#[test]
#[should_panic(expected = "more states")]
fn more_states_than_the_kernels_carry_are_refused() {
    let _ = Layout { states: 2, ..LSTM_LIKE }.checked();
}

/// The same at compile time is a compile error: `CellKind::layout` checks each cell of the list so.
const _: Layout = LSTM_LIKE.checked();
