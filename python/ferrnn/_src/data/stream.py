"""Batches that can be gone through again and again, and what may be done with them on the way."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any


class BatchStream:
    """Batches in order, iterable repeatedly: by `fit`, `evaluate`, `predict` and `for`.

    A subclass writes `__iter__` and `__len__`. `take`, `skip` and `map` give streams again.

    >>> class Numbers(BatchStream):
    ...     def __len__(self):
    ...         return 4
    ...     def __iter__(self):
    ...         return iter(range(4))
    >>> list(Numbers().skip(1).take(2).map(lambda x: x * 10))
    [10, 20]
    """

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must write `__len__`")

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} must write `__iter__`")

    def take(self, count: int) -> BatchStream:
        """The first `count` batches; -1 for all."""
        return _Part(self, 0, len(self) if count < 0 else min(count, len(self)))

    def skip(self, count: int) -> BatchStream:
        """All but the first `count` batches."""
        return _Part(self, min(count, len(self)), len(self))

    def map(self, function: Callable[..., Any], *options: Any, **named: Any) -> BatchStream:
        """What `function` gives for each batch; for a tuple it takes the parts as arguments.

        Options of `tf.data` about threads are accepted but have no effect.
        """
        return _Mapped(self, function)

    def prefetch(self, *options: Any) -> BatchStream:
        """The same: batches are views, there is nothing to fetch."""
        return self

    def cache(self, *options: Any) -> BatchStream:
        """The same: batches are views, there is nothing to keep."""
        return self

    def as_numpy_iterator(self) -> Iterator[Any]:
        """The batches, which are NumPy arrays."""
        return iter(self)


class _Part(BatchStream):
    def __init__(self, source: BatchStream, start: int, stop: int) -> None:
        self.source, self.start, self.stop = source, start, stop

    def __len__(self) -> int:
        return max(self.stop - self.start, 0)

    def __iter__(self) -> Iterator[Any]:
        return itertools.islice(self.source, self.start, self.stop)


class _Mapped(BatchStream):
    def __init__(self, source: BatchStream, function: Callable[..., Any]) -> None:
        self.source, self.function = source, function

    def __len__(self) -> int:
        return len(self.source)

    def __iter__(self) -> Iterator[Any]:
        for batch in self.source:
            yield self.function(*batch) if isinstance(batch, tuple) else self.function(batch)
