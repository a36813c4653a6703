"""Forecasts of a fitted forecaster: rows ahead, quantiles, intervals, and their columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ferrnn._src.forecasting.fitted import Fitted, names_in, panel_from
from ferrnn._src.forecasting.frames import table_of
from ferrnn._src.forecasting.panel import Panel, ids_of
from ferrnn._src.forecasting.quantiles import MIDDLE, at_probability
from ferrnn._src.forecasting.results import Forecast, names_of
from ferrnn._src.tree.types import Array


def predicted(
    fitted: Fitted,
    steps: int,
    levels: Sequence[float],
    probabilities: Sequence[float],
    future: Any,
    ids: Any,
) -> Forecast:
    """The columns of `RecurrentForecaster.predict`."""
    places = _places(fitted, ids)
    panel = _with_future(fitted, fitted.panel.chosen(places), future, steps)
    scaling = fitted.scaling.chosen(places)
    rows = fitted.rows(panel, scaling)
    made = fitted.quantiles(rows, panel.starts[1:] - 1 - fitted.settings.horizon, steps)
    columns = _labels(fitted, panel, steps)

    def back(values: Array) -> Array:
        return scaling.backward(values, np.arange(len(places))).reshape(-1)

    columns["forecast"] = back(made[..., MIDDLE])
    ends = _ends(fitted, made, [*levels, *map(_level_of, probabilities)])
    for each in levels:
        for name, end in zip(names_of(each), ends[each], strict=True):
            columns[name] = back(end)
    for probability in probabilities:
        end = ends[_level_of(probability)][int(probability > 0.5)]
        columns[f"forecast-q-{probability:g}"] = back(end)
    return Forecast(columns, len(places))


def _places(fitted: Fitted, ids: Any) -> Array:
    known = fitted.panel.ids.tolist()
    if ids is None:
        return np.arange(len(known))
    asked = ids_of(np.atleast_1d(np.asarray(ids))).tolist()
    if not asked:
        raise ValueError("`ids` must name at least one series, received none")
    unknown = [each for each in asked if each not in known]
    if unknown:
        raise ValueError(f"`ids` must be those of known series, received {unknown[0]!r}")
    numbers = {each: at for at, each in enumerate(known)}
    return np.array([numbers[each] for each in asked], int)


def check_kind(fitted: Fitted, ids: Array) -> None:
    known = fitted.panel.ids
    if ids.dtype.kind != known.dtype.kind:
        raise TypeError(
            f"the ids of series must be as in `fit`, such as {known[0].item()!r}, received "
            f"{ids[0].item()!r}"
        )


def _with_future(fitted: Fitted, panel: Panel, future: Any, steps: int) -> Panel:
    """The panel with all rows of the horizon, and their future covariates."""
    settings = fitted.settings
    if not settings.future_covariates:
        if future is not None:
            raise ValueError(
                "`future` must be None, as there are no `future_covariates`, received a table"
            )
        return panel.extended(settings.horizon)
    if future is None:
        raise ValueError(
            f"`future` must be a table of {list(settings.future_covariates)} for the {steps} "
            "steps ahead, received None"
        )
    table = table_of(future, names_in(settings), target=False, argument="future")
    if settings.time_column not in table.columns:  # numbered: they follow the last row
        ends = dict(zip(panel.ids.tolist(), panel.last.tolist(), strict=True))
        last = np.array([ends.get(each, 0) for each in table.ids.tolist()])
        frequency = fitted.frequency
        times = frequency.times(table.times + 1 + last)
        table = replace(table, times=times, zone=frequency.zone)
    blank = {each: np.full(panel.static.shape[1], np.nan) for each in panel.ids.tolist()}
    known = panel_from(table, settings, fitted.frequency, blank, target=False, argument="future")
    check_kind(fitted, known.ids)
    last = panel.last
    known = known.chosen(np.flatnonzero(np.isin(known.ids, panel.ids)))
    made = panel.merged(known).rows_to(panel.first, last + settings.horizon)
    ahead = made.starts[1:, None] - settings.horizon + np.arange(steps)
    missing = np.isnan(made.future[ahead]).any(axis=2)
    if missing.any():
        at, step = np.argwhere(missing)[0]
        when = fitted.frequency.labels(last[at : at + 1] + 1 + step)[0]
        raise ValueError(
            f"`future` must have {list(settings.future_covariates)} for all {steps} steps of "
            f"each series; the series {made.ids[at].item()!r} lacks them at {when}"
        )
    return made


def _labels(fitted: Fitted, panel: Panel, steps: int) -> dict[str, Array]:
    last = panel.last - fitted.settings.horizon
    ticks = (last[:, None] + np.arange(1, steps + 1)).reshape(-1)
    times = fitted.frequency.labels(ticks)
    ids = np.repeat(panel.ids, steps)
    return {fitted.settings.id_column: ids, fitted.settings.time_column: times}


def _ends(fitted: Fitted, made: Array, levels: Sequence[float]) -> dict[float, tuple[Array, Array]]:
    """The intervals of several levels, each inside the wider ones."""
    ends: dict[float, tuple[Array, Array]] = {}
    low = high = made[..., MIDDLE]
    for level in sorted(set(levels)):
        if level > 0:
            lower, upper = _interval(fitted, made, level)
            low, high = np.minimum(low, lower), np.maximum(high, upper)
        ends[level] = low, high
    return ends


def _interval(fitted: Fitted, made: Array, level: float) -> tuple[Array, Array]:
    calibration = fitted.calibration
    if calibration is not None:
        return calibration.interval(made, level)
    tail = (1 - level / 100) / 2
    return at_probability(made, tail), at_probability(made, 1 - tail)


def _level_of(probability: float) -> float:
    """The level of the interval that ends at a quantile; 0 for the median."""
    return float(round(100 * abs(1 - 2 * probability), 9))
