"""Users' code in models, and models that train equally with plans and without."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn import layers
from ferrnn._src.training.planning import TrainingPlan
from ferrnn.layers import LSTM, Dense
from models.planned import trained

ran = []


class Gated(layers.Layer):
    """Weights of its own, trained or not, those of a layer inside, and a plain attribute."""

    def build(self, input_shape):
        self.gate = layers.Dense(input_shape[-1], activation="sigmoid", dtype=self.dtype)
        self.gate.build(input_shape)
        self.scale = self.add_weight((input_shape[-1],), "ones", name="scale")
        self.shift = self.add_weight((1,), "zeros", name="shift", trainable=False)
        self.power = 2.0

    def call(self, inputs):
        ran.append(inputs)
        return (inputs * self.gate(inputs) * self.scale + self.shift) * self.power


def plain(x):
    return LSTM(4)(x)


def functional(body, dtype="float64", out=3):
    def build():
        keras.config.set_floatx(dtype)
        inputs = keras.Input((6, 5))
        return keras.Model(inputs, Dense(out)(body(inputs)))

    return build


@pytest.fixture(autouse=True)
def floatx():
    yield
    keras.config.set_floatx("float32")
    ran.clear()


@pytest.fixture(name="judged")
def judged_in_python(monkeypatch):
    """What was judged in Python."""
    found = []
    for name in ("_judged", "_judged_in_python"):
        inner = getattr(TrainingPlan, name)

        def noted(*given, name=name, inner=inner):
            found.append(name)
            return inner(*given)

        monkeypatch.setattr(TrainingPlan, name, noted)
    return found


def listed(outputs):
    return outputs if isinstance(outputs, list) else [outputs]


def close(build, x, y, monkeypatch, rtol=1e-8, **options):
    """Trains with plans and without, and compares up to rounding; returns the planned model."""
    (ours, history), (theirs, wanted) = (
        trained(build, x, y, monkeypatch, planned=planned, **options) for planned in (True, False)
    )
    assert history.keys() == wanted.keys()
    for name, values in history.items():
        np.testing.assert_allclose(values, wanted[name], rtol=rtol, err_msg=name)
    for own, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e3 * rtol, atol=1e2 * rtol)
    outputs = (model.predict(x, verbose=0) for model in (ours, theirs))
    for own, other in zip(*map(listed, outputs), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e3 * rtol, atol=1e2 * rtol)
    monkeypatch.setenv("FERRNN_PLAN", "1")
    return ours
