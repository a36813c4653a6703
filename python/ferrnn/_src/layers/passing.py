"""Layers that hand their inputs on, as they are or scaled, and what they add to the loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.symbolic.shapes import map_shapes
from ferrnn._src.tree.types import Array, Mask
from ferrnn._src.weights.parameter import Gradients
from ferrnn._src.weights.regularizers import L1L2


class Identity(Layer):
    """Hands its inputs on as they are, several in a structure too.

    >>> Identity()(np.array([[1.0, 2.0]])).tolist()
    [[1.0, 2.0]]
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.built = True

    def forward(self, inputs: Any, call: Call) -> tuple[Any, Vjp | None]:
        """The inputs, and a vjp that hands gradients on."""
        return inputs, lambda d_outputs, grads: d_outputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return map_shapes(tuple, input_shape)

    def compute_mask(self, inputs: Any, mask: Mask | None = None) -> Any:
        """That of the inputs."""
        return mask


class ActivityRegularization(Identity):
    """Hands its inputs on, and adds `l1 * sum(|x|) + l2 * sum(x^2)` to the loss.

    As with every activity regularizer the penalty is divided by the batch.

    >>> layer = ActivityRegularization(l1=0.5)
    >>> _ = layer(np.array([[1.0, -2.0]]))
    >>> layer.losses
    [1.5]
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=L1L2(l1=l1, l2=l2), **kwargs)
        self.l1, self.l2 = l1, l2

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["activity_regularizer"]
        return {**config, "l1": self.l1, "l2": self.l2}


class Rescaling(Layer):
    """`inputs * scale + offset`; both may be lists, for the features of the last axis.

    >>> Rescaling(0.5, offset=-1.0)(np.array([[2.0, 4.0]])).tolist()
    [[0.0, 1.0]]
    """

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale, self.offset = scale, offset
        self.built = True

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs of the inputs' shape and their vjp."""
        scale = np.asarray(self.scale, inputs.dtype)
        outputs: Array = inputs * scale + np.asarray(self.offset, inputs.dtype)
        if outputs.shape != inputs.shape:
            raise ValueError(
                f"`scale` and `offset` of layer {self.name!r} must fit the inputs' shape "
                f"{inputs.shape}, received {self.scale!r} and {self.offset!r}"
            )

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            d_inputs: Array = d_outputs * scale
            return d_inputs

        return outputs, vjp

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "offset": self.offset}
