"""ONNX models: their inputs and outputs, and nodes that are not supported."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from ferrnn._src.configs.notices import warn
from ferrnn._src.faces import public
from ferrnn._src.files.errors import reading
from ferrnn._src.interop.onnx.files import Graph, OnnxError, Value, read_model
from ferrnn._src.interop.onnx.folding import Budget
from ferrnn._src.interop.onnx.layers import layers_of
from ferrnn._src.interop.onnx.plan import KNOWN, Plan
from ferrnn._src.interop.onnx.programs import Programs
from ferrnn._src.interop.onnx.streams import OnnxStream, stream_of
from ferrnn._src.models.sequential import Sequential
from ferrnn._src.sequence.stream import Stream
from ferrnn._src.tree.types import Array

_OWN_DOMAINS = ("", "ai.onnx")


class OnnxModel:
    """A model read from ONNX: it computes what the file says, in NumPy and in the engine.

    Made by `from_onnx`. `inputs` and `outputs` describe what goes in and comes out.
    """

    def __init__(self, graph: Graph, opset: int, content: bytes) -> None:
        self.graph, self.opset, self.content = graph, opset, content
        given = [value for value in graph.inputs if value.name not in graph.constants]
        self.inputs: tuple[Value, ...] = tuple(given)
        self.outputs: tuple[Value, ...] = tuple(graph.outputs)
        shapes = {each.name: each.shape for each in given}
        self._plan = Plan(graph, opset, {}, shapes, Budget(len(content)))
        self._programs = Programs(self._plan)

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """The outputs for arrays, in the order of `inputs` or by their names.

        Returns:
            The output; a tuple of several.

        Raises:
            ValueError: An input is missing, not known, or does not fit the graph.
        """
        found = self.run(self._named(inputs, named))
        outputs = tuple(found[value.name] for value in self.outputs)
        return outputs[0] if len(outputs) == 1 else outputs

    def predict(self, x: Any, verbose: Any = 0) -> Any:
        """As a call; `x` is an array, a list of them, or a dict by name."""
        if isinstance(x, Mapping):
            return self(**x)
        return self(*x) if isinstance(x, list | tuple) else self(x)

    @property
    def plan(self) -> Plan:
        """The part of the graph that must run."""
        return self._plan

    def checked(self, x: Any) -> dict[str, Array]:
        """The arguments of `predict` by the names of the inputs, after checking them."""
        if isinstance(x, Mapping):
            return self._checked(x)
        return self._checked(self._named(x if isinstance(x, list | tuple) else [x], {}))

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Array]:
        """The outputs by name, for inputs by name."""
        outputs = self._programs.run(self._checked(inputs))
        return {value.name: each for value, each in zip(self.outputs, outputs, strict=True)}

    def to_layers(self) -> Sequential:
        """A trainable model of layers with the file's weights, if the graph is a chain of them.

        Embedding, LSTM, GRU, RNN and the Scans that `export` writes for other cells (forward and
        bidirectional, from zero states), products with a bias, LayerNormalization and activations
        may follow one another, with any transposes and reshapes that an exporter put between. The
        model takes `[batch, time, features]`, whatever the graph's order is, and gives the graph's
        first output.

        Raises:
            ValueError: It is no such chain; the message names the first node that is not a layer.
        """
        return layers_of(self._programs.plan, self.inputs, self.outputs)

    def stream(
        self,
        streams: int = 1,
        *,
        states: Mapping[str, str] | None = None,
        initial: Mapping[str, Any] | None = None,
        **settled: Any,
    ) -> OnnxStream | Stream:
        """The model as a stream: one step per call, its states kept.

        A graph with states among its inputs and outputs gives an `OnnxStream`. A chain of layers
        without such states gives the stream of `to_layers()`, which takes one step `[features]`.

        Which inputs are states, and which outputs become them, is inferred from their shapes and
        their names or order; the first input and the first output are no states.

        Args:
            streams: The size of the states' axis that the file leaves open.
            states: The inputs that are states, with the outputs that become them.
            initial: What states are at first, if not zeros.
            settled: Inputs that are the same in every call, such as a sampling rate.

        Raises:
            ValueError: There are no states, and the graph is not a chain of layers.
        """
        if states is None and len(self.inputs) == 1:
            return self.to_layers().stream(streams)
        return stream_of(self, states, settled, streams, initial)

    def _named(self, inputs: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
        names = [value.name for value in self.inputs]
        if len(inputs) > len(names):
            raise ValueError(
                f"the model takes the {len(names)} inputs {names}, received {len(inputs)}"
            )
        return {**dict(zip(names, inputs, strict=False)), **named}

    def _checked(self, inputs: Mapping[str, Any]) -> dict[str, Array]:
        names = [value.name for value in self.inputs]
        if set(inputs) != set(names):
            raise ValueError(f"`inputs` must be {names}, received {sorted(inputs)}")
        found: dict[str, Array] = {}
        for value in self.inputs:
            array = np.asarray(inputs[value.name])
            array = array if value.dtype is None else array.astype(value.dtype, copy=False)
            wanted = value.shape
            if wanted is not None and (
                len(wanted) != array.ndim
                or any(
                    isinstance(n, int) and n > 0 and n != m
                    for n, m in zip(wanted, array.shape, strict=True)
                )
            ):
                raise ValueError(
                    f"the input {value.name!r} must have the shape {wanted}, received {array.shape}"
                )
            found[value.name] = array
        return found


def from_onnx(source: Any, *, verify: Any = None, against: Any = "float64") -> OnnxModel:
    """Opens an ONNX file as a model that computes it without ONNX Runtime.

    LSTM, GRU and RNN nodes (each direction and layout, `sequence_lens`, initial states, peepholes,
    clip, activations with alpha and beta, `linear_before_reset`), products and convolutions run in
    the engine, some 95 other operators in NumPy. Whatever depends on constants alone is computed
    once, when the file is read.

    Args:
        source: A path, the bytes of a file, or an `onnx.ModelProto`.
        verify: Inputs, as `OnnxModel.predict` takes them, to run through the graph and a second
            source; the largest difference of each node is printed.
        against: The second source, as in `ferrnn.verify`: `"onnxruntime"` or `"float64"`.

    Raises:
        ValueError: It is not an ONNX model, or a node is not supported: the message names the file,
            where there is one, and the node.

    Warns:
        UserWarning: The file has a GRU as some versions of PyTorch's exporter wrote it, with
            `linear_before_reset=0` where PyTorch computes 1. It is computed as written.
    """
    is_path = isinstance(source, str | os.PathLike)
    with reading(source) if is_path else nullcontext():
        made = _opened(_bytes(source))
    if verify is not None:
        print(public("saving", "verify")(made, verify, against))  # noqa: T201 - what it is for
    return made


def _opened(data: bytes) -> OnnxModel:
    model = read_model(data)
    unknown = _unknown(model.graph)
    if unknown:
        raise OnnxError(f"not supported: {'; '.join(unknown[:10])}")
    wrong = _reset_gates(model.graph, model.producer)
    if wrong:
        warn(
            f"{', '.join(wrong[:3])}: PyTorch {model.producer_version} exports `nn.GRU` with "
            "`linear_before_reset=0`, though it computes with 1, so that the file's numbers may "
            "differ from the module's. It is computed as written; export it again with "
            "onnxscript 0.7.1 or newer, or load the state dict by `from_torch`"
        )
    return OnnxModel(model.graph, model.opset, data)


def _bytes(source: Any) -> bytes:
    if isinstance(source, str | os.PathLike):
        return Path(source).read_bytes()
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if hasattr(source, "SerializeToString"):
        return bytes(source.SerializeToString())
    raise TypeError(
        f"`source` must be a path, bytes or an onnx.ModelProto, received a {type(source).__name__}"
    )


def _unknown(graph: Graph) -> list[str]:
    """The nodes that are not supported."""
    found = []
    for node in graph.nodes:
        inner = [value for value in node.attributes.values() if isinstance(value, Graph)]
        if node.domain not in _OWN_DOMAINS or node.operator not in KNOWN:
            domain = f" of {node.domain}" if node.domain else ""
            found.append(f"the {node.described()}{domain}")
        for each in inner:
            found += _unknown(each)
    return found


def _reset_gates(graph: Graph, producer: str) -> list[str]:
    """PyTorch's GRUs without `linear_before_reset`, recognized by their biases."""
    if producer != "pytorch":
        return []
    found = []
    for node in graph.nodes:
        if node.operator != "GRU" or node.attributes.get("linear_before_reset", 0):
            continue
        bias = graph.constants.get(node.inputs[3]) if len(node.inputs) > 3 else None
        third = None if bias is None else bias[..., -bias.shape[-1] // 6 :]
        if third is None or third.any():
            found.append(f"the {node.described()}")
    return found
