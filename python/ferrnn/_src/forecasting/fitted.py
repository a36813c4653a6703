"""The state of a fitted forecaster, and its forecasts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ferrnn._src.forecasting.conformal import Calibration
from ferrnn._src.forecasting.frames import Names, Table
from ferrnn._src.forecasting.frequency import Frequency
from ferrnn._src.forecasting.network import make_network
from ferrnn._src.forecasting.panel import Panel, panel_of
from ferrnn._src.forecasting.scaling import Scaling, learned
from ferrnn._src.forecasting.settings import Settings
from ferrnn._src.forecasting.statics import Categories
from ferrnn._src.forecasting.training import forecast
from ferrnn._src.forecasting.windows import Rows, Shape, scaled_rows
from ferrnn._src.tree.types import Array


@dataclass(frozen=True, eq=False)
class Fitted:
    """Everything that `predict` and `update` need; the panel holds the last rows."""

    settings: Settings
    frequency: Frequency
    shape: Shape
    kinds: tuple[str, ...]
    scales: tuple[Array, Array, Array]
    categories: Categories
    scaling: Scaling
    panel: Panel
    networks: tuple[Any, ...] = ()
    calibration: Calibration | None = None
    backend: str | None = None
    single: bool = False

    @property
    def kept(self) -> int:
        """The number of rows of each series that later forecasts may need."""
        return self.shape.context + 2 * self.settings.horizon + self.shape.season

    def rows(self, panel: Panel, scaling: Scaling | None = None) -> Rows:
        """The scaled rows of a panel of these series."""
        return scaled_rows(
            panel,
            scaling or self.scaling,
            self.scales,
            self.frequency,
            self.kinds,
            self.shape.season,
        )

    def quantiles(self, rows: Rows, origins: Array, steps: int) -> Array:
        """Scaled quantiles `[origins, steps, quantiles]` made at some rows."""
        recursive = self.settings.strategy == "recursive"
        return forecast(list(self.networks), rows, origins, steps, self.shape, recursive=recursive)

    def new_network(self, seed: int) -> Any:
        """A network with new weights."""
        settings, known = self.settings, 2 * len(self.kinds) + len(self.settings.future_covariates)
        static = self.scales[2].shape[1]
        seen = 2 + len(settings.past_covariates) + known + static
        sizes = (self.shape.context, seen, self.shape.horizon, 3 + known + static)
        return make_network(
            sizes,
            cell=settings.cell,
            units=settings.units,
            layers=settings.layers,
            dropout=settings.dropout,
            seed=seed,
        )

    def with_panel(self, panel: Panel) -> Fitted:
        """A copy with more rows or series; new series are scaled by their own rows."""
        new = np.arange(len(self.panel.ids), len(panel.ids))
        scaling = self.scaling
        if len(new):
            more = learned(
                panel.chosen(new),
                self.settings.scaling,
                self.settings.transform,
                self.shape.season,
            )
            center = np.concatenate([scaling.center, more.center])
            scale = np.concatenate([scaling.scale, more.scale])
            scaling = Scaling(center, scale, scaling.transform)
        return replace(self, panel=panel, scaling=scaling)


def names_in(settings: Settings) -> Names:
    """The names of the columns of a forecaster's tables."""
    return Names(settings.id_column, settings.time_column, settings.target_column)


def _check_times(table: Table, frequency: Frequency, name: str, argument: str) -> None:
    """Raises an error for times that are not comparable with those of `fit`."""
    numbers = table.times.dtype.kind == "i"
    received, expected = numbers or table.zone, frequency.kind == "number" or frequency.zone
    if received != expected:
        zones = isinstance(received, str) and isinstance(expected, str)
        kind = ValueError if zones else TypeError
        raise kind(
            f"{name!r} of `{argument}` must hold {_told(expected)}, as in `fit`, received "
            f"{_told(received)}"
        )


def _told(kind: bool | str | None) -> str:
    if kind is True:
        return "integers"
    return f"times in the zone {kind}" if kind else "times without a zone"


def panel_from(
    table: Table,
    settings: Settings,
    frequency: Frequency,
    static: Mapping[Any, Array],
    *,
    target: bool = True,
    argument: str = "data",
) -> Panel:
    """The rows of a table as a panel; `static` are features by id.

    Raises:
        TypeError: Its times are of another kind than those of `fit`.
        ValueError: They are in another zone, or off the grid.
    """
    _check_times(table, frequency, settings.time_column, argument)
    past = settings.past_covariates if target else ()
    rows = len(table.ids)
    values = {
        "y": table.numbers([settings.target_column], "`target_column`")[:, 0]
        if target
        else np.full(rows, np.nan),
        "past": table.numbers(past, "`past_covariates`")
        if target
        else np.full((rows, len(settings.past_covariates)), np.nan),
        "future": table.numbers(settings.future_covariates, "`future_covariates`"),
    }
    made = panel_of(table.ids, frequency.ticks(table.times), values)
    width = max((len(each) for each in static.values()), default=0)
    nothing = np.full(width, np.nan)
    features = [static.get(each, nothing) for each in made.ids.tolist()]
    return replace(made, static=np.array(features).reshape(len(made.ids), width))
