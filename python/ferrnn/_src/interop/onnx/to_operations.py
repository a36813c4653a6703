"""Operators between layers as ONNX nodes: arithmetic, indexing, common ones of `keras.ops`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ferrnn._src.activations import activations
from ferrnn._src.interop.onnx.functions import applied
from ferrnn._src.interop.onnx.writing import Builder
from ferrnn._src.layer.operations import Operation
from ferrnn._src.symbolic.symbolic import SymbolicTensor

_Writer = Callable[[Builder, list[str], dict[str, Any]], str]
_MODULES = (Operation.__module__, "keras.ops")
_BINARY = {
    "Add": "Add", "Subtract": "Sub", "Multiply": "Mul", "TrueDivide": "Div", "Divide": "Div",
    "Maximum": "Max", "Minimum": "Min", "Power": "Pow", "Matmul": "MatMul",
}  # fmt: skip
_UNARY = {
    "Negative": "Neg", "Absolute": "Abs", "Exp": "Exp", "Log": "Log", "Sqrt": "Sqrt",
    "Sign": "Sign", "Floor": "Floor", "Ceil": "Ceil", "Sin": "Sin", "Cos": "Cos", "Erf": "Erf",
    "Reciprocal": "Reciprocal",
}  # fmt: skip
# Functions of `keras.ops`, by the name of the activation.
_FUNCTIONS = {
    "Relu": activations.relu, "Relu6": activations.relu6, "Sigmoid": activations.sigmoid,
    "Tanh": activations.tanh, "Silu": activations.silu, "Softplus": activations.softplus,
    "Softsign": activations.softsign, "Selu": activations.selu,
    "HardSigmoid": activations.hard_sigmoid,
    "LogSigmoid": activations.log_sigmoid, "TanhShrink": activations.tanh_shrink,
}  # fmt: skip
_END = 2**63 - 1


def is_known(layer: Any) -> bool:
    """Whether `operation` can write an operator."""
    kind = type(layer)
    known = {*_BINARY, *_UNARY, *_WITH_SETTINGS, "GetItem", "Square"}
    known |= {name for name in _FUNCTIONS if not getattr(layer, "_settings", None)}
    return isinstance(layer, Operation) and kind.__module__ in _MODULES and kind.__name__ in known


def operation(b: Builder, layer: Any, node: Any, value: Callable[[SymbolicTensor], str]) -> str:
    """Writes an operator on tensors and numbers; `value` returns the name of a tensor's value.

    Raises:
        ValueError: The operator, or an index, cannot be written to ONNX.
    """
    kind = type(layer).__name__
    if kind == "GetItem":
        tensor, index = node.args[:2]
        return _indexed(b, value(tensor), index, len(tensor.shape))
    if node.kwargs:
        raise ValueError(f"arguments {sorted(node.kwargs)} cannot be written to ONNX")
    listed = kind == "Concatenate"
    arguments = node.args[0] if listed else node.args
    given = [
        value(each) if isinstance(each, SymbolicTensor) else b.constant(np.asarray(each))
        for each in arguments
    ]
    if kind in _BINARY:
        return b.op(_BINARY[kind], *given)
    if len(given) != 1 and not listed:
        raise ValueError(f"{len(given)} arguments of {kind} cannot be written to ONNX")
    if kind in _UNARY:
        return b.op(_UNARY[kind], given[0])
    if kind == "Square":
        return b.op("Mul", given[0], given[0])
    if kind in _FUNCTIONS:
        return applied(b, _FUNCTIONS[kind], given[0], layer.name)
    return _WITH_SETTINGS[kind](b, given, dict(layer._settings))


def _reduced(operator: str) -> _Writer:
    def reduced(b: Builder, x: list[str], settings: dict[str, Any]) -> str:
        axis = settings.pop("axis")
        keep = {"keepdims": int(settings.pop("keepdims"))}
        if any(each is not None for each in settings.values()):
            raise ValueError(f"settings {sorted(settings)} cannot be written to ONNX")
        axes = None if axis is None else [axis] if isinstance(axis, int) else list(axis)
        if operator == "ReduceSum":
            return b.op(operator, *x, *([] if axes is None else [b.integers(*axes)]), **keep)
        return b.op(operator, *x, **keep, **({} if axes is None else {"axes": axes}))

    return reduced


def _reshaped(b: Builder, x: list[str], settings: dict[str, Any]) -> str:
    return b.op("Reshape", *x, b.integers(*settings["newshape"]))


def _with_axis(operator: str) -> _Writer:
    """An operator with one axis, as an attribute or, if axes may be added, as an input."""

    def written(b: Builder, x: list[str], settings: dict[str, Any]) -> str:
        axis = settings["axis"]
        if not isinstance(axis, int):
            raise ValueError(  # noqa: TRY004 - it is about what a file can hold
                f"`axis` must be one number for ONNX, received {axis!r}"
            )
        if operator in ("Squeeze", "Unsqueeze"):
            return b.op(operator, *x, b.integers(axis))
        return b.op(operator, *x, axis=axis)

    return written


def _turned(b: Builder, x: list[str], settings: dict[str, Any]) -> str:
    axes = settings["axes"]
    return b.op("Transpose", *x, **({} if axes is None else {"perm": [int(a) for a in axes]}))


_WITH_SETTINGS: dict[str, _Writer] = {
    "Mean": _reduced("ReduceMean"),
    "Sum": _reduced("ReduceSum"),
    "Max": _reduced("ReduceMax"),
    "Min": _reduced("ReduceMin"),
    "Softmax": _with_axis("Softmax"),
    "LogSoftmax": _with_axis("LogSoftmax"),
    "Concatenate": _with_axis("Concat"),
    "ExpandDims": _with_axis("Unsqueeze"),
    "Squeeze": _with_axis("Squeeze"),
    "Reshape": _reshaped,
    "Transpose": _turned,
}


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
                "an index must be made of numbers and slices to be written to ONNX, received "
                f"{part!r}"
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
