"""What the rules of operations are written with: operands as views, results, ways back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ferrnn._src.programs.adjoints import Adjoints
from ferrnn._src.programs.recorder import FIXED, Step, UnsupportedError, View
from ferrnn._src.programs.sketch import CellTrace, Sketch, rules
from ferrnn._src.tree.types import Array

# (gradients, gradient of the value, the value, its sources) adds to the gradients.
Way = Callable[..., None]


def view_of(trace: CellTrace, value: Any) -> View:
    """An operand as a view: a sketch's, or that of a constant."""
    if isinstance(value, Sketch):
        return value.view
    if value is None or isinstance(value, str):
        raise UnsupportedError(f"an operation on {value!r}")
    if isinstance(value, list | tuple):
        raise UnsupportedError("an operation on a list of values")
    return trace.recorder.constant(np.asarray(value))


def operands(trace: CellTrace, *values: Any) -> list[View]:
    """Operands that broadcast against each other as rows: their axes behind the batch alone."""
    has_rows = [isinstance(value, Sketch) and value.has_rows for value in values]
    ranks = {len(v.shape) for v, rows in zip(values, has_rows, strict=True) if rows}
    views = []
    for value, rows in zip(values, has_rows, strict=True):
        given = value
        if ranks and not rows:
            if len(ranks) > 1 or np.ndim(given) > max(ranks):
                raise UnsupportedError("an operation on arrays of different numbers of axes")
            if np.ndim(given) == max(ranks):
                given = _one_row(trace, given)
        views.append(view_of(trace, given))
    if len(ranks) > 1:
        raise UnsupportedError("an operation on arrays of different numbers of axes")
    return views


def _one_row(trace: CellTrace, value: Any) -> Any:
    """What is the same in all rows, without the axis of the batch."""
    if isinstance(value, Sketch):
        if value.shape[0] != 1:
            raise UnsupportedError("a weight that differs from row to row")
        view = value.view
        return trace.sketch(replace(view, shape=view.shape[1:], strides=view.strides[1:]))
    array: Array = np.asarray(value)
    if array.shape[0] not in (1, trace.batch) or (array != array[:1]).any():
        raise UnsupportedError("an array that differs from row to row")
    return array[0]


def note(
    trace: CellTrace,
    view: View,
    back: Callable[[Adjoints, View], None],
    *,
    takes_spread: bool = False,
) -> None:
    """Keeps the backward rule of a value that has just been computed."""
    recorder = trace.recorder
    if recorder.wanted[view.register]:
        recorder.tape.append(Step(view, recorder.levels[view.register], back, takes_spread))


def settled(trace: CellTrace, view: View) -> Sketch:
    """Part of a value as a value of its own; a fixed one gets its own register."""
    recorder = trace.recorder
    if recorder.levels[view.register] > FIXED or recorder.whole(view):
        return trace.sketch(view)
    copy = recorder.copied(view)
    note(trace, copy, lambda adjoints, g: adjoints.add(view, "copy", g))
    return trace.sketch(copy)


def apply(trace: CellTrace, op: str, values: Sequence[Any], back: Way | None) -> Sketch:
    """`op` of the values, element by element; `back(adjoints, g, y, *sources)` adds gradients."""
    sources = operands(trace, *values)
    view = trace.recorder.map(op, *sources)
    if back is None:
        trace.recorder.wanted[view.register] = False
    else:
        way = back
        note(
            trace,
            view,
            lambda adjoints, g: way(adjoints, g, view, *sources),
            takes_spread=True,
        )
    return trace.sketch(view)


def rule(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Makes a function the rule of an operation."""

    def entered(function: Callable[..., Any]) -> Callable[..., Any]:
        rules[name] = function
        return function

    return entered


def ask(trace: CellTrace, name: str, *args: Any, **options: Any) -> Any:
    """The result of another operation."""
    return trace.call(name, args, options)
