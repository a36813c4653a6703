"""Steps of users' own count the steps that the built-in ones count: masks ride on the outputs."""

import numpy as np
import pytest

import ferrnn as keras
from each_case import each_case

RNG = np.random.default_rng(4)
X = RNG.normal(size=(5, 4, 3)).astype("float32")
X[1, 1:] = X[2, 3:] = X[4, :2] = 0.0
Y = RNG.integers(0, 2, size=(5, 4, 2)).astype("float32")
WEIGHT = RNG.uniform(0.5, 2.0, size=(5, 4)).astype("float32")


class Step(keras.Model):
    """Written as Keras' guide on custom steps has it."""

    def train_step(self, data):
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)

        def forward():
            y_pred = self(x, training=True)
            return self.compute_loss(x, y, y_pred, weight), y_pred

        (loss, y_pred), grads = self.value_and_gradients(forward)
        self.optimizer.apply(grads)
        return {"loss": float(loss), **self._without_loss(x, y, y_pred, weight)}

    def test_step(self, data):
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        loss = self.compute_loss(x, y, y_pred, weight, training=False)
        return {"loss": float(loss), **self._without_loss(x, y, y_pred, weight)}

    def _without_loss(self, *given):
        logs = self.compute_metrics(*given)
        return {name: value for name, value in logs.items() if name != "loss"}


class Parts(keras.Model):
    """Only the loss and the metrics are rewritten, around those of `compile`."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, y, y_pred, sample_weight)


def trained(kind, weighted, several):
    keras.utils.set_random_seed(3)
    inputs = keras.Input((4, 3))
    read = keras.layers.GRU(5, return_sequences=True)(keras.layers.Masking()(inputs))
    heads = [keras.layers.Dense(2, activation="sigmoid", name=n)(read) for n in ("one", "two")]
    model = kind(inputs, heads if several else heads[0])
    metrics = ["mae", keras.metrics.AUC(name="auc"), keras.metrics.RootMeanSquaredError()]
    other = ["mae"]
    model.compile("adam", "mse", weighted_metrics=[metrics, other] if several else metrics)
    y, weight = ([Y, 1 - Y], [WEIGHT, WEIGHT / 2]) if several else (Y, WEIGHT)
    weight = weight if weighted else None
    history = model.fit(X, y, sample_weight=weight, batch_size=5, epochs=3, verbose=0)
    evaluated = model.evaluate(X, y, sample_weight=weight, verbose=0, return_dict=True)
    names = [name for name in evaluated if not name.endswith("_loss")]
    logs = {name: [*history.history[name], evaluated[name]] for name in names}
    return logs, model.get_weights()


@each_case("several", [False, True])
@each_case("weighted", [False, True])
@each_case("kind", [Step, Parts])
def test_masked_steps_count_for_nothing(kind, weighted, several):
    expected, weights = trained(keras.Model, weighted, several)
    logs, own = trained(kind, weighted, several)
    assert sorted(logs) == sorted(expected)
    for name, values in expected.items():
        assert logs[name] == pytest.approx(values, rel=1e-5), name
    for one, other in zip(own, weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)
