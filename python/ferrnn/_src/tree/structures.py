"""Keras' functions on nested tuples, lists and dicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ferrnn._src.tree.tree import CONTAINERS, flatten, map_structure, pack_like

Path = tuple[Any, ...]


class MAP_TO_NONE:  # noqa: N801 - Keras' name
    """Returned by a function for `traverse` to put None into the result."""


def is_nested(structure: Any) -> bool:
    """Whether it is a tuple, a list or a dict.

    >>> is_nested([1]), is_nested(1)
    (True, False)
    """
    return isinstance(structure, CONTAINERS)


def flatten_with_path(structure: Any) -> list[tuple[Path, Any]]:
    """The leaves, each with the keys and indices that lead to it.

    >>> flatten_with_path({"a": [1, 2]})
    [(('a', 0), 1), (('a', 1), 2)]
    """
    return list(_with_paths(structure, ()))


def _with_paths(structure: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if not is_nested(structure):
        yield path, structure
        return
    for key, part in _parts(structure):
        yield from _with_paths(part, (*path, key))


def _parts(structure: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(structure, dict):
        return iter([(key, structure[key]) for key in sorted(structure)])
    return enumerate(structure)


def pack_sequence_as(structure: Any, flat_sequence: Sequence[Any]) -> Any:
    """The leaves `flat_sequence` in the nesting of `structure`.

    >>> pack_sequence_as({"b": 1, "a": [2, 3]}, [7, 8, 9])
    {'b': 9, 'a': [7, 8]}
    """
    expected, received = len(flatten(structure)), len(flat_sequence)
    if expected != received:
        raise ValueError(
            f"`flat_sequence` must hold {expected} leaves for {structure!r}, received {received}"
        )
    return pack_like(structure, flat_sequence)


def assert_same_structure(a: Any, b: Any, check_types: Any = None) -> None:
    """Raises ValueError unless both are nested in the same way, by the same kinds of containers.

    >>> assert_same_structure([1, (2,)], [3, (4,)])
    """
    if is_nested(a) != is_nested(b) or (is_nested(a) and type(a) is not type(b)):
        raise ValueError(f"the structures differ: expected {_said(a)}, received {_said(b)}")
    if not is_nested(a):
        return
    first, second = dict(_parts(a)), dict(_parts(b))
    if first.keys() != second.keys():
        raise ValueError(
            f"the structures differ: expected the keys {list(first)}, received {list(second)}"
        )
    for key, part in first.items():
        assert_same_structure(part, second[key])


def _said(part: Any) -> str:
    return f"a {type(part).__name__} {part!r}" if is_nested(part) else f"the leaf {part!r}"


def assert_same_paths(a: Any, b: Any) -> None:
    """Raises ValueError unless the leaves of both are at the same paths.

    >>> assert_same_paths([1, 2], (3, 4))
    """
    first = [path for path, _ in flatten_with_path(a)]
    second = [path for path, _ in flatten_with_path(b)]
    if first != second:
        raise ValueError(f"the paths differ: expected {first}, received {second}")


def map_structure_up_to(shallow: Any, func: Callable[..., Any], *structures: Any) -> Any:
    """Calls `func` with what the structures hold at each leaf of the shallow one.

    >>> map_structure_up_to([0, 0], lambda one, two: (one, two), [1, [2, 3]], [4, [5]])
    [(1, 4), ([2, 3], [5])]
    """
    if not is_nested(shallow):
        return func(*structures)
    parts = {
        key: map_structure_up_to(part, func, *(structure[key] for structure in structures))
        for key, part in _parts(shallow)
    }
    return _rebuilt(shallow, parts)


def lists_to_tuples(structure: Any) -> Any:
    """The structure with a tuple for every list.

    >>> lists_to_tuples([[1], {"a": [2]}])
    ((1,), {'a': (2,)})
    """
    if isinstance(structure, dict):
        return {key: lists_to_tuples(part) for key, part in structure.items()}
    if isinstance(structure, list) or type(structure) is tuple:
        return tuple(lists_to_tuples(part) for part in structure)
    if isinstance(structure, tuple):
        return type(structure)(*(lists_to_tuples(part) for part in structure))
    return structure


def traverse(func: Callable[[Any], Any], structure: Any, top_down: bool = True) -> Any:
    """The structure with parts replaced by what the function returns for them, unless that is None.

    The function is called for containers and leaves, from the top (replaced parts are then not
    entered) or from the bottom.

    >>> traverse(lambda part: len(part) if isinstance(part, list) else None, {"a": [1], "b": 2})
    {'a': 1, 'b': 2}
    """
    if top_down:
        replaced = func(structure)
        if replaced is not None:
            return None if replaced is MAP_TO_NONE else replaced
    if is_nested(structure):
        parts = {key: traverse(func, part, top_down) for key, part in _parts(structure)}
        structure = _rebuilt(structure, parts)
    if not top_down:
        replaced = func(structure)
        if replaced is not None:
            return None if replaced is MAP_TO_NONE else replaced
    return structure


def _rebuilt(structure: Any, parts: dict[Any, Any]) -> Any:
    """A container of the same kind, with the parts by key or index."""
    if isinstance(structure, dict):
        return {key: parts[key] for key in structure}
    flat = list(parts.values())
    return type(structure)(*flat) if hasattr(structure, "_fields") else type(structure)(flat)


def map_shape_structure(func: Callable[[Any], Any], structure: Any) -> Any:
    """Applies `func` to each shape in a structure: a tuple or list of numbers and None.

    >>> map_shape_structure(len, [(1, 2), {"a": (None, 3, 4)}])
    [2, {'a': 3}]
    """
    if isinstance(structure, tuple | list) and all(
        part is None or isinstance(part, int) for part in structure
    ):
        return func(structure)
    if isinstance(structure, dict):
        return {key: map_shape_structure(func, part) for key, part in structure.items()}
    return type(structure)(map_shape_structure(func, part) for part in structure)


__all__ = [
    "MAP_TO_NONE",
    "assert_same_paths",
    "assert_same_structure",
    "flatten",
    "flatten_with_path",
    "is_nested",
    "lists_to_tuples",
    "map_shape_structure",
    "map_structure",
    "map_structure_up_to",
    "pack_sequence_as",
    "traverse",
]
