"""Layers beside recurrent ones as the engine's own in plans: training, judging and predicting."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import layers, ops
from ferrnn.layers import LSTM, Dense
from models.planned import data, same

SEQUENCE = (12, 5)


def copied(layer, dtype):
    return type(layer).from_config({**layer.get_config(), "dtype": dtype})


def between(*middle, ends=("LSTM", "LSTM"), dtype="float32", shape=SEQUENCE, out=3):
    """A model with layers amid others: dropout beside them, sequences and gradients through."""
    chain = [*middle]
    if ends[0] is not None:
        own = ends[0] == "LSTM"
        chain[:0] = [LSTM(4, return_sequences=True), layers.Dropout(0.2)] if own else [ends[0]]
    if ends[1] is not None:
        chain += [layers.Dropout(0.2), LSTM(4)] if ends[1] == "LSTM" else [ends[1]]

    def build():
        parts = [copied(layer, dtype) for layer in (*chain, Dense(out))]
        return keras.Sequential([keras.Input(shape, dtype=dtype), *parts])

    return build


def agrees(build, x, y, monkeypatch, **options):
    """Trains both ways; then judges and predicts both ways. Nothing is handed back to Python."""
    given = {"compiled": {"metrics": ["mae"]}, "validation_data": (x[:9], y[:9]), **options}
    model = same(build, x, y, monkeypatch, **given)
    assert [node for node in model.explain_plan() if node.back] == []
    results = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        twice = [model(x[:7]) for _ in range(4)]
        judged = model.evaluate(x, y, batch_size=6, verbose=0)
        results.append([*twice, model.predict(x, batch_size=5, verbose=0), judged])
    for ours, wanted in zip(*results, strict=True):
        np.testing.assert_array_equal(ours, wanted)
    return model


DTYPES = ["float32", "float64"]


def ties(shape, dtype, out=(3,)):
    """Data of few values, so that steps share the highest."""
    x, y = data(shape, out, dtype)
    return np.round(x), y


GLOBAL = {
    "highest": layers.GlobalMaxPooling1D(),
    "mean": layers.GlobalAveragePooling1D(),
    "kept": layers.GlobalMaxPooling1D(keepdims=True),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", GLOBAL)
def test_global_pooling(kind, dtype, monkeypatch):
    behind = layers.GRU(3) if kind == "kept" else None
    x, y = data((29, *SEQUENCE), dtype=dtype)
    agrees(between(GLOBAL[kind], ends=("LSTM", behind), dtype=dtype), x, y, monkeypatch)


@pytest.mark.parametrize("features", [1, 5])
@pytest.mark.parametrize("kind", ["highest", "mean"])
def test_global_pooling_of_steps_that_tie(kind, features, monkeypatch):
    # A product with one filter gives one feature, whose sums NumPy makes of pairs of blocks.
    x, y = ties((29, 140, 3), "float32")
    ahead = layers.Conv1D(features, 1, activation="relu", kernel_initializer="ones")
    build = between(GLOBAL[kind], ends=(ahead, None), shape=(140, 3))
    agrees(build, x, y, monkeypatch)


@pytest.mark.parametrize("features", [1, 4])
@pytest.mark.parametrize("dtype", DTYPES)
def test_global_means_of_steps_that_count(dtype, features, monkeypatch):
    def build():
        parts = [keras.Input((19, 5), dtype=dtype), layers.Masking(0.5, dtype=dtype)]
        parts.append(layers.GRU(features, return_sequences=True, dtype=dtype))
        parts += [layers.GlobalAveragePooling1D(dtype=dtype), Dense(3, dtype=dtype)]
        return keras.Sequential(parts)

    x, y = data((29, 19, 5), dtype=dtype)
    for row, steps in enumerate(x):
        steps[row % 20 :] = 0.5  # none counts in the first
        steps[:: 2 + row % 3] = 0.5
    agrees(build, x, y, monkeypatch)


WINDOWS = {
    "two": {"pool_size": 2},
    "overlapping": {"pool_size": 4, "strides": 1},
    "around": {"pool_size": 3, "strides": 2, "padding": "same"},
    "wide": {"pool_size": 30, "strides": 5, "padding": "same"},
    "apart": {"pool_size": 2, "strides": 5},
}


@pytest.mark.parametrize(("dtype", "units"), [("float32", 4), ("float64", 4), ("float32", 1)])
@pytest.mark.parametrize("kind", WINDOWS)
@pytest.mark.parametrize("layer", [layers.MaxPooling1D, layers.AveragePooling1D])
def test_pooling(layer, kind, dtype, units, monkeypatch):
    x, y = ties((29, *SEQUENCE), dtype)
    ahead = LSTM(units, return_sequences=True)
    agrees(between(layer(**WINDOWS[kind]), ends=(ahead, "LSTM"), dtype=dtype), x, y, monkeypatch)
    agrees(between(layer(**WINDOWS[kind]), dtype=dtype), x, y, monkeypatch)


CONVOLUTIONS = {
    "plain": {"kernel_size": 3},
    "around": {"kernel_size": 4, "padding": "same", "activation": "relu"},
    "causal": {"kernel_size": 3, "padding": "causal", "activation": "gelu"},
    "strided": {"kernel_size": 3, "strides": 2, "use_bias": False},
    "apart": {"kernel_size": 2, "strides": 4, "padding": "same"},
    "dilated": {"kernel_size": 3, "dilation_rate": 2, "padding": "causal", "activation": "silu"},
    "wide": {"kernel_size": 12, "activation": "tanh"},
    "beyond": {"kernel_size": 17, "padding": "same"},
    "single": {"kernel_size": 1},
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_convolutions(kind, dtype, monkeypatch):
    x, y = data((29, *SEQUENCE), dtype=dtype)
    layer = layers.Conv1D(6, **CONVOLUTIONS[kind])
    agrees(between(layer, dtype=dtype), x, y, monkeypatch)
    agrees(between(layer, ends=(None, "LSTM"), dtype=dtype), x, y, monkeypatch)


@pytest.mark.parametrize("batch", [1, 40, 97])
def test_convolutions_of_many_rows(batch, monkeypatch):
    x, y = data((97, 30, 5))
    layer = layers.Conv1D(6, 3, activation="relu")
    agrees(between(layer, shape=(30, 5)), x, y, monkeypatch, batch_size=batch, epochs=1)


NORMALIZED = {
    "plain": {},
    "unscaled": {"scale": False},
    "uncentered": {"center": False, "momentum": 0.7},
    "bare": {"scale": False, "center": False, "epsilon": 0.1},
    "frozen": {"trainable": False},
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", NORMALIZED)
def test_batch_normalization(kind, dtype, monkeypatch):
    x, y = data((29, *SEQUENCE), dtype=dtype)
    layer = layers.BatchNormalization(**NORMALIZED[kind])
    model = agrees(between(layer, dtype=dtype), x, y, monkeypatch)
    moved = np.any(model.layers[2].get_weights()[-2])
    assert moved == (kind != "frozen")
    agrees(between(layer, ends=(None, "LSTM"), dtype=dtype), x, y, monkeypatch)
    agrees(between(layer, ends=(LSTM(3), None), dtype=dtype), x, y, monkeypatch)


@pytest.mark.parametrize("units", [1, 4, 19])
@pytest.mark.parametrize("dtype", DTYPES)
def test_normalization_by_root_mean_squares(dtype, units, monkeypatch):
    x, y = data((29, *SEQUENCE), dtype=dtype)
    layer = layers.RMSNormalization(epsilon=1e-3)
    ahead = LSTM(units, return_sequences=True)
    agrees(between(layer, ends=(ahead, "LSTM"), dtype=dtype), x, y, monkeypatch)
    agrees(between(layer, ends=(None, "LSTM"), dtype=dtype), x, y, monkeypatch)
    agrees(between(layer, ends=(LSTM(units), None), dtype=dtype), x, y, monkeypatch)
    over = layers.TimeDistributed(layers.RMSNormalization(dtype=dtype))
    agrees(between(over, ends=(ahead, "LSTM"), dtype=dtype), x, y, monkeypatch)


@pytest.mark.parametrize("features", [1, 4])
@pytest.mark.parametrize("dtype", DTYPES)
def test_batch_normalization_of_steps_that_count(dtype, features, monkeypatch):
    def build():
        parts = [keras.Input(SEQUENCE, dtype=dtype), layers.Masking(0.5, dtype=dtype)]
        parts.append(layers.GRU(features, return_sequences=True, dtype=dtype))
        parts += [layers.BatchNormalization(dtype=dtype), LSTM(3, dtype=dtype)]
        return keras.Sequential([*parts, Dense(3, dtype=dtype)])

    x, y = data((29, *SEQUENCE), dtype=dtype)
    x[:, 9:] = x[::2, 4] = x[3] = 0.5
    agrees(build, x, y, monkeypatch)


def test_a_loss_of_python_moves_statistics_as_well(monkeypatch):
    x, y = data((29, *SEQUENCE))
    build = between(layers.BatchNormalization(), layers.Conv1D(3, 2))
    agrees(build, x, y, monkeypatch, compiled={"loss": "huber", "metrics": ["mse"]})


def test_a_step_that_fails_moves_no_statistics():
    def fails(true, pred):
        if calls:
            raise KeyError("of the user")
        return (ops.sort(true - pred) ** 2).mean(axis=-1)  # `sort` is Python's

    calls = []
    model = between(layers.BatchNormalization())()
    model.compile("sgd", fails)
    x, y = data((29, *SEQUENCE))
    model.fit(x, y, verbose=0)
    before = model.get_weights()
    calls.append(True)
    with pytest.raises(KeyError, match="of the user"):
        model.fit(x, y, verbose=0)
    for own, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(own, other)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["tanh", "sigmoid", "relu", "elu", "softmax", "linear"])
def test_activations(name, dtype, monkeypatch):
    x, y = data((29, *SEQUENCE), dtype=dtype)
    layer = layers.Activation(name)
    agrees(between(layers.Dense(6), layer, dtype=dtype), 2 * x, y, monkeypatch)


@pytest.mark.parametrize("name", ["softplus", "selu", "gelu", "mish"])
def test_activations_whose_derivative_is_numpys(name, monkeypatch):
    build = between(layers.Activation(name))
    model = same(build, *data((29, *SEQUENCE)), monkeypatch)
    backs = [node.back for node in model.explain_plan() if node.back]
    assert backs == [f"the derivative of <activation {name}> is computed in NumPy"]


@pytest.mark.parametrize("classes", [2, 3, 150])
@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_behind_dense(dtype, classes, monkeypatch):
    def build():
        parts = [keras.Input(SEQUENCE, dtype=dtype), LSTM(4, dtype=dtype)]
        return keras.Sequential([*parts, Dense(classes, "softmax", dtype=dtype)])

    x, y = data((29, *SEQUENCE), (classes,), dtype)
    compiled = {"loss": "categorical_crossentropy", "metrics": ["accuracy"]}
    hot = np.eye(classes, dtype=dtype)[y.argmax(-1)]
    agrees(build, x, hot, monkeypatch, compiled=compiled)


@pytest.mark.parametrize("threads", [1, 3])
def test_all_of_them_on_several_threads(threads, monkeypatch):
    x, y = data((97, 40, 16))
    middle = [
        layers.Conv1D(24, 5, padding="same", activation="relu"),
        layers.BatchNormalization(),
        layers.MaxPooling1D(2),
        layers.Activation("elu"),
        layers.AveragePooling1D(2),
    ]
    behind = layers.GlobalMaxPooling1D()
    build = between(*middle, ends=(None, behind), shape=(40, 16))
    before = keras.num_threads()
    keras.set_num_threads(threads)
    try:
        agrees(build, x, y, monkeypatch, batch_size=48)
    finally:
        keras.set_num_threads(before)


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (layers.Conv1D(4, 3, groups=2), "it has groups=2"),
        (layers.Conv1D(4, 3, activation="softmax"), "its activation is computed in NumPy"),
        (layers.BatchNormalization(axis=1), "it has axis=1"),
        (layers.RMSNormalization(axis=1), "it has axis=[1]"),
        (layers.BatchNormalization(renorm=True), "it has renorm=True"),
    ],
)
def test_what_is_still_handed_back_is_said(layer, why, monkeypatch):
    model = same(between(layer), *data((29, *SEQUENCE)), monkeypatch)
    (back,) = [node.back for node in model.explain_plan() if node.back]
    assert why in back


def test_steps_too_few_are_refused_as_without_a_plan():
    model = between(layers.MaxPooling1D(4), ends=(None, "LSTM"), shape=(None, 5))()
    model.compile("sgd", "mse")
    x, y = data((8, 3, 5))
    with pytest.raises(ValueError, match="Computed output size would be negative"):
        model.fit(x, y, verbose=0)


RECTIFIERS = {
    "relu": layers.ReLU(),
    "relu, bent": layers.ReLU(max_value=0.4, negative_slope=0.2, threshold=0.1),
    "leaky": layers.LeakyReLU(),
    "elu": layers.ELU(),
    "elu, deeper": layers.ELU(1.7),
    "prelu": layers.PReLU("glorot_uniform"),
    "prelu, shared": layers.PReLU("glorot_uniform", shared_axes=[1]),
    "softmax": layers.Softmax(),
    "reshaped": layers.Reshape((-1, 2)),
}


@pytest.mark.parametrize("units", [1, 4])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", RECTIFIERS)
def test_activations_that_are_layers(kind, dtype, units, monkeypatch):
    if kind == "reshaped" and units == 1:
        units = 2
    x, y = data((29, *SEQUENCE), dtype=dtype)
    ahead = LSTM(units, return_sequences=True)
    agrees(between(RECTIFIERS[kind], ends=(ahead, "LSTM"), dtype=dtype), x, y, monkeypatch)


@pytest.mark.parametrize("kind", sorted({*RECTIFIERS} - {"prelu, shared", "reshaped"}))
def test_activations_of_rows(kind, monkeypatch):
    x, y = data((29, 5))
    ahead = Dense(4, kernel_initializer="glorot_uniform")
    agrees(between(RECTIFIERS[kind], ends=(ahead, None), shape=(5,)), x, y, monkeypatch)


ENDING = {
    "highest": layers.GlobalMaxPooling1D(),
    "flat": layers.Flatten(),
    "reshaped": layers.Reshape((-1,)),
    "pooled": layers.MaxPooling1D(2),
    "convolved": layers.Conv1D(3, 2),
}


@pytest.mark.parametrize("kind", ENDING)
@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")
def test_layers_that_know_no_masks_go_on_without(kind, monkeypatch):
    def build():
        parts = [keras.Input(SEQUENCE), layers.Masking(0.5), LSTM(4, return_sequences=True)]
        parts += [copied(ENDING[kind], "float32")]
        flat = [layers.Flatten()] if kind in ("pooled", "convolved") else []
        return keras.Sequential([*parts, *flat, Dense(3)])

    x, y = data((29, *SEQUENCE))
    x[:, 7:] = 0.5
    agrees(build, x, y, monkeypatch)


def test_that_a_mask_goes_no_further_is_said():
    parts = [keras.Input(SEQUENCE), layers.Masking(), layers.GlobalMaxPooling1D(), Dense(3)]
    model = keras.Sequential(parts)
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="does not support masking"):
        model.fit(*data((29, *SEQUENCE)), verbose=0)
