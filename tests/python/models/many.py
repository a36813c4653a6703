"""Models that are trained together, and each alone."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn._src.training import work
from ferrnn.layers import LSTM, Dense


def build():
    model = keras.Sequential([keras.Input((6, 2)), LSTM(5), Dense(1)])
    model.compile(keras.optimizers.Adam(0.01), loss="mse", metrics=["mae"])
    return model


def series(count, seed=0, time=6, features=2):
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, time, features)).astype("float32")
    y = x[:, -1:, 0] + 0.1 * random.normal(size=(count, 1)).astype("float32")
    return x, y


def groups(count=5):
    return {f"series {n}": series(13 + 7 * n, n) for n in range(count)}


def alone(make, group, seed, key=None, **options):
    keras.utils.set_random_seed(seed)
    model = make() if key is None else make(key)
    keywords = (
        group
        if isinstance(group, dict)
        else dict(zip(("x", "y", "sample_weight"), group, strict=False))
    )
    history = model.fit(**{"verbose": 0, **options, **keywords})
    return model, history


def same(one, other):
    for own, theirs in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(own, theirs)
    slots = zip(one.optimizer.variables, other.optimizer.variables, strict=True)
    for own, theirs in slots:
        np.testing.assert_array_equal(own.numpy(), theirs.numpy())


def compare(make, given, *, takes_key=False, callbacks=None, seed=3, **options):
    """Trains together and each alone, and compares everything."""
    own = (lambda: None) if callbacks is None else callbacks
    many = keras.fit_many(make, given, seed=seed, callbacks=own(), **options)
    assert list(many) == list(given)
    for at, (key, group) in enumerate(given.items()):
        model, history = alone(
            make, group, seed + at, key if takes_key else None, callbacks=own(), **options
        )
        assert history.history == many.history(key).history
        assert history.epoch == many.history(key).epoch
        same(model, many[key])
    return many


@pytest.fixture(name="together")
def counted(monkeypatch):
    """How many models each call of the engine had, none of which runs out of time."""
    monkeypatch.setattr(work, "LIMIT", 600.0)
    counts, run = [], work.run
    monkeypatch.setattr(work, "run", lambda *works: (counts.append(len(works)), run(*works)))
    return counts
