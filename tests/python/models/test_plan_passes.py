"""`predict` and `evaluate` of many batches are one call of the engine, with the bits of many."""

import signal
import time

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import layers
from ferrnn._src.models import inference
from ferrnn._src.training import judging, steps
from ferrnn.layers import GRU, LSTM, Dense


def lstm():
    return keras.Sequential([keras.Input((None, 5)), LSTM(7, return_sequences=True), Dense(3)])


def masked():
    stack = [keras.Input((6, 5)), layers.Masking(0.5), LSTM(4, return_sequences=True), Dense(3)]
    return keras.Sequential(stack)


def handed_back():
    stack = [keras.Input((6, 5)), GRU(4, return_sequences=True), layers.AveragePooling1D(2)]
    return keras.Sequential([*stack, layers.Flatten(), Dense(3, "sigmoid")])


def double():
    stack = [keras.Input((6, 5), dtype="float64"), GRU(4, dtype="float64")]
    return keras.Sequential([*stack, Dense(3, dtype="float64")])


MODELS = {build.__name__: build for build in (lstm, masked, handed_back, double)}


def inputs(rows=29, seed=0, dtype="float32"):
    x = np.random.default_rng(seed).normal(size=(rows, 6, 5)).astype(dtype)
    x[:, 4:] = 0.5
    return x


@pytest.fixture
def calls(monkeypatch):
    """How many samples each call of the engine has given outputs for; no batch goes alone."""
    taken = []
    ahead = inference.InferencePlan.ahead

    def noted(plan, x, size, done, outputs):
        made, rows = ahead(plan, x, size, done, outputs)
        taken.append(rows - done)
        return made, rows

    def refused(model, x):
        raise AssertionError("a batch went alone")

    monkeypatch.setattr(inference.InferencePlan, "ahead", noted)
    monkeypatch.setattr(steps.Steps, "run_predict_step", refused)
    monkeypatch.setattr(steps.Steps, "_test", refused)
    for module in (inference, judging):
        monkeypatch.setattr(module, "LIMIT", 600.0)
    return taken


def layer_by_layer(model, x, size):
    parts = []
    for start in range(0, len(x), size):
        part = x[start : start + size]
        for layer in model.layers:
            part = layer(part)
        parts.append(np.array(part))
    return np.concatenate(parts)


@pytest.mark.parametrize("size", [1, 8, 14])
@pytest.mark.parametrize("kind", MODELS)
def test_predict_is_one_call_with_the_bits_of_layers(kind, size, calls):
    model = MODELS[kind]()
    x = inputs(dtype="float64" if kind == "double" else "float32")
    outputs = model.predict(x, batch_size=size, verbose=0)
    assert calls == [29]
    np.testing.assert_array_equal(outputs, layer_by_layer(model, x, size))
    assert type(outputs) is np.ndarray
    assert outputs.base is None
    np.testing.assert_array_equal(model.predict(x, batch_size=size), outputs)


def test_predict_casts_and_views_as_before(calls):
    model = lstm()
    x = inputs()
    outputs = layer_by_layer(model, x, 8)
    wide = x.astype("float64")
    np.testing.assert_array_equal(model.predict(wide, batch_size=8, verbose=0), outputs)
    twice = np.repeat(x, 2, axis=0)[::2]
    np.testing.assert_array_equal(model.predict(twice, batch_size=8, verbose=0), outputs)
    some = model.predict(x, batch_size=8, steps=2, verbose=0)
    np.testing.assert_array_equal(some, outputs[:16])
    assert calls == [29, 29, 16]


def test_calls_that_run_out_of_time_go_on(calls, monkeypatch):
    model, x = lstm(), inputs()
    monkeypatch.setattr(inference, "LIMIT", 0.0)
    outputs = model.predict(x, batch_size=8, verbose=0)
    np.testing.assert_array_equal(outputs, layer_by_layer(model, x, 8))
    assert calls == [8, 8, 8, 5]


def test_weights_that_are_written_between_two_passes_count(calls):
    model, x = lstm(), inputs()
    before = model.predict(x, batch_size=8, verbose=0)
    model.layers[-1].bias.assign([0.3, -0.4, 1.0])
    after = model.predict(x, batch_size=8, verbose=0)
    np.testing.assert_array_equal(after, layer_by_layer(model, x, 8))
    assert not np.array_equal(before, after)


