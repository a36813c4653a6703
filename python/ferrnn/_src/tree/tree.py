"""Nested tuples, lists and dicts: their leaves, and the same structure over other leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

# A tuple, as `list | tuple | dict` would be made anew for each call of `isinstance`.
CONTAINERS = (list, tuple, dict)


def flatten(structure: Any) -> list[Any]:
    """The leaves in order, those of a dict by sorted keys; anything but a container is a leaf.

    >>> flatten({"b": [2, 3], "a": (1,)})
    [1, 2, 3]
    """
    leaves: list[Any] = []
    _collect(structure, leaves)
    return leaves


def _collect(structure: Any, leaves: list[Any]) -> None:
    if not isinstance(structure, CONTAINERS):
        leaves.append(structure)
    elif isinstance(structure, dict):
        for key in sorted(structure):
            _collect(structure[key], leaves)
    else:
        for part in structure:
            _collect(part, leaves)


def leaves_once(structure: Any) -> Iterator[Any]:
    """The leaves in the order of `flatten`, entering each container once: it may contain itself.

    >>> structure = [1, (2,)]
    >>> structure.append(structure)
    >>> list(leaves_once(structure))
    [1, 2]
    """
    entered: set[int] = set()
    waiting = [structure]
    while waiting:
        part = waiting.pop()
        if not isinstance(part, CONTAINERS):
            yield part
        elif id(part) not in entered:
            entered.add(id(part))
            inside = [part[key] for key in sorted(part)] if isinstance(part, dict) else list(part)
            waiting += reversed(inside)


def map_structure(func: Callable[..., Any], structure: Any, *others: Any) -> Any:
    """Applies `func` to each leaf; `others` must have the same structure and give more arguments.

    Leaves are visited in the order of `flatten`, so the function may count them.

    >>> map_structure(lambda leaf: leaf + 1, {"a": [1, (2,)]})
    {'a': [2, (3,)]}
    >>> map_structure(lambda one, other: one + other, [1, 2], [10, 20])
    [11, 22]
    """
    if isinstance(structure, dict):
        mapped = {
            key: map_structure(func, structure[key], *(other[key] for other in others))
            for key in sorted(structure)
        }
        return {key: mapped[key] for key in structure}
    if isinstance(structure, list | tuple):
        columns = zip(structure, *others, strict=True)
        return _same_kind(structure, (map_structure(func, *parts) for parts in columns))
    return func(structure, *others)


def pack_like(structure: Any, leaves: Iterable[Any]) -> Any:
    """The same structure with other leaves, given in the order of `flatten`.

    >>> pack_like({"b": [2, 3], "a": (1,)}, "xyz")
    {'b': ['y', 'z'], 'a': ('x',)}
    """
    return _pack(structure, iter(leaves))


def _pack(structure: Any, leaves: Iterator[Any]) -> Any:
    if isinstance(structure, dict):
        packed = {key: _pack(structure[key], leaves) for key in sorted(structure)}
        return {key: packed[key] for key in structure}
    if isinstance(structure, list | tuple):
        return _same_kind(structure, [_pack(part, leaves) for part in structure])
    return next(leaves)


def _same_kind(structure: Any, parts: Iterable[Any]) -> Any:
    if hasattr(structure, "_fields"):  # a named tuple takes its parts as separate arguments
        return type(structure)(*parts)
    return tuple(parts) if isinstance(structure, tuple) else list(parts)
