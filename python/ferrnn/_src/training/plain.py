"""Attributes of users' objects, and which of them training has changed."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.training.resuming.container import bytes_of, is_plain
from ferrnn._src.tree.types import Array

Prints: TypeAlias = dict[str, Any]

# Larger arrays are data: assigning a new array is a change, but writing into one is not.
_LARGE = 1 << 20


def plain_attributes(value: Any, without: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The attributes that are numbers, strings, arrays, or lists, tuples and dicts of these.

    >>> class Count:
    ...     def __init__(self):
    ...         self.seen, self.file = 3, object()
    >>> plain_attributes(Count())
    {'seen': 3}
    """
    return dict(_plain(value, without))


def _plain(value: Any, without: frozenset[str]) -> Iterator[tuple[str, Any]]:
    for name, part in getattr(value, "__dict__", {}).items():
        if name not in without and is_plain(part):
            yield name, part


def prints(attributes: Mapping[str, Any]) -> Prints:
    """A fingerprint of each attribute, by which later changes are found."""
    return {name: _print(value) for name, value in attributes.items()}


def changed(attributes: Mapping[str, Any], before: Prints) -> dict[str, Any]:
    """The attributes whose fingerprints have changed.

    >>> before = prints({"wait": 0, "seen": [1]})
    >>> changed({"wait": 0, "seen": [1, 2]}, before)
    {'seen': [1, 2]}
    """
    return {
        name: value
        for name, value in attributes.items()
        if name not in before or not _alike(value, before[name])
    }


def _print(value: Any) -> Any:
    """The type and contents of a value; for large arrays, the array itself."""
    kind = type(value)
    if kind is np.ndarray:
        if value.nbytes > _LARGE:
            return kind, value
        return kind, (value.shape, value.dtype, zlib.crc32(bytes_of(value)))
    if kind in (list, tuple):
        return kind, tuple(map(_print, value))
    if kind is dict:
        return kind, tuple((repr(key), _print(each)) for key, each in value.items())
    return kind, repr(value)


def _alike(value: Any, before: Any) -> bool:
    kind, content = before
    if type(value) is not kind:
        return False
    if kind is np.ndarray:
        return _same_array(value, content)
    if kind not in (list, tuple, dict):
        return bool(repr(value) == content)
    if len(value) != len(content):
        return False
    if kind is not dict:
        return all(map(_alike, value, content))
    pairs = zip(value.items(), content, strict=True)
    return all(repr(key) == known and _alike(each, kept) for (key, each), (known, kept) in pairs)


def _same_array(value: Array, before: Any) -> bool:
    if isinstance(before, np.ndarray):
        return before is value
    alike = (value.shape, value.dtype) == before[:2]
    return alike and bool(zlib.crc32(bytes_of(value)) == before[2])
