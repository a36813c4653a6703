"""Writes the protobuf messages of an ONNX model, node by node.

The wire format is that of https://protobuf.dev/programming-guides/encoding/, the numbers of the
fields those of `onnx.proto` (https://github.com/onnx/onnx).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ferrnn._src.tree.types import Array

OPSET = 17
_IR_VERSION = 8
_DTYPES = {
    "float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7,
    "string": 8, "bool": 9, "float16": 10, "float64": 11, "uint32": 12, "uint64": 13,
}  # fmt: skip
# For attributes: the kind, and the field that holds the value.
_FLOAT, _INT, _STRING, _GRAPH, _FLOATS, _INTS, _STRINGS = 1, 2, 3, 5, 6, 7, 8

# A dimension is a number, or a name if the caller chooses it.
Dims = Sequence["int | str"]


class Builder:
    """Collects the nodes and constants of one graph, with values by name."""

    def __init__(self, dtype: str, around: Builder | None = None) -> None:
        self.dtype = dtype
        self._nodes: list[bytes] = []
        self._inputs: list[bytes] = []
        self._outputs: list[bytes] = []
        # The enclosing graph holds the constants, and names are unique in both.
        self._constants: list[bytes] = [] if around is None else around._constants
        self._taken: set[str] = set() if around is None else around._taken
        self._is_inside = around is not None

    def inside(self) -> Builder:
        """The builder of a subgraph, for an attribute of a node."""
        return Builder(self.dtype, self)

    def name(self, wanted: str) -> str:
        """A new, unique name."""
        made, count = wanted, 1
        while made in self._taken:
            count += 1
            made = f"{wanted}_{count}"
        self._taken.add(made)
        return made

    def constant(self, value: Any, name: str = "constant", dtype: str | None = None) -> str:
        """A constant, by default in the dtype of the graph."""
        array = np.asarray(value, dtype or self.dtype)
        made = self.name(name)
        self._constants.append(_tensor(array, made))
        return made

    def integers(self, *values: int) -> str:
        """A constant array of integers."""
        return self.constant(values, "integers", "int64")

    def node(self, operator: str, *inputs: str, count: int = 1, **attributes: Any) -> list[str]:
        """The outputs of a new node."""
        outputs = [self.name(operator.lower()) for _ in range(count)]
        content = b"".join(
            [
                *(_text(1, each) for each in inputs),
                *(_text(2, each) for each in outputs),
                _text(3, outputs[0]),
                _text(4, operator),
                *(_inside(5, _attribute(name, value)) for name, value in attributes.items()),
            ]
        )
        self._nodes.append(content)
        return outputs

    def op(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """The only output of a new node."""
        return self.node(operator, *inputs, **attributes)[0]

    def input(self, name: str, dtype: str, dims: Dims) -> str:
        """An input of the graph."""
        made = self.name(name)
        self._inputs.append(_value(made, dtype, dims))
        return made

    def output(self, value: str, name: str, dtype: str, dims: Dims) -> str:
        """Makes a value an output of the graph, under a name."""
        made = self.name(name)
        content = [_text(1, value), _text(2, made), _text(3, made), _text(4, "Identity")]
        self._nodes.append(b"".join(content))
        self._outputs.append(_value(made, dtype, dims))
        return made

    def graph(self, name: str) -> bytes:
        """The bytes of the graph."""
        constants = [] if self._is_inside else self._constants
        return b"".join(
            [
                *(_inside(1, each) for each in self._nodes),
                _text(2, name),
                *(_inside(5, each) for each in constants),
                *(_inside(11, each) for each in self._inputs),
                *(_inside(12, each) for each in self._outputs),
            ]
        )

    def model(self, name: str, producer: str, version: str) -> bytes:
        """The bytes of the whole model."""
        graph = self.graph(name)
        opset = _text(1, "") + _integer(2, OPSET)
        parts = [_integer(1, _IR_VERSION), _text(2, producer), _text(3, version)]
        return b"".join([*parts, _inside(7, graph), _inside(8, opset)])


def with_outputs(content: bytes, names: Iterable[str]) -> bytes:
    """A model with more values of its graph as outputs, added by appending to the message."""
    more = b"".join(_inside(12, _text(1, name)) for name in names)
    return content + _inside(7, more)


def _varint(value: int) -> bytes:
    value &= 2**64 - 1
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    made.append(value)
    return bytes(made)


def _integer(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _inside(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _inside(field, text.encode())


def _tensor(array: Array, name: str) -> bytes:
    little = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
    dims = b"".join(_integer(1, size) for size in array.shape)
    kind = _integer(2, _DTYPES[array.dtype.name])
    return dims + kind + _text(8, name) + _inside(9, little.tobytes())


def _value(name: str, dtype: str, dims: Dims) -> bytes:
    parts = (_text(2, each) if isinstance(each, str) else _integer(1, each) for each in dims)
    shape = b"".join(_inside(1, part) for part in parts)
    tensor = _integer(1, _DTYPES[dtype]) + _inside(2, shape)
    return _text(1, name) + _inside(2, _inside(1, tensor))


def _attribute(name: str, value: Any) -> bytes:
    head = _text(1, name)
    if isinstance(value, bytes):  # a graph
        return head + _inside(6, value) + _integer(20, _GRAPH)
    if isinstance(value, str):
        return head + _text(4, value) + _integer(20, _STRING)
    if isinstance(value, int):
        return head + _integer(3, value) + _integer(20, _INT)
    if isinstance(value, float):
        return head + _float(2, value) + _integer(20, _FLOAT)
    return head + _listed(list(value))


def _listed(values: Iterable[Any]) -> bytes:
    values = list(values)
    if all(isinstance(each, str) for each in values):
        return b"".join(_text(9, each) for each in values) + _integer(20, _STRINGS)
    if all(isinstance(each, int) for each in values):
        return b"".join(_integer(8, each) for each in values) + _integer(20, _INTS)
    return b"".join(_float(7, float(each)) for each in values) + _integer(20, _FLOATS)


def _float(field: int, value: float) -> bytes:
    return _varint(field << 3 | 5) + struct.pack("<f", value)
