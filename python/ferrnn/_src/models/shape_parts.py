"""Layers that change the order or the number of steps, as parts of the engine for plans."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from ferrnn._src.layer.layer import Layer
from ferrnn._src.layers.activation import Softmax
from ferrnn._src.layers.reshaping import Flatten, Permute, RepeatVector, Reshape
from ferrnn._src.layers.resizing import UpSampling1D
from ferrnn._src.models.functions import Part
from ferrnn._src.tree.types import Shape

# Steps and features change places.
_SWAP: Final[Part] = (("swap",), [])

# The parts of a layer for inputs of some shape, or the reason why it has none.
Shaping: TypeAlias = Callable[[Any, Shape], "list[Part] | str"]


def in_order(layer: Any, parts: list[Part]) -> list[Part]:
    """Parts of a layer that takes steps before features, for the order in which it is given them.

    >>> in_order(Flatten(data_format="channels_last"), [(("repeat", 2), [])])
    [(('repeat', 2), [])]
    """
    return parts if layer.data_format == "channels_last" else [_SWAP, *parts, _SWAP]


def _flatten(layer: Any, shape: Shape) -> list[Part] | str:
    flat: Part = (("reshape", None, None), [])
    if layer.data_format == "channels_last" or len(shape) < 3:
        return [flat]
    return [_SWAP, flat] if len(shape) == 3 else f"it has data_format={layer.data_format!r}"


def _reshape(layer: Any, shape: Shape) -> list[Part] | str:
    wanted = layer.target_shape
    if len(wanted) > 2 or not wanted:
        return f"its outputs have {1 + len(wanted)} axes"
    return [(("reshape", *(None if n == -1 else int(n) for n in (1, *wanted)[-2:])), [])]


def _repeat(layer: Any, shape: Shape) -> list[Part] | str:
    return [(("repeat", layer.n), [])]


def _permute(layer: Any, shape: Shape) -> list[Part] | str:
    # Other orders are programs, which take twice as long.
    return [_SWAP] if layer.dims == (2, 1) else f"it has dims={layer.dims}"


def _up_sampling(layer: Any, shape: Shape) -> list[Part] | str:
    return [(("repeat", layer.size), [])]


def _softmax(layer: Any, shape: Shape) -> list[Part] | str:
    function: Part = (("activation", "softmax"), [])
    if layer.axis in (-1, len(shape) - 1):
        return [function]
    if len(shape) == 3 and layer.axis in (1, -2):
        return [_SWAP, function, _SWAP]
    return f"it has axis={layer.axis}"


SHAPING: Final[dict[type[Layer], Shaping]] = {
    Flatten: _flatten,
    Permute: _permute,
    RepeatVector: _repeat,
    Reshape: _reshape,
    Softmax: _softmax,
    UpSampling1D: _up_sampling,
}
