"""What holds for any sizes, masks and values: searched for counterexamples."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.cases import ACTIVATIONS, IN_ENGINE, Case
from conformance.comparison import expect_same, run
from ferrnn import Call, Gradients
from ferrnn._src.sequence import fused

searched = settings(max_examples=60, deadline=None, derandomize=True, database=None)
sizes = st.integers(1, 40)


@st.composite
def cases(draw, *, masks=("none", "right", "left", "holes"), dropout=True):
    return Case(
        cell=draw(st.sampled_from(IN_ENGINE)),
        activations=draw(st.sampled_from(ACTIVATIONS)),
        bias=draw(st.booleans()),
        mask=draw(st.sampled_from(masks)),
        zeroed=draw(st.booleans()),
        backwards=draw(st.booleans()),
        initial_state=draw(st.booleans()),
        dropout=draw(st.sampled_from(["none", "shared", "per_gate"] if dropout else ["none"])),
        sequences=draw(st.booleans()),
        units=draw(sizes),
        batch=draw(sizes),
        time=draw(st.integers(1, 12)),
        features=draw(sizes),
    )


@searched
@given(case=cases())
def test_the_engine_computes_what_stepwise_defines(case):
    expect_same(case, case.make_cell(), rtol=1e-9, atol=1e-11)


@searched
@given(case=cases(masks=("none",)))
def test_a_mask_of_ones_is_no_mask(case):
    cell = case.make_cell()
    plain = run(case, cell, fused.scan)

    class Ones(Case):
        def make_mask(self):
            return np.ones((self.batch, self.time), bool)

    ones = Ones(**{**vars(case), "mask": "right", "zeroed": False})
    for one, two in zip(run(ones, cell, fused.scan), plain, strict=True):
        for given_, expected in zip(one, two, strict=True):
            np.testing.assert_array_equal(given_, expected)


@searched
@given(case=cases(dropout=False))
def test_permuting_the_batch_permutes_the_results(case):
    cell = case.make_cell()
    inputs, states, mask = case.make_inputs(), case.make_states(cell), case.make_mask()
    order = case.rng(9).permutation(case.batch)
    results = []
    for rows in (slice(None), order):
        outputs, final, vjp = fused.scan(
            cell,
            inputs[rows],
            None if states is None else tuple(state[rows] for state in states),
            Call(differentiable=True),
            mask=None if mask is None else mask[rows],
            go_backwards=case.backwards,
            return_sequences=case.sequences,
            zero_output_for_mask=case.zeroed,
        )
        d_inputs, d_states = vjp(outputs, final, Gradients())
        results.append([outputs, *final, d_inputs, *d_states])
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one[order], two)


@searched
@given(
    case=cases(dropout=False),
    steps=st.tuples(st.sampled_from([1, 2, 3, -1, -2]), st.sampled_from([1, 2, -1])),
    features_last=st.booleans(),
)
def test_strides_change_no_bit(case, steps, features_last):
    cell = case.make_cell()
    inputs = case.make_inputs()
    over_batch, over_time = steps
    shape = (case.batch * abs(over_batch), case.time * abs(over_time), case.features)
    room = np.full(shape if features_last else shape[::-1], 7.0)
    spread = (room if features_last else room.T)[::over_batch, ::over_time]
    spread[...] = inputs
    outputs, _, vjp = fused.scan(cell, inputs, None, Call(differentiable=True))
    strided, _, strided_vjp = fused.scan(cell, spread, None, Call(differentiable=True))
    np.testing.assert_array_equal(strided, outputs)
    grads, strided_grads = Gradients(), Gradients()
    d_inputs, _ = vjp(outputs, None, grads)
    given_, _ = strided_vjp(np.asfortranarray(outputs), None, strided_grads)
    np.testing.assert_array_equal(given_, d_inputs)
    for weight in cell.weights:
        np.testing.assert_array_equal(strided_grads[weight], grads[weight])
