"""What a window sees: nothing after its origin, exactly what lies before it."""

from dataclasses import replace

import numpy as np
import pytest

from ferrnn._src.forecasting.fitting import prepared
from ferrnn._src.forecasting.scaling import learned, trailing_means
from ferrnn._src.forecasting.windows import (
    context_of,
    season_before,
    targets_of,
    windows_of,
)
from ferrnn.forecasting import RecurrentForecaster
from forecasting.series import QUICK, long_table, rows_of, weekly

COVARIATES = {
    "past_covariates": ["rain"],
    "future_covariates": ["price"],
    "static_covariates": ["kind"],
}


def rows_and_origins(table, **options):
    settings = RecurrentForecaster(5, **QUICK, **COVARIATES, **options).settings
    begun = prepared(table, None, settings)
    panel = begun.panel.extended(5)
    widths = (panel.past, panel.future, panel.static)
    plain = tuple(np.stack([np.zeros(e.shape[1]), np.ones(e.shape[1])]) for e in widths)
    begun = replace(begun, scales=plain)
    return begun, panel, begun.rows(panel)


def test_no_value_after_the_origin_reaches_a_feature():
    random = np.random.default_rng(3)
    table = long_table(random)
    table["y"][random.random(len(table["y"])) < 0.1] = np.nan
    begun, panel, rows = rows_and_origins(table)
    origins = np.flatnonzero(panel.ticks + 5 <= begun.panel.last[panel.series])
    cut = int(np.median(panel.ticks))
    before = origins[panel.ticks[origins] <= cut]
    after = panel.ticks > cut
    changed = replace(rows, z=np.where(after, 1e9, rows.z), past=rows.past.copy())
    changed.past[after] = -1e9
    seen = windows_of(context_of(rows, before, begun.shape), begun.shape)
    again = windows_of(context_of(changed, before, begun.shape), begun.shape)
    assert len(before) > 40
    for one, other in zip(seen.inputs, again.inputs, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(seen.level, again.level)


def test_no_future_covariate_after_the_horizon_reaches_a_feature():
    begun, panel, rows = rows_and_origins(long_table(np.random.default_rng(4)))
    origin = np.flatnonzero(panel.ticks == begun.panel.last[0] - 20)
    changed = replace(rows, known=rows.known.copy())
    changed.known[panel.ticks > begun.panel.last[0] - 15] = 1e9
    seen = windows_of(context_of(rows, origin, begun.shape), begun.shape)
    again = windows_of(context_of(changed, origin, begun.shape), begun.shape)
    for one, other in zip(seen.inputs, again.inputs, strict=True):
        np.testing.assert_array_equal(one, other)


def test_values_held_out_reach_neither_scales_nor_the_first_training():
    random = np.random.default_rng(5)
    table = long_table(random)
    forecaster = RecurrentForecaster(5, **QUICK, **COVARIATES, refit=False, patience=9)
    first = forecaster.fit(table).fitted
    ticks = prepared(table, None, forecaster.settings).panel
    held = np.concatenate([np.arange(n) >= n - max(np.ceil(0.2 * n), 5) for n in ticks.lengths])
    changed = dict(table)
    for name in ("y", "rain", "price"):
        changed[name] = np.where(held, 1e3 + random.normal(size=len(held)), table[name])
    # The best epoch is chosen by what is held out, so both train one.
    forecasters = [
        RecurrentForecaster(5, **{**QUICK, "epochs": 1}, **COVARIATES, refit=False).fit(each)
        for each in (table, changed)
    ]
    one, other = (each.fitted for each in forecasters)
    np.testing.assert_array_equal(one.scaling.center, other.scaling.center)
    np.testing.assert_array_equal(one.scaling.scale, other.scaling.scale)
    for a, b in zip(one.scales[:2], other.scales[:2], strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(one.networks[0].get_weights(), other.networks[0].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert first.calibration is not None


def test_windows_are_the_rows_before_their_origins():
    begun, panel, rows = rows_and_origins(long_table(np.random.default_rng(6)))
    origins = np.array([3, 20, panel.starts[1] + 2, panel.starts[2] + 30])
    windows = windows_of(context_of(rows, origins, begun.shape), begun.shape)
    length = begun.shape.context
    for number, origin in enumerate(origins):
        start = panel.starts[panel.series[origin]]
        own = panel.y[max(start, origin - length + 1) : origin + 1]
        level = own[-7:].mean()
        np.testing.assert_allclose(windows.level[number], level)
        seen = windows.seen[number]
        np.testing.assert_array_equal(seen[:, 1], np.r_[[0] * (length - len(own)), [1] * len(own)])
        np.testing.assert_allclose(seen[-len(own) :, 0], own - level, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(seen[: length - len(own), 0], own[0] - level, rtol=1e-5)
        np.testing.assert_allclose(windows.ahead[number, :, 1], own[-1] - level, rtol=1e-5)
        price = panel.future[origin + 1 : origin + 6, 0]
        column = 3 + 2 * len(begun.kinds)
        np.testing.assert_allclose(windows.ahead[number, :, column], price, rtol=1e-6)
    targets = targets_of(rows, origins, windows.level, 5)
    ahead = panel.y[origins[:, None] + np.arange(1, 6)] - windows.level[:, None]
    np.testing.assert_allclose(targets[..., 0], ahead, rtol=1e-5, atol=1e-5)


def test_missing_values_are_filled_marked_and_weigh_nothing():
    random = np.random.default_rng(7)
    y = weekly(random, 60)
    y[[20, 21, 30]] = np.nan
    settings = RecurrentForecaster(4, context=8, season_length=3).settings
    begun = prepared(y, None, settings)
    rows = begun.rows(begun.panel.extended(4))
    windows = windows_of(context_of(rows, np.array([23]), begun.shape), begun.shape)
    x = windows.seen[0, :, 0] + windows.level[0]
    np.testing.assert_allclose(x, [*y[16:20], y[19], y[19], y[22], y[23]], rtol=1e-6)
    np.testing.assert_array_equal(windows.seen[0, :, 1], [1, 1, 1, 1, 0, 0, 1, 1])
    np.testing.assert_allclose(windows.level, y[[22, 23]].mean())
    targets = targets_of(rows, np.array([28]), windows.level, 4)
    np.testing.assert_array_equal(targets[0, :, 1], [1, 0, 1, 1])
    assert targets[0, 1, 0] == 0


@pytest.mark.parametrize(("steps", "length", "season"), [(5, 9, 3), (13, 20, 7), (3, 12, 12)])
def test_the_season_before_is_whole_seasons_back(steps, length, season):
    places = season_before(steps, length, season)
    back = length - 1 + np.arange(1, steps + 1) - places
    assert (back % season == 0).all()
    assert ((places >= length - season) & (places < length)).all()


def test_a_season_longer_than_the_window_leaves_the_last_step():
    np.testing.assert_array_equal(season_before(3, 5, 6), [4, 4, 4])


def test_trailing_means_are_those_of_the_rows_before():
    table = long_table(np.random.default_rng(8))
    begun, _, _ = rows_and_origins(rows_of(table, np.random.default_rng(9).random(191) < 0.9))
    panel = begun.panel
    made = trailing_means(panel, panel.y, 4)
    for row, series in enumerate(panel.series):
        before = panel.y[max(panel.starts[series], row - 4) : row]
        before = before[np.isfinite(before)]
        expected = before.mean() if len(before) else np.nan
        np.testing.assert_allclose(made[row], expected)


@pytest.mark.parametrize("kind", ["level", "standard", "robust", "none"])
def test_scaling_back_gives_what_was_scaled(kind):
    begun, panel, _ = rows_and_origins(long_table(np.random.default_rng(10)))
    for transform in (None, "log", "log1p", "asinh"):
        scaling = learned(begun.panel, kind, transform, 7)
        z = scaling.forward(panel.y, panel.series)
        np.testing.assert_allclose(scaling.backward(z, panel.series), panel.y)
    if kind == "standard":
        z = learned(begun.panel, kind, None, 7).forward(panel.y, panel.series)
        own = z[panel.series == 1]
        own = own[np.isfinite(own)]
        np.testing.assert_allclose([own.mean(), own.std()], [0, 1], atol=1e-9)
