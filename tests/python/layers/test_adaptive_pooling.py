"""Adaptive pooling over any number of windows: the definition, its gradient, and what it costs."""

import numpy as np
import pytest

from each_case import each_case
from ferrnn import Call, Gradients, layers
from ferrnn.testing import check_vjp

RNG = np.random.default_rng(12)


def windows(steps, count):
    return [slice(at * steps // count, -(-(at + 1) * steps // count)) for at in range(count)]


@each_case("count", [1, 2, 5, 7, 13, 40])
@each_case("steps", [1, 2, 6, 7, 13, 31])
def test_each_window_alone_says_what_comes_out_and_goes_back(steps, count):
    inputs = np.round(RNG.normal(size=(3, steps, 2)), 1)  # equal ones among them
    for kind, function in (
        (layers.AdaptiveAveragePooling1D, np.mean),
        (layers.AdaptiveMaxPooling1D, np.max),
    ):
        outputs, vjp = kind(count, dtype="float64").forward(inputs, Call(differentiable=True))
        each = [function(inputs[:, own], axis=1) for own in windows(steps, count)]
        np.testing.assert_allclose(outputs, np.stack(each, axis=1), rtol=1e-13, atol=1e-15)
        d_outputs = RNG.normal(size=outputs.shape)
        expected = np.zeros_like(inputs)
        for at, own in enumerate(windows(steps, count)):
            if function is np.mean:
                expected[:, own] += d_outputs[:, at, None] / (own.stop - own.start)
            else:
                first = own.start + inputs[:, own].argmax(axis=1)
                expected[np.arange(3)[:, None], first, np.arange(2)] += d_outputs[:, at]
        np.testing.assert_allclose(vjp(d_outputs, Gradients()), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("count", [3, 9])
def test_gradients_match_finite_differences(count):
    inputs = RNG.normal(size=(2, 7, 3))
    for kind in (layers.AdaptiveAveragePooling1D, layers.AdaptiveMaxPooling1D):
        layer = kind(count, dtype="float64")
        check_vjp(lambda x, layer=layer: layer.forward(x, Call(differentiable=True)), inputs)


def test_what_is_not_finite_stays_in_its_windows():
    inputs = np.zeros((1, 10, 1), "float32")
    inputs[0, 4] = np.inf
    inputs[0, 8] = np.nan
    means = layers.AdaptiveAveragePooling1D(4)(inputs).ravel()  # 0-2, 2-4, 5-7, 7-9
    maxima = layers.AdaptiveMaxPooling1D(4)(inputs).ravel()
    for found in (means, maxima):
        np.testing.assert_array_equal(found, [0, np.inf, 0, np.nan])
