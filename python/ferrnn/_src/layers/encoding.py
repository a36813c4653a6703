"""Ids as one-hot, multi-hot or count vectors."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from ferrnn._src.tree.types import Array, Shape


def checked_mode(mode: Any, known: Collection[str], layer: str) -> str:
    """An `output_mode`, with older names ("binary", "tf-idf") replaced.

    >>> checked_mode("binary", ["int", "multi_hot"], "StringLookup")
    'multi_hot'
    """
    found = {"binary": "multi_hot", "tf-idf": "tf_idf"}.get(mode, mode)
    if found not in known:
        # Keras words the error differently for each layer.
        lead = {
            "Hashing": "Invalid value for argument `output_mode`.",
            "CategoryEncoding": f"Unknown arg for output_mode: {mode}.",
        }.get(layer, f"Unknown value for `output_mode` argument of layer {layer}.")
        raise ValueError(
            f"{lead} Expected one of {', '.join(map(repr, known))}. Received: output_mode={mode!r}"
        )
    return str(found)


def refuse_sparse(sparse: bool) -> None:
    """Raises ValueError for `sparse=True`, which needs TensorFlow's sparse arrays."""
    if sparse:
        raise ValueError("`sparse=True` can only be used with the TensorFlow backend.")


def encoded(ids: Array, mode: str, depth: int, dtype: Any, weights: Array | None = None) -> Array:
    """Vectors of `depth` entries for ids; ids outside 0 to `depth - 1` are ignored.

    "one_hot" gives one for each id, in the place of a last axis of length 1. "multi_hot" and
    "count" give one for the ids along the last axis: whether each is there, or how often (`weights`
    say how much each time counts).

    >>> encoded(np.array([0, 2, 2, -1]), "count", 3, "float32").tolist()
    [1.0, 0.0, 2.0]
    >>> encoded(np.array([[1], [0]]), "one_hot", 2, "int64").tolist()
    [[0, 1], [1, 0]]
    """
    shape = encoded_shape(ids.shape, mode, depth)
    rows = ids.reshape((-1, 1) if mode == "one_hot" else (-1, ids.shape[-1] if ids.ndim else 1))
    made = np.zeros((len(rows), depth), dtype)
    row, place = np.nonzero((rows >= 0) & (rows < depth))
    if mode == "count":
        amount: Any = 1 if weights is None else np.asarray(weights).reshape(rows.shape)[row, place]
        np.add.at(made, (row, rows[row, place]), amount)
    else:
        made[row, rows[row, place]] = 1
    vectors: Array = made.reshape(shape)
    return vectors


def encoded_shape(shape: Any, mode: str, depth: int | None) -> Any:
    """The shape of the result of `encoded` for ids of this shape."""
    kept: Shape = tuple(shape)
    if mode != "one_hot" or (len(kept) > 1 and kept[-1] == 1):
        kept = kept[:-1]
    return (*kept, depth)
