"""A GRU learns to keep the value that stands at a mark, and shows how, by gates and by inputs.

Each sequence has values and marks, one mark at a random step; the target is the value there. What
the model does can be seen: its update gates close when the mark comes and stay closed.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import ferrnn as keras
from ferrnn.inspection import integrated_gradients, plot_attributions, plot_states

STEPS, UNITS = 24, 6


def make_samples(count: int, seed: int) -> tuple[Any, Any]:
    """Values and marks `[count, STEPS, 2]`, and the values at the marks `[count, 1]`."""
    random = np.random.default_rng(seed)
    values = random.uniform(-1, 1, (count, STEPS))
    marked = random.integers(2, STEPS - 4, count)
    marks = (np.arange(STEPS) == marked[:, np.newaxis]).astype(float)
    x = np.stack([values, marks], axis=2).astype("float32")
    return x, (values * marks).sum(axis=1, keepdims=True).astype("float32")


def main(arguments: Sequence[str] | None = None) -> float:
    """Trains, tests, draws; returns the share of the attributions that is at the mark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="build/examples", help="directory of the pictures")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)

    keras.utils.set_random_seed(options.seed)
    x, y = make_samples(options.samples, options.seed)
    model = keras.Sequential(
        [keras.Input((None, 2)), keras.layers.GRU(UNITS, name="memory"), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.Adam(0.01), "mse")
    history = model.fit(
        x, y, epochs=options.epochs, validation_split=0.2, batch_size=64, verbose="auto"
    )
    test, truth = make_samples(200, options.seed + 1)
    error = np.sqrt(np.mean((model.predict(test, verbose=0) - truth) ** 2))
    print(f"\nError on unseen sequences: {error:.3f} (of a constant: {truth.std():.3f})")

    parts = integrated_gradients(model, test)
    at_mark = np.abs(parts).sum(axis=2)[test[:, :, 1] == 1].sum() / np.abs(parts).sum()
    print(f"Share of the attributions at the mark: {at_mark:.0%}")
    figures = {
        "training_history": history.plot(log=True),
        "gates_over_time": plot_states(model, test, "memory", names=["h", "update gate"]),
        "attributions": plot_attributions(parts, ["value", "mark"]),
    }
    Path(options.out).mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(Path(options.out) / f"{name}.png", dpi=110)
        print(f"Picture: {Path(options.out) / name}.png")
    return float(at_mark)


if __name__ == "__main__":
    main()
