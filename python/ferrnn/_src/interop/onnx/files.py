"""Reads ONNX files: those protobuf messages of a model that are needed to run it.

The numbers of the fields are those of `onnx.proto` (https://github.com/onnx/onnx). Only the given
bytes are read, and no other files.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ferrnn._src.interop.protobufs import Message, MessageError
from ferrnn._src.tree.types import Array

_DEEPEST = 16  # nesting of graphs
_MOST_AXES = 32

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


class OnnxError(MessageError):
    """An ONNX model is damaged or not supported."""


@dataclass(slots=True)
class Node:
    """One operation: names of values in and out ("" stands for one left out), and attributes."""

    operator: str
    domain: str
    name: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]

    def described(self) -> str:
        """The operator with the node's name, or with that of its first output."""
        return f"{self.operator} node {self.name or (self.outputs or ['?'])[0]!r}"


@dataclass
class Value:
    """An input or output of a graph; a dimension is a number, a name, or None."""

    name: str
    dtype: np.dtype[Any] | None
    shape: tuple[int | str | None, ...] | None


@dataclass
class Graph:
    """Nodes in an order in which they can run, with constants, inputs and outputs."""

    name: str = ""
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)


@dataclass
class Model:
    """A graph, the version of its operators, and the program that wrote it."""

    graph: Graph
    opset: int
    producer: str
    producer_version: str


def read_model(data: bytes) -> Model:
    """The model of an ONNX file's bytes.

    Raises:
        OnnxError: They are not an ONNX model, or it is damaged, or has weights in other files.
    """
    message = Message(memoryview(data), "the model")
    if not message.has(7):
        raise OnnxError("not an ONNX model: it has no graph")
    opset = 1
    for each in message.messages(8, "an opset"):
        if each.text(1) in {"", "ai.onnx"}:
            opset = each.integer(2, 1)
    if message.has(25):
        names = [each.text(1) for each in message.messages(25, "a function")]
        raise OnnxError(f"functions defined in the model are not supported: {names[:5]}")
    graph = _graph(message.message(7, "the graph"), 0)
    return Model(graph, opset, message.text(2), message.text(3))


def _graph(message: Message, depth: int) -> Graph:
    if depth > _DEEPEST:
        raise OnnxError(f"graphs must not be nested more than {_DEEPEST} deep")
    graph = Graph(message.text(2))
    if message.has(15):
        raise OnnxError(f"graph {graph.name!r} has sparse constants, which are not supported")
    for each in message.messages(5, f"a constant of graph {graph.name!r}"):
        graph.constants[each.text(8)] = _tensor(each)
    graph.inputs = [_value(each) for each in message.messages(11, "an input")]
    graph.outputs = [_value(each) for each in message.messages(12, "an output")]
    graph.nodes = [_node(each, depth) for each in message.messages(1, "a node")]
    return graph


def _node(message: Message, depth: int) -> Node:
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


def _attribute(message: Message, depth: int) -> Any:
    kind = message.integer(20, 0)
    if kind == 5:
        return _graph(message.message(6, message.place), depth + 1)
    if kind not in _ATTRIBUTES:
        raise OnnxError(f"{message.place}: {message.text(1)!r} has a type that is not supported")
    return _ATTRIBUTES[kind](message)


def _value(message: Message) -> Value:
    tensor = message.message(2, message.place).message(1, message.place)
    shape: tuple[int | str | None, ...] | None = None
    if tensor.has(2):
        dimensions = tensor.message(2, message.place).messages(1, message.place)
        shape = tuple(
            each.integer(1, 0) if each.has(1) else each.text(2) or None for each in dimensions
        )
    return Value(message.text(1), DTYPES.get(tensor.integer(1, 0)), shape)


def _tensor(message: Message) -> Array:
    """The array of a tensor, checked against its bytes."""
    name, kind = message.text(8), message.integer(2, 0)
    shape = message.integers(1)
    place = f"tensor {name!r} of the shape {shape[: _MOST_AXES + 1]}"
    if message.integer(14, 0) == 1 or message.has(13):
        raise OnnxError(f"{place} lies in another file, which is not read: store it in the model")
    if kind not in DTYPES and kind != _BFLOAT16:
        raise OnnxError(f"{place} has the data type {kind}, which is not supported")
    if any(size < 0 for size in shape) or len(shape) > _MOST_AXES:
        raise OnnxError(f"{place} is damaged")
    values = _numbers(message, kind)
    if values.size != math.prod(shape):
        raise OnnxError(f"{place} is damaged: it has {values.size} numbers")
    return values.reshape(shape)


def _numbers(message: Message, kind: int) -> Array:
    dtype: np.dtype[Any] = DTYPES.get(kind, np.dtype("<u2"))
    raw = message.data(9)
    if raw is not None:
        if len(raw) % dtype.itemsize:
            raise OnnxError(
                f"tensor {message.text(8)!r} is damaged: it ends in the middle of a number"
            )
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


def _cast(numbers: list[int], dtype: np.dtype[Any], message: Message) -> Array:
    try:
        return np.asarray(numbers, dtype)
    except OverflowError:
        raise OnnxError(
            f"tensor {message.text(8)!r} has numbers outside the range of {dtype}"
        ) from None


_ATTRIBUTES: dict[int, Callable[[Message], Any]] = {
    1: lambda m: float(m.numbers(2, "<f4")[-1]) if m.has(2) else 0.0,
    2: lambda m: m.integer(3, 0),
    3: lambda m: m.text(4),
    4: lambda m: _tensor(m.message(5, m.place)),
    6: lambda m: [float(value) for value in m.numbers(7, "<f4")],
    7: lambda m: m.integers(8),
    8: lambda m: m.texts(9),
}
