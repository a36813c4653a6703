"""Interrupts of training by plans: steps that were taken are counted, and none is lost."""

import signal
import types

import numpy as np
import pytest

import ferrnn as keras
from ferrnn.layers import LSTM, Dense
from models.planned import data, trained


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers in signals")
def test_an_interrupt_comes_after_a_whole_step_that_is_counted(monkeypatch):
    x, y = data((160_000, 5, 8), (1,))

    def build():
        return keras.Sequential([keras.Input((5, 8)), LSTM(7), Dense(1)])

    def fit(rows, planned):
        options = {"batch_size": 16, "epochs": 1, "shuffle": False, "planned": planned}
        return trained(build, x[:rows], y[:rows], monkeypatch, **options)

    models = []
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            trained(
                lambda: models.append(build()) or models[0],
                x,
                y,
                monkeypatch,
                planned=True,
                batch_size=16,
                epochs=50,
                shuffle=False,
                callbacks=[keras.callbacks.LambdaCallback(on_train_begin=in_a_moment)],
            )
    finally:
        signal.signal(signal.SIGALRM, before)
    steps = int(models[0].optimizer.iterations)
    assert 0 < steps < 10_000
    wanted, _ = fit(16 * steps, False)
    for own, other in zip(models[0].get_weights(), wanted.get_weights(), strict=True):
        np.testing.assert_array_equal(own, other)


def in_a_moment(logs):
    signal.setitimer(signal.ITIMER_REAL, 0.1)  # amid a call of 50 ms, after three short ones


@pytest.mark.parametrize("place", ["train", "put", "engine_passed", "drawn"])
def test_an_interrupt_as_steps_are_taken_down_loses_none(place, monkeypatch):
    """A handler of signals raises as the engine's call returns, or amid what follows it."""

    def build():
        drops = keras.layers.Dropout(0.3)
        return keras.Sequential([keras.Input((6, 5)), LSTM(4), drops, Dense(3)])

    x, y = data()
    model, wanted = (
        trained(build, x, y, monkeypatch, planned=planned, compiled=NADAM, epochs=1)[0]
        for planned in (True, False)
    )
    monkeypatch.setenv("FERRNN_PLAN", "1")
    plan, raised = model.training_plan(), []

    versions = [weight.version for weight in model.weights]
    with monkeypatch.context() as patch:
        if place == "train":
            patch.setattr(
                plan, "native", types.SimpleNamespace(train=once(plan.native.train, raised))
            )
        else:
            of = {"put": model._loss_mean, "drawn": plan, "engine_passed": model.optimizer}[place]
            patch.setattr(type(of), place, once(getattr(type(of), place), raised))
        with pytest.raises(KeyboardInterrupt):
            model.train_on_batch(x, y)
    assert raised
    assert all(now.version > old for now, old in zip(model.weights, versions, strict=True))
    wanted.train_on_batch(x, y)
    assert model.train_on_batch(x, y) == wanted.train_on_batch(x, y)
    for own, other in zip(model.optimizer.variables, wanted.optimizer.variables, strict=True):
        np.testing.assert_array_equal(own.numpy(), other.numpy())


NADAM = {"optimizer": keras.optimizers.Nadam, "metrics": lambda: ["mae"]}


def once(function, raised):
    """A function that does its work and raises as an interrupt would, the first time.

    A mean that is put at zero is reset before the step.
    """

    def call(*given):
        function(*given)
        if not raised and given[1:] != (0.0, 0.0):
            raised.append(1)
            raise KeyboardInterrupt

    return call
