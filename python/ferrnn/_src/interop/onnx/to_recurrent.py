"""Recurrent layers as ONNX nodes."""

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

_LOWEST = -(2**63) + 1  # as the end of a slice: beyond the first entry


class States:
    """The states among the inputs and outputs of a graph, if any, by name."""

    def __init__(self, b: Builder, *, kept: bool) -> None:
        self._builder, self.kept = b, kept
        self.found: list[tuple[str, str, tuple[int, ...]]] = []

    def start(self, layer: str, cell: Any, given: list[str], number: str = "") -> list[str]:
        """The initial values of a cell's states, `[batch, units]`; empty for zeros."""
        if given or not self.kept:
            return given
        return [
            self._builder.input(f"{layer}/{number}{letter}", self._builder.dtype, ("batch", size))
            for letter, size in zip("hc", sizes(cell), strict=False)
        ]

    def end(self, layer: str, cell: Any, given: list[str], last: list[str], number: str) -> None:
        """Makes the final values of a cell's states outputs."""
        if given or not self.kept:
            return
        for letter, value, size in zip("hc", last, sizes(cell), strict=False):
            self.found.append((f"{layer}/{number}{letter}", value, (size,)))

    def end_frames(self, layer: str, last: Sequence[str], shape: tuple[int, ...]) -> None:
        """Makes the final frames of a convolutional LSTM outputs, `[batch, filters, *places]`."""
        if self.kept:
            pairs = zip("hc", last, strict=True)
            self.found += [(f"{layer}/{letter}", value, shape) for letter, value in pairs]


def written(
    b: Builder,
    states: States,
    name: str,
    layer: Any,
    inputs: list[str],
    mask: str | None = None,
    *,
    turned: bool = False,
) -> list[str]:
    """Writes a recurrent layer: its outputs, and its last states if it returns them.

    `inputs` are the sequences `[batch, time, features]` and, if given, initial states; the mask is
    `[batch, time]`. With `turned`, the outputs of all steps are in the order of time, although the
    layer goes backwards.
    """
    if layer.stateful and not states.kept:
        raise ValueError(
            f"layer {name!r} is stateful, which cannot be written to ONNX: pass `states=True`, "
            "which turns states into inputs and outputs"
        )
    cells = layer.cell.cells if isinstance(layer.cell, StackedRNNCells) else [layer.cell]
    x = b.op("Transpose", inputs[0], perm=[1, 0, 2])
    counts = None  # [time, batch, 1]
    if mask is not None:
        counts = b.op("Unsqueeze", b.op("Transpose", mask, perm=[1, 0]), b.integers(2))
    if layer.go_backwards:
        x = _reversed(b, x)
        counts = None if counts is None else _reversed(b, counts)
    left = inputs[1:]
    returned: list[str] = []
    last: list[str] = []
    for at, cell in enumerate(cells):
        number = f"{at}/" if len(cells) > 1 else ""
        count = len(sizes(cell))
        given, left = left[:count], left[count:]
        start = states.start(name, cell, given, number) if not layer.go_backwards else given
        x, last = _cell(b, name, cell, x, start, counts)
        if not layer.go_backwards:
            states.end(name, cell, given, last, number)
        returned += last
    outputs = last[0]
    if layer.return_sequences:
        if counts is not None and layer.zero_output_for_mask:
            x = b.op("Where", counts, x, b.constant(0.0))
        x = _reversed(b, x) if layer.go_backwards and turned else x
        outputs = b.op("Transpose", x, perm=[1, 0, 2])
    return [outputs, *returned] if layer.return_state else [outputs]


def both_directions(
    b: Builder,
    states: States,
    name: str,
    layer: Any,
    inputs: list[str],
    mask: str | None = None,
) -> list[str]:
    """Writes a `Bidirectional` layer."""
    given = inputs[1:]
    half = len(given) // 2
    layers = (layer.forward_layer, layer.backward_layer)
    cells = [each.cell for each in layers if not each.stateful]
    apart = given or states.kept or layers[0].go_backwards or mask is not None
    both = None if apart else _both(cells)
    if both is not None:
        return _one_operator(b, name, layer, inputs[0], cells, both)
    (ahead, *first), (back, *second) = (
        written(b, states, f"{name}/{way}", each, [inputs[0], *start], mask, turned=True)
        for way, each, start in zip(
            ("forward", "backward"), layers, (given[:half], given[half:]), strict=True
        )
    )
    return [*_merged(b, layer.merge_mode, ahead, back), *first, *second]


def _merged(b: Builder, mode: str | None, ahead: str, back: str) -> list[str]:
    if mode is None:
        return [ahead, back]
    if mode == "concat":
        return [b.op("Concat", ahead, back, axis=-1)]
    if mode == "mul":
        return [b.op("Mul", ahead, back)]
    merged = b.op("Add", ahead, back)
    return [b.op("Mul", merged, b.constant(0.5)) if mode == "ave" else merged]


