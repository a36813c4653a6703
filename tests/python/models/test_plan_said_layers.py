"""Layers of ferrnn that plans run as programs: the bits are those of the layers."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import layers
from ferrnn.layers import GRU, LSTM, Dense
from models.planned import data, same


def read(x):
    return LSTM(4, return_sequences=True, dtype=x.dtype)(x)


def normalized(**options):
    def body(x):
        layer = layers.Normalization(dtype=x.dtype, **options)
        if not options.get("mean"):
            layer.adapt(np.random.default_rng(1).normal(2, 3, size=(40, 6, 4)))
        return layer(read(x))

    return body


def of_two(kind):
    def body(x):
        parts = [read(x), GRU(4, activation="relu", return_sequences=True, dtype=x.dtype)(x)]
        return kind(dtype=x.dtype)([*parts, Dense(4, "relu", dtype=x.dtype)(x), parts[1]])

    return body


BODIES = {
    "in order": lambda x: layers.Permute((1, 2), dtype=x.dtype)(read(x)),
    "cropping": lambda x: layers.Cropping1D((2, 1), dtype=x.dtype)(read(x)),
    "maximum": of_two(layers.Maximum),
    "minimum": of_two(layers.Minimum),
    "normalization": normalized(),
    "inverse": normalized(invert=True),
    "given": normalized(mean=[0.5, 1.0, -1.0, 2.0], variance=[0.5, 1.0, 2.0, 0.0]),
    "rescaling": lambda x: layers.Rescaling(1 / 3, 0.2, dtype=x.dtype)(read(x)),
    "scales": lambda x: layers.Rescaling([0.1, 0.3, 0.7, 2.0], [0, 1, 0, 0.3], dtype=x.dtype)(
        read(x)
    ),
}


def model_of(body, dtype="float32", shape=(6, 5)):
    def build():
        inputs = keras.Input(shape, dtype=dtype)
        return keras.Model(inputs, Dense(3, dtype=dtype)(GRU(3, dtype=dtype)(body(inputs))))

    return build


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", BODIES)
def test_layers_train_to_the_same_bits(kind, dtype, monkeypatch):
    x, y = data(dtype=dtype)
    given = {"compiled": {"metrics": ["mae"]}, "validation_data": (x[:9], y[:9])}
    model = same(model_of(BODIES[kind], dtype), x, y, monkeypatch, **given)
    assert all(node.back is None for node in model.explain_plan())
    judged = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        judged.append([*(model(x[:5]) for _ in range(5)), model.predict(x, verbose=0)])
    for own, wanted in zip(*judged, strict=True):
        np.testing.assert_array_equal(own, wanted)


def test_axes_of_steps_change_places(monkeypatch):
    def body(x):
        turned = layers.Permute((3, 1, 2))(layers.Reshape((2, 3, 4))(read(x)))
        return layers.Reshape((4, 6))(turned)

    model = same(model_of(body), *data(), monkeypatch)
    backs = [node.name for node in model.explain_plan() if node.back]
    assert len(backs) == 1
    assert backs[0].startswith("reshape")


def test_statistics_are_asked_for_before_any_call(monkeypatch):
    def build():
        layer = layers.Normalization()
        layer.adapt(np.random.default_rng(1).normal(2, 3, size=(40, 6, 5)))
        return keras.Sequential([keras.Input((6, 5)), layer, LSTM(4), Dense(3)])

    x, y = data()
    same(build, x, y, monkeypatch)
    monkeypatch.setenv("FERRNN_PLAN", "1")
    model = build()
    model.compile("adam", "mse")
    assert all(node.back is None for node in model.explain_plan())
    assert np.all(np.isfinite(model.layers[0](x)))


def test_statistics_may_be_adapted_between_calls(monkeypatch):
    results = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        keras.utils.set_random_seed(3)
        layer = layers.Normalization()
        model = keras.Sequential([keras.Input((6, 5)), layer, LSTM(4), Dense(3)])
        model.compile("adam", "mse")
        x, y = data()
        found = []
        for factor in (1, 3):
            layer.adapt(factor * x)
            found += model.fit(x, y, verbose=0).history["loss"]
            found += [*model.predict(x, verbose=0).ravel(), model.evaluate(x, y, verbose=0)]
        results.append(found)
    assert results[0] == results[1]


def test_masks_go_with_the_values(monkeypatch):
    x, y = data()
    x[:, 4:] = 0.5
    body = lambda x: normalized()(layers.Rescaling(0.5)(layers.Masking(0.5)(x)))  # noqa: E731
    model = same(model_of(body), x, y, monkeypatch)
    assert all(node.back is None for node in model.explain_plan())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", [layers.Maximum, layers.Minimum])
def test_extremes_of_sequences_with_one_mask(kind, dtype, monkeypatch):
    x, y = data(dtype=dtype)
    x[:, 4:] = x[3] = x[::2, 1] = 0.5
    given = {"validation_data": (x[:9], y[:9])}
    body = lambda x: of_two(kind)(layers.Masking(0.5, dtype=x.dtype)(x))  # noqa: E731
    model = same(model_of(body, dtype), x, y, monkeypatch, **given)
    assert all(node.back is None for node in model.explain_plan())


def test_masks_that_layers_apply_are_left_to_them(monkeypatch):
    def partly(x):
        return layers.Maximum()([read(layers.Masking(0.5)(x)), read(x)])

    def apart(x):
        return layers.Maximum()([read(layers.Masking(each)(x)) for each in (0.5, 0.25)])

    x, y = data()
    x[:, 4:] = 0.5
    model = same(model_of(partly), x, y, monkeypatch)
    assert [node.back for node in model.explain_plan() if node.back]
    model = model_of(apart)()
    model.compile("adam", "mse")
    assert not model.explain_plan().covered
