"""ONNX's Loop and Scan, which run a graph repeatedly on its last results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ferrnn._src.interop.onnx.files import Graph, OnnxError, Value
from ferrnn._src.tree.types import Array

# Operators with a graph that runs several times.
INSIDE = ("Loop", "Scan")
# More turns than any model of sequences needs, as a condition may never become false.
_MOST_TURNS = 1 << 24


class Body(Protocol):
    """The plan of the graph inside."""

    def run(self, given: Mapping[str, Any]) -> list[Array]: ...


def loop(
    graph: Graph, body: Body, outside: Sequence[str], place: str
) -> Callable[[list[Any]], list[Array]]:
    """The function of a Loop, whose inputs are count, condition, states and values from outside."""
    names = [value.name for value in graph.inputs]
    carried = len(names) - 2
    scanned = len(graph.outputs) - 1 - carried
    if carried < 0 or scanned < 0:
        raise OnnxError(
            f"{place}: its body must have at least 2 inputs, and an output for each state and the "
            f"condition, received {len(names)} inputs and {len(graph.outputs)} outputs"
        )

    def run(x: list[Any]) -> list[Array]:
        most, condition, *states = x[: 2 + carried]
        given = dict(zip(outside, x[2 + carried :], strict=True))
        goes = condition is None or bool(np.ravel(condition)[0])
        turns = _MOST_TURNS if most is None else int(np.ravel(most)[0])
        kept: list[list[Array]] = [[] for _ in range(scanned)]
        turn = 0
        while goes and turn < turns:
            if turn == _MOST_TURNS:
                raise OnnxError(f"{place}: it must end within {_MOST_TURNS:,} iterations")
            inputs = (np.asarray(turn, np.int64), np.asarray(True), *states)
            found = body.run({**given, **dict(zip(names, inputs, strict=True))})
            goes, states = bool(np.ravel(found[0])[0]), found[1 : 1 + carried]
            for each, one in zip(kept, found[1 + carried :], strict=True):
                each.append(one)
            turn += 1
        ends = graph.outputs[1 + carried :]
        stacked = [_stacked(each, end) for each, end in zip(kept, ends, strict=True)]
        return [*(np.asarray(state) for state in states), *stacked]

    return run


def _none(shape: tuple[int | str | None, ...] | None) -> tuple[int, ...]:
    """The shape of the results of no turns, as far as the file has it."""
    return (0, *(size if isinstance(size, int) else 0 for size in shape or ()))


@dataclass
class _Axes:
    """The axis of each array that a Scan runs along, and its direction."""

    axes: list[int]
    backwards: list[bool]

    @classmethod
    def read(cls, attributes: Mapping[str, Any], kind: str, count: int, place: str) -> _Axes:
        axes = attributes.get(f"scan_{kind}_axes") or [0] * count
        ways = attributes.get(f"scan_{kind}_directions") or [0] * count
        if len(axes) != count or len(ways) != count or not set(ways) <= {0, 1}:
            raise OnnxError(
                f"{place}: scan_{kind}_axes and scan_{kind}_directions must be {count} numbers "
                f"each, directions 0 or 1, received {axes} and {ways}"
            )
        return cls([int(axis) for axis in axes], [bool(way) for way in ways])

    def steps_first(self, arrays: Sequence[Array]) -> list[Array]:
        moved = [np.moveaxis(x, axis, 0) for x, axis in zip(arrays, self.axes, strict=True)]
        return [x[::-1] if back else x for x, back in zip(moved, self.backwards, strict=True)]

    def restored(self, arrays: Sequence[Array]) -> list[Array]:
        turned = [x[::-1] if back else x for x, back in zip(arrays, self.backwards, strict=True)]
        return [np.moveaxis(x, 0, axis) for x, axis in zip(turned, self.axes, strict=True)]


def scan(
    graph: Graph, body: Body, attributes: Mapping[str, Any], outside: Sequence[str], place: str
) -> Callable[[list[Any]], list[Array]]:
    """The function of a Scan, whose inputs are states, sequences and values from outside."""
    names = [value.name for value in graph.inputs]
    given = attributes.get("num_scan_inputs", 0)
    carried = len(names) - given
    scanned = len(graph.outputs) - carried
    if not 0 < given <= len(names) or scanned < 0:
        raise OnnxError(
            f"{place}: `num_scan_inputs` must be between 1 and the number of inputs of the body, "
            f"which must have an output for each state; received {given}, with {len(names)} inputs "
            f"and {len(graph.outputs)} outputs"
        )
    into = _Axes.read(attributes, "input", given, place)
    out = _Axes.read(attributes, "output", scanned, place)

    def run(x: list[Any]) -> list[Array]:
        states = x[:carried]
        sequences = into.steps_first([np.asarray(each) for each in x[carried : len(names)]])
        fixed = dict(zip(outside, x[len(names) :], strict=True))
        lengths = {len(each) for each in sequences}
        if len(lengths) > 1:
            raise OnnxError(
                f"{place}: its sequences must have equal lengths, received {sorted(lengths)}"
            )
        kept: list[list[Array]] = [[] for _ in range(scanned)]
        for inputs in zip(*sequences, strict=True):
            found = body.run({**fixed, **dict(zip(names, (*states, *inputs), strict=True))})
            states = found[:carried]
            for each, one in zip(kept, found[carried:], strict=True):
                each.append(one)
        ends = [
            _stacked(each, end) for each, end in zip(kept, graph.outputs[carried:], strict=True)
        ]
        return [*(np.asarray(state) for state in states), *out.restored(ends)]

    return run


def _stacked(steps: list[Array], end: Value) -> Array:
    """The results of all turns, stacked."""
    return np.stack(steps) if steps else np.zeros(_none(end.shape), end.dtype or np.float32)
