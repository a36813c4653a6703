"""Depthwise convolutions."""

from __future__ import annotations

import numpy as np

from ferrnn._src.convolution.geometry import Geometry, inside, padded
from ferrnn._src.tree.types import Array


class Depthwise:
    """Each feature convolved on its own with `multiplier` kernels: `[batch, *windows, ...]`.

    The kernel is `[*size, features, multiplier]`; outputs hold the results of the first feature,
    then those of the second, and so on.
    """

    def __init__(self, inputs: Array, kernel: Array, geometry: Geometry) -> None:
        self.shape, self.kernel = inputs.shape, kernel
        self.ends = geometry.ends(inputs.shape[1:-1])
        self.padded = padded(inputs, self.ends)
        counts = geometry.counts(inputs.shape[1:-1])
        self.places = [(slice(None), *place) for place in geometry.places(counts)]
        self.features, self.multiplier = kernel.shape[-2:]
        self.taps = kernel.reshape(-1, self.features, self.multiplier)
        sums = np.zeros((len(inputs), *counts, self.features, self.multiplier), inputs.dtype)
        for place, tap in zip(self.places, self.taps, strict=True):
            for at in range(self.multiplier):
                sums[..., at] += self.padded[place] * tap[:, at]
        self.outputs = sums.reshape(len(inputs), *counts, self.features * self.multiplier)

    def backward(self, d_outputs: Array) -> tuple[Array, Array]:
        """Gradients for the inputs and for the kernel."""
        shape = (*d_outputs.shape[:-1], self.features, self.multiplier)
        d_sums = np.ascontiguousarray(np.moveaxis(d_outputs.reshape(shape), -1, 0))
        d_padded = np.zeros(self.padded.shape, self.padded.dtype)
        d_taps = np.zeros(self.taps.shape, self.taps.dtype)
        axes = tuple(range(len(self.shape) - 1))
        for place, tap, d_tap in zip(self.places, self.taps, d_taps, strict=True):
            for at in range(self.multiplier):
                d_padded[place] += d_sums[at] * tap[:, at]
                d_tap[:, at] = (self.padded[place] * d_sums[at]).sum(axis=axes)
        return d_padded[inside(self.ends, self.shape)], d_taps.reshape(self.kernel.shape)
