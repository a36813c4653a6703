"""Many small models trained together, against each alone and against the floor of the arithmetic.

`python benches/python/many.py` prints microseconds per model and step (wall-clock and processor
time, which other programs disturb less), minima over rounds in turns. The floor counts flops and
activations as `floor.py` does, at the speed that NumPy's matrix product has in the same rounds; set
`OPENBLAS_NUM_THREADS=1`, so that this is one core's.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from floor import ACTIVATION_FLOPS

import ferrnn
from ferrnn.layers import LSTM, Dense, Input

TIME, BATCH, STEPS = 20, 32, 10


def flops(units: int) -> float:
    """The operations of a training step of an LSTM, activations included."""
    padded = -(-units // 8) * 8
    products = 2.0 * BATCH * TIME * (1 + units) * 4 * padded * 3
    return products + ACTIVATION_FLOPS * BATCH * TIME * padded * 5


def rounds(count: int, calls: dict[str, Callable[[], object]]) -> dict[str, tuple[float, float]]:
    """Seconds of the clock and of the processor, minima over rounds in turns."""
    best = dict.fromkeys(calls, (np.inf, np.inf))
    for _ in range(count):
        for name, call in calls.items():
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            taken = time.perf_counter() - wall, time.process_time() - cpu
            best[name] = min(best[name][0], taken[0]), min(best[name][1], taken[1])
    return best


def case(units: int, models: int, epochs: int, count: int) -> None:
    """Prints one size."""

    def build() -> ferrnn.Model:
        model = ferrnn.Sequential([Input((TIME, 1)), LSTM(units), Dense(1)])
        model.compile("adam", loss="mse")
        return model

    random = np.random.default_rng(0)
    groups = {}
    for n in range(models):
        x = random.standard_normal((BATCH * STEPS, TIME, 1)).astype("float32")
        groups[n] = x, random.standard_normal((BATCH * STEPS, 1)).astype("float32")
    left, right = (random.standard_normal((512, 512)).astype("float32") for _ in range(2))

    def together(threads: int) -> None:
        ferrnn.set_num_threads(threads)
        ferrnn.fit_many(build, groups, seed=1, epochs=epochs)

    def alone() -> None:
        ferrnn.set_num_threads(1)
        for n, (x, y) in groups.items():
            ferrnn.utils.set_random_seed(1 + n)
            build().fit(x, y, epochs=epochs, verbose=0)

    calls: dict[str, Callable[[], object]] = {
        "one thread": lambda: together(1),
        "two threads": lambda: together(2),
        "a loop of fit": alone,
        "product": lambda: [left @ right for _ in range(20)],
    }
    best = rounds(count, calls)
    peak = 20 * 2 * 512**3 / best.pop("product")[1]
    least = flops(units) / peak * 1e6
    print(f"LSTM({units}), floor {least:.0f} us at {peak / 1e9:.0f} GFLOP/s")
    for name, taken in best.items():
        wall, cpu = (each / (models * epochs * STEPS) * 1e6 for each in taken)
        print(
            f"  {name}: {wall:.0f} us, of the processor {cpu:.0f} us, {cpu / least:.1f}x the floor"
        )


def main() -> None:
    """Reads the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, nargs="+", default=[8, 16, 32])
    parser.add_argument("--models", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    for units in given.units:
        case(units, given.models, given.epochs, given.rounds)


if __name__ == "__main__":
    main()
