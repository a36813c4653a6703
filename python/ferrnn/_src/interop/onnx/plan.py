"""The part of an ONNX graph that must run, after folding what depends only on constants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ferrnn._src.interop.onnx.files import Graph, Node, OnnxError
from ferrnn._src.interop.onnx.folding import Budget
from ferrnn._src.interop.onnx.growing import resize, transposed_convolution
from ferrnn._src.interop.onnx.loops import INSIDE, Body, loop, scan
from ferrnn._src.interop.onnx.operators import OPERATORS
from ferrnn._src.interop.onnx.products import IN_NUMPY, PREPARED, Run
from ferrnn._src.interop.onnx.programs import Programs
from ferrnn._src.interop.onnx.recurrent import Recurrent
from ferrnn._src.interop.onnx.shaping import Operator
from ferrnn._src.interop.onnx.steps import Step, run_step
from ferrnn._src.interop.onnx.unrolled import unrolled
from ferrnn._src.tree.types import Array

RECURRENT = ("LSTM", "GRU", "RNN")
# Functions that make a node's function from its attributes, and fixed functions.
MADE: Mapping[str, Callable[[Mapping[str, Any], str], Run]] = {
    **PREPARED,
    "ConvTranspose": transposed_convolution,
}
COMPUTED: Mapping[str, Operator] = {**OPERATORS, "Resize": resize, "Upsample": resize}
# Folding may repeat a constant; results much larger than the file are not kept.
_LARGEST_FOLD = 64 << 20


def _branch(node: Node, condition: Array) -> Graph:
    key = "then_branch" if bool(np.ravel(condition)[0]) else "else_branch"
    branch = node.attributes.get(key)
    if not isinstance(branch, Graph):
        raise OnnxError(f"the {node.described()} must have the attribute {key}")
    return branch


class Plan:
    """The part of a graph that must run, and the constants that the rest is folded into."""

    def __init__(
        self,
        graph: Graph,
        opset: int,
        outside: Mapping[str, Array],
        shapes: Mapping[str, tuple[int | str | None, ...] | None],
        budget: Budget,
        *,
        engine: bool = True,
    ) -> None:
        self._opset, self._shapes, self._budget = opset, shapes, budget
        self._engine = engine  # otherwise everything runs in NumPy
        self.constants = {**outside, **graph.constants}
        self.outputs = [value.name for value in graph.outputs]
        self.steps: list[Step] = []
        self._add(graph)
        if engine:
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
            elif node.operator in INSIDE:
                self.steps.append(self._loop(node))
            elif not self._fold(step := self._prepared(node)):
                self.steps.append(step)

    def _join(self) -> None:
        """Replaces the nodes that together are a step of an LSTM by one step."""
        nodes = [step.node for step in self.steps]
        for found in unrolled(nodes, self.constants, self.outputs):
            at = next(n for n, step in enumerate(self.steps) if step.node is found.place)
            self.steps[at] = Step(found.node, found.run, self._opset)
            gone = {id(node) for node in found.gone}
            self.steps = [step for step in self.steps if id(step.node) not in gone]

    def _drop(self) -> None:
        """Removes the steps that no output needs."""
        wanted, kept = set(self.outputs), []
        for step in reversed(self.steps):
            if wanted.intersection(name for name in step.node.outputs if name):
                kept.append(step)
                wanted.update(step.node.inputs)
        self.steps = kept[::-1]

    def _prepared(self, node: Node) -> Step:
        return prepared(node, self._opset, self.constants, engine=self._engine)

    def _fold(self, step: Step) -> bool:
        """Keeps a node's outputs as constants, if they do not depend on an input."""
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
        if not self._budget.has_room(node, inputs):
            return False
        found = run_step(step, inputs)
        if sum(each.nbytes for each in found) > _LARGEST_FOLD:
            return False
        self._budget.take(found, inputs)
        self.constants |= dict(zip(node.outputs, found, strict=False))
        return True

    def _alias(self, inner: str, outer: str) -> None:
        """Makes a value of a branch available under its name outside as well."""
        if inner in self.constants:
            self.constants[outer] = self.constants[inner]
        else:
            node = Node("Identity", "", "", [inner], [outer], {})
            self.steps.append(self._prepared(node))

    def _inner(self, graph: Graph, outside: Mapping[str, Array], shapes: Any) -> Plan:
        return Plan(graph, self._opset, outside, shapes, self._budget, engine=self._engine)

    def _choice(self, node: Node) -> Step:
        """An `If` on a value known only when it runs; its inputs include what its branches use."""
        branches = {
            key: self._inner(_branch(node, np.array(key)), self.constants, self._shapes)
            for key in (True, False)
        }
        outer = sorted({name for plan in branches.values() for name in plan.free()})
        whole = Node("If", "", node.name, [node.inputs[0], *outer], node.outputs, {})

        def run(x: list[Any]) -> list[Array]:
            chosen = branches[bool(np.ravel(x[0])[0])]
            return chosen.run(dict(zip(outer, x[1:], strict=True)))

        return Step(whole, run, self._opset, branches)

    def _loop(self, node: Node) -> Step:
        """A Loop or Scan, which is not folded; its inputs include what its body uses."""
        graph, place = node.attributes.get("body"), f"the {node.described()}"
        is_loop = node.operator == "Loop"
        if not isinstance(graph, Graph) or len(node.inputs) != len(graph.inputs):
            raise OnnxError(f"{place} must have a body that fits its inputs")
        if (is_loop and len(node.inputs) < 2) or (not is_loop and "" in node.inputs):
            raise OnnxError(f"{place} must have a body that fits its inputs")
        own = {value.name for value in graph.inputs}
        around = {name: value for name, value in self.constants.items() if name not in own}
        body = self._inner(graph, around, {})
        outer = sorted(body.free() - own)
        inputs = [*node.inputs, *outer]
        whole = Node(node.operator, "", node.name, inputs, node.outputs, node.attributes)
        if is_loop:
            return Step(whole, loop(graph, body, outer, place), self._opset)
        if self._opset < 9:
            raise OnnxError(f"{place} has the form of opset 8, which is not supported")
        turned: Body = Programs(body) if self._engine else body
        return Step(whole, scan(graph, turned, node.attributes, outer, place), self._opset)

    def free(self) -> set[str]:
        """The names of the values that the plan takes from outside."""
        inside = {name for step in self.steps for name in step.node.outputs}
        used = {name for step in self.steps for name in step.node.inputs if name}
        return (used | set(self.outputs)) - inside - set(self.constants)

    def run(self, given: Mapping[str, Any]) -> list[Array]:
        """The outputs for the values of `free`."""
        values = self.values(given)
        for name in self.outputs:
            if name not in values:
                raise OnnxError(f"the output {name!r} is not computed by any node")
        return [np.asarray(values[name]) for name in self.outputs]

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All values for those of `free`, node by node."""
        values: dict[str, Any] = {**self.constants, **given}
        for step in self.steps:
            for name in step.node.inputs:
                if name and name not in values:
                    place = step.node.described()
                    raise OnnxError(
                        f"the {place} needs {name!r}, which is not computed by any node"
                    )
            needed = [values[name] if name else None for name in step.node.inputs]
            values.update(zip(step.node.outputs, run_step(step, needed), strict=False))
        return values


# All supported operators.
KNOWN = frozenset({*MADE, *COMPUTED, *RECURRENT, *INSIDE, "If"})


def prepared(
    node: Node, opset: int, constants: Mapping[str, Array], *, engine: bool = True
) -> Step:
    place, attributes = f"the {node.described()}", node.attributes
    if not engine:
        attributes = {**attributes, IN_NUMPY: True}
    if node.operator in RECURRENT:
        recurrent = Recurrent(node.operator, attributes, place)
        w, r, bias = (*(constants.get(name) for name in node.inputs[1:4]), None, None, None)[:3]
        recurrent.check_weights(w, r, bias)
        return Step(node, recurrent.run, opset)
    if node.operator in MADE:
        return Step(node, MADE[node.operator](attributes, place), opset)
    operator = COMPUTED[node.operator]
    told = {**attributes, "_outputs": len(node.outputs)}

    def run(x: list[Any]) -> list[Array]:
        found = operator(x, told, opset)
        return found if isinstance(found, list) else [np.asarray(found)]

    return Step(node, run, opset)
