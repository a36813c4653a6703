"""Plans of models in which several places have the weights of one layer."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import layers
from ferrnn.layers import LSTM, Dense
from models.planned import data, same


def twins(inner):
    """Two inputs through one layer, and what they differ by."""

    def build():
        ends = [keras.Input((6, 5), name=name) for name in ("one", "other")]
        shared = inner()
        difference = layers.Subtract()([shared(end) for end in ends])
        return keras.Model(ends, Dense(3)(difference))

    return build


def model_inside():
    inputs = keras.Input((6, 5))
    x = layers.BatchNormalization()(layers.Conv1D(4, 3)(inputs))
    return keras.Model(inputs, Dense(3, "tanh")(LSTM(4, dropout=0.2)(x)))


def chain_inside():
    parts = [LSTM(4, return_sequences=True), layers.Dropout(0.3), layers.GRU(4)]
    return keras.Sequential([keras.Input((6, 5)), *parts])


TWINS = {
    "recurrent": lambda: LSTM(4, recurrent_dropout=0.2),
    "both ways": lambda: layers.Bidirectional(layers.GRU(3)),
    "model": model_inside,
    "chain": chain_inside,
}


def compare(build, x, y, monkeypatch, **options):
    model = same(build, x, y, monkeypatch, **options)
    results = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        judged = model.evaluate(x, y, batch_size=4, verbose=0)
        results.append([judged, *(model.predict(x, batch_size=4, verbose=0) for _ in range(4))])
    for ours, wanted in zip(*results, strict=True):
        np.testing.assert_array_equal(ours, wanted)
    return model


@pytest.mark.parametrize("kind", TWINS)
@pytest.mark.parametrize("clip", [{}, {"global_clipnorm": 0.1}])
def test_twins_train_to_the_same_bits(kind, clip, monkeypatch):
    x, y = data()
    compiled = {"optimizer": lambda: keras.optimizers.Adam(0.01, **clip), "loss": "mse"}
    given = [x, np.roll(x, 1, axis=0)]
    compare(twins(TWINS[kind]), given, y, monkeypatch, compiled=compiled)


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_of_many_uses_are_summed_in_their_order(dtype, frozen, monkeypatch):
    def build():
        inputs = keras.Input((6, 5), dtype=dtype)
        step = layers.GRU(5, return_sequences=True, dtype=dtype)
        shape = Dense(5, "tanh", dtype=dtype)
        step.trainable = not frozen
        x = inputs
        for _ in range(4):
            x = shape(step(x))
        x = layers.Add(dtype=dtype)([x, shape(inputs)])
        return keras.Model(inputs, Dense(3, dtype=dtype)(layers.GlobalMaxPooling1D(dtype=dtype)(x)))

    x, y = data(dtype=dtype)
    compare(build, 3 * x, y, monkeypatch)


def test_a_table_of_two_texts(monkeypatch):
    def build():
        ends = [keras.Input((7,), dtype="int32") for _ in range(2)]
        words, read = layers.Embedding(11, 5, mask_zero=True), LSTM(4)
        both = layers.Concatenate()([read(words(end)) for end in ends])
        return keras.Model(ends, Dense(3)(both))

    ids = np.random.default_rng(3).integers(0, 11, (2, 29, 7)).astype("int32")
    compare(build, [*ids], data()[1], monkeypatch)


def test_one_normalization_follows_all_that_it_sees(monkeypatch):
    def build():
        inputs = keras.Input((6, 5))
        normal = layers.BatchNormalization(momentum=0.5)
        x = normal(LSTM(5, return_sequences=True)(normal(inputs)))
        return keras.Model(inputs, Dense(3)(layers.GRU(4)(x)))

    model = compare(build, *data(), monkeypatch)
    assert np.any(model.layers[1].get_weights()[2])


class Scaled(layers.Layer):
    """A layer of a user's, with a weight."""

    def build(self, input_shape):
        self.scale = self.add_weight((input_shape[-1],), "ones", name="scale")

    def call(self, inputs):
        return keras.ops.sort(inputs) * self.scale


def test_a_layer_that_is_handed_back_twice(monkeypatch):
    def build():
        inputs, scaled = keras.Input((6, 5)), Scaled()
        x = scaled(LSTM(5, return_sequences=True)(scaled(inputs)))
        return keras.Model(inputs, Dense(3)(layers.GRU(4)(x)))

    model = compare(build, *data(), monkeypatch)
    assert sum(node.back is not None for node in model.explain_plan()) == 2


def test_weights_that_are_one_in_part_are_said():
    inputs = keras.Input((6, 5))
    first, second = Dense(5), Dense(5)
    model = keras.Model(inputs, LSTM(3)(second(first(inputs))))
    second.kernel = first.kernel
    model.compile("sgd", "mse")
    assert "a weight is used by two layers" in str(model.explain_plan())
