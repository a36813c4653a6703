"""Recurrent weights in bfloat16, for inference."""

import copy

import numpy as np
import pytest

from ferrnn._src.layer.layer import Call
from ferrnn.layers import GRU, LSTM, RNN, SimpleRNN


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


def test_training_keeps_full_precision():
    inputs = np.random.default_rng(2).normal(size=(3, 7, 4)).astype("float32")
    layer = LSTM(20, return_sequences=True)
    exact = layer(inputs)
    layer.inference_precision = "bfloat16"
    again, vjp = layer.forward(inputs, Call(differentiable=True))
    assert vjp is not None
    assert np.array_equal(again, exact)
    assert not np.array_equal(layer(inputs), exact)


def test_a_copy_keeps_the_precision_and_new_weights_are_seen():
    inputs = np.random.default_rng(3).normal(size=(2, 5, 4)).astype("float32")
    layer = GRU(18)
    layer.build(inputs.shape)
    layer.inference_precision = "bfloat16"
    first = layer(inputs)
    assert np.array_equal(copy.deepcopy(layer)(inputs), first)
    layer.set_weights([2 * weight for weight in layer.get_weights()])
    assert not np.array_equal(layer(inputs), first)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"`inference_precision`.*'full' or 'bfloat16'.*'half'"):
        LSTM(3).inference_precision = "half"
    with pytest.raises(ValueError, match=r"float32 weights only, the dtype is float64"):
        LSTM(3, dtype="float64").inference_precision = "bfloat16"
    layer = RNN(LSTM(3).cell)
    layer.cell.inference_precision = "bfloat16"
    assert layer(np.ones((1, 2, 3), "float32")).shape == (1, 3)
