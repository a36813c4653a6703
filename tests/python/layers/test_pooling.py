"""Maxima of windows: the values, and where the gradient goes."""

import itertools

import numpy as np
import pytest

from each_case import each_case
from ferrnn import Call, Gradients
from ferrnn.layers import MaxPooling1D, MaxPooling2D

RNG = np.random.default_rng(3)
DIFFERENTIABLE = Call(differentiable=True)


def by_taps(inputs, d_outputs, size, strides, padding):
    """Outputs and gradient of `[batch, lines, columns, features]`, place by place of a window."""
    lengths = inputs.shape[1:3]
    if padding == "valid":
        counts = [(n - k) // s + 1 for n, k, s in zip(lengths, size, strides, strict=True)]
        ends = [(0, 0)] * 2
    else:
        counts = [-(-n // s) for n, s in zip(lengths, strides, strict=True)]
        rows = zip(lengths, counts, size, strides, strict=True)
        missing = [max((c - 1) * s + k - n, 0) for n, c, k, s in rows]
        ends = [(each // 2, each - each // 2) for each in missing]
    longer = np.pad(inputs, [(0, 0), *ends, (0, 0)], constant_values=-np.inf)
    taps = [
        (slice(None), *(slice(at, at + (c - 1) * s + 1, s) for at, c, s in zip(*axes, strict=True)))
        for axes in ((tap, counts, strides) for tap in itertools.product(*map(range, size)))
    ]
    highest = np.maximum.reduce([longer[tap] for tap in taps])
    if d_outputs is None:
        return highest, None
    d_longer, left = np.zeros_like(longer), np.array(d_outputs)
    for tap in taps:
        found = longer[tap] == highest
        d_longer[tap] += np.where(found, left, 0)
        left[found] = 0
    (top, _), (before, _) = ends
    return highest, d_longer[:, top : top + lengths[0], before : before + lengths[1]]


@each_case("dtype", ["float32", "float64"])
@each_case("padding", ["valid", "same"])
@each_case(
    ("size", "strides"),
    [((2, 2), (2, 2)), ((3, 2), (1, 1)), ((1, 4), (3, 2)), ((3, 3), (2, 1)), ((2, 1), (5, 3))],
)
@each_case("features", [1, 5, 8, 23, 36])
def test_values_and_gradients_are_those_of_plain_loops(dtype, padding, size, strides, features):
    # Few values: many windows have their highest more than once.
    inputs = RNG.integers(-3, 4, size=(3, 7, 10, features)).astype(dtype)
    layer = MaxPooling2D(size, strides, padding, dtype=dtype)
    outputs, vjp = layer.forward(inputs, DIFFERENTIABLE)
    d_outputs = RNG.normal(size=outputs.shape).astype(dtype)
    expected, d_expected = by_taps(inputs, d_outputs, size, strides, padding)
    np.testing.assert_array_equal(outputs, expected)
    np.testing.assert_array_equal(vjp(d_outputs, Gradients()), d_expected)


@pytest.mark.parametrize("order", ["channels_first", "channels_last"])
def test_steps_are_frames_of_one_line(order):
    layer = MaxPooling1D(3, 2, "same", order)
    inputs = RNG.normal(size=(2, 9, 4)).astype("f4")
    turned = (0, 2, 1) if order == "channels_first" else (0, 1, 2)
    outputs, vjp = layer.forward(inputs.transpose(turned), DIFFERENTIABLE)
    d_outputs = RNG.normal(size=outputs.shape).astype("f4")
    d_ordered = d_outputs.transpose(turned)[:, None]
    expected, d_expected = by_taps(inputs[:, None], d_ordered, (1, 3), (1, 2), "same")
    np.testing.assert_array_equal(outputs.transpose(turned), expected[:, 0])
    d_inputs = vjp(d_outputs, Gradients())
    np.testing.assert_array_equal(d_inputs.transpose(turned), d_expected[:, 0])


def test_nan_is_the_highest_and_passes_nothing_back():
    inputs = np.array([[[1.0], [np.nan], [2.0], [3.0], [-np.inf], [-np.inf]]])
    outputs, vjp = MaxPooling1D(2, dtype="float64").forward(inputs, DIFFERENTIABLE)
    np.testing.assert_array_equal(outputs.ravel(), [np.nan, 3.0, -np.inf])
    d_inputs = vjp(np.array([[[5.0], [np.inf], [7.0]]]), Gradients())
    np.testing.assert_array_equal(d_inputs.ravel(), [0, 0, 0, np.inf, 7.0, 0])


@pytest.mark.parametrize("shape", [(0, 4, 2), (2, 4, 0), (1, 0, 3)])
def test_nothing_has_no_highest(shape):
    layer = MaxPooling1D(2, padding="same")
    inputs = np.zeros(shape, "f4")
    outputs, vjp = layer.forward(inputs, DIFFERENTIABLE)
    assert outputs.shape == layer.compute_output_shape(shape)
    assert vjp(outputs, Gradients()).shape == shape


def test_a_window_beyond_all_places_is_refused():
    with pytest.raises(ValueError, match="Computed output size would be negative"):
        MaxPooling2D(5)(np.zeros((1, 4, 9, 1), "f4"))