def _both(cells: list[Any]) -> tuple[str, dict[str, Any]] | None:
    """One operator for two cells of the same kind, whose activations may differ, or None."""
    found = [_operator(cell) for cell in cells if not isinstance(cell, StackedRNNCells)]
    if len(found) != 2 or None in found:
        return None
    (one, first), (two, second) = (each for each in found if each is not None)
    listed = ("activations", "activation_alpha", "activation_beta")
    own = [
        {key: each for key, each in told.items() if key not in listed} for told in (first, second)
    ]
    if one != two or own[0] != own[1] or (cells[0].bias is None) != (cells[1].bias is None):
        return None
    joined = {key: [*first.get(key, []), *second.get(key, [])] for key in listed}
    settings = {**own[0], **{key: each for key, each in joined.items() if each}}
    return one, {**settings, "direction": "bidirectional"}


def _one_operator(
    b: Builder, name: str, layer: Any, x: str, cells: list[Any], both: tuple[str, dict[str, Any]]
) -> list[str]:
    """Both directions as one operator, whose outputs have an axis for them."""
    operator, settings = both
    sequences = b.op("Transpose", x, perm=[1, 0, 2])
    inputs = _weights(b, name, cells, operator)
    made = b.node(operator, sequences, *inputs, count=1 + len(sizes(cells[0])), **settings)
    outputs, *last = made
    turned = ([2, 0, 1, 3], [0, 0, -1]) if layer.return_sequences else ([1, 0, 2], [0, -1])
    whole = outputs if layer.return_sequences else last[0]
    if layer.merge_mode == "concat":
        merged = [b.op("Reshape", b.op("Transpose", whole, perm=turned[0]), b.integers(*turned[1]))]
    else:
        axis = 1 if layer.return_sequences else 0
        parts = _parted(b, whole, axis)
        if layer.return_sequences:
            parts = [b.op("Transpose", each, perm=[1, 0, 2]) for each in parts]
        merged = _merged(b, layer.merge_mode, *parts)
    if not layer.return_state:
        return merged
    ends = [_parted(b, each, 0) for each in last]
    return [*merged, *(each[at] for at in (0, 1) for each in ends)]


def _parted(b: Builder, x: str, axis: int) -> list[str]:
    """The parts of both directions of a value with an axis for them."""
    parts = b.node("Split", x, b.integers(1, 1), count=2, axis=axis)
    return [b.op("Squeeze", each, b.integers(axis)) for each in parts]


def _reversed(b: Builder, x: str) -> str:
    ends = [b.integers(-1), b.integers(_LOWEST), b.integers(0), b.integers(-1)]
    return b.op("Slice", x, *ends)


def _operator(cell: Any) -> tuple[str, dict[str, Any]] | None:
    """The operator for a cell, with its attributes, or None if ONNX has none."""
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


def _cell(
    b: Builder, name: str, cell: Any, x: str, start: list[str], counts: str | None
) -> tuple[str, list[str]]:
    """Writes a cell over time: outputs `[time, batch, units]`, last states `[batch, units]`."""
    kind = type(cell)
    if kind not in STEPS:
        known = ", ".join(sorted(each.__name__ for each in STEPS))
        raise ValueError(
            f"layer {name!r} cannot be written to ONNX: its cell is a {kind.__name__}; supported "
            f"are {known}"
        )
    found = _operator(cell)
    if found is None or counts is not None:
        return scanned(b, name, cell, x, start, counts)
    operator, settings = found
    first = [b.op("Unsqueeze", state, b.integers(0)) for state in start]
    inputs = _weights(b, name, [cell], operator, first)
    made = b.node(operator, x, *inputs, count=1 + len(sizes(cell)), **settings)
    outputs = b.op("Squeeze", made[0], b.integers(1))
    return outputs, [b.op("Squeeze", each, b.integers(0)) for each in made[1:]]


def _weights(
    b: Builder, name: str, cells: list[Any], operator: str, start: Sequence[str] = ()
) -> list[str]:
    """The inputs of an operator after the sequences; the cells are its directions."""
    order = ONNX[operator]

    def stacked(made: Sequence[Array], letter: str) -> str:
        return b.constant(np.stack(made), f"{name}/{letter}")

    kernels = [from_ours(cell.kernel.numpy().T, order) for cell in cells]
    recurrent_kernels = [from_ours(cell.recurrent_kernel.numpy().T, order) for cell in cells]
    biases = [bias for cell in cells if (bias := _bias(cell, operator, order)) is not None]
    # Weights, bias, lengths, initial h and c, peepholes.
    made = [stacked(kernels, "W"), stacked(recurrent_kernels, "R")]
    made += [stacked(biases, "B") if biases else "", "", *start]
    if type(cells[0]) is PeepholeLSTMCell:
        rows = [cell.peephole.numpy() for cell in cells]
        made += [""] * (6 - len(made))
        made.append(stacked([np.concatenate([p_i, p_o, p_f]) for p_i, p_f, p_o in rows], "P"))
    while not made[-1]:
        made.pop()
    return made


def _bias(cell: Any, operator: str, order: tuple[int, ...]) -> Array | None:
    """The concatenated biases of inputs and states."""
    if cell.bias is None:
        return None
    bias = cell.bias.numpy()
    own = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
    return np.concatenate([from_ours(each, order) for each in own])
