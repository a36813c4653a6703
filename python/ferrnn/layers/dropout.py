"""Dropout between layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ferrnn.core.layer import Call, Layer, Vjp
from ferrnn.core.parameter import Gradients
from ferrnn.core.random import SeedGenerator
from ferrnn.core.types import Array


class Dropout(Layer):
    """In training sets entries to zero with probability `rate` and scales up the rest.

    `noise_shape` says where masks are shared: 1 on an axis shares one along it, None takes the
    inputs' length.

    >>> inputs = np.ones((2, 3))
    >>> Dropout(0.5)(inputs).tolist()
    [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        number = isinstance(rate, int | float | np.number) and not isinstance(rate, bool)
        if not number or not 0 <= rate <= 1:
            raise ValueError(
                "Invalid value received for argument `rate`. Expected a float value between 0 and "
                f"1. Received: rate={rate!r}"
            )
        self.rate = float(rate)
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)
        self.built = True

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs of the inputs' shape and their vjp."""
        if not call.training or self.rate == 0:
            return inputs, lambda d_outputs, grads: d_outputs
        mask = self.seed_generator.dropout_mask(
            self._mask_shape(inputs.shape), self.rate, inputs.dtype.name
        )

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            d_inputs: Array = d_outputs * mask
            return d_inputs

        return inputs * mask, vjp

    def _mask_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if self.noise_shape is None:
            return shape
        fits = len(self.noise_shape) == len(shape) and all(
            noise in (None, 1, length)
            for noise, length in zip(self.noise_shape, shape, strict=True)
        )
        if not fits:
            raise ValueError(
                f"`noise_shape` of layer {self.name!r} must fit the inputs' shape {shape}, "
                f"received {self.noise_shape}"
            )
        return tuple(
            length if noise is None else noise
            for noise, length in zip(self.noise_shape, shape, strict=True)
        )

    def get_config(self) -> dict[str, Any]:
        settings = {"rate": self.rate, "noise_shape": self.noise_shape, "seed": self.seed}
        return {**super().get_config(), **settings}
