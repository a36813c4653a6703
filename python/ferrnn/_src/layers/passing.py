"""Layers that pass their inputs on, unchanged or scaled."""

from __future__ import annotations

from typing import Any

import numpy as np

from ferrnn._src.configs.config import image_data_format
from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.symbolic.shapes import map_shapes
from ferrnn._src.tree.types import Array, Mask
from ferrnn._src.weights.parameter import Gradients
from ferrnn._src.weights.regularizers import L1L2


class Identity(Layer):
    """Passes its inputs on unchanged, also several in a structure.

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
        """The mask of the inputs."""
        return mask


class ActivityRegularization(Identity):
    """Passes its inputs on, and adds `l1 * sum(|x|) + l2 * sum(x^2)` to the loss.

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
    """`inputs * scale + offset`; both may be arrays or lists, for the features of the last axis.

    Where `config.image_data_format()` was "channels_first", those of several numbers are for the
    features of the third axis from the end.

    >>> Rescaling(0.5, offset=-1.0)(np.array([[2.0, 4.0]])).tolist()
    [[0.0, 1.0]]
    """

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale, self.offset = scale, offset
        self._features_first = image_data_format() == "channels_first"
        self.built = True

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs of the inputs' shape and their vjp."""
        scale = self._along_features(self.scale, inputs)
        outputs: Array = inputs * scale + self._along_features(self.offset, inputs)
        if outputs.shape != inputs.shape:
            raise ValueError(
                f"`scale` and `offset` of layer {self.name!r} must be broadcastable to the inputs' "
                f"shape {inputs.shape}, received {self.scale!r} and {self.offset!r}"
            )

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            d_inputs: Array = d_outputs * scale
            return d_inputs

        return outputs, vjp

    def _along_features(self, given: Any, inputs: Array) -> Array:
        numbers = np.asarray(given, inputs.dtype)
        if self._features_first and numbers.ndim == 1 and inputs.ndim > 3:
            return numbers[:, None, None]
        return numbers

    def get_config(self) -> dict[str, Any]:
        own = {"scale": self.scale, "offset": self.offset}
        plain = {
            key: np.asarray(value).tolist() if hasattr(value, "__array__") else value
            for key, value in own.items()
        }
        return {**super().get_config(), **plain}
