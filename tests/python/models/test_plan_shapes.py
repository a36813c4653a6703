"""Layers that change the order or the number of steps in plans, and channels that come first."""

import pytest

import ferrnn as keras
from ferrnn import layers
from ferrnn.layers import LSTM, Dense
from models.planned import data
from models.test_plan_layers import DTYPES, SEQUENCE, agrees, between

FIRST = {"data_format": "channels_first"}
SHAPING = {
    "padded": layers.ZeroPadding1D((1, 3)),
    "padded behind": layers.ZeroPadding1D((0, 2)),
    "padded features": layers.ZeroPadding1D(1, **FIRST),
    "cropped": layers.Cropping1D((2, 1)),
    "cropped ahead": layers.Cropping1D((4, 0)),
    "repeated": layers.UpSampling1D(3),
    "repeated often": layers.UpSampling1D(11),
    "once": layers.UpSampling1D(1),
    "turned": layers.Permute((2, 1)),
    "in order": layers.Permute((1, 2)),
    "weights of steps": layers.Softmax(axis=1),
    "weights of steps, from the end": layers.Softmax(axis=-2),
    "flat": layers.Flatten(**FIRST),
    "convolved": layers.Conv1D(4, 3, activation="relu", **FIRST),
    "convolved with strides": layers.Conv1D(4, 2, strides=2, padding="same", **FIRST),
    "highest": layers.MaxPooling1D(2, **FIRST),
    "means": layers.AveragePooling1D(3, strides=1, padding="same", **FIRST),
}


@pytest.mark.parametrize("units", [1, 6])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", SHAPING)
def test_shapes(kind, dtype, units, monkeypatch):
    layer = SHAPING[kind]
    windows = isinstance(layer, (layers.Conv1D, layers.MaxPooling1D, layers.AveragePooling1D))
    if windows and units == 1:
        units = 3
    x, y = data((29, *SEQUENCE), dtype=dtype)
    ahead = LSTM(units, return_sequences=True)
    behind = None if kind == "flat" else "LSTM"
    agrees(between(layer, ends=(ahead, behind), dtype=dtype), x, y, monkeypatch)


def test_steps_weighed_by_hand(monkeypatch):
    """Attention as it was written with `Permute`: a weight for each step and feature."""

    def build():
        inputs = keras.Input(SEQUENCE)
        read = LSTM(4, return_sequences=True)(inputs)
        turned = layers.Permute((2, 1))(read)
        weights = layers.Permute((2, 1))(Dense(SEQUENCE[0], "softmax")(turned))
        mixed = layers.Multiply()([read, weights])
        return keras.Model(inputs, Dense(3)(layers.Flatten()(mixed)))

    agrees(build, *data((29, *SEQUENCE)), monkeypatch)


def test_lengths_that_are_not_known(monkeypatch):
    def build():
        inputs = keras.Input((None, 5))
        x = LSTM(4, return_sequences=True)(inputs)
        for layer in (layers.ZeroPadding1D(2), layers.UpSampling1D(2), layers.Cropping1D(1)):
            x = layer(x)
        return keras.Model(inputs, Dense(3)(LSTM(3)(layers.Softmax(axis=1)(x))))

    agrees(build, *data((29, *SEQUENCE)), monkeypatch)


@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")
@pytest.mark.parametrize("kind", ["padded", "cropped", "repeated", "turned", "in order"])
def test_masks_end(kind, monkeypatch):
    def build():
        parts = [keras.Input(SEQUENCE), layers.Masking(0.5), LSTM(4, return_sequences=True)]
        return keras.Sequential([*parts, SHAPING[kind], LSTM(3), Dense(3)])

    x, y = data((29, *SEQUENCE))
    x[:, 7:] = 0.5
    agrees(build, x, y, monkeypatch)


def test_more_steps_cropped_than_there_are():
    model = between(layers.Cropping1D(4), ends=(None, "LSTM"), shape=(None, 5))()
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="smaller than the input length"):
        model.fit(*data((8, 8, 5)), verbose=0)
