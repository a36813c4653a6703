"""ONNX's recurrent nodes, and Scans of recurrent cells, as layers of a chain."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from ferrnn._src.interop.gates import ONNX, ordered
from ferrnn._src.interop.onnx.cells import Function
from ferrnn._src.interop.onnx.files import Graph, Node
from ferrnn._src.interop.onnx.from_scans import layer_of
from ferrnn._src.interop.onnx.recurrent import Recurrent
from ferrnn._src.interop.onnx.window_layers import Chain
from ferrnn._src.layers.bidirectional import Bidirectional
from ferrnn._src.layers.coupled_lstm import CoupledLSTM
from ferrnn._src.layers.dense import Dense
from ferrnn._src.layers.gru import GRU
from ferrnn._src.layers.ind_rnn import IndRNN
from ferrnn._src.layers.lstm import LSTM
from ferrnn._src.layers.minimal_gated import MinimalGatedUnit
from ferrnn._src.layers.peephole_lstm import PeepholeLSTM
from ferrnn._src.layers.projected_lstm import ProjectedLSTM
from ferrnn._src.layers.simple_rnn import SimpleRNN
from ferrnn._src.tree.types import Array

# Layers of one direction; a model without these and without windows takes single rows.
ONE_WAY = (
    LSTM | GRU | SimpleRNN | CoupledLSTM | PeepholeLSTM | ProjectedLSTM | IndRNN | MinimalGatedUnit
)
RECURRENT = frozenset({"LSTM", "GRU", "RNN"})


class RecurrentChain(Chain, Protocol):
    """The additional interface of a chain that recurrent nodes use."""

    at: str

    def used(self, name: str) -> bool: ...

    def constants(self, names: Iterable[str]) -> dict[str, Array]: ...


def recurrent(chain: RecurrentChain, node: Node, x: list[Array | None]) -> None:
    """Makes a layer of an LSTM, GRU or RNN with one direction or both."""
    read = Recurrent(node.operator, node.attributes, f"the {node.described()}")
    x = [*x, *[None] * 8][:8]
    w, r, bias, lengths, peepholes = x[1], x[2], x[3], x[4], x[7]
    if w is None or r is None or lengths is not None:
        raise chain.refused(node, "it has sequence_lens")
    if any(np.any(each) for each in x[5:7] if each is not None):
        raise chain.refused(node, "its initial states are not zero")
    if chain.axes != ("btf" if read.layout else "tbf"):
        raise chain.refused(node, "it runs over an axis other than time")
    if chain.flipped and len(read.reversed) == 2:
        raise chain.refused(node, "it reads reversed steps in both directions")
    made = []
    for index in range(len(read.reversed)):
        own = [None if each is None else each[index] for each in (bias, peepholes)]
        made.append(_direction(chain, node, read, index, w[index], r[index], *own))
    sequences = _sequences(chain, node, node.outputs[0], node.outputs[1:])
    layer = made[0][0]
    layer.return_sequences = sequences
    if len(made) == 2:
        layer = Bidirectional(layer)
    else:
        # A reverse node outputs steps in the file's order, a backwards layer in reading order.
        layer.go_backwards = read.reversed[0] != chain.flipped
        chain.flipped = read.reversed[0] and sequences
    chain.made.append((layer, [each for _, weights in made for each in weights]))
    axes = "bdf" if read.layout else "dbf"
    chain.axes = ("btdf" if read.layout else "tdbf") if sequences else axes
    chain.at = node.outputs[0] if sequences else node.outputs[1]


def scanned(chain: RecurrentChain, node: Node, x: list[Array | None]) -> None:
    """Makes a layer of a Scan over a cell's equations, as `export` writes it."""
    body, count = node.attributes.get("body"), len(node.outputs) - 1
    layer, weights = chain.made[-1] if chain.made else (None, [])
    plain = node.attributes.keys() <= {"body", "num_scan_inputs"} and len(x) == count + 1
    if not isinstance(body, Graph) or not plain or not isinstance(layer, Dense):
        raise chain.refused(node, "it is not one that ferrnn writes for a layer without a mask")
    if chain.axes != "tbf" or any(each is None or each.any() for each in x[:count]):
        raise chain.refused(
            node, "it runs over an axis other than time, or its initial states are not zero"
        )
    sizes = [np.shape(each)[-1] for each in x[:count] if each is not None]
    sequences = _sequences(chain, node, node.outputs[-1], node.outputs[:-1])
    options = {
        "return_sequences": sequences,
        "go_backwards": chain.flipped,
        "dtype": chain.dtype,
    }
    outer = chain.constants(name for each in body.nodes for name in each.inputs)
    bias = weights[1] if len(weights) > 1 else None
    found = layer_of(body, outer, sizes, weights[0], bias, options)
    if found is None:
        raise chain.refused(node, "its steps are not those of a layer")
    chain.made[-1] = found
    chain.flipped = False
    chain.axes, chain.at = ("tbf", node.outputs[-1]) if sequences else ("bf", node.outputs[0])


