"""Pictures of models as SVG or text: boxes for layers, lines for their connections."""

from __future__ import annotations

import os
from html import escape
from pathlib import Path
from typing import Any

from ferrnn._src.configs.notices import warn
from ferrnn._src.files.writing import write_file
from ferrnn._src.layer.layer import Layer
from ferrnn._src.models.summary import connections, output_shape_of
from ferrnn._src.symbolic.symbolic import Node

# In pixels: a letter, a line of text, padding of a box, distance of rows and of columns.
_LETTER, _LINE, _PADDING, _BETWEEN_ROWS, _BETWEEN_COLUMNS = 8, 18, 10, 40, 30


class Picture(str):
    """SVG that notebooks show."""

    __slots__ = ()

    def _repr_svg_(self) -> str:
        return str(self)


def plot_model(
    model: Any,
    to_file: str | os.PathLike[str] | None = "model.svg",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    show_trainable: bool = False,
    **layout: Any,
) -> str:
    """Draws a graph model and returns the picture: SVG, or text for a `.txt` file.

    No other program is needed. For another suffix, as in "model.png", an SVG file is written
    instead, with a warning. Keras' arguments about Graphviz (`rankdir`, `dpi`, ...) are
    accepted but have no effect; nested models are drawn as one box.

    >>> from ferrnn.layers import Dense, Input
    >>> from ferrnn._src.models.sequential import Sequential
    >>> model = Sequential([Input((3,)), Dense(2, name="first"), Dense(1, name="second")])
    >>> plot_model(model, to_file=None).startswith("<svg")
    True
    """
    _check_drawable(model, layout, "plot_model")
    suffix = ".svg" if to_file is None else Path(to_file).suffix
    if to_file is not None and suffix not in (".svg", ".txt"):
        given, to_file = to_file, Path(to_file).with_suffix(".svg")
        warn(
            f"plot_model can only draw SVG: it writes {to_file} instead of {given}, as other "
            "formats need other programs."
        )
    shown = (show_shapes, show_dtype, show_layer_names, show_trainable)
    labels = {layer: _label(layer, *shown) for layer in model.operations}
    text = _as_text(model, labels) if suffix == ".txt" else _as_svg(model, labels)
    if to_file is not None:
        write_file(to_file, text)
    return text


def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    show_trainable: bool = False,
    **layout: Any,
) -> str:
    """A graph model in the language of Graphviz, as text; arguments as in `plot_model`.

    >>> from ferrnn.layers import Dense, Input
    >>> from ferrnn._src.models.sequential import Sequential
    >>> model = Sequential([Input((3,)), Dense(2, name="first")])
    >>> print(model_to_dot(model).splitlines()[-2].strip())
    node0 -> node1;
    """
    _check_drawable(model, layout, "model_to_dot")
    shown = (show_shapes, show_dtype, show_layer_names, show_trainable)
    places = {layer: f"node{at}" for at, layer in enumerate(model.operations)}
    lines = [f"digraph {_quoted(model.name)} {{", f"  rankdir={rankdir};", "  node [shape=box];"]
    for layer, place in places.items():
        label = "\\n".join(_quoted(line)[1:-1] for line in _label(layer, *shown))
        lines.append(f'  {place} [label="{label}"];')
    nodes = model._graph.nodes
    edges = dict.fromkeys((each.layer, node.layer) for node in nodes for each in node.parents)
    lines += [f"  {places[source]} -> {places[target]};" for source, target in edges]
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _check_drawable(model: Any, layout: dict[str, Any], name: str) -> None:
    unknown = set(layout) - _LAYOUT
    if unknown:
        raise TypeError(f"unknown arguments of {name}: {sorted(unknown)}")
    if getattr(model, "_graph", None) is None:
        raise ValueError(
            "This model has not yet been built. Build the model first by calling `build()` or by "
            f"calling the model on a batch of data; it must be a graph. Received: {model!r}"
        )


_LAYOUT = frozenset(
    (
        "rankdir",
        "expand_nested",
        "dpi",
        "show_layer_activations",
        "layer_range",
        "splines",
        "subgraph",
    )
)


def _label(layer: Layer, shapes: bool, dtype: bool, names: bool, trainable: bool) -> list[str]:
    kind = type(layer).__name__
    lines = [f"{layer.name} ({kind})" if names else kind]
    if shapes:
        lines.append(f"Output shape: {output_shape_of(layer)}")
    if dtype:
        lines.append(f"Output dtype: {layer.dtype}")
    if trainable and layer.weights:
        lines.append("trainable" if layer.trainable else "not trainable")
    return lines


def _as_text(model: Any, labels: dict[Layer, list[str]]) -> str:
    """A line for each layer: its name and class, and the calls that it is connected to."""
    nodes = set(model._graph.nodes)
    lines = []
    for layer, label in labels.items():
        sources = connections(layer, nodes)
        lines.append("  ".join(label) + ("" if sources == "-" else f"  <- {sources}"))
    return "\n".join(lines) + "\n"


def _rows(nodes: list[Node]) -> list[list[Layer]]:
    """The layers in rows: each below all layers that its first call is connected to."""
    row: dict[Layer, int] = {}
    for node in nodes:
        if node.layer not in row:
            row[node.layer] = 1 + max((row[each.layer] for each in node.parents), default=-1)
    rows: list[list[Layer]] = [[] for _ in range(max(row.values()) + 1)]
    for layer, place in row.items():
        rows[place].append(layer)
    return rows


def _as_svg(model: Any, labels: dict[Layer, list[str]]) -> Picture:
    nodes = model._graph.nodes
    places: dict[Layer, tuple[int, int, int, int]] = {}  # left, top, width, height
    widest, top = 0, _PADDING
    for row in _rows(nodes):
        left, tallest = _PADDING, 0
        for layer in row:
            label = labels[layer]
            width = max(map(len, label)) * _LETTER + 2 * _PADDING
            height = len(label) * _LINE + _PADDING
            places[layer] = (left, top, width, height)
            left, tallest = left + width + _BETWEEN_COLUMNS, max(tallest, height)
        widest, top = max(widest, left), top + tallest + _BETWEEN_ROWS
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{widest}" height="{top}" '
        'font-family="monospace" font-size="13" text-anchor="middle">'
    )
    edges = dict.fromkeys((each.layer, node.layer) for node in nodes for each in node.parents)
    parts = [_line(places[source], places[target]) for source, target in edges]
    parts += [_box(places[layer], label) for layer, label in labels.items()]
    return Picture("\n".join([head, *parts, "</svg>"]) + "\n")


def _line(source: tuple[int, int, int, int], target: tuple[int, int, int, int]) -> str:
    start = (source[0] + source[2] // 2, source[1] + source[3])
    end = (target[0] + target[2] // 2, target[1])
    return (
        f'<path d="M{start[0]},{start[1]} L{end[0]},{end[1]} m-4,-8 l4,8 l4,-8" '
        'fill="none" stroke="#555"/>'
    )


def _box(place: tuple[int, int, int, int], label: list[str]) -> str:
    left, top, width, height = place
    text = "".join(
        f'<text x="{left + width // 2}" y="{top + _LINE * (at + 1) - 2}">{escape(line)}</text>'
        for at, line in enumerate(label)
    )
    frame = f'<rect x="{left}" y="{top}" width="{width}" height="{height}" rx="4" '
    return f'{frame}fill="#eef3f8" stroke="#345"/>{text}'
