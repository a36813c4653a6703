"""Making plans of users' code has no effects: on random numbers, attributes, counts of calls.

Nor does code take another branch for them.
"""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import layers, ops
from ferrnn._src.programs import known
from ferrnn.layers import GRU
from models.own_code import judged_in_python  # noqa: F401 - a fixture
from models.planned import data
from models.test_plan_settings import Reading, built


class Noisy(Reading):
    """Draws from a generator that is not the model's, and makes a layer that takes a seed."""

    def call(self, inputs):
        noise = np.random.normal(size=3).astype("float32")  # noqa: NPY002
        return self.out(layers.Dropout(0.2)(self.read(inputs))) + noise


def test_random_numbers_are_drawn_as_often(monkeypatch):
    x, y = data()
    results = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        model, _ = built(Noisy)
        if planned == "1":
            assert "random numbers" in str(model.explain_plan())
        losses = model.fit(x, y, epochs=2, verbose=0).history["loss"]
        drawn = np.random.random(), keras.random.uniform((2,))  # noqa: NPY002
        results.append([losses, *drawn, model.predict(x, verbose=0, batch_size=4)])
    for own, other in zip(*results, strict=True):
        np.testing.assert_array_equal(own, other)


class Dropped(layers.Layer):
    """Draws from a generator of its own, in training, or of NumPy's."""

    def __init__(self):
        super().__init__()
        self.seed = keras.random.SeedGenerator(3)

    def call(self, inputs, training=False):
        if training:
            return keras.random.dropout(inputs, 0.3, seed=self.seed)
        return inputs + float(np.random.normal())  # noqa: NPY002


def test_layers_draw_as_often(monkeypatch):
    x, y = data()
    results = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        keras.utils.set_random_seed(3)
        body = [keras.Input((6, 5)), Dropped(), GRU(3), layers.Lambda(lambda v: v * 2), Dropped()]
        model = keras.Sequential(body)
        model.compile("sgd", "mse")
        losses = model.fit(x, y, epochs=2, verbose=0).history["loss"]
        losses += model.fit(x, y, verbose=0, validation_data=(x, y)).history["val_loss"]
        results.append([losses, model.layers[0].seed.counter, np.random.random()])  # noqa: NPY002
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-5)
    assert results[0][1:] == results[1][1:]


class Counting(Reading):
    def __init__(self):
        super().__init__()
        self.log = {"calls": [], "new": [], "places": np.zeros(2)}

    def call(self, inputs):
        self.log["new"].append(1)
        self.log["calls"].append(1)
        self.log["places"][0] += 1
        self.options.calls = len(self.log["calls"])
        return super().call(inputs)


def test_code_that_counts_its_calls_runs_as_often(monkeypatch):
    x, y = data()
    results = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        model, _ = built(Counting)
        model.log["new"].clear()
        model.fit(x, y, verbose=0)
        model.predict(x, verbose=0, batch_size=4)
        results.append(
            [
                len(model.log["calls"]),
                len(model.log["new"]),
                model.log["places"][0],
                model.options.calls,
            ]
        )
    assert results[0] == results[1]


SQUARES = lambda true, pred: ops.mean(ops.square(true - pred))  # noqa: E731
ZERO = lambda true: ops.mean(true * 0)  # noqa: E731


@pytest.mark.parametrize(
    "loss",
    [
        lambda true, pred: ZERO(true) or SQUARES(true, pred),
        lambda true, pred: SQUARES(true, pred) * (2 if ZERO(true) == 0 else 1),
        lambda true, pred: SQUARES(true, pred) * (1 if ZERO(true) != 0 else 2),
        lambda true, pred: SQUARES(true, pred) * (2 if hasattr(ZERO(true), "shape") else 1),
        lambda true, pred: SQUARES(true, pred) * (1 if ZERO(true) > 0 else 2),
    ],
)
def test_losses_that_look_at_a_mean(loss, monkeypatch):
    x, y = data()
    results = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        keras.utils.set_random_seed(3)
        model = keras.Sequential([keras.Input((6, 5)), GRU(3)])
        model.compile("sgd", loss)
        results.append(model.fit(x, y, epochs=2, verbose=0).history["loss"])
    np.testing.assert_allclose(*results, rtol=1e-5)


LOOKS = [
    lambda values: values.dtype == np.float32,
    lambda values: values.dtype == "float32",
    lambda values: hasattr(values, "sum"),
    lambda values: getattr(values, "nbytes", None) is None,
    lambda values: values.shape == (29, 4),
    lambda values: values.shape[1] == 4,
    lambda values: values.shape[0] == 29,
]


