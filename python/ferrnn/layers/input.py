"""`Input`: says what a model will be given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ferrnn.core.config import floatx
from ferrnn.core.symbolic import SymbolicTensor
from ferrnn.core.types import Shape

_DTYPES = ("float32", "float64", "int32", "int64", "bool")


def Input(  # noqa: N802 - Keras' name
    shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
    dtype: str | None = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    tensor: Any = None,
    optional: bool = False,
) -> SymbolicTensor:
    """A symbolic tensor of the given shape, `shape` being without and `batch_shape` with the batch.

    >>> Input((10, 3), name="series")
    <SymbolicTensor name=series shape=(None, 10, 3) dtype=float32>
    """
    for argument, given in (("sparse", sparse), ("ragged", ragged), ("tensor", tensor)):
        if given:
            raise NotImplementedError(f"`{argument}` of Input is not supported, received {given!r}")
    if optional:
        raise NotImplementedError("`optional` inputs are not supported")
    if (shape is None) == (batch_shape is None):
        raise ValueError(
            "Input takes either `shape` (without the batch) or `batch_shape`, "
            f"received shape={shape!r} and batch_shape={batch_shape!r}"
        )
    if batch_shape is not None and batch_size is not None:
        raise ValueError("Input takes `batch_size` together with `shape` only")
    full: Shape = (
        (batch_size, *_lengths("shape", shape))
        if shape is not None
        else _lengths("batch_shape", batch_shape)
    )
    if dtype is not None and dtype not in _DTYPES:
        raise ValueError(
            f"`dtype` of Input must be one of {', '.join(_DTYPES)}, received {dtype!r}"
        )
    return SymbolicTensor(full, dtype or floatx(), name)


def _lengths(argument: str, shape: Any) -> Shape:
    if not isinstance(shape, list | tuple):
        raise TypeError(f"`{argument}` of Input must be a tuple or list, received {shape!r}")
    for length in shape:
        if length is not None and (not hasattr(length, "__index__") or int(length) < 0):
            raise ValueError(
                f"`{argument}` of Input must hold lengths or None, received {tuple(shape)!r}"
            )
    return tuple(None if length is None else int(length) for length in shape)
