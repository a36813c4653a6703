"""Recurrent layers as nodes of ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ferrnn._src.cells.gru import GRUCell
from ferrnn._src.cells.lstm import LSTMCell
from ferrnn._src.cells.peephole_lstm import PeepholeLSTMCell
from ferrnn._src.cells.simple_rnn import SimpleRNNCell
from ferrnn._src.cells.stacked import StackedRNNCells
from ferrnn._src.interop.gates import ONNX, from_ours
from ferrnn._src.interop.onnx.functions import recurrent
from ferrnn._src.interop.onnx.to_steps import STEPS, scanned, sizes
from ferrnn._src.interop.onnx.writing import Builder
from ferrnn._src.tree.types import Array

_LOWEST = -(2**63) + 1  # as an end: beyond the first entry


class States:
    """The states that a graph takes and gives, if it does: a name, and the values in and out."""

    def __init__(self, b: Builder, *, kept: bool) -> None:
        self._builder, self.kept = b, kept
        self.found: list[tuple[str, str, tuple[int, ...]]] = []

    def start(self, layer: str, cell: Any, given: list[str], number: str = "") -> list[str]:
        """The values that a cell starts from, `[batch, units]`; none for zeros."""
        if given or not self.kept:
            return given
        return [
            self._builder.input(f"{layer}/{number}{letter}", self._builder.dtype, ("batch", size))
            for letter, size in zip("hc", sizes(cell), strict=False)
        ]

    def end(self, layer: str, cell: Any, given: list[str], last: list[str], number: str) -> None:
        """The values that a cell ends with."""
        if given or not self.kept:
            return
        for letter, value, size in zip("hc", last, sizes(cell), strict=False):
            self.found.append((f"{layer}/{number}{letter}", value, (size,)))

    def end_frames(self, layer: str, last: Sequence[str], shape: tuple[int, ...]) -> None:
        """The frames that a convolutional LSTM ends with, `[batch, filters, *places]`."""
        if self.kept:
            pairs = zip("hc", last, strict=True)
            self.found += [(f"{layer}/{letter}", value, shape) for letter, value in pairs]


def written(
    b: Builder, states: States, name: str, layer: Any, inputs: list[str], *, turned: bool = False
) -> list[str]:
    """A recurrent layer: its outputs, and its last states if it returns them.

    `inputs` are the sequences `[batch, time, features]` and, if given, initial states. With
    `turned` the outputs of all steps stand in the order of time though the layer goes backwards.
    """
    if layer.stateful and not states.kept:
        raise ValueError(
            f"layer {name!r} is stateful, which ONNX has no form for: pass `states=True`, which "
            "makes the states inputs and outputs"
        )
    cells = layer.cell.cells if isinstance(layer.cell, StackedRNNCells) else [layer.cell]
    x = b.op("Transpose", inputs[0], perm=[1, 0, 2])
    if layer.go_backwards:
        x = _reversed(b, x)
    left = inputs[1:]
    returned: list[str] = []
    last: list[str] = []
    for at, cell in enumerate(cells):
        number = f"{at}/" if len(cells) > 1 else ""
        count = len(sizes(cell))
        given, left = left[:count], left[count:]
        start = states.start(name, cell, given, number) if not layer.go_backwards else given
        x, last = _cell(b, name, cell, x, start)
        if not layer.go_backwards:
            states.end(name, cell, given, last, number)
        returned += last
    outputs = last[0]
    if layer.return_sequences:
        x = _reversed(b, x) if layer.go_backwards and turned else x
        outputs = b.op("Transpose", x, perm=[1, 0, 2])
    return [outputs, *returned] if layer.return_state else [outputs]


def both_directions(
    b: Builder, states: States, name: str, layer: Any, inputs: list[str]
) -> list[str]:
    """A `Bidirectional` layer."""
    given = inputs[1:]
    half = len(given) // 2
    ahead, *first = written(
        b, states, f"{name}/forward", layer.forward_layer, [inputs[0], *given[:half]], turned=True
    )
    back, *second = written(
        b, states, f"{name}/backward", layer.backward_layer, [inputs[0], *given[half:]], turned=True
    )
    mode = layer.merge_mode
    if mode is None:
        return [ahead, back, *first, *second]
    if mode == "concat":
        merged = b.op("Concat", ahead, back, axis=-1)
    elif mode == "mul":
        merged = b.op("Mul", ahead, back)
    else:
        merged = b.op("Add", ahead, back)
        if mode == "ave":
            merged = b.op("Mul", merged, b.constant(0.5))
    return [merged, *first, *second]


def _reversed(b: Builder, x: str) -> str:
    ends = [b.integers(-1), b.integers(_LOWEST), b.integers(0), b.integers(-1)]
    return b.op("Slice", x, *ends)


def _operator(cell: Any) -> tuple[str, dict[str, Any]] | None:
    """The operator that a cell is, with its attributes; None if ONNX has none."""
    kind = type(cell)
    settings: dict[str, Any] = {"hidden_size": int(cell.units)}
    if kind in (LSTMCell, PeepholeLSTMCell):
        operator, functions = "LSTM", [cell.recurrent_activation, cell.activation, cell.activation]
    elif kind is GRUCell:
        operator, functions = "GRU", [cell.recurrent_activation, cell.activation]
        settings["linear_before_reset"] = int(bool(cell.reset_after))
    elif kind is SimpleRNNCell:
        operator, functions = "RNN", [cell.activation]
    else:
        return None
    given = recurrent(functions)
    if given is None:
        return None
    clip = {} if cell.clip is None else {"clip": cell.clip}
    return operator, {**settings, **given, **clip}


def _cell(b: Builder, name: str, cell: Any, x: str, start: list[str]) -> tuple[str, list[str]]:
    """All outputs `[time, batch, units]`, and the last states `[batch, units]`."""
    kind = type(cell)
    if kind not in STEPS:
        known = ", ".join(sorted(each.__name__ for each in STEPS))
        raise ValueError(
            f"layer {name!r} has no form in ONNX: its cell is a {kind.__name__}; {known} have"
        )
    found = _operator(cell)
    if found is None:
        return scanned(b, name, cell, x, start)
    operator, settings = found
    order = ONNX[operator]
    weights = [from_ours(each.numpy().T, order) for each in (cell.kernel, cell.recurrent_kernel)]
    constants = [
        b.constant(each[None], f"{name}/{w}") for each, w in zip(weights, "WR", strict=True)
    ]
    bias = _bias(cell, operator, order)
    # Bias, lengths, initial h and c, peepholes.
    more = ["" if bias is None else b.constant(bias[None], f"{name}/B"), "", "", "", ""]
    for at, state in enumerate(start):
        more[2 + at] = b.op("Unsqueeze", state, b.integers(0))
    if kind is PeepholeLSTMCell:
        p_i, p_f, p_o = cell.peephole.numpy()
        more[4] = b.constant(np.concatenate([p_i, p_o, p_f])[None], f"{name}/P")
    while more and not more[-1]:
        more.pop()
    made = b.node(operator, x, *constants, *more, count=1 + len(sizes(cell)), **settings)
    outputs = b.op("Squeeze", made[0], b.integers(1))
    return outputs, [b.op("Squeeze", each, b.integers(0)) for each in made[1:]]


def _bias(cell: Any, operator: str, order: tuple[int, ...]) -> Array | None:
    """The biases of inputs and states in a row."""
    if cell.bias is None:
        return None
    bias = cell.bias.numpy()
    own = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
    return np.concatenate([from_ours(each, order) for each in own])
