"""Figures of several panels, and heat maps."""

from __future__ import annotations

import math
from typing import Any

from ferrnn._src.figures import figure as empty_figure
from ferrnn._src.tree.types import Array


def figure_of(
    count: int, *, width: float, height: float = 3.0, columns: int = 3
) -> tuple[Any, list[Any]]:
    """A figure with `count` panels of a height in inches, in rows of at most `columns`."""
    across = min(count, columns)
    down = math.ceil(count / across)
    figure = empty_figure(width, height * down)
    return figure, [figure.add_subplot(down, across, at + 1) for at in range(count)]


def heat_map(
    figure: Any, axes: Any, values: Array, *, low: float, high: float, colours: str
) -> None:
    """Rows and columns as coloured cells with their scale; NaN stays empty."""
    drawn = axes.imshow(
        values,
        aspect="auto",
        interpolation="nearest",
        cmap=colours,
        vmin=low,
        vmax=high,
    )
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.yaxis.get_major_locator().set_params(integer=True)
    figure.colorbar(drawn, ax=axes, pad=0.01)
