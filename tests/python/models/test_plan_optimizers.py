"""Optimizers whose updates Python makes, by the gradients that plans hand over."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import optimizers
from ferrnn.layers import LSTM, Dense
from models.planned import data, same, steps_of_calls


def model(dtype="float32", **options):
    def build():
        layers = [LSTM(4, dtype=dtype, **options), Dense(3, dtype=dtype)]
        return keras.Sequential([keras.Input((6, 5), dtype=dtype), *layers])

    return build


class Signs(optimizers.Optimizer):
    """A user's rule, with a slot."""

    def slot_names(self):
        return ("last",)

    def update(self, weight, gradient, slots, scratch, learning_rate):
        np.sign(gradient + slots[0], scratch)
        weight -= learning_rate * scratch
        slots[0][...] = gradient


def several():
    chosen = optimizers.OptimizerMap(optimizers.Adam(0.01), {"bias": optimizers.SGD(0.1)})
    return optimizers.MultiOptimizer(chosen)


def spared():
    optimizer = optimizers.AdamW(0.01)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


OPTIMIZERS = {
    "adadelta": lambda: optimizers.Adadelta(1.0),
    "adafactor": lambda: optimizers.Adafactor(0.01),
    "adagrad": lambda: optimizers.Adagrad(0.1, clipnorm=0.5),
    "adamax": lambda: optimizers.Adamax(0.01, global_clipnorm=0.5),
    "ftrl": lambda: optimizers.Ftrl(0.1, clipvalue=0.1),
    "lamb": lambda: optimizers.Lamb(0.01, weight_decay=0.1),
    "lion": lambda: optimizers.Lion(0.01, use_ema=True, ema_overwrite_frequency=3),
    "accumulated": lambda: optimizers.SGD(0.1, 0.9, gradient_accumulation_steps=3),
    "accumulated, nadam": lambda: optimizers.Nadam(0.1, gradient_accumulation_steps=2),
    "scheduled": lambda: optimizers.Adagrad(optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)),
    "scaled": lambda: optimizers.RMSprop(0.01, loss_scale_factor=64.0),
    "scaled as it goes": lambda: optimizers.LossScaleOptimizer(
        optimizers.Adam(0.01), initial_scale=1024.0, dynamic_growth_steps=4
    ),
    "several": several,
    "spared": spared,
    "own": lambda: Signs(0.01),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_updates_have_the_same_bits(kind, dtype, monkeypatch):
    x, y = data(dtype=dtype)
    compiled = {"optimizer": OPTIMIZERS[kind], "metrics": ["mae"]}
    options = {"kernel_constraint": "max_norm", "kernel_regularizer": "l2"}
    trained = same(model(dtype, **options), x, y, monkeypatch, compiled=compiled)
    assert int(trained.optimizer.iterations) > 3
    (back,) = [node.back for node in trained.explain_plan() if node.back]
    assert back == trained.optimizer.in_python()


def test_a_loss_of_python_goes_with_an_update_of_python(monkeypatch):
    x, y = data()
    compiled = {"optimizer": lambda: optimizers.Adamax(0.01), "loss": "kl_divergence"}
    same(model(), np.abs(x), np.abs(y), monkeypatch, compiled=compiled)
    compiled = {"optimizer": lambda: optimizers.Adamax(0.01), "metrics": [keras.metrics.AUC()]}
    same(model(), x, (y > 0).astype("float32"), monkeypatch, compiled=compiled)


def test_each_step_is_a_call(monkeypatch):
    taken = steps_of_calls(monkeypatch)
    own = model()()
    own.compile(optimizers.Adamax(0.01), "mse")
    own.fit(*data(), batch_size=8, epochs=2, verbose=0)
    assert taken == [1] * 8


def test_settings_that_change_between_batches(monkeypatch):
    def run():
        keras.utils.set_random_seed(1)
        own = model()()
        own.compile(optimizers.Nadam(0.05), "mse")
        told = [own.train_on_batch(*data()) for _ in range(2)]
        own.optimizer.gradient_accumulation_steps = None
        own.optimizer.loss_scale_factor = 8.0
        told += [own.train_on_batch(*data()) for _ in range(2)]
        own.optimizer.loss_scale_factor = None
        return [*told, own.train_on_batch(*data()), *own.get_weights()]

    results = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        results.append(run())
    for ours, wanted in zip(*results, strict=True):
        np.testing.assert_array_equal(ours, wanted)


def test_an_update_that_fails_changes_nothing(monkeypatch):
    class Fails(optimizers.Optimizer):
        def update(self, *given):
            raise KeyError("of the user")

    own = model()()
    own.compile(Fails(0.1), "mse")
    assert own.explain_plan().covered
    before = own.get_weights()
    with pytest.raises(KeyError, match="of the user"):
        own.fit(*data(), verbose=0)
    for ours, wanted in zip(own.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, wanted)
