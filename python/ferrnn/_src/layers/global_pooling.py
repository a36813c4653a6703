"""Maxima and means over all steps or places."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.layers.checks import checked_data_format, checked_mask, checked_rank
from ferrnn._src.tree.types import Array, Mask
from ferrnn._src.weights.parameter import Gradients


class GlobalPooling(Layer):
    """The base of pooling over all places."""

    rank: ClassVar[int]

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.data_format = checked_data_format(data_format)
        self.keepdims = bool(keepdims)
        # The axes of the places, and the index that restores them with length 1.
        first = 1 if self.data_format == "channels_last" else 2
        self._axes = tuple(range(first, first + self.rank))
        self._widening = (slice(None),) * first + (None,) * self.rank
        self.built = True

    def _wide(self, reduced: Array) -> Array:
        """A reduced array with the axes of the places restored, of length 1."""
        return reduced if self.keepdims else reduced[self._widening]

    def compute_output_shape(self, input_shape: Any) -> Any:
        checked_rank(self.name, input_shape, self.rank + 2)
        shape, first = list(input_shape), self._axes[0]
        shape[first : first + self.rank] = [1] * self.rank if self.keepdims else []
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        config = {"data_format": self.data_format, "keepdims": self.keepdims}
        return {**super().get_config(), **config}


class GlobalMaxPooling(GlobalPooling):
    """The maximum over all places; those that share it share the gradient."""

    supports_masking = False

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs `[batch, features]` and their vjp."""
        checked_rank(self.name, inputs.shape, self.rank + 2)
        axes = self._axes
        if not all(inputs.shape[axis] for axis in axes):
            what = "step" if self.rank == 1 else "place"
            raise ValueError(
                f"layer {self.name!r} must be given at least one {what}, received the shape "
                f"{inputs.shape}"
            )
        highest = inputs.max(axis=axes, keepdims=self.keepdims)

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            found = inputs == self._wide(highest)
            shares = np.add.reduce(found, axes, inputs.dtype, keepdims=True)
            d_inputs: Array = found * (self._wide(d_outputs) / shares)
            return d_inputs

        return highest, vjp


class GlobalMaxPooling1D(GlobalMaxPooling):
    """The maximum over all steps: `[batch, time, features]` to `[batch, features]`.

    `keepdims` keeps an axis of length 1. Steps that share the maximum share the gradient.

    >>> GlobalMaxPooling1D()(np.array([[[1.0, 2.0], [3.0, 0.0]]])).tolist()
    [[3.0, 2.0]]
    """

    rank: ClassVar[int] = 1


class GlobalMaxPooling2D(GlobalMaxPooling):
    """The maximum over all places of frames: `[batch, features]`.

    `keepdims` keeps axes of length 1. Places that share the maximum share the gradient.

    >>> GlobalMaxPooling2D()(np.array([[[[1.0, 2.0]], [[3.0, 0.0]]]])).tolist()
    [[3.0, 2.0]]
    """

    rank: ClassVar[int] = 2


class GlobalAveragePooling1D(GlobalPooling):
    """The mean over all steps that count: `[batch, time, features]` to `[batch, features]`.

    `keepdims` keeps an axis of length 1. With a mask the mean is over its steps; where it leaves
    none, the output is zero.

    >>> inputs = np.array([[[1.0, 2.0], [3.0, 0.0]]])
    >>> GlobalAveragePooling1D()(inputs).tolist()
    [[2.0, 1.0]]
    >>> GlobalAveragePooling1D()(inputs, mask=[[True, False]]).tolist()
    [[1.0, 2.0]]
    """

    rank: ClassVar[int] = 1

    def __call__(  # type: ignore[override]
        self, inputs: Any, mask: Any = None, **options: Any
    ) -> Any:
        """Outputs `[batch, features]`, means over the steps of the mask if there is one."""
        return super().__call__(inputs, mask=mask, **options)

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs `[batch, features]` and their vjp."""
        checked_rank(self.name, inputs.shape, 3)
        (axis,), weights = self._axes, None
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


class GlobalAveragePooling2D(GlobalPooling):
    """The mean over all places of frames: `[batch, features]`.

    `keepdims` keeps axes of length 1.

    >>> GlobalAveragePooling2D()(np.array([[[[1.0, 2.0]], [[3.0, 0.0]]]])).tolist()
    [[2.0, 1.0]]
    """

    supports_masking = False
    rank: ClassVar[int] = 2

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs `[batch, features]` and their vjp."""
        checked_rank(self.name, inputs.shape, 4)
        count = inputs.dtype.type(max(math.prod(inputs.shape[axis] for axis in self._axes), 1))
        outputs: Array = inputs.sum(axis=self._axes, keepdims=self.keepdims) / count

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            d_inputs = np.empty(inputs.shape, inputs.dtype)
            d_inputs[...] = self._wide(d_outputs) / count
            return d_inputs

        return outputs, vjp
