"""`check_vjp` finds what is wrong, and says what it cannot judge."""

import numpy as np
import pytest

from ferrnn import Gradients, Parameter
from ferrnn.testing import check_vjp

X = np.random.default_rng(1).normal(size=(4, 3))


def scaled(scale, *, inputs_by=1.0, scale_by=1.0):
    """`scale * x^2`, its gradients made wrong by factors."""

    def forward(x):
        def vjp(d_y, grads):
            grads.add(scale, scale_by * (d_y * x**2).sum(axis=0))
            return inputs_by * d_y * 2 * x * scale.value

        return scale.value * x**2, vjp

    return forward


@pytest.fixture
def scale():
    return Parameter(np.array([1.0, 2.0, 3.0]), "scale")


def test_right_gradients_pass_and_everything_is_put_back(scale):
    before = X.copy(), scale.numpy()
    check_vjp(scaled(scale), X, [scale])
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(scale.value, before[1])


@pytest.mark.parametrize("wrong", [{"inputs_by": 1.00001}, {"scale_by": 0.99999}])
def test_gradients_wrong_by_a_little_are_found(scale, wrong):
    with pytest.raises(AssertionError, match="is wrong: expected the slope"):
        check_vjp(scaled(scale, **wrong), X, [scale])


@pytest.mark.parametrize("wrong", [{"inputs_by": 0.0}, {"scale_by": 0.0}])
def test_a_zero_gradient_proves_nothing(scale, wrong):
    with pytest.raises(AssertionError, match="zero everywhere, which proves nothing"):
        check_vjp(scaled(scale, **wrong), X, [scale])


def test_float32_is_refused(scale):
    with pytest.raises(ValueError, match="inputs must be float64"):
        check_vjp(scaled(scale), X.astype("float32"), [scale])
    with pytest.raises(ValueError, match="the parameter 'scale' must be float64"):
        check_vjp(scaled(scale), X, [Parameter(np.ones(3, "float32"), "scale")])
    with pytest.raises(ValueError, match="outputs must be float64"):
        check_vjp(lambda x: (x.astype("float32"), lambda d, grads: d), X)


def test_a_missing_vjp_or_gradient_is_named(scale):
    with pytest.raises(ValueError, match="must return a vjp"):
        check_vjp(lambda x: (x, None), X)
    with pytest.raises(AssertionError, match="no gradient for 'scale'"):
        check_vjp(lambda x: (x * 2, lambda d, grads: d * 2), X, [scale])
    with pytest.raises(AssertionError, match=r"must have the shape \(4, 3\), received \(3,\)"):
        check_vjp(lambda x: (x * 2, lambda d, grads: d[0] * 2), X)


def test_a_vjp_that_is_not_pure_is_found():
    calls = []

    def vjp(d_y, grads):
        calls.append(1)
        return d_y * len(calls)

    with pytest.raises(AssertionError, match="must be pure"):
        check_vjp(lambda x: (x, vjp), X)


def test_nested_inputs_and_outputs_are_taken_apart():
    def forward(arrays):
        a, (b, c) = arrays

        def vjp(d_both, grads):
            d_sum, (d_product,) = d_both
            return d_sum, (d_sum + d_product * c, d_product * b)

        return (a + b, [b * c]), vjp

    check_vjp(forward, (X, [X + 1, X - 1]))


def test_gradients_kept_apart_do_not_leak(scale):
    _, vjp = scaled(scale)(X)
    one, two = Gradients(), Gradients()
    vjp(X, one)
    vjp(X, two)
    np.testing.assert_array_equal(one[scale], two[scale])
