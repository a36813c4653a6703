"""One step a call: the bits of the whole sequence, states as values, and clear errors."""

import copy
import pickle
from collections import OrderedDict

import numpy as np
import pytest

import ferrnn
from each_case import each_case
from ferrnn.layers import GRU, LSTM, Activation, Dense, Input, SimpleRNN
from ferrnn.models import Sequential
from models.streaming import FEATURES, STEPS, deep, randomised, recurrent, sequences

MODELS = {
    "lstm": lambda: recurrent(LSTM),
    "gru": lambda: recurrent(GRU),
    "gru, reset before": lambda: recurrent(GRU, reset_after=False),
    "simple rnn": lambda: recurrent(SimpleRNN),
    "other activations": lambda: recurrent(
        LSTM, activation="softsign", recurrent_activation="hard_sigmoid"
    ),
    "no bias": lambda: recurrent(GRU, use_bias=False),
    "float64": lambda: deep("float64"),
    "deep": deep,
}


def step_by_step(stream, inputs):
    return np.stack([stream(inputs[:, step]) for step in range(inputs.shape[1])], axis=1)


@each_case("name", MODELS)
@each_case("rows", [1, 2, 7])
def test_steps_give_the_bits_of_the_whole_sequence(name, rows):
    model = randomised(MODELS[name]())
    inputs = sequences(rows, model.dtype)
    expected = model.predict_on_batch(inputs)
    stream = model.stream(streams=rows)
    received = step_by_step(stream, inputs)
    assert received.dtype == expected.dtype
    np.testing.assert_array_equal(received, expected)
    alone = model.stream()
    np.testing.assert_array_equal([alone(step) for step in inputs[0]], expected[0])


def test_a_model_of_last_outputs_gives_those_of_the_sequence_so_far():
    model = randomised(Sequential([Input((None, FEATURES)), GRU(7), Dense(2)]))
    inputs = sequences(3)
    received = step_by_step(model.stream(3), inputs)
    for step in range(STEPS):
        np.testing.assert_array_equal(
            received[:, step], model.predict_on_batch(inputs[:, : step + 1])
        )


@each_case("kind", [LSTM, GRU, SimpleRNN])
@each_case("rows", [1, 3])
@each_case("precision", ["bfloat16", "int8"])
def test_less_precision_gives_the_same_bits_as_well(kind, rows, precision):
    model = randomised(recurrent(kind))
    inputs = sequences(rows)
    exact = step_by_step(model.stream(rows), inputs)
    model.layers[0].inference_precision = precision
    expected = model.predict_on_batch(inputs)
    received = step_by_step(model.stream(rows), inputs)
    np.testing.assert_array_equal(received, expected)
    assert not np.array_equal(received, exact)


def test_a_layer_streams_by_itself():
    layer = LSTM(4, return_sequences=True, name="memory")
    inputs = sequences(2)
    expected = layer(inputs)
    stream = layer.stream(streams=2)
    np.testing.assert_array_equal(step_by_step(stream, inputs), expected)
    assert list(stream.state) == ["memory/h", "memory/c"]


def test_the_final_states_are_those_of_the_layer():
    layer = LSTM(4, return_sequences=True, return_state=True)
    inputs = sequences(3)
    _, h, c = layer(inputs)
    layer.return_state = False
    stream = layer.stream(3)
    step_by_step(stream, inputs)
    for expected, received in zip((h, c), stream.state.values(), strict=True):
        np.testing.assert_array_equal(received, expected)


@pytest.mark.parametrize("rows", [1, 3])
def test_out_is_written_and_returned(rows):
    model = randomised(deep())
    first, second = model.stream(rows), model.stream(rows)
    for step in sequences(rows).transpose(1, 0, 2):
        out = np.full((rows, 6), np.nan, np.float32)
        assert first(step, out=out) is out
        np.testing.assert_array_equal(out, second(step))
        assert first(step, out) is out  # by position as well
        second(step)


def test_one_stream_keeps_the_axes_of_its_inputs():
    stream = deep().stream()
    step = sequences(1)[:, 0]
    assert stream(step).shape == (1, 6)
    assert stream(step[0]).shape == (6,)
    assert stream(list(step[0])).shape == (6,)


