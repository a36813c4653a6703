"""Layers in plans that are called with `training=`, as parts of models or alone."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import layers, ops
from ferrnn.layers import GRU, LSTM, Dense
from models.planned import data, same


def inner():
    """A model of all that differs in training."""
    return keras.Sequential(
        [
            keras.Input((6, 5)),
            layers.Conv1D(4, 3, padding="same"),
            layers.BatchNormalization(),
            layers.Dropout(0.3, seed=3),
            LSTM(4, return_sequences=True, dropout=0.2, recurrent_dropout=0.1, seed=2),
            layers.SpatialDropout1D(0.2, seed=4),
        ]
    )


class Scaled(layers.Layer):
    """A user's layer that asks."""

    def build(self, input_shape):
        self.scale = self.add_weight((input_shape[-1],), "ones", name="scale")

    def call(self, inputs, training=None):
        return ops.sort(inputs * self.scale) * (0.5 if training else 2.0)


class Block(layers.Layer):
    """A user's layer of layers."""

    def __init__(self):
        super().__init__()
        self.attends, self.drop = layers.MultiHeadAttention(2, 2, dropout=0.2), layers.Dropout(0.4)

    def call(self, inputs, training=None):
        mixed = self.attends(inputs, inputs, training=training)
        return self.drop(inputs + mixed, training=training)


KINDS = {
    "model": lambda x, training: inner()(x, training=training),
    "dropout": lambda x, training: layers.Dropout(0.4, seed=1)(x, training=training),
    "normalization": lambda x, training: layers.BatchNormalization()(x, training=training),
    "recurrent": lambda x, training: GRU(
        4, return_sequences=True, recurrent_dropout=0.3, seed=2
    )(x, training=training),
    "both ways": lambda x, training: layers.Bidirectional(
        GRU(3, return_sequences=True, dropout=0.3, seed=2)
    )(x, training=training),
    "attention": lambda x, training: layers.MultiHeadAttention(2, 3, dropout=0.2, seed=5)(
        x, x, training=training
    ),
    "dense": lambda x, training: Dense(4)(x, training=training),
    "handed back": lambda x, training: Scaled()(x, training=training),
    "of layers": lambda x, training: Block()(x, training=training),
}  # fmt: skip


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_layers_are_called_as_told(kind, training, monkeypatch):
    def build():
        inputs = keras.Input((6, 5))
        x = LSTM(5, return_sequences=True)(inputs)
        return keras.Model(inputs, Dense(3)(LSTM(3)(KINDS[kind](x, training))))

    x, y = data()
    given = {"validation_data": (x[:9], y[:9]), "compiled": {"metrics": ["mae"]}}
    model = same(build, x, y, monkeypatch, **given)
    backs = [node.back for node in model.explain_plan() if node.back]
    assert len(backs) == (kind == "handed back")
    judged = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        keras.utils.set_random_seed(1)
        other = build()
        other.compile("sgd", "mse")
        other.set_weights(model.get_weights())
        judged.append([*(other(x[:5]) for _ in range(5)), other.predict(x, verbose=0)])
        judged[-1].append(other.evaluate(x, y, verbose=0))
    for own, wanted in zip(*judged, strict=True):
        np.testing.assert_array_equal(own, wanted)


def test_the_call_around_does_not_matter_to_layers_that_say_more(monkeypatch):
    def build():
        inside = keras.Input((6, 5))
        drop = layers.Dropout(0.4, seed=1)(inside, training=True)
        nested = keras.Model(inside, layers.Dropout(0.3, seed=2)(drop))
        inputs = keras.Input((6, 5))
        return keras.Model(inputs, Dense(3)(LSTM(3)(nested(inputs, training=False))))

    model = same(build, *data(), monkeypatch)
    assert all(node.back is None for node in model.explain_plan())
    first, second = (model(np.ones((2, 6, 5), "float32")) for _ in range(2))
    assert not np.array_equal(first, second)
