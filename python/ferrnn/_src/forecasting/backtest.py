"""Backtests with rolling origins: forecasts made at times in the past, and their errors."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from ferrnn._src.forecasting.fitted import Fitted
from ferrnn._src.forecasting.fitting import fit_together, fitting, prepared
from ferrnn._src.forecasting.panel import Panel
from ferrnn._src.forecasting.predicting import predicted
from ferrnn._src.forecasting.results import Forecast, names_of
from ferrnn._src.forecasting.updating import updated
from ferrnn._src.native import num_threads
from ferrnn._src.training.samples import checked_count
from ferrnn._src.tree.types import Array


@dataclass(frozen=True, eq=False)
class Backtest:
    """Forecasts from several origins, with the truth.

    `forecasts` has the columns of `predict`, and `cutoff` (the last known time), `step` and
    `y`. `scale` `[rows]` is the mean error of "as one season before" up to the first origin.
    """

    forecasts: Forecast
    scale: Array
    levels: tuple[float, ...]
    fits: int
    seconds: float

    def summary(self) -> dict[str, float]:
        """Errors of the median, and of each level the coverage and the mean width.

        `mase` is the mean over series of the absolute error in units of the seasonal naive
        forecast's on the past; `coverage-80` is the part of the truth in the interval of 80 %.
        """
        return self._measured(np.isfinite(self.forecasts["y"]))

    def by_step(self) -> dict[str, Array]:
        """The columns of `summary` for each step ahead `[h]`."""
        steps = self.forecasts["step"]
        known = np.isfinite(self.forecasts["y"])
        parts = [self._measured(known & (steps == step)) for step in np.unique(steps)]
        return {name: np.array([part[name] for part in parts]) for name in parts[0]}

    def _measured(self, rows: Array) -> dict[str, float]:
        """The measures of some rows; NaN if there are none."""
        made: dict[str, float] = {}
        truth = self.forecasts["y"][rows]
        if not len(truth):
            names = [end for level in self.levels for end in (f"coverage-{level:g}",
                                                              f"width-{level:g}")]  # fmt: skip
            return dict.fromkeys(("mae", "rmse", "mase", *names), float("nan"))
        error = truth - self.forecasts["forecast"][rows]
        scaled = np.abs(error) / self.scale[rows]
        made["mae"] = float(np.abs(error).mean())
        made["rmse"] = float(np.sqrt((error**2).mean()))
        known = scaled[np.isfinite(scaled)]
        made["mase"] = float(known.mean()) if len(known) else float("nan")
        for level in self.levels:
            low, high = (self.forecasts[name][rows] for name in names_of(level))
            made[f"coverage-{level:g}"] = float(((low <= truth) & (truth <= high)).mean())
            made[f"width-{level:g}"] = float((high - low).mean())
        return made

    def __repr__(self) -> str:
        parts = ", ".join(f"{name} {value:.3g}" for name, value in self.summary().items())
        return f"<Backtest of {len(np.unique(self.forecasts['cutoff']))} origins: {parts}>"


def rolled(
    forecaster: Any,
    data: Any,
    static: Any,
    steps: int,
    windows: int,
    step: int,
    refit: int,
    levels: tuple[float, ...],
) -> Backtest:
    """The backtest of a copy of `forecaster`.

    Raises:
        ValueError: There are too few rows for the origins.
    """
    for name, value in (("windows", windows), ("step", step)):
        checked_count(value, name)
    begun = prepared(data, static, forecaster.settings)
    panel = begun.panel
    # Distances from the last rows, for each origin.
    behind = steps + step * np.arange(windows - 1, -1, -1)
    if behind[0] >= panel.lengths.max():
        raise ValueError(
            f"`windows={windows}` origins of {steps} steps, {step} apart, require more than "
            f"{behind[0]} rows, but the longest series has {panel.lengths.max()}"
        )
    end = int(panel.last.max())
    scale = naive_scale(panel.until(np.full(len(panel.ids), end - behind[0])), begun.shape.season)
    settings = forecaster.settings
    statics = data if static is None and settings.static_covariates else static
    start, parts = time.perf_counter(), []
    cuts = (end - behind).tolist()
    anew = [at for at in range(windows) if not at or (refit and at % refit == 0)]
    for some in (anew[at : at + num_threads()] for at in range(0, len(anew), num_threads())):
        known = (long_form(begun, panel, None, cuts[first]) for first in some)
        learned = fit_together([fitting(rows, statics, settings) for rows in known])
        for first, fitted in zip(some, learned, strict=True):
            last = next((at for at in anew if at > first), windows)
            parts.append(_forecasts(fitted, begun, cuts[first], steps, levels))
            follows = fitted
            for at in range(first + 1, last):
                rows = long_form(begun, panel, cuts[at - 1], cuts[at])
                follows = updated(follows, rows, None)
                parts.append(_forecasts(follows, begun, cuts[at], steps, levels))
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    series = np.searchsorted(panel.ids, columns[forecaster.settings.id_column])
    return Backtest(
        Forecast(columns, len(panel.ids)),
        scale[series],
        levels,
        len(anew),
        time.perf_counter() - start,
    )


def naive_scale(panel: Panel, season: int) -> Array:
    """The mean absolute difference from the value one season before `[series]`."""
    y, rows = panel.y, np.arange(len(panel.y))
    before = rows - season
    inside = before >= panel.starts[:-1][panel.series]
    errors = np.where(inside, np.abs(y - y[np.maximum(before, 0)]), np.nan)
    known = np.isfinite(errors)
    count = len(panel.ids)
    sums = np.bincount(panel.series[known], errors[known], count)
    made: Array = sums / np.maximum(np.bincount(panel.series[known], minlength=count), 1)
    return np.where(made > 0, made, np.nan)


def long_form(fitted: Fitted, panel: Panel, after: int | None, until: int) -> dict[str, Array]:
    """The rows after one tick up to another as columns, without static covariates."""
    settings = fitted.settings
    ticks = panel.ticks
    chosen = (ticks <= until) & (True if after is None else ticks > after)
    columns = {
        settings.id_column: panel.ids[panel.series][chosen],
        settings.time_column: fitted.frequency.labels(ticks[chosen]),
        settings.target_column: panel.y[chosen],
    }
    for kind, names in (("past", settings.past_covariates), ("future", settings.future_covariates)):
        values = getattr(panel, kind)[chosen]
        columns.update({name: values[:, at] for at, name in enumerate(names)})
    return columns


def _forecasts(
    fitted: Fitted, begun: Fitted, cut: int, steps: int, levels: tuple[float, ...]
) -> dict[str, Array]:
    """Forecasts made at a tick for the series that continue after it, with the truth."""
    panel, settings = begun.panel, begun.settings
    wanted = steps if settings.future_covariates else 1
    going = np.flatnonzero((panel.first <= cut) & (panel.last >= cut + wanted))
    ids = panel.ids[going]
    future = None
    if settings.future_covariates:
        future = long_form(begun, panel.chosen(going), cut, cut + steps)
        del future[settings.target_column]
    made = dict(predicted(fitted, steps, levels, (), future, ids))
    ticks = np.tile(cut + np.arange(1, steps + 1), len(going))
    series = np.repeat(going, steps)
    rows = panel.starts[:-1][series] + ticks - panel.first[series]
    there = ticks <= panel.last[series]
    made["y"] = np.where(there, panel.y[np.where(there, rows, 0)], np.nan)
    made["cutoff"] = np.repeat(begun.frequency.labels(np.array([cut])), len(ticks))
    made["step"] = ticks - cut
    return made
