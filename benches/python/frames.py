"""Models of frames, ours against Keras on JAX: forward passes and training steps, in turns.

    KERAS_BACKEND=jax python benches/python/frames.py
    KERAS_BACKEND=jax taskset -c 1 python benches/python/frames.py --record

Both run in one process, with the same weights, and both must give the same outputs. `forward` is
`predict_on_batch` here, and there a compiled function of `stateless_call`, without the Python of
`predict_on_batch`; `train` is `train_on_batch` with Adam and the mean squared error on both sides.
Each uses as many threads as it chooses: the second line above gives the process one core.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import keras
import numpy as np
from table import tell
from timing import Run, median_ratio, round_robin

import ferrnn


class Case(NamedTuple):
    """One model over frames `[batch, time, height, width, features]`."""

    kind: str
    shape: tuple[int, ...]
    filters: int

    @property
    def name(self) -> str:
        """The name in the table."""
        return f"{self.kind}({self.filters}) {','.join(map(str, self.shape))}"


CASES = [
    Case("Conv2D+LSTM", (8, 10, 32, 32, 1), 8),
    Case("Conv2D+LSTM", (8, 10, 32, 32, 3), 16),
    Case("Conv2D+LSTM", (8, 10, 32, 32, 16), 16),
    Case("Conv2D+LSTM", (8, 10, 32, 32, 3), 32),
    Case("ConvLSTM2D", (8, 10, 24, 24, 1), 8),
    Case("ConvLSTM2D", (8, 10, 24, 24, 3), 16),
    Case("ConvLSTM2D", (4, 10, 32, 32, 16), 16),
]


def model_of(library: Any, case: Case) -> Any:
    """The model, by the names that both libraries share."""
    layers = library.layers
    frames = layers.Input(case.shape[1:])
    if case.kind == "ConvLSTM2D":
        middle = [
            layers.ConvLSTM2D(case.filters, 3, padding="same"),
            layers.GlobalAveragePooling2D(),
        ]
    else:
        middle = [
            layers.TimeDistributed(
                layers.Conv2D(case.filters, 3, padding="same", activation="relu")
            ),
            layers.TimeDistributed(layers.MaxPooling2D(2)),
            layers.TimeDistributed(layers.Flatten()),
            layers.LSTM(32),
        ]
    model = library.Sequential([frames, *middle, layers.Dense(1)])
    model.compile("adam", loss="mse")
    return model


def contestants(case: Case) -> dict[str, Run]:
    """Forward and training step of both, which agree."""
    random = np.random.default_rng(1)
    x = random.standard_normal(case.shape).astype(np.float32)
    y = random.standard_normal((len(x), 1)).astype(np.float32)
    ours, theirs = model_of(ferrnn, case), model_of(keras, case)
    ours.set_weights(theirs.get_weights())
    trained, untrained = ([each.value for each in part] for part in _variables(theirs))
    compiled = jax.jit(lambda t, u, x: theirs.stateless_call(t, u, x, training=False)[0])
    placed = jax.device_put(x)

    def forward() -> Any:
        return compiled(trained, untrained, placed).block_until_ready()

    np.testing.assert_allclose(ours.predict_on_batch(x), forward(), atol=2e-5)
    learner, other = model_of(ferrnn, case), model_of(keras, case)
    learner.set_weights(other.get_weights())
    losses = [[float(model.train_on_batch(x, y)) for _ in range(3)] for model in (learner, other)]
    np.testing.assert_allclose(losses[0][:1], losses[1][:1], rtol=1e-4)
    return {
        "ours forward": lambda: ours.predict_on_batch(x),
        "theirs forward": forward,
        "ours train": lambda: learner.train_on_batch(x, y),
        "theirs train": lambda: other.train_on_batch(x, y),
    }


def _variables(model: Any) -> tuple[Any, Any]:
    return model.trainable_variables, model.non_trainable_variables


HEAD = (
    "| model | cores | forward ms | Keras ms | median ratio | train ms | Keras ms "
    "| median ratio |\n" + "|---" * 8 + "|"
)


def lines(asked: argparse.Namespace) -> Iterator[str]:
    """The table, line by line."""
    yield HEAD
    cores = len(os.sched_getaffinity(0))
    for case in CASES:
        if asked.only and not any(word in case.name for word in asked.only):
            continue
        runs = contestants(case)
        seconds = round_robin(runs, rounds=asked.rounds, slice_seconds=asked.slice)
        cells = []
        for what in ("forward", "train"):
            ours, theirs = seconds[f"ours {what}"], seconds[f"theirs {what}"]
            cells += [f"{min(ours) * 1e3:.2f}", f"{min(theirs) * 1e3:.2f}"]
            cells.append(f"{median_ratio(theirs, ours):.2f}")
        yield f"| {case.name} | {cores} | {' | '.join(cells)} |"


def main() -> None:
    """Prints the table, and writes it to a file if asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="*", help="cases whose name holds one of these")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--slice", type=float, default=0.15, help="seconds a turn")
    parser.add_argument("--record", action="store_true", help="write a file to benches/record/")
    asked = parser.parse_args()
    notes = [
        f"ferrnn {ferrnn.__version__} ({ferrnn.simd_level()}), numpy {np.__version__}",
        f"Keras {keras.__version__} on JAX {jax.__version__}",
        "times are minima over rounds, ratios (theirs by ours) medians over rounds, in turns",
    ]
    tell("Frames", "frames", notes, lines(asked), asked.record)


if __name__ == "__main__":
    main()
