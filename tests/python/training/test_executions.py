"""Batches told of together, passes that callbacks stop, caps, and losses of some outputs only."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import config, layers

rng = np.random.default_rng(5)
X, Y = rng.normal(size=(70, 4)), rng.normal(size=(70, 3))


class Heard(keras.callbacks.Callback):
    """Notes what it hears of batches, and ends a pass after some."""

    def __init__(self, stop_after: int | None = None) -> None:
        super().__init__()
        self.heard: list[tuple[str, int]] = []
        self.outputs: list[np.ndarray] = []
        self.stop_after = stop_after

    def _note(self, what: str, batch: int) -> None:
        self.heard.append((what, batch))
        ends = sum(name.endswith("end") for name, _ in self.heard)
        if ends == self.stop_after:
            self.model.stop_training = True
            self.model.stop_evaluating = self.model.stop_predicting = True

    def on_train_batch_begin(self, batch, logs=None):
        self._note("begin", batch)

    def on_train_batch_end(self, batch, logs=None):
        assert set(logs) == {"loss"}
        self._note("end", batch)

    on_test_batch_begin = on_predict_batch_begin = on_train_batch_begin
    on_test_batch_end = on_train_batch_end

    def on_predict_batch_end(self, batch, logs=None):
        self.outputs.append(logs["outputs"])
        self._note("end", batch)


def dense(**options) -> keras.Model:
    model = keras.Sequential([layers.Dense(3, kernel_initializer="ones")])
    model.compile("sgd", loss="mse", **options)
    return model


TOGETHER = {
    3: [("begin", 0), ("end", 2), ("begin", 3), ("end", 5), ("begin", 6), ("end", 8)],
    9: [("begin", 0), ("end", 8)],
}


@pytest.mark.parametrize("together", TOGETHER)
def test_callbacks_hear_of_several_batches_at_a_time(together):
    model, plain, heard = dense(steps_per_execution=together), dense(), Heard()
    options = {"batch_size": 10, "verbose": 0}
    assert model.steps_per_execution == together
    history = model.fit(X, Y, epochs=2, shuffle=False, callbacks=[heard], **options).history
    assert heard.heard == TOGETHER[together] * 2
    assert history == plain.fit(X, Y, epochs=2, shuffle=False, **options).history
    heard = Heard()
    assert model.evaluate(X, Y, callbacks=[heard], **options) == plain.evaluate(X, Y, **options)
    assert heard.heard == TOGETHER[together]
    heard = Heard()
    predicted = model.predict(X, callbacks=[heard], **options)
    assert heard.heard == TOGETHER[together]
    np.testing.assert_array_equal(np.concatenate(heard.outputs), predicted)
    np.testing.assert_array_equal(predicted, plain.predict(X, **options))


def test_steps_per_execution_is_a_positive_integer():
    for wrong in (0, -1, 2.5, True):
        with pytest.raises(ValueError, match="`steps_per_execution` must be a positive integer"):
            dense(steps_per_execution=wrong)


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_a_callback_stops_a_pass_without_end(method):
    def endless():
        while True:
            yield (X[:2],) if method == "predict" else (X[:2], Y[:2])

    model, heard = dense(steps_per_execution=2), Heard(stop_after=4)
    for _ in range(2):  # the next pass is not stopped by the last one
        heard.heard.clear()
        getattr(model, method)(endless(), callbacks=[heard], verbose=0)
        assert heard.heard[-2:] == [("begin", 6), ("end", 7)]


def test_validation_data_without_end_takes_its_steps():
    def endless():
        while True:
            yield X[:2], Y[:2]

    heard = Heard()
    options = {"steps_per_epoch": 3, "validation_steps": 4, "verbose": 0}
    dense().fit(endless(), validation_data=endless(), callbacks=[heard], **options)
    assert [batch for what, batch in heard.heard if what == "end"] == [0, 1, 2, 0, 1, 2, 3]


def test_caps_hold_for_epochs_and_batches():
    model, heard = dense(), Heard()
    config.set_max_epochs(2)
    config.set_max_steps_per_epoch(3)
    try:
        assert (config.max_epochs(), config.max_steps_per_epoch()) == (2, 3)
        with pytest.warns(UserWarning, match="Limiting"):
            history = model.fit(X, Y, epochs=5, batch_size=10, callbacks=[heard], verbose=0)
        assert history.epoch == [0, 1]
        assert [batch for what, batch in heard.heard if what == "end"] == [0, 1, 2, 0, 1, 2]
        with pytest.warns(UserWarning, match="Limiting steps_per_epoch to 3"):
            assert len(model.predict(X, batch_size=10, verbose=0)) == 30
    finally:
        config.set_max_epochs(None)
        config.set_max_steps_per_epoch(None)
    with pytest.raises(ValueError, match="`max_epochs` must be a positive integer or None"):
        config.set_max_epochs(0)
    with pytest.raises(TypeError, match="`max_steps_per_epoch` must be a positive integer or None"):
        config.set_max_steps_per_epoch(1.5)


def test_targets_may_be_given_for_the_outputs_with_a_loss_alone():
    inputs = keras.Input((4,))
    made = layers.Dense(3)(inputs)
    model = keras.Model(inputs, [made, made * 2, made * 3])
    model.compile("sgd", loss=[None, "mse", None])
    expected = np.mean((2 * model.predict(X, verbose=0)[0] - Y) ** 2)
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(expected, rel=1e-5)
    assert model.evaluate(X, [None, Y, None], verbose=0) == pytest.approx(expected, rel=1e-5)


def test_an_own_compute_loss_need_not_know_of_training():
    class Mine(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(3)

        def call(self, x):
            return self.dense(x)

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
            return 3 * super().compute_loss(x, y, y_pred, sample_weight)

    model = Mine()
    model.compile("sgd", loss="mse")
    expected = 3 * np.mean((model.predict(X, verbose=0) - Y) ** 2)
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(expected, rel=1e-5)
    logs = model.fit(X, Y, batch_size=70, verbose=0).history
    assert logs["loss"] == [pytest.approx(expected, rel=1e-5)]


def test_an_epoch_goes_on_to_the_end_of_batches_that_are_told_of_together():
    model, heard = dense(steps_per_execution=2), Heard()
    with pytest.warns(UserWarning, match="ran out of data"):
        model.fit(
            X[:60], Y[:60], batch_size=6, epochs=2, steps_per_epoch=5, callbacks=[heard], verbose=0
        )
    assert [batch for what, batch in heard.heard if what == "end"] == [1, 3, 5, 1, 3]


@pytest.mark.parametrize("own", [False, True])
def test_metrics_take_the_values_of_what_is_traced(own):
    class Largest(keras.metrics.Metric):
        def __init__(self):
            super().__init__(name="seen")
            self.largest = self.add_variable((), "zeros", name="largest")

        def update_state(self, values):
            self.largest.assign(keras.ops.maximum(self.largest, keras.ops.max(values)))

        def result(self):
            return float(self.largest)

    metric = Largest() if own else keras.metrics.Mean(name="seen")

    class Mine(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense, self.seen = layers.Dense(3), metric

        def call(self, x):
            return self.dense(x)

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            loss = super().compute_loss(x, y, y_pred, sample_weight)
            self.seen.update_state(loss * 4)
            return loss

    model = Mine()
    model.compile("sgd", loss="mse")
    logs = model.fit(X, Y, batch_size=70, verbose=0).history
    assert logs["seen"] == [pytest.approx(4 * logs["loss"][0])]
