"""Windows: what a forecast at a row may use, gathered for many rows at once.

The origin of a forecast is the last row whose target and past covariates it uses. Of the rows after
it, it uses only the calendar and the future covariates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ferrnn._src.forecasting.frequency import Frequency, calendar
from ferrnn._src.forecasting.panel import Panel
from ferrnn._src.forecasting.scaling import Scaling, scaled_columns
from ferrnn._src.tree.types import Array


@dataclass(frozen=True)
class Shape:
    """The sizes of windows: steps seen, steps forecast, and steps of a season."""

    context: int
    horizon: int
    season: int


@dataclass(frozen=True, eq=False)
class Rows:
    """The scaled rows of a panel.

    `z` `[rows]` (NaN where missing), `past` and `known` `[rows, features]`, `static`
    `[series, features]`, `begins` and `series` `[rows]`.
    """

    z: Array
    past: Array
    known: Array
    static: Array
    begins: Array
    series: Array


@dataclass(frozen=True, eq=False)
class Windows:
    """The inputs of the network.

    `seen` `[batch, context, features]`, `ahead` `[batch, horizon, features]`, `recent`
    `[batch, context]`; and `level` `[batch]`, which is subtracted from all of it and from the
    targets.
    """

    seen: Array
    ahead: Array
    recent: Array
    level: Array

    @property
    def inputs(self) -> tuple[Array, Array, Array]:
        """The arrays in the order of the network's inputs."""
        return self.seen, self.ahead, self.recent


@dataclass(frozen=True, eq=False)
class Context:
    """The rows behind windows.

    `z` `[batch, context]`, `past` and `known` for them `[batch, context, features]`, `coming`
    `[batch, horizon, features]`, `static` `[batch, features]`.
    """

    z: Array
    past: Array
    known: Array
    coming: Array
    static: Array

    def moved(self, values: Array, coming: Array) -> Context:
        """The context one step later, with `values` `[batch]` as the targets of that step."""
        z = np.concatenate([self.z[:, 1:], values[:, None]], axis=1)
        known = np.concatenate([self.known[:, 1:], self.coming[:, :1]], axis=1)
        return replace(self, z=z, known=known, coming=coming)


def scaled_rows(
    panel: Panel,
    scaling: Scaling,
    scales: tuple[Array, Array, Array],
    frequency: Frequency,
    kinds: tuple[str, ...],
    season: int,
) -> Rows:
    """The scaled rows of a panel; `scales` are those of past, future and static covariates."""
    series = panel.series
    known = np.concatenate(
        [
            calendar(kinds, frequency, season, panel.ticks),
            scaled_columns(panel.future, scales[1]),
        ],
        axis=1,
    )
    return Rows(
        z=scaling.forward(panel.y, series),
        past=scaled_columns(panel.past, scales[0]),
        known=known,
        static=scaled_columns(panel.static, scales[2]),
        begins=panel.starts[:-1][series],
        series=series,
    )


def context_of(rows: Rows, origins: Array, shape: Shape) -> Context:
    """The context of forecasts made at the rows `origins` `[batch]`.

    All rows up to an origin's `horizon` rows later must belong to its series.
    """
    places = origins[:, None] + np.arange(1 - shape.context, 1)
    outside = places < rows.begins[origins][:, None]
    places = np.where(outside, origins[:, None], places)
    ahead = origins[:, None] + np.arange(1, shape.horizon + 1)
    past, known = rows.past[places], rows.known[places]
    if outside.any():
        past[outside] = 0.0
        known[outside] = 0.0
    return Context(
        z=np.where(outside, np.nan, rows.z[places]),
        past=past,
        known=known,
        coming=rows.known[ahead],
        static=rows.static[rows.series[origins]],
    )


def windows_of(context: Context, shape: Shape) -> Windows:
    """The network's inputs, in float32; missing targets are filled and marked."""
    known: Array = np.isfinite(context.z)
    filled = _filled(context.z, known)
    level = _level(context.z, known, shape.season)
    some = known.sum(axis=1, keepdims=True) > 0
    x = np.where(some, filled - level[:, None], 0.0)
    batch, length = x.shape
    static = context.static[:, None, :]
    seen = np.concatenate(
        [
            x[..., None],
            known[..., None],
            context.past,
            context.known,
            np.broadcast_to(static, (batch, length, static.shape[2])),
        ],
        axis=2,
        dtype=np.float32,
        casting="same_kind",
    )
    steps = context.coming.shape[1]
    place = np.broadcast_to((np.arange(steps) + 1.0)[:, None] / max(steps, 1), (batch, steps, 1))
    ahead = np.concatenate(
        [
            x[:, season_before(steps, length, shape.season), None],
            np.broadcast_to(x[:, -1:, None], (batch, steps, 1)),
            place,
            context.coming,
            np.broadcast_to(static, (batch, steps, static.shape[2])),
        ],
        axis=2,
        dtype=np.float32,
        casting="same_kind",
    )
    return Windows(seen, ahead, x.astype(np.float32), level)


def season_before(steps: int, length: int, season: int) -> Array:
    """For each step ahead, the place in a window of `length` that is whole seasons before.

    It is the last step if the window is shorter than a season.
    """
    if season > length:
        return np.full(steps, length - 1)
    ahead = np.arange(1, steps + 1)
    made: Array = length - 1 + ahead - season * -(-ahead // season)
    return made


def targets_of(rows: Rows, origins: Array, level: Array, horizon: int) -> Array:
    """Scaled targets less the windows' level, and their weights: `[batch, horizon, 2]` float32.

    A missing target is 0 with weight 0.
    """
    values = rows.z[origins[:, None] + np.arange(1, horizon + 1)] - level[:, None]
    known = np.isfinite(values)
    return np.stack([np.where(known, values, 0.0), known], axis=2).astype(np.float32)


def _filled(z: Array, known: Array) -> Array:
    """Fills missing values with the last known value, or at the beginning with the first one."""
    if known.all():
        return z
    places = np.maximum.accumulate(np.where(known, np.arange(z.shape[1]), -1), axis=1)
    first = np.argmax(known, axis=1)[:, None]
    made: Array = np.take_along_axis(z, np.where(places < 0, first, places), axis=1)
    return made


def _level(z: Array, known: Array, season: int) -> Array:
    """The mean of the last season's known values, or of all if it has none, or 0 without any."""
    part = slice(-min(season, z.shape[1]), None)
    values = np.where(known, z, 0.0)
    number, sums = known[:, part].sum(axis=1), values[:, part].sum(axis=1)
    sums = np.where(number > 0, sums, values.sum(axis=1))
    number = np.where(number > 0, number, known.sum(axis=1))
    made: Array = sums / np.maximum(number, 1)
    return made
