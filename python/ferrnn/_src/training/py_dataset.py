"""`PyDataset`: data made batch by batch by the user's code."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any


class PyDataset:
    """Batches by number: a subclass defines `__getitem__(index)` and `__len__()`.

    `__getitem__` returns `(x, y)` or `(x, y, sample_weight)`. `on_epoch_end` is called after each
    epoch of `fit`. Batches are made one after the other in the process that trains: `workers`,
    `use_multiprocessing` and `max_queue_size` have no effect.

    >>> import numpy as np
    >>> class Ones(PyDataset):
    ...     def __len__(self):
    ...         return 3
    ...
    ...     def __getitem__(self, index):
    ...         return np.ones((2, 4)), np.ones(2)
    >>> Ones().num_batches, sum(1 for batch in batches_of(Ones()))
    (3, 3)
    """

    def __init__(
        self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10
    ) -> None:
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define `__getitem__`")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define `__len__`")

    @property
    def num_batches(self) -> int | None:
        """The number of batches of an epoch, or None if there is no end."""
        try:
            return len(self)
        except NotImplementedError:
            return None

    def on_epoch_begin(self) -> None:
        """Called before each epoch of `fit`."""

    def on_epoch_end(self) -> None:
        """Called after each epoch of `fit`."""


def batches_of(dataset: PyDataset, first: int = 0) -> Iterator[Any]:
    """The batches of an epoch (not a method, to leave the name to subclasses)."""
    count = dataset.num_batches
    numbers = itertools.count(first) if count is None else range(first, count)
    return (dataset[index] for index in numbers)
