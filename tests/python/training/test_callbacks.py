"""Callbacks: who is told what, and when training ends early."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn._src.training.callback_list import hears
from ferrnn.callbacks import CallbackList


def model(units=1):
    made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(units)])
    made.compile("sgd", loss="mse", metrics=["mae"])
    return made


def data(count=8):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 2))
    return x, x @ np.array([[1.0], [-2.0]])


class Recorder(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.heard = []


def _record(hook):
    def heard(self, *arguments):
        *place, logs = arguments
        self.heard.append((hook, *place, sorted(logs)))

    return heard


for _hook in (
    *(f"on_{kind}_{when}" for kind in ("train", "test", "predict") for when in ("begin", "end")),
    *(
        f"on_{kind}_batch_{when}"
        for kind in ("train", "test", "predict")
        for when in ("begin", "end")
    ),
    "on_epoch_begin",
    "on_epoch_end",
):
    setattr(Recorder, _hook, _record(_hook))


def test_everybody_hears_everything_in_order():
    x, y = data(3)
    recorder, made = Recorder(), model()
    made.fit(x, y, batch_size=2, epochs=1, verbose=0, callbacks=recorder, validation_data=(x, y))
    values = ["loss", "mae"]
    assert recorder.heard == [
        ("on_train_begin", []),
        ("on_epoch_begin", 0, []),
        ("on_train_batch_begin", 0, []),
        ("on_train_batch_end", 0, values),
        ("on_train_batch_begin", 1, []),
        ("on_train_batch_end", 1, values),
        ("on_test_begin", []),
        ("on_test_batch_begin", 0, []),
        ("on_test_batch_end", 0, values),
        ("on_test_batch_begin", 1, []),
        ("on_test_batch_end", 1, values),
        ("on_test_end", values),
        ("on_epoch_end", 0, ["loss", "mae", "val_loss", "val_mae"]),
        ("on_train_end", ["loss", "mae", "val_loss", "val_mae"]),
    ]
    assert recorder.model is made
    assert recorder.params == {"verbose": 0, "epochs": 1, "steps": 2}


def test_predict_and_evaluate_tell_their_own():
    x, y = data(3)
    recorder, made = Recorder(), model()
    made.predict(x, batch_size=2, verbose=0, callbacks=[recorder])
    assert [each[0] for each in recorder.heard] == [
        "on_predict_begin",
        *["on_predict_batch_begin", "on_predict_batch_end"] * 2,
        "on_predict_end",
    ]
    recorder.heard.clear()
    made.evaluate(x, y, batch_size=2, verbose=0, callbacks=[recorder])
    assert [each[0] for each in recorder.heard] == [
        "on_test_begin",
        *["on_test_batch_begin", "on_test_batch_end"] * 2,
        "on_test_end",
    ]


def test_only_what_is_overridden_is_called():
    class OldName(keras.callbacks.Callback):
        def on_batch_end(self, batch, logs=None):
            batches.append(batch)

    batches = []
    assert hears(OldName(), "on_train_batch_end")
    assert not hears(OldName(), "on_train_batch_begin")
    assert not hears(object(), "on_epoch_end")
    listeners = CallbackList([OldName()], model=None, params={})
    assert not listeners.heard("on_epoch_begin")
    listeners.tell("on_train_batch_end", 7, {})
    assert batches == [7]


def test_a_list_serves_a_loop_of_ones_own():
    made, heard = model(), []
    callbacks = CallbackList(
        [[keras.callbacks.LambdaCallback(on_train_batch_end=lambda b, logs: heard.append(logs))]],
        add_history=True,
        add_progbar=True,
        model=made,
        verbose=0,
        epochs=2,
        steps=1,
    )
    kinds = [type(each).__name__ for each in callbacks]
    assert kinds == ["LambdaCallback", "History", "ProgbarLogger"]
    callbacks.on_train_begin()
    callbacks.on_epoch_begin(0)
    callbacks.on_train_batch_begin(0)
    callbacks.on_train_batch_end(0, logs={"loss": 2.0})
    callbacks.on_epoch_end(0, {"loss": 1.0})
    callbacks.on_train_end()
    assert heard == [{"loss": 2.0}]
    assert made.history.history == {"loss": [1.0]}
    with pytest.raises(AttributeError, match="on_epoch_middle"):
        callbacks.on_epoch_middle()
    with pytest.raises(TypeError, match="`callbacks` must be"):
        CallbackList([keras.callbacks.History])


def test_lambda_callbacks():
    heard = []
    callback = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: heard.append(epoch),
        on_test_begin=lambda logs: heard.append("test"),
    )
    model().fit(*data(), epochs=2, verbose=0, callbacks=[callback], validation_split=0.5)
    assert heard == ["test", 0, "test", 1]
    with pytest.raises(ValueError, match="on_epoch_middle"):
        keras.callbacks.LambdaCallback(on_epoch_middle=print)


def test_a_callback_may_change_the_learning_rate_and_stop():
    class Halve(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.optimizer.learning_rate = float(self.model.optimizer.learning_rate) / 2
            self.model.stop_training = epoch == 2

    made = model()
    history = made.fit(*data(), epochs=10, verbose=0, callbacks=[Halve()])
    assert history.epoch == [0, 1, 2]
    assert float(made.optimizer.learning_rate) == 0.01 / 8
    assert made.fit(*data(), epochs=2, verbose=0).epoch == [0, 1]


def test_training_may_stop_after_a_batch():
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(batch)
            self.model.stop_training = batch == 1

    seen = []
    history = model().fit(*data(), batch_size=2, epochs=3, verbose=0, callbacks=[Stop()])
    assert seen == [0, 1]
    assert len(history.history["loss"]) == 1


@pytest.mark.parametrize("given", ["early", keras.callbacks.History, [3]])
def test_what_is_no_callback_is_named(given):
    with pytest.raises(TypeError, match="`callbacks` must be `Callback` objects, received"):
        model().fit(*data(), verbose=0, callbacks=given)


class Scripted(keras.callbacks.Callback):
    """Replaces what is monitored by given numbers, and the weights by the epoch's number."""

    def __init__(self, name, values):
        super().__init__()
        self.name, self.values = name, values

    def on_epoch_end(self, epoch, logs=None):
        logs[self.name] = self.values[epoch]
        self.model.set_weights([np.full_like(w, epoch) for w in self.model.get_weights()])


