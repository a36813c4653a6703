"""TimeDistributed in plans: layers that see each step as a sample."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import layers
from ferrnn.layers import GRU, LSTM, Dense
from models.planned import check_step, data, same

T = layers.TimeDistributed
SHAPE = (4, 6, 3)


def convolved(x):
    x = T(layers.Conv1D(5, 3, activation="relu", dtype=x.dtype))(x)
    x = T(layers.MaxPooling1D(2, dtype=x.dtype))(x)
    return LSTM(4, dtype=x.dtype)(T(layers.Flatten(dtype=x.dtype))(x))


def averaged(x):
    x = T(layers.Conv1D(5, 2, strides=2, padding="same", dtype=x.dtype))(x)
    x = T(layers.AveragePooling1D(2, padding="same", dtype=x.dtype))(x)
    return GRU(4, dtype=x.dtype)(T(layers.GlobalMaxPooling1D(dtype=x.dtype))(x))


def hierarchical(x):
    inner = T(layers.Bidirectional(GRU(3, return_sequences=True, dtype=x.dtype), dtype=x.dtype))(x)
    return LSTM(4, dtype=x.dtype)(T(LSTM(5, recurrent_dropout=0.2, seed=1, dtype=x.dtype))(inner))


def by_rows(x):
    x = T(Dense(4, "tanh", dtype=x.dtype))(x)
    x = T(layers.LayerNormalization(dtype=x.dtype))(x)
    x = T(layers.Dropout(0.3, seed=4, dtype=x.dtype))(x)
    x = T(layers.Activation("sigmoid", dtype=x.dtype))(T(layers.LeakyReLU(dtype=x.dtype))(x))
    return GRU(3, dtype=x.dtype)(T(layers.GlobalAveragePooling1D(dtype=x.dtype))(x))


BODIES = {each.__name__: each for each in (convolved, averaged, hierarchical, by_rows)}


def model_of(body, shape=SHAPE, dtype="float32"):
    def build():
        inputs = keras.Input(shape, dtype=dtype)
        return keras.Model(inputs, Dense(3, dtype=dtype)(body(inputs)))

    return build


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", BODIES)
def test_inner_layers_train_to_the_same_bits(kind, dtype, monkeypatch):
    x, y = data((29, *SHAPE), dtype=dtype)
    given = {"compiled": {"metrics": ["mae"]}, "validation_data": (x[:9], y[:9])}
    build = model_of(BODIES[kind], (None, *SHAPE[1:]), dtype)
    model = same(build, x, y, monkeypatch, **given)
    assert all(node.back is None for node in model.explain_plan())
    results = []
    for planned in ("1", "0"):
        monkeypatch.setenv("FERRNN_PLAN", planned)
        results.append([*(model(x[:7]) for _ in range(4)), model(x[:5, :3])])
        results[-1].append(model.predict(x, verbose=0))
    for own, wanted in zip(*results, strict=True):
        np.testing.assert_array_equal(own, wanted)


def test_gradients_against_differences(monkeypatch):
    monkeypatch.setenv("FERRNN_PLAN", "1")
    x, y = data((13, *SHAPE), dtype="float64")
    keras.utils.set_random_seed(4)
    model = model_of(convolved, dtype="float64")()
    model.compile(keras.optimizers.SGD(1.0), "mse")
    check_step(
        model,
        lambda: model.fit(x, y, batch_size=13, verbose=0, shuffle=False),
        lambda: np.mean((np.asarray(model(x)) - y) ** 2),
    )


BACK = {
    "BatchNormalization": lambda x: T(layers.BatchNormalization())(T(layers.Flatten())(x)),
    "Reshape": lambda x: T(layers.Flatten())(T(layers.Reshape((9, 2)))(x)),
    "Masking": lambda x: T(layers.Flatten())(T(layers.Masking(0.5))(x)),
}


@pytest.mark.parametrize("name", BACK)
def test_other_inner_layers_are_handed_back(name, monkeypatch):
    model = same(model_of(lambda x: LSTM(3)(BACK[name](x))), *data((29, *SHAPE)), monkeypatch)
    backs = [node.back for node in model.explain_plan() if node.back]
    assert backs == [f"plans do not support {name} in a TimeDistributed"]
