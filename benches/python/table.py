"""The table of times, floors and ratios, as text and as a dated record."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cases import MODES, Job
from floor import Machine, cpu_name
from floor import floor as floor_of
from timing import median_ratio

OURS = "ferrnn"
RECORD = Path(__file__).resolve().parents[1] / "record"


@dataclass(frozen=True)
class Line:
    """What one job took, in seconds a call and round, at a number of threads."""

    job: Job
    threads: int
    seconds: dict[str, list[float]]

    def best_peer(self, own: frozenset[str] = frozenset({OURS, "predict"})) -> str | None:
        """The peer with the least median time."""
        peers = {n: statistics.median(s) for n, s in self.seconds.items() if n not in own}
        return min(peers, key=peers.__getitem__) if peers else None

    def ratio_of_minima(self, own: frozenset[str] = frozenset({OURS, "predict"})) -> float | None:
        """The least time of any peer over our least time."""
        peers = [min(seconds) for name, seconds in self.seconds.items() if name not in own]
        ours = self.seconds.get(OURS)
        return min(peers) / min(ours) if peers and ours else None


def duration(seconds: float) -> str:
    """Three digits with a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def header(peers: list[str]) -> list[str]:
    """The names of the columns."""
    theirs = [peer for peer in peers if peer != OURS]
    return [
        "cell",
        "batch,time,in,units",
        "thr",
        "floor",
        OURS,
        "x floor",
        *theirs,
        "minima",
        "best/ours",
    ]


def cells(line: Line, peers: list[str], machine: Machine) -> list[str]:
    """One row: minima and medians, and beside each peer the median of its time over ours."""
    job, least = line.job, floor_of(line.job, machine, line.threads)
    ours = line.seconds.get(OURS)
    row = [job.cell, ",".join(map(str, job.sizes)), str(line.threads), duration(least)]
    row += [_both(ours), f"{min(ours) / least:.2f}"] if ours else ["-", "-"]
    for peer in peers:
        if peer == OURS:
            continue
        theirs = line.seconds.get(peer)
        if theirs is None:
            row.append("-")
        elif ours is None:
            row.append(_both(theirs))
        else:
            row.append(f"{_both(theirs)} ({median_ratio(theirs, ours):.2f})")
    best = line.best_peer()
    ratio = line.ratio_of_minima()
    row.append(f"{ratio:.2f}" if ratio else "-")
    row.append(f"{median_ratio(line.seconds[best], ours):.2f} {best}" if ours and best else "-")
    return row


def _both(seconds: list[float]) -> str:
    """The least and the median time."""
    return f"{duration(min(seconds))} / {duration(statistics.median(seconds))}"


def markdown(lines: list[Line], peers: list[str], machine: Machine) -> str:
    """A section with a table for each mode."""
    parts = []
    for mode, title in MODES.items():
        chosen = [line for line in lines if line.job.mode == mode]
        if not chosen:
            continue
        here = [p for p in peers if p == OURS or any(p in line.seconds for line in chosen)]
        rows = [header(here), *(cells(line, here, machine) for line in chosen)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        text = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
                for row in rows]  # fmt: skip
        text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        parts.append(f"## {mode}: {title}\n\n" + "\n".join(text))
    return "\n\n".join(parts) + "\n"


def tell(title: str, name: str, notes: Sequence[str], lines: Iterable[str], kept: bool) -> None:
    """Prints a table line by line, below its title; writes both to the records if `kept`.

    The file is `benches/record/<date>-<name>.md`; `notes` stand below the command line and the CPU.
    """
    now = dt.datetime.now(dt.timezone.utc)
    command = [Path(each).name if Path(each).is_absolute() else each for each in sys.argv[1:]]
    about = [
        f"# {title}, {now:%Y-%m-%d %H:%M} UTC",
        "",
        f"- `python benches/python/{' '.join([Path(sys.argv[0]).name, *command])}`",
        f"- CPU: {cpu_name()}; {platform.system()}, Python {platform.python_version()}",
        *(f"- {note}" for note in notes),
    ]
    print(*about, "", sep="\n")
    table = []
    for line in lines:
        print(line, flush=True)
        table.append(line)
    if kept:
        load = f"- load average at the end {os.getloadavg()[0]:.1f}"
        path = RECORD / f"{now:%Y-%m-%d-%H%M}-{name}.md"
        path.write_text("\n".join([*about, load, "", *table]) + "\n", encoding="utf-8")
        print(f"written to {path}")


def record(
    lines: list[Line],
    peers: list[str],
    machine: Machine,
    versions: dict[str, str],
    notes: list[str],
) -> Path:
    """Writes `benches/record/<date>-peers.md` with JSON beside it; returns the former's path."""
    now = dt.datetime.now(dt.timezone.utc)
    about = [
        f"# Peers, {now:%Y-%m-%d %H:%M} UTC",
        "",
        f"- CPU: {cpu_name()}; {platform.system()}, Python {platform.python_version()}",
        f"- {machine.describe()}; load average at the end {os.getloadavg()[0]:.1f}",
        "- Versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()),
        "- float32, in turns; each contestant has a process of its own, stopped outside its turns",
        "- times: minima / medians; `minima`: the least time of any peer over our least",
        "- ratios: the median over rounds of their time over ours (above 1: ours is faster)",
        *(f"- {note}" for note in notes),
        "",
    ]
    RECORD.mkdir(parents=True, exist_ok=True)
    path = RECORD / f"{now:%Y-%m-%d-%H%M}-peers.md"
    path.write_text("\n".join(about) + "\n" + markdown(lines, peers, machine))
    data = {
        "date": f"{now:%Y-%m-%d %H:%M} UTC",
        "cpu": cpu_name(),
        "machine": {"peak": machine.peak, "levels": machine.levels},
        "versions": versions,
        "notes": notes,
        "lines": [plain(line, machine) for line in lines],
    }
    path.with_suffix(".json").write_text(json.dumps(data, indent=None, separators=(",", ":")))
    return path


def plain(line: Line, machine: Machine) -> dict[str, Any]:
    """A line as plain data: least and median seconds of each, and for the peers the ratio."""
    least = {name: float(f"{min(seconds):.4g}") for name, seconds in line.seconds.items()}
    medians = {n: float(f"{statistics.median(s):.4g}") for n, s in line.seconds.items()}
    ours = line.seconds.get(OURS)
    ratios = {
        name: round(median_ratio(seconds, ours), 3)
        for name, seconds in line.seconds.items()
        if ours and name != OURS
    }
    return {
        **line.job.to_dict(),
        "threads": line.threads,
        "floor": float(f"{floor_of(line.job, machine, line.threads):.4g}"),
        "seconds": least,
        "medians": medians,
        "ratios": ratios,
        "best": line.best_peer(),
    }
