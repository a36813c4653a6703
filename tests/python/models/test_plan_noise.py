"""Layers of noise in plans: the same draws, bits and counters of generators as without."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import layers
from ferrnn.layers import GRU, LSTM, Dense
from models.planned import data
from models.test_plan_layers import DTYPES, SEQUENCE, agrees, between

NOISE = {
    "added": layers.GaussianNoise(0.3, seed=1),
    "added, none": layers.GaussianNoise(0.0, seed=1),
    "added, widely": layers.GaussianNoise(1.0, seed=1),
    "multiplied": layers.GaussianDropout(0.4, seed=2),
    "multiplied, none": layers.GaussianDropout(0.0),
    "alpha": layers.AlphaDropout(0.3, seed=3),
    "alpha, all": layers.AlphaDropout(1.0, seed=3),
    "spatial": layers.SpatialDropout1D(0.4, seed=4),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", NOISE)
def test_noise(kind, dtype, monkeypatch):
    x, y = data((29, *SEQUENCE), dtype=dtype)
    layer = NOISE[kind]
    model = agrees(between(layer, dtype=dtype), x, y, monkeypatch)
    own = next(each for each in model.layers if type(each) is type(layer))
    steps = 0 if kind.endswith("none") else 12
    assert own.seed_generator.counter == steps
    agrees(between(layer, ends=(None, "LSTM"), dtype=dtype), x, y, monkeypatch)


def test_noise_of_rows_and_of_one_generator_for_several(monkeypatch):
    def build():
        inputs = keras.Input((5,))
        x = Dense(4, "selu")(layers.GaussianNoise(0.1, seed=5)(inputs))
        noise = layers.GaussianDropout(0.2, seed=6)
        x = layers.Add()([noise(x), layers.AlphaDropout(0.1, seed=7)(noise(x))])
        return keras.Model(inputs, Dense(3)(x))

    agrees(build, *data((29, 5)), monkeypatch)


def test_noise_keeps_masks(monkeypatch):
    def build():
        parts = [keras.Input(SEQUENCE), layers.Masking(0.5), LSTM(4, return_sequences=True)]
        parts += [layers.GaussianNoise(0.1, seed=1), GRU(4, return_sequences=True)]
        return keras.Sequential([*parts, layers.AlphaDropout(0.2, seed=2), GRU(3), Dense(3)])

    x, y = data((29, *SEQUENCE))
    x[:, 7:] = x[3] = 0.5
    agrees(build, x, y, monkeypatch)


def test_a_shape_of_noise_is_handed_back():
    parts = [keras.Input(SEQUENCE), layers.AlphaDropout(0.2, noise_shape=(None, 1, 5)), LSTM(3)]
    model = keras.Sequential(parts)
    model.compile("sgd", "mse")
    assert [node.back for node in model.explain_plan() if node.back] == [
        "it has noise_shape=(None, 1, 5)"
    ]


@pytest.mark.parametrize("dtype", DTYPES)
def test_noise_is_normal(dtype):
    noise = layers.GaussianNoise(0.5, seed=8, dtype=dtype)(np.zeros((400, 500)), training=True)
    assert noise.dtype == np.dtype(dtype)
    assert abs(noise.mean()) < 5e-3
    assert abs(noise.std() - 0.5) < 5e-3
    # 4.6% of normal numbers are further than two standard deviations from their mean.
    assert abs((np.abs(noise) > 1).mean() - 0.0455) < 3e-3
    again = layers.GaussianNoise(0.5, seed=8, dtype=dtype)(np.zeros((400, 500)), training=True)
    np.testing.assert_array_equal(noise, again)
