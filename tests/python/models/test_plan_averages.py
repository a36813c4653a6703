"""Optimizers in plans that keep averages of the weights."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn.layers import LSTM, Dense
from models.planned import data, trained


def build():
    return keras.Sequential([keras.Input((6, 5)), LSTM(4, kernel_constraint="max_norm"), Dense(3)])


OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9),
    "overwriting": lambda: keras.optimizers.SGD(
        0.1, momentum=0.5, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=3
    ),
}


@pytest.mark.parametrize("loss", ["mse", "own"])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_averages_of_weights_are_the_same_to_the_bit(kind, loss, monkeypatch):
    def own(y_true, y_pred):
        return keras.ops.max(keras.ops.sort(keras.ops.abs(y_true - y_pred)), axis=-1)

    x, y = data()
    compiled = {"optimizer": OPTIMIZERS[kind], "loss": (lambda: own) if loss == "own" else "mse"}
    results = []
    for planned in (True, False):
        given = {"validation_data": (x[:9], y[:9]), "compiled": compiled}
        if kind == "adam":
            given["callbacks"] = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)]
        model, history = trained(build, x, y, monkeypatch, planned=planned, **given)
        variables = [variable.numpy() for variable in model.optimizer.variables]
        results.append([*history.values(), *model.get_weights(), *variables])
    for ours, wanted in zip(*results, strict=True):
        np.testing.assert_array_equal(ours, wanted)
    losses = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        keras.utils.set_random_seed(2)
        other = build()
        other.compile(OPTIMIZERS[kind](), "mse")
        losses.append([other.train_on_batch(x, y) for _ in range(5)])
        losses[-1].extend(other.get_weights())
    for ours, wanted in zip(*losses, strict=True):
        np.testing.assert_array_equal(ours, wanted)
