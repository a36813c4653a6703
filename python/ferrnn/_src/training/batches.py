"""Batches of samples, from arrays and from sources of batches."""

from __future__ import annotations

import itertools
import math
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ferrnn._src.training.py_dataset import PyDataset, batches_of
from ferrnn._src.training.samples import (
    Batch,
    Samples,
    are_plain,
    as_samples,
    checked_count,
)
from ferrnn._src.tree.columns import is_column
from ferrnn._src.tree.tree import flatten
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.random import SeedGenerator

# With shuffle="batch", samples are shuffled within this many batches.
_BLOCK = 100


class Source:
    """A source of batches for several passes; `count` is None if it is not known."""

    name = "x"  # the name of the argument
    count: int | None = None
    once = False  # whether batches can be taken only once
    endless = False  # whether it declares that it has no end
    samples: Samples | None = None

    def __iter__(self) -> Iterator[Batch]:
        raise NotImplementedError(f"{type(self).__name__} must define `__iter__`")

    def first(self) -> Any:
        """The inputs of the first batch, which remains the first batch of the next pass."""
        return next(iter(self))[0]

    def starting_at(self, taken: int) -> Iterator[Batch]:
        """The batches of a pass without the first `taken`; the order is drawn immediately."""
        batches = iter(self)
        for done in range(taken):
            if next(batches, None) is None:
                raise ValueError(f"the data ends after {done} batches; {taken} had been taken")
        return batches

    def signature(self) -> list[Any]:
        """What must be equal for resuming in the middle of a pass, as plain values."""
        return [type(self).__name__, self.count]

    def weigh(self, class_weight: Mapping[int, float], outputs: Callable[[Any], Any]) -> None:
        """Weights samples by class; `outputs` returns the shape of outputs for inputs."""
        raise NotImplementedError(f"{type(self).__name__} must define `weigh`")

    def on_epoch_begin(self) -> None:
        """Called before each epoch of `fit`."""

    def on_epoch_end(self) -> None:
        """Called after each epoch of `fit`."""


class Batches(Source):
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
        self.samples: Samples = samples
        self.batch_size = size
        self.shuffle = shuffle
        self.count = math.ceil(samples.count / size)
        self._seeds = SeedGenerator(seed) if shuffle else None
        self._ahead: list[Array] = []  # the orders of the next passes, as far as they are drawn

    def weigh(self, class_weight: Mapping[int, float], outputs: Callable[[Any], Any]) -> None:
        self.samples = self.samples.weighted(class_weight, outputs)

    def __len__(self) -> int:
        return math.ceil(self.samples.count / self.batch_size)

    def first(self) -> Any:
        return self.samples.part(0, self.batch_size).x

    def __iter__(self) -> Iterator[Batch]:
        return Pass(self)

    def starting_at(self, taken: int) -> Iterator[Batch]:
        batches = Pass(self, taken)
        batches.order()
        return batches

    def signature(self) -> list[Any]:
        return [*super().signature(), self.samples.count, self.batch_size, self.shuffle]

    def drawn_order(self) -> Array | None:
        """Draws an order, or gives None if samples are not shuffled."""
        if self._seeds is None:
            return None
        random, count = self._seeds.rewound_generator(), self.samples.count
        if self.shuffle != "batch":
            return random.permutation(count)
        order, block = np.arange(count), _BLOCK * self.batch_size
        for start in range(0, count, block):
            random.shuffle(order[start : start + block])
        return order

    @property
    def stays(self) -> bool:
        """Whether epochs have the same samples and differ in nothing but their order."""
        return True

    def orders(self, count: int) -> list[Array]:
        """The orders of the next passes, drawn ahead."""
        while len(self._ahead) < count:
            order = self.drawn_order()
            self._ahead.append(np.arange(self.samples.count) if order is None else order)
        return self._ahead[:count]

    def next_order(self) -> Array | None:
        """The order of the next pass, or None if samples are not shuffled."""
        return self._ahead.pop(0) if self._ahead else self.drawn_order()


class Pass(Iterator[Batch]):
    """The batches of one pass without the first `taken`; the order is drawn when first needed.

    >>> batches = Pass(Batches(Samples(np.arange(5)), batch_size=2))
    >>> next(batches)[0].tolist(), batches.left
    ([0, 1], 2)
    """

    def __init__(self, source: Batches, taken: int = 0) -> None:
        self._source, self.taken = source, taken
        self._order: Array | None = None
        self._drawn = False
        self.before_order: Callable[[], None] | None = None  # called just before the order is drawn

    def order(self) -> Array | None:
        """The order of the samples, or None if they are not shuffled."""
        if not self._drawn:
            if self.before_order is not None:
                self.before_order()
            self._order, self._drawn = self._source.next_order(), True
        return self._order

    @property
    def samples(self) -> Samples:
        """The samples of the pass."""
        return self._source.samples

    @property
    def size(self) -> int:
        """The number of samples in a batch; the last may have fewer."""
        return self._source.batch_size

    @property
    def left(self) -> int:
        """The number of batches left."""
        return max(len(self._source) - self.taken, 0)

    def places(self, count: int = 1) -> tuple[int, int]:
        """The slice of the order for the next `count` batches."""
        start = self.taken * self.size
        return start, min(start + count * self.size, self.samples.count)

    def __next__(self) -> Batch:
        order = self.order()
        start, stop = self.places()
        if start >= stop:
            raise StopIteration
        self.taken += 1
        if order is None:
            return self.samples.part(start, stop).arrays
        return self.samples.taken(order[start:stop])


