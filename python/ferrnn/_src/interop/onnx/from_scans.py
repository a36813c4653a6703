"""Scans as recurrent cells: recognizes the equations that `to_steps` writes.

The functions that write equations follow the nodes of the graph inside a Scan in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from ferrnn._src.cells.gru import GRUCell
from ferrnn._src.interop.onnx.files import Graph, Node
from ferrnn._src.interop.onnx.functions import NAMES, named
from ferrnn._src.interop.onnx.to_steps import STEPS, StepWriter
from ferrnn._src.interop.onnx.writing import Builder
from ferrnn._src.layers.coupled_lstm import CoupledLSTM
from ferrnn._src.layers.gru import GRU
from ferrnn._src.layers.ind_rnn import IndRNN
from ferrnn._src.layers.lstm import LSTM
from ferrnn._src.layers.minimal_gated import MinimalGatedUnit
from ferrnn._src.layers.peephole_lstm import PeepholeLSTM
from ferrnn._src.layers.projected_lstm import ProjectedLSTM
from ferrnn._src.layers.simple_rnn import SimpleRNN
from ferrnn._src.tree.types import Array

# By the name of the cell, with the arrays after kernel, recurrent kernel and bias.
_LAYERS: Mapping[str, tuple[type, tuple[str, ...]]] = {
    "SimpleRNNCell": (SimpleRNN, ()),
    "IndRNNCell": (IndRNN, ()),
    "GRUCell": (GRU, ()),
    "MinimalGatedCell": (MinimalGatedUnit, ()),
    "LSTMCell": (LSTM, ()),
    "ProjectedLSTMCell": (ProjectedLSTM, ("projection_kernel",)),
    "CoupledLSTMCell": (CoupledLSTM, ()),
    "PeepholeLSTMCell": (PeepholeLSTM, ("peephole",)),
}


def layer_of(
    graph: Graph,
    constants: Mapping[str, Array],
    sizes: list[int],
    kernel: Array,
    bias: Array | None,
    options: Mapping[str, Any],
) -> tuple[Any, list[Array]] | None:
    """The recurrent layer whose step a graph computes, with its weights, or None.

    `kernel` and `bias` are those of the product before the Scan, `sizes` the lengths of states, and
    `options` additional arguments of the layer.
    """
    body = _Body.of(graph, {**constants, **graph.constants})
    if len(body.inputs) != len(sizes) + 1 or len(body.outputs) != len(sizes) + 1:
        return None
    for kind in STEPS:
        for reset_after in (True, False) if kind is GRUCell else (None,):
            for clip in body.bounds():
                cell = SimpleNamespace(
                    units=sizes[-1], clip=clip, reset_after=reset_after, bias=bias
                )
                found = _matched(body, kind, cell)
                if found is not None:
                    return _layer(kind, cell, found, sizes, kernel, options)
    return None


def _layer(
    kind: type,
    cell: Any,
    found: _StepReader,
    sizes: list[int],
    kernel: Array,
    options: Mapping[str, Any],
) -> tuple[Any, list[Array]]:
    layer, more = _LAYERS[kind.__name__]
    given = {**options, **found.functions, "use_bias": cell.bias is not None}
    if cell.clip is not None:
        given["clip"] = cell.clip
    if cell.reset_after is not None:
        given["reset_after"] = cell.reset_after
    if layer is ProjectedLSTM:
        given["projection_units"] = sizes[0]
    arrays = found.reader.weights
    weights = [kernel, np.concatenate(arrays["recurrent_kernel"], axis=-1)]
    if cell.bias is not None:
        rows = arrays.get("bias")
        weights.append(np.stack([cell.bias, *rows]) if rows else cell.bias)
    weights += [arrays[role][0] for role in more]
    return layer(cell.units, **given), weights


class _DiffersError(Exception):
    """The nodes of a file differ from those that would be written."""


class _Asked(str):
    """A constant to be written: with a value, or a parameter that is still unknown."""

    __slots__ = ("role", "value")
    value: Array | None
    role: str

    @classmethod
    def made(cls, value: Array | None, role: str) -> _Asked:
        asked = cls(f"{role} that is asked for")
        asked.value, asked.role = value, role
        return asked


@dataclass
class _Body:
    """The nodes of a step except those without effect, and the names of values."""

    nodes: list[Node]
    inputs: list[str]
    outputs: list[str]
    same: dict[str, str]
    constants: Mapping[str, Array]

    @classmethod
    def of(cls, graph: Graph, constants: Mapping[str, Array]) -> _Body:
        nodes, same = list[Node](), dict[str, str]()
        for node in graph.nodes:
            if node.operator == "Identity":
                same[node.outputs[0]] = same.get(node.inputs[0], node.inputs[0])
            else:
                nodes.append(node)
        inputs = [value.name for value in graph.inputs]
        outputs = [same.get(value.name, value.name) for value in graph.outputs]
        return cls(nodes, inputs, outputs, same, constants)

    def bounds(self) -> Iterator[float | None]:
        """None, and the possible values of `clip`."""
        yield None
        for node in self.nodes:
            most = self.constants.get(node.inputs[-1]) if node.operator == "Clip" else None
            if most is not None and most.ndim == 0 and most > 0:
                yield float(most)
                return


class _Reader(Builder):
    """Takes nodes of a file in place of a Builder's writing, as long as they are the same."""

    def __init__(self, body: _Body) -> None:
        super().__init__("float32")
        self.body, self.at = body, 0
        self.weights: dict[str, list[Array]] = {}

    def constant(self, value: Any, name: str = "constant", dtype: str | None = None) -> str:
        return _Asked.made(np.asarray(value, dtype), name)

    def node(self, operator: str, *inputs: str, count: int = 1, **attributes: Any) -> list[str]:
        if self.at == len(self.body.nodes):
            raise _DiffersError
        node = self.body.nodes[self.at]
        if (
            (node.operator, node.domain, len(node.inputs), len(node.outputs))
            != (operator, "", len(inputs), count)
            or node.attributes.keys() != attributes.keys()
            or not all(np.allclose(node.attributes[key], each) for key, each in attributes.items())
        ):
            raise _DiffersError
        for name, wanted in zip(node.inputs, inputs, strict=True):
            self._take(self.body.same.get(name, name), wanted)
        self.at += 1
        return node.outputs

    def _take(self, name: str, wanted: str) -> None:
        if not isinstance(wanted, _Asked):
            if name != wanted:
                raise _DiffersError
            return
        array = self.body.constants.get(name)
        if array is None:
            raise _DiffersError
        if wanted.value is None:
            self.weights.setdefault(wanted.role, []).append(array)
        elif not np.array_equal(array, wanted.value.astype(array.dtype)):
            raise _DiffersError


