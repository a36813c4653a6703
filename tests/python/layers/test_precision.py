"""Weights in bfloat16 and int8, for inference."""

import copy

import numpy as np
import pytest

from ferrnn import Call
from ferrnn.layers import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    CoupledLSTM,
    IndRNN,
    MinimalGatedUnit,
    PeepholeLSTM,
    ProjectedLSTM,
    SimpleRNN,
)


def layers():
    for kind, options in [(LSTM, {}), (GRU, {}), (GRU, {"reset_after": False}), (SimpleRNN, {})]:
        yield kind(37, return_sequences=True, **options)


def rounded(array):
    """To bfloat16, ties to even, in float32."""
    bits = array.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


@pytest.mark.parametrize("batch", [1, 5])
def test_outputs_are_those_of_rounded_recurrent_weights(batch):
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(batch, 9, 6)).astype("float32")
    for layer in layers():
        exact = layer(inputs)
        layer.inference_precision = "bfloat16"
        halved = layer(inputs)
        assert 0 < np.abs(halved - exact).max() < 0.02
        weights = layer.get_weights()
        weights[1] = rounded(weights[1])
        layer.inference_precision = "full"
        assert np.array_equal(layer(inputs), exact)
        layer.set_weights(weights)
        np.testing.assert_allclose(layer(inputs), halved, rtol=0, atol=2e-6)


def in_bytes(array):
    """To integers from -127 to 127 with a scale for each column, in float32."""
    scale = (np.abs(array).max(0) / np.float64(127)).astype("float32")
    integers = np.rint(array.astype("float64") / np.where(scale > 0, scale, 1))
    return (np.clip(integers, -127, 127) * scale).astype("float32")


def of_every_kind():
    yield from layers()
    for kind in (CoupledLSTM, IndRNN, MinimalGatedUnit, PeepholeLSTM):
        yield kind(21, return_sequences=True)
    yield ProjectedLSTM(21, 9, return_sequences=True)
    yield Bidirectional(GRU(7, return_sequences=True))
    yield RNN([LSTM(9).cell, SimpleRNN(6).cell], return_sequences=True)


def set_precision(layer, value):
    """For the layer, or the cells and layers inside of it."""
    if hasattr(type(layer), "inference_precision"):
        layer.inference_precision = value
        return
    for part in layer.sublayers():
        set_precision(part, value)


@pytest.mark.parametrize("batch", [1, 5])
def test_int8_outputs_are_those_of_weights_rounded_by_column(batch):
    rng = np.random.default_rng(4)
    inputs = rng.normal(size=(batch, 9, 6)).astype("float32")
    mask = rng.random((batch, 9)) < 0.7
    quantized = ("kernel", "recurrent_kernel")
    for layer in of_every_kind():
        exact = layer(inputs, mask=mask)
        set_precision(layer, "int8")
        received = layer(inputs, mask=mask)
        assert 0 < np.abs(received - exact).max() < 0.1
        set_precision(layer, "full")
        assert np.array_equal(layer(inputs, mask=mask), exact)
        layer.set_weights(
            [
                in_bytes(value) if each.name in quantized and value.ndim == 2 else value
                for each, value in zip(layer.weights, layer.get_weights(), strict=True)
            ]
        )
        np.testing.assert_allclose(layer(inputs, mask=mask), received, rtol=0, atol=3e-4)


@pytest.mark.parametrize("kind", [LSTM, GRU])
def test_int8_goes_on_from_initial_states(kind):
    rng = np.random.default_rng(5)
    inputs = rng.normal(size=(3, 8, 5)).astype("float32")
    layer = kind(19, return_sequences=True, return_state=True)
    layer.build(inputs.shape)
    layer.inference_precision = "int8"
    whole, *states = layer(inputs)
    first, *between = layer(inputs[:, :3])
    second, *last = layer(inputs[:, 3:], initial_state=between)
    assert np.array_equal(np.concatenate([first, second], 1), whole)
    for expected, received in zip(states, last, strict=True):
        assert np.array_equal(received, expected)


def test_weights_that_have_no_scale_are_refused():
    layer = GRU(4, name="memory")
    layer.build((1, 2, 3))
    layer.inference_precision = "int8"
    weights = layer.get_weights()
    weights[1][2, 5] = np.inf
    layer.set_weights(weights)
    with pytest.raises(ValueError, match=r"'int8'.*finite weights.*memory/.*recurrent_kernel"):
        layer(np.ones((1, 2, 3), "float32"))
    layer.inference_precision = "full"
    assert layer(np.ones((1, 2, 3), "float32")).shape == (1, 4)


def test_inputs_that_are_not_finite_spoil_their_own_row_alone():
    layer = LSTM(11)
    inputs = np.random.default_rng(6).normal(size=(3, 4, 5)).astype("float32")
    layer.build(inputs.shape)
    layer.inference_precision = "int8"
    expected = layer(inputs)
    inputs[1, 2, 3] = np.nan
    received = layer(inputs)
    assert np.isnan(received[1]).all()
    assert np.array_equal(received[[0, 2]], expected[[0, 2]])


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_training_keeps_full_precision(precision):
    inputs = np.random.default_rng(2).normal(size=(3, 7, 4)).astype("float32")
    layer = LSTM(20, return_sequences=True)
    exact = layer(inputs)
    layer.inference_precision = precision
    again, vjp = layer.forward(inputs, Call(differentiable=True))
    assert vjp is not None
    assert np.array_equal(again, exact)
    assert not np.array_equal(layer(inputs), exact)


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_a_copy_keeps_the_precision_and_new_weights_are_seen(precision):
    inputs = np.random.default_rng(3).normal(size=(2, 5, 4)).astype("float32")
    layer = GRU(18)
    layer.build(inputs.shape)
    layer.inference_precision = precision
    first = layer(inputs)
    assert np.array_equal(copy.deepcopy(layer)(inputs), first)
    layer.set_weights([2 * weight for weight in layer.get_weights()])
    assert not np.array_equal(layer(inputs), first)


def test_one_precision_after_the_other():
    inputs = np.random.default_rng(7).normal(size=(2, 5, 4)).astype("float32")
    layer = LSTM(18)
    found = {"full": layer(inputs)}
    for precision in ("int8", "bfloat16", "int8", "full", "bfloat16"):
        layer.inference_precision = precision
        received = layer(inputs)
        assert np.array_equal(found.setdefault(precision, received), received)
    assert len({each.tobytes() for each in found.values()}) == 3


def test_what_cannot_be_is_refused():
    with pytest.raises(
        ValueError, match=r"`inference_precision`.*'full', 'bfloat16' or 'int8'.*'half'"
    ):
        LSTM(3).inference_precision = "half"
    with pytest.raises(ValueError, match=r"only for weights in float32, received the d"):
        LSTM(3, dtype="float64").inference_precision = "bfloat16"
    with pytest.raises(ValueError, match=r"'int8' only for weights in float32"):
        LSTM(3, dtype="float64").inference_precision = "int8"
    layer = RNN(LSTM(3).cell)
    layer.cell.inference_precision = "bfloat16"
    assert layer(np.ones((1, 2, 3), "float32")).shape == (1, 3)
