"""Sequences of different lengths in one array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ferrnn._src.tree.types import Array


def pad_sequences(
    sequences: Sequence[Any],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> Array:
    """The sequences as rows of one array `[samples, maxlen, ...]`, filled up with `value`.

    `maxlen` is the longest one's length unless given; longer ones are cut. `padding` and
    `truncating` say where: "pre" at the beginning, "post" at the end. Note that the default dtype
    is an integer: pass `dtype="float32"` for measurements.

    >>> pad_sequences([[1], [2, 3], [4, 5, 6]]).tolist()
    [[0, 0, 1], [0, 2, 3], [4, 5, 6]]
    >>> pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2, padding="post").tolist()
    [[1, 0], [2, 3], [5, 6]]
    """
    if not hasattr(sequences, "__len__"):
        raise ValueError("`sequences` must be iterable.")
    for name, side in (("Truncating", truncating), ("Padding", padding)):
        if side not in ("pre", "post"):
            raise ValueError(f'{name} type "{side}" not understood')
    lengths, shape = _lengths(sequences)
    length = max(lengths, default=0) if maxlen is None else maxlen
    kind = np.dtype(dtype)
    if isinstance(value, str) and kind.kind not in "OSU":
        raise ValueError(
            f"`dtype` {dtype} is not compatible with `value`'s type: {type(value)}\n"
            "You should set `dtype=object` for variable length strings."
        )
    padded = np.full((len(sequences), length, *shape), value, dtype=dtype)
    for row, (sequence, own) in enumerate(zip(sequences, lengths, strict=True)):
        if not own or not length:
            continue
        kept = np.asarray(
            sequence[-length:] if truncating == "pre" else sequence[:length], dtype=dtype
        )
        if kept.shape[1:] != shape:
            raise ValueError(
                f"Shape of sample {kept.shape[1:]} of sequence at position {row} is different from "
                f"expected shape {shape}"
            )
        if padding == "pre":
            padded[row, length - len(kept) :] = kept
        else:
            padded[row, : len(kept)] = kept
    return padded


def _lengths(sequences: Sequence[Any]) -> tuple[list[int], tuple[int, ...]]:
    """The length of each sequence, and the shape of a step, by the first one that has any."""
    lengths: list[int] = []
    shape: tuple[int, ...] | None = None
    for sequence in sequences:
        try:
            lengths.append(len(sequence))
        except TypeError:
            raise ValueError(
                f"`sequences` must be a list of iterables. Found non-iterable: {sequence}"
            ) from None
        if shape is None and lengths[-1]:
            shape = np.asarray(sequence).shape[1:]
    return lengths, shape or ()
