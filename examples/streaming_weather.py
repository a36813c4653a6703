"""Forecasts the weather of Seattle day by day, as a station would: one measurement in, one out.

A GRU learns from whole windows of the years before 2015. Then the days of 2015 arrive one by one:
`model.stream()` keeps the states, so that each day costs one step instead of the whole past again.
In the middle of the year the states are saved and a new stream goes on from them. At the end the
forecasts are compared, bit for bit, with those of the model over the whole year at once.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import ferrnn as keras

YEAR = np.datetime64("2015-01-01")
WINDOW = 60

Array = np.ndarray[Any, np.dtype[Any]]


def measurements() -> tuple[Array, Array, float]:
    """Dates, scaled measurements `[days, features]`, the temperature first, and its unit in °C."""
    weather = keras.datasets.load_seattle_weather()
    day = (weather.dates - weather.dates.astype("datetime64[Y]")).astype(int)
    season = 2 * np.pi * day / 365.25
    columns = [
        weather["temp_max"],
        weather["temp_min"],
        np.log1p(weather["precipitation"]),
        weather["wind"],
        np.sin(season),
        np.cos(season),
    ]
    features = np.stack(columns, axis=1)
    past = features[weather.dates < YEAR]
    scaled = (features - past.mean(axis=0)) / past.std(axis=0)
    return weather.dates, scaled.astype("float32"), float(past[:, 0].std())


def train(past: Array, epochs: int) -> keras.Sequential:
    """A model that gives, after each day, the change of temperature until the next."""
    windows = np.lib.stride_tricks.sliding_window_view(past, WINDOW + 1, axis=0)[::7]
    windows = windows.transpose(0, 2, 1)
    change = np.diff(windows[:, :, :1], axis=1)
    model = keras.Sequential(
        [
            keras.Input((None, past.shape[1])),
            keras.layers.GRU(24, return_sequences=True),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.Adam(0.005), "mse")
    model.fit(windows[:, :-1], change, batch_size=16, epochs=epochs, verbose=0)
    return model


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Trains, streams the year 2015 and prints the mean absolute errors in °C."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    keras.utils.set_random_seed(chosen.seed)

    dates, scaled, degrees = measurements()
    year = scaled[dates >= YEAR]
    model = train(scaled[dates < YEAR], chosen.epochs)

    stream = model.stream()
    change = np.empty(1, np.float32)
    changes = []
    for measured in year[:180]:
        stream(measured, out=change)
        changes.append(change.copy())

    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "state.npz"
        np.savez(saved, **stream.state)
        stream = model.stream()
        with np.load(saved) as state:
            stream.state = state
    start = time.perf_counter()
    changes += [stream(measured) for measured in year[180:]]
    each = (time.perf_counter() - start) / len(year[180:])

    whole = model.predict_on_batch(year[np.newaxis])[0]
    if not np.array_equal(whole, changes):
        raise RuntimeError("the stream and the whole year differ")
    following = year[1:, 0]
    errors = {
        "stream": float(np.abs(year[:-1, 0] + whole[:-1, 0] - following).mean() * degrees),
        "tomorrow = today": float(np.abs(year[:-1, 0] - following).mean() * degrees),
    }
    for name, error in errors.items():
        print(f"{name:<18} {error:.2f} °C")
    print(f"one step took {1e6 * each:.1f} µs; the whole year at once gives the same bits")
    return errors


if __name__ == "__main__":
    main()
