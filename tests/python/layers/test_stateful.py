import itertools

import numpy as np
import pytest

from each_case import each_case
from ferrnn import Call
from ferrnn.layers import GRU, LSTM, RNN, GRUCell, LSTMCell, SimpleRNN

LAYERS = [LSTM, GRU, SimpleRNN]
each_layer = each_case("kind", LAYERS)
INPUTS = np.random.default_rng(1).normal(size=(2, 6, 3)).astype("float32")


@each_layer
def test_two_halves_are_the_whole(kind):
    layer = kind(4, stateful=True)
    layer.build((2, None, 3))
    assert all(not state.any() for state in layer.states)
    layer(INPUTS[:, :3])
    halves = layer(INPUTS[:, 3:])
    layer.reset_state()
    np.testing.assert_array_equal(layer(INPUTS), halves)


@each_layer
def test_training_stores_states_as_well_and_truncates_the_gradient(kind):
    layer = kind(4, stateful=True)
    layer(INPUTS)
    before = np.array(layer.states)
    _, vjp = layer.forward(INPUTS, Call(training=True, differentiable=True))
    assert not np.array_equal(before, layer.states)
    assert vjp is not None


@each_layer
def test_an_explicit_initial_state_wins_and_the_result_is_stored(kind):
    layer = kind(4, stateful=True, return_state=True)
    layer(INPUTS)
    start = [np.ones((2, 4))] * len(layer.state_size)
    _, *final = layer(INPUTS, initial_state=start)
    np.testing.assert_array_equal(layer.states, final)


@each_layer
def test_states_set_by_hand_are_where_the_next_call_starts(kind):
    layer = kind(4, stateful=True)
    start = [np.full((2, 4), 0.5)] * len(layer.state_size)
    layer.states = start
    given = layer(INPUTS)
    np.testing.assert_array_equal(given, layer(INPUTS, initial_state=start))
    layer.reset_states(start)
    np.testing.assert_array_equal(layer(INPUTS), given)
    layer.states = None
    assert layer.states is None
    assert layer(INPUTS[:1]).shape == (1, 4)


def test_states_of_a_stack_are_nested():
    layer = RNN([LSTMCell(4), GRUCell(5)], stateful=True)
    layer(INPUTS)
    first = layer(INPUTS)
    assert [np.shape(state) for state in layer.states] == [(2, 2, 4), (1, 2, 5)]
    layer.reset_state()
    layer(INPUTS)
    np.testing.assert_array_equal(layer(INPUTS), first)


@each_layer
def test_another_batch_is_refused(kind):
    layer = kind(4, stateful=True)
    layer(INPUTS)
    with pytest.raises(ValueError, match=r"batch of 1, while its states have a batch of 2"):
        layer(INPUTS[:1])


@each_layer
def test_states_that_do_not_fit_are_refused(kind):
    layer = kind(4, stateful=True)
    count = len(layer.state_size)
    with pytest.raises(ValueError, match=rf"must hold {count} states .* received 3"):
        layer.states = [np.zeros((2, 4))] * 3
    with pytest.raises(ValueError, match=r"shape \[batch, units\] = \(2, 4\), received \(2, 5\)"):
        layer.states = [np.zeros((2, 5))] * count


@each_layer
def test_a_layer_that_is_not_stateful_keeps_nothing(kind):
    layer = kind(4)
    np.testing.assert_array_equal(layer(INPUTS), layer(INPUTS))
    assert layer.states is None
    layer.reset_state()
    assert layer.states is None


@each_case("activation", ["tanh", "softmax"], ids=["fused", "stepwise"])
@each_layer
@each_case("returned", [False, True])
def test_writing_into_results_changes_no_state(kind, activation, returned):
    layer = kind(4, activation, stateful=True, return_state=returned)
    start = [np.full((2, 4), 0.5, "float32") for _ in layer.state_size]
    layer.states = start
    layer(INPUTS)
    expected = layer(INPUTS)
    layer.states = start
    result = layer(INPUTS)
    for array in [*start, *(result if returned else [result])]:
        array[...] = 99
    layer.states[0] = None
    np.testing.assert_array_equal(layer(INPUTS), expected)


@each_case("length", [0, 6])
@each_case("masked", [False, True])
@each_case("activation", ["tanh", "softmax"], ids=["fused", "stepwise"])
@each_layer
def test_no_two_results_share_memory(kind, activation, masked, length):
    layer = kind(4, activation, return_state=True)
    start = [np.ones((2, 4), "float32") for _ in layer.state_size]
    mask = np.zeros((2, length), bool) if masked else None
    arrays = [*layer(INPUTS[:, :length], initial_state=start, mask=mask), *start]
    for one, two in itertools.combinations(arrays, 2):
        assert not np.shares_memory(one, two)


@each_layer
def test_stored_states_are_read_only(kind):
    layer = kind(4, stateful=True)
    layer.build((2, None, 3))
    ways = [lambda: layer(INPUTS), layer.reset_state, lambda: layer.reset_state(list(layer.states))]
    for way in [lambda: None, *ways]:
        way()
        with pytest.raises(ValueError, match="read-only"):
            layer.states[0][:] = 99
