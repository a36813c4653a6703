"""The table of a model's layers, shapes and parameters, as Keras prints it."""

from __future__ import annotations

import inspect
import math
import re
import shutil
import textwrap
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any

from ferrnn._src.layer.layer import Layer
from ferrnn._src.symbolic.shapes import is_shape
from ferrnn._src.symbolic.symbolic import Node
from ferrnn._src.training.progress import write
from ferrnn._src.weights.parameter import Parameter

_HEADER = ("Layer (type)", "Output Shape", "Param #")
_CONNECTED = "Connected to"
_TRAINABLE = "Trainable"
# The ends of columns, as shares of the line.
_PLACES = (0.45, 0.80, 1.0)
_FORKED_PLACES = (0.3, 0.56, 0.74, 1.0)


def print_summary(model: Any, print_fn: Callable[[str], Any] | None = None, **options: Any) -> None:
    """Prints the text of `model.summary()`, or hands it to `print_fn`."""
    (write if print_fn is None else print_fn)(summarize(model, **options))


def summarize(
    model: Any,
    *,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Sequence[str] | None = None,
) -> str:
    """The table of layers with output shapes and parameters, then the totals.

    A graph that is more than a chain of layers has a column for the connections of each layer.
    """
    header, rows = table_of(model, expand_nested, show_trainable, layer_range)
    forked = _CONNECTED in header
    places = list(positions or (_FORKED_PLACES if forked else _PLACES))
    default = 108 if forked else 88
    if show_trainable:
        places = [place * 0.9 for place in places] + [1.0]
        default += 12
    length = line_length or min(default, shutil.get_terminal_size().columns - 4)
    table = draw_table(header, rows, column_widths(length, places))
    return f'Model: "{model.name}"\n{table}{totals_of(model)}'


def summary_html(model: Any) -> str:
    """The same as HTML, which notebooks show."""
    header, rows = table_of(model)
    align = ["right" if title == "Param #" else "left" for title in header]

    def line(cells: Sequence[str], tag: str) -> str:
        styled = (
            f'<{tag} style="text-align:{side};white-space:pre">{escape(cell)}</{tag}>'
            for cell, side in zip(cells, align, strict=True)
        )
        return f"<tr>{''.join(styled)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    totals = escape(totals_of(model)).strip().replace("\n", "<br>")
    return (
        f"<div><b>Model: {escape(model.name)}</b>"
        f"<table><thead>{line(header, 'th')}</thead><tbody>{body}</tbody></table>{totals}</div>"
    )


def table_of(
    model: Any,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Sequence[str] | None = None,
) -> tuple[list[str], list[list[str]]]:
    """The names of the columns, and a row for each layer."""
    forked = _nodes_of_fork(model)
    header = [*_HEADER, *([] if forked is None else [_CONNECTED])]
    if show_trainable:
        header.append(_TRAINABLE)
    layers = model.layers if _graph_of(model) is None else model.operations
    rows = [
        row
        for layer in _within(layers, layer_range)
        for row in _rows(layer, forked, expand_nested, show_trainable)
    ]
    return header, rows


def _graph_of(model: Any) -> Any:
    """The graph of a functional model, or None for other models, which list their layers."""
    return None if hasattr(model, "add") else getattr(model, "_graph", None)


def _nodes_of_fork(model: Any) -> set[Node] | None:
    """The nodes of a graph that is more than a chain of layers, else None."""
    graph = _graph_of(model)
    if graph is None:
        return None
    nodes = [node for node in graph.nodes if node.input_tensors]
    layers = [node.layer for node in nodes]
    chain = all(len(node.input_tensors) == 1 for node in nodes) and len(graph.inputs) == 1
    made_from = [node.parents[0] for node in nodes if node.parents]
    if chain and len(set(layers)) == len(layers) and len(set(made_from)) == len(made_from):
        return None
    return set(graph.nodes)


def column_widths(length: int, positions: Sequence[float]) -> list[int]:
    """Widths of the columns, including padding, for a table `length` characters wide.

    >>> column_widths(76, (0.45, 0.80, 1.0))
    [33, 24, 15]
    """
    ends = [int(place * length) for place in positions]
    wanted = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    if min(wanted) < 4:
        raise ValueError(
            f"`line_length` must leave at least 4 characters for each column, received {length}"
        )
    widths = [width + 2 for width in wanted]
    # Borders and padding take space from all columns equally.
    excess = sum(widths) - (length - len(widths) - 1)
    for place in range(len(widths)):
        share = round(excess / (len(widths) - place))
        widths[place] -= share
        excess -= share
    return widths


def draw_table(header: Sequence[str], rows: Iterable[Sequence[str]], widths: Sequence[int]) -> str:
    """A table with box lines, and with numbers of parameters aligned to the right.

    >>> print(draw_table(["Layer", "Param #"], [["dense", "12"]], [9, 10]), end="")
    ┏━━━━━━━━━┳━━━━━━━━━━┓
    ┃ Layer   ┃  Param # ┃
    ┡━━━━━━━━━╇━━━━━━━━━━┩
    │ dense   │       12 │
    └─────────┴──────────┘
    """
    right = [title == "Param #" for title in header]
    middle = [title == _TRAINABLE for title in header]

    def lines(cells: Sequence[str], side: str) -> str:
        parts = [_wrapped(cell, width - 2) for cell, width in zip(cells, widths, strict=True)]
        text = ""
        for at in range(max(len(part) for part in parts)):
            row = []
            for place, part in enumerate(parts):
                cell, room = (part[at] if at < len(part) else ""), widths[place] - 2
                shown = cell.rjust(room) if right[place] else cell.ljust(room)
                row.append(f" {cell.center(room) if middle[place] else shown} ")
            text += side + side.join(row) + side + "\n"
        return text

    def rule(left: str, line: str, cross: str, end: str) -> str:
        return left + cross.join(line * width for width in widths) + end + "\n"

    body = rule("├", "─", "┼", "┤").join(lines(row, "│") for row in rows)
    top = rule("┏", "━", "┳", "┓") + lines(header, "┃") + rule("┡", "━", "╇", "┩")
    return top + body + rule("└", "─", "┴", "┘")


