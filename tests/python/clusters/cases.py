"""Models and samples for the tests of clusters."""

import numpy as np

import ferrnn
from ferrnn.layers import GRU, LSTM, Dense, Dropout, Input


def networks(units=5, dropout=0.0, optimizer="adam"):
    ferrnn.utils.set_random_seed(3)
    layers = [Input((7, 2)), LSTM(units, kernel_regularizer="l2"), Dropout(dropout), Dense(3)]
    model = ferrnn.Sequential(layers)
    model.compile(optimizer, loss="mse")
    return model


def samples(count=203):
    random = np.random.default_rng(1)
    x = random.normal(size=(count, 7, 2)).astype("float32")
    return x, x[:, :3, 0] * x[:, 4:, 1]


def build():
    model = ferrnn.Sequential([Input((7, 2)), GRU(4), Dense(3)])
    model.compile("adam", loss="mse")
    return model


def five_groups():
    x, y = samples()
    # What comes out of a table is contiguous, and the order of sums goes by how arrays lie.
    return {f"group {n}": tuple(map(np.ascontiguousarray, (x[n::5], y[n::5]))) for n in range(5)}


def assert_same(ones, others):
    for one, other in zip(ones, others, strict=True):
        np.testing.assert_array_equal(one, other)
