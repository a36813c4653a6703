"""Maxima and means over windows of places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ferrnn._src.convolution.frames import as_lines, pooled_axes
from ferrnn._src.convolution.geometry import (
    Geometry,
    channels_last,
    given_order,
    inside,
    padded,
    places_of,
    shape_of,
    windows_over,
)
from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.layers.checks import (
    checked_data_format,
    checked_padding,
    checked_rank,
    tuple_of,
)
from ferrnn._src.native import max_pool, max_pool_backward
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients


class Pooling(Layer):
    """The base of pooling over windows."""

    supports_masking = False
    rank: ClassVar[int]

    def __init__(
        self,
        pool_size: int | Sequence[int],
        strides: int | Sequence[int] | None,
        padding: str,
        data_format: str | None,
        name: str | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.pool_size = tuple_of(pool_size, self.rank, "pool_size")
        self.strides = self.pool_size
        if strides is not None:
            self.strides = tuple_of(strides, self.rank, "strides")
        self.padding = checked_padding(padding)
        self.data_format = checked_data_format(data_format)
        self._geometry = Geometry(self.pool_size, self.strides, (1,) * self.rank, self.padding)
        self._known: tuple[int, ...] = ()  # the lengths checked last
        self.built = True

    @property
    def window(self) -> Geometry:
        """The geometry of the windows."""
        return self._geometry

    def _places_inside(self, inputs: Array) -> Array:
        """`[batch, *places, features]`, whatever the `data_format`."""
        checked_rank(self.name, inputs.shape, self.rank + 2)
        return channels_last(inputs, self.data_format)

    def _given_order(self, outputs: Array) -> Array:
        return given_order(outputs, self.data_format)

    def _checked_lengths(self, ordered: Array, shape: Any) -> tuple[int, ...]:
        """The lengths of the spatial axes, after checking that windows fit."""
        lengths: tuple[int, ...] = ordered.shape[1:-1]
        if lengths != self._known:
            self._counts(lengths, shape)
            self._known = lengths
        return lengths

    def _counts(self, lengths: Sequence[Any], shape: Any) -> tuple[Any, ...]:
        many = max(self.pool_size)
        counts = self._geometry.counts([many if each is None else each for each in lengths])
        if self.padding == "valid" and 0 in counts:
            raise ValueError(
                "Computed output size would be negative. Received: "
                f"`inputs.shape={tuple(shape)}`, `pool_size={self.pool_size}` and `strides="
                f"{self.strides}` (in layer {self.name!r})."
            )
        pairs = zip(lengths, counts, strict=True)
        return tuple(None if length is None else count for length, count in pairs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        checked_rank(self.name, input_shape, self.rank + 2)
        counts = self._counts(places_of(input_shape, self.data_format), input_shape)
        axis = -1 if self.data_format == "channels_last" else 1
        return shape_of(input_shape[0], counts, input_shape[axis], self.data_format)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "padding": self.padding,
            "strides": self.strides,
            "data_format": self.data_format,
        }


class MaxPooling(Pooling):
    """The maximum of each window; the gradient goes to the first place that has it."""

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs and their vjp."""
        ordered = self._places_inside(inputs)
        lengths, features = self._checked_lengths(ordered, inputs.shape), ordered.shape[-1]
        axes = pooled_axes(lengths, self._geometry)
        if axes is None or not ordered.size:
            return self._of_nothing(ordered)
        lines = as_lines(ordered)
        highest = max_pool(lines, features, *axes)
        shape = (len(ordered), *[axis[-1] for axis in axes[-self.rank :]], features)

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            d_highest = as_lines(self._places_inside(d_outputs))
            d_lines = max_pool_backward(lines, as_lines(highest), d_highest, features, *axes)
            return self._given_order(d_lines.reshape(ordered.shape))

        return self._given_order(highest.reshape(shape)), vjp if call.differentiable else None

    def _of_nothing(self, ordered: Array) -> tuple[Array, Vjp]:
        """The vjp for inputs without elements."""
        shape = (len(ordered), *self._geometry.counts(ordered.shape[1:-1]), ordered.shape[-1])
        zeros = np.zeros(ordered.shape, ordered.dtype)
        outputs = self._given_order(np.zeros(shape, ordered.dtype))
        return outputs, lambda d_outputs, grads: self._given_order(zeros)


