"""Products of values with masks in plans: the bits of training, judging and predicting without."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import layers
from ferrnn.layers import GRU, LSTM, Dense
from models.planned import data
from models.test_plan_layers import DTYPES, agrees


def read(x, kind=LSTM):
    return kind(4, return_sequences=True, dtype=x.dtype)(x)


def product(*parts):
    return layers.Multiply(dtype=parts[0].dtype)([*parts])


def other(x):
    """The same steps with a mask of their own."""
    return layers.Masking(0.25, dtype=x.dtype)(x)


def squared(x):
    return product(x, layers.Add(dtype=x.dtype)([x, x]), x)


BODIES = {
    "one mask": lambda x, bare: product(read(x), read(x, GRU)),
    "one of two": lambda x, bare: product(Dense(4, dtype=x.dtype)(bare), read(x)),
    "two masks": lambda x, bare: product(read(x), read(other(bare), GRU)),
    "three": lambda x, bare: product(read(x), read(other(bare)), read(x, GRU)),
    "three, one without": lambda x, bare: product(read(x), read(bare), read(other(bare))),
    "itself": lambda x, bare: squared(read(x)),
    "inputs": lambda x, bare: product(x, x),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", BODIES)
def test_products(kind, dtype, monkeypatch):
    def build():
        inputs = keras.Input((6, 5), dtype=dtype)
        made = BODIES[kind](layers.Masking(0.5, dtype=dtype)(inputs), inputs)
        return keras.Model(inputs, Dense(3, dtype=dtype)(GRU(3, dtype=dtype)(made)))

    x, y = data(dtype=dtype)
    for row, length in enumerate(np.random.default_rng(2).integers(1, 7, len(x))):
        x[row, length:] = 0.5
        x[row, : row % 4] = 0.25
    x[4], x[5] = 0.5, 0.25
    agrees(build, x, y, monkeypatch)


def test_gates_of_padded_words(monkeypatch):
    def build():
        inputs = keras.Input((None,), dtype="int32")
        x = layers.Embedding(9, 4, mask_zero=True)(inputs)
        gate = Dense(4, "sigmoid")(read(x))
        return keras.Model(inputs, Dense(3)(LSTM(4)(product(x, gate))))

    random = np.random.default_rng(3)
    words = random.integers(1, 9, (29, 7)) * (np.arange(7) < random.integers(1, 8, (29, 1)))
    agrees(build, words, data((29, 7))[1], monkeypatch)
