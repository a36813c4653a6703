"""Runs ONNX models: what depends on constants alone is computed once, the rest node by node."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ferrnn._src.configs.notices import warn
from ferrnn._src.interop.onnx_files import Graph, Node, OnnxError, Value, read_model
from ferrnn._src.interop.onnx_operators import OPERATORS
from ferrnn._src.interop.onnx_products import PREPARED
from ferrnn._src.interop.onnx_recurrent import Recurrent
from ferrnn._src.tree.types import Array

_RECURRENT = ("LSTM", "GRU", "RNN")
_OWN_DOMAINS = ("", "ai.onnx")
# A fold may repeat a constant; what becomes much larger than the file is not kept.
_LARGEST_FOLD = 64 << 20

Run = Callable[[list[Any]], "list[Array]"]


@dataclass
class _Step:
    """A node that is ready to run."""

    node: Node
    run: Run


class OnnxModel:
    """A model read from ONNX: it computes what the file says, in NumPy and in the engine.

    Made by `from_onnx`. `inputs` and `outputs` describe what goes in and comes out.
    """

    def __init__(self, graph: Graph, opset: int) -> None:
        given = [value for value in graph.inputs if value.name not in graph.constants]
        self.inputs: tuple[Value, ...] = tuple(given)
        self.outputs: tuple[Value, ...] = tuple(graph.outputs)
        self._plan = _Plan(graph, opset, {}, {value.name: value.shape for value in given})

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

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Array]:
        """The outputs by name, for inputs by name."""
        outputs = self._plan.run(self._checked(inputs))
        return {value.name: each for value, each in zip(self.outputs, outputs, strict=True)}

    def _named(self, inputs: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
        names = [value.name for value in self.inputs]
        if len(inputs) > len(names):
            raise ValueError(f"the model takes {len(names)} inputs {names}, received {len(inputs)}")
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


def from_onnx(source: Any) -> OnnxModel:
    """Opens an ONNX file and returns a model that computes what it says, without ONNX Runtime.

    LSTM, GRU and RNN nodes (each direction and layout, `sequence_lens`, initial states, peepholes,
    clip, activations with alpha and beta, `linear_before_reset`), products and convolutions run in
    the engine, some 80 other operators in NumPy. Whatever depends on constants alone is computed
    once, when the file is read.

    Args:
        source: A path, the bytes of a file, or an `onnx.ModelProto`.

    Raises:
        ValueError: It is not an ONNX model, or a node is not supported: the message names it.

    Warns:
        UserWarning: The file has a GRU as some versions of PyTorch's exporter wrote it, with
            `linear_before_reset=0` where PyTorch computes 1. It is computed as written.
    """
    model = read_model(_bytes(source))
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
    return OnnxModel(model.graph, model.opset)


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
    """The nodes that nothing here runs."""
    found = []
    for node in graph.nodes:
        inner = [value for value in node.attributes.values() if isinstance(value, Graph)]
        known = node.operator in (*OPERATORS, *PREPARED, *_RECURRENT, "If")
        if node.domain not in _OWN_DOMAINS or not known:
            domain = f" of {node.domain}" if node.domain else ""
            found.append(f"the {node.described()}{domain}")
        for each in inner:
            found += _unknown(each)
    return found


def _reset_gates(graph: Graph, producer: str) -> list[str]:
    """The GRUs of PyTorch without `linear_before_reset`, whose biases tell the two apart."""
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


def _branch(node: Node, condition: Array) -> Graph:
    key = "then_branch" if bool(np.ravel(condition)[0]) else "else_branch"
    branch = node.attributes.get(key)
    if not isinstance(branch, Graph):
        raise OnnxError(f"the {node.described()} has no {key}")
    return branch


class _Plan:
    """What is left of a graph to run, and the constants that the rest has become."""

    def __init__(
        self,
        graph: Graph,
        opset: int,
        outside: Mapping[str, Array],
        shapes: Mapping[str, tuple[int | str | None, ...] | None],
    ) -> None:
        self._opset, self._shapes = opset, shapes
        self.constants = {**outside, **graph.constants}
        self.outputs = [value.name for value in graph.outputs]
        self.steps: list[_Step] = []
        self._add(graph)
        self._last_use = _last_uses(self.steps, self.outputs)

    def _add(self, graph: Graph) -> None:
        for node in graph.nodes:
            if node.operator == "If" and node.inputs[0] in self.constants:
                branch = _branch(node, self.constants[node.inputs[0]])
                self.constants |= branch.constants
                self._add(branch)
                for outer, value in zip(node.outputs, branch.outputs, strict=False):
                    self._alias(value.name, outer)
            elif node.operator == "If":
                self.steps.append(self._choice(node))
            elif not self._fold(step := _prepared(node, self._opset, self.constants)):
                self.steps.append(step)

    def _fold(self, step: _Step) -> bool:
        """Keeps a node's outputs as constants, if none of them depends on an input."""
        node = step.node
        if not node.outputs:
            return False
        inputs = [self.constants.get(name) for name in node.inputs]
        if any(each is None and name for each, name in zip(inputs, node.inputs, strict=True)):
            shape = self._shapes.get(node.inputs[0])
            if node.operator not in {"Shape", "Size"} or shape is None:
                return False
            sizes = [size if isinstance(size, int) else 0 for size in shape]
            if min(sizes, default=1) <= 0:
                return False
            inputs = [np.broadcast_to(np.float32(0), sizes)]
        found = _run(step, inputs)
        if sum(each.nbytes for each in found) > _LARGEST_FOLD:
            return False
        self.constants |= dict(zip(node.outputs, found, strict=False))
        return True

    def _alias(self, inner: str, outer: str) -> None:
        """Lets a value of a branch be known by its name outside, too."""
        if inner in self.constants:
            self.constants[outer] = self.constants[inner]
        else:
            node = Node("Identity", "", "", [inner], [outer], {})
            self.steps.append(_prepared(node, self._opset, self.constants))

    def _choice(self, node: Node) -> _Step:
        """An `If` on a value that is known only when it runs; it takes what its branches use."""
        branches = {
            key: _Plan(_branch(node, np.array(key)), self._opset, self.constants, self._shapes)
            for key in (True, False)
        }
        outer = sorted({name for plan in branches.values() for name in plan.free()})
        whole = Node("If", "", node.name, [node.inputs[0], *outer], node.outputs, {})

        def run(x: list[Any]) -> list[Array]:
            chosen = branches[bool(np.ravel(x[0])[0])]
            return chosen.run(dict(zip(outer, x[1:], strict=True)))

        return _Step(whole, run)

    def free(self) -> set[str]:
        """The names of the values that it takes from outside."""
        inside = {name for step in self.steps for name in step.node.outputs}
        used = {name for step in self.steps for name in step.node.inputs if name}
        return (used | set(self.outputs)) - inside - set(self.constants)

    def run(self, given: Mapping[str, Any]) -> list[Array]:
        """The outputs for the values of `free`."""
        values: dict[str, Any] = {**self.constants, **given}
        for at, step in enumerate(self.steps):
            for name in step.node.inputs:
                if name and name not in values:
                    place = step.node.described()
                    raise OnnxError(f"the {place} needs {name!r}, which nothing computes")
            needed = [values[name] if name else None for name in step.node.inputs]
            values.update(zip(step.node.outputs, _run(step, needed), strict=False))
            for name in self._last_use.get(at, ()):
                values.pop(name, None)
        for name in self.outputs:
            if name not in values:
                raise OnnxError(f"the output {name!r} is one that nothing computes")
        return [np.asarray(values[name]) for name in self.outputs]


