"""Transposed convolutions: each place is spread over a window."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ferrnn._src.convolution.geometry import Geometry
from ferrnn._src.native import DenseWeights, dense_backward, dense_forward
from ferrnn._src.tree.types import Array

_WHOLE = slice(None)


def spread_lengths(
    lengths: Sequence[int], geometry: Geometry, extra: Sequence[int] | None
) -> tuple[list[int], list[int]]:
    """The lengths of the outputs, and how many places of the windows are cut off before them.

    `extra` is Keras' `output_padding`, one number for each axis, or None for its default.

    >>> spread_lengths([4], Geometry((3,), (2,), (1,), "same"), None)
    ([8], [0])
    """
    found, cut = [], []
    rows = zip(lengths, geometry.strides, geometry.reach, strict=True)
    for axis, (length, stride, reach) in enumerate(rows):
        given = None if extra is None else extra[axis]
        if geometry.padding == "valid":
            more = max(reach, stride) - reach if given is None else given
            found.append((length - 1) * stride + reach + more)
            cut.append(0)
            continue
        if given is None:
            padding = stride + reach - 2
            found.append(length * stride)
        else:
            padding = reach + reach % 2 - 2 + given
            found.append((length - 1) * stride + reach % 2 + given)
        cut.append(reach - 1 - min(padding // 2 + padding % 2, reach - 1))
    return found, cut


class Transposed:
    """A transposed convolution of `[batch, *places, features]`: `[batch, *longer, filters]`.

    The weights are those of a product with the kernel as `[features, window * filters]`.
    """

    def __init__(
        self,
        weights: DenseWeights,
        inputs: Array,
        geometry: Geometry,
        extra: Sequence[int] | None,
        differentiable: bool,
    ) -> None:
        self.weights, self.shape = weights, inputs.shape
        lengths = inputs.shape[1:-1]
        self.filters = weights.units // geometry.taps
        self.places = [(_WHOLE, *place) for place in geometry.places(lengths)]
        found, cut = spread_lengths(lengths, geometry, extra)
        rows = zip(lengths, geometry.strides, geometry.reach, found, cut, strict=True)
        whole = [
            max((length - 1) * stride + reach, before + count)
            for length, stride, reach, count, before in rows
        ]
        self.whole = (len(inputs), *whole, self.filters)
        pairs = zip(cut, found, strict=True)
        self.kept = (_WHOLE, *(slice(before, before + count) for before, count in pairs))
        self.rows = inputs.reshape(-1, inputs.shape[-1])
        self.linear, self.saved = dense_forward(weights, self.rows, differentiable)
        windows = self.linear.reshape(*inputs.shape[:-1], -1, self.filters)
        sums = np.zeros(self.whole, self.linear.dtype)
        for at, place in enumerate(self.places):
            sums[place] += windows[..., at, :]
        self.outputs: Array = sums[self.kept]

    def backward(self, d_outputs: Array, inputs_wanted: bool) -> tuple[Array | None, Array]:
        """Gradients for the inputs and for the matrix `[features, window * filters]`."""
        d_sums = np.zeros(self.whole, self.linear.dtype)
        d_sums[self.kept] = d_outputs
        d_windows = np.empty((*self.shape[:-1], len(self.places), self.filters), d_sums.dtype)
        for at, place in enumerate(self.places):
            d_windows[..., at, :] = d_sums[place]
        d_rows, d_weights = dense_backward(
            self.weights,
            self.rows,
            self.linear,
            self.saved,
            d_windows.reshape(self.linear.shape),
            inputs_wanted,
        )
        return None if d_rows is None else d_rows.reshape(self.shape), d_weights[0]
