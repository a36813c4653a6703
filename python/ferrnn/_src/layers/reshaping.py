"""Layers that change the shape of inputs or the order of axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.layers.checks import checked_data_format, checked_rank
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients


class Reshape(Layer):
    """Gives each sample the shape `target_shape`, in which one length may be -1, to be computed.

    >>> Reshape((2, -1))(np.arange(12).reshape(2, 6)).shape
    (2, 2, 3)
    """

    supports_masking = False

    def __init__(self, target_shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape = tuple(target_shape)
        if self.target_shape.count(-1) > 1:
            raise ValueError(
                "There must be at most one unknown dimension (-1) in target_shape. "
                f"Received: target_shape={self.target_shape}."
            )
        if any(not isinstance(n, int | np.integer) or n < -1 for n in self.target_shape):
            raise ValueError(
                "Each entry of `target_shape` must be a non-negative integer, or -1 for one whose "
                f"length follows from the others. Received: target_shape={self.target_shape} (in "
                f"layer {self.name!r})"
            )
        self.built = True

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs `[batch, *target_shape]` and their vjp."""
        return _reshaped(inputs, self.compute_output_shape(inputs.shape))

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, *rest = input_shape
        if -1 not in self.target_shape and None in rest:
            return (batch, *self.target_shape)
        if None in rest:
            return (batch, *(None if n == -1 else n for n in self.target_shape))
        size, known = math.prod(rest), math.prod(n for n in self.target_shape if n != -1)
        if -1 not in self.target_shape and size != known:
            raise ValueError(
                "The total size of the tensor must be unchanged. Received: "
                f"input_shape={tuple(rest)}, target_shape={self.target_shape} "
                f"(in layer {self.name!r})"
            )
        if -1 in self.target_shape and (not known or size % known):
            raise ValueError(
                "The total size of the tensor must be unchanged, however, the input size cannot "
                f"be divided by the specified dimensions in target_shape. Received: "
                f"input_shape={tuple(rest)}, target_shape={self.target_shape} "
                f"(in layer {self.name!r})"
            )
        return (batch, *(size // known if n == -1 else n for n in self.target_shape))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "target_shape": self.target_shape}


class Flatten(Layer):
    """Gives each sample one axis: `[batch, ...]` to `[batch, features]`, `[batch]` to `[batch, 1]`.

    `data_format="channels_first"` says that axis 1 holds the features, which then vary fastest.

    >>> Flatten()(np.zeros((2, 3, 4))).shape
    (2, 12)
    """

    supports_masking = False

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = checked_data_format(data_format)
        self.built = True

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs `[batch, features]` and their vjp."""
        checked_rank(self.name, inputs.shape, 1, least=True)
        shape = self.compute_output_shape(inputs.shape)
        if self.data_format == "channels_last" or inputs.ndim < 3:
            return _reshaped(inputs, shape)
        outputs, vjp = _reshaped(np.moveaxis(inputs, 1, -1), shape)
        return outputs, lambda d_outputs, grads: np.moveaxis(vjp(d_outputs, grads), -1, 1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, *rest = input_shape
        return (batch, None if None in rest else math.prod(rest))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


class RepeatVector(Layer):
    """Gives each of `n` steps the same features: `[batch, features]` to `[batch, n, features]`.

    >>> RepeatVector(3)(np.zeros((2, 4))).shape
    (2, 3, 4)
    """

    supports_masking = False

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(n, int | np.integer) or isinstance(n, bool):
            raise TypeError(f"Expected an integer value for `n`, got {type(n)}.")
        if n <= 0:
            raise ValueError(f"Argument `n` should be a positive integer. Received: n={n}")
        self.n = int(n)
        self.built = True

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs `[batch, n, features]` and their vjp."""
        checked_rank(self.name, inputs.shape, 2)

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            d_inputs: Array = d_outputs.sum(axis=1)
            return d_inputs

        return np.repeat(inputs[:, None], self.n, axis=1), vjp

    def compute_output_shape(self, input_shape: Any) -> Any:
        checked_rank(self.name, input_shape, 2)
        return (input_shape[0], self.n, input_shape[1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "n": self.n}


class Permute(Layer):
    """Puts the axes of each sample in the order `dims`, in which 1 is the first after the batch.

    >>> Permute((2, 1))(np.zeros((2, 3, 4))).shape
    (2, 4, 3)
    """

    supports_masking = False

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                "Invalid permutation argument `dims` for Permute Layer. The set of indices in "
                f"`dims` must be consecutive and start from 1. Received dims={dims}"
            )
        self._order = (0, *self.dims)
        self._back = tuple(map(self._order.index, range(len(self._order))))
        self.built = True

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs with the axes in another order and their vjp."""
        checked_rank(self.name, inputs.shape, len(self._order))

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            return np.ascontiguousarray(d_outputs.transpose(self._back))

        return np.ascontiguousarray(inputs.transpose(self._order)), vjp

    def compute_output_shape(self, input_shape: Any) -> Any:
        checked_rank(self.name, input_shape, len(self.dims) + 1)
        return (input_shape[0], *(input_shape[axis] for axis in self.dims))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dims": self.dims}


def _reshaped(inputs: Array, shape: Sequence[int]) -> tuple[Array, Vjp]:
    taken = inputs.shape

    def vjp(d_outputs: Array, grads: Gradients) -> Array:
        return d_outputs.reshape(taken)

    return inputs.reshape(shape), vjp
