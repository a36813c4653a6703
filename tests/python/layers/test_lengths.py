"""`lengths=`: padded sequences, told by how many of their steps are real."""

import numpy as np
import pytest

from each_case import each_case
from ferrnn import Call, Gradients
from ferrnn._src.layer.masked import mask_of
from ferrnn._src.layers.checks import mask_of_lengths
from ferrnn._src.tree.results import Output
from ferrnn.layers import GRU, LSTM, RNN, GRUCell, Input, LSTMCell, SimpleRNN

LENGTHS = [4, 0, 7, 1, 6]
BATCH, TIME, FEATURES, UNITS = 5, 7, 3, 18


def stack(units, **options):
    return RNN([GRUCell(11), LSTMCell(units)], **options)


each_layer = each_case("kind", [LSTM, GRU, SimpleRNN, stack])
each_direction = each_case("backwards", [False, True])


def sequences():
    inputs = np.random.default_rng(7).normal(size=(BATCH, TIME, FEATURES)).astype("float32")
    for row, length in enumerate(LENGTHS):
        inputs[row, length:] = np.nan  # what stands behind the end is never read
    return inputs


def flat(values):
    return [
        np.asarray(leaf) for value in values for leaf in (value if type(value) is list else [value])
    ]


def expect_same_bits(given, expected):
    for one, two in zip(flat(given), flat(expected), strict=True):
        np.testing.assert_array_equal(one, two)


@each_layer
@each_direction
@each_case("every_step", [False, True])
def test_lengths_are_the_mask_that_says_the_same(kind, backwards, every_step):
    layer = kind(UNITS, return_sequences=every_step, return_state=True, go_backwards=backwards)
    inputs = sequences()
    mask = np.arange(TIME) < np.array(LENGTHS)[:, None]
    expect_same_bits(layer(inputs, lengths=LENGTHS), layer(inputs, mask=mask))


@each_layer
@each_direction
def test_outputs_and_states_are_those_of_the_sequences_one_by_one(kind, backwards):
    layer = kind(UNITS, return_sequences=True, return_state=True, go_backwards=backwards)
    inputs = sequences()
    outputs, *states = layer(inputs, lengths=LENGTHS)
    for row, length in enumerate(LENGTHS):
        alone, *final = layer(inputs[row : row + 1, :length])
        real = slice(TIME - length, TIME) if backwards else slice(0, length)
        np.testing.assert_array_equal(outputs[row : row + 1, real], alone)
        expect_same_bits([state[row : row + 1] for state in flat(states)], final)


@each_layer
@each_direction
def test_gradients_are_those_of_the_sequences_one_by_one(kind, backwards):
    layer = kind(UNITS, return_sequences=True, return_state=True, go_backwards=backwards)
    layer.build((None, None, FEATURES))
    inputs, rng = sequences(), np.random.default_rng(8)
    mask = mask_of_lengths("lstm", LENGTHS, inputs)
    returned, vjp = layer.forward(inputs, Call(differentiable=True, mask=mask))
    d_outputs = rng.normal(size=returned[0].shape).astype("float32")
    steps = np.arange(TIME)[::-1] if backwards else np.arange(TIME)
    d_outputs[steps >= np.array(LENGTHS)[:, None]] = 0
    d_states = [rng.normal(size=np.shape(state)).astype("float32") for state in returned[1:]]
    together = Gradients()
    d_inputs = vjp(
        (d_outputs, *map(list, d_states)) if kind is stack else (d_outputs, *d_states), together
    )
    one_by_one = Gradients()
    for row, length in enumerate(LENGTHS):
        rows = slice(row, row + 1)
        real = slice(TIME - length, TIME) if backwards else slice(0, length)
        _, vjp_alone = layer.forward(inputs[rows, :length], Call(differentiable=True))
        d_final = [list(d[:, rows]) if kind is stack else d[rows] for d in d_states]
        d_alone = vjp_alone((d_outputs[rows, real], *d_final), one_by_one)
        np.testing.assert_array_equal(d_inputs[rows, :length], d_alone)
        assert not d_inputs[row, length:].any()
    for weight in layer.weights:
        np.testing.assert_allclose(together[weight], one_by_one[weight], rtol=2e-4, atol=2e-6)
        assert np.any(together[weight])


def test_the_output_carries_the_mask_on():
    first, second = LSTM(4, return_sequences=True), GRU(2)
    between = first(sequences(), lengths=LENGTHS)
    mask = mask_of(between)
    np.testing.assert_array_equal(mask.sum(axis=1), LENGTHS)
    np.testing.assert_array_equal(second(between), second(np.array(between), lengths=LENGTHS))
    assert type(second(between)) is Output


def test_lengths_go_before_a_mask_that_the_inputs_carry():
    first, second = LSTM(4, return_sequences=True), GRU(2)
    between = first(sequences(), lengths=LENGTHS)
    ones = second(between, lengths=[1] * BATCH)
    np.testing.assert_array_equal(ones, second(np.array(between)[:, :1]))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint64", "int64"])
def test_integers_of_any_kind_are_lengths(dtype):
    layer = GRU(4)
    expected = layer(sequences(), lengths=LENGTHS)
    np.testing.assert_array_equal(layer(sequences(), lengths=np.array(LENGTHS, dtype)), expected)
    assert layer(np.zeros((0, 3, FEATURES)), lengths=[]).shape == (0, 4)
    assert layer(np.zeros((2, 0, FEATURES)), lengths=[0, 0]).shape == (2, 4)


@each_case(
    ("lengths", "kind_of_error", "text"),
    [
        ([4, 0, 7, 1], ValueError, r"shape \[batch\] of the inputs, \(5,\), received \(4,\)"),
        (4, ValueError, r"received \(\)"),
        (np.ones((5, 1), int), ValueError, r"received \(5, 1\)"),
        ([4, 0, 8, 1, 6], ValueError, r"0\.\.time = 0\.\.7, received 8 for row 2"),
        ([4, -1, 7, 1, 6], ValueError, r"received -1 for row 1"),
        ([4.0, 0.0, 7.0, 1.0, 6.0], TypeError, "integers, received the dtype float64"),
        ([True, False, True, True, True], TypeError, "integers, received the dtype bool"),
        (list("abcde"), TypeError, "integers, received the dtype <U1"),
    ],
)
@each_layer
def test_wrong_lengths(kind, lengths, kind_of_error, text):
    layer = kind(4, name="mine")
    with pytest.raises(kind_of_error, match=f"`lengths` of layer 'mine' must .*{text}"):
        layer(sequences(), lengths=lengths)


def test_a_mask_and_lengths_together_are_refused():
    mask = np.ones((BATCH, TIME), bool)
    with pytest.raises(ValueError, match="'mine' takes either `mask` or `lengths`, received both"):
        LSTM(4, name="mine")(sequences(), mask=mask, lengths=LENGTHS)


def test_lengths_of_a_functional_model_are_refused():
    with pytest.raises(ValueError, match="`lengths` of layer 'mine' can only be given with arrays"):
        LSTM(4, name="mine")(Input((TIME, FEATURES)), lengths=LENGTHS)
