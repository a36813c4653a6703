"""Learns a system with a memory, y(t) = x(t)^2 + x(t-3), from random input alone."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
import pictures

import ferrnn as keras

DELAY = 3
STEPS = 40

Array = np.ndarray[Any, np.dtype[Any]]


def system(x: Array) -> Array:
    """The outputs for inputs `[batch, time, 1]`; before the first step there was silence."""
    delayed = np.zeros_like(x)
    delayed[:, DELAY:] = x[:, :-DELAY]
    return x**2 + delayed


def make_model() -> keras.Sequential:
    """A GRU that gives an output at every step."""
    model = keras.Sequential(
        [
            keras.Input((None, 1)),
            keras.layers.GRU(32, return_sequences=True),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.Adam(learning_rate=5e-3), loss="mse")
    return model


def r_squared(forecast: Array, truth: Array) -> float:
    """The share of the variance that is explained."""
    return float(1 - np.mean((forecast - truth) ** 2) / np.var(truth))


def draw(x: Array, truth: Array, forecast: Array, history: dict[str, list[float]]) -> Any:
    """One unseen sequence, all unseen outputs against the truth, the loss per epoch."""
    figure, axes = pictures.figure(["aaa", "bcc"])
    steps = np.arange(len(x))
    axes["a"].plot(steps, x, color=pictures.FAINT, label="input x(t)")
    axes["a"].plot(steps, truth[0, :, 0], color=pictures.TRUTH, label="system")
    axes["a"].plot(steps, forecast[0, :, 0], "--", color=pictures.MODEL, label="model")
    axes["a"].set(title="y(t) = x(t)² + x(t-3): a sequence the model has not seen", xlabel="step")
    axes["a"].legend(ncols=3, loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)
    axes["b"].plot(truth.ravel(), forecast.ravel(), ".", color=pictures.MODEL, markersize=1.5)
    ends = [float(truth.min()), float(truth.max())]
    axes["b"].plot(ends, ends, color=pictures.TRUTH, linewidth=0.8)
    axes["b"].set(title=f"R² = {r_squared(forecast, truth):.4f}", xlabel="system", ylabel="model")
    pictures.draw_loss(axes["c"], history, scale="log")
    return figure


def main(arguments: Sequence[str] | None = None) -> float:
    """Trains on random input, tests on other random input, draws; returns R² on the latter."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="build/examples", help="directory of the picture")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)

    keras.utils.set_random_seed(options.seed)
    random = np.random.default_rng(options.seed)
    train, test = (random.uniform(-1, 1, (count, STEPS, 1)) for count in (512, 128))
    model = make_model()
    history = model.fit(
        train, system(train), epochs=options.epochs, validation_split=0.1, verbose="auto"
    )
    forecast, truth = model.predict(test, verbose=0), system(test)
    score = r_squared(forecast, truth)
    print(f"\nR² on {test.shape[0]} unseen sequences of {STEPS} steps: {score:.4f}")
    picture = draw(test[0, :, 0], truth, forecast, history.history)
    print(f"Picture: {pictures.save(picture, options.out, 'delayed_system')}")
    return score


if __name__ == "__main__":
    main()
