"""Batches given one by one: `train_on_batch` and `test_on_batch` by plans and without them."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn._src.models import lowering
from ferrnn.layers import GRU, Dense, Dropout
from models.planned import data


def made(penalty=None, dropout=0.2):
    layers = [
        keras.Input((6, 5)),
        GRU(7, kernel_regularizer=penalty, seed=1),
        Dropout(dropout, seed=2),
        Dense(1, activation="tanh", kernel_initializer=keras.initializers.GlorotUniform(seed=3)),
    ]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    return model


def both_ways(run, monkeypatch, **options):
    """What `run` gives for a model with plans and for one without, compared to the bit."""
    results = []
    for switch in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", switch)
        keras.utils.set_random_seed(0)
        model = made(**options)
        told = run(model, *data(out=(1,)))
        weights = [each.tolist() for each in (*model.get_weights(), *optimizer_slots(model))]
        results.append((told, weights, int(model.optimizer.iterations)))
    assert results[0] == results[1]
    return results[0][0]


def optimizer_slots(model):
    return [slot.value for slot in model.optimizer.variables]


def test_a_model_is_lowered_once_for_many_batches(monkeypatch):
    seen = []
    lower = lowering.lowered
    monkeypatch.setattr(lowering, "lowered", lambda *given: (seen.append(1), lower(*given))[1])
    model, (x, y) = made(), data(out=(1,))
    for _ in range(2):  # the first batch chooses the metrics
        model.train_on_batch(x, y)
    first = len(seen)
    assert first
    for _ in range(5):
        model.train_on_batch(x, y)
        model.test_on_batch(x, y)
    assert len(seen) == first


def test_batches_of_other_kinds_take_turns(monkeypatch):
    def run(model, x, y):
        kinds = [
            (x, y),
            (x[:7], y[:7, 0]),
            (x.astype("float64"), y),
            (x[::2], np.round(y[::2]).astype("int64")),
            (x[:, ::-1], y),
            (x[..., ::-1], y),
            (x, y.astype("float64")),
        ]
        return [
            [*model.train_on_batch(*kind), *model.test_on_batch(*kind)]
            for _ in range(2)
            for kind in kinds
        ]

    assert len(both_ways(run, monkeypatch)) == 14


@pytest.mark.parametrize("weight", [0.5, np.linspace(0, 2, 23, dtype="float32")])
def test_weights_come_and_go(weight, monkeypatch):
    def run(model, x, y):
        given = (None, weight, None, weight, None)
        return [model.train_on_batch(x[:23], y[:23], sample_weight=each) for each in given]

    both_ways(run, monkeypatch)


def test_what_changes_between_batches_holds_from_the_next_one_on(monkeypatch):
    def run(model, x, y):
        told = [model.train_on_batch(x, y)]
        model.layers[1].rate = 0.5
        told.append(model.train_on_batch(x, y))
        model.layers[2].activation = keras.activations.linear
        told.append(model.train_on_batch(x, y))
        model.optimizer.learning_rate = 0.5
        told.append(model.train_on_batch(x, y))
        model.optimizer.loss_scale_factor = 3.0
        model.optimizer.loss_scale_factor = 3.0
        told += [model.train_on_batch(x, y) for _ in range(2)]
        model.layers[0].trainable = False
        told.append(model.train_on_batch(x, y))
        model.compile("sgd", "mae")
        return [*told, model.train_on_batch(x, y), model.test_on_batch(x, y)]

    both_ways(run, monkeypatch)


def test_settings_of_losses_and_metrics_hold_from_the_next_batch_on(monkeypatch):
    def run(model, x, y):
        loss = keras.losses.BinaryCrossentropy()
        metric = keras.metrics.BinaryAccuracy(threshold=0.1)
        model.compile("sgd", loss, metrics=[metric])
        keras.config.set_epsilon(1e-7)
        y, told = (y > 0).astype("float32"), []
        for smoothing, threshold in ((0.0, 0.1), (0.0, 0.1), (0.3, 0.1), (0.3, 0.2), (0.0, 0.9)):
            loss.label_smoothing, metric.threshold = smoothing, threshold
            told += [model.train_on_batch(x, y), model.test_on_batch(x, y)]
        keras.config.set_epsilon(1e-3)
        return [*told, model.test_on_batch(x, y)]

    before = keras.config.epsilon()
    try:
        both_ways(run, monkeypatch)
    finally:
        keras.config.set_epsilon(before)


def test_penalties_are_in_the_loss_of_each_batch(monkeypatch):
    def run(model, x, y):
        before = model.test_on_batch(x, y)
        told = [model.train_on_batch(x, y), model.test_on_batch(x, y), model.train_on_batch(x, y)]
        data_alone = np.square(model.predict(x, verbose=0) - y).mean()
        assert model.test_on_batch(x, y)[0] > data_alone + 0.1
        return [before, *told]

    both_ways(run, monkeypatch, penalty=keras.regularizers.L2(0.3))


def test_testing_between_two_steps_does_not_disturb_them():
    x, y = data(out=(1,))
    results = []
    for tested in (True, False):
        keras.utils.set_random_seed(0)
        model = made()
        for _ in range(4):
            model.train_on_batch(x, y)
            if tested:
                model.test_on_batch(x, y)
                model.evaluate(x, y, verbose=0)
        results.append([each.tolist() for each in model.get_weights()])
    assert results[0] == results[1]


def test_settings_of_losses_and_samples_hold_from_the_next_epoch_on(monkeypatch):
    class Moving(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.loss.label_smoothing = 0.3 * (epoch % 2)
            self.x[0] = epoch

    def run(model, x, y):
        moving = Moving()
        moving.loss, moving.x = keras.losses.BinaryCrossentropy(), x
        model.compile("sgd", moving.loss)
        y = (y > 0).astype("float32")
        held_out = x[:11], y[:11], np.linspace(0, 1, 11)
        kinds = [(x, y), (x[::2], y[::2]), (x, y, np.ones(len(x))), (x[:9], y[:9]), (x[:5], y[:5])]
        options = {"epochs": 5, "batch_size": 8, "verbose": 0, "callbacks": [moving]}
        return [
            model.fit(x, y, sample_weight=more[0] if more else None, **options).history
            for x, y, *more in (*kinds, *kinds)
        ] + [model.fit(x, y, validation_data=held_out, **options).history]

    both_ways(run, monkeypatch)
