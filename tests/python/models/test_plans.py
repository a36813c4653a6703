"""Training by plans gives the bits, logs and histories that training layer by layer gives."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn.layers import LSTM, Dense
from models.planned import data, same, steps_of_calls, trained

CELLS = ["SimpleRNN", "LSTM", "GRU", "CoupledLSTM", "MinimalGatedUnit", "PeepholeLSTM"]


def recurrent(cell="LSTM", **options):
    def build():
        layer = getattr(keras.layers, cell)(7, return_sequences=True, name="first", **options)
        return keras.Sequential([keras.Input((None, 5)), layer, LSTM(6), Dense(3)])

    return build


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_trains_to_the_same_bits(cell, monkeypatch):
    same(recurrent(cell), *data(), monkeypatch)


@pytest.mark.parametrize(
    "options",
    [
        {"go_backwards": True},
        {"use_bias": False},
        {"activation": "relu", "recurrent_activation": "tanh"},
        {"dtype": "float64"},
    ],
)
def test_options_of_cells_train_to_the_same_bits(options, monkeypatch):
    dtype = options.get("dtype", "float32")

    def build():
        layers = [
            keras.Input((6, 5), dtype=dtype),
            keras.layers.GRU(7, return_sequences=True, **options),
            Dense(3, activation="gelu", dtype=dtype),
        ]
        return keras.Sequential(layers)

    same(build, *data(out=(6, 3), dtype=dtype), monkeypatch)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.SGD(0.05),
        lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True, clipnorm=0.1),
        lambda: keras.optimizers.Adam(0.01, amsgrad=True, clipvalue=0.01),
        lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1, global_clipnorm=0.1),
        lambda: keras.optimizers.RMSprop(0.01, global_clipnorm=100.0),
        lambda: keras.optimizers.RMSprop(0.01, momentum=0.8, clipnorm=0.3),
        lambda: keras.optimizers.RMSprop(0.01, centered=True, weight_decay=0.1),
        lambda: keras.optimizers.RMSprop(0.01, momentum=0.8, centered=True),
        lambda: keras.optimizers.Nadam(0.01, weight_decay=0.1, clipnorm=0.3),
        lambda: keras.optimizers.Nadam(keras.optimizers.schedules.CosineDecay(0.02, 9)),
        lambda: keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.02, 3, 0.5)),
    ],
)
def test_optimizers_train_to_the_same_bits(optimizer, monkeypatch):
    same(recurrent("GRU"), *data(), monkeypatch, compiled={"optimizer": optimizer, "loss": "mae"})


@pytest.mark.parametrize(
    ("loss", "metrics"),
    [("mse", ["mae", "mse"]), ("huber", None), ("dice", None), ("mse", ["cosine_similarity"])],
)
def test_losses_and_metrics_of_python_see_the_same_outputs(loss, metrics, monkeypatch):
    def build():
        layers = [keras.Input((6, 5)), LSTM(6), Dense(3, activation="sigmoid")]
        return keras.Sequential(layers)

    x, y = data()
    same(
        build,
        x,
        (y > 0).astype("float32"),
        monkeypatch,
        compiled={"loss": loss, "metrics": metrics},
    )


@pytest.mark.parametrize("dtype", ["float64", "int64", "uint8"])
def test_other_number_types_are_cast_as_before(dtype, monkeypatch):
    x, y = data()
    same(recurrent(), (10 * np.abs(x)).astype(dtype), y.astype("float64"), monkeypatch)


@pytest.mark.parametrize("batch", [3, 17, 300])
@pytest.mark.parametrize("loss", ["mse", "mae", "huber", "log_cosh"])
def test_targets_of_another_shape_or_type_give_the_same_sums(loss, batch, monkeypatch):
    def build():
        return keras.Sequential([keras.Input((2, 5)), keras.layers.SimpleRNN(3), Dense(1)])

    x, y = data((300, 2, 5), ())
    compiled = {"loss": loss, "metrics": ["mae", "mse"]}
    options = {"batch_size": batch, "epochs": 1 + batch // 100, "compiled": compiled}
    same(build, x, y, monkeypatch, **options)
    same(build, x, np.round(y[:, None].astype("float64"), 3), monkeypatch, **options)


LAYERS = {
    "dropout": [LSTM(6, return_sequences=True), keras.layers.Dropout(0.4), LSTM(4)],
    "spatial": [keras.layers.SpatialDropout1D(0.4), LSTM(4), keras.layers.Dropout(0.0)],
    "cells": [LSTM(6, dropout=0.3, return_sequences=True), LSTM(4, recurrent_dropout=0.3)],
    "gates": [keras.layers.GRU(6, dropout=0.3, recurrent_dropout=0.2, implementation=1)],
    "flat": [LSTM(4, return_sequences=True), keras.layers.Flatten()],
    "normalized": [keras.layers.LayerNormalization(), LSTM(4, return_sequences=True)],
    "unscaled": [keras.layers.LayerNormalization(scale=False), LSTM(4)],
    "concat": [keras.layers.Bidirectional(LSTM(4, return_sequences=True)), LSTM(3)],
    "sum": [keras.layers.Bidirectional(keras.layers.GRU(4), merge_mode="sum")],
    "mul": [
        LSTM(3, return_sequences=True),
        keras.layers.Bidirectional(LSTM(4, return_sequences=True), merge_mode="mul"),
    ],
    "ave": [keras.layers.Bidirectional(LSTM(4, dropout=0.2), merge_mode="ave")],
}


@pytest.mark.parametrize("kind", LAYERS)
def test_other_layers_train_to_the_same_bits(kind, monkeypatch):
    def build():
        layers = [keras.layers.deserialize(keras.layers.serialize(each)) for each in LAYERS[kind]]
        return keras.Sequential([keras.Input((6, 5)), *layers, Dense(3)])

    out = (6, 3) if kind in ("normalized", "mul") else (3,)
    same(build, *data(out=out), monkeypatch)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
def test_ids_train_to_the_same_bits(padded, dtype, monkeypatch):
    def build():
        layers = [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(11, 5, mask_zero=padded),
            keras.layers.Bidirectional(LSTM(4, return_sequences=True, zero_output_for_mask=True)),
            keras.layers.Dropout(0.2),
            keras.layers.GRU(6),
            Dense(3),
        ]
        return keras.Sequential(layers)

    ids = np.random.default_rng(3).integers(0, 11, (29, 7))
    ids[:, 5:] *= ids[:, 5:] > 4
    same(build, ids.astype(dtype), data()[1], monkeypatch)


def test_ids_that_no_row_has_are_refused_as_before(monkeypatch):
    layers = [keras.Input((4,)), keras.layers.Embedding(5, 3, name="words"), LSTM(2), Dense(1)]
    model = keras.Sequential(layers)
    model.compile("sgd", "mse")
    before = model.get_weights()
    with pytest.raises(ValueError, match="the inputs of layer 'words' must be ids from 0 to"):
        model.fit(np.full((8, 4), 5), np.ones((8, 1), "float32"), verbose=0)
    for own, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(own, other)


@pytest.mark.parametrize("steps", [False, True])
def test_classes_by_softmax_train_to_the_same_bits(steps, monkeypatch):
    def build():
        layers = [keras.Input((6, 5)), LSTM(4, return_sequences=steps)]
        return keras.Sequential([*layers, Dense(3, activation="softmax")])

    x, y = data(out=(6, 3) if steps else (3,))
    compiled = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
    same(build, x, y.argmax(-1), monkeypatch, compiled=compiled)


def test_penalties_on_weights_train_to_the_same_bits(monkeypatch):
    def build():
        layers = [
            keras.Input((6, 5)),
            LSTM(4, kernel_regularizer="l2", recurrent_regularizer=keras.regularizers.L1(0.03)),
            Dense(3, kernel_regularizer=keras.regularizers.L1L2(0.01, 0.02)),
        ]
        return keras.Sequential(layers)

    same(build, *data(), monkeypatch)


@pytest.mark.parametrize("loss", ["mse", "huber"])
def test_constraints_and_losses_of_layers_train_to_the_same_bits(loss, monkeypatch):
    def build():
        layers = [
            keras.Input((6, 5)),
            LSTM(4, kernel_constraint="max_norm", activity_regularizer="l2", return_sequences=True),
            keras.layers.ActivityRegularization(l1=0.01),
            keras.layers.GRU(5, recurrent_constraint=keras.constraints.UnitNorm()),
            Dense(3, bias_constraint="non_neg", activity_regularizer="l1"),
        ]
        return keras.Sequential(layers)

    same(build, *data(), monkeypatch, compiled={"loss": loss, "metrics": ["mae"]})


def test_weights_of_samples_count_as_before(monkeypatch):
    x, y = data()
    same(recurrent(), x, y, monkeypatch, sample_weight=np.linspace(0.1, 2, len(x)))


def test_views_and_ragged_batches_are_read_where_they_are(monkeypatch):
    x, y = data((40, 5))
    windows = np.lib.stride_tricks.sliding_window_view(x, 6, axis=0).transpose(0, 2, 1)
    same(recurrent(), windows, y[: len(windows)], monkeypatch, shuffle=False, batch_size=11)


def test_frozen_layers_stay_as_they_are(monkeypatch):
    def build():
        model = recurrent()()
        model.layers[0].trainable = False
        return model

    same(build, *data(), monkeypatch)
    model, _ = trained(build, *data(), monkeypatch, planned=True)
    keras.utils.set_random_seed(7)
    for own, other in zip(
        model.layers[0].get_weights(), build().layers[0].get_weights(), strict=True
    ):
        np.testing.assert_array_equal(own, other)


def test_a_graph_without_forks_is_planned_models_inside_too(monkeypatch):
    def build():
        inputs = keras.Input((6, 5))
        inner = keras.Sequential([keras.Input((6, 5)), LSTM(4, return_sequences=True)])
        return keras.Model(inputs, Dense(3)(LSTM(6)(inner(inputs))))

    same(build, *data(), monkeypatch)


class Watching(keras.callbacks.Callback):
    """Writes down what it is told of batches, and lowers the rate."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append((batch, dict(logs), int(self.model.optimizer.iterations)))
        self.model.optimizer.learning_rate = 0.9 * float(self.model.optimizer.learning_rate)


