"""Spectral normalization of the kernel of another layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.layers.wrapper import Wrapper
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Parameter
from ferrnn._src.weights.random_initializers import TruncatedNormal


class SpectralNormalization(Wrapper):
    """In training divides the kernel of `layer` by its largest singular value, before each call.

    The value is approximated by `power_iterations` steps of the power method, which continue from
    call to call. The layer must have a `kernel` or `embeddings`.

    >>> from ferrnn.layers import Dense
    >>> layer = SpectralNormalization(Dense(3), power_iterations=50)
    >>> _ = layer(np.ones((2, 4)), training=True)
    >>> round(float(np.linalg.norm(layer.layer.kernel.value, 2)), 3)
    1.0
    """

    supports_masking = False
    kernel: Parameter
    vector_u: Parameter

    def __init__(self, layer: Layer, power_iterations: int = 1, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        if power_iterations <= 0:
            raise ValueError(
                "`power_iterations` should be greater than zero. Received: "
                f"`power_iterations={power_iterations}`"
            )
        self.power_iterations = power_iterations

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        kernel = getattr(self.layer, "kernel", getattr(self.layer, "embeddings", None))
        if kernel is None:
            raise ValueError(
                f"{type(self.layer).__name__} object has no attribute 'kernel' nor 'embeddings' "
                f"(in layer {self.name!r})"
            )
        self.vector_u = self.add_weight(
            (1, kernel.shape[-1]), TruncatedNormal(stddev=0.02), name="vector_u", trainable=False
        )

    def forward(self, inputs: Any, call: Call) -> tuple[Any, Vjp | None]:
        """Outputs and vjp of the layer inside."""
        if not self.built:
            self.build(np.shape(inputs))
        if call.training:
            self._normalize()
        return self.layer.forward_with_losses(inputs, call)

    def _normalize(self) -> None:
        layer: Any = self.layer
        kernel: Parameter = layer.kernel if hasattr(layer, "kernel") else layer.embeddings
        matrix = kernel.value.reshape(-1, kernel.shape[-1])
        if not matrix.any():
            return
        u = self.vector_u.value
        for _ in range(self.power_iterations):
            v = _unit(u @ matrix.T)
            u = _unit(v @ matrix)
        sigma = (v @ matrix @ u.T).item()
        self.vector_u.assign(u)
        kernel.assign(kernel.value / sigma)

    def cast_inputs(self, inputs: Any) -> Any:
        return self.layer.cast_inputs(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "power_iterations": self.power_iterations}


def _unit(vector: Array) -> Array:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), vector.dtype)
