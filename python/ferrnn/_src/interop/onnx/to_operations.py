"""Operators between layers as nodes of ONNX: arithmetic and indexing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ferrnn._src.interop.onnx.writing import Builder
from ferrnn._src.layer.operations import Operation
from ferrnn._src.symbolic.symbolic import SymbolicTensor

_HERE = Operation.__module__
_BINARY = {"Add": "Add", "Subtract": "Sub", "Multiply": "Mul", "TrueDivide": "Div"}
_END = 2**63 - 1


def is_known(layer: Any) -> bool:
    """Whether it is an operator that `operation` writes."""
    kind = type(layer)
    return kind.__module__ == _HERE and kind.__name__ in {*_BINARY, "GetItem"}


def operation(b: Builder, layer: Any, node: Any, value: Callable[[SymbolicTensor], str]) -> str:
    """An operator on tensors and numbers; `value` gives the name of a tensor's value.

    Raises:
        ValueError: An index that has no form in ONNX.
    """
    kind = type(layer).__name__
    if kind in _BINARY:
        given = [
            value(each) if isinstance(each, SymbolicTensor) else b.constant(np.asarray(each))
            for each in node.args
        ]
        return b.op(_BINARY[kind], *given)
    tensor, index = node.args[:2]
    return _indexed(b, value(tensor), index, len(tensor.shape))


def _indexed(b: Builder, x: str, index: Any, rank: int) -> str:
    parts = list(index) if isinstance(index, tuple | list) else [index]
    if ... in parts:
        at = parts.index(...)
        parts[at : at + 1] = [slice(None)] * (rank - len(parts) + 1)
    gone: list[int] = []
    for axis, part in enumerate(parts):
        if isinstance(part, int | np.integer) and not isinstance(part, bool):
            end = int(part) + 1 or _END
            x = _sliced(b, x, int(part), end, axis, 1)
            gone.append(axis)
        elif not isinstance(part, slice):
            raise ValueError(  # noqa: TRY004 - it is about what a file can hold
                f"an index of numbers and slices has a form in ONNX, received {part!r}"
            )
        else:
            step = 1 if part.step is None else int(part.step)
            ends = (0, _END) if step > 0 else (-1, -_END)
            start = ends[0] if part.start is None else int(part.start)
            end = ends[1] if part.stop is None else int(part.stop)
            if (start, end, step) != (0, _END, 1):
                x = _sliced(b, x, start, end, axis, step)
    return b.op("Squeeze", x, b.integers(*gone)) if gone else x


def _sliced(b: Builder, x: str, start: int, end: int, axis: int, step: int) -> str:
    return b.op("Slice", x, *(b.integers(each) for each in (start, end, axis, step)))
