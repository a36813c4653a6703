"""Masks made from values."""

from __future__ import annotations

from typing import Any

import numpy as np

from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.tree.types import Array, Mask
from ferrnn._src.weights.parameter import Gradients


class Masking(Layer):
    """Masks the steps whose features all equal `mask_value`, and sets those to zero.

    The outputs are `[batch, time, features]` as the inputs are; the mask `[batch, time]`, True at
    steps that count, goes with them to the layers that follow, the loss and the metrics.

    >>> outputs = Masking(-1.0)(np.array([[[1.0, -1.0], [-1.0, -1.0]]]))
    >>> outputs.tolist(), outputs._keras_mask.tolist()
    ([[[1.0, -1.0], [0.0, 0.0]]], [[True, False]])
    """

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mask_value = mask_value
        self.built = True

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs of the inputs' shape and their vjp."""
        kept = self._steps(inputs)[..., None]

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            return np.where(kept, d_outputs, 0)

        return np.where(kept, inputs, 0), vjp

    def compute_mask(self, inputs: Any, mask: Mask | None = None) -> Any:
        """True at steps with another value, whatever mask the inputs carried."""
        return self._steps(np.asarray(inputs))

    def _steps(self, inputs: Array) -> Mask:
        steps: Mask = np.any(inputs != inputs.dtype.type(self.mask_value), axis=-1)
        return steps

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mask_value": self.mask_value}
