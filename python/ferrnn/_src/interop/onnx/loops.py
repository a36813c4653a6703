"""ONNX' Loop: a graph that runs again and again, on what it gave the time before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ferrnn._src.interop.onnx.files import Graph, OnnxError
from ferrnn._src.tree.types import Array

# What no model of sequences needs: a condition may hold for ever.
_MOST_TURNS = 1 << 24


class Body(Protocol):
    """The plan of the graph inside."""

    def run(self, given: Mapping[str, Any]) -> list[Array]: ...


def loop(
    graph: Graph, body: Body, outside: Sequence[str], place: str
) -> Callable[[list[Any]], list[Array]]:
    """What runs a Loop: its inputs are the count, the condition, the states, the values outside."""
    names = [value.name for value in graph.inputs]
    carried = len(names) - 2
    scanned = len(graph.outputs) - 1 - carried
    if carried < 0 or scanned < 0:
        raise OnnxError(
            f"{place}: a body of {len(names)} inputs and {len(graph.outputs)} outputs is none"
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
                raise OnnxError(f"{place}: it goes on after {_MOST_TURNS:,} turns")
            inputs = (np.asarray(turn, np.int64), np.asarray(True), *states)
            found = body.run({**given, **dict(zip(names, inputs, strict=True))})
            goes, states = bool(np.ravel(found[0])[0]), found[1 : 1 + carried]
            for each, one in zip(kept, found[1 + carried :], strict=True):
                each.append(one)
            turn += 1
        ends = graph.outputs[1 + carried :]
        stacked = [
            np.stack(each) if each else np.zeros(_none(end.shape), end.dtype or np.float32)
            for each, end in zip(kept, ends, strict=True)
        ]
        return [*(np.asarray(state) for state in states), *stacked]

    return run


def _none(shape: tuple[int | str | None, ...] | None) -> tuple[int, ...]:
    """The shape of no turns, as far as the file tells it."""
    return (0, *(size if isinstance(size, int) else 0 for size in shape or ()))
