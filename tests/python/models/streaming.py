"""Models and sequences for the tests of streams."""

import numpy as np

from ferrnn.layers import GRU, LSTM, RNN, Activation, Dense, Dropout, Input
from ferrnn.models import Sequential

STEPS, FEATURES = 6, 5


def randomised(model, seed=1):
    rng = np.random.default_rng(seed)
    model.set_weights([0.4 * rng.normal(size=weight.shape) for weight in model.weights])
    return model


def positive(model, seed=1):
    """Random weights; variances are positive."""
    rng = np.random.default_rng(seed)
    model.set_weights(
        [
            0.1 + rng.random(weight.shape)
            if "variance" in weight.name
            else 0.4 * rng.normal(size=weight.shape)
            for weight in model.weights
        ]
    )
    return model


def sequences(rows, dtype="float32", seed=2):
    return np.random.default_rng(seed).normal(size=(rows, STEPS, FEATURES)).astype(dtype)


def recurrent(kind, **options):
    return Sequential([Input((None, FEATURES)), kind(19, return_sequences=True, **options)])


def deep(dtype="float32"):
    cells = [GRU(3, dtype=dtype).cell, LSTM(17, dtype=dtype).cell]
    inner = Sequential(
        [GRU(7, reset_after=False, return_sequences=True, dtype=dtype, name="low")], name="inner"
    )
    return Sequential(
        [
            Input((None, FEATURES), dtype=dtype),
            LSTM(18, return_sequences=True, dtype=dtype, name="first"),
            Dropout(0.5, dtype=dtype),
            inner,
            Dense(9, "relu", dtype=dtype),
            Activation("tanh", dtype=dtype),
            RNN(cells, return_sequences=True, name="stack"),
            Dense(6, "softmax", dtype=dtype),
        ]
    )
