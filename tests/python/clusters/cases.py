"""Models and samples for the tests of clusters."""

import os
import signal
from pathlib import Path

import numpy as np

import ferrnn
from ferrnn.layers import GRU, LSTM, Dense, Dropout, Input, Layer


def networks(units=5, dropout=0.0, optimizer="adam", first=None):
    ferrnn.utils.set_random_seed(3)
    layers = [LSTM(units, kernel_regularizer="l2"), Dropout(dropout), Dense(3)]
    layers = [Input((7, 2)), *([] if first is None else [first]), *layers]
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
    # Arrays from a table are contiguous, and the order of sums depends on the memory layout.
    return {f"group {n}": tuple(map(np.ascontiguousarray, (x[n::5], y[n::5]))) for n in range(5)}


class Deadly(Layer):
    """Kills the training process once: while the file exists."""

    def __init__(self, marker, **options):
        super().__init__(**options)
        self.marker, self.here = str(marker), os.getpid()

    def call(self, inputs):
        if os.getpid() != self.here:
            die_once(self.marker)
        return inputs


def die_once(marker):
    """Ends this process like a failing machine, if it is the first to remove the file."""
    try:
        Path(marker).unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def assert_same(ones, others):
    for one, other in zip(ones, others, strict=True):
        np.testing.assert_array_equal(one, other)
