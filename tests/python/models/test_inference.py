"""Calls of models by plans give what their layers give, and what was changed counts at once."""

import copy
import pickle
import threading

import numpy as np
import pytest

import ferrnn as keras
from each_case import each_case
from ferrnn.layers import GRU, LSTM, Bidirectional, Dense, Dropout, Embedding, Flatten

MODELS = {
    "lstm": lambda: [keras.Input((None, 5)), LSTM(7, return_sequences=True), GRU(3), Dense(2)],
    "both ways": lambda: [keras.Input((6, 5)), Bidirectional(LSTM(4)), Dense(3, "relu")],
    "sequences": lambda: [
        keras.Input((6, 5)),
        keras.layers.LayerNormalization(),
        keras.layers.SimpleRNN(4, return_sequences=True),
        Dropout(0.5),
        Flatten(),
    ],
    "double": lambda: [
        keras.Input((6, 5), dtype="float64"),
        LSTM(4, dtype="float64"),
        Dense(1, dtype="float64"),
    ],
}


def inputs(rows=3, seed=0, dtype="float32"):
    return np.random.default_rng(seed).normal(size=(rows, 6, 5)).astype(dtype)


def planned(model, x):
    """The outputs of a call after those that make the plan."""
    for _ in range(4):
        outputs = model(x)
    assert model._inference[1] is not None
    return outputs


def layer_by_layer(model, x):
    for layer in model.layers:
        x = layer(x)
    return x


@each_case("rows", [1, 5, 33])
@each_case("kind", MODELS)
def test_the_plan_gives_the_bits_of_the_layers(kind, rows):
    model = keras.Sequential(MODELS[kind]())
    x = inputs(rows, dtype=model.layers[0].dtype)
    outputs = planned(model, x)
    np.testing.assert_array_equal(outputs, layer_by_layer(model, x))
    assert type(outputs) is type(layer_by_layer(model, x))
    np.testing.assert_array_equal(model.predict(x, verbose=0), outputs)


def test_ids_are_looked_up_by_the_plan():
    model = keras.Sequential([keras.Input((4,), dtype="int32"), Embedding(9, 5), LSTM(3)])
    ids = np.random.default_rng(1).integers(0, 9, (3, 4))
    np.testing.assert_array_equal(planned(model, ids), layer_by_layer(model, ids))
    with pytest.raises(ValueError, match="must be ids from 0 to"):
        model(ids + 9)
    np.testing.assert_array_equal(model(ids), layer_by_layer(model, ids))


def test_weights_that_were_written_count_at_once():
    model = keras.Sequential(MODELS["lstm"]())
    before = np.array(planned(model, inputs()))
    model.layers[0].cell.recurrent_kernel.assign_add(0.5 * np.ones((7, 28), "float32"))
    np.testing.assert_array_equal(model(inputs()), layer_by_layer(model, inputs()))
    assert not np.array_equal(model(inputs()), before)


@each_case(
    "change",
    [
        lambda model: setattr(model.layers[0], "go_backwards", True),
        lambda model: setattr(model.layers[0].cell, "activation", keras.activations.relu),
        lambda model: setattr(model.layers[-1], "activation", keras.activations.tanh),
        lambda model: setattr(model.layers[1], "return_sequences", True),
        lambda model: setattr(model.layers[1], "inference_precision", "bfloat16"),
        lambda model: model.add(Dense(2, "sigmoid")),
        lambda model: model.pop(),
    ],
)
def test_layers_that_were_changed_count_at_once(change):
    model = keras.Sequential(MODELS["lstm"]())
    model.layers[-1].bias.assign([0.3, -0.4])
    before = np.array(planned(model, inputs()))
    change(model)
    for _ in range(4):
        after = model(inputs())
        np.testing.assert_array_equal(after, layer_by_layer(model, inputs()))
    assert after.shape != before.shape or not np.array_equal(after, before)