def readable_size(size: float) -> str:
    """Bytes in the largest unit that leaves a number of at least 1.

    >>> readable_size(2460)
    '2.40 KB'
    """
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size < 1024:
            return f"{size:.2f} {unit}"
        size /= 1024
    return f"{size:.2f} PB"


def _wrapped(cell: str, width: int) -> list[str]:
    return textwrap.wrap(cell, width, break_on_hyphens=False, drop_whitespace=True) or [""]


def _rows(
    layer: Layer,
    forked: set[Node] | None,
    expand_nested: bool,
    show_trainable: bool,
    depth: int = 0,
) -> Iterable[list[str]]:
    prefix = f"{'   ' * depth}└ " if depth else ""
    count = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
    row = [f"{prefix}{layer.name} ({type(layer).__name__})", output_shape_of(layer), count]
    if forked is not None:
        row.append(connections(layer, forked))
    if show_trainable:
        row.append("-" if not layer.weights else "Y" if layer.trainable else "N")
    yield row
    if expand_nested:
        for part in getattr(layer, "layers", None) or ():
            yield from _rows(part, forked, expand_nested, show_trainable, depth + 1)


def connections(layer: Layer, nodes: set[Node]) -> str:
    """The inputs of a layer in its calls among `nodes`: layer, call and output."""
    sources = [
        f"{tensor.node.layer.name}[{tensor.node.index}][{tensor.index}]"
        for node in layer._inbound_nodes
        if node in nodes
        for tensor in node.input_tensors
        if tensor.node is not None
    ]
    return ", ".join(sources) or "-"


def output_shape_of(layer: Layer) -> str:
    """The shape of the layer's outputs in its last call on symbolic tensors.

    For a layer that was built without them, the computed shape, or "?" if it is unknown.
    """
    if layer._inbound_nodes:
        shapes: Any = [tensor.shape for tensor in layer._inbound_nodes[-1].output_tensors]
    elif layer.build_shape is None:
        return "?"
    else:
        try:
            shapes = _computed_shape(layer)
        except NotImplementedError:
            return "?"
    while isinstance(shapes, dict | list | tuple) and len(shapes) == 1 and not is_shape(shapes):
        (shapes,) = shapes.values() if isinstance(shapes, dict) else shapes
    return _shown_shape(shapes)


def _computed_shape(layer: Layer) -> Any:
    """The output shape that the layer computes for the shapes given to `build`."""
    shape = layer.build_shape
    if is_shape(shape) or len(inspect.signature(layer.compute_output_shape).parameters) == 1:
        return layer.compute_output_shape(shape)
    return layer.compute_output_shape(*shape)


def _shown_shape(shapes: Any) -> str:
    if isinstance(shapes, dict):
        return "{" + ", ".join(f"{key}: {_shown_shape(part)}" for key, part in shapes.items()) + "}"
    if is_shape(shapes):
        return f"({', '.join(str(length) for length in shapes)})"
    return f"[{', '.join(_shown_shape(part) for part in shapes)}]"


def totals_of(model: Any) -> str:
    """The numbers of parameters, with a line for each kind."""
    optimizer = model.optimizer if model.compiled else None
    optimizer_variables = None
    if optimizer is not None and optimizer.built:
        optimizer_variables = optimizer.variables
    kinds = {"Trainable": model.trainable_weights, "Non-trainable": model.non_trainable_weights}
    if optimizer_variables is not None:
        kinds["Optimizer"] = list(optimizer_variables)
    every = [weight for weights in kinds.values() for weight in weights]
    text = f" Total params: {_counted(every)}\n"
    return text + "".join(f" {kind} params: {_counted(each)}\n" for kind, each in kinds.items())


def _counted(weights: Iterable[Parameter]) -> str:
    sizes = [(math.prod(weight.shape), weight.dtype.itemsize) for weight in weights]
    count = sum(size for size, _ in sizes)
    return f"{count:,} ({readable_size(sum(size * width for size, width in sizes))})"


def _within(layers: Sequence[Layer], layer_range: Sequence[str] | None) -> Sequence[Layer]:
    """The layers from the first that matches one pattern to the last that matches the other."""
    if layer_range is None:
        return layers
    if len(layer_range) != 2 or not all(isinstance(name, str) for name in layer_range):
        raise ValueError(
            f"`layer_range` must be two names (or patterns), received {list(layer_range)!r}"
        )
    first, last = (
        [at for at, layer in enumerate(layers) if re.match(name, layer.name)]
        for name in layer_range
    )
    if not first or not last:
        raise ValueError(
            f"`layer_range` {list(layer_range)!r} must match layers of the model, which are "
            f"{[layer.name for layer in layers]}"
        )
    return layers[first[0] : last[-1] + 1]