class GivenBatches(Source):
    """Batches from a generator, a `PyDataset`, or another iterable.

    >>> [x.shape for x, _, _ in GivenBatches([(np.zeros((3, 2)), np.zeros(3))], "x")]
    [(3, 2)]
    """

    def __init__(self, given: Any, name: str) -> None:
        self.given, self.name = given, name
        self.once = hasattr(given, "__next__")
        self._by_class: tuple[Mapping[int, float], Callable[[Any], Any]] | None = None
        self._ahead: list[Batch] = []
        self.count = _length(given)
        cardinality = getattr(given, "cardinality", None)  # for our own datasets and TensorFlow's
        self.endless = callable(cardinality) and int(cardinality()) == -1

    def __iter__(self) -> Iterator[Batch]:
        ahead, self._ahead = self._ahead, []
        given = batches_of(self.given) if isinstance(self.given, PyDataset) else self.given
        return (
            itertools.chain(ahead, map(self._batch, given))
            if self.once
            else map(self._batch, given)
        )

    def weigh(self, class_weight: Mapping[int, float], outputs: Callable[[Any], Any]) -> None:
        self._by_class = class_weight, outputs

    def starting_at(self, taken: int) -> Iterator[Batch]:
        if not isinstance(self.given, PyDataset):
            return super().starting_at(taken)
        return map(self._batch, batches_of(self.given, taken))

    def first(self) -> Any:
        if not self._ahead:
            batch = next(iter(self), None)
            if batch is None:
                raise ValueError(
                    f"`{self.name}` yields no batch: it is empty or, if it can be iterated over "
                    f"only once, has ended. Received an object of type {type(self.given).__name__}"
                )
            if not self.once:
                return batch[0]
            self._ahead.append(batch)
        return self._ahead[0][0]

    def on_epoch_begin(self) -> None:
        if isinstance(self.given, PyDataset):
            self.given.on_epoch_begin()

    def on_epoch_end(self) -> None:
        if isinstance(self.given, PyDataset):
            self.given.on_epoch_end()

    def _batch(self, given: Any) -> Batch:
        """A batch as it was given, after checking it: x, (x, y) or (x, y, sample_weight)."""
        x, y, weight = unpack_batch(given)
        if weight is None and self._by_class is None and are_plain(x, y):
            return x, y, None
        batch = Samples.of_batch(_numbers(as_samples(x, self.name)), y, weight)
        return batch.arrays if self._by_class is None else batch.weighted(*self._by_class).arrays


def unpack_batch(data: Any) -> Batch:
    """Inputs, targets and weights of a batch: `x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)`.

    A list of up to three arrays, as PyTorch's loaders give, is treated as a tuple.

    >>> unpack_batch(("x", "y"))
    ('x', 'y', None)
    """
    if isinstance(data, list) and 1 <= len(data) <= 3 and all(map(_holds_arrays, data)):
        data = tuple(data)
    if not isinstance(data, tuple):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(
            "A batch must be x, (x, y) or (x, y, sample_weight), received a tuple of "
            f"{len(data)} parts"
        )
    x, y, weight = (*data, None, None)[:3]
    return x, y, weight


def _holds_arrays(part: Any) -> bool:
    """Whether it is an array with a first axis, or a structure of arrays; no list of numbers."""
    return all(len(getattr(leaf, "shape", ())) > 0 for leaf in flatten(part))


def _numbers(x: Any) -> Any:
    if x is None:
        raise ValueError("a batch must have inputs `x`, received None")
    return x


def _length(given: Any) -> int | None:
    """The number of batches, if it is known."""
    if isinstance(given, PyDataset):
        return given.num_batches
    try:
        return len(given)
    except TypeError:
        return None


def gives_batches(x: Any) -> bool:
    """Whether `x` yields batches of data, rather than being data.

    >>> gives_batches(np.zeros(3)), gives_batches(batch for batch in [])
    (False, True)
    """
    if isinstance(x, PyDataset | types.GeneratorType):
        return True
    if x is None or isinstance(x, list | tuple | Mapping | str | bytes):
        return False
    return hasattr(x, "__iter__") and not hasattr(x, "__array__") and not is_column(x)


def source_of(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None = None,
    shuffle: bool | str = False,
    class_weight: Mapping[int, float] | None = None,
    purpose: str = "fit",
) -> Source:
    """The source of batches for arrays, or for something that yields batches."""
    if isinstance(x, Source):
        return x
    if not gives_batches(x):
        samples = Samples.of(x, y, sample_weight)
        samples.require_some(purpose)
        return Batches(samples, batch_size=batch_size, shuffle=shuffle)
    for argument, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise ValueError(
                f"When providing `x` as a {type(x).__name__}, `{argument}` should not be passed. "
                "Instead, the targets and weights should be part of each batch. "
                f"Received: {argument}={type(value).__name__}"
            )
    if class_weight is not None and hasattr(x, "__next__"):
        raise ValueError(
            "Argument `class_weight` is not supported for Python generator inputs. "
            f"Received: class_weight={class_weight}"
        )
    return GivenBatches(x, "x")


def validation_source(data: Any, batch_size: int | None) -> Source:
    """The data for validation: `(x, y)`, `(x, y, sample_weight)`, or a source of batches."""
    if isinstance(data, Source):
        return data
    if isinstance(data, Samples):
        return Batches(data, batch_size=batch_size)
    if isinstance(data, tuple | list):
        if not 2 <= len(data) <= 3:
            raise ValueError(
                "`validation_data` must be a tuple (x, y) or (x, y, sample_weight), or yield "
                f"batches, received a {type(data).__name__} of {len(data)}"
            )
        return source_of(*data, batch_size=batch_size)
    if not gives_batches(data):
        raise ValueError(
            "`validation_data` must be a tuple (x, y) or (x, y, sample_weight), or yield batches, "
            f"received {type(data).__name__}"
        )
    return GivenBatches(data, "validation_data")
