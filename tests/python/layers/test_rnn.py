import copy
import inspect
import pickle

import numpy as np
import pytest

from each_case import each_case
from ferrnn import Call
from ferrnn._src.tree.results import Output
from ferrnn.layers import (
    GRU,
    LSTM,
    RNN,
    GRUCell,
    LSTMCell,
    SimpleRNN,
    SimpleRNNCell,
    StackedRNNCells,
)
from ferrnn.testing import check_vjp

LAYERS = [LSTM, GRU, SimpleRNN]
each_layer = each_case("kind", LAYERS)
SAMPLE = np.array(
    [
        [[1, 2, 3, 4, 3, 2], [1, 2, 1, 1, 1, 2], [1, 2, 2, 2, 2, 2]],
        [[1, 2, 3, 4, 3, 2], [3, 2, 2, 1, 1, 2], [0, 0, 0, 0, 3, 2]],
    ]
)


def states_of(kind):
    return 2 if kind is LSTM else 1


# The tour.


@each_layer
def test_states_set_before_the_first_call_are_accepted_and_print_back(kind):
    layer = kind(4, return_sequences=True, return_state=True)
    state = (np.zeros((1, 4)), np.zeros((1, 4)))[: states_of(kind)]
    layer.states = state
    assert repr(layer.states) == repr(tuple(s.astype("float32") for s in state))
    inputs = np.array([[[3, 2, 2, 2, 2, 2]]])
    output, *final = layer(inputs)
    assert output.shape == (1, 1, 4)
    assert [s.shape for s in final] == [(1, 4)] * states_of(kind)
    np.testing.assert_array_equal(output[:, -1], final[0])


@pytest.mark.parametrize(
    ("kind", "shape"), [(LSTMCell, (2, 2)), (GRUCell, (1, 2)), (SimpleRNNCell, (1, 2))]
)
def test_a_stack_returns_the_states_of_each_cell(kind, shape):
    layer = RNN(StackedRNNCells([kind(4), kind(7)]), return_sequences=True, return_state=True)
    output, lower, upper = layer(SAMPLE)
    assert output.shape == (2, 3, 7)
    assert np.shape(lower) == (*shape, 4)
    assert np.shape(upper) == (*shape, 7)


def test_return_state_is_nested_as_in_keras():
    inputs = np.ones((2, 3, 5))
    nested = RNN([LSTMCell(4)], return_state=True)(inputs)
    assert [type(part) for part in nested] == [Output, list]
    nested = RNN([GRUCell(4)], return_state=True)(inputs)
    assert np.shape(nested[1]) == (1, 2, 4)
    plain = RNN(GRUCell(4), return_state=True)(inputs)
    assert [np.shape(part) for part in plain] == [(2, 4), (2, 4)]


# Shapes, weights, settings.


@each_layer
@each_case("sequences", [False, True])
@each_case("states", [False, True])
def test_shapes_are_as_announced(kind, sequences, states):
    layer = kind(4, return_sequences=sequences, return_state=states)
    returned = layer(np.ones((2, 3, 5)))
    announced = layer.compute_output_shape((2, 3, 5))
    if not states:
        returned, announced = [returned], [announced]
    assert [part.shape for part in returned] == list(announced)
    assert all(type(part) is Output and part.dtype == np.float32 for part in returned)


@each_layer
def test_weights_are_found_under_keras_paths(kind):
    layer = kind(4)
    layer.build((None, None, 3))
    name = layer.cell.name
    assert name == {LSTM: "lstm_cell", GRU: "gru_cell", SimpleRNN: "simple_rnn_cell"}[kind]
    expected = [f"{layer.name}/{name}/{w}" for w in ("kernel", "recurrent_kernel", "bias")]
    assert [weight.path for weight in layer.weights] == expected
    assert layer.count_params() == sum(weight.size for weight in layer.weights)


def test_paths_of_a_stack():
    layer = RNN([LSTMCell(2), LSTMCell(3)])
    layer.build((None, None, 3))
    assert layer.weights[3].path == "rnn/stacked_rnn_cells/lstm_cell_1/kernel"


def test_layers_are_named_one_after_another():
    assert [LSTM(1).name, LSTM(1).name, SimpleRNN(1).name] == ["lstm", "lstm_1", "simple_rnn"]
    assert LSTM(1, name="mine").name == "mine"


