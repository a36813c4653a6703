"""Maxima and means over windows of steps, and over all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.layers.checks import (
    checked_data_format,
    checked_mask,
    checked_padding,
    checked_rank,
    tuple_of,
)
from ferrnn._src.tree.types import Array, Mask
from ferrnn._src.weights.parameter import Gradients


class Pooling1D(Layer):
    """What pooling over windows has in common: sizes and places of the windows."""

    supports_masking = False

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.pool_size = tuple_of(pool_size, 1, "pool_size")
        self.strides = self.pool_size if strides is None else tuple_of(strides, 1, "strides")
        self.padding = checked_padding(padding)
        self.data_format = checked_data_format(data_format)
        self.built = True

    def _steps_first(self, inputs: Array) -> Array:
        """`[batch, time, features]`, whichever the order of the axes."""
        checked_rank(self.name, inputs.shape, 3)
        return inputs if self.data_format == "channels_last" else inputs.swapaxes(1, 2)

    def _given_order(self, outputs: Array) -> Array:
        return outputs if self.data_format == "channels_last" else outputs.swapaxes(1, 2)

    def _padded(self, inputs: Array, fill: float) -> tuple[Array, int, int]:
        """Inputs with steps of `fill` around them, the number of outputs, and of steps before."""
        steps = inputs.shape[1]
        count = self._count(steps, inputs.shape)
        missing = (count - 1) * self.strides[0] + self.pool_size[0] - steps
        if self.padding == "valid" or missing <= 0:
            return inputs, count, 0
        before = missing // 2
        longer = np.full((len(inputs), steps + missing, inputs.shape[2]), fill, inputs.dtype)
        longer[:, before : before + steps] = inputs
        return longer, count, before

    def _count(self, steps: int, shape: Any) -> int:
        (size,), (stride,) = self.pool_size, self.strides
        if self.padding == "same":
            return -(-steps // stride)
        if steps < size:
            raise ValueError(
                "Computed output size would be negative. Received: "
                f"`inputs.shape={tuple(shape)}`, `pool_size={self.pool_size}` and `strides="
                f"{self.strides}` (in layer {self.name!r})."
            )
        return (steps - size) // stride + 1

    def _places(self, count: int) -> Iterator[slice]:
        """For each place in a window, the steps that stand there in all windows."""
        (stride,) = self.strides
        for first in range(self.pool_size[0]):
            yield slice(first, first + (count - 1) * stride + 1, stride)

    def compute_output_shape(self, input_shape: Any) -> Any:
        checked_rank(self.name, input_shape, 3)
        axis = 1 if self.data_format == "channels_last" else 2
        shape = list(input_shape)
        if shape[axis] is not None:
            shape[axis] = self._count(shape[axis], input_shape)
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "padding": self.padding,
            "strides": self.strides,
            "data_format": self.data_format,
        }


class MaxPooling1D(Pooling1D):
    """The maximum of each window of `pool_size` steps: `[batch, fewer steps, features]`.

    A window starts every `strides` steps, `pool_size` unless given. With `padding="same"` windows
    may reach beyond the ends. The gradient goes to the first step that has the maximum.

    >>> MaxPooling1D(2)(np.array([[[1.0], [3.0], [2.0], [0.0]]])).ravel().tolist()
    [3.0, 2.0]
    """

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs and their vjp."""
        ordered = self._steps_first(inputs)
        steps = ordered.shape[1]
        padded, count, before = self._padded(ordered, -np.inf)
        first, *others = self._places(count)
        highest = padded[:, first].copy()
        for place in others:
            np.maximum(highest, padded[:, place], out=highest)
        if not call.differentiable:
            return self._given_order(highest), None

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            d_highest = self._steps_first(d_outputs)
            d_padded = np.zeros(padded.shape, d_highest.dtype)
            taken: Any = None
            for place in (first, *others):
                found = padded[:, place] == highest
                if taken is not None:
                    np.greater(found, taken, found)  # found, and not taken
                d_padded[:, place] += d_highest * found
                taken = found if taken is None else taken | found
            return self._given_order(d_padded[:, before : before + steps])

        return self._given_order(highest), vjp


