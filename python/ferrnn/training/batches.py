"""Arrays cut into batches, in order or shuffled, and the checks before it."""

from __future__ import annotations

import math
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ferrnn.core.random import SeedGenerator
from ferrnn.core.types import Array

Batch: TypeAlias = "tuple[Array, Array | None, Array | None]"

# With shuffle="batch", samples change places within this many batches.
_BLOCK = 100


def as_samples(value: Any, name: str) -> Array | None:
    """`value` as an array of samples `[samples, ...]`; None stays None.

    >>> as_samples(np.zeros((3, 2)), "x").shape
    (3, 2)
    """
    if value is None or (type(value) is np.ndarray and value.ndim and value.dtype.kind in "fiub"):
        return value
    if isinstance(value, list | tuple) and len(value) == 1 and isinstance(value[0], np.ndarray):
        return as_samples(value[0], name)
    _refuse(value, name)
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"`{name}` must hold real numbers, received the dtype {array.dtype}")
    if array.ndim == 0:
        raise ValueError(f"`{name}` must have a first axis of samples, received a scalar: {value}")
    named_column = hasattr(value, "to_frame") and array.ndim == 1
    return array[:, None] if named_column else array


def checked_count(value: Any, name: str, least: int = 1) -> int:
    """A whole number of at least `least`; errors speak of the argument `name`.

    >>> checked_count(np.int64(3), "epochs")
    3
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        kind = "positive integer" if least else "integer of at least 0"
        raise ValueError(f"`{name}` must be a {kind}, received {value!r}")
    return int(value)


def _refuse(value: Any, name: str) -> None:
    """Names the data that `fit` of Keras takes and this one does not take yet, or never."""
    if isinstance(value, list | tuple) and any(isinstance(part, np.ndarray) for part in value):
        raise NotImplementedError(
            f"`{name}` is a list of {len(value)} arrays: models with several inputs or outputs are "
            "not available yet"
        )
    if isinstance(value, Mapping):
        raise NotImplementedError(f"`{name}` is a dict of arrays: not available yet")
    if isinstance(value, types.GeneratorType) or hasattr(value, "__next__"):
        raise NotImplementedError(f"`{name}` is a generator: not available yet; pass arrays")
    if isinstance(value, list | tuple) or not hasattr(value, "__array__"):
        raise ValueError(
            f"Unrecognized data type: {name}={type(value).__name__}. Expected an array; a list of "
            "numbers becomes one with `numpy.asarray`"
        )


@dataclass(frozen=True)
class Samples:
    """Inputs, targets and weights of the same samples, checked.

    >>> Samples.of(np.zeros((4, 2)), np.zeros(4)).count
    4
    """

    x: Array
    y: Array | None = None
    sample_weight: Array | None = None

    @classmethod
    def of(cls, x: Any, y: Any = None, sample_weight: Any = None) -> Samples:
        """Checks what the user gave."""
        inputs = as_samples(x, "x")
        if inputs is None:
            raise ValueError("`x` must be an array of samples, received None")
        if isinstance(sample_weight, list):  # one weight per sample is harmless as a list
            sample_weight = np.asarray(sample_weight)
        made = cls(inputs, as_samples(y, "y"), as_samples(sample_weight, "sample_weight"))
        made._check_cardinality()
        return made

    def _check_cardinality(self) -> None:
        parts = {"x": self.x, "y": self.y, "sample_weight": self.sample_weight}
        sizes = {name: len(part) for name, part in parts.items() if part is not None}
        if len(set(sizes.values())) > 1:
            raise ValueError(
                "Data cardinality is ambiguous. Make sure all arrays contain the same number of "
                "samples. " + ", ".join(f"'{name}' sizes: {size}" for name, size in sizes.items())
            )

    @property
    def count(self) -> int:
        """The number of samples."""
        return len(self.x)

    def require_some(self, purpose: str) -> None:
        """Refuses an empty set of samples."""
        if not self.count:
            raise ValueError(
                f"`x` must hold at least one sample for `{purpose}`, received the shape "
                f"{self.x.shape}"
            )

    def part(self, start: int, stop: int) -> Samples:
        """The samples from `start` to `stop`, as views."""
        y, weight = self.y, self.sample_weight
        return Samples(
            self.x[start:stop],
            None if y is None else y[start:stop],
            None if weight is None else weight[start:stop],
        )

    def taken(self, index: Array) -> Batch:
        """Copies of the samples at `index`."""
        y, weight = self.y, self.sample_weight
        return (
            self.x.take(index, axis=0),
            None if y is None else y.take(index, axis=0),
            None if weight is None else weight.take(index, axis=0),
        )

    def weighted(self, class_weight: Mapping[int, float] | None) -> Samples:
        """With weights by class: 1.0 for a class that `class_weight` does not name."""
        if class_weight is None:
            return self
        if not isinstance(class_weight, Mapping):
            raise TypeError(
                "`class_weight` must be a dict from labels to weights, received "
                f"{type(class_weight).__name__}"
            )
        if self.sample_weight is not None:
            raise ValueError("You cannot `class_weight` and `sample_weight` at the same time.")
        if self.y is None:
            raise ValueError("`class_weight` needs targets: `y` is None")
        labels = self.y
        if labels.ndim > 1:
            labels = labels[..., 0] if labels.shape[-1] == 1 else np.argmax(labels, axis=-1)
        labels = np.round(labels).astype(np.int64)
        weights = np.ones(labels.shape)
        for label, weight in class_weight.items():
            weights[labels == label] = weight
        return Samples(self.x, self.y, weights)


def split_off_last(samples: Samples, fraction: float) -> tuple[Samples, Samples]:
    """All but the last `fraction` of the samples, and that last part; no copy.

    >>> train, validation = split_off_last(Samples(np.arange(10)), 0.25)
    >>> train.count, validation.x.tolist()
    (7, [7, 8, 9])
    """
    if not 0 < fraction < 1:
        raise ValueError(f"`validation_split` must lie between 0 and 1, received {fraction}")
    at = math.floor(samples.count * (1.0 - fraction))
    if at in (0, samples.count):
        raise ValueError(
            f"Training data contains {samples.count} samples, which is not sufficient to split it "
            f"into a validation and training set as specified by `validation_split={fraction}`. "
            "Either provide more data, or a different value for the `validation_split` argument."
        )
    return samples.part(0, at), samples.part(at, samples.count)


class Batches:
    """Goes through samples batch by batch; the last batch may be smaller.

    `shuffle` is False, True (a new order for each pass) or "batch" (within blocks of 100 batches);
    without a `seed`, the session's random seed decides.

    >>> [x.tolist() for x, _, _ in Batches(Samples(np.arange(5)), batch_size=2)]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        samples: Samples,
        *,
        batch_size: int | None = None,
        shuffle: bool | str = False,
        seed: int | None = None,
    ) -> None:
        size = checked_count(32 if batch_size is None else batch_size, "batch_size")
        if shuffle not in (True, False, "batch"):
            raise ValueError(f"`shuffle` must be True, False or 'batch', received {shuffle!r}")
        self.samples = samples
        self.batch_size = size
        self.shuffle = shuffle
        self._seeds = SeedGenerator(seed) if shuffle else None

    def __len__(self) -> int:
        return math.ceil(self.samples.count / self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        size, count = self.batch_size, self.samples.count
        if self._seeds is None:
            for start in range(0, count, size):
                part = self.samples.part(start, start + size)
                yield part.x, part.y, part.sample_weight
            return
        order = self._order(self._seeds.generator())
        for start in range(0, count, size):
            yield self.samples.taken(order[start : start + size])

    def _order(self, random: np.random.Generator) -> Array:
        count = self.samples.count
        if self.shuffle != "batch":
            return random.permutation(count)
        order, block = np.arange(count), _BLOCK * self.batch_size
        for start in range(0, count, block):
            random.shuffle(order[start : start + block])
        return order
