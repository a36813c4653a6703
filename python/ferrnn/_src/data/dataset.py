"""`Dataset`: a sequence of elements to iterate over repeatedly, with transformations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ferrnn._src.data import steps
from ferrnn._src.data.ahead import Ahead
from ferrnn._src.data.checks import checked_size, element_check
from ferrnn._src.tree.tree import flatten, map_structure
from ferrnn._src.weights.random import SeedGenerator

# As in `tf.data`: infinite and unknown lengths, and "as many as useful".
INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, AUTOTUNE = -1, -2, -1


class Dataset:
    """A sequence of elements to iterate over repeatedly: for `fit`, `evaluate`, `predict`, `adapt`.

    An element is an array, or a tuple or dict of them. Each method returns a new dataset, which
    makes its elements when it is iterated over. The names and arguments are those of
    `tf.data.Dataset`; options about threads are accepted and have no effect. `len` is the number of
    elements, where it is known. A subclass writes `__iter__` and, if it knows, `__len__`.

    >>> squares = Dataset.range(5).map(lambda x: x * x).batch(2)
    >>> [batch.tolist() for batch in squares], len(squares)
    ([[0, 1], [4, 9], [16]], 3)
    """

    runs_ahead = False  # whether a thread makes elements before they are requested

    # Sources.

    @staticmethod
    def from_tensor_slices(tensors: Any, name: str | None = None) -> Dataset:  # noqa: ARG004
        """An element for each number along the first axis of an array, or of all in a structure.

        >>> dataset = Dataset.from_tensor_slices(({"a": [1, 2]}, np.array([[3.0], [4.0]])))
        >>> next(iter(dataset))
        ({'a': array(1)}, array([3.]))
        """
        structure = steps.converted(tensors)
        shapes = [np.shape(leaf) for leaf in flatten(structure)]
        if not shapes or not all(shapes) or len({shape[0] for shape in shapes}) != 1:
            raise ValueError(
                "`tensors` must be an array, or a structure of arrays, with equal lengths of the "
                f"first axes, received arrays of the shapes {shapes}"
            )
        return _Slices(structure, Dataset.range(shapes[0][0]))

    @staticmethod
    def from_tensors(tensors: Any, name: str | None = None) -> Dataset:  # noqa: ARG004
        """A single element."""
        return _Listed(steps.converted(tensors))

    @staticmethod
    def from_generator(
        generator: Callable[..., Iterable[Any]],
        output_types: Any = None,
        output_shapes: Any = None,
        args: Iterable[Any] | None = None,
        output_signature: Any = None,
        name: str | None = None,  # noqa: ARG004
    ) -> Dataset:
        """What `generator(*args)` gives; it is called for each pass.

        Elements are cast to `output_types` and checked for `output_shapes`; `output_signature`
        holds both, in objects with `dtype` and `shape` such as `ferrnn.KerasTensor`.

        >>> dataset = Dataset.from_generator(lambda count: iter(range(count)), "int8", args=[2])
        >>> list(dataset), len(list(dataset))
        ([array(0, dtype=int8), array(1, dtype=int8)], 2)
        """
        if not callable(generator):
            raise TypeError(
                "`generator` must be a function that returns an iterable, received a "
                f"{type(generator).__name__}"
            )
        check = element_check(output_types, output_shapes, output_signature)
        options = {"generator": generator, "args": tuple(args or ()), "check": check}
        return _Step(steps.generated, (), options, UNKNOWN_CARDINALITY)

    @staticmethod
    def range(
        *bounds: int,
        output_type: Any = "int64",
        name: str | None = None,  # noqa: ARG004
    ) -> Dataset:
        """The integers of Python's `range`."""
        return _Range(range(*bounds), str(np.dtype(output_type)))

    @staticmethod
    def zip(*datasets: Any, name: str | None = None) -> Dataset:  # noqa: ARG004
        """An element of each at a time, as a tuple, to the end of the shortest.

        `datasets` may also be one tuple or dict of datasets, nested as elements are to be.

        >>> list(Dataset.zip(Dataset.range(3), Dataset.range(7, 9)))
        [(array(0), array(7)), (array(1), array(8))]
        """
        structure = datasets[0] if len(datasets) == 1 else datasets
        sources = _leaves(structure)
        if not sources or not all(isinstance(source, Dataset) for source in sources):
            kinds = [type(source).__name__ for source in sources]
            raise TypeError(f"`datasets` must be datasets, received {kinds}")
        counts = [source.cardinality() for source in sources]
        finite = [count for count in counts if count != INFINITE_CARDINALITY]
        return _Step(steps.zipped, sources, {"structure": structure}, min(finite, default=-1))

    # Transformations.

    def map(
        self,
        map_func: Callable[..., Any],
        num_parallel_calls: int | None = None,
        deterministic: bool | None = None,
        name: str | None = None,
    ) -> Dataset:
        """What `map_func` gives for each element; for a tuple it takes the parts as arguments."""
        return _Step(steps.mapped, (self,), {"function": map_func}, self.cardinality())

    def filter(self, predicate: Callable[..., Any], name: str | None = None) -> Dataset:
        """The elements for which `predicate` is true."""
        return _Step(steps.chosen, (self,), {"predicate": predicate}, UNKNOWN_CARDINALITY)

    def flat_map(self, map_func: Callable[..., Any], name: str | None = None) -> Dataset:
        """The elements of the datasets that `map_func` gives for each element.

        >>> windows = Dataset.range(4).window(2, shift=1, drop_remainder=True)
        >>> [part.tolist() for part in windows.flat_map(lambda window: window.batch(2))]
        [[0, 1], [1, 2], [2, 3]]
        """
        return _Step(steps.flattened, (self,), {"function": map_func}, UNKNOWN_CARDINALITY)

    def shuffle(
        self,
        buffer_size: int,
        seed: int | None = None,
        reshuffle_each_iteration: bool | None = None,
        name: str | None = None,
    ) -> Dataset:
        """Elements drawn at random from the next `buffer_size`, in another order for each pass.

        Without a `seed` the session's random seed decides. The order is uniform if the buffer has
        room for all elements.
        """
        options = {
            "buffer_size": checked_size("buffer_size", buffer_size),
            "seeds": SeedGenerator(seed),
            "reshuffles": reshuffle_each_iteration in (None, True),
        }
        return _Step(steps.shuffled, (self,), options, self.cardinality())

    def batch(
        self,
        batch_size: int,
        drop_remainder: bool = False,
        num_parallel_calls: int | None = None,
        deterministic: bool | None = None,
        name: str | None = None,
    ) -> Dataset:
        """Batches of `batch_size` elements, the last one smaller unless it is dropped."""
        size = checked_size("batch_size", batch_size)
        options = {"batch_size": size, "whole": bool(drop_remainder)}
        count = self.cardinality()
        return _Step(steps.batched, (self,), options, _batches(count, size, drop_remainder))

    def unbatch(self, name: str | None = None) -> Dataset:
        """The parts of elements along their first axis."""
        return _Step(steps.unbatched, (self,), {}, UNKNOWN_CARDINALITY)

    def take(self, count: int, name: str | None = None) -> Dataset:
        """The first `count` elements; -1 for all."""
        known, stop = self.cardinality(), None if count < 0 else int(count)
        if stop is not None and known != UNKNOWN_CARDINALITY:
            known = stop if known == INFINITE_CARDINALITY else min(stop, known)
        return _Step(steps.taken, (self,), {"start": 0, "stop": stop}, known)

    def skip(self, count: int, name: str | None = None) -> Dataset:
        """All but the first `count` elements; -1 leaves none."""
        if count < 0:
            return self.take(0)
        known = self.cardinality()
        left = max(known - count, 0) if known >= 0 else known
        return _Step(steps.taken, (self,), {"start": int(count), "stop": None}, left)

    def repeat(self, count: int | None = None, name: str | None = None) -> Dataset:
        """The elements `count` times over; None or -1: without end."""
        times = None if count is None or count < 0 else int(count)
        known = self.cardinality()
        if times is None:
            known = 0 if known == 0 else INFINITE_CARDINALITY
        elif known >= 0 or times == 0:
            known = times * max(known, 0)
        return _Step(steps.repeated, (self,), {"count": times}, known)

    def cache(self, filename: str = "", name: str | None = None) -> Dataset:
        """The elements of the first whole pass, from memory in those after it.

        They are not to be written to. Put it before steps that draw random numbers.
        """
        if filename:
            raise ValueError(
                f"`filename` must be left out: elements are kept in memory, received {filename!r}"
            )
        return _Step(steps.cached, (self,), {"memory": {}}, self.cardinality())

    def prefetch(self, buffer_size: int = AUTOTUNE, name: str | None = None) -> Dataset:
        """Up to `buffer_size` elements made ahead on a thread; -1 for two.

        What a step before raises is raised where its element would have come.
        """
        size = 2 if buffer_size == AUTOTUNE else checked_size("buffer_size", buffer_size)
        return _Step(Ahead, (self,), {"size": size}, self.cardinality())

    def window(
        self,
        size: int,
        shift: int | None = None,
        stride: int = 1,
        drop_remainder: bool = False,
        name: str | None = None,
    ) -> Dataset:
        """Datasets of `size` elements each, `stride` apart, from one to the next `shift` elements.

        For elements that are tuples or dicts, tuples or dicts of datasets. By default the windows
        do not overlap, and the last ones may be shorter.
        """
        size, stride = checked_size("size", size), checked_size("stride", stride)
        shift = size if shift is None else checked_size("shift", shift)
        options = {"size": size, "shift": shift, "stride": stride, "whole": bool(drop_remainder)}
        known = self.cardinality()
        if known >= 0:
            starts = known - (size - 1) * stride if drop_remainder else known
            known = math.ceil(max(starts, 0) / shift)
        return _Step(steps.windowed, (self,), {**options, "made_of": _Listed}, known)

    def enumerate(self, start: int = 0, name: str | None = None) -> Dataset:
        """Pairs of a number, from `start` on, and an element."""
        return _Step(steps.numbered, (self,), {"start": int(start)}, self.cardinality())

    def concatenate(self, dataset: Dataset, name: str | None = None) -> Dataset:
        """The elements of this dataset, then those of another."""
        counts = [self.cardinality(), dataset.cardinality()]
        known = sum(counts) if min(counts) >= 0 else min(counts)
        if INFINITE_CARDINALITY in counts:
            known = INFINITE_CARDINALITY
        return _Chained((self, dataset), known)

    # Properties.

    def cardinality(self) -> int:
        """The number of elements; -1 if there is no end, -2 if it is not known."""
        known = type(self).__len__ is not Dataset.__len__
        return len(self) if known else UNKNOWN_CARDINALITY

    def __len__(self) -> int:
        count = self.cardinality()
        if count < 0:
            what = "infinite" if count == INFINITE_CARDINALITY else "unknown"
            raise TypeError(f"The dataset length is {what}.")
        return count

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} must define `__iter__`")

    def as_numpy_iterator(self) -> Iterator[Any]:
        """The elements, as plain arrays."""
        return (map_structure(_plain, element) for element in self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__.strip('_')} of {self.cardinality()} elements>"


