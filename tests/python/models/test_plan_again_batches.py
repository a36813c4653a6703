"""Batches of other kinds in turns, wrong ones, interrupts and threads, where batches are alike."""

import gc
import threading
import types

import numpy as np
import pytest

import ferrnn as keras
from ferrnn._src.training.planning import TrainingPlan
from ferrnn.layers import GRU, Dense
from models.again import both_ways, counted, made, restored  # noqa: F401 - fixtures
from models.planned import data


def batches_of(x, y):
    """Batches by what is different about them."""
    weight = np.linspace(0, 2, len(x))
    ordered = np.asfortranarray(x)
    unaligned = np.empty(x.nbytes + 1, "u1")[1:].view("f4").reshape(x.shape)
    unaligned[...] = x
    read_only = x.copy()
    read_only.flags.writeable = False
    return {
        "as before": (x, y),
        "fewer": (x[:9], y[:9]),
        "longer": (np.repeat(x, 2, axis=1), y),
        "flat targets": (x, y[:, 0]),
        "doubles": (x.astype("f8"), y),
        "integers": (x, y.astype("i8")),
        "booleans": (x, y.astype(bool)),
        "big endian": (x.astype(">f4"), y),
        "half": (x.astype("f2"), y),
        "column order": (ordered, y),
        "reversed": (x[::-1], y),
        "strided": (np.repeat(x, 2, axis=2)[..., ::2], y),
        "unaligned": (unaligned, y),
        "read-only": (read_only, y),
        "a view": (np.concatenate([x, x])[3 : 3 + len(x)], y),
        "lists": ([x], [y]),
        "subclass": (x.view(np.memmap), y),
        "weights": (x, y, weight),
        "single weights": (x, y, weight.astype("f4")),
        "columns of weights": (x, y, weight[:, None]),
        "one weight": (x, y, 0.5),
        "listed weights": (x, y, weight.tolist()),
        "weights by class": (x, y, None, {0: 0.5, 1: 2.0}),
    }


@pytest.mark.parametrize("what", batches_of(*data(out=(1,))))
def test_other_batches_and_back(what, monkeypatch, again):
    def run(model, x, y):
        told = []
        for each in ("as before", what, "as before", what):
            given = batches_of(x, y)[each]
            told += [model.train_on_batch(*given) for _ in range(3)]
            told += [model.test_on_batch(*given[:3]) for _ in range(2)]
        return told

    both_ways(run, monkeypatch)
    assert sum(loss is not None for loss in again) >= 6


def test_arrays_are_read_anew(monkeypatch, again):
    def run(model, x, y):
        told = []
        for at in range(4):
            told += [model.train_on_batch(x, y), model.test_on_batch(x, y)]
            x[at] *= 10
            y[at] = 1 - y[at]
        return told

    both_ways(run, monkeypatch)
    assert sum(loss is not None for loss in again) >= 4


WRONG = {
    "features": lambda x, y: (x[..., :3], y),
    "rank": lambda x, y: (x[0], y[:6]),
    "lengths": lambda x, y: (x, y[:5]),
    "no samples": lambda x, y: (x[:0], y[:0]),
    "no targets": lambda x, y: (x, None),
    "no inputs": lambda x, y: (None, y),
    "text": lambda x, y: (x, y.astype(str)),
    "scalar": lambda x, y: (x, np.float32(1)),
    "weights": lambda x, y: (x, y, np.ones(3)),
}


@pytest.mark.parametrize("trains", [True, False])
@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_with_a_batch_is_said_alike(what, trains, monkeypatch):
    def run(model, x, y):
        take = model.train_on_batch if trains else model.test_on_batch
        told = [model.train_on_batch(x, y) for _ in range(3)]
        with pytest.raises((ValueError, TypeError)) as raised:
            take(*WRONG[what](x, y))
        told += [str(raised.value), take(x, y), take(x, y)]
        return told

    both_ways(run, monkeypatch)


