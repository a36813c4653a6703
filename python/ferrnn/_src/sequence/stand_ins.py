"""Gate activations that the engine has only at another scale, which goes into the weights.

`hard_sigmoid` of Keras 1 and 2 is `clip(0.2 x + 0.5) = relu6(1.2 x + 3) / 6`, the engine's at
1.2 x. Gradients for scaled weights are multiplied by the scale again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ferrnn._src.tree.types import Array

# The engine's activation, and the factor of its input.
_SCALED = {"hard_sigmoid_keras2": ("hard_sigmoid", 1.2)}


def has_stand_in(function: Any) -> bool:
    """Whether the engine can compute a gate's activation by another one."""
    return function.__name__ in _SCALED


def native_name(function: Any) -> str:
    """The name of the activation that the engine computes."""
    return _SCALED.get(function.__name__, (str(function.__name__), 1.0))[0]


def column_scales(cell: Any) -> Array | None:
    """The factor of each column of the weights, or None if all are 1."""
    scale = scale_of(cell)
    if scale == 1.0:
        return None
    blocks = np.ones((cell.gates, cell.units))
    blocks[list(cell.gated)] = scale
    return blocks.reshape(-1)


def scale_of(cell: Any) -> float:
    """The scale of a cell's gates."""
    gate = getattr(cell, "recurrent_activation", None) or cell.activation
    return _SCALED.get(gate.__name__, ("", 1.0))[1]


def scaled(array: Array, scales: Any) -> Array:
    """The product, rounded once, in the array's dtype."""
    product: Array = np.multiply(array, scales, dtype=np.float64)
    return product.astype(array.dtype)