def test_callbacks_that_look_at_batches_see_each(monkeypatch):
    seen = []
    for planned in (True, False):
        watching = Watching()
        trained(recurrent(), *data(), monkeypatch, planned=planned, callbacks=[watching])
        seen.append(watching.seen)
    assert seen[0] == seen[1]
    assert len(seen[0]) == 12


def test_checkpoints_after_epochs_leave_whole_epochs_to_the_plan(tmp_path, monkeypatch):
    calls = steps_of_calls(monkeypatch)
    keeper = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    same(recurrent(), *data(), monkeypatch, callbacks=[keeper])
    assert sum(calls) == 12
    assert len(calls) < 12  # several batches in a call


def test_epochs_that_are_parts_of_a_pass_are_taken_up(monkeypatch):
    same(recurrent(), *data(), monkeypatch, steps_per_epoch=2, epochs=4)


class Pairs:
    """Batches that can be iterated over again."""

    def __iter__(self):
        x, y = data()
        return iter([(x[:9], y[:9]), (x[9:], y[9:])])


def test_batches_that_are_given_use_the_plan_one_by_one(monkeypatch):
    x, y = data()
    results = []
    for planned in (True, False):
        options = {"planned": planned, "batch_size": None}
        model, history = trained(recurrent(), Pairs(), None, monkeypatch, **options)
        losses = [model.train_on_batch(x[:5], y[:5]) for _ in range(3)]
        results.append((history, losses, [each.tolist() for each in model.get_weights()]))
    assert results[0] == results[1]


