"""Fifty training steps of users' own cells, layers, losses and activations against Keras."""

from __future__ import annotations

import numpy as np
import pytest

import custom_models
import ferrnn
import golden


@pytest.mark.parametrize("name", golden.names("custom"))
def test_fifty_losses_are_those_of_keras(name: str) -> None:
    case = golden.load("custom", name)
    model = custom_models.make(ferrnn, name)
    model.set_weights(case.series("weight"))
    losses = []
    for x, y in zip(case["inputs"], case["targets"], strict=True):
        model.reset_metrics()
        losses.append(model.train_on_batch(x, y))
    np.testing.assert_allclose(losses, case["losses"], rtol=1e-4)
    for weight, expected in zip(model.get_weights(), case.series("trained"), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-3, atol=1e-4)
    assert np.ptp(losses) > 0.01, "a loss that does not move proves nothing"


def test_every_model_was_run() -> None:
    assert tuple(golden.names("custom")) == custom_models.NAMES
