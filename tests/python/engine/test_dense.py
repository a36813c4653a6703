"""The engine's dense layers on arrays of any number of axes."""

import numpy as np
import pytest

from each_case import each_case
from ferrnn._core import DenseWeights, dense_backward, dense_forward

RNG = np.random.default_rng(11)


def both_ways(weights, inputs, d_outputs):
    outputs, saved = dense_forward(weights, inputs, True)
    d_inputs, d_weights = dense_backward(weights, inputs, outputs, saved, d_outputs)
    return [outputs, d_inputs, *d_weights]


@each_case("dtype", ["float32", "float64"])
@each_case("activation", ["linear", "tanh", "gelu"])  # gelu's backward reads the sums
@each_case("leading", [(7,), (3, 5), (2, 1, 3, 2), (0, 4), (3, 0)])
@each_case(
    ("features", "units"), [((4,), (3,)), ((4,), (2, 5)), ((2, 3), (4,)), ((2, 3), (1, 2, 3))]
)
def test_arrays_of_any_axes_give_the_bits_of_rows(dtype, activation, leading, features, units):
    kernel = RNG.normal(size=(*features, *units)).astype(dtype)
    bias = RNG.normal(size=units).astype(dtype)
    inputs = RNG.normal(size=(*leading, *features)).astype(dtype)
    d_outputs = RNG.normal(size=(*leading, *units)).astype(dtype)
    rows, width, many = int(np.prod(leading)), int(np.prod(features)), int(np.prod(units))
    whole = both_ways(DenseWeights(kernel, bias, activation, len(features)), inputs, d_outputs)
    flat = both_ways(
        DenseWeights(kernel.reshape(width, many), bias.reshape(many), activation),
        inputs.reshape(rows, width),
        d_outputs.reshape(rows, many),
    )
    shapes = [d_outputs.shape, inputs.shape, kernel.shape, bias.shape]
    assert [each.shape for each in whole] == shapes
    for each, other in zip(whole, flat, strict=True):
        np.testing.assert_array_equal(each.reshape(other.shape), other)


@each_case("order", [(0, 1, 2, 3), (2, 0, 1, 3), (1, 0, 3, 2), (3, 2, 1, 0)])
def test_arrays_may_lie_in_any_order(order):
    weights = DenseWeights(RNG.normal(size=(2, 3, 4)), RNG.normal(size=4), "tanh", 2)
    back = np.argsort(order)
    lengths = np.array([6, 5, 2, 3])
    inputs = RNG.normal(size=lengths[list(order)]).transpose(back)
    assert inputs.shape == (6, 5, 2, 3)
    d_outputs = RNG.normal(size=(4, 5, 6)).T
    copied = both_ways(weights, inputs.copy(), d_outputs.copy())
    for each, other in zip(both_ways(weights, inputs, d_outputs), copied, strict=True):
        np.testing.assert_array_equal(each, other)
    for change in (lambda x: x[::-2], lambda x: x[:, ::2], lambda x: np.asarray(x, ">f8")):
        left = change(inputs)
        given = np.ascontiguousarray(left, "f8")
        assert np.array_equal(dense_forward(weights, left)[0], dense_forward(weights, given)[0])


def test_what_does_not_fit_is_refused():
    kernel = np.ones((2, 3, 4), "float32")
    for axes in (0, 3, 4):
        with pytest.raises(ValueError, match=rf"`kernel`: expected {axes} input axes, at least"):
            DenseWeights(kernel, inputs=axes)
    with pytest.raises(ValueError, match=r"`bias`: expected shape \[3, 4\], received \[12\]"):
        DenseWeights(kernel, np.ones(12, "float32"))
    weights = DenseWeights(kernel, inputs=2)
    for shape in ((2, 3), (5, 6), (5, 3, 2), (3,), ()):
        with pytest.raises(ValueError, match=r"`inputs`: .* final \[2, 3\], received shape"):
            dense_forward(weights, np.ones(shape, "float32"))
    inputs = np.ones((5, 2, 3), "float32")
    outputs, saved = dense_forward(weights, inputs, True)
    for wrong in (np.ones((5, 3), "float32"), np.ones((4, 4), "float32")):
        with pytest.raises(ValueError, match="d_outputs"):
            dense_backward(weights, inputs, outputs, saved, wrong)
    with pytest.raises(MemoryError):
        dense_forward(weights, np.broadcast_to(np.float32(1), (1 << 20, 1 << 20, 2, 3)))