def test_callbacks_that_listen_hear_of_each_batch():
    heard = []
    callback = keras.callbacks.LambdaCallback(
        on_predict_batch_end=lambda batch, logs: heard.append((batch, logs["outputs"].shape))
    )
    model, x = lstm(), inputs()
    outputs = model.predict(x, batch_size=8, verbose=0, callbacks=[callback])
    assert heard == [(0, (8, 6, 3)), (1, (8, 6, 3)), (2, (8, 6, 3)), (3, (5, 6, 3))]
    np.testing.assert_array_equal(outputs, model.predict(x, batch_size=8, verbose=0))


def test_a_bar_of_predict_counts_all_batches(capsys, monkeypatch):
    monkeypatch.setattr("ferrnn._src.training.callbacks.is_interactive", lambda: True)
    monkeypatch.setattr("ferrnn._src.training.progress.is_interactive", lambda: True)
    lstm().predict(inputs(), batch_size=8)
    assert "4/4" in capsys.readouterr().out.splitlines()[-1]


def test_ids_that_no_row_has_are_refused_as_before():
    stack = [keras.Input((4,), dtype="int32"), layers.Embedding(9, 5), LSTM(3)]
    model = keras.Sequential(stack)
    ids = np.random.default_rng(1).integers(0, 9, (20, 4))
    outputs = model.predict(ids, batch_size=4, verbose=0)
    np.testing.assert_array_equal(outputs, layer_by_layer(model, ids, 4))
    ids[13, 2] = 9
    with pytest.raises(ValueError, match="must be ids from 0 to"):
        model.predict(ids, batch_size=4, verbose=0)


def test_inputs_of_another_shape_are_refused_as_before(monkeypatch):
    model = handed_back()
    errors = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        with pytest.raises(ValueError, match="shape") as error:
            model.predict(np.zeros((20, 9, 5), "float32"), batch_size=4, verbose=0)
        errors.append(str(error.value))
    assert errors[0] == errors[1]


def test_an_interrupt_ends_predict_before_its_time(monkeypatch):
    model = keras.Sequential([keras.Input((50, 16)), LSTM(64), Dense(1)])
    x = np.zeros((20_000, 50, 16), "float32")
    model.predict(x[:64], batch_size=8, verbose=0)
    monkeypatch.setattr(inference, "LIMIT", 600.0)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    start = time.monotonic()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            model.predict(x, batch_size=8, verbose=0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - start < 5
    assert model.predict(x[:64], batch_size=8, verbose=0).shape == (64, 1)


JUDGED = {
    "mse": {"loss": "mse", "metrics": ["mae", "mse"]},
    "crossentropy": {"loss": "binary_crossentropy", "metrics": ["accuracy"]},
    "huber": {"loss": "huber", "weighted_metrics": ["mae"]},
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("judged", JUDGED)
@pytest.mark.parametrize("kind", ["handed_back", "double"])
def test_evaluate_gives_the_numbers_of_batches(kind, judged, weighted, calls, monkeypatch):
    model, dtype = MODELS[kind](), "float64" if kind == "double" else "float32"
    model.compile("sgd", **JUDGED[judged])
    x = inputs(dtype=dtype)
    y = (np.random.default_rng(3).random((29, 3)) > 0.5).astype(dtype)
    weight = np.random.default_rng(4).random(29) if weighted else None
    found = model.evaluate(x, y, 8, sample_weight=weight, verbose=0, return_dict=True)
    monkeypatch.undo()
    monkeypatch.setenv("FERRNN_PLAN", "0")
    wanted = model.evaluate(x, y, 8, sample_weight=weight, verbose=0, return_dict=True)
    assert found == wanted
    assert found["loss"] > 0


def test_evaluate_of_penalties_and_masks_gives_the_numbers_of_batches(monkeypatch):
    stack = [keras.Input((6, 5)), layers.Masking(0.5), LSTM(4, return_sequences=True)]
    model = keras.Sequential([*stack, Dense(3, kernel_regularizer="l2")])
    model.compile("sgd", "mse", metrics=["mae"])
    y = np.random.default_rng(3).normal(size=(29, 6, 3)).astype("float32")
    found = model.evaluate(inputs(), y, 8, verbose=0)
    monkeypatch.setenv("FERRNN_PLAN", "0")
    assert found == model.evaluate(inputs(), y, 8, verbose=0)


def test_validation_is_by_the_weights_that_inference_has(monkeypatch):
    def losses(planned):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        keras.utils.set_random_seed(3)
        model = keras.Sequential([keras.Input((6, 5)), LSTM(16), Dense(3)])
        model.layers[0].inference_precision = "int8"
        model.compile("sgd", "mse")
        x, y = inputs(), np.ones((29, 3), "float32")
        return model.fit(x, y, validation_data=(x, y), verbose=0, epochs=2).history

    assert losses("1") == losses("0")
