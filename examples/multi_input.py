"""Three inputs, two answers: how warm tomorrow will be, and whether it will rain.

A functional model on the weather of Seattle. A GRU reads the measurements of two weeks, an
`Embedding` takes the word for today's sky (sun, rain, fog, ...), and the time of the year comes as
two numbers. Two heads share their outputs: `warmth` is a change of temperature, with its own
loss, and `rain` a probability, with its own loss and metrics. Inputs, targets, losses, weights and
sample weights are dicts by name; days of recent years count more in the temperature.

The model is written to a `.keras` file, read back, and drawn as SVG. Prints the errors of 2015
beside those of "tomorrow is like today" and "as often as it rained before".

    python examples/multi_input.py
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import ferrnn as keras
from ferrnn import layers

WINDOW = 14
VALIDATION, TEST = np.datetime64("2014-01-01"), np.datetime64("2015-01-01")

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Days:
    """Days to forecast: inputs, targets and weights by name, each with the days as first axis."""

    dates: Array
    inputs: dict[str, Array]
    targets: dict[str, Array]
    weights: dict[str, Array]

    def between(self, start: np.datetime64, end: np.datetime64) -> Days:
        """The days from `start` up to `end`."""
        chosen = (self.dates >= start) & (self.dates < end)
        parts = (self.inputs, self.targets, self.weights)
        kept = ({name: part[chosen] for name, part in each.items()} for each in parts)
        return Days(self.dates[chosen], *kept)


def read() -> tuple[Days, list[str], float]:
    """All days, the words for the sky, and what one unit of `warmth` is in °C."""
    weather = keras.datasets.load_seattle_weather()
    dates, highest, rain = weather.dates, weather["temp_max"], weather["precipitation"]
    measured = np.stack([highest, weather["temp_min"], np.log1p(rain), weather["wind"]], axis=1)
    past = measured[dates < VALIDATION]
    scaled = ((measured - past.mean(axis=0)) / past.std(axis=0)).astype("float32")
    history = np.lib.stride_tricks.sliding_window_view(scaled, WINDOW, axis=0)[:-1]
    words, sky = np.unique(weather.conditions, return_inverse=True)
    tomorrow = dates[WINDOW:]
    season = 2 * np.pi * (tomorrow - tomorrow.astype("datetime64[Y]")).astype(int) / 365.25
    change = np.diff(highest)[WINDOW - 1 :]
    unit = float(change[tomorrow < VALIDATION].std())
    age = (TEST - tomorrow).astype(int) / 365.25
    days = Days(
        tomorrow,
        {
            "history": history.swapaxes(1, 2),
            "sky": sky[WINDOW - 1 : -1, None].astype("int32"),
            "season": np.stack([np.sin(season), np.cos(season)], axis=1).astype("float32"),
        },
        {
            "warmth": (change / unit).astype("float32")[:, None],
            "rain": (rain[WINDOW:] > 0).astype("float32")[:, None],
        },
        {
            "warmth": (0.8**age).astype("float32"),
            "rain": np.ones(len(tomorrow), "float32"),
        },
    )
    return days, list(words), unit


def make_model(words: int) -> keras.Model:
    """Three named inputs, two named outputs; compiled."""
    history = keras.Input((WINDOW, 4), name="history")
    sky = keras.Input((1,), dtype="int32", name="sky")
    season = keras.Input((2,), name="season")
    read = layers.GRU(24, name="reader")(history)
    seen = layers.Flatten()(layers.Embedding(words, 3, name="sky_vectors")(sky))
    shared = layers.Concatenate()([read, seen, season])
    shared = layers.Dropout(0.2)(layers.Dense(24, activation="relu", name="shared")(shared))
    warmth = layers.Dense(1, name="warmth")(shared)
    rain = layers.Dense(1, activation="sigmoid", name="rain")(shared)
    model = keras.Model(
        inputs={"history": history, "sky": sky, "season": season},
        outputs={"warmth": warmth, "rain": rain},
        name="tomorrow",
    )
    model.compile(
        optimizer=keras.optimizers.Adam(0.002),
        loss={"warmth": keras.losses.Huber(), "rain": "binary_crossentropy"},
        loss_weights={"warmth": 1.0, "rain": 0.5},
        metrics={"warmth": ["mae"], "rain": ["accuracy", keras.metrics.AUC(name="auc")]},
    )
    return model


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Trains, writes, reads back, tests; returns the errors and accuracies by name."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="build/examples", help="directory of model and drawing")
    parser.add_argument("--epochs", type=int, default=40, help="stop after so many at the latest")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)

    keras.utils.set_random_seed(options.seed)
    days, words, degrees = read()
    train = days.between(days.dates[0], VALIDATION)
    validation = days.between(VALIDATION, TEST)
    test = days.between(TEST, days.dates[-1] + 1)

    model = make_model(len(words))
    model.summary()
    keras.utils.plot_model(model, to_file=folder / "multi_input.svg", show_shapes=True)
    model.fit(
        train.inputs,
        train.targets,
        sample_weight=train.weights,
        batch_size=32,
        epochs=options.epochs,
        validation_data=(validation.inputs, validation.targets),
        callbacks=[keras.callbacks.EarlyStopping(patience=8, restore_best_weights=True)],
        verbose=2,
    )
    model.save(folder / "multi_input.keras")
    kept = keras.models.load_model(folder / "multi_input.keras")

    results = kept.evaluate(test.inputs, test.targets, verbose=0, return_dict=True)
    print("\nAll that was compiled, on 2015:")
    print(", ".join(f"{name} {value:.3f}" for name, value in results.items()))
    forecast = kept.predict(test.inputs, verbose=0)
    change, rain = test.targets["warmth"] * degrees, test.targets["rain"] > 0.5
    rained = test.inputs["history"][:, -1, 2] > train.inputs["history"][..., 2].min() + 1e-6
    often = train.targets["rain"].mean() > 0.5
    found = {
        "error": float(np.abs(forecast["warmth"] * degrees - change).mean()),
        "error, like today": float(np.abs(change).mean()),
        "rain": float(np.mean((forecast["rain"] > 0.5) == rain)),
        "rain, like today": float(np.mean(rained[:, None] == rain)),
        "rain, always the same": float(np.mean(rain == often)),
        "auc": float(results["rain_auc"]),
    }
    print(f"Temperature of {len(change)} days of 2015, mean absolute error:")
    print(
        f"  model {found['error']:.2f} °C, tomorrow like today {found['error, like today']:.2f} °C"
    )
    print("Rain or not, how often right:")
    print(
        f"  model {found['rain']:.1%}, tomorrow like today {found['rain, like today']:.1%}, "
        f"always the same {found['rain, always the same']:.1%}"
    )
    print(f"Files: {folder / 'multi_input.keras'}, {folder / 'multi_input.svg'}")
    return found


if __name__ == "__main__":
    main()
