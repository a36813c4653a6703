"""Finds steps of an LSTM that an exporter wrote as arithmetic, to run them in the engine.

PyTorch's exporter writes an `LSTMCell` this way, and Keras an unrolled LSTM: two products and a
bias, a Split in four, three sigmoids and a tanh, and their combination. The use of each part shows
which gate it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from ferrnn._src.interop.onnx.files import Node
from ferrnn._src.sequence.fused import Problem, Weights, rnn_forward
from ferrnn._src.sequence.one_step import MOST_ROWS, OneStep
from ferrnn._src.tree.types import Array

_FLOATS = (np.dtype("f4"), np.dtype("f8"))


@dataclass
class _Terms:
    """A sum: products with constant matrices, and a constant."""

    products: list[tuple[str, Array]]
    bias: Any = 0.0


@dataclass
class Found:
    """A step of an LSTM: the node that replaces those in `gone`, and the place of its state."""

    node: Node
    weights: Weights
    gone: list[Node]
    place: Node
    dtype: np.dtype[Any]

    def __post_init__(self) -> None:
        self.step = OneStep(self.weights)

    def run(self, x: list[Any]) -> list[Array]:
        """H and c after the step, for x, h and c `[batch, units]`."""
        inputs, h, c = x
        same = inputs.dtype == h.dtype == c.dtype == self.dtype
        shape = (len(inputs), self.weights.units)
        if same and h.shape == c.shape == shape and 0 < len(inputs) <= MOST_ROWS:
            return list(self.step(inputs, (h, c))[1])
        state = [each if each.shape == shape else np.broadcast_to(each, shape) for each in (h, c)]
        outputs, finals, _ = rnn_forward(
            self.weights, Problem(self.weights, inputs[:, None, :], state)
        )
        return [outputs[:, 0], finals[1]]


class _OtherError(Exception):
    """The nodes are not a step of an LSTM."""


def _need(condition: object) -> None:
    if not condition:
        raise _OtherError


def unrolled(nodes: list[Node], constants: Mapping[str, Array], outputs: list[str]) -> list[Found]:
    """The steps of LSTMs in a sequence of nodes."""
    reader = _Reader(nodes, constants, outputs)
    found = []
    for node in nodes:
        if node.operator == "Split":
            with suppress(_OtherError):
                found.append(reader.step(node))
    return found


class _Reader:
    """The producers and consumers of values; raises `_OtherError` for anything unexpected."""

    def __init__(
        self, nodes: list[Node], constants: Mapping[str, Array], outputs: list[str]
    ) -> None:
        self.constants = constants
        self.maker = {name: node for node in nodes for name in node.outputs if name}
        self.takers: dict[str, list[Node | None]] = {name: [None] for name in outputs}
        for node in nodes:
            for name in node.inputs:
                self.takers.setdefault(name, []).append(node)

    def only(self, name: str, *operators: str) -> Node:
        """The only node that takes a value, which must have one of these operators."""
        takers = self.takers.get(name, [])
        if len(takers) != 1 or takers[0] is None or takers[0].operator not in operators:
            raise _OtherError
        return takers[0]

    def terms(self, name: str, gone: list[Node]) -> _Terms:
        """The terms of a value that is a sum."""
        if name in self.constants:
            return _Terms([], self.constants[name])
        node = self.maker.get(name)
        if node is None or len(self.takers.get(name, [])) != 1:
            raise _OtherError
        gone.append(node)
        if node.operator == "Add":
            one, two = (self.terms(each, gone) for each in node.inputs)
            return _Terms([*one.products, *two.products], one.bias + two.bias)
        _need(node.operator in {"MatMul", "Gemm"} and node.inputs[1] in self.constants)
        matrix, attributes = self.constants[node.inputs[1]], node.attributes
        _need(all(attributes.get(key, value) == value for key, value in _PLAIN.items()))
        bias = self.constants.get(node.inputs[2]) if len(node.inputs) > 2 else 0.0
        _need(matrix.ndim == 2 and bias is not None)
        turned = matrix.T if attributes.get("transB", 0) else matrix
        return _Terms([(node.inputs[0], turned)], bias)

    def step(self, split: Node) -> Found:
        """The step that a Split in four is part of."""
        _need(len(split.outputs) == 4 and split.attributes.get("axis", 0) in {1, -1})
        gone = [split]
        terms = self.terms(split.inputs[0], gone)
        _need(len(terms.products) == 2)
        shapes = [matrix.shape for _, matrix in terms.products]
        units = shapes[0][1] // 4
        rows = [at for at, shape in enumerate(shapes) if shape == (units, 4 * units)]
        _need(units and rows and shapes[0][1] == shapes[1][1] == 4 * units)
        sizes = split.attributes.get("split")
        if len(split.inputs) > 1:
            _need(split.inputs[1] in self.constants)
            sizes = self.constants[split.inputs[1]]
        _need(sizes is None or np.array_equal(sizes, [units] * 4))
        order, names, place = self._gates(split, gone)
        (x, kernel), (h, back) = terms.products[1 - rows[-1]], terms.products[rows[-1]]
        weights = _packed(kernel, back, terms.bias, order)
        c, c_new, h_new = names
        node = Node("LSTMCell", "", split.name, [x, h, c], [h_new, c_new], {})
        return Found(node, weights, gone, place, kernel.dtype)

    def _gates(self, split: Node, gone: list[Node]) -> tuple[list[int], tuple[str, str, str], Node]:
        """The parts that are the gates i, f, c, o, and the names of c before and after, and of h.

        `i * tanh` and `f * c` are added, and `o` is multiplied by the tanh of that.
        """
        found = [self.only(name, "Sigmoid", "Tanh") for name in split.outputs]
        kinds = [act.operator for act in found]
        _need(kinds.count("Tanh") == 1)
        products = [self.only(act.outputs[0], "Mul") for act in found]
        candidate = kinds.index("Tanh")
        inward = products[candidate]
        with_it = [at for at, each in enumerate(products) if each is inward and at != candidate]
        _need(len(with_it) == 1)
        added = self.only(inward.outputs[0], "Add")
        others = [at for at, each in enumerate(products) if each is not inward]
        forgetting = [at for at in others if products[at].outputs[0] in added.inputs]
        _need(len(forgetting) == 1)
        forget = products[forgetting[0]]
        gate_o = next(at for at in others if at != forgetting[0])
        out = products[gate_o]
        c = _other(forget, found[forgetting[0]].outputs[0])
        tanh = self.maker.get(_other(out, found[gate_o].outputs[0]))
        if tanh is None or tanh.operator != "Tanh" or tanh.inputs[0] != added.outputs[0]:
            raise _OtherError
        self.only(tanh.outputs[0], "Mul")
        self.only(forget.outputs[0], "Add")
        gone += [*found, inward, forget, added, tanh, out]
        order = [with_it[0], forgetting[0], candidate, gate_o]
        return order, (c, added.outputs[0], out.outputs[0]), added


def _other(node: Node, name: str) -> str:
    """The other input."""
    others = [each for each in node.inputs if each != name]
    _need(len(others) == 1)
    return others[0]


_PLAIN = {"alpha": 1.0, "beta": 1.0, "transA": 0}


def _packed(kernel: Array, back: Array, bias: Any, order: list[int]) -> Weights:
    """The weights with the gates in our order."""
    _need(kernel.dtype in _FLOATS and back.dtype == kernel.dtype)
    wide = np.zeros(kernel.shape[1], kernel.dtype)
    _need(np.size(bias) in {1, len(wide)})
    wide += np.ravel(bias)

    def ordered(array: Array) -> Array:
        parts = np.split(array, 4, axis=-1)
        return np.ascontiguousarray(np.concatenate([parts[at] for at in order], axis=-1))

    return Weights("lstm", ordered(kernel), ordered(back), ordered(wide))
