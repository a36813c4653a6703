"""Forecasts Seattle's highest temperature, for tomorrow and for seven days, and draws the result.

Tomorrow is forecast by two GRU layers. The years are kept apart: 2012 and 2013 train, 2014 decides
when to stop, 2015 is only looked at for the final error. Means and deviations for scaling come from
the training years. The model predicts the change from today to tomorrow, so that it starts where
"tomorrow = today" leaves off.

The seven days come from `RecurrentForecaster`, with intervals: it forecasts each week of 2015 from
the days before it, and the program counts how often they contained the truth.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pictures

import ferrnn as keras
from ferrnn.forecasting import Backtest, RecurrentForecaster

DAYS = 14  # how far back the model looks
WEEK, LEVELS = 7, (80, 95)
BATCH = 32
VALIDATION, TEST = np.datetime64("2014-01-01"), np.datetime64("2015-01-01")

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Windows:
    """Each day with the `DAYS` days before it: `x` `[days, DAYS, features]`, all else `[days]`."""

    dates: Array
    x: Array
    y: Array
    today: Array
    tomorrow: Array

    def between(self, start: np.datetime64, end: np.datetime64) -> Windows:
        """The days to forecast from `start` up to `end`."""
        chosen = (self.dates >= start) & (self.dates < end)
        parts = (self.dates, self.x, self.y, self.today, self.tomorrow)
        return Windows(*(part[chosen] for part in parts))


def make_windows(weather: keras.datasets.DailyWeather) -> tuple[Windows, float]:
    """Scaled windows over all days, and what one unit of `y` is in °C."""
    dates, highest = weather.dates, weather["temp_max"]
    season = 2 * np.pi * day_of_year(dates) / 365.25
    features = np.stack(
        [
            highest,
            weather["temp_min"],
            np.log1p(weather["precipitation"]),
            weather["wind"],
            np.sin(season),
            np.cos(season),
        ],
        axis=1,
    )
    past = features[dates < VALIDATION]
    scaled = (features - past.mean(axis=0)) / past.std(axis=0)
    windows = np.lib.stride_tricks.sliding_window_view(scaled, DAYS, axis=0)[:-1]
    change = highest[DAYS:] - highest[DAYS - 1 : -1]
    unit = float(change[dates[DAYS:] < VALIDATION].std())
    made = Windows(
        dates=dates[DAYS:],
        x=windows.transpose(0, 2, 1).astype("float32"),
        y=(change / unit).astype("float32"),
        today=highest[DAYS - 1 : -1],
        tomorrow=highest[DAYS:],
    )
    return made, unit


def day_of_year(dates: Array) -> Array:
    """1 for the first of January."""
    days: Array = (dates - dates.astype("datetime64[Y]")).astype(int)
    return days + 1


def day_of_year_mean(weather: keras.datasets.DailyWeather, dates: Array) -> Array:
    """The mean of the highest temperature on the same day of all years before the test year."""
    past = weather.dates < TEST
    days, highest = day_of_year(weather.dates[past]), weather["temp_max"][past]
    return np.array([highest[days == day].mean() for day in day_of_year(dates)])


def make_model(features: int) -> keras.Sequential:
    """Two GRU layers on `[batch, DAYS, features]`, one number out."""
    model = keras.Sequential(
        [
            keras.Input((DAYS, features)),
            keras.layers.GRU(32, return_sequences=True),
            keras.layers.GRU(32),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.Adam(learning_rate=2e-3), loss="mse")
    return model


def weeks_ahead(weather: keras.datasets.DailyWeather, epochs: int) -> Backtest:
    """Each of the last 52 weeks, forecast from the days before it, with intervals."""
    forecaster = RecurrentForecaster(
        WEEK, past_covariates=["temp_min", "rain", "wind"], epochs=epochs
    )
    columns = {
        "ds": weather.dates,
        "y": weather["temp_max"],
        "temp_min": weather["temp_min"],
        "rain": np.log1p(weather["precipitation"]),
        "wind": weather["wind"],
    }
    return forecaster.backtest(columns, windows=52, level=LEVELS)


def report(weeks: Backtest) -> dict[str, float]:
    """Prints the last week of the backtest, and how good the intervals were over all weeks."""
    rows = weeks.forecasts
    last = rows["cutoff"] == rows["cutoff"].max()
    print(f"\nSeven days from {rows['cutoff'][last][0].astype('M8[D]')}, in °C:")
    print("  day         forecast    80 %            95 %            measured")
    for at in np.flatnonzero(last):
        ends = [
            f"{rows[f'forecast-lo-{level}'][at]:5.1f} to {rows[f'forecast-hi-{level}'][at]:5.1f}"
            for level in LEVELS
        ]
        day, middle = rows["ds"][at].astype("M8[D]"), rows["forecast"][at]
        print(f"  {day}  {middle:8.1f}  {'  '.join(ends)}  {rows['y'][at]:8.1f}")
    found = weeks.summary()
    for level in LEVELS:
        covered, width = found[f"coverage-{level}"], found[f"width-{level}"]
        print(f"Of 364 days, {covered:.0%} were in their {level} % interval, {width:.1f} °C wide.")
    return found


def rmse(forecast: Array, truth: Array) -> float:
    """The root of the mean squared error."""
    return float(np.sqrt(np.mean((forecast - truth) ** 2)))


def draw(
    test: Windows,
    forecast: Array,
    errors: dict[str, float],
    history: dict[str, list[float]],
    best: int,
    weeks: Backtest,
) -> Any:
    """Forecast against truth over the test year, seven days ahead, the loss, the errors."""
    figure, axes = pictures.figure(["aaa", "ddd", "bbc"], height=9.0)
    draw_week(axes["d"], test, weeks)
    axes["a"].plot(test.dates, test.tomorrow, color=pictures.TRUTH, label="measured")
    axes["a"].plot(
        test.dates, forecast, color=pictures.MODEL, label="forecast, made the day before"
    )
    axes["a"].set(title="Highest temperature of the day, Seattle 2015", ylabel="°C")
    axes["a"].margins(x=0.01)
    axes["a"].legend(ncols=2)
    pictures.draw_loss(axes["b"], history, best=best)
    pictures.draw_errors(axes["c"], errors, "°C")
    return figure


def draw_week(axes: Any, test: Windows, weeks: Backtest) -> None:
    """The last week forecast with its intervals, after the weeks before it."""
    rows = weeks.forecasts
    last = rows["cutoff"] == rows["cutoff"].max()
    shown = test.dates >= rows["ds"][last][0] - np.timedelta64(5 * WEEK, "D")
    axes.plot(test.dates[shown], test.tomorrow[shown], color=pictures.TRUTH, label="measured")
    for level, shade in zip(reversed(LEVELS), (0.15, 0.3), strict=True):
        low, high = (rows[f"forecast-{end}-{level}"][last] for end in ("lo", "hi"))
        axes.fill_between(
            rows["ds"][last], low, high, color=pictures.MODEL, alpha=shade, linewidth=0,
            label=f"{level} %",
        )  # fmt: skip
    axes.plot(rows["ds"][last], rows["forecast"][last], color=pictures.MODEL, label="forecast")
    axes.set(title="Seven days ahead, with intervals", ylabel="°C")
    axes.margins(x=0.01)
    axes.legend(ncols=4)


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Trains, tests, prints and draws; returns the test errors by name."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", default="build/examples", help="directory of the picture")
    parser.add_argument("--epochs", type=int, default=60, help="stop after so many at the latest")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)

    keras.utils.set_random_seed(options.seed)
    weather = keras.datasets.load_seattle_weather()
    print(f"{len(weather)} days of weather. Source: {weather.source}")
    windows, unit = make_windows(weather)
    train = windows.between(weather.dates[0], VALIDATION)
    validation = windows.between(VALIDATION, TEST)
    test = windows.between(TEST, weather.dates[-1] + 1)

    model = make_model(train.x.shape[-1])
    model.summary()
    stopping = keras.callbacks.EarlyStopping(patience=10, restore_best_weights=True)
    start = time.perf_counter()
    history = model.fit(
        train.x,
        train.y,
        batch_size=BATCH,
        epochs=options.epochs,
        validation_data=(validation.x, validation.y),
        callbacks=[stopping],
    )
    seconds = time.perf_counter() - start
    steps = len(history.epoch) * history.params["steps"]
    print(
        f"\nTrained {len(history.epoch)} epochs in {seconds:.1f} s, validation included: "
        f"{steps} steps of {BATCH} windows, {steps / seconds:.0f} steps per second."
    )

    forecast = test.today + model.predict(test.x, verbose=0)[:, 0] * unit
    errors = {
        "model": rmse(forecast, test.tomorrow),
        "tomorrow = today": rmse(test.today, test.tomorrow),
        "day-of-year mean": rmse(day_of_year_mean(weather, test.dates), test.tomorrow),
    }
    print(f"\nError on the {len(test.dates)} days of 2015 (RMSE):")
    for name, error in errors.items():
        print(f"  {name:18} {error:5.2f} °C")
    gain = 1 - errors["model"] / errors["tomorrow = today"]
    print(
        f"The model's error is {abs(gain):.1%} {'below' if gain > 0 else 'ABOVE'} tomorrow = today."
    )
    weeks = weeks_ahead(weather, options.epochs)
    report(weeks)
    picture = draw(test, forecast, errors, history.history, stopping.best_epoch, weeks)
    print(f"Picture: {pictures.save(picture, options.out, 'seattle_forecast')}")
    return errors


if __name__ == "__main__":
    main()
