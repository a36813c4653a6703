"""Reads ONNX files: the protobuf messages of a model, as far as running it needs them.

The wire format is that of https://protobuf.dev/programming-guides/encoding/, the numbers of the
fields those of `onnx.proto` (https://github.com/onnx/onnx). Reading the few messages here costs
no package of 18 MB and no import of one; nothing is read but the bytes that are given.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ferrnn._src.tree.types import Array

_DEEPEST = 16  # graphs inside of graphs

DTYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype("<f4"),
    2: np.dtype("u1"),
    3: np.dtype("i1"),
    4: np.dtype("<u2"),
    5: np.dtype("<i2"),
    6: np.dtype("<i4"),
    7: np.dtype("<i8"),
    9: np.dtype("?"),
    10: np.dtype("<f2"),
    11: np.dtype("<f8"),
    12: np.dtype("<u4"),
    13: np.dtype("<u8"),
}
_BFLOAT16 = 16


class OnnxError(ValueError):
    """What is wrong with an ONNX model, and where."""


@dataclass
class Node:
    """One operation: names of values in and out ("" stands for one left out), and attributes."""

    operator: str
    domain: str
    name: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]

    def described(self) -> str:
        """The operator, and the node's name or that of its first output."""
        return f"{self.operator} node {self.name or (self.outputs or ['?'])[0]!r}"


@dataclass
class Value:
    """An input or output of a graph; a dimension is a number, a name, or None."""

    name: str
    dtype: np.dtype[Any] | None
    shape: tuple[int | str | None, ...] | None


@dataclass
class Graph:
    """Nodes in an order in which they can run, the constants, and what goes in and out."""

    name: str = ""
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)


@dataclass
class Model:
    """A graph, the version of the operators it is written in, and who wrote it."""

    graph: Graph
    opset: int
    producer: str
    producer_version: str


def read_model(data: bytes) -> Model:
    """The model of an ONNX file's bytes.

    Raises:
        OnnxError: They are no ONNX model, a damaged one, or one with weights in another file.
    """
    message = _Message(memoryview(data), "the model")
    if not message.has(7):
        raise OnnxError("not an ONNX model: it has no graph")
    opset = 1
    for each in message.messages(8, "an opset"):
        if each.text(1) in {"", "ai.onnx"}:
            opset = each.integer(2, 1)
    if message.has(25):
        names = [each.text(1) for each in message.messages(25, "a function")]
        raise OnnxError(f"functions of the model's own are not supported: {names[:5]}")
    graph = _graph(message.message(7, "the graph"), 0)
    return Model(graph, opset, message.text(2), message.text(3))


class _Message:
    """The fields of one protobuf message: for each number the values, as they come."""

    def __init__(self, data: memoryview, place: str) -> None:
        self.place = place
        self.fields: dict[int, list[Any]] = {}
        try:
            for number, value in _fields(data):
                self.fields.setdefault(number, []).append(value)
        except (IndexError, struct.error):
            raise OnnxError(f"{place} is damaged: not the messages of an ONNX model") from None

    def has(self, number: int) -> bool:
        return number in self.fields

    def last(self, number: int) -> Any:
        return self.fields[number][-1] if number in self.fields else None

    def data(self, number: int) -> memoryview | None:
        value = self.last(number)
        if value is not None and not isinstance(value, memoryview):
            raise OnnxError(f"{self.place} is damaged: field {number} holds a number")
        return value

    def text(self, number: int) -> str:
        value = self.data(number)
        return "" if value is None else bytes(value).decode("utf-8", "replace")

    def texts(self, number: int) -> list[str]:
        return [bytes(value).decode("utf-8", "replace") for value in self.lengths(number)]

    def lengths(self, number: int) -> list[memoryview]:
        values = self.fields.get(number, [])
        if not all(isinstance(value, memoryview) for value in values):
            raise OnnxError(f"{self.place} is damaged: field {number} holds a number")
        return values

    def integer(self, number: int, default: int) -> int:
        value = self.last(number)
        if value is None:
            return default
        if not isinstance(value, int):
            raise OnnxError(f"{self.place} is damaged: field {number} holds no number")
        return _signed(value)

    def message(self, number: int, place: str) -> _Message:
        return _Message(self.data(number) or memoryview(b""), place)

    def messages(self, number: int, place: str) -> list[_Message]:
        return [_Message(value, place) for value in self.lengths(number)]

    def integers(self, number: int) -> list[int]:
        """Repeated integers, whether packed or not."""
        found: list[int] = []
        for value in self.fields.get(number, []):
            if isinstance(value, int):
                found.append(_signed(value))
            elif isinstance(value, memoryview):
                at = 0
                while at < len(value):
                    one, at = _varint(value, at)
                    found.append(_signed(one))
        return found

    def numbers(self, number: int, layout: str) -> Array:
        """Repeated floats of a fixed width, whether packed or not."""
        parts = [bytes(v) for v in self.fields.get(number, []) if not isinstance(v, int)]
        data = b"".join(parts)
        if len(data) % np.dtype(layout).itemsize:
            raise OnnxError(f"{self.place} is damaged: field {number} ends in the middle")
        return np.frombuffer(data, layout)


