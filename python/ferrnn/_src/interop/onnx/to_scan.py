"""Convolutional LSTMs as ONNX nodes: a Scan of convolutions over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ferrnn._src.interop.onnx.functions import applied
from ferrnn._src.interop.onnx.to_frames import features_first, features_last, kernel_first, padding
from ferrnn._src.interop.onnx.to_recurrent import States
from ferrnn._src.interop.onnx.writing import Builder


def conv_lstm(
    b: Builder, states: States, name: str, layer: Any, inputs: list[str], shape: tuple[Any, ...]
) -> list[str]:
    """Writes a ConvLSTM: its outputs, and its last states if it returns them.

    `inputs` are the sequences, of the given shape, and initial states, if given. Inside, features
    come before places.
    """
    if layer.stateful and not states.kept:
        raise ValueError(
            f"layer {name!r} is stateful, which cannot be written to ONNX: pass `states=True`, "
            "which turns states into inputs and outputs"
        )
    rank, first = len(shape), layer.data_format == "channels_first"
    places = list(range(2, rank - 1))
    sequences = [1, 0, *range(2, rank)] if first else [1, 0, rank - 1, *places]
    x = b.op("Transpose", inputs[0], perm=sequences)
    counts = layer.cell.window.counts(shape[3:] if first else shape[2:-1])
    start = _start(b, states, name, layer, inputs, counts)
    features, *lengths = shape[2:] if first else (shape[-1], *shape[2:-1])
    body = _body(b, name, layer, counts, (features, *lengths))
    settings = {"scan_input_directions": [1]} if layer.go_backwards else {}
    h, c, all_h = b.node("Scan", *start, x, count=3, num_scan_inputs=1, body=body, **settings)
    if not inputs[1:] and not layer.go_backwards:
        states.end_frames(name, (h, c), (layer.filters, *counts))
    ends = [h, c] if first else [features_last(b, each, rank - 1) for each in (h, c)]
    outputs = ends[0]
    if layer.return_sequences:
        back = [1, 0, *range(2, rank)] if first else [1, 0, *range(3, rank), 2]
        outputs = b.op("Transpose", all_h, perm=back)
    return [outputs, *ends] if layer.return_state else [outputs]


def _start(
    b: Builder, states: States, name: str, layer: Any, inputs: list[str], counts: Any
) -> list[str]:
    """The states before the first step, `[batch, filters, *places]`."""
    if len(inputs) > 1:
        if layer.data_format == "channels_first":
            return inputs[1:]
        return [features_first(b, each, len(counts) + 2) for each in inputs[1:]]
    if states.kept and not layer.go_backwards:
        dims = ("batch", layer.filters, *counts)
        return [b.input(f"{name}/{letter}", b.dtype, dims) for letter in "hc"]
    batch = b.op("Slice", b.op("Shape", inputs[0]), b.integers(0), b.integers(1))
    shape = b.op("Concat", batch, b.integers(layer.filters, *counts), axis=0)
    zeros = b.op("Expand", b.constant(0.0), shape)
    return [zeros, zeros]


def _body(b: Builder, name: str, layer: Any, counts: Any, step: Sequence[int]) -> bytes:
    """The graph of one step."""
    cell, inner = layer.cell, b.inside()
    state = ("batch", layer.filters, *counts)
    h = inner.input(f"{name}/step/h", b.dtype, state)
    c = inner.input(f"{name}/step/c", b.dtype, state)
    x = inner.input(f"{name}/step/x", b.dtype, ("batch", *step))
    kernel = inner.constant(kernel_first(cell.kernel.numpy()), f"{name}/W")
    recurrent = inner.constant(kernel_first(cell.recurrent_kernel.numpy()), f"{name}/R")
    bias = [] if cell.bias is None else [inner.constant(cell.bias.numpy(), f"{name}/B")]
    of_x = inner.op("Conv", x, kernel, *bias, **padding(cell.window))
    of_h = inner.op("Conv", h, recurrent, **padding(cell.window_of_states))
    widths = inner.integers(*[layer.filters] * 4)
    z = inner.node("Split", inner.op("Add", of_x, of_h), widths, count=4, axis=1)
    i, f, o = (applied(inner, cell.recurrent_activation, z[at], name) for at in (0, 1, 3))
    g = applied(inner, cell.activation, z[2], name)
    kept = inner.op("Add", inner.op("Mul", f, c), inner.op("Mul", i, g))
    shown = inner.op("Mul", o, applied(inner, cell.activation, kept, name))
    for value, what in ((shown, "h"), (kept, "c"), (shown, "y")):
        inner.output(value, f"{name}/step/{what}/next", b.dtype, state)
    return inner.graph(f"{name}/step")
