"""Single samples that can be batched, and splitting a dataset in two."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ferrnn._src.data.dataset import Dataset
from ferrnn._src.tree.tree import flatten, map_structure
from ferrnn._src.weights.random import SeedGenerator

_EMPTY = "Received an empty dataset. Make sure `dataset` has at least one sample."


class Elements(Dataset):
    """Samples that `read` returns by index, one after another; `batch` groups them.

    >>> elements = Elements([2, 0, 1], lambda number: (np.arange(2) + number, number))
    >>> [(x.tolist(), y.tolist()) for x, y in elements.batch(2)]
    [([[2, 3], [0, 1]], [2, 0]), ([[1, 2]], [1])]
    """

    def __init__(self, numbers: Sequence[int], read: Callable[[int], Any]) -> None:
        self.numbers, self.read = numbers, read

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[Any]:
        return map(self.read, self.numbers)


def split_dataset(
    dataset: Any,
    left_size: float | None = None,
    right_size: float | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: str | None = None,
) -> tuple[Elements, Elements]:
    """The samples of a dataset in two parts: its first ones, and those that follow.

    `dataset` is an array, a list, tuple or dict of arrays of one length, an iterable of samples, or
    anything with `__len__` that returns samples by number, such as PyTorch's datasets; samples are
    read when they are needed. A size is a number of samples, or a share between 0 and 1; if only
    one is given, the other part gets the rest. The parts yield samples; `batch` makes batches.

    >>> left, right = split_dataset(np.arange(10), left_size=0.8)
    >>> len(left), [int(sample) for sample in right]
    (8, [8, 9])
    """
    count, read = _samples(dataset)
    left, right = _sizes(left_size, right_size, count)
    numbers = np.arange(count)
    if shuffle:
        numbers = SeedGenerator(seed).generator().permutation(count)
    order = [int(number) for number in numbers]
    return Elements(order[:left], read), Elements(order[count - right :], read)


def _samples(dataset: Any) -> tuple[int, Callable[[int], Any]]:
    if isinstance(dataset, np.ndarray | list | tuple | dict) and len(dataset):
        leaves = flatten(dataset)
        lengths = {len(leaf) for leaf in leaves if np.ndim(leaf)}
        if len(lengths) == 1 and all(isinstance(leaf, np.ndarray) for leaf in leaves):
            (length,) = lengths
            return length, lambda number: map_structure(lambda leaf: leaf[number], dataset)
        if not isinstance(dataset, list):
            raise ValueError(
                "`dataset` must be arrays of one length, received arrays of the lengths "
                f"{sorted(lengths)}"
            )
    if not hasattr(dataset, "__iter__"):
        if not (hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")):
            raise TypeError(
                "The `dataset` argument must be arrays, an iterable of samples, or an object that "
                f"returns samples by number. Received: {type(dataset).__name__}"
            )
        if not len(dataset):
            raise ValueError(_EMPTY)
        return len(dataset), dataset.__getitem__
    listed = list(dataset)
    if not listed:
        raise ValueError(_EMPTY)
    return len(listed), listed.__getitem__


def _sizes(left: float | None, right: float | None, count: int) -> tuple[int, int]:
    if left is None and right is None:
        raise ValueError(
            "At least one of the `left_size` or `right_size` must be specified. Received: "
            "left_size=None and right_size=None"
        )
    given = {"left_size": left, "right_size": right}
    found = {
        name: None if size is None else _size(name, size, count) for name, size in given.items()
    }
    sizes = [each for each in found.values() if each is not None]
    if sum(sizes) > count:
        raise ValueError(
            "The sum of `left_size` and `right_size` is larger than the number of samples in the "
            f"dataset, {count}. Received: left_size={left} and right_size={right}"
        )
    missing = count - sum(sizes)
    one, two = (missing if size is None else size for size in found.values())
    if not one or not two:
        raise ValueError(
            f"With a `dataset` of length={count}, `left_size`={left} and `right_size`={right}, one "
            "of the parts would be empty. Adjust any of the aforementioned parameters."
        )
    return one, two


def _size(name: str, size: float, count: int) -> int:
    if isinstance(size, bool) or not isinstance(size, int | float | np.number):
        raise TypeError(
            f"Invalid `{name}` type. Expected: int or float or None, received: {type(size)}."
        )
    part = isinstance(size, float | np.floating)
    if size <= 0 or (size >= 1 if part else size >= count):
        raise ValueError(
            f"`{name}` should be either a positive integer smaller than {count}, or a float within "
            f"the range `[0, 1]`. Received: {name}={size}"
        )
    return round(size * count) if part else int(size)