def test_settings_stand_in_keras_order():
    names = [name for name in inspect.signature(LSTM).parameters if name != "kwargs"]
    assert names == [
        *("units", "activation", "recurrent_activation", "use_bias"),
        *("kernel_initializer", "recurrent_initializer", "bias_initializer", "unit_forget_bias"),
        *("kernel_regularizer", "recurrent_regularizer", "bias_regularizer"),
        *("activity_regularizer", "kernel_constraint", "recurrent_constraint", "bias_constraint"),
        *("dropout", "recurrent_dropout", "seed", "return_sequences", "return_state"),
        *("go_backwards", "stateful", "unroll", "use_cudnn"),
    ]
    gru = [name for name in inspect.signature(GRU).parameters if name != "kwargs"]
    names.remove("unit_forget_bias")
    names.insert(-1, "reset_after")
    assert gru == names
    simple = [name for name in inspect.signature(SimpleRNN).parameters if name != "kwargs"]
    for name in ("recurrent_activation", "reset_after", "use_cudnn", "seed"):
        names.remove(name)
    assert simple == [*names, "seed"]


@each_layer
def test_settings_can_be_read_on_the_layer(kind):
    layer = kind(4, activation="relu", dropout=0.25, use_bias=False)
    assert (layer.units, layer.dropout, layer.use_bias) == (4, 0.25, False)
    assert layer.activation.__name__ == "relu"
    assert layer.kernel_regularizer is None
    assert layer.state_size == [4] * states_of(kind)


@each_layer
def test_the_configuration_makes_an_equal_layer(kind):
    layer = kind(4, "relu", go_backwards=True, recurrent_dropout=0.5, seed=3, dtype="float64")
    again = kind.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    stack = RNN([layer.cell, type(layer.cell)(3, dtype="float64")], stateful=True)
    again = RNN.from_config(stack.get_config())
    assert again.get_config() == stack.get_config()
    assert again.dtype == "float64"


@each_layer
@each_case("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_gives_the_same_and_stands_alone(kind, copied):
    layer = kind(4)
    before = layer(SAMPLE)
    other = copied(layer)
    np.testing.assert_array_equal(other(SAMPLE), before)
    other.set_weights([2 * weight for weight in other.get_weights()])
    np.testing.assert_array_equal(layer(SAMPLE), before)
    assert not np.array_equal(other(SAMPLE), before)


# Calls.


@each_layer
@each_case("options", [{}, {"go_backwards": True}])
def test_lists_and_integers_are_taken_for_arrays(kind, options):
    layer = kind(4, **options)
    expected = layer(SAMPLE.astype("float32"))
    for inputs in (SAMPLE, SAMPLE.tolist(), SAMPLE.astype("float64"), SAMPLE.astype(">f4")):
        np.testing.assert_array_equal(layer(inputs), expected)


@each_layer
def test_any_strides_and_read_only_arrays_give_the_same(kind):
    layer = kind(4, return_sequences=True)
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(4, 5, 3)).astype("float32")
    expected = layer(inputs)
    frozen = inputs.copy()
    frozen.flags.writeable = False
    spread = np.zeros((8, 10, 6), "float32")
    spread[::2, ::-2, ::2] = inputs
    time_major = np.ascontiguousarray(inputs.transpose(1, 0, 2)).transpose(1, 0, 2)
    fortran = np.asfortranarray(inputs)
    misaligned = np.zeros(inputs.nbytes + 1, "uint8")[1:].view("float32").reshape(4, 5, 3)
    misaligned[...] = inputs
    for given in (frozen, spread[::2, ::-2, ::2], time_major, fortran, misaligned):
        np.testing.assert_array_equal(layer(given), expected)
    np.testing.assert_array_equal(frozen, inputs)


@each_layer
def test_go_backwards_is_forwards_on_the_reversed_sequence(kind):
    layer = kind(4, return_sequences=True)
    back = kind(4, return_sequences=True, go_backwards=True)
    expected = layer(SAMPLE[:, ::-1])
    back.build((None, None, 6))
    back.set_weights(layer.get_weights())
    np.testing.assert_array_equal(back(SAMPLE), expected)


@each_layer
def test_initial_state_starts_where_another_call_ended(kind):
    layer = kind(4, return_state=True)
    whole, *final = layer(SAMPLE)
    _, *middle = layer(SAMPLE[:, :2])
    output, *states = layer(SAMPLE[:, 2:], initial_state=middle)
    np.testing.assert_array_equal(output, whole)
    np.testing.assert_array_equal(states, final)


