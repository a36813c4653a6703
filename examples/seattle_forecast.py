"""Forecasts tomorrow's highest temperature in Seattle with two GRU layers, and draws the result.

The years are kept apart: 2012 and 2013 train, 2014 decides when to stop, 2015 is only looked at for
the final error. Means and deviations for scaling come from the training years. What the model gives
is the change from today to tomorrow, so that its work begins where "tomorrow = today" ends.
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

DAYS = 14  # how far back the model looks
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


def rmse(forecast: Array, truth: Array) -> float:
    """The root of the mean squared error."""
    return float(np.sqrt(np.mean((forecast - truth) ** 2)))


def draw(
    test: Windows,
    forecast: Array,
    errors: dict[str, float],
    history: dict[str, list[float]],
    best: int,
) -> Any:
    """Forecast against truth over the test year, the loss per epoch, the errors."""
    figure, axes = pictures.figure(["aaa", "bbc"])
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


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Trains, tests, prints and draws; gives the test errors by name."""
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
    picture = draw(test, forecast, errors, history.history, stopping.best_epoch)
    print(f"Picture: {pictures.save(picture, options.out, 'seattle_forecast')}")
    return errors


if __name__ == "__main__":
    main()
