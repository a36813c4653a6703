"""A model's layers, shapes and parameters as the table that Keras prints."""

from __future__ import annotations

import math
import re
import shutil
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from ferrnn.core.layer import Layer
from ferrnn.core.parameter import Parameter

_HEADER = ("Layer (type)", "Output Shape", "Param #")
_TRAINABLE = "Trainable"


def summarize(
    model: Any,
    layers: Sequence[tuple[Layer, Any]],
    optimizer_variables: Sequence[Parameter] | None,
    *,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Sequence[str] | None = None,
) -> str:
    """The text of `model.summary()`: the table of layers with output shapes, then the totals."""
    places = list(positions or (0.45, 0.80, 1.0))
    default = 88
    header = list(_HEADER)
    if show_trainable:
        places = [place * 0.9 for place in places] + [1.0]
        header.append(_TRAINABLE)
        default += 12
    length = line_length or min(default, shutil.get_terminal_size().columns - 4)
    widths = column_widths(length, places)
    rows = [
        row
        for layer, shape in _within(layers, layer_range)
        for row in _rows(layer, shape, expand_nested, show_trainable)
    ]
    table = draw_table(header, rows, widths)
    return f'Model: "{model.name}"\n{table}{_totals(model, optimizer_variables)}'


def column_widths(length: int, positions: Sequence[float]) -> list[int]:
    """Widths of the columns, padding included, for a table `length` characters wide.

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
    # The borders and the padding take their room from all columns alike.
    excess = sum(widths) - (length - len(widths) - 1)
    for place in range(len(widths)):
        share = round(excess / (len(widths) - place))
        widths[place] -= share
        excess -= share
    return widths


def draw_table(header: Sequence[str], rows: Iterable[Sequence[str]], widths: Sequence[int]) -> str:
    """A table with box lines; numbers of parameters stand at the right.

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
    layer: Layer, shape: Any, expand_nested: bool, show_trainable: bool, depth: int = 0
) -> Iterable[list[str]]:
    prefix = f"{'   ' * depth}└ " if depth else ""
    count = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
    row = [f"{prefix}{layer.name} ({type(layer).__name__})", _shown_shape(shape), count]
    if show_trainable:
        row.append("-" if not layer.weights else "Y" if layer.trainable else "N")
    yield row
    inner = getattr(layer, "layers", None)
    if expand_nested and inner:
        shapes = layer._shapes[1:] if layer.built else [None] * len(inner)  # type: ignore[attr-defined]
        for part, part_shape in zip(inner, shapes, strict=True):
            yield from _rows(part, part_shape, expand_nested, show_trainable, depth + 1)


def _shown_shape(shape: Any) -> str:
    if shape is None:
        return "?"
    if isinstance(shape, list):
        return f"[{', '.join(_shown_shape(part) for part in shape)}]"
    return f"({', '.join(str(length) for length in shape)})"


def _totals(model: Any, optimizer_variables: Sequence[Parameter] | None) -> str:
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


def _within(
    layers: Sequence[tuple[Layer, Any]], layer_range: Sequence[str] | None
) -> Sequence[tuple[Layer, Any]]:
    """The layers from the first that matches one pattern to the last that matches the other."""
    if layer_range is None:
        return layers
    if len(layer_range) != 2 or not all(isinstance(name, str) for name in layer_range):
        raise ValueError(
            f"`layer_range` must be two names (or patterns), received {list(layer_range)!r}"
        )
    first, last = (
        [at for at, (layer, _) in enumerate(layers) if re.match(name, layer.name)]
        for name in layer_range
    )
    if not first or not last:
        raise ValueError(
            f"`layer_range` {list(layer_range)!r} names no layers, the model has "
            f"{[layer.name for layer, _ in layers]}"
        )
    return layers[first[0] : last[-1] + 1]