class _Fixed(bytes):
    """The bytes of a number of fixed width, which is no text."""


def _fields(data: memoryview) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if kind == 2:
            size, at = _varint(data, at)
        else:
            size = {1: 8, 5: 4}.get(kind, -1)
        if size < 0 or at + size > len(data):
            raise IndexError
        part = data[at : at + size]
        yield key >> 3, part if kind == 2 else _Fixed(part)
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
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


def _graph(message: _Message, depth: int) -> Graph:
    if depth > _DEEPEST:
        raise OnnxError(f"more than {_DEEPEST} graphs inside of each other")
    graph = Graph(message.text(2))
    if message.has(15):
        raise OnnxError(f"graph {graph.name!r} has sparse constants, which are not supported")
    for each in message.messages(5, f"a constant of graph {graph.name!r}"):
        graph.constants[each.text(8)] = _tensor(each)
    graph.inputs = [_value(each) for each in message.messages(11, "an input")]
    graph.outputs = [_value(each) for each in message.messages(12, "an output")]
    graph.nodes = [_node(each, depth) for each in message.messages(1, "a node")]
    return graph


def _node(message: _Message, depth: int) -> Node:
    node = Node(
        message.text(4),
        message.text(7),
        message.text(3),
        message.texts(1),
        message.texts(2),
        {},
    )
    for each in message.messages(5, f"an attribute of the {node.described()}"):
        node.attributes[each.text(1)] = _attribute(each, depth)
    return node


def _attribute(message: _Message, depth: int) -> Any:
    kind = message.integer(20, 0)
    if kind == 5:
        return _graph(message.message(6, message.place), depth + 1)
    if kind not in _ATTRIBUTES:
        raise OnnxError(f"{message.place}: {message.text(1)!r} has a type that is not supported")
    return _ATTRIBUTES[kind](message)


def _value(message: _Message) -> Value:
    tensor = message.message(2, message.place).message(1, message.place)
    shape: tuple[int | str | None, ...] | None = None
    if tensor.has(2):
        dimensions = tensor.message(2, message.place).messages(1, message.place)
        shape = tuple(
            each.integer(1, 0) if each.has(1) else each.text(2) or None for each in dimensions
        )
    return Value(message.text(1), DTYPES.get(tensor.integer(1, 0)), shape)


def _tensor(message: _Message) -> Array:
    """The array of a tensor, checked against its bytes."""
    name, kind = message.text(8), message.integer(2, 0)
    shape = message.integers(1)
    place = f"tensor {name!r} of the shape {shape}"
    if message.integer(14, 0) == 1 or message.has(13):
        raise OnnxError(f"{place} lies in another file, which is not read: store it in the model")
    if kind not in DTYPES and kind != _BFLOAT16:
        raise OnnxError(f"{place} has the data type {kind}, which is not supported")
    if any(size < 0 for size in shape):
        raise OnnxError(f"{place} is damaged")
    values = _numbers(message, kind)
    if values.size != math.prod(shape):
        raise OnnxError(f"{place} is damaged: it has {values.size} numbers")
    return values.reshape(shape)


def _numbers(message: _Message, kind: int) -> Array:
    dtype: np.dtype[Any] = DTYPES.get(kind, np.dtype("<u2"))
    raw = message.data(9)
    if raw is not None:
        if len(raw) % dtype.itemsize:
            raise OnnxError(f"tensor {message.text(8)!r} is damaged: half a number at its end")
        values = np.frombuffer(raw, dtype)
    elif kind == 1:
        values = message.numbers(4, "<f4")
    elif kind == 11:
        values = message.numbers(10, "<f8")
    elif kind in {10, _BFLOAT16}:
        values = _cast(message.integers(5), np.dtype("<u2"), message).view(dtype)
    else:
        field_number = {7: 7, 12: 11, 13: 11}.get(kind, 5)
        values = _cast(message.integers(field_number), dtype, message)
    if kind == _BFLOAT16:
        wide: Array = values.astype(np.uint32) << np.uint32(16)
        return wide.view(np.float32)
    return values


def _cast(numbers: list[int], dtype: np.dtype[Any], message: _Message) -> Array:
    try:
        return np.asarray(numbers, dtype)
    except OverflowError:
        raise OnnxError(f"tensor {message.text(8)!r} has numbers that no {dtype} holds") from None


_ATTRIBUTES: dict[int, Callable[[_Message], Any]] = {
    1: lambda m: float(m.numbers(2, "<f4")[-1]) if m.has(2) else 0.0,
    2: lambda m: m.integer(3, 0),
    3: lambda m: m.text(4),
    4: lambda m: _tensor(m.message(5, m.place)),
    6: lambda m: [float(value) for value in m.numbers(7, "<f4")],
    7: lambda m: m.integers(8),
    8: lambda m: m.texts(9),
}
