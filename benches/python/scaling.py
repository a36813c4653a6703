"""How time and memory grow with time steps, batch and units, each beside its floor.

    python benches/python/scaling.py --record
    python benches/python/scaling.py --axes batch --cell gru --threads 1

One axis grows, the others stay: 10 to 100,000 steps of one sequence, 1 to 4,096 sequences of 20
steps, 8 to 2,048 units. `call` is inference, `backprop` forward and backward. Times are the least
of several calls; the floor is `floor.py`'s. Memory is what the process's peak grows by in one call
with empty pools, weights being packed, from a megabyte on; its floor is what the call gives back
(outputs, gradients) and, for backward, 20 bytes a step, row and unit (LSTM; GRU 16, SimpleRNN 4).
Weights that fit into no cache can come below their floor: what was read last is still there when
the next step reads the other way round. `--record` writes a table and a picture to benches/record/.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import drawing
from cases import GATES, Job
from floor import Machine, cpu_name, floor, measure
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from table import RECORD, duration

import ferrnn

AXES: dict[str, list[tuple[int, int, int, int]]] = {
    "time": [(1, steps, 64, 128) for steps in (10, 100, 1000, 10_000, 100_000)],
    "batch": [(batch, 20, 64, 128) for batch in (1, 4, 16, 64, 256, 1024, 4096)],
    "units": [(8, 20, 64, units) for units in (8, 32, 128, 512, 2048)],
}
PLACE = {"time": 1, "batch": 0, "units": 3}
TITLES = {"time": "time steps, (1, T, 64, 128)", "batch": "batch, (B, 20, 64, 128)",
          "units": "units, (8, 20, 64, U)"}  # fmt: skip
MODES = ("call", "backprop")
WORKER = Path(__file__).with_name("scaling_worker.py")
# Less than this drowns in what an interpreter allocates anyway.
LEAST_MEMORY = 1_000_000
KEPT = {"lstm": 20, "gru": 16, "simple_rnn": 4}


@dataclass(frozen=True)
class Point:
    """What a job took on a number of threads."""

    axis: str
    job: Job
    threads: int
    seconds: float
    peak: int | None

    @property
    def at(self) -> int:
        """The number on the axis."""
        return self.job.sizes[PLACE[self.axis]]


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--axes", nargs="+", choices=list(AXES), default=list(AXES))
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--cell", choices=list(GATES), default="lstm")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--seconds", type=float, default=0.25, help="for each point")
    parser.add_argument("--record", action="store_true", help="write a table and a picture")
    return parser.parse_args()


def main() -> None:
    """Measures, prints, records."""
    asked = arguments()
    machine = measure(None)
    points = []
    for axis in asked.axes:
        for mode in asked.modes:
            for threads in asked.threads:
                for sizes in AXES[axis]:
                    points.append(point(axis, Job(mode, asked.cell, *sizes), threads, asked))
                    print("|", " | ".join(row(points[-1], machine)), "|", flush=True)
    if asked.record:
        print("written to", record(points, machine))


def point(axis: str, job: Job, threads: int, asked: argparse.Namespace) -> Point:
    """One job in processes of its own, so that no other job's memory is counted."""

    def told(what: str, **environment: str) -> float:
        request = {"fields": job.to_dict(), "threads": threads, "budget": asked.seconds}
        command = [sys.executable, str(WORKER), what, json.dumps(request)]
        answer = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | environment
        )
        return float(json.loads(answer.stdout))

    # Freed memory goes back to the system at once, or the peak would not show it.
    returned = {f"MALLOC_{name}_THRESHOLD_": "65536" for name in ("MMAP", "TRIM")}
    seconds = told("time")
    peak = int(told("memory", **returned)) if memory_floor(job) >= LEAST_MEMORY else None
    return Point(axis, job, threads, seconds, peak)


def memory_floor(job: Job) -> int:
    """The bytes a call needs at least, beside its arguments."""
    batch, steps, features, units = job.sizes
    outputs = 4 * batch * steps * units
    if job.mode == "call":
        return outputs
    weights = 4 * job.gates * units * (features + units)
    kept = KEPT[job.cell] * batch * steps * units
    return outputs + kept + 4 * batch * steps * features + weights