def _sequences(chain: RecurrentChain, node: Node, outputs: str, last: list[str]) -> bool:
    """Whether all outputs are used, rather than the last state."""
    sequences = chain.used(outputs)
    if sequences == any(chain.used(name) for name in last):
        raise chain.refused(node, "both its outputs and its last states are used")
    return sequences


def _direction(
    chain: RecurrentChain,
    node: Node,
    read: Recurrent,
    index: int,
    w: Array,
    r: Array,
    bias: Array | None,
    peepholes: Array | None,
) -> tuple[Any, list[Array]]:
    """A layer and its weights."""
    names = [_keras_name(function) for function in read.functions[index]]
    if None in names or (read.kind == "LSTM" and names[1] != names[2]):
        raise chain.refused(node, "its activations are not those of a layer")
    order = ONNX[read.kind]
    options: dict[str, Any] = {"use_bias": bias is not None, "dtype": chain.dtype}
    if read.clip:
        options["clip"] = read.clip
    weights = [ordered(w, order).T, ordered(r, order).T]
    if bias is not None:
        both = [ordered(half, order) for half in np.split(bias, 2)]
        apart = read.kind == "GRU" and read.reset_after
        weights.append(np.stack(both) if apart else both[0] + both[1])
    units = r.shape[1]
    if read.kind == "RNN":
        return SimpleRNN(units, names[0], **options), weights
    if read.kind == "GRU":
        layer = GRU(units, names[1], names[0], reset_after=read.reset_after, **options)
        return layer, weights
    if read.coupled and (
        peepholes is not None or names[0] not in {"sigmoid", "hard_sigmoid", "hard_sigmoid_keras2"}
    ):
        raise chain.refused(node, "its coupled gates are not those of a layer")
    if peepholes is not None:
        p_i, p_o, p_f = np.split(peepholes, 3)
        rows = np.stack([p_i, p_f, p_o])
        return PeepholeLSTM(units, names[1], names[0], **options), [*weights, rows]
    if not read.coupled:
        return LSTM(units, names[1], names[0], **options), weights
    i, _, c, o = zip(*(np.split(each, 4, axis=-1) for each in weights), strict=True)
    blocks = [np.concatenate([-a, b, d], axis=-1) for a, b, d in zip(i, c, o, strict=True)]
    return CoupledLSTM(units, names[1], names[0], **options), blocks


def _keras_name(function: Function) -> str | None:
    """Keras' name of an activation."""
    if function.name == "hardsigmoid" and math.isclose(function.beta, 0.5, rel_tol=1e-6):
        for alpha, name in ((0.2, "hard_sigmoid_keras2"), (1 / 6, "hard_sigmoid")):
            if math.isclose(function.alpha, alpha, rel_tol=1e-6):
                return name
    native = function.native()
    if function.name == "leakyrelu" and math.isclose(function.alpha, 0.2, rel_tol=1e-6):
        return "leaky_relu"
    return native[0] if native is not None and native[1:] == (1.0, 0.0) else None
