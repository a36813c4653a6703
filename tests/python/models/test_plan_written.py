"""Layers, operations, losses and metrics of users in plans: programs of the engine."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import layers, ops
from ferrnn.layers import GRU, LSTM, Dense
from models.own_code import (  # noqa: F401 - fixtures
    Gated,
    close,
    floatx,
    functional,
    judged_in_python,
    ran,
)
from models.planned import data, trained


class Pooled(layers.Layer):
    """Steps weighed by what they say, as attention does; other code in training."""

    def build(self, input_shape):
        self.query = self.add_weight((input_shape[-1], 1), name="query")

    def call(self, inputs, training=False):
        ran.append(inputs)
        shares = ops.softmax(ops.squeeze(ops.tanh(inputs) @ self.query, -1), axis=-1)
        pooled = ops.sum(inputs * ops.expand_dims(shares, -1), axis=1)
        return pooled if training else pooled * 1.25


class Between(layers.Layer):
    """Of two inputs."""

    def call(self, first, second):
        ran.append(first)
        return first * second - ops.mean(first, axis=-1, keepdims=True)


class Normal(layers.Layer):
    """A layer with a normalization and a product of the engine inside."""

    def __init__(self, **options):
        super().__init__(**options)
        self.normal = layers.LayerNormalization(dtype=self.dtype)
        self.product = layers.Dense(5, activation="gelu", dtype=self.dtype)

    def build(self, input_shape):
        self.normal.build(input_shape)
        self.product.build(input_shape)

    def call(self, inputs):
        ran.append(inputs)
        return inputs + self.product(self.normal(inputs))


def of_two(x):
    return Between()(LSTM(4)(x), GRU(4)(x))


def of_operations(x):
    h, g = LSTM(4)(x), GRU(4)(x)
    return ops.concatenate([ops.sin(h) * g + 0.5, (h - g)[:, 1:3] / 2.0], axis=-1)


def bent(x):
    return ops.where(x > 0, x, 0.1 * x) + 0.1 * ops.sin(x)


LAYERS = {
    "gated": lambda x: LSTM(3)(Gated()(GRU(4, return_sequences=True)(x))),
    "pooled": lambda x: Pooled()(LSTM(4, return_sequences=True)(x)),
    "first": lambda x: GRU(4)(Normal()(x)),
    "two": of_two,
    "twice": lambda x: LSTM(3)((shared := Gated())(shared(x))),
    "lambda": lambda x: GRU(3)(layers.Lambda(lambda v: v * ops.sin(v) + 1)(x)),
    "operations": of_operations,
    "activation": lambda x: Dense(4, bent)(layers.Activation(bent)(LSTM(4)(x))),
    "of steps": lambda x: GRU(4)(
        layers.Activation(lambda v: v - ops.mean(v, axis=1, keepdims=True))(x)
    ),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_layers_train_as_their_code_says(kind, judged, monkeypatch):
    x, y = data(dtype="float64")
    body = functional(LAYERS[kind])
    model = close(body, x, y, monkeypatch, validation_data=(x[:9], y[:9]))
    assert all(node.back is None for node in model.explain_plan()), model.explain_plan()
    assert not judged


@pytest.mark.parametrize("kind", LAYERS)
def test_layers_train_in_single_precision(kind, monkeypatch):
    x, y = data()
    close(functional(LAYERS[kind], "float32"), x, y, monkeypatch, rtol=2e-4)


def test_their_code_does_not_run_at_each_step(monkeypatch):
    x, y = data()
    model, _ = trained(functional(LAYERS["pooled"], "float32"), x, y, monkeypatch, planned=True)
    counts = []
    for epochs in (1, 1, 9):
        ran.clear()
        model.fit(x, y, batch_size=2, epochs=epochs, verbose=0)
        model.predict(x, batch_size=2, verbose=0)
        counts.append(len(ran))
    assert counts[1] == counts[2] < 15


def test_sequences_of_any_length(monkeypatch):
    def build():
        inputs = keras.Input((None, 5))
        return keras.Model(inputs, Dense(3)(Pooled()(LSTM(4, return_sequences=True)(inputs))))

    x, y = data()
    close(build, x, y, monkeypatch, rtol=2e-4)
    model, _ = trained(build, x, y, monkeypatch, planned=True)
    model.fit(x[:, :4], y, batch_size=8, verbose=0)
    short = model.predict(x[:, :4], verbose=0)
    np.testing.assert_allclose(short, model(x[:, :4]), rtol=1e-5)


def test_attributes_and_untrained_weights_may_change(monkeypatch):
    x, y = data(dtype="float64")
    model, _ = trained(functional(LAYERS["gated"]), x, y, monkeypatch, planned=True)
    gated = next(layer for layer in model.layers if isinstance(layer, Gated))
    outputs = []
    for change in (
        lambda: None,
        lambda: setattr(gated, "power", 3.0),
        lambda: gated.shift.assign([0.5]),
    ):
        change()
        outputs.append(model.predict(x, verbose=0))
        np.testing.assert_allclose(outputs[-1], model(x), rtol=1e-12)
    assert not np.allclose(outputs[0], outputs[1])
    assert not np.allclose(outputs[1], outputs[2])

    class Shift(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            gated.shift.assign_add([0.25])

    results = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        again = keras.models.clone_model(model)
        again.set_weights(model.get_weights())
        again.compile("sgd", "mse")
        gated = next(layer for layer in again.layers if isinstance(layer, Gated))
        history = again.fit(x, y, batch_size=8, verbose=0, shuffle=False, callbacks=[Shift()])
        results.append(history.history["loss"])
    np.testing.assert_allclose(*results, rtol=1e-9)


def test_predict_and_evaluate_follow_new_weights_at_any_batch_size(monkeypatch):
    x, y = data()
    body = functional(lambda x: (shared := Gated())(shared(GRU(4)(x))), "float32")
    model, _ = trained(body, x, y, monkeypatch, planned=True)
    gated = model.layers[2]
    for size in (8, 5, 8, 16):
        # What the engine has packed serves all batches, until a weight is another.
        gated.scale.assign(gated.scale * 1.5)
        for batch_size in (size, 7):
            outputs = model.predict(x, batch_size=batch_size, verbose=0)
            np.testing.assert_allclose(outputs, model(x), rtol=1e-5)
        loss = model.evaluate(x, y, batch_size=size, verbose=0)
        np.testing.assert_allclose(loss, np.mean((outputs - y) ** 2), rtol=1e-5)
        model.fit(x, y, batch_size=size, verbose=0)


class Sorted(layers.Layer):
    def call(self, inputs):
        return ops.sort(inputs)


class Adding(layers.Layer):
    def build(self, input_shape):
        self.scale = self.add_weight((input_shape[-1],), "ones", name="scale")

    def call(self, inputs):
        self.add_loss(ops.sum(self.scale))
        return inputs * self.scale


class Counting(layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.calls = 0

    def call(self, inputs):
        self.calls += 1
        return inputs * 2


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (Sorted, "the operation `sort`"),
        (Adding, "`add_loss`"),
        (Counting, "an assignment to an attribute of its own"),
    ],
)
def test_other_code_is_handed_back_to_python(kind, why, monkeypatch):
    x, y = data(dtype="float64")
    model = close(functional(lambda x: kind()(LSTM(4)(x))), x, y, monkeypatch)
    (node,) = [node for node in model.explain_plan() if node.back]
    assert why in node.back
    assert "Python, from the engine" in str(model.explain_plan())
