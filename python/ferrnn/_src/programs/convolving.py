"""Convolutions over the places of a row, as products of its windows with the kernel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from ferrnn._src import faces
from ferrnn._src.cells.conv_lstm import ConvLSTMCell
from ferrnn._src.convolution.geometry import Geometry
from ferrnn._src.programs.adjoints import Adjoints
from ferrnn._src.programs.layers import activated, plain
from ferrnn._src.programs.products import with_matrix
from ferrnn._src.programs.recorder import UnsupportedError, View, dense
from ferrnn._src.programs.rules import ask, note
from ferrnn._src.programs.shaping import packed, viewed
from ferrnn._src.programs.sketch import CellTrace, Sketch, cell_rules, layer_rules

# Elements that the windows of a row have at most. They are all written before they are multiplied;
# of larger frames the engine's convolution gathers one line at a time.
_LARGEST = 1 << 18


def convolved(trace: CellTrace, x: Sketch, kernel: Sketch, geometry: Geometry) -> Sketch:
    """`[batch, *windows, filters]` of places and a kernel `[*taps, features, filters]`."""
    *places, features = x.view.shape
    if kernel.view.shape[-2] != features:
        raise UnsupportedError("a convolution of a number of features it was not built for")
    counts = geometry.counts(places)
    positions, depth = math.prod(counts), geometry.taps * features
    if not positions or positions * depth > _LARGEST:
        raise UnsupportedError("a convolution over large frames")
    padded = _padded(trace, x.view, geometry.ends(places))
    windows = trace.sketch(_windows(trace, padded, geometry, counts))
    rows = viewed(trace, windows, (positions, depth), dense((positions, depth)))
    matrix = _matrix(trace, kernel, (depth, kernel.view.shape[-1]))
    made = with_matrix(trace, rows, matrix)
    shape = (*counts, kernel.view.shape[-1])
    return viewed(trace, made, shape, dense(shape))


def _matrix(trace: CellTrace, kernel: Sketch, shape: tuple[int, int]) -> Sketch:
    """`[window, filters]` of a kernel: taps of the last axis first, as convolutions have them."""
    rank = len(kernel.view.shape) - 2
    order = (rank - 1, *range(rank - 1), rank, rank + 1)
    turned = packed(trace, ask(trace, "transpose", kernel, order))
    return viewed(trace, turned, shape, dense(shape))


def _padded(trace: CellTrace, view: View, ends: Sequence[tuple[int, int]]) -> View:
    """Places with zeros around them."""
    if not any(map(any, ends)):
        return view
    recorder = trace.recorder
    *places, features = view.shape
    lengths = [first + n + last for n, (first, last) in zip(places, ends, strict=True)]
    level = recorder.level(view)
    out = recorder.value((*lengths, features), level, recorder.wants(view))
    offset = sum(first * by for (first, _), by in zip(ends, out.strides, strict=False))
    inside = replace(out, shape=view.shape, offset=offset)
    recorder.write(level, "copy", out, [recorder.number(0.0)])
    recorder.write(level, "copy", inside, [view])

    def back(adjoints: Adjoints, g: View) -> None:
        adjoints.add(view, "copy", replace(inside, register=g.register))

    note(trace, out, back)
    return out


def _windows(trace: CellTrace, view: View, geometry: Geometry, counts: tuple[int, ...]) -> View:
    """`[*windows, *taps, features]`, taps of the last axis first: what each window sees."""
    recorder = trace.recorder
    level = recorder.level(view)
    rank = len(counts)
    size = (geometry.size[-1], *geometry.size[:-1])
    out = recorder.value((*counts, *size, view.shape[-1]), level, recorder.wants(view))
    by = view.strides[:rank]
    steps = [stride * each for stride, each in zip(geometry.strides, by, strict=True)]
    taps = [apart * each for apart, each in zip(geometry.dilation, by, strict=True)]
    taps = [taps[-1], *taps[:-1]]
    # One instruction has three axes: of rows of places all taps fit in, of frames those of one tap.
    apart = 0 if rank == 1 else rank
    parts = []
    for place in product(*(range(n) for n in size[:apart])):
        to = sum(at * each for at, each in zip(place, out.strides[rank:], strict=False))
        source = sum(at * each for at, each in zip(place, taps, strict=False))
        shape = (*counts, *out.shape[rank + apart :])
        inside = (*out.strides[:rank], *out.strides[rank + apart :])
        outside = (*steps, *taps[apart:], view.strides[-1])
        parts.append(
            (
                View(out.register, shape, inside, to),
                View(view.register, shape, outside, view.offset + source),
            )
        )
    for into, given in parts:
        recorder.write(level, "copy", into, [given])

    def back(adjoints: Adjoints, g: View) -> None:
        for into, given in parts:
            adjoints.add(given, "copy", replace(into, register=g.register))

    note(trace, out, back)
    return out


def _layer(trace: CellTrace, layer: Any, args: Any, kwargs: Any) -> Any:
    """A call of a convolution inside a cell."""
    name = type(layer).__name__
    if name not in ("Conv1D", "Conv2D") or faces.public("layers", name) is not type(layer):
        return NotImplemented
    x = plain(layer, args, kwargs)
    if layer.groups > 1 or layer.data_format != "channels_last":
        raise UnsupportedError("a convolution with groups or with channels first")
    if x.ndim != layer.rank + 2:
        raise UnsupportedError(f"a call of the layer {name} with {x.ndim} axes")
    out = convolved(trace, x, trace.parameter(layer.kernel), layer.window)
    if layer.bias is not None:
        out = ask(trace, "add", out, trace.parameter(layer.bias))
    return activated(trace, layer.activation, out)


def _conv_lstm(trace: CellTrace, cell: ConvLSTMCell, inputs: Any, states: Any) -> Any:
    """A step of a convolutional LSTM."""
    if cell.clip is not None:
        raise UnsupportedError("a clip")
    h, c = states
    kernel, recurrent = trace.parameter(cell.kernel), trace.parameter(cell.recurrent_kernel)
    of_x = convolved(trace, inputs, kernel, cell.window)
    if cell.bias is not None:
        of_x = ask(trace, "add", of_x, trace.parameter(cell.bias))
    of_h = convolved(trace, h, recurrent, cell.window_of_states)
    # Bits are those of predictions: both sums are complete before they are added.
    trace.recorder.apart.add(of_h.view.register)
    z = ask(trace, "add", of_x, of_h)
    parts = ask(trace, "split", z, 4, axis=-1)
    i, f, o = (activated(trace, cell.recurrent_activation, parts[n]) for n in (0, 1, 3))
    g = activated(trace, cell.activation, parts[2])
    c = ask(trace, "add", ask(trace, "multiply", f, c), ask(trace, "multiply", i, g))
    h = ask(trace, "multiply", o, activated(trace, cell.activation, c))
    return h, [h, c]


layer_rules.append(_layer)
cell_rules[ConvLSTMCell] = _conv_lstm