def test_inputs_of_any_layout_and_dtype_are_read():
    model = randomised(recurrent(GRU))
    rows = sequences(4)[:, 0]
    expected = model.stream(4)(rows)
    padded = np.zeros((8, 2 * FEATURES), np.float32)
    padded[::2, ::2] = rows
    swapped = rows.astype(rows.dtype.newbyteorder())
    unaligned = np.frombuffer(b"\0" + rows.tobytes(), np.uint8)[1:].view(np.float32)
    for inputs in (
        np.asfortranarray(rows),
        padded[::2, ::2],
        rows[::-1].copy()[::-1],
        swapped,
        unaligned.reshape(rows.shape),
        rows.astype(np.float64),
        rows.tolist(),
    ):
        np.testing.assert_array_equal(model.stream(4)(inputs), expected)
    whole = np.arange(-8, 12).reshape(4, FEATURES)
    np.testing.assert_array_equal(model.stream(4)(whole), model.stream(4)(whole.astype(np.float32)))


def test_states_go_out_and_come_back(tmp_path):
    model = randomised(deep())
    inputs = sequences(3)
    stream = model.stream(3)
    stream(inputs[:, 0])
    saved = stream.state
    assert list(saved) == [
        "first/h",
        "first/c",
        "inner/low/h",
        "stack/0/h",
        "stack/1/h",
        "stack/1/c",
    ]
    assert [array.shape for array in saved.values()] == [(3, n) for n in (18, 18, 7, 3, 17, 17)]
    expected = stream(inputs[:, 1])

    np.savez(tmp_path / "state.npz", **saved)
    with np.load(tmp_path / "state.npz") as loaded:
        stream.state = loaded
    np.testing.assert_array_equal(stream(inputs[:, 1]), expected)
    other = model.stream(3)
    other.state = pickle.loads(pickle.dumps(saved))
    np.testing.assert_array_equal(other(inputs[:, 1]), expected)
    stream.state = OrderedDict(
        (name, value.astype(float).tolist()) for name, value in saved.items()
    )
    np.testing.assert_array_equal(stream(inputs[:, 1]), expected)


def test_a_state_is_a_copy():
    stream = randomised(recurrent(LSTM)).stream()
    step = sequences(1)[0, 0]
    stream(step)
    state = stream.state
    before = {name: array.copy() for name, array in state.items()}
    stream(step)
    for name, array in state.items():
        np.testing.assert_array_equal(array, before[name])
        assert not np.array_equal(stream.state[name], array)
        array[...] = 0
    assert all(np.any(array) for array in stream.state.values())


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda stream: stream.copy()])
def test_copies_go_their_own_way(copied):
    stream = randomised(deep()).stream(2)
    first, second = sequences(2).transpose(1, 0, 2)[:2]
    stream(first)
    twin = copied(stream)
    expected = stream(second)
    twin.copy()(first)
    np.testing.assert_array_equal(twin(second), expected)


@each_case(
    ("rows", "reset"),
    [
        (None, [0, 1, 2, 3]),
        (2, [2]),
        (-1, [3]),
        ([0, 3], [0, 3]),
        ((1, 2), [1, 2]),
        ([], []),
        (slice(1, None, 2), [1, 3]),
        (np.array([False, True, True, False]), [1, 2]),
    ],
)
def test_rows_start_again(rows, reset):
    model = randomised(deep())
    inputs = sequences(4)
    stream, fresh, kept = model.stream(4), model.stream(4), model.stream(4)
    stream(inputs[:, 0])
    kept(inputs[:, 0])
    if rows is None:
        stream.reset()
    else:
        stream.reset(rows)
    received = stream(inputs[:, 1])
    expected = kept(inputs[:, 1])
    expected[reset] = fresh(inputs[:, 1])[reset]
    np.testing.assert_array_equal(received, expected)


def test_the_weights_are_those_of_the_time_the_stream_was_made():
    model = randomised(recurrent(GRU))
    step = sequences(1)[0, 0]
    stream, twin = model.stream(), model.stream()
    expected = twin(step)
    randomised(model, seed=9)
    np.testing.assert_array_equal(stream(step), expected)
    renewed = model.stream()
    assert not np.array_equal(renewed(step), expected)
    renewed.state = stream.state
    assert not np.array_equal(renewed(step), twin(step))


def test_activation_layers_give_the_bits_of_dense_ones():
    inputs = sequences(3)
    for name in ("tanh", "gelu", "selu", "softmax", "relu"):
        dense = Dense(4, activation=name)
        expected = dense(inputs)
        linear = Dense(4)
        linear.build(inputs.shape)
        linear.set_weights(dense.get_weights())
        np.testing.assert_array_equal(Activation(name)(linear(inputs)), expected)
        close = ferrnn.activations.get(name)(np.asarray(linear(inputs), np.float64))
        np.testing.assert_allclose(expected, close, rtol=1e-5, atol=1e-6)
