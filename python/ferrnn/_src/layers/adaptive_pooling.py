"""Maxima and means over as many windows as are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ferrnn._src.convolution.geometry import channels_last, given_order, shape_of
from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.layers.checks import checked_data_format, checked_rank, tuple_of
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients


class AdaptivePooling1D(Layer):
    """What pooling over a given number of windows has in common.

    Window `i` of n has the steps from `floor(i * time / n)` up to `ceil((i + 1) * time / n)`.
    """

    supports_masking = False

    def __init__(
        self, output_size: int | Sequence[int], data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.output_size = tuple_of(output_size, 1, "output_size")
        self.data_format = checked_data_format(data_format)
        self.built = True

    def _windows(self, steps: int) -> list[slice]:
        if not steps:
            raise ValueError(f"layer {self.name!r} must be given at least one step, received none")
        (count,) = self.output_size
        return [slice(at * steps // count, -(-(at + 1) * steps // count)) for at in range(count)]

    def _ordered(self, inputs: Array) -> Array:
        checked_rank(self.name, inputs.shape, 3)
        return channels_last(inputs, self.data_format)

    def compute_output_shape(self, input_shape: Any) -> Any:
        checked_rank(self.name, input_shape, 3)
        features = input_shape[-1 if self.data_format == "channels_last" else 1]
        return shape_of(input_shape[0], self.output_size, features, self.data_format)

    def get_config(self) -> dict[str, Any]:
        config = {"output_size": self.output_size, "data_format": self.data_format}
        return {**super().get_config(), **config}


class AdaptiveAveragePooling1D(AdaptivePooling1D):
    """The means of `output_size` windows of steps, however many steps there are.

    >>> AdaptiveAveragePooling1D(2)(np.arange(4.0).reshape(1, 4, 1)).ravel().tolist()
    [0.5, 2.5]
    """

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs `[batch, output_size, features]` and their vjp."""
        ordered = self._ordered(inputs)
        windows = self._windows(ordered.shape[1])
        outputs = np.stack([ordered[:, own].mean(axis=1) for own in windows], axis=1)

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            d_ordered, d_means = np.zeros_like(ordered), self._ordered(d_outputs)
            for at, own in enumerate(windows):
                d_ordered[:, own] += d_means[:, at, None] / (own.stop - own.start)
            return given_order(d_ordered, self.data_format)

        return given_order(outputs, self.data_format), vjp


class AdaptiveMaxPooling1D(AdaptivePooling1D):
    """The maxima of `output_size` windows of steps, however many steps there are.

    The gradient goes to the first step that has the maximum.

    >>> AdaptiveMaxPooling1D(2)(np.arange(4.0).reshape(1, 4, 1)).ravel().tolist()
    [1.0, 3.0]
    """

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs `[batch, output_size, features]` and their vjp."""
        ordered = self._ordered(inputs)
        windows = self._windows(ordered.shape[1])
        outputs = np.stack([ordered[:, own].max(axis=1) for own in windows], axis=1)

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            d_ordered, d_maxima = np.zeros_like(ordered), self._ordered(d_outputs)
            batch, _, features = ordered.shape
            rows, columns = np.arange(batch)[:, None], np.arange(features)
            for at, own in enumerate(windows):
                first = own.start + ordered[:, own].argmax(axis=1)
                d_ordered[rows, first, columns] += d_maxima[:, at]
            return given_order(d_ordered, self.data_format)

        return given_order(outputs, self.data_format), vjp
