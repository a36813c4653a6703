"""Losses and metrics of users in plans: programs of the engine."""

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
    plain,
)
from models.planned import data


def gated(x):
    return LSTM(3)(Gated()(GRU(4, return_sequences=True)(x)))


def tilted(y_true, y_pred):
    error = y_true - y_pred
    return ops.mean(ops.maximum(0.9 * error, -0.1 * error), axis=-1)


def whole(y_true, y_pred):
    return 0.5 * ops.mean(ops.square(y_true - y_pred)) + ops.mean(ops.abs(y_true - y_pred)) / 3 - 1


def root(y_true, y_pred):
    return ops.sqrt(ops.mean(ops.square(y_true - y_pred)) + 0.1)


def power(y_true, y_pred):
    return ops.mean(ops.abs(y_true - y_pred)) ** 0.5


def each(y_true, y_pred):
    return ops.log(1 + ops.square(y_true - y_pred))


class Powered(keras.losses.Loss):
    def __init__(self, power=4, **options):
        super().__init__(**options)
        self.power = power

    def call(self, y_true, y_pred):
        return ops.mean(ops.abs(y_pred - y_true) ** self.power, axis=-1)


LOSSES = {
    "tilted": tilted,
    "whole": whole,
    "root": root,
    "power": power,
    "each": each,
    "class": Powered(3),
    "sum": Powered(2, reduction="sum"),
    "mean of weights": Powered(2, reduction="mean_with_sample_weight"),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_losses_train_as_their_code_says(name, weighted, judged, monkeypatch):
    x, y = data(dtype="float64")
    metrics = {"metrics": lambda: [each, root, "mae"], "weighted_metrics": lambda: [tilted]}
    compiled = {"loss": lambda: LOSSES[name], **metrics}
    weight = {"sample_weight": np.linspace(0.1, 2, len(x))} if weighted else {}
    given = {"compiled": compiled, "validation_data": (x[:9], y[:9]), **weight}
    close(functional(plain), x, y, monkeypatch, **given)
    # The mean over a batch with its weights is Python's.
    assert bool(judged) is (weighted and name in ("whole", "root", "power"))


@pytest.mark.parametrize("name", ["tilted", "class", "each"])
def test_losses_of_steps_with_masks_and_weights(name, judged, monkeypatch):
    def build():
        keras.config.set_floatx("float64")
        inputs = keras.Input((6, 5))
        hidden = LSTM(4, return_sequences=True)(layers.Masking(0.5)(inputs))
        return keras.Model(inputs, layers.TimeDistributed(Dense(3))(hidden))

    x, y = data(out=(6, 3), dtype="float64")
    x[:, 4:] = 0.5
    compiled = {"loss": lambda: LOSSES[name], "metrics": lambda: [tilted]}
    for weight in (None, np.random.default_rng(3).uniform(size=(29, 6))):
        given = {} if weight is None else {"sample_weight": weight}
        close(build, x, y, monkeypatch, compiled=compiled, **given)
    assert not judged


def test_targets_of_another_shape_than_outputs(judged, monkeypatch):
    def likelihood(y_true, y_pred):
        center, spread = y_pred[:, :1], ops.softplus(y_pred[:, 1:2]) + 1e-3
        return ops.log(spread) + 0.5 * ops.square((y_true - center) / spread)

    x, y = data(out=(1,), dtype="float64")
    compiled = {"loss": lambda: likelihood}
    for targets in (y, (y > 0).astype("int64")):
        close(functional(plain, out=2), x, targets, monkeypatch, compiled=compiled)
    assert not judged


def test_losses_of_several_outputs(monkeypatch):
    def build():
        keras.config.set_floatx("float64")
        inputs = keras.Input((6, 5))
        h = LSTM(4)(inputs)
        return keras.Model(inputs, [Dense(3, name="a")(h), Dense(2, name="b")(h)])

    x, y = data(dtype="float64")
    compiled = {"loss": lambda: [tilted, whole], "loss_weights": lambda: [1.0, 0.3]}
    close(build, x, [y, y[:, :2]], monkeypatch, compiled=compiled)


@pytest.mark.parametrize("name", ["tilted", "whole", "root", "power", "each", "class", "sum"])
def test_gradients_against_differences(name, monkeypatch):
    monkeypatch.setenv("FERRNN_PLAN", "1")
    x, y = data(dtype="float64")
    keras.utils.set_random_seed(4)
    model = functional(gated)()
    model.compile(keras.optimizers.SGD(1.0), LOSSES[name])
    before = model.get_weights()
    model.fit(x, y, batch_size=29, verbose=0, shuffle=False)
    gradients = [old - new for old, new in zip(before, model.get_weights(), strict=True)]
    random = np.random.default_rng(1)
    for at, gradient in enumerate(gradients):
        if not np.any(gradient):
            continue
        place = tuple(random.integers(length) for length in gradient.shape)
        values = []
        for step in (1e-5, -1e-5):
            moved = [weight.copy() for weight in before]
            moved[at][place] += step
            model.set_weights(moved)
            values.append(model.evaluate(x, y, batch_size=29, verbose=0))
        difference = (values[0] - values[1]) / 2e-5
        np.testing.assert_allclose(gradient[place], difference, rtol=2e-5, atol=1e-8)


def test_settings_of_a_loss_may_change(monkeypatch):
    monkeypatch.setenv("FERRNN_PLAN", "1")
    x, y = data(dtype="float64")
    loss = Powered(2)
    model = functional(plain)()
    model.compile("sgd", loss)
    values = []
    for power in (2, 4):
        loss.power = power
        values.append(model.evaluate(x, y, verbose=0))
        wanted = np.mean(np.abs(model.predict(x, verbose=0) - y) ** power)
        assert values[-1] == pytest.approx(wanted)


def test_losses_that_are_no_programs_are_pythons(judged, monkeypatch):
    def logarithm(y_true, y_pred):
        return ops.log(ops.mean(ops.square(y_true - y_pred)))

    x, y = data(dtype="float64")
    compiled = {"loss": lambda: logarithm, "metrics": lambda: [keras.metrics.R2Score()]}
    model = close(functional(plain), x, y, monkeypatch, compiled=compiled)
    assert judged
    loss, metric = model.explain_plan()[-2:]
    assert loss.name == "logarithm"
    assert "an operation on a mean over the batch" in loss.back
    assert (metric.name, metric.back) == ("r2_score", "the engine does not know it")
