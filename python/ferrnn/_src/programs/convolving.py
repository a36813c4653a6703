"""Convolutions over the places of a row, as products of its windows with the kernel."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
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
from ferrnn._src.programs.shaping import viewed
from ferrnn._src.programs.sketch import CellTrace, Sketch, cell_rules, layer_rules

# Elements that the windows of a row have at most. They are all written before they are multiplied;
# of larger frames the engine's convolution gathers one line at a time.
_LARGEST = 1 << 18


def convolved(trace: CellTrace, x: Sketch, kernel: Sketch, geometry: Geometry) -> Sketch:
    """`[batch, *windows, filters]` of places and a kernel `[*taps, features, filters]`."""
    *places, features = x.view.shape
    counts = geometry.counts(places)
    positions, depth = math.prod(counts), geometry.taps * features
    if not positions or positions * depth > _LARGEST:
        raise UnsupportedError("a convolution over large frames")
    padded = _padded(trace, x.view, geometry.ends(places))
    windows = trace.sketch(_windows(trace, padded, geometry, counts))
    rows = viewed(trace, windows, (positions, depth), dense((positions, depth)))
    filters = kernel.view.shape[-1]
    matrix = viewed(trace, kernel, (depth, filters), dense((depth, filters)))
    made = with_matrix(trace, rows, matrix)
    shape = (*counts, filters)
    return viewed(trace, made, shape, dense(shape))


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
    """`[*windows, *taps, features]`: what each window sees."""
    recorder = trace.recorder
    level = recorder.level(view)
    shape = (*counts, *geometry.size, view.shape[-1])
    out = recorder.value(shape, level, recorder.wants(view))
    parts = list(_parts(view, out, geometry))
    for to, source in parts:
        recorder.write(level, "copy", to, [source])

    def back(adjoints: Adjoints, g: View) -> None:
        for to, source in parts:
            adjoints.add(source, "copy", replace(to, register=g.register))

    note(trace, out, back)
    return out


def _parts(view: View, out: View, geometry: Geometry) -> Iterator[tuple[View, View]]:
    """Pairs of elements of windows and where they come from, of three axes at most."""
    rank = len(geometry.size)
    counts = out.shape[:rank]
    *by, one = view.strides
    steps = [stride * each for stride, each in zip(geometry.strides, by, strict=True)]
    taps = [each * apart for each, apart in zip(by, geometry.dilation, strict=True)]
    # Taps side by side, with their features, are one axis.
    together = 1 if rank == 1 or geometry.dilation[-1] == 1 else 0
    apart = rank - together
    for place in product(*(range(size) for size in geometry.size[:apart])):
        to = sum(at * each for at, each in zip(place, out.strides[rank:], strict=False))
        source = sum(at * each for at, each in zip(place, taps, strict=False))
        shape = (*counts, *out.shape[rank + apart :])
        yield (
            View(out.register, shape, (*out.strides[:rank], *out.strides[rank + apart :]), to),
            View(view.register, shape, (*steps, *taps[apart:], one), view.offset + source),
        )


def _layer(trace: CellTrace, layer: Any, args: Any, kwargs: Any) -> Any:
    """A call of a convolution inside a cell."""
    name = type(layer).__name__
    if name not in ("Conv1D", "Conv2D") or faces.public("layers", name) is not type(layer):
        return NotImplemented
    x = plain(layer, args, kwargs)
    if layer.groups > 1 or layer.data_format != "channels_last":
        raise UnsupportedError("a convolution of groups, or with channels first")
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
    z = ask(trace, "add", of_x, convolved(trace, h, recurrent, cell.window_of_states))
    if cell.bias is not None:
        z = ask(trace, "add", z, trace.parameter(cell.bias))
    parts = ask(trace, "split", z, 4, axis=-1)
    i, f, o = (activated(trace, cell.recurrent_activation, parts[n]) for n in (0, 1, 3))
    g = activated(trace, cell.activation, parts[2])
    c = ask(trace, "add", ask(trace, "multiply", f, c), ask(trace, "multiply", i, g))
    h = ask(trace, "multiply", o, activated(trace, cell.activation, c))
    return h, [h, c]


layer_rules.append(_layer)
cell_rules[ConvLSTMCell] = _conv_lstm
