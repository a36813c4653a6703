"""Gradients that shrink on their way back through time."""

from __future__ import annotations

import numpy as np

import ferrnn
from each_case import each_case
from ferrnn import Call, Gradients


@each_case("dtype", ["float32", "float64"])
@each_case("kind", [ferrnn.layers.LSTM, ferrnn.layers.GRU, ferrnn.layers.SimpleRNN])
def test_gradients_end_in_zero_and_not_in_subnormal_numbers(
    kind: type[ferrnn.layers.Layer], dtype: str
) -> None:
    layer = kind(5, return_sequences=True, dtype=dtype)
    inputs = np.random.default_rng(0).standard_normal((3, 2000, 2)).astype(dtype)
    layer.build(inputs.shape)
    layer.set_weights([0.1 * weight for weight in layer.get_weights()])
    outputs, vjp = layer.forward(inputs, Call(differentiable=True))
    d_outputs = np.zeros_like(outputs)
    d_outputs[:, -1] = 1.0
    d_inputs = vjp(d_outputs, Gradients())
    largest = np.abs(d_inputs).max(axis=(0, 2))
    assert largest[-1] > 1e-3
    assert (largest[:5] == 0).all()
    subnormal = (d_inputs != 0) & (np.abs(d_inputs) < np.finfo(dtype).tiny)
    assert not subnormal.any()