def stop_early(values, name="val_loss", **options):
    made = model()
    stopping = keras.callbacks.EarlyStopping(name, **options)
    history = made.fit(
        *data(), epochs=len(values), verbose=0, callbacks=[Scripted(name, values), stopping]
    )
    return len(history.epoch), float(made.get_weights()[0][0, 0]), stopping


class TestEarlyStopping:
    def test_waits_for_patience_epochs(self):
        assert stop_early([3, 2, 2, 2, 2, 2], patience=2)[0] == 4
        assert stop_early([3, 4, 2, 4, 1, 4], patience=2)[0] == 6

    def test_too_small_an_improvement_is_none(self):
        assert stop_early([3, 2.95, 2.9, 2.0], min_delta=0.2, patience=2)[0] == 3

    def test_restores_the_best_weights_whether_stopped_or_not(self):
        assert stop_early([3, 1, 2, 2, 2], patience=2, restore_best_weights=True)[:2] == (4, 1.0)
        assert stop_early([3, 1, 2], patience=9, restore_best_weights=True)[:2] == (3, 1.0)
        assert stop_early([3, 1, 2], patience=9)[:2] == (3, 2.0)

    def test_direction(self):
        assert stop_early([1, 2, 3, 3], name="val_accuracy", patience=1)[0] == 4
        assert stop_early([1, 2, 3, 3], name="score", mode="max", patience=1)[0] == 4
        assert stop_early([1, 2, 3, 3], name="val_mae", patience=1)[0] == 2
        assert stop_early([1, 2, 3, 3], name="val_out_mae", patience=1)[0] == 2
        assert stop_early([1, 2, 3, 3], name="val_out_acc", patience=1)[0] == 4
        assert stop_early([1, 2, 3, 3], name="val_out_loss", patience=1)[0] == 2
        with pytest.raises(ValueError, match=r"EarlyStopping callback received monitor=score"):
            stop_early([1, 2, 3, 3], name="score", patience=1)
        with pytest.warns(UserWarning, match="mode 'up' is unknown"):
            assert keras.callbacks.EarlyStopping(mode="up").mode == "auto"

    def test_baseline_and_late_start(self):
        assert stop_early([5, 4, 3, 3, 3], baseline=2.0, patience=2)[0] == 4
        assert stop_early([1, 5, 5, 4, 4, 4], start_from_epoch=3, patience=2)[0] == 6

    def test_says_what_it_does(self, capsys):
        stop_early([3, 1, 2, 2], patience=1, verbose=1, restore_best_weights=True)
        assert capsys.readouterr().out == (
            "Epoch 3: early stopping\nRestoring model weights from the end of the best epoch: 2.\n"
        )

    def test_a_missing_monitor_is_named(self):
        with pytest.warns(UserWarning, match="`val_loss` which is not available.*loss,mae"):
            model().fit(*data(), verbose=0, callbacks=[keras.callbacks.EarlyStopping()])


class TestTerminateOnNaN:
    def test_stops_or_raises(self, capsys):
        x, y = data()
        made = model()
        with pytest.warns(RuntimeWarning, match="`y` holds nan at sample 5"):
            history = made.fit(
                x,
                np.where(np.arange(8)[:, None] == 5, np.nan, y),
                batch_size=2,
                shuffle=False,
                epochs=3,
                verbose=0,
                callbacks=[keras.callbacks.TerminateOnNaN()],
            )
        assert len(history.epoch) == 1
        assert "Batch 2: Invalid loss" in capsys.readouterr().out
        with (
            pytest.warns(RuntimeWarning),
            pytest.raises(RuntimeError, match="Inf loss encountered at batch 0"),
        ):
            made.fit(x, y, verbose=0, callbacks=[keras.callbacks.TerminateOnNaN(raise_error=True)])
