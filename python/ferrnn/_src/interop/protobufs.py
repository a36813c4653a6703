"""The wire format of protobuf messages: https://protobuf.dev/programming-guides/encoding/.

Reading the few messages that are needed here saves a package of 18 MB and its import. A message is
the values of each field number, in order.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

from ferrnn._src.tree.types import Array

# A part takes about a thousand bytes of memory: this many may be small, and more must have this
# many bytes each.
_MANY, _LEAST = 4096, 16


class MessageError(ValueError):
    """A message is damaged or not supported."""


class Message:
    """The fields of one protobuf message: the values of each number, in order."""

    def __init__(self, data: memoryview, place: str) -> None:
        self.place = place
        self.fields: dict[int, list[Any]] = {}
        parts = 0
        try:
            for number, value in _fields(data):
                self.fields.setdefault(number, []).append(value)
                parts += isinstance(value, memoryview)
                if parts > _MANY and parts * _LEAST > len(data):
                    raise MessageError(f"{place} is damaged: it has too many parts for its size")
        except (IndexError, struct.error):
            raise MessageError(f"{place} is damaged: it is not a message") from None

    def has(self, number: int) -> bool:
        return number in self.fields

    def last(self, number: int) -> Any:
        return self.fields[number][-1] if number in self.fields else None

    def data(self, number: int) -> memoryview | None:
        value = self.last(number)
        if value is not None and not isinstance(value, memoryview):
            raise MessageError(f"{self.place} is damaged: field {number} holds a number")
        return value

    def text(self, number: int) -> str:
        value = self.data(number)
        return "" if value is None else bytes(value).decode("utf-8", "replace")

    def texts(self, number: int) -> list[str]:
        return [bytes(value).decode("utf-8", "replace") for value in self.lengths(number)]

    def lengths(self, number: int) -> list[memoryview]:
        values = self.fields.get(number, [])
        if not all(isinstance(value, memoryview) for value in values):
            raise MessageError(f"{self.place} is damaged: field {number} holds a number")
        return values

    def integer(self, number: int, default: int) -> int:
        value = self.last(number)
        if value is None:
            return default
        if not isinstance(value, int):
            raise MessageError(f"{self.place} is damaged: field {number} does not hold a number")
        return _signed(value)

    def message(self, number: int, place: str) -> Message:
        return Message(self.data(number) or memoryview(b""), place)

    def messages(self, number: int, place: str) -> Iterator[Message]:
        return (Message(value, place) for value in self.lengths(number))

    def integers(self, number: int) -> list[int]:
        """Repeated integers, packed or not."""
        found: list[int] = []
        for value in self.fields.get(number, []):
            if isinstance(value, int):
                found.append(_signed(value))
            elif isinstance(value, memoryview):
                at = 0
                while at < len(value):
                    one, at = varint(value, at)
                    found.append(_signed(one))
        return found

    def numbers(self, number: int, layout: str) -> Array:
        """Repeated floats of a fixed width, packed or not."""
        parts = [bytes(v) for v in self.fields.get(number, []) if not isinstance(v, int)]
        data = b"".join(parts)
        if len(data) % np.dtype(layout).itemsize:
            raise MessageError(f"{self.place} is damaged: field {number} ends in the middle")
        return np.frombuffer(data, layout)


class _Fixed(bytes):
    """The bytes of a number of fixed width, as opposed to text."""


def _fields(data: memoryview) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at)
            yield key >> 3, value
            continue
        if kind == 2:
            size, at = varint(data, at)
        else:
            size = {1: 8, 5: 4}.get(kind, -1)
        if size < 0 or at + size > len(data):
            raise IndexError
        part = data[at : at + size]
        yield key >> 3, part if kind == 2 else _Fixed(part)
        at += size


def varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value & (1 << 64) - 1, at
        if shift > 63:
            raise IndexError


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value