class AveragePooling1D(Pooling1D):
    """The mean of each window of `pool_size` steps: `[batch, fewer steps, features]`.

    A window starts every `strides` steps, `pool_size` unless given. With `padding="same"` windows
    may reach beyond the ends; the mean is that of the steps that are there.

    >>> AveragePooling1D(2)(np.array([[[1.0], [3.0], [2.0], [0.0]]])).ravel().tolist()
    [2.0, 1.0]
    """

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

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs and their vjp."""
        ordered = self._steps_first(inputs)
        steps = ordered.shape[1]
        padded, count, before = self._padded(ordered, 0.0)
        first, *others = self._places(count)
        sums = padded[:, first].copy()
        for place in others:
            sums += padded[:, place]
        sizes: Any = self.pool_size[0]
        if padded is not ordered:
            starts = np.arange(count) * self.strides[0] - before
            ends = np.minimum(starts + self.pool_size[0], steps)
            sizes = (ends - np.maximum(starts, 0)).astype(inputs.dtype)[:, None]

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            each = self._steps_first(d_outputs) / sizes
            d_padded = np.zeros(padded.shape, each.dtype)
            for place in (first, *others):
                d_padded[:, place] += each
            return self._given_order(d_padded[:, before : before + steps])

        return self._given_order(sums / sizes), vjp


class GlobalPooling1D(Layer):
    """What pooling over all steps has in common."""

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.data_format = checked_data_format(data_format)
        self.keepdims = bool(keepdims)
        self.built = True

    @property
    def _axis(self) -> int:
        return 1 if self.data_format == "channels_last" else 2

    def _wide(self, reduced: Array) -> Array:
        """What has lost the axis of the steps, with that axis again, of length 1."""
        if self.keepdims:
            return reduced
        return reduced[:, None] if self._axis == 1 else reduced[:, :, None]

    def compute_output_shape(self, input_shape: Any) -> Any:
        checked_rank(self.name, input_shape, 3)
        shape = list(input_shape)
        shape[self._axis : self._axis + 1] = [1] if self.keepdims else []
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        config = {"data_format": self.data_format, "keepdims": self.keepdims}
        return {**super().get_config(), **config}


class GlobalMaxPooling1D(GlobalPooling1D):
    """The maximum over all steps: `[batch, time, features]` to `[batch, features]`.

    `keepdims` keeps an axis of length 1. Steps that share the maximum share the gradient.

    >>> GlobalMaxPooling1D()(np.array([[[1.0, 2.0], [3.0, 0.0]]])).tolist()
    [[3.0, 2.0]]
    """

    supports_masking = False

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs `[batch, features]` and their vjp."""
        checked_rank(self.name, inputs.shape, 3)
        axis = self._axis
        if not inputs.shape[axis]:
            raise ValueError(
                f"layer {self.name!r} must be given at least one step, received the shape "
                f"{inputs.shape}"
            )
        highest = inputs.max(axis=axis, keepdims=self.keepdims)

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            found = inputs == self._wide(highest)
            shares = np.add.reduce(found, axis, inputs.dtype, keepdims=True)
            d_inputs: Array = found * (self._wide(d_outputs) / shares)
            return d_inputs

        return highest, vjp


class GlobalAveragePooling1D(GlobalPooling1D):
    """The mean over all steps that count: `[batch, time, features]` to `[batch, features]`.

    `keepdims` keeps an axis of length 1. With a mask the mean is over its steps; where it leaves
    none, the output is zero.

    >>> inputs = np.array([[[1.0, 2.0], [3.0, 0.0]]])
    >>> GlobalAveragePooling1D()(inputs).tolist()
    [[2.0, 1.0]]
    >>> GlobalAveragePooling1D()(inputs, mask=[[True, False]]).tolist()
    [[1.0, 2.0]]
    """

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs `[batch, features]` and their vjp."""
        checked_rank(self.name, inputs.shape, 3)
        axis, weights = self._axis, None
        if call.mask is None:
            counts: Any = inputs.dtype.type(max(inputs.shape[axis], 1))
            sums = np.add.reduce(inputs, axis, keepdims=True)
        else:
            ordered = inputs if axis == 1 else inputs.swapaxes(1, 2)
            mask = checked_mask(self.name, call.mask, ordered)
            weights = np.expand_dims(mask, 3 - axis)
            counts = np.maximum(weights.sum(axis=axis, keepdims=True, dtype=inputs.dtype), 1)
            sums = np.where(weights, inputs, 0).sum(axis=axis, keepdims=True)
        means = sums / counts
        outputs = means if self.keepdims else means.squeeze(axis)

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            each = self._wide(d_outputs) / counts
            d_inputs: Array = np.empty(inputs.shape, inputs.dtype)
            d_inputs[...] = each if weights is None else np.where(weights, each, 0)
            return d_inputs

        return outputs, vjp

    def compute_mask(self, inputs: Any, mask: Mask | None = None) -> Any:
        """None: no step is left to mask."""
        return None
