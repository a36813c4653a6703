"""Epochs that only the history sees are several in a call, with the bits of a call for each."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn._src.training import loop, work
from ferrnn._src.training.alike import Alike
from ferrnn.layers import GRU, LSTM, Dense, Dropout
from models.many import counted, same  # noqa: F401 - a fixture

X = np.random.default_rng(0).normal(size=(29, 6, 2)).astype("float32")
Y = X[:, -1:, 0] + X[:, 0, 1:]
BOTH = {"sum": Y, "sign": (Y > 0).astype("float32")}


def plain(**options):
    model = keras.Sequential([keras.Input((6, 2)), LSTM(5), Dense(1)])
    model.compile(keras.optimizers.Adam(0.01), **{"loss": "mse", **options})
    return model


def measured():
    return plain(metrics=["mae", "mse"])


def dropping():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.02, 10, 0.9)
    layers = [keras.Input((6, 2)), GRU(4, kernel_regularizer="l2"), Dropout(0.4), Dense(1)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.RMSprop(schedule), loss="mae")
    return model


def forked():
    inputs = keras.Input((6, 2))
    states = LSTM(4)(inputs)
    ends = {"sum": Dense(1, name="sum")(states), "sign": Dense(1, "sigmoid", name="sign")(states)}
    model = keras.Model(inputs, ends)
    losses = {"sum": "mse", "sign": "binary_crossentropy"}
    model.compile("nadam", loss=losses, metrics={"sign": ["accuracy"]})
    return model


@pytest.fixture(autouse=True)
def time_enough(monkeypatch):
    monkeypatch.setattr(work, "LIMIT", 600.0)


MODELS = {build.__name__: build for build in (plain, measured, dropping, forked)}


def fitted(kind, *, seen=False, **options):
    """A model, its history and its metrics after training; `seen` epoch by epoch."""
    keras.utils.set_random_seed(4)
    model = MODELS[kind]()
    y = BOTH if kind == "forked" else Y
    looks = [keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: None)]
    options = {"epochs": 9, "batch_size": 8, "verbose": 0, **options}
    history = model.fit(X, y, callbacks=looks if seen else None, **options)
    return model, history, model.get_metrics_result()


def after(model, y):
    """What follows: generators are where they were."""
    keras.utils.set_random_seed(5)
    return model.fit(X, y, batch_size=8, verbose=0).history


def compare(kind, **options):
    (one, history, metrics), (other, wanted, also) = (
        fitted(kind, seen=seen, **options) for seen in (False, True)
    )
    same(one, other)
    assert history.history == wanted.history
    assert history.epoch == wanted.epoch
    assert metrics == also
    y = BOTH if kind == "forked" else Y
    assert after(one, y) == after(other, y)


@pytest.mark.parametrize("shuffle", [True, False, "batch"])
@pytest.mark.parametrize("kind", MODELS)
def test_epochs_in_one_call_are_those_of_a_call_for_each(kind, shuffle, together):
    compare(kind, shuffle=shuffle)
    assert len(together) < 2 * 9


@pytest.mark.parametrize("kind", MODELS)
def test_they_are_those_without_a_plan(kind, monkeypatch):
    one, history, _ = fitted(kind)
    monkeypatch.setenv("FERRNN_PLAN", "0")
    other, wanted, _ = fitted(kind)
    same(one, other)
    assert history.history == wanted.history


@pytest.mark.parametrize("kind", MODELS)
def test_time_may_run_out_amid_an_epoch(kind, monkeypatch, together):
    monkeypatch.setattr(work, "LIMIT", 0.0)
    alone, step = [], Alike.step

    def noted(*given, **more):
        alone.append(1)
        return step(*given, **more)

    monkeypatch.setattr(Alike, "step", noted)
    compare(kind)
    # The first step tells the losses of several outputs what these are, in Python.
    assert len(together) + len(alone) == 2 * (9 * 4 + 4 - (kind == "forked"))


def test_nine_epochs_are_two_calls(together):
    fitted("plain")
    # What a first call is given is 64 steps at most, here of 9 times 4.
    assert together == [1]
    fitted("plain", epochs=20)
    assert together == [1, 1, 1]


def test_weights_of_samples_and_classes_count():
    weights = np.linspace(0, 2, len(X))
    compare("measured", sample_weight=weights)
    compare("plain", initial_epoch=3, batch_size=29)


def test_a_loss_that_is_not_finite_is_reported_where_it_was():
    def told(seen):
        keras.utils.set_random_seed(1)
        model = plain()
        model.optimizer.learning_rate = 1e30
        looks = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: None)
        with pytest.warns(RuntimeWarning, match="The loss became") as warned:
            history = model.fit(
                X, Y, epochs=5, batch_size=8, verbose=0, callbacks=[looks] if seen else None
            )
        return [str(each.message) for each in warned], history.history, model

    (one, history, model), (other, wanted, seen) = told(False), told(True)
    assert one == other
    assert len(one) == 1
    np.testing.assert_array_equal(history["loss"], wanted["loss"])
    same(model, seen)


def test_models_whose_code_makes_logs_are_seen_epoch_by_epoch(together):
    class Own(keras.Model):
        def get_metrics_result(self):
            return {**super().get_metrics_result(), "updates": int(self.optimizer.iterations)}

    inputs = keras.Input((6, 2))
    model = Own(inputs, Dense(1)(LSTM(3)(inputs)))
    model.compile("adam", loss="mse")
    history = model.fit(X, Y, epochs=3, batch_size=8, verbose=0)
    assert history.history["updates"] == [4, 8, 12]


@pytest.mark.parametrize("options", [{"use_ema": True}, {}], ids=str)
def test_what_follows_each_step_is_done_after_each(options):
    def made(verbose):
        keras.utils.set_random_seed(2)
        layers = [keras.Input((6, 2)), LSTM(3), Dense(1, kernel_constraint="non_neg")]
        model = keras.Sequential(layers if not options else [*layers[:2], Dense(1)])
        model.compile(keras.optimizers.Adam(0.01, **options), loss="mse")
        model.fit(X, Y, epochs=4, batch_size=8, verbose=verbose)
        return model

    one, other = made(0), made(2)
    assert options or (one.layers[-1].kernel.numpy() >= 0).all()
    same(one, other)


def test_states_go_on_from_epoch_to_epoch():
    def made(verbose):
        keras.utils.set_random_seed(2)
        model = keras.Sequential([keras.Input(batch_shape=(8, 6, 2)), LSTM(3, stateful=True)])
        model.add(Dense(1))
        model.compile("adam", loss="mse")
        history = model.fit(X[:24], Y[:24], epochs=7, batch_size=8, verbose=verbose)
        return model, history.history, model.get_state()

    (one, history, state), (other, wanted, also) = made(0), made(2)
    same(one, other)
    assert history == wanted
    pairs = zip(state.values(), also.values(), strict=True)
    assert all(np.array_equal(mine, its) for mine, its in pairs)


def test_an_interrupt_leaves_the_history_of_the_epochs_before_it(monkeypatch):
    taken, took = [], work.Work.took

    def interrupted(self, done):
        took(self, done)
        taken.append(done)
        if len(taken) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(work.Work, "took", interrupted)
    model = plain()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=100, batch_size=8, verbose=0)
    assert len(model.history.epoch) == int(model.optimizer.iterations) // 4 == 16 + 32


def test_the_loop_takes_several_epochs_in_a_call(monkeypatch):
    taken, note = [], loop.EpochLoop._note_passes

    def noted(self, source, work):
        before = self.epoch
        note(self, source, work)
        taken.append(self.epoch - before)

    monkeypatch.setattr(loop.EpochLoop, "_note_passes", noted)
    fitted("plain")
    assert taken == [9]
    fitted("plain", seen=True)
    assert taken == [9]
