"""Figures of forecasts: the last values, the median ahead, intervals as bands."""

from __future__ import annotations

from typing import Any

import numpy as np

from ferrnn._src.figures import figure, short_dates
from ferrnn._src.forecasting.fitted import Fitted
from ferrnn._src.forecasting.frames import Names, table_of
from ferrnn._src.forecasting.panel import ids_of
from ferrnn._src.forecasting.zones import zone_of
from ferrnn._src.training.samples import checked_count

_TRUTH, _AHEAD = "#3b4252", "#d1495b"


def draw(
    fitted: Fitted,
    forecast: Any,
    names: Names,
    *,
    history: int | None,
    most: int,
    axes: Any,
) -> Any:
    """A figure of a forecast; the arguments are those of `RecurrentForecaster.plot`."""
    checked_count(most, "most")
    history = fitted.shape.context if history is None else checked_count(history, "history")
    table = table_of(forecast, names, target=False, argument="forecast")
    if "forecast" not in table.columns:
        raise ValueError(
            f"`forecast` must have the columns of `predict`, received {[*table.columns]}"
        )
    ids = list(dict.fromkeys(table.ids.tolist()))[:most]
    made = None
    if axes is None:
        made = figure(9, 1.2 + 2.4 * len(ids))
        axes = made.subplots(len(ids), 1, squeeze=False)[:, 0]
    axes = np.atleast_1d(np.asarray(axes, dtype=object))
    if len(axes) < len(ids):
        raise ValueError(
            f"`axes` must have one for each of {len(ids)} series, received {len(axes)}"
        )
    if not all(hasattr(each, "fill_between") for each in axes):
        raise TypeError(f"`axes` must be matplotlib's, received {type(axes[0]).__name__}")
    for each, place in zip(ids, axes, strict=False):
        _draw_series(fitted, table, each, place, names, history)
    above = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0.2}
    axes[0].legend(ncols=len(axes[0].get_legend_handles_labels()[0]), frameon=False, **above)
    return made if made is not None else axes[0].figure


def _draw_series(
    fitted: Fitted, table: Any, each: Any, axes: Any, names: Names, history: int
) -> None:
    panel = fitted.panel
    at = panel.ids.tolist().index(ids_of(np.array([each])).tolist()[0])
    own = slice(panel.starts[at], panel.starts[at + 1])
    times = fitted.frequency.times(panel.ticks[own])[-history:]
    axes.plot(times, panel.y[own][-history:], color=_TRUTH, linewidth=1.3, label="known")
    rows = table.ids == each
    ahead = table.times[rows]
    levels = sorted(
        (float(name.rpartition("-")[2]) for name in table.columns if "-lo-" in name), reverse=True
    )
    for number, level in enumerate(levels):
        low, high = (table.columns[f"forecast-{end}-{level:g}"][rows] for end in ("lo", "hi"))
        shade = 0.15 + 0.15 * number
        axes.fill_between(
            ahead, low, high, color=_AHEAD, alpha=shade, linewidth=0, label=f"{level:g} %"
        )
    middle = table.columns["forecast"][rows]
    axes.plot(ahead, middle, color=_AHEAD, linewidth=1.3, label="forecast")
    if times.dtype.kind == "M":
        zone = fitted.frequency.zone
        short_dates(axes.xaxis, None if zone is None else zone_of(zone))
    axes.set_title("" if fitted.single else str(each), loc="left")
    axes.set_ylabel(names.target)
