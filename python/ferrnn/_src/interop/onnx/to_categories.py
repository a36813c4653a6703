"""Layers that turn numbers into categories, as ONNX nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ferrnn._src.interop.onnx.writing import Builder
from ferrnn._src.layers.categories import CategoryEncoding, Discretization
from ferrnn._src.layers.hashing import Hashing
from ferrnn._src.layers.lookups import IntegerLookup, StringLookup
from ferrnn._src.layers.text_vectorization import TextVectorization

Shapes = list[tuple[Any, ...]]
_DOUBLE, _INT32, _INT64 = 11, 6, 7  # ONNX's numbers for types


def _encoded(b: Builder, ids: str, mode: str, depth: int, shape: tuple[Any, ...]) -> str:
    """As `layers.encoding.encoded`, for ids of this shape."""
    if mode == "one_hot" and len(shape) > 1 and shape[-1] == 1:
        ids = b.op("Squeeze", ids, b.integers(-1))
    made = b.op("OneHot", ids, b.integers(depth), b.constant([0.0, 1.0]), axis=-1)
    if mode == "one_hot":
        return made
    if mode == "count":
        return b.op("ReduceSum", made, b.integers(-2), keepdims=0)
    return b.op("ReduceMax", made, axes=[-2], keepdims=0)


def _categories(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    if len(x) > 1:
        raise ValueError(
            f"layer {layer.name!r} is called with weights, which cannot be written to ONNX"
        )
    ids = b.op("Cast", x[0], to=_INT64)
    return _encoded(b, ids, layer.output_mode, layer.num_tokens, shapes[0])


def _intervals(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    if layer.bin_boundaries is None:
        raise ValueError(f"layer {layer.name!r} must have boundaries: call `adapt` first")
    bounds = b.constant(np.asarray(layer.bin_boundaries), f"{layer.name}/bounds", "float64")
    wide = b.op("Unsqueeze", b.op("Cast", x[0], to=_DOUBLE), b.integers(-1))
    above = b.op("Cast", b.op("GreaterOrEqual", wide, bounds), to=_INT64)
    found = b.op("ReduceSum", above, b.integers(-1), keepdims=0)
    if layer.output_mode == "int":
        return b.op("Cast", found, to=_INT32)
    return _encoded(b, found, layer.output_mode, len(layer.bin_boundaries) + 1, shapes[0])


def _by_table(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    raise ValueError(
        f"layer {layer.name!r} uses a vocabulary or hashes, which cannot be written to ONNX: "
        "export the model after it, which takes indices"
    )


OF_CATEGORIES: dict[type, Callable[[Builder, Any, list[str], Shapes], str]] = {
    CategoryEncoding: _categories,
    Discretization: _intervals,
    Hashing: _by_table,
    IntegerLookup: _by_table,
    StringLookup: _by_table,
    TextVectorization: _by_table,
}
