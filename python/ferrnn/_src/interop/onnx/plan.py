"""What is left of an ONNX graph to run, once all that depends on constants alone is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ferrnn._src.interop.onnx.files import Graph, Node, OnnxError
from ferrnn._src.interop.onnx.loops import loop
from ferrnn._src.interop.onnx.operators import OPERATORS
from ferrnn._src.interop.onnx.products import PREPARED
from ferrnn._src.interop.onnx.recurrent import Recurrent
from ferrnn._src.interop.onnx.unrolled import unrolled
from ferrnn._src.tree.types import Array

_RECURRENT = ("LSTM", "GRU", "RNN")
# A fold may repeat a constant; what becomes much larger than the file is not kept.
_LARGEST_FOLD = 64 << 20

Run = Callable[[list[Any]], "list[Array]"]


@dataclass
class Step:
    """A node that is ready to run; `branches` are those of an `If` that is not yet decided."""

    node: Node
    run: Run
    opset: int
    branches: Mapping[bool, Plan] | None = None


def _branch(node: Node, condition: Array) -> Graph:
    key = "then_branch" if bool(np.ravel(condition)[0]) else "else_branch"
    branch = node.attributes.get(key)
    if not isinstance(branch, Graph):
        raise OnnxError(f"the {node.described()} has no {key}")
    return branch


class Plan:
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
        self.steps: list[Step] = []
        self._add(graph)
        self._join()
        self._drop()

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
            elif node.operator == "Loop":
                self.steps.append(self._loop(node))
            elif not self._fold(step := prepared(node, self._opset, self.constants)):
                self.steps.append(step)

    def _join(self) -> None:
        """Puts one step in the place of those that are a step of an LSTM together."""
        nodes = [step.node for step in self.steps]
        for found in unrolled(nodes, self.constants, self.outputs):
            at = next(n for n, step in enumerate(self.steps) if step.node is found.place)
            self.steps[at] = Step(found.node, found.run, self._opset)
            gone = {id(node) for node in found.gone}
            self.steps = [step for step in self.steps if id(step.node) not in gone]

    def _drop(self) -> None:
        """Leaves out what no output needs."""
        wanted, kept = set(self.outputs), []
        for step in reversed(self.steps):
            if wanted.intersection(name for name in step.node.outputs if name):
                kept.append(step)
                wanted.update(step.node.inputs)
        self.steps = kept[::-1]

    def _fold(self, step: Step) -> bool:
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
        found = run_step(step, inputs)
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
            self.steps.append(prepared(node, self._opset, self.constants))

    def _choice(self, node: Node) -> Step:
        """An `If` on a value that is known only when it runs; it takes what its branches use."""
        branches = {
            key: Plan(_branch(node, np.array(key)), self._opset, self.constants, self._shapes)
            for key in (True, False)
        }
        outer = sorted({name for plan in branches.values() for name in plan.free()})
        whole = Node("If", "", node.name, [node.inputs[0], *outer], node.outputs, {})

        def run(x: list[Any]) -> list[Array]:
            chosen = branches[bool(np.ravel(x[0])[0])]
            return chosen.run(dict(zip(outer, x[1:], strict=True)))

        return Step(whole, run, self._opset, branches)

    def _loop(self, node: Node) -> Step:
        """A Loop, which is not run before the model is: it takes what its body uses, too."""
        graph = node.attributes.get("body")
        if (
            not isinstance(graph, Graph)
            or len(node.inputs) < 2
            or (len(node.inputs) != len(graph.inputs))
        ):
            raise OnnxError(f"the {node.described()} has no body that fits its inputs")
        body = Plan(graph, self._opset, self.constants, {})
        own = {value.name for value in graph.inputs}
        outer = sorted(body.free() - own)
        whole = Node("Loop", "", node.name, [*node.inputs, *outer], node.outputs, {})
        return Step(whole, loop(graph, body, outer, f"the {node.described()}"), self._opset)

    def free(self) -> set[str]:
        """The names of the values that it takes from outside."""
        inside = {name for step in self.steps for name in step.node.outputs}
        used = {name for step in self.steps for name in step.node.inputs if name}
        return (used | set(self.outputs)) - inside - set(self.constants)

    def run(self, given: Mapping[str, Any]) -> list[Array]:
        """The outputs for the values of `free`."""
        values: dict[str, Any] = {**self.constants, **given}
        for step in self.steps:
            for name in step.node.inputs:
                if name and name not in values:
                    place = step.node.described()
                    raise OnnxError(f"the {place} needs {name!r}, which nothing computes")
            needed = [values[name] if name else None for name in step.node.inputs]
            values.update(zip(step.node.outputs, run_step(step, needed), strict=False))
        for name in self.outputs:
            if name not in values:
                raise OnnxError(f"the output {name!r} is one that nothing computes")
        return [np.asarray(values[name]) for name in self.outputs]


def prepared(node: Node, opset: int, constants: Mapping[str, Array]) -> Step:
    place, attributes = f"the {node.described()}", node.attributes
    if node.operator in _RECURRENT:
        recurrent = Recurrent(node.operator, attributes, place)
        w, r, bias = (*(constants.get(name) for name in node.inputs[1:4]), None, None, None)[:3]
        recurrent.check_weights(w, r, bias)
        return Step(node, recurrent.run, opset)
    if node.operator in PREPARED:
        return Step(node, PREPARED[node.operator](attributes, place), opset)
    operator = OPERATORS[node.operator]
    told = {**attributes, "_outputs": len(node.outputs)}

    def run(x: list[Any]) -> list[Array]:
        found = operator(x, told, opset)
        return found if isinstance(found, list) else [np.asarray(found)]

    return Step(node, run, opset)


def run_step(step: Step, inputs: list[Any]) -> list[Array]:
    """The outputs of one node."""
    with np.errstate(all="ignore"), failed(step.node, inputs):
        return step.run(inputs)


@contextmanager
def failed(node: Node, inputs: list[Any]) -> Iterator[None]:
    """Names the node in what goes wrong."""
    try:
        yield
    except OnnxError:
        raise
    except (ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
        shapes = [None if each is None else np.shape(each) for each in inputs]
        raise OnnxError(
            f"the {node.described()} cannot take inputs of the shapes {shapes}: {error}"
        ) from error
