"""An activation as a layer."""

from __future__ import annotations

from typing import Any

from ferrnn.core import activations
from ferrnn.core.layer import Call, Layer, Vjp
from ferrnn.core.parameter import Gradients
from ferrnn.core.types import Array


class Activation(Layer):
    """Applies an activation, by name or as a callable: outputs of the inputs' shape.

    >>> import numpy as np
    >>> Activation("relu")(np.array([[-1.0, 2.0]])).tolist()
    [[0.0, 2.0]]
    """

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation)
        self.built = True

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs of the inputs' shape and their vjp."""
        activation = activations.differentiable(self.activation)
        outputs = activation.function(inputs)

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            return activation.backward(inputs, outputs, d_outputs)

        return outputs, vjp

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": activations.serialize(self.activation)}
