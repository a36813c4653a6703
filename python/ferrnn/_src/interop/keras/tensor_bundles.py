"""Reads TensorFlow's checkpoints, `variables.index` and `variables.data-*`, without TensorFlow.

The index is a sorted table as in LevelDB: blocks of keys and values, in which each key is stored
as its difference from the one before, then a footer of 48 bytes with the place of the index of
blocks. A value is the message BundleEntryProto: dtype, shape, file, offset and size of a tensor.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ferrnn._src.interop.protobufs import Message, MessageError, varint
from ferrnn._src.tree.types import Array

_FOOTER, _MAGIC = 48, 0xDB4775248B80FB57
_DTYPES = {
    1: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 5: "<i2", 6: "i1", 9: "<i8", 10: "?", 19: "<f2",
}  # fmt: skip
_STRING = 7
_OBJECTS = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE = "VARIABLE_VALUE"


class Bundle:
    """The tensors of one checkpoint, by their keys.

    Raises:
        MessageError: The files are damaged or inconsistent.
    """

    def __init__(self, index: Path) -> None:
        self._folder, self._name = index.parent, index.name.removesuffix(".index")
        self._data: dict[int, memoryview] = {}
        table = dict(_table(_read(index)))
        header = Message(memoryview(table.pop("", b"")), "the header of the index")
        self._files = header.integer(1, 1)
        if header.integer(2, 0):
            raise MessageError("its numbers are big-endian, which is not supported")
        self._entries = table

    def read(self, key: str) -> Array:
        """The tensor of a key."""
        entry, data = self._bytes(key)
        kind = entry.integer(1, 0)
        if kind not in _DTYPES:
            raise MessageError(f"tensor {key!r} has the data type {kind}, which is not supported")
        dtype = np.dtype(_DTYPES[kind])
        axes = entry.message(2, f"the shape of {key!r}").messages(2, f"an axis of {key!r}")
        shape = tuple(axis.integer(1, 0) for axis in axes)
        if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(data):
            raise MessageError(
                f"tensor {key!r} of the shape {shape} must have "
                f"{math.prod(shape) * dtype.itemsize} bytes, received {len(data)}"
            )
        return np.frombuffer(data, dtype).reshape(shape)

    def objects(self) -> list[Node]:
        """The objects whose variables the checkpoint holds, the root first."""
        entry, data = self._bytes(_OBJECTS)
        if entry.integer(1, 0) != _STRING:
            raise MessageError("the graph of objects must be a string tensor")
        size, at = _number(data, 0)
        message = Message(data[at + 4 : at + 4 + size], "the graph of objects")  # 4: a checksum
        return [_node(each) for each in message.messages(1, "an object")]

    def _bytes(self, key: str) -> tuple[Message, memoryview]:
        if key not in self._entries:
            raise MessageError(f"tensor {key!r} is missing")
        entry = Message(memoryview(self._entries[key]), f"the entry of {key!r}")
        number, offset, size = (entry.integer(at, 0) for at in (3, 4, 5))
        if not 0 <= number < self._files:
            raise MessageError(
                f"tensor {key!r} must lie in one of {self._files} files, received file {number}"
            )
        if number not in self._data:
            name = f"{self._name}.data-{number:05d}-of-{self._files:05d}"
            self._data[number] = memoryview(_read(self._folder / name))
        data = self._data[number]
        if min(offset, size) < 0 or offset + size > len(data):
            raise MessageError(f"tensor {key!r} lies outside the {len(data)} bytes of its file")
        return entry, data[offset : offset + size]


@dataclass(frozen=True)
class Node:
    """An object: the indices of its parts by name, and the key of its value.

    `slots` are those of an optimizer: the index of the weight, a name, and the index of the object
    that has the value.
    """

    children: dict[str, int]
    key: str | None
    slots: tuple[tuple[int, str, int], ...] = ()


def _node(message: Message) -> Node:
    children = {each.text(2): each.integer(1, 0) for each in message.messages(1, "a child")}
    values = [each for each in message.messages(2, "a value") if each.text(1) == _VALUE]
    slots = tuple(
        (each.integer(1, 0), each.text(2), each.integer(3, 0))
        for each in message.messages(3, "a slot")
    )
    return Node(children, values[0].text(3) if values else None, slots)


def _read(path: Path) -> bytes:
    if path.is_symlink() or not path.is_file():
        raise MessageError(f"{path.name} is missing, or not a regular file")
    return path.read_bytes()


def _table(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The keys and values of a sorted table."""
    if len(data) < _FOOTER or struct.unpack("<Q", data[-8:])[0] != _MAGIC:
        raise MessageError("the index is damaged: it does not end with the footer of a table")
    numbers, at = [], 0
    footer = memoryview(data)[-_FOOTER:]
    for _ in range(4):
        number, at = _number(footer, at)
        numbers.append(number)
    for _, place in _block(data, *numbers[2:]):
        offset, at = _number(memoryview(place), 0)
        size, _ = _number(memoryview(place), at)
        for key, value in _block(data, offset, size):
            yield key.decode("utf-8", "replace"), value


def _block(data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of a block, which ends with the places of keys stored in full."""
    if size < 4 or offset + size + 1 > len(data):
        raise MessageError("the index is damaged: a block lies outside it")
    if data[offset + size]:
        raise MessageError("a block of the index is compressed, which is not supported")
    block = memoryview(data)[offset : offset + size]
    restarts = struct.unpack("<I", block[-4:])[0]
    end, at, key = size - 4 - 4 * restarts, 0, b""
    while at < end:
        shared, at = _number(block, at)
        more, at = _number(block, at)
        length, at = _number(block, at)
        if shared > len(key) or at + more + length > end:
            raise MessageError("the index is damaged: a key or value is cut off")
        key = key[:shared] + bytes(block[at : at + more])
        at += more
        yield key, bytes(block[at : at + length])
        at += length


def _number(data: Any, at: int) -> tuple[int, int]:
    try:
        return varint(data, at)
    except IndexError:
        raise MessageError("the index is damaged: a number is cut off") from None
