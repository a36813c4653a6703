"""Activations take Keras' options, and symbolic tensors."""

import inspect

import numpy as np
import pytest
from numpy.testing import assert_allclose

import ferrnn as keras
from each_case import each_case
from ferrnn._src.symbolic import tracing
from ferrnn.testing import check_vjp

X = np.random.default_rng(4).normal(scale=2.0, size=(3, 5))
BUILT_IN = [
    name
    for name in keras.activations.__all__
    if isinstance(getattr(keras.activations, name), keras.activations.Activation)
]
CASES = [
    ("softmax", {"axis": 0}, np.exp(X) / np.exp(X).sum(axis=0)),
    ("softmax", {"axis": (0, 1)}, np.exp(X) / np.exp(X).sum()),
    ("log_softmax", {"axis": 0}, X - np.log(np.exp(X).sum(axis=0))),
    ("leaky_relu", {"negative_slope": 0.4}, np.where(X > 0, X, 0.4 * X)),
    ("elu", {"alpha": 0.3}, np.where(X > 0, X, 0.3 * np.expm1(X))),
    ("celu", {"alpha": 2.0}, np.where(X > 0, X, 2 * np.expm1(X / 2))),
    ("squareplus", {"b": 2}, (X + np.sqrt(X**2 + 2)) / 2),
    ("relu", {"negative_slope": 0.2}, np.where(X > 0, X, 0.2 * X)),
    ("relu", {"max_value": 1.5}, np.clip(X, 0, 1.5)),
    (
        "relu",
        {"negative_slope": 0.2, "max_value": 1.5, "threshold": 0.5},
        np.where(X > 0.5, np.minimum(X, 1.5), 0.2 * (X - 0.5)),
    ),
    (
        "gelu",
        {"approximate": True},
        X * (1 + np.tanh(np.sqrt(2 / np.pi) * (X + 0.044715 * X**3))) / 2,
    ),
]


@pytest.mark.parametrize(("name", "options", "expected"), CASES)
class TestOptions:
    def test_they_change_the_values(self, name, options, expected):
        activation = getattr(keras.activations, name)
        assert_allclose(activation(X, **options), expected, rtol=1e-12)
        taken = [value for value in inspect.signature(activation).parameters if value != "x"]
        in_place = [options[each] for each in taken[: len(options)] if each in options]
        if len(in_place) == len(options):
            assert_allclose(activation(X, *in_place), expected, rtol=1e-12)
        assert not np.allclose(activation(X), expected), "the default would pass as well"

    def test_gradients_match_finite_differences(self, name, options, expected):
        activation = getattr(keras.activations, name)

        def forward(x):
            return tracing.differentiate(lambda x: activation(x, **options), x)

        check_vjp(forward, X.copy())


@each_case("name", BUILT_IN)
def test_symbolic_tensors_become_part_of_the_model(name):
    activation = getattr(keras.activations, name)
    inputs = keras.Input((5,), dtype="float64")
    model = keras.Model(inputs, activation(inputs))
    assert_allclose(model.predict(X, verbose=0), activation(X), rtol=1e-6, atol=1e-7)


def test_an_unknown_option_is_refused():
    with pytest.raises(TypeError, match="too many positional arguments"):
        keras.activations.tanh(X, 1)
    with pytest.raises(TypeError, match="slope"):
        keras.activations.relu(X, slope=1)


def test_deserialize_finds_users_functions():
    assert keras.activations.deserialize("mine", custom_objects={"mine": np.abs}) is np.abs
    found = keras.initializers.deserialize("mine", custom_objects={"mine": np.ones})
    assert found is np.ones


@pytest.mark.parametrize("name", ["glorot_uniform", "zeros", "variance_scaling", "orthogonal"])
def test_initializers_have_their_second_names(name):
    kind = getattr(keras.initializers, "".join(part.capitalize() for part in name.split("_")))
    assert getattr(keras.initializers, name) is kind


def test_numbers_beside_float64_keep_their_digits():
    x = np.array([1.0])
    assert keras.ops.multiply(0.2, x)[0] == keras.ops.multiply(x, 0.2)[0] == 0.2
    assert keras.ops.add(x.astype("float32"), 0.2).dtype == np.float32
