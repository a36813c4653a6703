"""How much memory a file may ask for: a bounded multiple of its own size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

# A model is stored without compression, and read as stored; others may have compressed it.
GROWTH = 16
ALWAYS = 16 * 2**20

_left: ContextVar[list[int] | None] = ContextVar("left", default=None)


def limit_of(size: int) -> int:
    """The number of bytes that the contents of a file of this size may take in memory.

    >>> limit_of(1000) - limit_of(0)
    16000
    """
    return GROWTH * size + ALWAYS


@contextmanager
def limited(size: int) -> Iterator[None]:
    """Inside, the arrays announced to `spend` may take `limit_of(size)` bytes in total."""
    token = _left.set([limit_of(size)])
    try:
        yield
    finally:
        _left.reset(token)


def spend(shape: Sequence[int], itemsize: int, what: str) -> None:
    """Counts an array whose size a file may have chosen; call it before the array is made.

    >>> spend((10**6, 10**6), 8, "any")
    >>> with limited(100):  # doctest: +ELLIPSIS
    ...     spend((10**6, 10**6), 8, "the weight 'kernel'")
    Traceback (most recent call last):
    ValueError: the weight 'kernel' would take 8000000000000 bytes, more than a file of this ...
    """
    left = _left.get()
    if left is None:
        return
    size = itemsize * math.prod(max(int(axis), 0) for axis in shape)
    left[0] -= size
    if left[0] < 0:
        raise ValueError(
            f"{what} would take {size} bytes, more than a file of this size may ask for"
        )