def _prepared(node: Node, opset: int, constants: Mapping[str, Array]) -> _Step:
    place, attributes = f"the {node.described()}", node.attributes
    if node.operator in _RECURRENT:
        recurrent = Recurrent(node.operator, attributes, place)
        w, r, bias = (*(constants.get(name) for name in node.inputs[1:4]), None, None, None)[:3]
        recurrent.check_weights(w, r, bias)
        return _Step(node, recurrent.run)
    if node.operator in PREPARED:
        return _Step(node, PREPARED[node.operator](attributes, place))
    operator = OPERATORS[node.operator]
    told = {**attributes, "_outputs": len(node.outputs)}

    def run(x: list[Any]) -> list[Array]:
        found = operator(x, told, opset)
        return found if isinstance(found, list) else [np.asarray(found)]

    return _Step(node, run)


def _run(step: _Step, inputs: list[Any]) -> list[Array]:
    try:
        with np.errstate(all="ignore"):  # as in C: infinities and NaN are results
            return step.run(inputs)
    except OnnxError:
        raise
    except (ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
        shapes = [None if each is None else np.shape(each) for each in inputs]
        raise OnnxError(
            f"the {step.node.described()} cannot take inputs of the shapes {shapes}: {error}"
        ) from error


def _last_uses(steps: list[_Step], kept: list[str]) -> dict[int, list[str]]:
    """For each step the values that no later one needs."""
    last: dict[str, int] = {}
    for at, step in enumerate(steps):
        for name in (*step.node.inputs, *step.node.outputs):
            last[name] = at
    freed: dict[int, list[str]] = {}
    for name, at in last.items():
        if name and name not in kept:
            freed.setdefault(at, []).append(name)
    return freed