def test_initial_state_of_a_stack_is_nested_as_it_is_returned():
    layer = RNN([LSTMCell(4), GRUCell(3)], return_state=True)
    whole, *_ = layer(SAMPLE)
    _, *middle = layer(SAMPLE[:, :2])
    np.testing.assert_array_equal(layer(SAMPLE[:, 2:], initial_state=middle)[0], whole)
    flat = [*middle[0], middle[1][0]]
    np.testing.assert_array_equal(layer(SAMPLE[:, 2:], initial_state=flat)[0], whole)


@each_layer
def test_one_state_needs_no_list(kind):
    layer = kind(4)
    if kind is LSTM:
        with pytest.raises(ValueError, match=r"'lstm' must hold 2 states .* received 1"):
            layer(SAMPLE, initial_state=np.ones((2, 4)))
    else:
        one = layer(SAMPLE, initial_state=np.ones((2, 4)))
        np.testing.assert_array_equal(one, layer(SAMPLE, initial_state=[np.ones((2, 4))]))


@each_layer
def test_a_mask_rides_along_to_the_next_layer(kind):
    mask = np.array([[True, True, False], [True, False, False]])
    first, second = kind(4, return_sequences=True), kind(3)
    between = first(SAMPLE, mask=mask)
    given = second(between)
    np.testing.assert_array_equal(given, second(np.array(between), mask=mask))
    assert not np.array_equal(given, second(np.array(between)))
    assert type(given) is Output
    assert first.compute_mask(None, mask) is mask
    assert second.compute_mask(None, mask) is None
    assert kind(3, return_state=True, return_sequences=True).compute_mask(None, mask)[0] is mask


@each_layer
def test_a_mask_of_integers_is_one_of_booleans(kind):
    mask = np.array([[1, 1, 0], [1, 0, 0]])
    layer = kind(4)
    np.testing.assert_array_equal(layer(SAMPLE, mask=mask), layer(SAMPLE, mask=mask > 0))


@each_layer
def test_zero_output_for_mask_zeroes_masked_steps_and_a_masked_last_output(kind):
    mask = np.array([[True, False, True], [True, False, False]])
    outputs = kind(4, return_sequences=True, zero_output_for_mask=True)(SAMPLE, mask=mask)
    assert (np.abs(np.asarray(outputs)).sum(axis=2) > 0).tolist() == mask.tolist()
    last = kind(4, zero_output_for_mask=True)(SAMPLE, mask=mask)
    assert last[0].any()
    assert not last[1].any()


@each_layer
def test_dropout_is_drawn_anew_in_training_and_repeats_with_the_seed(kind):
    inputs = np.ones((3, 4, 5))
    layer = kind(8, dropout=0.5, recurrent_dropout=0.5, seed=1)
    plain = layer(inputs)
    np.testing.assert_array_equal(layer(inputs, training=False), plain)
    first, second = layer(inputs, training=True), layer(inputs, training=True)
    assert not np.array_equal(first, second)
    again = kind(8, dropout=0.5, recurrent_dropout=0.5, seed=1)
    again.build((None, None, 5))
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(inputs, training=True), first)
    np.testing.assert_array_equal(again(inputs, training=True), second)


def test_dropout_of_implementation_1_without_recurrent_dropout_works():
    layer = LSTM(4, dropout=0.5, implementation=1)
    assert layer(SAMPLE, training=True).shape == (2, 4)
    assert layer.implementation == 1


def test_a_layer_with_an_activation_the_engine_lacks_runs_step_by_step():
    layer = LSTM(4, activation=np.tanh, recurrent_activation="log_sigmoid")
    assert layer(SAMPLE).shape == (2, 4)
    layer = LSTM(4, activation=np.tanh, recurrent_activation="log_sigmoid", dtype="float64")
    layer.build((None, None, SAMPLE.shape[-1]))
    inputs = np.random.default_rng(1).normal(size=SAMPLE.shape)
    check_vjp(lambda x: layer.forward(x, Call(differentiable=True)), inputs, layer.weights)


def test_a_subclass_of_a_built_in_cell_is_not_bypassed():
    class Halved(LSTMCell):
        def step(self, inputs, states, call, dropout=None):
            return super().step(inputs / 2, states, call, dropout)

    layer = RNN(Halved(4))
    expected = layer(SAMPLE)
    plain = LSTM(4)
    plain.build((None, None, 6))
    plain.set_weights(layer.get_weights())
    np.testing.assert_allclose(expected, plain(SAMPLE / 2), rtol=1e-5)
