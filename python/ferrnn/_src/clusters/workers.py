"""What a cluster has to offer: functions that run in other processes."""

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
        """A handle of what the function gives; handles among the arguments become values."""

    def hold(self, value: Any) -> Any:
        """A handle of a value, which goes to a process once."""

    def result(self, handle: Any) -> Any:
        """The value of a handle, which is waited for."""


class Shards(NamedTuple):
    """An array on a cluster, cut along its samples into parts of one size; the last may be less."""

    handles: list[Any]
    sizes: list[int]
    shape: tuple[int, ...]  # of one sample
    dtype: Any

    @property
    def samples(self) -> int:
        """The number of samples."""
        return sum(self.sizes)


def itself(value: Any) -> Any:
    """The value, which a process has then."""
    return value


def one_array(value: Any, name: str) -> Array:
    """Samples in memory, as one array; `name` is the argument's.

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