class _Step(Dataset):
    """A dataset that a function makes from the elements of others, in each pass."""

    def __init__(
        self,
        function: Callable[..., Iterator[Any]],
        sources: Iterable[Dataset],
        options: dict[str, Any],
        count: int,
    ) -> None:
        self.function, self.sources, self.options = function, list(sources), options
        self.count = count
        self.runs_ahead = function is Ahead or any(each.runs_ahead for each in self.sources)

    def __iter__(self) -> Iterator[Any]:
        return self.function(*self.sources, **self.options)

    def cardinality(self) -> int:
        return self.count


class _Chained(Dataset):
    def __init__(self, sources: tuple[Dataset, ...], count: int) -> None:
        self.sources, self.count = sources, count
        self.runs_ahead = any(each.runs_ahead for each in sources)

    def __iter__(self) -> Iterator[Any]:
        return (element for source in self.sources for element in source)

    def cardinality(self) -> int:
        return self.count


class _Range(Dataset):
    def __init__(self, numbers: range, dtype: str) -> None:
        self.numbers, self.dtype = numbers, dtype

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[Any]:
        return (steps.converted(np.array(number, self.dtype)) for number in self.numbers)


class _Listed(Dataset):
    """The given elements, which have the same structure."""

    def __init__(self, *elements: Any) -> None:
        self.elements = elements

    def __len__(self) -> int:
        return len(self.elements)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.elements)


