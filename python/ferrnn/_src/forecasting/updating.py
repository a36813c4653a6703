"""Updates with later rows, whose hits and misses adapt the intervals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ferrnn._src.forecasting.conformal import Calibration, calibrated
from ferrnn._src.forecasting.fitted import Fitted, names_in, panel_from
from ferrnn._src.forecasting.frames import table_of
from ferrnn._src.forecasting.panel import Panel
from ferrnn._src.forecasting.predicting import check_kind
from ferrnn._src.forecasting.statics import check_statics, static_features, statics_of


def updated(fitted: Fitted, data: Any, static: Any) -> Fitted:
    """The fitted state after the rows of `data`."""
    settings, names = fitted.settings, names_in(fitted.settings)
    table = table_of(data, names)
    wanted = settings.static_covariates
    of_statics = statics_of(table, static, settings, names)
    if static is None and not set(wanted) <= set(table.columns):
        wanted = ()
    features, _ = static_features(of_statics, wanted, fitted.categories)
    width = fitted.panel.static.shape[1]
    if not features:
        features = {each: np.full(width, np.nan) for each in np.unique(table.ids).tolist()}
    new = panel_from(table, settings, fitted.frequency, features)
    check_kind(fitted, new.ids)
    known = fitted.panel
    check_statics(features if wanted else {}, np.setdiff1d(new.ids, known.ids), settings)
    merged = known.merged(new)
    made = fitted.with_panel(merged)
    made = replace(made, calibration=_followed(made, known))
    return replace(made, panel=merged.tail(made.kept))


def _followed(made: Fitted, known: Panel) -> Calibration | None:
    """The calibration after the new rows, from what was forecast for them."""
    calibration, horizon, panel = made.calibration, made.settings.horizon, made.panel
    if calibration is None:
        return None
    count = len(known.ids)
    extended = panel.extended(horizon)
    ticks, series = extended.ticks, extended.series
    old = np.concatenate([known.last, panel.last[count:]])[series]
    later = (ticks > old - horizon) & (ticks < panel.last[series])
    origins = np.flatnonzero(later & (series < count))
    rows = made.rows(extended)
    truth = rows.z[origins[:, None] + np.arange(1, horizon + 1)].astype(np.float32)
    some = np.isfinite(truth).any(axis=1)
    origins, truth = origins[some], truth[some]
    if not len(origins):
        return calibration
    quantiles = made.quantiles(rows, origins, horizon).astype(np.float32)
    due = ticks[origins][:, None] + np.arange(1, horizon + 1)
    late = np.where(due > old[origins][:, None], truth, np.nan)
    seen = calibrated(
        calibration.method, calibration.levels, quantiles, truth, series[origins], ticks[origins]
    )
    return calibration.followed(quantiles, late, ticks[origins]).remembering(seen)