class _StepReader(StepWriter):
    """The equations of a step, with activations that are still unknown."""

    def __init__(self, reader: _Reader, cell: Any) -> None:
        super().__init__(reader, cell, "")
        self.reader = reader
        self.functions: dict[str, str] = {}

    def weight(self, role: str, called: str, part: Any = ...) -> str:
        return _Asked.made(None, role)

    def applied(self, role: str, z: str) -> str:
        if role not in self.functions:
            self.functions[role] = self._longest(z)
        return named(self.b, self.functions[role], z)

    def _longest(self, z: str) -> str:
        """The activation that matches the most of the following nodes."""
        start, best, most = self.reader.at, "linear", 0
        for name in NAMES:
            try:
                named(self.b, name, z)
            except _DiffersError:
                pass
            else:
                if self.reader.at - start > most:
                    best, most = name, self.reader.at - start
            self.reader.at = start
        return best


def _matched(body: _Body, kind: type, cell: Any) -> _StepReader | None:
    """The parts of a body that is the step of such a cell, or None."""
    step = _StepReader(_Reader(body), cell)
    *states, x = body.inputs
    if kind.__name__ not in _LAYERS:
        return None
    try:
        found = STEPS[kind](step, x, states)
    except (_DiffersError, ValueError):  # ValueError: another number of states
        return None
    whole = step.reader.at == len(body.nodes)
    return step if whole and body.outputs == [*found, found[0]] else None
