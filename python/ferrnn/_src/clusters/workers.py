"""The interface of a cluster: functions that run in other processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from ferrnn._src.training.samples import as_samples
from ferrnn._src.tree.types import Array


class Workers(Protocol):
    """Processes that compute.

    A handle stands for a value that is, or will be, somewhere on the cluster. What is lost with a
    process is computed again by another.
    """

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """A handle of the function's result; handles among the arguments become values."""

    def hold(self, value: Any) -> Any:
        """A handle of a value, which is sent to each process only once."""

    def result(self, handle: Any) -> Any:
        """Waits for the value of a handle."""


class Shards(NamedTuple):
    """An array on a cluster, split along its samples into equal parts; the last may be smaller."""

    handles: list[Any]
    sizes: list[int]
    shape: tuple[int, ...]  # of one sample
    dtype: Any

    @property
    def samples(self) -> int:
        """The number of samples."""
        return sum(self.sizes)


def itself(value: Any) -> Any:
    """Returns the value, so that a process has it."""
    return value


def one_array(value: Any, name: str) -> Array:
    """Samples in memory as one array; `name` is that of the argument.

    Raises:
        TypeError: If it is something else.
        ValueError: If it has no samples.
    """
    array = as_samples(value, name)
    if not isinstance(array, np.ndarray):
        raise TypeError(f"`{name}` must be one array, received {type(array).__name__}")
    if array.ndim == 0 or not len(array):
        raise ValueError(f"`{name}` must have samples, received the shape {array.shape}")
    return array
