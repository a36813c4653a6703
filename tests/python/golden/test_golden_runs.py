"""Fifty training steps of whole models against Keras, in float32."""

from __future__ import annotations

import numpy as np

import ferrnn
import golden
from each_case import each_case
from specs import build


@each_case("name", golden.names("runs"))
def test_fifty_losses_are_those_of_keras(name: str) -> None:
    case = golden.load("runs", name)
    inputs, targets = case["inputs"], case["targets"]
    layers = [build(ferrnn.layers, spec) for spec in case.about["layers"]]
    model = ferrnn.Sequential([ferrnn.Input(batch_shape=inputs.shape[1:]), *layers])
    model.compile(ferrnn.optimizers.Adam(0.01), "mse")
    model.set_weights(case.series("weight"))
    losses = []
    for x, y in zip(inputs, targets, strict=True):
        model.reset_metrics()
        losses.append(model.train_on_batch(x, y))
    np.testing.assert_allclose(losses, case["losses"], rtol=1e-4)
    for weight, expected in zip(model.get_weights(), case.series("trained"), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-3, atol=1e-4)
    if "evaluated" in case.arrays:
        model.reset_metrics()
        evaluated = model.test_on_batch(inputs[0], targets[0])
        np.testing.assert_allclose(evaluated, case["evaluated"], rtol=1e-3)
    assert np.ptp(losses) > 0.01, "a loss that does not move proves nothing"
