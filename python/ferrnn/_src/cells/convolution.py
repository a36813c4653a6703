"""The convolution of a step's inputs, or states, with their kernel, dropout masks applied."""

from __future__ import annotations

import numpy as np

from ferrnn._src.cells.product import ProductVjp
from ferrnn._src.tree.types import Array


class Convolution:
    """How windows lie over `[batch, length, features]`: size, stride, distance of taps, padding.

    With "same" padding, zeros at both ends make as many windows as there are strides.

    >>> Convolution(3).windows(5), Convolution(3, padding="same").windows(5)
    (3, 5)
    """

    def __init__(
        self, size: int, stride: int = 1, dilation: int = 1, padding: str = "valid"
    ) -> None:
        self.size, self.stride, self.dilation, self.padding = size, stride, dilation, padding
        self.reach = (size - 1) * dilation + 1

    def windows(self, length: int) -> int:
        """The number of windows over so many places."""
        if self.padding == "same":
            return -(-length // self.stride)
        return max(0, (length - self.reach) // self.stride + 1)

    def apply(self, inputs: Array, kernel: Array, mask: Array | None) -> tuple[Array, ProductVjp]:
        """`conv(inputs * mask, kernel)` for a kernel `[size, features, filters]`, and its vjp.

        With a mask `[gates, batch, length, features]` each block of filters sees its own inputs.
        """
        if mask is None:
            return self._apply(inputs, kernel)
        blocks = np.split(kernel, len(mask), axis=-1)
        parts = [self._apply(inputs * own, block) for own, block in zip(mask, blocks, strict=True)]

        def vjp(d_outputs: Array) -> tuple[Array, Array]:
            d_parts = np.split(d_outputs, len(parts), axis=-1)
            pairs = [part_vjp(d) for (_, part_vjp), d in zip(parts, d_parts, strict=True)]
            d_inputs = np.sum([own * d for own, (d, _) in zip(mask, pairs, strict=True)], axis=0)
            return d_inputs, np.concatenate([d for _, d in pairs], axis=-1)

        return np.concatenate([outputs for outputs, _ in parts], axis=-1), vjp

    def _apply(self, inputs: Array, kernel: Array) -> tuple[Array, ProductVjp]:
        batch, length, features = inputs.shape
        count, filters = self.windows(length), kernel.shape[-1]
        before, after = self._padding(length, count)
        padded = np.pad(inputs, ((0, 0), (before, after), (0, 0)))
        places = np.arange(count)[:, None] * self.stride + np.arange(self.size) * self.dilation
        rows = padded[:, places].reshape(batch * count, self.size * features)
        flat = kernel.reshape(self.size * features, filters)

        def vjp(d_outputs: Array) -> tuple[Array, Array]:
            d_rows = d_outputs.reshape(batch * count, filters)
            d_windows = (d_rows @ flat.T).reshape(batch, count, self.size, features)
            d_padded = np.zeros_like(padded)
            for tap in range(self.size):
                start = tap * self.dilation
                taken = slice(start, start + (count - 1) * self.stride + 1, self.stride)
                d_padded[:, taken] += d_windows[:, :, tap]
            d_kernel = (rows.T @ d_rows).reshape(kernel.shape)
            return d_padded[:, before : before + length], d_kernel

        return (rows @ flat).reshape(batch, count, filters), vjp

    def _padding(self, length: int, count: int) -> tuple[int, int]:
        if self.padding != "same":
            return 0, 0
        total = max(0, (count - 1) * self.stride + self.reach - length)
        return total // 2, total - total // 2