def test_targets_that_are_no_classes_are_refused_and_nothing_changes(monkeypatch, again):
    told = []
    for switch in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", switch)
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((6, 5)), GRU(4), Dense(3, activation="softmax")])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        x, labels = data()[0], np.arange(29) % 3
        losses = [model.train_on_batch(x, labels) for _ in range(4)]
        before, wrong = model.get_weights(), labels.copy()
        wrong[7] = 3
        with pytest.raises(ValueError, match="3") as raised:
            model.train_on_batch(x, wrong)
        for own, other in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(own, other)
        told.append([losses, str(raised.value), model.train_on_batch(x, labels)])
    assert told[0] == told[1]
    assert again[-1] is None


def test_averages_and_constraints_follow_each_step(monkeypatch, again):
    told = []
    for switch in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", switch)
        keras.utils.set_random_seed(0)
        bound = GRU(4, kernel_constraint=keras.constraints.MaxNorm(0.1), seed=1)
        model = keras.Sequential([keras.Input((6, 5)), bound, Dense(1)])
        options = {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 3}
        model.compile(keras.optimizers.SGD(0.5, **options), "mse")
        x, y = data(out=(1,))
        losses = [model.train_on_batch(x, y) for _ in range(7)]
        norms = np.linalg.norm(model.get_weights()[0], axis=0)
        assert norms.max() <= 0.1 + 1e-6
        told.append((losses, [weight.tolist() for weight in model.get_weights()]))
    assert told[0] == told[1]
    assert sum(loss is not None for loss in again) >= 4


@pytest.mark.parametrize("place", ["train", "put", "engine_passed", "drawn"])
def test_an_interrupt_loses_no_step(place, monkeypatch, again):
    """A handler of signals raises as the engine's call returns, or amid what follows it."""

    def run(model, x, y):
        for _ in range(3):
            model.train_on_batch(x, y)
        plan = model._plans.plan
        if plan is None:
            model.train_on_batch(x, y)
        else:
            of = {"train": plan.native, "put": model._loss_mean, "drawn": plan}
            owner = of.get(place, model.optimizer)
            with monkeypatch.context() as patch:
                if place == "train":
                    native = types.SimpleNamespace(train=raising(owner.train))
                    patch.setattr(plan, "native", native)
                else:
                    patch.setattr(type(owner), place, raising(getattr(type(owner), place)))
                with pytest.raises(KeyboardInterrupt):
                    model.train_on_batch(x, y)
        return model.get_metrics_result(), model.train_on_batch(x, y), model.optimizer.iterations

    both_ways(run, monkeypatch)
    assert sum(loss is not None for loss in again) == 2


def raising(function):
    """The function, which raises as it returns the first time."""
    calls = []

    def once(*given):
        result = function(*given)
        calls.append(given)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return result

    return once


def test_an_interrupt_before_a_step_leaves_metrics_reset(monkeypatch):
    def run(model, x, y):
        for _ in range(3):
            model.train_on_batch(x, y)
        model.optimizer.learning_rate = stopped
        with pytest.raises(KeyboardInterrupt):
            model.train_on_batch(x, y)
        told = model.get_metrics_result()
        model.optimizer.learning_rate = 0.1
        return told["loss"], model.train_on_batch(x, y)

    def stopped():
        raise KeyboardInterrupt

    monkeypatch.setenv("FERRNN_PLAN", "1")
    assert run(made(), *data(out=(1,)))[0] == 0.0


def test_several_threads_take_whole_steps(again):
    x, y = data(out=(1,))
    model = made()
    for _ in range(3):
        model.train_on_batch(x, y)
    errors = []

    def steps():
        try:
            for _ in range(50):
                model.train_on_batch(x, y)
                model.test_on_batch(x, y)
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=steps) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert int(model.optimizer.iterations) == 203
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_a_plan_ends_with_fit_and_does_not_wait_for_the_collector():
    def plans():
        return sum(isinstance(each, TrainingPlan) for each in gc.get_objects())

    looking = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: during.append(plans())
    )
    during, model = [], made()
    gc.collect()
    gc.disable()
    try:
        before = plans()
        for _ in range(2):
            model.fit(*data(out=(1,)), batch_size=8, callbacks=[looking], verbose=0)
        assert max(during) == before + 1
        assert plans() == before
    finally:
        gc.enable()