class AveragePooling(Pooling):
    """The mean of each window; where a window reaches into the padding, of its real places."""

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs and their vjp."""
        ordered = self._places_inside(inputs)
        lengths = self._checked_lengths(ordered, inputs.shape)
        (first, *others), ends = windows_over(self._geometry, lengths)
        longer = padded(ordered, ends)
        sums = longer[first].copy()
        for place in others:
            sums += longer[place]
        sizes: Any = self._geometry.taps
        if longer is not ordered:
            sizes = self._sizes(ordered.shape[1:-1], ends).astype(inputs.dtype)

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            each = self._places_inside(d_outputs) / sizes
            d_longer = np.zeros(longer.shape, each.dtype)
            for place in (first, *others):
                own = d_longer[place]
                np.add(own, each, own)
            if longer is ordered:
                return self._given_order(d_longer)
            return self._given_order(d_longer[inside(ends, ordered.shape)])

        return self._given_order(sums / sizes), vjp

    def _sizes(self, lengths: Sequence[int], ends: Sequence[tuple[int, int]]) -> Array:
        """The number of real places of each window, `[*counts, 1]`."""
        sizes = np.ones(1)
        counts = self._geometry.counts(lengths)
        rows = zip(lengths, ends, counts, self.strides, self.pool_size, strict=True)
        for length, (before, _), count, stride, size in reversed(list(rows)):
            starts = np.arange(count) * stride - before
            along = np.minimum(starts + size, length) - np.maximum(starts, 0)
            sizes = along.reshape(-1, *(1,) * sizes.ndim) * sizes
        return sizes


class MaxPooling1D(MaxPooling):
    """The maximum of each window of `pool_size` steps: `[batch, fewer steps, features]`.

    A window starts every `strides` steps, `pool_size` unless given. With `padding="same"` windows
    may reach beyond the ends. The gradient goes to the first step that has the maximum.

    >>> MaxPooling1D(2)(np.array([[[1.0], [3.0], [2.0], [0.0]]])).ravel().tolist()
    [3.0, 2.0]
    """

    rank: ClassVar[int] = 1

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


class MaxPooling2D(MaxPooling):
    """The maximum of each window of `pool_size` places of frames.

    A window starts every `strides` places, `pool_size` unless given. With `padding="same"` windows
    may reach beyond the ends. The gradient goes to the first place that has the maximum.

    >>> MaxPooling2D(2)(np.array([[[[1.0], [3.0]], [[2.0], [0.0]]]])).ravel().tolist()
    [3.0]
    """

    rank: ClassVar[int] = 2

    def __init__(
        self,
        pool_size: int | Sequence[int] = (2, 2),
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


class AveragePooling1D(AveragePooling):
    """The mean of each window of `pool_size` steps: `[batch, fewer steps, features]`.

    A window starts every `strides` steps, `pool_size` unless given. With `padding="same"` windows
    may reach beyond the ends; their mean is that of the real steps.

    >>> AveragePooling1D(2)(np.array([[[1.0], [3.0], [2.0], [0.0]]])).ravel().tolist()
    [2.0, 1.0]
    """

    rank: ClassVar[int] = 1

    def __init__(
        self,
        pool_size: int | Sequence[int],
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


class AveragePooling2D(AveragePooling):
    """The mean of each window of `pool_size` places of frames.

    A window starts every `strides` places, `pool_size` unless given. With `padding="same"` windows
    may reach beyond the ends; their mean is that of the real places.

    >>> AveragePooling2D(2)(np.array([[[[1.0], [3.0]], [[2.0], [0.0]]]])).ravel().tolist()
    [1.5]
    """

    rank: ClassVar[int] = 2

    def __init__(
        self,
        pool_size: int | Sequence[int],
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)