def test_a_loss_that_is_not_finite_is_told_at_its_step(monkeypatch):
    x, y = data()
    y[20] = np.nan
    counts = []
    for planned in (True, False):
        with pytest.warns(RuntimeWarning, match="The loss became nan in epoch 1, batch 3"):
            model, _ = trained(
                recurrent(), x, y, monkeypatch, planned=planned, shuffle=False, epochs=2
            )
        counts.append(int(model.optimizer.iterations))
    assert counts == [8, 8]


def test_settings_that_change_between_epochs_are_seen(monkeypatch):
    def change(epoch, logs):
        if epoch == 1:
            model = models[-1]
            model.layers[-1].activation = "tanh"
            model.optimizer.beta_1 = 0.5

    models = []

    def build():
        models.append(recurrent()())
        return models[-1]

    callback = keras.callbacks.LambdaCallback(on_epoch_begin=change)
    same(build, *data(), monkeypatch, callbacks=[callback])


def test_the_report_names_what_is_not_planned():
    class Own(Dense):
        pass

    layers = [keras.Input((6, 5)), LSTM(4, stateful=True, name="lstm"), Own(3, name="own")]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.Ftrl(name="ftrl"), "mse")
    report = model.explain_plan()
    assert not report.covered
    assert str(report).splitlines() == [
        "lstm  not planned: it has stateful=True, and return_state=True or any number of rows",
        "own   not planned: plans do not support Own",
        "ftrl  Python, from the engine: plans do not support the rule of Ftrl",
    ]
