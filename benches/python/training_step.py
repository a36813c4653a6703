"""What a whole training step costs beyond forward and backward of the same model.

    python benches/python/training_step.py
    python benches/python/training_step.py --case 32,10,16,32 --cells lstm gru --threads 1 --profile
    python benches/python/training_step.py --record

The model is a recurrent layer and Dense(1), the loss the mean squared error, the optimizer Adam.
Four things take turns (`timing.py`): `bare` is forward and backward alone, with weights that do not
change; `packed` the same with every weight changed before, so that it is packed for the engine
again, as no training step can avoid; `batch` is `train_on_batch`; `fit` an epoch of `fit` with
shuffling, the mean absolute error as a metric and a progress bar on a terminal, divided by its
steps.
"""

from __future__ import annotations

import argparse
import contextlib
import cProfile
import gc
import io
import pstats
import statistics
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from cases import Job, make_data
from peers import sizes
from table import tell
from timing import Run, median_ratio, round_robin

import ferrnn
from ferrnn import Call, Gradients

CASES = [(32, 100, 256, 256), (32, 10, 16, 32)]
LAYERS = {"lstm": "LSTM", "gru": "GRU", "simple_rnn": "SimpleRNN"}
TRAINING = Call(training=True, differentiable=True, inputs_need_gradient=False, consume=True)


class Terminal(io.StringIO):
    """A standard output that says it is a terminal, so that the bar is drawn."""

    def isatty(self) -> bool:
        """Yes."""
        return True


class Case:
    """One model with its data, and the four things to time."""

    def __init__(self, job: Job, steps: int, optimizer: str, metrics: list[str]) -> None:
        data = make_data(job)
        batch, time, features, units = job.sizes
        self.steps = steps
        recurrent = getattr(ferrnn.layers, LAYERS[job.cell])(units)
        shape = ferrnn.Input((time, features))
        self.model = ferrnn.Sequential([shape, recurrent, ferrnn.layers.Dense(1)])
        self.model.compile(optimizer, loss="mse", metrics=metrics)
        rng = np.random.default_rng(1)
        inputs = rng.standard_normal((steps * batch, time, features)).astype(np.float32)
        self.inputs, self.targets = inputs, np.tile(data.targets, (steps, 1))
        self.x, self.y = inputs[:batch].copy(), data.targets
        self.d_outputs = np.full((batch, 1), 1 / batch, np.float32)
        self.batch_size, self.weights = batch, self.model.weights

    def bare(self) -> None:
        """Forward and backward."""
        _, _, vjp = self.model.outputs_and_mask(self.x, TRAINING)
        assert vjp is not None
        vjp(self.d_outputs, Gradients())

    def packed(self) -> None:
        """Forward and backward with weights that have just changed."""
        for weight in self.weights:
            weight._changed()
        self.bare()

    def on_batch(self) -> None:
        """One call of `train_on_batch`."""
        self.model.train_on_batch(self.x, self.y)

    def epoch(self) -> None:
        """One epoch of `fit`."""
        with contextlib.redirect_stdout(Terminal()):
            self.model.fit(self.inputs, self.targets, batch_size=self.batch_size, verbose=1)


def measure(case: Case, rounds: int, slice_seconds: float) -> Mapping[str, list[float]]:
    """Seconds per step of each."""
    runs: dict[str, Run] = {"bare": case.bare, "packed": case.packed, "batch": case.on_batch}
    runs["fit"] = case.epoch
    seconds = round_robin(runs, rounds=rounds, slice_seconds=slice_seconds)
    seconds["fit"] = [value / case.steps for value in seconds["fit"]]
    return seconds


def line(job: Job, threads: int, seconds: Mapping[str, list[float]]) -> str:
    """A line of the table."""
    least = {name: min(values) * 1e6 for name, values in seconds.items()}
    over = {
        name: statistics.median(
            (a - b) * 1e6 for a, b in zip(seconds[name], seconds["bare"], strict=True)
        )
        for name in ("packed", "batch", "fit")
    }
    ratio = median_ratio(seconds["fit"], seconds["bare"])
    times = " | ".join(f"{least[name]:.0f}" for name in ("bare", "packed", "batch", "fit"))
    beyond = " | ".join(f"{over[name]:+.0f}" for name in ("packed", "batch", "fit"))
    case = ",".join(map(str, job.sizes))
    return f"| {job.cell} | {case} | {threads} | {times} | {beyond} | {ratio:.3f} |"


HEAD = (
    "| cell | batch,time,in,units | threads | bare us | packed us | batch us | fit us "
    "| packed - bare | batch - bare | fit - bare | fit / bare |\n" + "|---" * 11 + "|"
)


def profile(run: Callable[[], object], times: int) -> str:
    """Where the time of a run goes, function by function."""
    profiler = cProfile.Profile()
    gc.collect()
    profiler.enable()
    for _ in range(times):
        run()
    profiler.disable()
    text = io.StringIO()
    pstats.Stats(profiler, stream=text).sort_stats("tottime").print_stats(45)
    return text.getvalue()


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", type=sizes, action="append", metavar="BATCH,TIME,INPUTS,UNITS")
    parser.add_argument("--cells", nargs="+", choices=list(LAYERS), default=["lstm"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--optimizer", default="adam")
    parser.add_argument("--metrics", nargs="*", default=["mae"])
    parser.add_argument("--steps", type=int, help="of an epoch (default: as many as 0.1 s take)")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--slice", type=float, default=0.1, help="seconds a turn")
    parser.add_argument("--profile", action="store_true", help="profile an epoch as well")
    parser.add_argument("--record", action="store_true", help="write a file to benches/record/")
    return parser.parse_args()


def lines(asked: argparse.Namespace) -> Iterator[str]:
    """The table, line by line."""
    yield HEAD
    for threads in asked.threads:
        ferrnn.set_num_threads(threads)
        for case_sizes in asked.case or CASES:
            for cell in asked.cells:
                job = Job("train", cell, *case_sizes)
                steps = asked.steps or (4 if job.batch * job.time * job.units > 1e5 else 200)
                case = Case(job, steps, asked.optimizer, asked.metrics)
                yield line(job, threads, measure(case, asked.rounds, asked.slice))
                if asked.profile:
                    print(profile(case.epoch, max(1, 600 // steps)))


def main() -> None:
    """Prints the table, and writes it to a file if asked to."""
    asked = arguments()
    notes = [
        f"ferrnn {ferrnn.__version__} ({ferrnn.simd_level()}), numpy {np.__version__}",
        f"{asked.optimizer}, metrics {asked.metrics}",
        "times are minima over rounds; differences and ratios medians over rounds, in turns",
    ]
    tell("Training step", "training-step", notes, lines(asked), asked.record)


if __name__ == "__main__":
    main()
