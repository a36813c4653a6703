"""Arguments of layers as arrays that they can compute with."""

from __future__ import annotations

from typing import Any

import numpy as np

from ferrnn._src.tree.ragged import refuse_ragged
from ferrnn._src.tree.tree import map_structure
from ferrnn._src.tree.types import Array


def cast_floats(structure: Any, dtype: np.dtype[Any]) -> Any:
    """Casts the arrays of floats in a structure to a dtype; other values are unchanged.

    >>> [array.dtype.kind for array in cast_floats([np.ones(2), np.arange(2)], np.dtype("f4"))]
    ['f', 'i']
    """

    def cast(leaf: Any) -> Any:
        if not isinstance(leaf, np.ndarray):
            return leaf
        plain = np.asarray(leaf)
        return plain.astype(dtype, copy=False) if plain.dtype.kind == "f" else plain

    return map_structure(cast, structure)


def real_array(value: Any, argument: str, layer: str) -> Array:
    """`value` as an array of real numbers; errors name the layer and the argument.

    >>> real_array([[1, 2]], "inputs", "dense").shape
    (1, 2)
    """
    array = value if type(value) is np.ndarray else _array(value, argument, layer)
    if array.dtype.kind not in "fiub":
        refuse_ragged(array, f"`{argument}` of layer {layer!r}")
        raise TypeError(
            f"`{argument}` of layer {layer!r} must hold real numbers, received the dtype "
            f"{array.dtype}"
        )
    return array


def _array(value: Any, argument: str, layer: str) -> Array:
    refuse_ragged(value, f"`{argument}` of layer {layer!r}")
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(
            f"`{argument}` of layer {layer!r} must be one array of real numbers, received a "
            f"{type(value).__name__} that cannot be converted to one ({error}); pass initial "
            "states of a recurrent layer as `initial_state=`"
        ) from error