@pytest.mark.parametrize("looked", LOOKS)
def test_models_that_look_at_values(looked, monkeypatch):
    class Looking(Reading):
        def call(self, inputs):
            h = self.read(inputs)
            return self.out(h * (2.0 if looked(h) else 1.0))

    x, y = data()
    results = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        model, _ = built(Looking)
        losses = model.fit(x, y, batch_size=29, epochs=2, verbose=0).history["loss"]
        results.append([losses, model.predict(x, batch_size=15, verbose=0)])
    for own, other in zip(*results, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("looked", LOOKS)
@pytest.mark.parametrize("of", ["layer", "activation", "loss"])
def test_programs_that_look_at_values(of, looked, monkeypatch):
    def chosen(values):
        return values * (2.0 if looked(values) else 1.0)

    class Looking(layers.Layer):
        def call(self, inputs):
            return chosen(inputs)

    x, y = data(out=(4,))
    results = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        keras.utils.set_random_seed(3)
        more = [Looking()] if of == "layer" else []
        last = layers.Dense(4, activation=chosen if of == "activation" else None)
        model = keras.Sequential([keras.Input((6, 5)), GRU(4), *more, last])
        losses = {"loss": lambda true, pred: ops.mean(ops.square(true - chosen(pred)), -1)}
        model.compile("sgd", losses.get(of, "mse"))
        losses = model.fit(x, y, batch_size=29, epochs=2, verbose=0).history["loss"]
        results.append([losses, model.predict(x, batch_size=15, verbose=0)])
    for own, other in zip(*results, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-5, atol=1e-6)


class Ranked(layers.Layer):
    """Code that no program has, with a weight."""

    def build(self, input_shape):
        self.scale = self.add_weight((input_shape[-1],), "ones", name="scale")

    def call(self, inputs):
        return ops.sort(inputs * self.scale)


class Adding(Ranked):
    def call(self, inputs):
        self.add_loss(ops.mean(ops.square(inputs)))
        return super().call(inputs)


def penalize(layer, values):
    layer.add_loss(ops.mean(ops.square(values)))


class AddingElsewhere(Ranked):
    def call(self, inputs):
        penalize(self, inputs)
        return super().call(inputs)


class AddingInHiding(Ranked):
    def call(self, inputs):
        name = "add_loss_of".removesuffix("_of")
        getattr(self, name)(ops.mean(ops.square(inputs)))
        return super().call(inputs)


CODE = {Ranked: 0, Adding: 12, AddingElsewhere: 12, AddingInHiding: 0}


@pytest.mark.parametrize("kind", CODE)
def test_only_code_that_adds_losses_takes_the_loss_to_python(kind, judged, monkeypatch):
    x, y = data()
    results = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        keras.utils.set_random_seed(3)
        layer = GRU(4, return_sequences=True)
        body = [keras.Input((6, 5)), layer, kind(), GRU(3)]
        model = keras.Sequential(body)
        model.compile("adam", "mse", metrics=["mae"])
        losses = model.fit(x, y, epochs=3, batch_size=8, verbose=0).history["loss"]
        if planned == "1":
            assert sum(name == "_judged" for name in judged) == CODE[kind]
        tested = [model.evaluate(x, y, batch_size=8, verbose=0) for _ in range(2)]
        results.append([losses, *tested, *model.get_weights()])
    for own, other in zip(*results, strict=True):
        np.testing.assert_array_equal(own, other)


class Drawing(Ranked):
    """Whose generator counts, so that no two steps read the same attributes."""

    def __init__(self):
        super().__init__()
        self.seed = keras.random.SeedGenerator(3)

    def call(self, inputs):
        return super().call(inputs) + keras.random.normal(ops.shape(inputs), seed=self.seed)


def test_code_that_is_no_program_is_not_recorded_at_each_step(monkeypatch):
    monkeypatch.setenv("FERRNN_PLAN", "1")
    recorded, inner = [], known.lowered

    def counted(*given):
        recorded.append(given)
        return inner(*given)

    monkeypatch.setattr(known, "lowered", counted)
    model = keras.Sequential([keras.Input((6, 5)), GRU(4, return_sequences=True), Drawing()])
    model.compile("sgd", "mse")
    x, y = data(out=(6, 4))
    model.fit(x, y, batch_size=1, epochs=2, verbose=0)
    assert 0 < len(recorded) < 16
