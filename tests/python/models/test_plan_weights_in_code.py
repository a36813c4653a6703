"""Users' layers with weights of their own that call layers: each operation is a part of a plan."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import layers, ops
from ferrnn.layers import GRU, LSTM, Dense
from models.planned import check_step, data, trained


class Dropped(layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units, self.drop = units, layers.Dropout(0.3, seed=3, dtype=self.dtype)

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], self.units), "glorot_uniform", name="k")
        self.bias = self.add_weight((self.units,), "zeros", name="b")

    def call(self, inputs, training=None):
        hidden = ops.tanh(ops.matmul(inputs, self.kernel) + self.bias)
        return self.drop(hidden, training=training)


class Reused(Dropped):
    """One weight in two operations, on either side, and a scale that is not trained."""

    def build(self, input_shape):
        super().build(input_shape)
        self.scale = self.add_weight((self.units,), "ones", trainable=False, name="s")

    def call(self, inputs, training=None):
        hidden = super().call(inputs, training=training)
        return self.bias * hidden + hidden * self.scale


class Shared(Dropped):
    """One weight in two operations that take different ones besides."""

    def call(self, inputs, training=None):
        hidden = super().call(ops.square(inputs), training=training)
        return hidden + ops.where(hidden > 0, self.kernel[0], self.bias)


class Sorted(Dropped):
    """An operation on a weight that no program has."""

    def call(self, inputs, training=None):
        hidden = super().call(inputs, training=training)
        return hidden + ops.sort(self.bias) + ops.flip(ops.sort(hidden + self.bias))


def model_of(kind, dtype="float32"):
    def build():
        inputs = keras.Input((6, 5), dtype=dtype)
        x = LSTM(4, return_sequences=True, dtype=dtype)(inputs)
        x = kind(3, dtype=dtype)(x)
        return keras.Model(inputs, Dense(3, dtype=dtype)(GRU(4, dtype=dtype)(x)))

    return build


@pytest.mark.parametrize(("kind", "back"), [(Dropped, 0), (Reused, 0), (Shared, 1), (Sorted, 1)])
def test_code_with_weights_trains_as_layer_by_layer(kind, back, monkeypatch):
    x, y = data(dtype="float64")
    given = {"validation_data": (x[:9], y[:9])}
    (ours, history), (theirs, wanted) = (
        trained(model_of(kind, "float64"), x, y, monkeypatch, planned=planned, **given)
        for planned in (True, False)
    )
    assert sum(node.back is not None for node in ours.explain_plan()) == back
    for name, values in history.items():
        np.testing.assert_allclose(values, wanted[name], rtol=1e-10)
    for own, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-6, atol=1e-10)
    monkeypatch.setenv("FERRNN_PLAN", "1")
    for _ in range(4):
        np.testing.assert_allclose(ours(x[:5]), theirs(x[:5]), rtol=1e-6, atol=1e-10)


class Scaling(keras.Model):
    """A model that reads a weight."""

    def __init__(self):
        super().__init__()
        self.read, self.out = LSTM(4), Dense(3)

    def build(self, input_shape):
        self.scale = self.add_weight((4,), "ones", name="scale")
        super().build(input_shape)

    def call(self, inputs):
        return self.out(self.read(inputs) * self.scale)


def test_a_model_that_reads_a_weight_is_planned(monkeypatch):
    def build():
        model = Scaling()
        model(np.zeros((2, 6, 5), "float32"))
        return model

    x, y = data()
    (ours, history), (theirs, wanted) = (
        trained(build, x, y, monkeypatch, planned=planned) for planned in (True, False)
    )
    np.testing.assert_allclose(history["loss"], wanted["loss"], rtol=1e-6)
    for own, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-6)


def test_gradients_against_differences(monkeypatch):
    """The step of plain descent is the gradient, for one draw of what is dropped."""
    monkeypatch.setenv("FERRNN_PLAN", "1")
    x, y = data(dtype="float64")
    keras.utils.set_random_seed(4)
    model = model_of(Reused, "float64")()
    model.compile(keras.optimizers.SGD(1.0), "mse")
    assert all(node.back is None for node in model.explain_plan())
    layer = model.layers[2].drop.seed_generator
    count = layer.counter

    def loss():
        layer.counter = count
        return float(np.mean((np.asarray(model(x, training=True)) - y) ** 2))

    check_step(model, lambda: model.train_on_batch(x, y), loss)


def test_weights_change_between_calls(monkeypatch):
    monkeypatch.setenv("FERRNN_PLAN", "1")
    x, y = data()
    model = model_of(Reused)()
    model.compile("sgd", "mse")
    model.fit(x, y, verbose=0)
    layer = model.layers[2]
    first = model.predict(x, verbose=0)
    layer.scale.assign(np.full(3, 2.0))
    second = model.predict(x, verbose=0)
    assert not np.array_equal(first, second)
    np.testing.assert_allclose(second, model(x), rtol=1e-5, atol=1e-6)
    layer.bias.trainable = False
    kept = layer.bias.numpy()
    model.compile("sgd", "mse")
    model.fit(x, y, verbose=0)
    np.testing.assert_array_equal(layer.bias.numpy(), kept)


class Placed(layers.Layer):
    """Words and their places, as transformers have them."""

    def __init__(self, places, **kwargs):
        super().__init__(**kwargs)
        self.words = layers.Embedding(9, 4)
        self.places = layers.Embedding(places, 4)

    def call(self, inputs):
        return self.words(inputs) + self.places(ops.arange(0, ops.shape(inputs)[-1], 1))


def placed(places):
    inputs = keras.Input((6,), dtype="int32")
    return keras.Model(inputs, Dense(3)(GRU(4)(Placed(places)(inputs))))


def test_embeddings_of_places_are_weights(monkeypatch):
    x, y = np.random.default_rng(1).integers(0, 9, (29, 6)).astype("int32"), data()[1]
    (ours, history), (theirs, wanted) = (
        trained(lambda: placed(6), x, y, monkeypatch, planned=planned) for planned in (True, False)
    )
    assert all(node.back is None for node in ours.explain_plan())
    np.testing.assert_allclose(history["loss"], wanted["loss"], rtol=1e-6)
    for own, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-6)


def test_embeddings_of_some_places_are_not():
    model = placed(8)
    model.compile("adam", "mse")
    assert not model.explain_plan().covered
    x = np.random.default_rng(1).integers(0, 9, (29, 6)).astype("int32")
    model.fit(x, data()[1], verbose=0)
