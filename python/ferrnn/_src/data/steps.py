"""The transformations of datasets, as generators over elements."""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ferrnn._src.tree.results import Output
from ferrnn._src.tree.tree import flatten, map_structure, pack_like
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.random import SeedGenerator

_DRAWN = 1024  # random indices drawn at a time


def converted(value: Any) -> Any:
    """An element with arrays for numbers, strings and lists; tuples and dicts stay.

    >>> converted((1, {"a": [2.0, 3.0]}))
    (array(1), {'a': array([2., 3.])})
    """
    if isinstance(value, tuple):
        parts = [converted(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, dict):
        return {key: converted(part) for key, part in value.items()}
    if isinstance(value, list | int | float | complex | str | bytes | np.ndarray | np.generic):
        return np.asarray(value).view(Output)
    return np.asarray(value).view(Output) if hasattr(value, "__array__") else value


def protected(element: Any) -> Any:
    """The element with read-only arrays, as others get the same arrays."""
    for leaf in flatten(element):
        if isinstance(leaf, np.ndarray):
            leaf.flags.writeable = False
    return element


def called(function: Callable[..., Any], element: Any) -> Any:
    """The result of `function` for an element; the parts of a tuple are separate arguments."""
    return function(*element) if isinstance(element, tuple) else function(element)


def mapped(source: Iterable[Any], function: Callable[..., Any]) -> Iterator[Any]:
    return (converted(called(function, element)) for element in source)


def chosen(source: Iterable[Any], predicate: Callable[..., Any]) -> Iterator[Any]:
    return (element for element in source if called(predicate, element))


def shuffled(
    source: Iterable[Any], buffer_size: int, seeds: SeedGenerator, reshuffles: bool
) -> Iterator[Any]:
    """Elements drawn at random from a buffer that is refilled from the source."""
    random = (seeds if reshuffles else copy.copy(seeds)).generator()
    held: list[Any] = []
    places: Iterator[int] = iter(())
    for element in source:
        if len(held) < buffer_size:
            held.append(element)
            continue
        at = next(places, None)
        if at is None:
            places = iter(random.integers(buffer_size, size=_DRAWN).tolist())
            at = next(places)
        drawn, held[at] = held[at], element
        yield drawn
    for at in random.permutation(len(held)).tolist():
        yield held[at]


def batched(source: Iterable[Any], batch_size: int, whole: bool) -> Iterator[Any]:
    for elements in parts(source, batch_size, whole):
        yield stacked(elements)


def parts(source: Iterable[Any], size: int, whole: bool) -> Iterator[list[Any]]:
    """Lists of `size` elements, the last one shorter unless it is dropped."""
    elements = iter(source)
    while part := list(itertools.islice(elements, size)):
        if len(part) == size or not whole:
            yield part


def stacked(elements: Sequence[Any]) -> Any:
    """Several elements as one, with arrays stacked along a new first axis.

    >>> stacked([(1, [2]), (4, [5])])
    (array([1, 4]), array([[2],
           [5]]))
    """
    return map_structure(_stacked_leaves, *map(converted, elements))


def _stacked_leaves(*leaves: Any) -> Array:
    shapes = [getattr(leaf, "shape", None) for leaf in leaves]
    for at, shape in enumerate(shapes):
        if shape is None or shape != shapes[0]:
            raise ValueError(
                "the elements of a batch must have equal shapes, but element 0 has the shape "
                f"{shapes[0]}, element {at} "
                f"{'is a ' + type(leaves[at]).__name__ if shape is None else shape}"
            )
    return np.stack(leaves).view(Output)


def taken(source: Iterable[Any], start: int, stop: int | None) -> Iterator[Any]:
    return itertools.islice(iter(source), start, stop)


def repeated(source: Iterable[Any], count: int | None) -> Iterator[Any]:
    for _ in itertools.count() if count is None else range(count):
        empty = True
        for element in source:
            empty = False
            yield element
        if empty:
            return


def numbered(source: Iterable[Any], start: int) -> Iterator[Any]:
    return ((converted(at), element) for at, element in enumerate(source, start))


def zipped(*sources: Iterable[Any], structure: Any) -> Iterator[Any]:
    """One element of each source at a time, in the structure of the sources."""
    return (_arranged(structure, iter(found)) for found in zip(*sources, strict=False))


def _arranged(structure: Any, elements: Iterator[Any]) -> Any:
    if isinstance(structure, dict):
        return {key: _arranged(part, elements) for key, part in structure.items()}
    if isinstance(structure, tuple | list):
        return tuple(_arranged(part, elements) for part in structure)
    return next(elements)


def cached(source: Iterable[Any], memory: dict[str, list[Any]]) -> Iterator[Any]:
    """The elements of the first complete pass, from memory in later passes."""
    if "elements" in memory:
        yield from memory["elements"]
        return
    elements = []
    for element in source:
        elements.append(protected(element))
        yield element
    memory["elements"] = elements


def windowed(
    source: Iterable[Any],
    size: int,
    shift: int,
    stride: int,
    whole: bool,
    made_of: Callable[..., Any],
) -> Iterator[Any]:
    """Windows of `size` elements, `stride` apart; `made_of` makes a dataset from each leaf's."""
    span = (size - 1) * stride + 1
    held: list[Any] = []
    skipped = 0
    for element in source:
        if skipped:
            skipped -= 1
            continue
        held.append(element)
        if len(held) == span:
            yield map_structure(made_of, *held[::stride])
            skipped = max(shift - span, 0)
            del held[:shift]
    while held and not whole:
        yield map_structure(made_of, *held[::stride])
        del held[:shift]


def flattened(source: Iterable[Any], function: Callable[..., Any]) -> Iterator[Any]:
    for element in source:
        made = called(function, element)
        if not hasattr(made, "cardinality"):
            raise TypeError(
                f"`map_func` of `flat_map` must return a dataset, received a {type(made).__name__}"
            )
        yield from made


def unbatched(source: Iterable[Any]) -> Iterator[Any]:
    for element in source:
        leaves = flatten(element)
        for part in zip(*leaves, strict=True):
            yield converted(pack_like(element, part))


def generated(
    generator: Callable[..., Iterable[Any]], args: tuple[Any, ...], check: Callable[[Any], Any]
) -> Iterator[Any]:
    return (check(converted(element)) for element in generator(*args))


def read(structure: Any, numbers: Iterable[int]) -> Iterator[Any]:
    """The elements at these indices of the first axes, as views that must not be written to."""
    return (protected(map_structure(functools.partial(_row, at), structure)) for at in numbers)


def _row(number: int, leaf: Array) -> Any:
    return np.asarray(leaf[number]).view(Output)


def gathered(structure: Any, numbers: Iterable[int], size: int, whole: bool) -> Iterator[Any]:
    """As `batched` of `read`, but without taking elements one by one."""
    for part in parts(numbers, size, whole):
        yield map_structure(functools.partial(_rows, part), structure)


def _rows(numbers: list[int], leaf: Array) -> Any:
    return leaf[numbers].view(Output)
