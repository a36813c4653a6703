"""An ONNX plan for each set of input shapes, with what depends only on shapes computed once.

The first call with new shapes runs node by node and records its steps; later ones repeat them. An
`If` on shapes is decided then, and so is one on an input that is a single integer (a sampling
rate), as long as it takes few values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.interop.onnx.files import Node, OnnxError
from ferrnn._src.interop.onnx.loops import INSIDE
from ferrnn._src.interop.onnx.quick import RESHAPES, quick
from ferrnn._src.interop.onnx.steps import Planned, Run, Step, failed
from ferrnn._src.tree.types import Array

# The number of programs kept, and of programs made before integers are no longer fixed.
_MOST_KEPT, _MOST_SETTLED = 16, 32
# The inputs whose values determine the shape of the outputs.
_SHAPES_FROM = {
    "ConstantOfShape": (0,), "Expand": (1,), "OneHot": (1,), "Pad": (1, 3), "Range": (0, 1, 2),
    "Reshape": (1,), "Slice": (1, 2, 3, 4), "Split": (1,), "Squeeze": (1,), "Tile": (1,),
    "TopK": (1,), "Unsqueeze": (1,),
}  # fmt: skip
_REDUCTIONS = (1,)
# Larger constants that depend on shapes are computed in each call.
_LARGEST_FOLD = 1 << 20
# Smaller values are not freed before the end of a call.
_LARGE = 1 << 14

Noted: TypeAlias = "tuple[Node, Run, list[str], list[str]]"
_Fast: TypeAlias = "tuple[Run, tuple[int, ...], tuple[int, ...], tuple[int, ...], Node]"


class Programs:
    """A plan with its programs."""

    def __init__(self, plan: Planned) -> None:
        self.plan = plan
        self._kept: dict[Any, _Program] = {}
        self._made = 0
        self._branches = any(step.branches is not None for step in plan.steps)

    def run(self, given: Mapping[str, Array]) -> list[Array]:
        """The outputs for the inputs, in their order."""
        settled = self._branches and self._made < _MOST_SETTLED
        key = tuple(
            (
                x.shape,
                x.dtype.char,
                x.item() if settled and not x.ndim and x.dtype.kind in "iub" else None,
            )
            for x in given.values()
        )
        program = self._kept.get(key)
        if program is not None:
            return program.run(given)
        trace = _Trace(
            given, {n for n, (_, _, value) in zip(given, key, strict=True) if value is not None}
        )
        trace.walk(self.plan)
        outputs = [trace.value(name) for name in self.plan.outputs]
        newest = list(self._kept.items())[1 - _MOST_KEPT :]
        # One assignment, so that another thread sees the old ones or the new ones.
        self._kept = {**dict(newest), key: _Program(trace, self.plan.outputs)}
        self._made += 1
        return outputs


class _Trace:
    """One run, node by node, which records its steps."""

    def __init__(self, given: Mapping[str, Array], settled: set[str]) -> None:
        self.values: dict[str, Any] = dict(given)
        self.given = list(given)
        self.fixed = set(settled)  # values that depend only on shapes
        self.firm = set(given)  # values whose shapes depend only on shapes
        self.same: dict[str, str] = {}  # other names of values
        self.reshaped: dict[str, str] = {}  # the value that a value is a reshape of
        self.noted: list[Noted] = []

    def value(self, name: str) -> Array:
        """An output of the graph."""
        if name not in self.values:
            raise OnnxError(f"the output {name!r} is not computed by any node")
        return np.asarray(self.values[name])

    def walk(self, plan: Planned) -> None:
        """Runs the steps of a plan, with decided branches replaced by their steps."""
        self.values.update(plan.constants)
        self.fixed.update(plan.constants)
        self.firm.update(plan.constants)
        for step in plan.steps:
            node = step.node
            for name in node.inputs:
                if name and name not in self.values:
                    raise OnnxError(
                        f"the {node.described()} needs {name!r}, which is not computed by any node"
                    )
            if step.branches is not None and node.inputs[0] in self.fixed:
                inner = step.branches[bool(np.ravel(self.values[node.inputs[0]])[0])]
                self.walk(inner)
                for outer, name in zip(node.outputs, inner.outputs, strict=False):
                    self._rename(name, outer)
            else:
                self._step(step)

    def _rename(self, name: str, outer: str) -> None:
        self.values[outer] = self.value(name)
        self.same[outer] = self.same.get(name, name)
        for known in (self.fixed, self.firm):
            if name in known:
                known.add(outer)

    def _step(self, step: Step) -> None:
        node = step.node
        names = [name for name in node.inputs if name]
        x = [self.values[name] if name else None for name in node.inputs]
        fixed = [not name or name in self.fixed for name in node.inputs]
        firm = all(name in self.firm for name in names)
        run: Run | None = None
        with np.errstate(all="ignore"), failed(node, x):
            if firm and step.branches is None:
                run = quick(node, step.opset, x, fixed)
            found = (run or step.run)(x)
        if _is_same(node, x, found):
            self._rename(node.inputs[0], node.outputs[0])
            return
        self.values.update(zip(node.outputs, found, strict=False))
        of_shapes = all(fixed) or (firm and node.operator in {"Shape", "Size"})
        if of_shapes and sum(each.nbytes for each in found) <= _LARGEST_FOLD:
            self.fixed.update(node.outputs)
        else:
            inputs = [self.same.get(name, name) for name in node.inputs]
            if run is not None and node.operator in RESHAPES:
                inputs = [self.reshaped.get(inputs[0], inputs[0]), *inputs[1:]]
                self.reshaped[node.outputs[0]] = inputs[0]
                if self.values[inputs[0]].shape == found[0].shape:
                    self._rename(inputs[0], node.outputs[0])
                    return
            self.noted.append((node, run or step.run, inputs, node.outputs))
        say = (
            _REDUCTIONS
            if node.operator.startswith("Reduce")
            else _SHAPES_FROM.get(node.operator, ())
        )
        known = step.branches is None and node.operator not in INSIDE
        if firm and known and all(fixed[at] for at in say if at < len(fixed)):
            self.firm.update(node.outputs)


def _is_same(node: Node, x: list[Any], found: list[Array]) -> bool:
    """Whether the node passes its input on unchanged."""
    if node.operator == "Cast":
        return bool(found[0].dtype == np.asarray(x[0]).dtype)
    return node.operator == "Identity" or (node.operator == "Dropout" and len(node.outputs) == 1)


class _Program:
    """The recorded steps that the outputs need, on numbered values."""

    def __init__(self, trace: _Trace, outputs: list[str]) -> None:
        wanted = [trace.same.get(name, name) for name in outputs]
        steps = _needed(trace.noted, wanted)
        made = {name for _, _, _, names in steps for name in names if name} | {*trace.given}
        numbers: dict[str, int] = {"": 0}  # None, for inputs that are left out
        for name in trace.given:
            numbers[name] = len(numbers)
        for name in [name for _, _, inputs, names in steps for name in (*inputs, *names)] + wanted:
            numbers.setdefault(name, len(numbers))
        self._start = [None if n in made or not n else trace.values[n] for n in numbers]
        self._start.append(None)  # for outputs that are left out
        self._outputs = [numbers[name] for name in wanted]
        large = {name for name in made if np.asarray(trace.values[name]).nbytes > _LARGE}
        dead = _last_uses(steps, wanted, large)
        self._steps: list[_Fast] = [
            (
                run,
                tuple(numbers[name] for name in inputs),
                tuple(numbers[name] if name else len(numbers) for name in names),
                tuple(numbers[name] for name in dead[at]),
                node,
            )
            for at, (node, run, inputs, names) in enumerate(steps)
        ]

    def run(self, given: Mapping[str, Array]) -> list[Array]:
        """The outputs for inputs of the shapes that this program is for."""
        values = self._start.copy()
        values[1 : 1 + len(given)] = given.values()
        x: list[Any] = []
        node: Node | None = None
        with np.errstate(all="ignore"):  # as in C, without warnings about infinities and NaN
            try:
                for run, inputs, outputs, dead, node in self._steps:  # noqa: B007 - for an error
                    x = [values[at] for at in inputs]
                    if len(outputs) == 1:
                        values[outputs[0]] = run(x)[0]
                    else:
                        for at, found in zip(outputs, run(x), strict=False):
                            values[at] = found
                    for at in dead:
                        values[at] = None
            except (ValueError, TypeError, IndexError, KeyError, AttributeError):
                assert node is not None
                with failed(node, x):
                    raise
        return [np.asarray(values[at]) for at in self._outputs]


def all_values(plan: Planned, given: Mapping[str, Array]) -> Mapping[str, Any]:
    """Every value of one run."""
    trace = _Trace(given, set())
    trace.walk(plan)
    return trace.values


def traced(
    plan: Planned, given: Mapping[str, Array], output: str
) -> tuple[Mapping[str, Any], list[Noted], str]:
    """Every value of one run, the steps that an output depends on, and the output's first name."""
    trace = _Trace(given, set())
    trace.walk(plan)
    last = trace.same.get(output, output)
    return trace.values, _needed(trace.noted, [last]), last


def _needed(noted: list[Noted], outputs: list[str]) -> list[Noted]:
    """The steps that an output depends on, in order."""
    wanted, found = set(outputs), []
    for each in reversed(noted):
        if wanted.intersection(each[3]):
            found.append(each)
            wanted.update(name for name in each[2] if name)
    return found[::-1]


def _last_uses(steps: list[Noted], kept: list[str], large: set[str]) -> list[list[str]]:
    """For each step, the large values that no later step needs."""
    last = {name: at for at, step in enumerate(steps) for name in (*step[2], *step[3])}
    freed: list[list[str]] = [[] for _ in steps]
    for name, at in last.items():
        if name in large and name not in kept:
            freed[at].append(name)
    return freed