def size(count: int) -> str:
    """Bytes in three digits."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.3g} {unit}"
    return f"{count} B"


HEADER = ("axis", "mode", "batch,time,in,units", "thr", "time", "floor", "x floor", "memory",
          "floor of memory")  # fmt: skip


def row(point: Point, machine: Machine) -> list[str]:
    """A row of the table."""
    job, least = point.job, floor(point.job, machine, point.threads)
    peak = "-" if point.peak is None else size(point.peak)
    cells = [point.axis, job.mode, ",".join(map(str, job.sizes)), str(point.threads)]
    cells += [duration(point.seconds), duration(least), f"{point.seconds / least:.2f}"]
    return [*cells, peak, size(memory_floor(job))]


def record(points: list[Point], machine: Machine) -> Path:
    """Writes the table and the picture; returns the table's path."""
    now = dt.datetime.now(dt.timezone.utc)
    cell, name = points[0].job.cell, f"{now:%Y-%m-%d-%H%M}-scaling"
    about = [
        f"# Scaling of {cell}, {now:%Y-%m-%d %H:%M} UTC",
        "",
        f"- CPU: {cpu_name()}; ferrnn {ferrnn.__version__} ({ferrnn.simd_level()}), float32",
        f"- {machine.describe()}; load average at the end {os.getloadavg()[0]:.1f}",
        "- `benches/python/scaling.py` says what is measured and what the floors are",
        "",
        f"![Time and memory against time steps, batch and units]({name}.svg)",
        "",
    ]
    rows = [list(HEADER), ["---"] * len(HEADER), *(row(point, machine) for point in points)]
    RECORD.mkdir(parents=True, exist_ok=True)
    path = RECORD / f"{name}.md"
    path.write_text("\n".join([*about, *(f"| {' | '.join(cells)} |" for cells in rows)]) + "\n")
    draw(points, machine, RECORD / f"{name}.svg")
    return path


def draw(points: list[Point], machine: Machine, path: Path) -> None:
    """Time above, memory below, an axis in each column; the floors dotted."""
    axes = list(dict.fromkeys(point.axis for point in points))
    figure = Figure(figsize=(3.4 * len(axes), 5.6), layout="constrained")
    grid = figure.subplots(2, len(axes), squeeze=False)
    colors = {"call": "#1f77b4", "backprop": "#d6604d"}
    names = {"call": "inference", "backprop": "forward and backward"}
    for column, axis in enumerate(axes):
        above, below = grid[0][column], grid[1][column]
        for mode, threads in dict.fromkeys((p.job.mode, p.threads) for p in points):
            chosen = [p for p in points if (p.axis, p.job.mode, p.threads) == (axis, mode, threads)]
            if not chosen:
                continue
            at, color = [p.at for p in chosen], colors[mode]
            alpha, marker = (1.0, "o") if threads == 1 else (0.55, "s")
            style = {"color": color, "alpha": alpha, "linewidth": 1.2}
            label = f"{names[mode]}, {threads} thread{'s' if threads > 1 else ''}"
            measured = {"marker": marker, "markersize": 3.5, "label": label, **style}
            above.plot(at, [p.seconds for p in chosen], **measured)
            above.plot(at, [floor(p.job, machine, threads) for p in chosen], ":", **style)
            told = [p for p in chosen if p.peak]
            below.plot([p.at for p in told], [p.peak for p in told], **measured)
            below.plot(at, [memory_floor(p.job) for p in chosen], ":", **style)
        for plot, what in ((above, "seconds a call"), (below, "bytes a call")):
            plot.set(xscale="log", yscale="log", xlabel=TITLES[axis])
            if column == 0:
                plot.set_ylabel(what)
            plot.xaxis.set_minor_locator(NullLocator())
            plot.yaxis.set_minor_locator(NullLocator())
            plot.grid(alpha=0.25, linewidth=0.5)
            plot.spines[["top", "right"]].set_visible(False)
    grid[0][0].legend(frameon=False, fontsize=7)
    figure.suptitle(
        f"{points[0].job.cell} on {cpu_name()}, {ferrnn.simd_level()}; dotted: the floors", size=9
    )
    drawing.save(figure, path)


if __name__ == "__main__":
    main()
