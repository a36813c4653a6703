"""Times contestants in turns, so that what disturbs one disturbs all."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping

Run = Callable[[], object]

# Before each turn: idle threads of some libraries spin for tens of milliseconds after a call, and
# would take a core from whoever comes next.
REST = 0.04


def round_robin(
    runs: Mapping[str, Run], *, rounds: int, slice_seconds: float
) -> dict[str, list[float]]:
    """Seconds per call of each, one entry a round; a turn is a burst of calls.

    A burst lasts about `slice_seconds` (one call at least), and begins with calls that do not
    count: after another's turn the caches are cold, and threads that spin for a while are not
    parked yet.
    """
    bursts = {name: burst(run, slice_seconds) for name, run in runs.items()}

    def turn(name: str) -> float:
        time.sleep(REST)
        return timed(runs[name], bursts[name])

    gc.collect()
    gc.disable()
    try:
        return in_turns(list(runs), turn, rounds)
    finally:
        gc.enable()


def in_turns(names: list[str], turn: Callable[[str], float], rounds: int) -> dict[str, list[float]]:
    """The results of each turn, one entry a round; the order is reversed every round."""
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for index in range(rounds):
        for name in names if index % 2 == 0 else reversed(names):
            seconds[name].append(turn(name))
    return seconds


def burst(run: Run, slice_seconds: float) -> int:
    """How many calls fill a slice; also warms up."""
    for _ in range(3):
        start = time.perf_counter()
        run()
        once = time.perf_counter() - start
        if once > slice_seconds:
            return 1
    calls = max(1, int(slice_seconds / once / 10))
    start = time.perf_counter()
    for _ in range(calls):
        run()
    once = (time.perf_counter() - start) / calls
    return max(1, int(slice_seconds / once))


def timed(run: Run, calls: int) -> float:
    """Seconds of one of so many calls, after some that do not count."""
    for _ in range(1 + calls // 8):
        run()
    start = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - start) / calls


def median_ratio(theirs: list[float], ours: list[float]) -> float:
    """The median over rounds of theirs / ours."""
    return statistics.median(a / b for a, b in zip(theirs, ours, strict=True))
