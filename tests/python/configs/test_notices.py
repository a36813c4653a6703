"""Warnings name a line of the user's, from however deep in the package they come."""

import warnings
from pathlib import Path

import numpy as np
import pytest

import ferrnn as keras

RNG = np.random.default_rng(3)
X = RNG.normal(size=(6, 4, 2)).astype("float32")
Y = RNG.normal(size=(6, 1)).astype("float32")


def compiled(*layers, loss="mse", **options):
    made = keras.Sequential([*layers, keras.layers.Dense(1)])
    made.compile("sgd", loss, **options)
    return made


def _exhausted(tmp_path):
    compiled(keras.layers.GRU(3)).fit(((X, Y) for _ in range(1)), epochs=2, verbose=0)


def _diverged(tmp_path):
    compiled(keras.layers.GRU(3)).fit(X, Y + np.inf, verbose=0)


def _unmonitored(tmp_path):
    pytest.importorskip("h5py")
    kinds = keras.callbacks
    hooks = [kinds.EarlyStopping("none", mode="min"), kinds.ReduceLROnPlateau("none", mode="min")]
    hooks.append(
        kinds.ModelCheckpoint(tmp_path / "a.keras", "none", save_best_only=True, mode="min")
    )
    compiled(keras.layers.GRU(3)).fit(X, Y, verbose=0, callbacks=hooks)


def _mode(tmp_path):
    keras.callbacks.EarlyStopping(mode="least")
    keras.callbacks.ModelCheckpoint(tmp_path / "a.keras", mode="least")


def _few_classes(tmp_path):
    made = keras.Sequential([keras.layers.GRU(1)])
    made.compile("sgd", "categorical_crossentropy", metrics=["categorical_crossentropy"])
    made.fit(X, np.ones((6, 1)), verbose=0, validation_data=(X, np.ones((6, 1))))


def _masks(tmp_path):
    class Plain(keras.Layer):
        def call(self, inputs):
            return inputs * 1.0

    made = compiled(keras.layers.Masking(), Plain(), keras.layers.GRU(2))
    made.fit(X, Y, verbose=0)


def _frozen(tmp_path):
    made = compiled(keras.layers.GRU(3))
    made.build((None, 4, 2))
    made.trainable = False
    made.fit(X, Y, verbose=0)


def _unbuilt(tmp_path):
    pytest.importorskip("h5py")
    compiled(keras.layers.GRU(3)).save(tmp_path / "unbuilt.keras")


def _other_optimizer(tmp_path):
    made = compiled(keras.layers.GRU(3))
    made.fit(X, Y, verbose=0)
    made.optimizer.load_own_variables({})


def _arguments(tmp_path):
    keras.layers.Embedding(3, 2, input_length=4)
    keras.layers.LeakyReLU(alpha=0.1)
    keras.optimizers.Adam(decay=0.1)


def _scores(tmp_path):
    made = compiled(keras.layers.GRU(3), metrics=[keras.metrics.R2Score(num_regressors=9)])
    made.evaluate(X, Y, verbose=0)


CASES = [
    value
    for name, value in sorted(globals().items())
    if name.startswith("_") and getattr(value, "__module__", None) == __name__
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_warning_points_at_this_file(case, tmp_path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        case(tmp_path)
    assert caught
    assert {each.filename for each in caught} == {__file__}, [str(e.message) for e in caught]


def test_a_warning_in_code_of_the_users_that_the_package_calls_points_there():
    class Inner(keras.Layer):
        def call(self, inputs):
            return keras.layers.LeakyReLU(alpha=0.5)(inputs)

    line = Inner.call.__code__.co_firstlineno + 1
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        compiled(keras.layers.GRU(3), Inner()).fit(X, Y, verbose=0)
    assert {(each.filename, each.lineno) for each in caught} == {(__file__, line)}


def test_the_package_warns_in_one_way_only():
    root = Path(keras.__file__).parent
    direct = [
        path.name for path in root.rglob("*.py") if "warnings.warn(" in path.read_text("utf-8")
    ]
    assert direct == ["notices.py"]
