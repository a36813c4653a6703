"""The data for `adapt` of a preprocessing layer: an array, or batches of arrays."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from ferrnn._src.tree.columns import read_column
from ferrnn._src.tree.types import Array


def batches_of_data(data: Any, name: str, steps: int | None = None) -> Iterator[Array]:
    """The batches of `data`, or one batch if it is an array; of pairs `(x, y)`, the x.

    >>> [batch.tolist() for batch in batches_of_data(np.array([1, 2]), "layer")]
    [[1, 2]]
    >>> [len(batch) for batch in batches_of_data([np.ones(2), (np.ones(3), 0)], "layer")]
    [2, 3]
    """
    data = read_column(data)
    if hasattr(data, "__array__"):
        yield np.asarray(data)
        return
    count = getattr(data, "num_batches", None)
    if count is not None:  # a `PyDataset`, which iteration by index would not end
        data = map(data.__getitem__, range(count))
    elif not hasattr(data, "__iter__") or isinstance(data, str | bytes):
        raise TypeError(
            f"Unsupported data type: {type(data)}. `data` for `adapt` of layer {name!r} must be an "
            "array, a `PyDataset`, or an iterable of batches of arrays"
        )
    found = False
    for given in itertools.islice(data, steps):
        listed = (
            isinstance(given, list) and given and np.ndim(given[0]) and hasattr(given[0], "shape")
        )
        batch = given[0] if listed or isinstance(given, tuple) else given
        if not hasattr(batch, "shape"):
            raise TypeError(
                f"`data` for `adapt` of layer {name!r} must return batches that are arrays with a "
                f"`.shape`, received a {type(batch).__name__}: convert a list of numbers with "
                "`numpy.array`"
            )
        found = True
        yield np.asarray(batch)
    if not found:
        raise ValueError(
            f"`data` for `adapt` of layer {name!r} must return at least one batch, received an "
            "empty iterable"
        )
