"""Forecasts three quantities for the next five days, with Keras' windows and callbacks.

`timeseries_dataset_from_array` cuts the weather of Seattle into windows of three weeks, for
training (2012, 2013), validation (2014) and test (2015), scaled by the mean and deviation of the
training years alone. An LSTM reads a window and gives the highest and lowest temperature and the
wind of the five days after it. The callbacks do what they do in longer runs: `ReduceLROnPlateau`
slows learning down, `EarlyStopping` ends it, `ModelCheckpoint` writes the best model to a `.keras`
file and `CSVLogger` a table of all epochs. The test is done by the model read back from the file.

Prints the mean absolute error for each quantity and for each day ahead, beside two naive forecasts:
every day to come is like today, and like the same day of the year in the years before.

    python examples/weather_windows.py
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import ferrnn as keras
from ferrnn import layers
from ferrnn.callbacks import CSVLogger, EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from ferrnn.utils import timeseries_dataset_from_array

WINDOW, AHEAD = 21, 5
QUANTITIES = ("temp_max", "temp_min", "wind")
VALIDATION, TEST = np.datetime64("2014-01-01"), np.datetime64("2015-01-01")

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Series:
    """Scaled features `[days, n]`, the quantities first, and how to scale those back."""

    dates: Array
    features: Array
    means: Array
    deviations: Array
    validation: int  # the day with which the validation year begins
    test: int

    @property
    def quantities(self) -> Array:
        """What is to be forecast, `[days, 3]`, scaled."""
        return self.features[:, : len(QUANTITIES)]

    def in_units(self, scaled: Array) -> Array:
        """Quantities `[..., 3]` in °C and m/s."""
        count = len(QUANTITIES)
        return scaled * self.deviations[:count] + self.means[:count]


def read() -> Series:
    """The bundled weather; the time of the year goes in as two more features."""
    weather = keras.datasets.load_seattle_weather()
    quantities = np.stack([weather[name] for name in QUANTITIES], axis=1)
    season = 2 * np.pi * day_of_year(weather.dates) / 365.25
    features = np.column_stack(
        [quantities, np.log1p(weather["precipitation"]), np.sin(season), np.cos(season)]
    )
    validation, test = np.searchsorted(weather.dates, [VALIDATION, TEST])
    means, deviations = features[:validation].mean(axis=0), features[:validation].std(axis=0)
    scaled = ((features - means) / deviations).astype("float32")
    return Series(weather.dates, scaled, means, deviations, int(validation), int(test))


def day_of_year(dates: Array) -> Array:
    """0 for the first of January."""
    days: Array = (dates - dates.astype("datetime64[Y]")).astype(int)
    return days


def following(quantities: Array) -> Array:
    """For each day but the last, the quantities of the `AHEAD` days after it `[..., AHEAD, 3]`."""
    windows = np.lib.stride_tricks.sliding_window_view(quantities[1:], AHEAD, axis=0)
    return windows.swapaxes(1, 2)


def dataset(series: Series, start: int, end: int, shuffle: bool = False) -> Any:
    """Windows whose days, and the days to forecast, lie between `start` and `end`."""
    targets = following(series.quantities)[WINDOW - 1 :]  # by the first day of the window
    return timeseries_dataset_from_array(
        series.features,
        targets,
        sequence_length=WINDOW,
        batch_size=32,
        shuffle=shuffle,
        seed=1,
        start_index=start,
        end_index=end - AHEAD,
    )


def make_model(features: int) -> keras.Model:
    """From scaled windows `[batch, WINDOW, features]` to scaled forecasts `[batch, AHEAD, 3]`.

    The last day has its own path to the forecast, around the LSTM.
    """
    window = keras.Input((WINDOW, features), name="window")
    past = layers.Dropout(0.2)(layers.LSTM(32)(window))
    today = layers.Flatten()(layers.Cropping1D((WINDOW - 1, 0))(window))
    both = layers.Concatenate()([past, today])
    forecast = layers.Dense(AHEAD * len(QUANTITIES), kernel_initializer="zeros")(both)
    return keras.Model(window, layers.Reshape((AHEAD, len(QUANTITIES)))(forecast))


def fit(model: keras.Model, series: Series, epochs: int, folder: Path) -> Any:
    """Trains with callbacks that keep the best model and the table of epochs in `folder`."""
    model.compile(optimizer=keras.optimizers.Adam(0.003), loss="mae")
    callbacks = [
        ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=3, min_lr=1e-5),
        EarlyStopping(monitor="val_loss", patience=10),
        ModelCheckpoint(folder / "weather_windows.keras", monitor="val_loss", save_best_only=True),
        CSVLogger(folder / "weather_windows.csv"),
    ]
    return model.fit(
        dataset(series, 0, series.validation, shuffle=True),
        epochs=epochs,
        validation_data=dataset(series, series.validation - WINDOW, series.test),
        callbacks=callbacks,
        verbose=2,
    )


def naive(series: Series) -> dict[str, Array]:
    """Two forecasts `[days, AHEAD, 3]` for the test, that need no model."""
    last = np.arange(series.test - 1, len(series.dates) - AHEAD)
    today = np.repeat(series.quantities[last, None], AHEAD, axis=1)
    days = day_of_year(series.dates)
    past = series.quantities[: series.test]
    means = np.stack(
        [past[np.abs(days[: series.test] - day) <= 7].mean(axis=0) for day in range(366)]
    )
    return {
        "like today": today,
        "like the day of the year": following(means[days])[last],
    }


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Trains, reads the best model back, tests, and returns the errors by name."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="build/examples", help="directory of model and table")
    parser.add_argument("--epochs", type=int, default=60, help="stop after so many at the latest")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)

    keras.utils.set_random_seed(options.seed)
    series = read()
    model = make_model(series.features.shape[1])
    model.summary()
    fit(model, series, options.epochs, folder)
    with (folder / "weather_windows.csv").open(newline="") as file:
        epochs = list(csv.DictReader(file))
    best = min(epochs, key=lambda row: float(row["val_loss"]))
    print(
        f"\n{len(epochs)} epochs; the best was number {int(best['epoch']) + 1}, "
        f"learning ended at a rate of {float(epochs[-1]['learning_rate']):.1e}."
    )

    kept = keras.models.load_model(folder / "weather_windows.keras")
    test = dataset(series, series.test - WINDOW, len(series.dates))
    truth = np.concatenate([np.asarray(targets) for _, targets in test])
    forecasts = {"model": kept.predict(test, verbose=0), **naive(series)}
    errors = {
        name: np.abs(series.in_units(forecast) - series.in_units(truth))
        for name, forecast in forecasts.items()
    }
    print(f"Mean absolute error on {len(truth)} windows of 2015:")
    head = ["max °C", "min °C", "wind m/s", *(f"day {day}" for day in range(1, AHEAD + 1))]
    print(" " * 26 + "".join(f"{title:>9}" for title in head))
    for name, error in errors.items():
        parts = [*error.mean(axis=(0, 1)), *error.mean(axis=(0, 2))]
        print(f"  {name:24}" + "".join(f"{part:9.2f}" for part in parts))
    means = {name: float(error.mean()) for name, error in errors.items()}
    gain = 1 - means["model"] / min(means["like today"], means["like the day of the year"])
    word = "below" if gain > 0 else "ABOVE"
    print(f"Over all, the model's error is {abs(gain):.0%} {word} that of the better naive one.")
    return means


if __name__ == "__main__":
    main()
