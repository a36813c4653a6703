"""Zero padding, cropping and repetition of steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.layers.checks import checked_data_format, checked_rank, tuple_of
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients


class ZeroPadding1D(Layer):
    """Adds steps of zeros before and after: `[batch, time, features]` to `[batch, longer, ...]`.

    `padding` is one number for both ends, or two; `data_format="channels_first"` says that the
    inputs are `[batch, features, time]`.

    >>> ZeroPadding1D((1, 2))(np.ones((1, 1, 2))).tolist()
    [[[0.0, 0.0], [1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]]
    """

    supports_masking = False

    def __init__(
        self,
        padding: int | Sequence[int] = 1,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.data_format = checked_data_format(data_format)
        self.padding = tuple_of(padding, 2, "padding", least=0)
        self.built = True

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs with more steps and their vjp."""
        checked_rank(self.name, inputs.shape, 3)
        axis, (before, _) = self._axis, self.padding
        outputs = np.zeros(self.compute_output_shape(inputs.shape), inputs.dtype)
        inside = [slice(None)] * 3
        inside[axis] = slice(before, before + inputs.shape[axis])
        kept = tuple(inside)
        outputs[kept] = inputs

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            d_inputs: Array = d_outputs[kept]
            return d_inputs

        return outputs, vjp

    @property
    def _axis(self) -> int:
        return 1 if self.data_format == "channels_last" else 2

    def compute_output_shape(self, input_shape: Any) -> Any:
        checked_rank(self.name, input_shape, 3)
        shape = list(input_shape)
        if shape[self._axis] is not None:
            shape[self._axis] += sum(self.padding)
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        config = {"padding": self.padding, "data_format": self.data_format}
        return {**super().get_config(), **config}


class Cropping1D(Layer):
    """Removes steps at both ends: `[batch, time, features]` to `[batch, shorter, features]`.

    >>> Cropping1D((1, 2))(np.ones((2, 7, 3))).shape
    (2, 4, 3)
    """

    supports_masking = False

    def __init__(self, cropping: int | Sequence[int] = (1, 1), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cropping = tuple_of(cropping, 2, "cropping", least=0)
        self.built = True

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs with fewer steps and their vjp."""
        _, steps, _ = self.compute_output_shape(inputs.shape)
        kept = slice(self.cropping[0], self.cropping[0] + steps)

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            d_inputs = np.zeros(inputs.shape, d_outputs.dtype)
            d_inputs[:, kept] = d_outputs
            return d_inputs

        return inputs[:, kept], vjp

    def compute_output_shape(self, input_shape: Any) -> Any:
        checked_rank(self.name, input_shape, 3)
        batch, steps, features = input_shape
        if steps is None:
            return (batch, None, features)
        if steps <= sum(self.cropping):
            raise ValueError(
                "`cropping` parameter of `Cropping1D` layer must be smaller than "
                f"the input length. Received: inputs.shape={tuple(input_shape)}, "
                f"cropping={self.cropping} (in layer {self.name!r})"
            )
        return (batch, steps - sum(self.cropping), features)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cropping": self.cropping}


class UpSampling1D(Layer):
    """Repeats each step `size` times: `[batch, time, features]` to `[batch, longer, features]`.

    >>> UpSampling1D(2)(np.array([[[1.0], [2.0]]])).ravel().tolist()
    [1.0, 1.0, 2.0, 2.0]
    """

    supports_masking = False

    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(size, int | np.integer) or isinstance(size, bool):
            raise TypeError(f"Expected an integer value for `size`, got {type(size)}.")
        if size <= 0:
            raise ValueError(f"Argument `size` should be a positive integer. Received: size={size}")
        self.size = int(size)
        self.built = True

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs with more steps and their vjp."""
        checked_rank(self.name, inputs.shape, 3)
        batch, steps, features = inputs.shape

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            d_inputs: Array = d_outputs.reshape(batch, steps, self.size, features).sum(axis=2)
            return d_inputs

        return np.repeat(inputs, self.size, axis=1), vjp

    def compute_output_shape(self, input_shape: Any) -> Any:
        checked_rank(self.name, input_shape, 3)
        batch, steps, features = input_shape
        return (batch, None if steps is None else steps * self.size, features)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size}
