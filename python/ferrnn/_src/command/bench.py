"""The benchmark of this machine: times of a few typical calls, and the shortest possible ones."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ferrnn._src.command.floor import Case, Limits, floor, measure
from ferrnn._src.layers.dense import Dense
from ferrnn._src.layers.gru import GRU
from ferrnn._src.layers.input import Input
from ferrnn._src.layers.lstm import LSTM
from ferrnn._src.layers.simple_rnn import SimpleRNN
from ferrnn._src.machine import cpu_name
from ferrnn._src.models.sequential import Sequential
from ferrnn._src.native import num_threads, set_num_threads, simd_level
from ferrnn._src.training.optimizers.adam import Adam
from ferrnn._src.weights.random import set_random_seed

_LAYERS = {"lstm": LSTM, "gru": GRU, "simple_rnn": SimpleRNN}
# Seconds of one burst of calls, of which the fastest counts.
_BURST = 0.02


@dataclass(frozen=True)
class Row:
    """The result of a case: seconds per call, the floor, and the rate."""

    case: Case
    threads: int
    seconds: float
    floor: float
    per_second: float
    unit: str

    def to_dict(self) -> dict[str, Any]:
        """The row as plain data."""
        rest = {key: value for key, value in asdict(self).items() if key != "case"}
        return {**asdict(self.case), **rest, "times_floor": self.seconds / self.floor}


def cases(cell: str) -> list[Case]:
    """The cases of the table."""
    return [
        Case("streaming", cell, 1, 1, 128, 256),
        Case("one sequence", cell, 1, 100, 64, 128),
        Case("small batch", cell, 8, 100, 256, 256),
        Case("large batch", cell, 32, 100, 256, 256),
        Case("training", cell, 32, 100, 64, 128, training=True),
    ]


def run(cell: str, threads: list[int], seconds: float) -> tuple[list[Limits], Iterator[Row]]:
    """Yields the machine's limits for each number of threads, and rows as they are measured.

    The number of threads is restored after the last row.
    """
    before = num_threads()
    limits = [measure(count) for count in threads]
    each = seconds / (len(threads) * len(cases(cell)))

    def rows() -> Iterator[Row]:
        try:
            for case in cases(cell):
                call = prepare(case)
                for own in limits:
                    set_num_threads(own.threads)
                    yield _row(case, own, _time(call, each))
        finally:
            set_num_threads(before)

    return limits, rows()


def prepare(case: Case) -> Callable[[], object]:
    """One call of `case`, with random weights and inputs."""
    set_random_seed(1)
    rng = np.random.default_rng(1)
    inputs = rng.standard_normal((case.batch, case.time, case.features)).astype(np.float32)
    layer = _LAYERS[case.cell]
    if case.training:
        model = Sequential([Input(inputs.shape[1:]), layer(case.units), Dense(1)])
        model.compile(Adam(), "mse")
        targets = rng.standard_normal((case.batch, 1)).astype(np.float32)
        return lambda: model.train_on_batch(inputs, targets)
    made = layer(case.units, return_sequences=True)
    if case.time == 1:
        stream = Sequential([Input((None, case.features)), made]).stream(case.batch)
        step, outputs = inputs[:, 0], np.empty((case.batch, case.units), np.float32)
        return lambda: stream(step, outputs)
    return lambda: made(inputs)


def _row(case: Case, limits: Limits, seconds: float) -> Row:
    steps = case.time == 1
    done = case.batch / seconds
    unit = "steps" if steps else "sequences"
    return Row(case, limits.threads, seconds, floor(case, limits), done, unit)


def _time(call: Callable[[], object], budget: float) -> float:
    """Seconds per call: the smallest mean of several bursts, within `budget` seconds."""
    call()
    start = time.perf_counter()
    call()
    once = time.perf_counter() - start
    calls = max(1, int(_BURST / max(once, 1e-9)))
    end = time.perf_counter() + budget - once
    best = once
    collecting = gc.isenabled()
    gc.disable()
    try:
        while time.perf_counter() < end:
            start = time.perf_counter()
            for _ in range(calls):
                call()
            best = min(best, (time.perf_counter() - start) / calls)
    finally:
        if collecting:
            gc.enable()
    return best


def heading(cell: str, limits: list[Limits]) -> str:
    """The heading of the table."""
    lines = [f"ferrnn on {cpu_name()}, {simd_level()}, {cell}, float32"]
    for own in limits:
        names = ("L1", "L2", "L3", "memory")
        reads = [f"{n} {rate / 1e9:.0f}" for n, (_, rate) in zip(names, own.levels, strict=True)]
        threads = f"{own.threads} thread{'s' if own.threads > 1 else ''}"
        lines.append(f"{threads}: {own.flops / 1e9:.0f} GFLOP/s; reads {', '.join(reads)} GB/s")
    titles = ("case", "batch,time,in,units", "threads", "time", "floor", "x floor", "per second")
    return "\n".join([*lines, "", _line(titles)])


def line(row: Row) -> str:
    """A row of the table."""
    return _line(
        (
            row.case.name,
            row.case.sizes,
            str(row.threads),
            _duration(row.seconds),
            _duration(row.floor),
            f"{row.seconds / row.floor:.2f}",
            f"{row.per_second:,.0f} {row.unit}",
        )
    )


FOOTNOTE = (
    "Times are of one call from Python, the best of several. The floor is the larger of arithmetic"
    "\nand of reading the weights, at the speeds measured above."
)


def _line(texts: tuple[str, ...]) -> str:
    widths = (13, 20, 8, 9, 9, 8, 0)
    return " ".join(text.ljust(width) for text, width in zip(texts, widths, strict=True)).rstrip()


def _duration(seconds: float) -> str:
    """A duration with three digits and a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
