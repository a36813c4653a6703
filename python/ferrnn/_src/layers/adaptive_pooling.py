"""Maxima and means over a given number of windows."""

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
    """The base of pooling over a given number of windows.

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

    def _ordered(self, inputs: Array) -> Array:
        checked_rank(self.name, inputs.shape, 3)
        ordered = channels_last(inputs, self.data_format)
        if not ordered.shape[1]:
            raise ValueError(f"layer {self.name!r} must be given at least one step, received none")
        return ordered

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
        steps, (count,) = ordered.shape[1], self.output_size
        first, stop = _windows(steps, count)
        lengths = (stop - first).astype(ordered.dtype)[:, None]
        outputs = _sums(ordered, count) / lengths

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            # The windows that contain a step are again such windows, with both roles exchanged.
            d_ordered = _sums(self._ordered(d_outputs) / lengths, steps)
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
        places, _ = _places(ordered.shape[1], *self.output_size)
        outputs = np.maximum.reduce(ordered[:, places], axis=2)

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            found = ordered[:, places].argmax(axis=2)
            # Padding of a window repeats its last step, so it is never the first maximum.
            first = np.take_along_axis(places[None, :, :, None], found[:, :, None], axis=2)[:, :, 0]
            d_ordered = np.zeros_like(ordered)
            rows, columns = np.arange(len(first))[:, None, None], np.arange(first.shape[-1])
            np.add.at(d_ordered, (rows, first, columns), self._ordered(d_outputs))
            return given_order(d_ordered, self.data_format)

        return given_order(outputs, self.data_format), vjp


def _windows(steps: int, count: int) -> tuple[Array, Array]:
    """The first step of each window, and the one after its last."""
    at = np.arange(count)
    return at * steps // count, -(-(at + 1) * steps // count)


def _places(steps: int, count: int) -> tuple[Array, Array]:
    """The steps of each window `[count, widest]`, and which places are padding.

    Shorter windows are padded with their last step.
    """
    first, stop = _windows(steps, count)
    places = first[:, None] + np.arange(int((stop - first).max(initial=0)))
    last = stop[:, None] - 1
    return np.minimum(places, last), places > last


def _sums(ordered: Array, count: int) -> Array:
    """The sums over windows of steps `[batch, count, features]`."""
    places, none = _places(ordered.shape[1], count)
    gathered = ordered[:, places]
    gathered[:, none] = 0
    sums: Array = np.add.reduce(gathered, axis=2)
    return sums