class _Slices(Dataset):
    """Arrays read along their first axis in the order of a dataset of indices.

    So a shuffle only moves indices, and a batch takes all its rows at once.
    """

    def __init__(self, structure: Any, order: Dataset) -> None:
        self.structure, self.order = structure, order

    def cardinality(self) -> int:
        return self.order.cardinality()

    def __iter__(self) -> Iterator[Any]:
        return steps.read(self.structure, self.order)

    def shuffle(self, *args: Any, **kwargs: Any) -> Dataset:
        return _Slices(self.structure, self.order.shuffle(*args, **kwargs))

    def take(self, *args: Any, **kwargs: Any) -> Dataset:
        return _Slices(self.structure, self.order.take(*args, **kwargs))

    def skip(self, *args: Any, **kwargs: Any) -> Dataset:
        return _Slices(self.structure, self.order.skip(*args, **kwargs))

    def repeat(self, *args: Any, **kwargs: Any) -> Dataset:
        return _Slices(self.structure, self.order.repeat(*args, **kwargs))

    def batch(
        self, batch_size: int, drop_remainder: bool = False, *args: Any, **kwargs: Any
    ) -> Dataset:
        size = checked_size("batch_size", batch_size)
        count = _batches(self.cardinality(), size, drop_remainder)
        options = {"structure": self.structure, "size": size, "whole": bool(drop_remainder)}
        return _Step(_gathered, (self.order,), options, count)


def _gathered(order: Dataset, *, structure: Any, size: int, whole: bool) -> Iterator[Any]:
    return steps.gathered(structure, order, size, whole)


def _batches(count: int, size: int, whole: bool) -> int:
    if count < 0:
        return count
    return count // size if whole else math.ceil(count / size)


def _leaves(structure: Any) -> list[Any]:
    """The datasets of a structure, in the order in which `zipped` takes elements."""
    if isinstance(structure, dict):
        structure = list(structure.values())
    if isinstance(structure, tuple | list):
        return [leaf for part in structure for leaf in _leaves(part)]
    return [structure]


def _plain(leaf: Any) -> Any:
    return leaf.view(np.ndarray) if isinstance(leaf, np.ndarray) else leaf
