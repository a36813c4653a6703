"""Backtests: forecasts as they would have been, and their measures."""

import numpy as np
import pytest

import ferrnn as keras
from ferrnn.forecasting import RecurrentForecaster
from forecasting.series import QUICK, days, long_table, rows_of, weekly


def daily(count, seed=1):
    return {"ds": days(count), "y": weekly(np.random.default_rng(seed), count)}


@pytest.mark.parametrize("refit", [False, True, 2])
def test_nothing_after_a_cutoff_moves_its_forecasts(refit):
    data = daily(110)
    forecaster = RecurrentForecaster(4, **QUICK)
    made = forecaster.backtest(data, windows=4, refit=refit)
    late = np.arange(110) >= 102
    changed = {**data, "y": np.where(late, 1e4 + np.arange(110.0) ** 2, data["y"])}
    again = forecaster.backtest(changed, windows=4, refit=refit)
    before = made.forecasts["cutoff"] < days(110)[102]
    assert before.sum() == 12
    for name in ("forecast", "forecast-lo-80", "forecast-hi-95"):
        np.testing.assert_array_equal(made.forecasts[name][before], again.forecasts[name][before])
    assert made.fits == {False: 1, True: 4, 2: 2}[refit]


def test_without_refit_it_is_fit_update_predict():
    data = daily(100)
    forecaster = RecurrentForecaster(5, **QUICK)
    made = forecaster.backtest(data, windows=3, step=2, level=80)
    by_hand = forecaster.clone().fit(rows_of(data, np.arange(100) < 91))
    parts = [by_hand.predict(level=80)]
    for end in (93, 95):
        at = (np.arange(100) >= end - 2) & (np.arange(100) < end)
        parts.append(by_hand.update(rows_of(data, at)).predict(level=80))
    for name in ("ds", "forecast", "forecast-lo-80", "forecast-hi-80"):
        expected = np.concatenate([part[name] for part in parts])
        np.testing.assert_array_equal(made.forecasts[name], expected)
    np.testing.assert_array_equal(made.forecasts["y"][:5], data["y"][91:96])
    with pytest.raises(RuntimeError):
        forecaster.predict()


@pytest.mark.parametrize("threads", [1, 3])
def test_each_refit_is_the_fit_of_the_rows_before_it(threads):
    data, before = daily(100), keras.num_threads()
    forecaster = RecurrentForecaster(5, ensemble=2, **QUICK)
    keras.set_num_threads(threads)
    try:
        made = forecaster.backtest(data, windows=4, step=2, refit=True, level=80)
    finally:
        keras.set_num_threads(before)
    ends = (89, 91, 93, 95)
    alone = [forecaster.clone().fit(rows_of(data, np.arange(100) < end)) for end in ends]
    parts = [each.predict(level=80) for each in alone]
    for name in ("ds", "forecast", "forecast-lo-80", "forecast-hi-80"):
        expected = np.concatenate([part[name] for part in parts])
        np.testing.assert_array_equal(made.forecasts[name], expected)


def test_measures_are_their_formulas():
    table = long_table(np.random.default_rng(2))
    made = RecurrentForecaster(3, **QUICK).backtest(table, windows=5, level=[80])
    rows = made.forecasts
    known = np.isfinite(rows["y"])
    error = np.abs(rows["y"] - rows["forecast"])[known]
    summary = made.summary()
    np.testing.assert_allclose(summary["mae"], error.mean())
    inside = (rows["forecast-lo-80"] <= rows["y"]) & (rows["y"] <= rows["forecast-hi-80"])
    np.testing.assert_allclose(summary["coverage-80"], inside[known].mean())
    scales = {}
    first = rows["cutoff"].min()
    for each in np.unique(rows["unique_id"]):
        own = (table["unique_id"] == each) & (table["ds"] <= first)
        y = table["y"][own]
        scales[each] = np.abs(y[7:] - y[:-7]).mean()
    scaled = error / np.array([scales[each] for each in rows["unique_id"][known]])
    np.testing.assert_allclose(summary["mase"], scaled.mean())
    steps = made.by_step()
    assert steps["mae"].shape == (3,)
    second = known & (rows["step"] == 2)
    np.testing.assert_allclose(steps["mae"][1], np.abs(rows["y"] - rows["forecast"])[second].mean())
    assert "coverage-80" in repr(made)


def test_covariates_and_statics_go_along():
    table = long_table(np.random.default_rng(3))
    forecaster = RecurrentForecaster(
        3,
        past_covariates=["rain"],
        future_covariates=["price"],
        static_covariates=["kind"],
        **QUICK,
    )
    made = forecaster.backtest(table, windows=3)
    assert np.isfinite(made.summary()["mae"])
    # Only series that reach a cutoff are forecast there.
    assert set(made.forecasts["unique_id"]) == {"s1"}


def test_too_few_rows_are_named():
    with pytest.raises(
        ValueError, match="require more than 43 rows, but the longest series has 40"
    ):
        RecurrentForecaster(4, **QUICK).backtest(daily(40), windows=40, step=1)
    with pytest.raises(ValueError, match="`windows` must be a positive integer"):
        RecurrentForecaster(4, **QUICK).backtest(daily(40), windows=0)


@pytest.mark.filterwarnings("ignore:No windows are held out")
def test_a_past_shorter_than_a_season_has_no_scale():
    made = RecurrentForecaster(3, season_length=7, **{**QUICK, "context": 4}).backtest(
        daily(60), windows=18
    )
    found = made.summary()
    assert np.isnan(found["mase"])
    assert np.isfinite(found["mae"])
