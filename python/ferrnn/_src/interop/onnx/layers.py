"""Chains of ONNX nodes as layers: a trainable model with the file's weights.

A run with arbitrary sizes shows which nodes depend on the input. These are followed with the
meaning of each axis (batch, time, features, direction), so that a chain of layers is recognized
whatever transposes, squeezes and reshapes an exporter wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ferrnn._src.interop.onnx.files import Node, OnnxError, Value
from ferrnn._src.interop.onnx.forks import both_ways, halved
from ferrnn._src.interop.onnx.programs import Noted, traced
from ferrnn._src.interop.onnx.recurrent_layers import ONE_WAY, RECURRENT, recurrent, scanned
from ferrnn._src.interop.onnx.steps import Planned
from ferrnn._src.interop.onnx.window_layers import OVER_TIME, average_pool, conv, max_pool, pad
from ferrnn._src.layer.layer import Layer
from ferrnn._src.layers.activation import Activation, LeakyReLU
from ferrnn._src.layers.bidirectional import Bidirectional
from ferrnn._src.layers.dense import Dense
from ferrnn._src.layers.embedding import Embedding
from ferrnn._src.layers.input import Input
from ferrnn._src.layers.layer_normalization import LayerNormalization
from ferrnn._src.layers.normalization import BatchNormalization
from ferrnn._src.models.sequential import Sequential
from ferrnn._src.tree.types import Array

# Sizes for axes that the file leaves open, different from each other and from usual sizes. If a
# window does not fit into the steps, there are more steps.
_SIZES = ((3, 5), (3, 67), (3, 1031))
_ACTIVATIONS = {
    "Elu": "elu", "Gelu": "gelu", "LogSoftmax": "log_softmax", "Mish": "mish", "Relu": "relu",
    "Selu": "selu", "Sigmoid": "sigmoid", "Softmax": "softmax", "Softplus": "softplus",
    "Softsign": "softsign", "Tanh": "tanh",
}  # fmt: skip

_OVER_TIME = RECURRENT | {"Scan"}

# Settings of activations that layers do not have.
_ONLY: Mapping[str, Mapping[str, Any]] = {
    "Elu": {"alpha": 1.0},
    "Gelu": {"approximate": "none"},
}


def layers_of(plan: Planned, inputs: tuple[Value, ...], outputs: tuple[Value, ...]) -> Sequential:
    """The chain of layers in a graph, up to its first output.

    Raises:
        OnnxError: It is not a chain of layers; the message names the first other node.
    """
    if len(inputs) != 1 or not outputs:
        raise OnnxError(f"not a chain of layers: it has {len(inputs)} inputs")
    *fewer, most = _SIZES
    for sizes in fewer:
        try:
            return _Chain(plan, inputs[0], outputs[0].name, sizes).model()
        except OnnxError as error:  # noqa: PERF203 - there are only three turns
            if "no window" not in str(error):
                raise
    return _Chain(plan, inputs[0], outputs[0].name, most).model()


_WHOLE = (6, 7)  # ONNX's numbers for the types int32 and int64


class _Chain:
    """One graph that is being followed."""

    def __init__(self, plan: Planned, value: Value, output: str, open_to: tuple[int, int]) -> None:
        if value.shape is None or not 1 <= len(value.shape) <= 3:
            raise OnnxError(f"not a chain of layers: its input has the shape {value.shape}")
        open_sizes = iter(open_to * 2)
        sizes = [
            size if isinstance(size, int) and size > 0 else next(open_sizes) for size in value.shape
        ]
        sample = np.zeros(sizes, value.dtype or np.float32)
        self.values, noted, self.last = traced(plan, {value.name: sample}, output)
        self.noted = _of_values(noted, value.name)
        self.at = value.name
        self.ids = sample.dtype.kind in "iu" or self._starts_with_ids()
        self.dtype = "float64" if sample.dtype == np.float64 else "float32"
        # The axes of the current value: b, t, f (features) and d (directions).
        self.axes = self._first_axes(sample.ndim)
        # Whether the steps are in reverse order.
        self.flipped = False
        self.features = None if self.ids else int(sizes[self.axes.index("f")])
        self.made: list[tuple[Layer, list[Array]]] = []

    def _starts_with_ids(self) -> bool:
        """Whether the input is cast to integers before anything else."""
        node = self.noted[0][0] if self.noted else None
        return node is not None and node.operator == "Cast" and node.attributes.get("to") in _WHOLE

    def _first_axes(self, rank: int) -> str:
        """The axes of the input; the first node over time decides if batch or time is first."""
        kinds = {*_OVER_TIME, "Conv", "MaxPool", "AveragePool"}
        names = self._path()
        node = next((node for node, _, _, _ in self.noted if node.operator in kinds), None)
        recurrent = node is not None and node.operator in _OVER_TIME
        if node is None or rank + self.ids < 3 or (self.ids and not recurrent):
            return {1: "b", 2: "bt" if self.ids else "bf", 3: "btf"}[rank]
        before = [each for each, _, _, _ in self.noted[: names[node.outputs[0] or node.outputs[1]]]]
        order = list(range(rank))
        for each in before:
            if each.operator == "Transpose":
                axes = each.attributes.get("perm") or list(range(rank))[::-1]
                order = [order[axis] for axis in axes[:rank]] if len(axes) >= rank else order
        said = "btf" if node.attributes.get("layout", 0) else "tbf"
        said = said if recurrent else "bft"
        found = [""] * rank
        for place, axis in enumerate(order):
            found[axis] = said[place]
        return "".join(found)

    def _path(self) -> dict[str, int]:
        return {name: at for at, step in enumerate(self.noted) for name in step[3]}

    def model(self) -> Sequential:
        """Follows the nodes to the output."""
        done = 0
        while done < len(self.noted):
            both = both_ways(self, self.noted[done:])
            if not both:
                self.take(self.noted[done])
            done += both or 1
        if self.at != self.last or not self.made:
            raise OnnxError("not a chain of layers: its output is not that of the last node")
        if self.flipped and "t" in self.axes:
            raise OnnxError(
                "not a chain of layers: its outputs are those of a node that runs backwards, in "
                "the order of time, while a layer that goes backwards returns them in reverse"
            )
        shape: tuple[int | None, ...] = (None,) if self.ids else (None, self.features)
        kinds = ONE_WAY | Bidirectional | OVER_TIME
        if not self.ids and not any(isinstance(layer, kinds) for layer, _ in self.made):
            shape = (self.features,)
        model = Sequential([Input(shape, dtype="int32" if self.ids else self.dtype)])
        for layer, weights in self.made:
            model.add(layer)
            if weights:
                layer.set_weights([np.ascontiguousarray(each) for each in weights])
        return model

    def take(self, noted: Noted) -> None:
        """Follows one node."""
        node, _, inputs, outputs = noted
        data = [name for name in inputs if name in self._live()]
        if not data or any(name != self.at for name in data):
            raise self.refused(node, "its input is not the output of the node before")
        follow = _FOLLOW.get(node.operator)
        if follow is None:
            if node.operator not in _ACTIVATIONS:
                raise self.refused(node, "it is not a layer")
            follow = _Chain._activation
        follow(self, node, [self._constant(name) for name in inputs])
        if node.operator not in _OVER_TIME:
            self.at = outputs[0]

    def _live(self) -> set[str]:
        return {self.at} | set(self._path())

    def _constant(self, name: str) -> Array | None:
        return None if not name or name in self._live() else np.asarray(self.values[name])

    def constants(self, names: Iterable[str]) -> dict[str, Array]:
        """The values that are the same in every run."""
        known = [name for name in names if name in self.values and name not in self._live()]
        return {name: np.asarray(self.values[name]) for name in known}

    def refused(self, node: Node, why: str) -> OnnxError:
        """The error with the reason why a node is not a layer."""
        return OnnxError(f"not a chain of layers: the {node.described()}: {why}")

    def _shape(self, name: str) -> tuple[int, ...]:
        return np.shape(self.values[name])

    # Each takes a node, and those of its inputs that are constants.

    def _transpose(self, node: Node, x: list[Array | None]) -> None:
        axes = node.attributes.get("perm") or range(len(self.axes))[::-1]
        self.axes = "".join(self.axes[axis] for axis in axes)

    def _squeeze(self, node: Node, x: list[Array | None]) -> None:
        shape, new = self._shape(self.at), self._shape(node.outputs[0])
        gone = x[1] if len(x) > 1 else node.attributes.get("axes")
        axes = [int(axis) % len(shape) for axis in np.ravel(gone)] if gone is not None else [
            axis for axis, size in enumerate(shape) if size == 1
        ]  # fmt: skip
        if any(self.axes[axis] not in "d1" for axis in axes):
            raise self.refused(node, f"it removes an axis of {shape}, which gives {new}")
        self.axes = "".join(each for at, each in enumerate(self.axes) if at not in axes)

    def _reshape(self, node: Node, x: list[Array | None]) -> None:
        """Merges directions and features, or removes an axis of 1."""
        shape, new = self._shape(self.at), self._shape(node.outputs[0])
        if self.axes.endswith("df") and new == (*shape[:-2], shape[-2] * shape[-1]):
            self.axes = self.axes[:-2] + "f"
        elif "d" in self.axes and shape[self.axes.index("d")] == 1 and new == tuple(
            size for size, axis in zip(shape, self.axes, strict=True) if axis != "d"
        ):  # fmt: skip
            self.axes = self.axes.replace("d", "")
        elif new != shape:
            raise self.refused(node, f"it reshapes {shape} to {new}")

    def _cast(self, node: Node, x: list[Array | None]) -> None:
        if not self.ids or self.made:
            raise self.refused(node, "it is not a layer")

    def _gather(self, node: Node, x: list[Array | None]) -> None:
        table, axis = x[0], node.attributes.get("axis", 0)
        if table is not None and table.ndim == 2 and axis == 0:
            self.made.append((Embedding(*table.shape), [table]))
            self.axes, self.ids = self.axes + "f", True
            return
        self._pick(node, axis, x[1])

    def _slice(self, node: Node, x: list[Array | None]) -> None:
        """Takes the last step, with an axis of 1 in place of time, or reverses all steps."""
        from_input = len(x) > 1
        starts = x[1] if from_input else node.attributes["starts"]
        axes = (x[3] if len(x) > 3 else None) if from_input else node.attributes.get("axes")
        new = self._shape(node.outputs[0])
        if starts is None or axes is None or np.size(axes) != 1:
            raise self.refused(node, "it takes something other than the last step")
        axis, start = int(np.ravel(axes)[0]), int(np.ravel(starts)[0])
        at = axis % len(new)
        if len(x) > 4 and x[4] is not None and int(np.ravel(x[4])[0]) == -1:
            if self.axes[at] != "t" or new != self._shape(self.at):
                raise self.refused(node, "it reverses something other than all steps")
            self.flipped = not self.flipped
            return
        first = start == 0 and new[at] == 1
        self._pick(node, axis, np.asarray(start) if start == -1 or first else None)
        self.axes = self.axes[:at] + "1" + self.axes[at:]

    def _pick(self, node: Node, axis: int, index: Array | None) -> None:
        """Takes the last step, as a recurrent layer without `return_sequences` does.

        If the layer went backwards, that is the first one in the file.
        """
        shape = self._shape(self.at)
        at = axis % len(self.axes)
        ends = {0, -shape[at]} if self.flipped else {-1, shape[at] - 1}
        last = index is not None and index.size == 1 and int(np.ravel(index)[0]) in ends
        if self.axes[at] == "1":
            self.axes = self.axes[:at] + self.axes[at + 1 :]
            return
        layer = self.made[-1][0] if self.made else None
        if not last or self.axes[at] != "t" or not isinstance(layer, ONE_WAY):
            raise self.refused(node, "it takes something other than the last step of one direction")
        layer.return_sequences = False
        self.axes, self.flipped = self.axes.replace("t", ""), False

    def _dense(self, node: Node, kernel: Array | None, bias: Array | None) -> None:
        if kernel is None or kernel.ndim != 2 or not self.axes.endswith("f"):
            raise self.refused(node, "it is not a product with a constant matrix")
        layer = Dense(kernel.shape[1], use_bias=bias is not None, dtype=self.dtype)
        self.made.append((layer, [kernel] if bias is None else [kernel, bias]))

    def _matmul(self, node: Node, x: list[Array | None]) -> None:
        self._dense(node, x[1], None)

    def _gemm(self, node: Node, x: list[Array | None]) -> None:
        plain = {"alpha": 1.0, "beta": 1.0, "transA": 0}
        if any(node.attributes.get(key, value) != value for key, value in plain.items()):
            raise self.refused(node, "its alpha or beta is not 1")
        kernel, bias = x[1], x[2] if len(x) > 2 else None
        if kernel is None:
            raise self.refused(node, "it is not a product with a constant matrix")
        turned = kernel.T if node.attributes.get("transB", 0) else kernel
        if bias is not None:
            bias = np.broadcast_to(bias.reshape(-1), turned.shape[1:])
        self._dense(node, turned, bias)

    def _add(self, node: Node, x: list[Array | None]) -> None:
        """Takes the bias of the product before."""
        bias = next((each for each in x if each is not None), None)
        layer, weights = self.made[-1] if self.made else (None, [])
        if (
            bias is None
            or not isinstance(layer, Dense)
            or len(weights) != 1
            or bias.size != layer.units
        ):
            raise self.refused(node, "it is not the bias of a product")
        self.made[-1] = (Dense(layer.units, dtype=self.dtype), [weights[0], bias.reshape(-1)])

    def _nothing(self, node: Node, x: list[Array | None]) -> None:
        """A node without effect outside training."""

    def _activation(self, node: Node, x: list[Array | None]) -> None:
        given = _ONLY.get(node.operator, {})
        if any(node.attributes.get(key, value) != value for key, value in given.items()):
            raise self.refused(node, f"its settings must be {given} for a layer")
        rank = len(self.axes)
        last = node.attributes.get("axis", -1) in {-1, rank - 1}
        if "oftmax" in node.operator and not (last and self.axes.endswith("f")):
            raise self.refused(node, "its axis is not that of the features")
        self.made.append((Activation(_ACTIVATIONS[node.operator], dtype=self.dtype), []))

    def _leaky(self, node: Node, x: list[Array | None]) -> None:
        slope = float(node.attributes.get("alpha", 0.01))
        self.made.append((LeakyReLU(slope, dtype=self.dtype), []))

    def _batch(self, node: Node, x: list[Array | None]) -> None:
        if self.axes[1] != "f" or any(each is None for each in x[1:5]):
            raise self.refused(node, "its second axis is not that of the features")
        epsilon = float(node.attributes.get("epsilon", 1e-5))
        layer = BatchNormalization(epsilon=epsilon, dtype=self.dtype)
        self.made.append((layer, [each for each in x[1:5] if each is not None]))

    def _normalization(self, node: Node, x: list[Array | None]) -> None:
        if node.attributes.get("axis", -1) not in {-1, len(self.axes) - 1} or x[1] is None:
            raise self.refused(node, "its axis is not that of the features")
        bias = x[2] if len(x) > 2 else None
        layer = LayerNormalization(
            epsilon=float(node.attributes.get("epsilon", 1e-5)), center=bias is not None
        )
        self.made.append((layer, [each for each in x[1:3] if each is not None]))

    def used(self, name: str) -> bool:
        """Whether the output, or a node that it depends on, needs a value."""
        return bool(name) and (
            name == self.last or any(name in inputs for _, _, inputs, _ in self.noted)
        )


def _of_values(noted: list[Noted], start: str) -> list[Noted]:
    """The steps without those that depend only on shapes."""
    kept: list[Noted] = []
    live, of_shapes = {start}, set[str]()
    for step in noted:
        node, _, inputs, outputs = step
        if node.operator in {"Shape", "Size"} or (
            of_shapes.intersection(inputs) and not live.intersection(inputs)
        ):
            of_shapes.update(outputs)
        else:
            kept.append(step)
            live.update(outputs)
    return kept


_FOLLOW: Mapping[str, Callable[[_Chain, Node, list[Array | None]], None]] = {
    "Add": _Chain._add,
    "AveragePool": average_pool,
    "BatchNormalization": _Chain._batch,
    "Cast": _Chain._cast,
    "Conv": conv,
    "Dropout": _Chain._nothing,
    "GRU": recurrent,
    "Gather": _Chain._gather,
    "Gemm": _Chain._gemm,
    "Identity": _Chain._nothing,
    "LSTM": recurrent,
    "LeakyRelu": _Chain._leaky,
    "LayerNormalization": _Chain._normalization,
    "MatMul": _Chain._matmul,
    "MaxPool": max_pool,
    "Mul": halved,
    "Pad": pad,
    "RNN": recurrent,
    "Reshape": _Chain._reshape,
    "Scan": scanned,
    "Slice": _Chain._slice,
    "Squeeze": _Chain._squeeze,
    "Transpose": _Chain._transpose,
}
