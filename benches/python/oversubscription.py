"""What threads cost when the cores are taken, by more processes of ours or by a busy neighbour.

And what they bring after pauses.

    python benches/python/oversubscription.py
    python benches/python/oversubscription.py --case 8,100,256,256 --seconds 2 --rounds 3

The first table: four processes at once (twice as many as cores on a machine with two), each with
two threads against each with one; calls per second of all together, and the loss. The second: one
process, the time of a call alone and beside a process that spins, with one and with two threads;
the last column is the 99th percentile with two threads and a neighbour over that of one thread
alone. The third: short calls of one process, fifty in a row, then a pause of ten milliseconds, as
a program makes them that does something else in between; the ratio is of the medians. Runs
alternate; ratios are medians over rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from cases import Job, Sizes, make_data
from contestants.ours import Contestant
from floor import cpu_name

DEFAULT: list[Sizes] = [(1, 100, 128, 512), (8, 100, 256, 256), (32, 100, 256, 256)]
MODES = ("call", "backprop")
SHORT: list[tuple[str, Sizes]] = [
    ("lstm", (32, 10, 16, 32)), ("gru", (8, 24, 32, 64)), ("lstm", (64, 24, 20, 20)),
    ("lstm", (32, 7, 12, 128)), ("gru", (64, 24, 20, 20)), ("lstm", (32, 4, 128, 128)),
]  # fmt: skip
BURST, PAUSE = 50, 0.01


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", type=_sizes, action="append", metavar="BATCH,TIME,INPUTS,UNITS")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--cell", choices=("lstm", "gru", "simple_rnn"), default="lstm")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each run")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def _sizes(text: str) -> Sizes:
    batch, steps, features, units = (int(part) for part in text.split(","))
    return batch, steps, features, units


def main() -> None:
    """Both tables."""
    asked = arguments()
    if asked.worker:
        work(json.loads(asked.worker))
        return
    jobs = [Job(m, asked.cell, *s) for m in asked.modes for s in asked.case or DEFAULT]
    print(f"{cpu_name()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}; {asked.cell}\n")
    more = f"{asked.threads} threads"
    print(_row(f"{asked.processes} processes", "sizes", "1 thread each", f"{more} each", "loss"))
    print("|---|---|---|---|---|")
    for job in jobs:
        print(crowd(job, asked), flush=True)
    kinds = ["1 thread alone", "1 thread, neighbour", f"{more} alone", f"{more}, neighbour"]
    print("\n" + _row("one process: median and p99", "sizes", *kinds, "p99 ratio"))
    print("|---|---|---|---|---|---|---|")
    for job in jobs:
        print(neighbour(job, asked), flush=True)
    print("\n" + _row("with pauses", "cell and sizes", "1 thread", more, "ratio"))
    print("|---|---|---|---|---|")
    for mode in asked.modes:
        for cell, sizes in [] if asked.case else SHORT:
            print(paused(Job(mode, cell, *sizes), asked), flush=True)


def crowd(job: Job, asked: argparse.Namespace) -> str:
    """A row of the first table."""

    def rate(threads: int) -> float:
        runs = together(job, asked.processes, threads, asked.seconds)
        return sum(len(seconds) for seconds in runs) / asked.seconds

    one, more = alternate(asked.rounds, lambda: rate(1), lambda: rate(asked.threads))
    loss = statistics.median(1 - b / a for a, b in zip(one, more, strict=True))
    rates = [f"{max(rates):.1f}/s" for rates in (one, more)]
    return _row(job.mode, ",".join(map(str, job.sizes)), *rates, f"{100 * loss:.0f} %")


def neighbour(job: Job, asked: argparse.Namespace) -> str:
    """A row of the second table."""

    def run(threads: int, beside: type[AbstractContextManager[object]]) -> Callable[[], Any]:
        def timed() -> list[float]:
            with beside():
                return together(job, 1, threads, asked.seconds)[0]

        return timed

    kinds = [(n, beside) for n in (1, asked.threads) for beside in (nullcontext, Spinner)]
    found = alternate(asked.rounds, *(run(*kind) for kind in kinds))
    cells, tails = [], []
    for rounds in found:
        calls = sorted(seconds for one in rounds for seconds in one)
        tails.append(float(np.percentile(calls, 99)))
        cells.append(f"{1e3 * statistics.median(calls):.2f}, {1e3 * tails[-1]:.2f} ms")
    ratio = f"{tails[-1] / tails[0]:.2f}"
    return _row(job.mode, ",".join(map(str, job.sizes)), *cells, ratio)


def paused(job: Job, asked: argparse.Namespace) -> str:
    """A row of the third table."""

    def run(threads: int) -> Callable[[], float]:
        return lambda: statistics.median(together(job, 1, threads, asked.seconds, BURST)[0])

    one, more = alternate(asked.rounds, run(1), run(asked.threads))
    ratio = statistics.median(b / a for a, b in zip(one, more, strict=True))
    times = [f"{1e6 * statistics.median(found):.0f} us" for found in (one, more)]
    return _row(job.mode, f"{job.cell} {','.join(map(str, job.sizes))}", *times, f"{ratio:.2f}")


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def alternate(rounds: int, *runs: Callable[[], Any]) -> list[list[Any]]:
    """The results of each, taken in turns."""
    found: list[list[Any]] = [[] for _ in runs]
    for _ in range(rounds):
        for results, run in zip(found, runs, strict=True):
            results.append(run())
    return found


class Spinner:
    """A process that takes a whole core."""

    def __enter__(self) -> None:
        """Starts it."""
        self.process = subprocess.Popen([sys.executable, "-c", "while True: pass"])

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends it."""
        self.process.kill()
        self.process.wait()


def together(
    job: Job, processes: int, threads: int, seconds: float, burst: int = 0
) -> list[list[float]]:
    """Seconds of each call of `processes` processes that all work at the same time.

    After `burst` calls each, if any, comes a pause.
    """
    request = {"job": job.to_dict(), "threads": threads, "seconds": seconds, "burst": burst}
    running = [
        subprocess.Popen(
            [sys.executable, str(Path(__file__)), "--worker", json.dumps(request)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "FERRNN_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": "1"},
        )
        for _ in range(processes)
    ]
    for process in running:
        assert process.stdout is not None
        process.stdout.readline()  # it is ready
    start = time.time() + 0.1
    for process in running:
        assert process.stdin is not None
        process.stdin.write(f"{start}\n")
        process.stdin.flush()
    return [json.loads(process.communicate()[0]) for process in running]


def work(request: dict[str, Any]) -> None:
    """A worker: says when it is ready, waits for the start, prints what each call took."""
    job = Job(**request["job"])
    prepared = Contestant(request["threads"]).prepare(job, make_data(job))
    assert prepared is not None
    for _ in range(3):
        prepared.run()
    print("ready", flush=True)
    start = float(sys.stdin.readline())
    time.sleep(max(0.0, start - time.time()))
    end, seconds = start + request["seconds"], []
    while True:
        before = time.perf_counter()
        prepared.run()
        took = time.perf_counter() - before
        if time.time() > end:
            break
        seconds.append(took)
        if request["burst"] and len(seconds) % request["burst"] == 0:
            time.sleep(PAUSE)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