def test_weights_of_fewer_bits_count_at_any_depth():
    inner = keras.Sequential([keras.Input((6, 5)), keras.layers.RNN(keras.layers.LSTMCell(7))])
    model = keras.Sequential([keras.Input((6, 5)), inner, Dense(2)])
    before = np.array(planned(model, inputs()))
    inner.layers[0].cell.inference_precision = "int8"
    for _ in range(4):
        after = model(inputs())
    assert not np.array_equal(after, before)
    np.testing.assert_array_equal(after, layer_by_layer(model, inputs()))


def test_a_call_waits_for_nobody_who_holds_the_weights():
    model = keras.Sequential(MODELS["lstm"]())
    outputs = layer_by_layer(model, inputs())  # which packs the weights of each layer
    planned(model, inputs())
    found = []
    with keras._src.weights.one_version.one_version():
        other = threading.Thread(target=lambda: found.append(model(inputs())), daemon=True)
        other.start()
        other.join(20)
        assert len(found) == 1
    np.testing.assert_array_equal(found[0], outputs)


def test_what_the_plan_does_not_take_goes_layer_by_layer():
    model = keras.Sequential(MODELS["lstm"]())
    planned(model, inputs())
    wide = inputs().astype("float64")
    np.testing.assert_array_equal(model(wide), model(wide.astype("float32")))
    strided = np.ascontiguousarray(inputs().transpose(1, 0, 2)).transpose(1, 0, 2)
    np.testing.assert_array_equal(model(strided), model(inputs()))
    mask = np.ones((3, 6), bool)
    mask[1, 2:] = False
    masked = model(inputs(), mask=mask)
    assert not np.array_equal(masked, model(inputs()))
    many = inputs(4000)
    np.testing.assert_array_equal(model(many)[:5], model(many[:5]))
    with pytest.raises(ValueError, match="shape"):
        model(np.zeros((3, 6, 4), "float32"))
    assert model(np.zeros((0, 6, 5), "float32")).shape == (0, 2)


def test_dropout_is_on_in_training():
    model = keras.Sequential(MODELS["sequences"]())
    plain = planned(model, inputs())
    assert np.mean(model(inputs(), training=True) == 0) > np.mean(plain == 0) + 0.3


def test_outputs_are_the_callers_own():
    model = keras.Sequential(MODELS["lstm"]())
    outputs = planned(model, inputs())
    kept = np.array(outputs)
    outputs += 1
    model(inputs(seed=1))
    np.testing.assert_array_equal(model(inputs()), kept)
    np.testing.assert_array_equal(outputs, kept + 1)


def test_threads_share_a_plan():
    model = keras.Sequential(MODELS["lstm"]())
    arrays = [inputs(seed=seed) for seed in range(4)]
    wanted = [np.array(layer_by_layer(model, x)) for x in arrays]
    planned(model, arrays[0])
    wrong = []

    def calls(x, expected):
        wrong.extend(1 for _ in range(200) if not np.array_equal(model(x), expected))

    threads = [
        threading.Thread(target=calls, args=pair) for pair in zip(arrays, wanted, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_copies_of_a_planned_model_have_plans_of_their_own():
    model = keras.Sequential(MODELS["lstm"]())
    outputs = planned(model, inputs())
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert other._inference[1] is None
        np.testing.assert_array_equal(planned(other, inputs()), outputs)
        assert other._inference[1] is not model._inference[1]


def test_without_plans_nothing_is_planned(monkeypatch):
    monkeypatch.setenv("FERRNN_PLAN", "0")
    model = keras.Sequential(MODELS["lstm"]())
    for _ in range(4):
        model(inputs())
    assert model._inference[1] is None


def test_training_steps_leave_the_structure_as_it_is():
    """Each of them would make all plans anew otherwise."""
    model = keras.Sequential(MODELS["lstm"]())
    model.compile("adam", "huber")
    y = np.zeros((3, 2), "float32")
    model.fit(inputs(), y, verbose=0)
    before = keras._src.weights.parameter.structure_version()
    model.fit(inputs(), y, epochs=3, verbose=0)
    model.evaluate(inputs(), y, verbose=0)
    model.predict(inputs(), verbose=0)
    assert keras._src.weights.parameter.structure_version() == before
