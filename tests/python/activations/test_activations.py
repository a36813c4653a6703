import math
import pickle

import numpy as np
import pytest

from each_case import each_case
from ferrnn._src.activations import activations
from ferrnn._src.activations.erf import erf
from ferrnn.testing import check_vjp

NAMES = sorted(activations._BY_NAME)
# Values at x = -1.5 and 0.75, by their formulas in plain Python.
FORMULAS = {
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "hard_sigmoid": lambda x: min(1, max(0, x / 6 + 0.5)),
    "relu": lambda x: max(x, 0),
    "linear": lambda x: x,
    "softsign": lambda x: x / (1 + abs(x)),
    "softplus": lambda x: math.log(1 + math.exp(x)),
    "elu": lambda x: x if x > 0 else math.exp(x) - 1,
    "selu": lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * (math.exp(x) - 1)),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "gelu": lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2))),
    "exponential": math.exp,
    "leaky_relu": lambda x: x if x > 0 else 0.2 * x,
    "relu6": lambda x: min(6, max(0, x)),
    "hard_tanh": lambda x: min(1, max(-1, x)),
    "hard_silu": lambda x: x * min(1, max(0, x / 6 + 0.5)),
    "mish": lambda x: x * math.tanh(math.log(1 + math.exp(x))),
    "log_sigmoid": lambda x: -math.log(1 + math.exp(-x)),
    "squareplus": lambda x: (x + math.sqrt(x * x + 4)) / 2,
    "tanh_shrink": lambda x: x - math.tanh(x),
    "sparse_plus": lambda x: 0 if x <= -1 else x if x >= 1 else (x + 1) ** 2 / 4,
    "sparse_sigmoid": lambda x: min(1, max(0, (x + 1) / 2)),
    "soft_shrink": lambda x: math.copysign(max(abs(x) - 0.5, 0), x),
    "hard_shrink": lambda x: x if abs(x) > 0.5 else 0,
    "celu": lambda x: x if x > 0 else math.exp(x) - 1,
}


@each_case("name", sorted(FORMULAS))
def test_values_follow_the_formula(name):
    points = np.array([-1.5, 0.75])
    expected = [FORMULAS[name](x) for x in points]
    np.testing.assert_allclose(activations.get(name)(points), expected, rtol=1e-14)


@each_case("name", NAMES)
def test_derivatives_match_finite_differences(name):
    activation = activations.get(name)

    def forward(x):
        y = activation(x)
        return y, lambda d_y, grads: activation.backward(x, y, d_y)

    check_vjp(forward, np.random.default_rng(1).normal(size=(4, 7)) * 2)


@each_case("name", NAMES)
def test_float32_stays_float32(name):
    activation = activations.get(name)
    x = np.linspace(-4, 4, 9, dtype="float32")
    y = activation(x)
    assert y.dtype == activation.backward(x, y, y).dtype == np.float32


@each_case("name", ["sigmoid", "softplus", "silu", "softmax", "log_softmax", "mish"])
def test_no_overflow_far_from_zero(name):
    assert np.isfinite(activations.get(name)(np.array([-1e4, 0.0, 1e4]))).all()


def test_nan_goes_through():
    for name in NAMES:
        assert np.isnan(activations.get(name)(np.array([np.nan]))).all(), name


def test_get_takes_names_callables_and_none():
    assert activations.get(None) is activations.linear
    assert activations.get("swish") is activations.silu
    assert activations.get(activations.tanh) is activations.tanh
    assert activations.get(math.tanh) is math.tanh
    for unknown in ("foo", 3):
        with pytest.raises(ValueError, match="Could not interpret activation function identifier"):
            activations.get(unknown)


def test_serialize_gives_the_name():
    assert activations.serialize(activations.get("swish")) == "silu"
    assert pickle.loads(pickle.dumps(activations.tanh)) is activations.tanh


def test_a_plain_callable_gets_its_derivative():
    activation = activations.differentiable(np.cos)
    x, d_y = np.array([0.5, -1.0]), np.array([1.0, 2.0])
    y = activation.function(x)
    assert y.tolist() == np.cos(x).tolist()
    np.testing.assert_allclose(activation.backward(x, y, d_y), -np.sin(x) * d_y)


def test_erf_is_that_of_the_c_library():
    x = np.concatenate([np.linspace(-7, 7, 4001), [np.inf, -np.inf, 1e-300]])
    expected = np.array([math.erf(value) for value in x])
    np.testing.assert_allclose(erf(x), expected, rtol=1e-15)
    assert np.isnan(erf(np.array([np.nan]))).all()
    assert erf(np.ones(2, "float32")).dtype == np.float32


def test_sparsemax_is_the_nearest_point_of_the_simplex():
    x = np.random.default_rng(1).normal(size=(3, 5)) * 2
    found = activations.sparsemax(x)
    np.testing.assert_allclose(found.sum(axis=-1), 1, rtol=1e-12)
    assert (found == 0).any()
    for row, point in zip(x, found, strict=True):  # no mixture with a corner is nearer
        for corner in np.eye(5):
            nearer = np.linalg.norm(0.999 * point + 0.001 * corner - row)
            assert nearer >= np.linalg.norm(point - row) - 1e-12


def test_options_reach_the_operation():
    x = np.array([[2.0, -0.75, 0.2, 3.0]])
    np.testing.assert_allclose(activations.sparsemax(x.T, axis=0).T, activations.sparsemax(x))
    assert activations.soft_shrink(x, threshold=1.0).tolist() == [[1.0, 0.0, 0.0, 2.0]]
    assert activations.hard_shrink(x, 0.1).tolist() == x.tolist()
    assert activations.get("threshold")(x, 0.0, 9.0).tolist() == [[2.0, 9.0, 0.2, 3.0]]
    halves = activations.get("glu")(x)
    sigmoid = 1 / (1 + np.exp(-x[:, 2:]))
    np.testing.assert_allclose(halves, x[:, :2] * sigmoid)
