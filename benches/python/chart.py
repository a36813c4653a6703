"""Draws the picture of the README from records of `peers.py` and `users_code.py`: every case.

    python benches/python/chart.py
    python benches/python/chart.py benches/record/2026-11-24-0203-peers.md --to picture.png

Without a record it takes the newest of each in benches/record/; several are put together, the later
ones replacing equal cases of the earlier. Each dot is one case at one number of threads: the time
of the best peer of that case over ours, the median over rounds. It prints what the picture shows,
with the cases in which a peer is ahead.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import drawing
from cases import GATES, MODES
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator
from table import RECORD

NAMES = {"step": "streaming", "call": "inference", "backprop": "forward, backward",
         "train": "training step", "fit": "training", "predict": "inference"}  # fmt: skip
CELLS = {"lstm": "LSTM", "gru": "GRU", "simple_rnn": "SimpleRNN", "users": "code in keras.ops"}
# Cases of one mode that share a row.
ROWS = [(mode, cell) for mode in MODES for cell in GATES] + [("fit", "users"), ("predict", "users")]
AHEAD, BEHIND = "#1f6fb4", "#d0541f"
TICKS = (0.3, 0.5, 0.7, 0.85, 1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50)


@dataclass(frozen=True)
class Case:
    """One dot."""

    mode: str
    cell: str
    sizes: str
    threads: int
    ratio: float
    peer: str

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What tells this case from others."""
        return self.mode, self.cell, self.sizes, self.threads


@dataclass(frozen=True)
class Record:
    """A record's cases, and what it says about the run."""

    date: str
    cpu: str
    versions: str
    cases: list[Case]


def read(path: Path) -> Record:
    """A record, from its JSON or its Markdown."""
    return _from_json(path) if path.suffix == ".json" else _from_markdown(path)


def _from_json(path: Path) -> Record:
    data = json.loads(path.read_text())
    cases = []
    for line in data["lines"]:
        ratio = line["ratios"].get(line["best"])
        if ratio is not None:
            sizes = ",".join(str(line[name]) for name in ("batch", "time", "features", "units"))
            mode, cell = line["mode"], line["cell"]
            cases.append(Case(mode, cell, sizes, line["threads"], ratio, line["best"]))
    versions = ", ".join(f"{name} {version}" for name, version in data["versions"].items())
    return Record(data["date"], data["cpu"], versions, cases)


def _from_markdown(path: Path) -> Record:
    text = path.read_text()
    cases = list(_users_code(text) if text.startswith("# Users' code") else _rows(text))

    def fact(pattern: str) -> str:
        found = re.search(pattern, text, re.MULTILINE)
        return found[1] if found else "unknown"

    return Record(
        fact(r"^# .*?, (.*)$"),
        fact(r"^- CPU: (.*?);"),
        fact(r"^- Versions: (.*)$"),
        cases,
    )


def _rows(text: str) -> Iterator[Case]:
    mode = ""
    for line in text.splitlines():
        title = re.match(r"## (\w+):", line)
        mode = title[1] if title else mode
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) > 4 and cells[0] in GATES and " " in cells[-1]:
            ratio, peer = cells[-1].split(" ", 1)
            yield Case(mode, cells[0], cells[1], int(cells[2]), float(ratio), peer)


def _users_code(text: str) -> Iterator[Case]:
    """Those of users_code.py: a name, times of both and their ratio for `fit` and `predict`."""
    several = re.search(r"; (\d+) cores and threads", text)
    threads = int(several[1]) if several else 1
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 9 and cells[3].replace(".", "").isdigit():
            yield Case("fit", "users", cells[0], threads, float(cells[3]), "Keras on JAX")
            yield Case("predict", "users", cells[0], threads, float(cells[6]), "Keras on JAX")


def together(records: list[Record]) -> Record:
    """One record of all cases; of equal cases the last counts."""
    cases = {case.key: case for record in records for case in record.cases}
    dates = sorted({record.date for record in records})
    cpus = list(dict.fromkeys(record.cpu for record in records))
    date = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    return Record(date, " and ".join(cpus), records[0].versions, list(cases.values()))


def rows(record: Record) -> list[tuple[str, str, list[Case]]]:
    """The picture's rows that have cases: way of use, cell, cases by ratio."""
    found = []
    for mode, cell in ROWS:
        chosen = [case for case in record.cases if (case.mode, case.cell) == (mode, cell)]
        if chosen:
            found.append((mode, cell, sorted(chosen, key=lambda case: case.ratio)))
    return found


def draw(record: Record, path: Path) -> None:
    """A row of dots for each way of use and cell; right of the line we are ahead."""
    lines = rows(record)
    figure = Figure(figsize=(7.6, 1.15 + 0.36 * len(lines)), layout="constrained")
    axes = figure.subplots()
    least = min(case.ratio for case in record.cases)
    most = max(case.ratio for case in record.cases)
    axes.set_xscale("log")
    axes.set_xlim(min(0.75, least / 1.12), max(2.2, most * 1.12))
    axes.set_ylim(len(lines) - 0.35, -0.65)
    axes.axvspan(axes.get_xlim()[0], 1, color=BEHIND, alpha=0.06, linewidth=0)
    axes.axvline(1, color="#444444", linewidth=0.9)
    last = ""
    for place, (mode, _, cases) in enumerate(lines):
        if last not in ("", mode):
            axes.axhline(place - 0.5, color="#dddddd", linewidth=0.8)
        last = mode
        for case, lift in zip(cases, _lifts(cases), strict=True):
            color = AHEAD if case.ratio >= 1 else BEHIND
            face = color if case.threads == 1 else "white"
            axes.plot(case.ratio, place + lift, "o", markersize=4.2, color=color,
                      markerfacecolor=face, markeredgewidth=0.9, alpha=0.9)  # fmt: skip
        ahead = sum(case.ratio >= 1 for case in cases)
        median = statistics.median(case.ratio for case in cases)
        axes.annotate(f"{median:.1f}x   {ahead}/{len(cases)}", (1.01, place),
                      xycoords=("axes fraction", "data"), va="center", color="#444444")  # fmt: skip
    axes.annotate("median, ahead", (1.01, -0.85), xycoords=("axes fraction", "data"),
                  va="center", color="#777777", annotation_clip=False)  # fmt: skip
    axes.set_yticks(range(len(lines)), [f"{NAMES[mode]}, {CELLS[cell]}" for mode, cell, _ in lines])
    low, high = axes.get_xlim()
    ticks = [tick for tick in TICKS if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:g}x" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(axis="x", alpha=0.25, linewidth=0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel(
        "time of the best peer of each case, over ferrnn's; below 1x the peer is faster"
    )
    axes.set_title(f"{record.cpu}, {record.date}, float32", fontsize=8, loc="left")
    marks = [
        Line2D([], [], marker="o", linestyle="", color="#555555", markersize=4.2,
               markerfacecolor="#555555" if threads == 1 else "white",
               label=f"{threads} thread{'s' if threads > 1 else ''}")
        for threads in sorted({min(case.threads, 2) for case in record.cases})
    ]  # fmt: skip
    axes.legend(handles=marks, frameon=False, ncols=2, loc="lower right", borderpad=0,
                bbox_to_anchor=(1, 1.0), columnspacing=1.2, handletextpad=0.1)  # fmt: skip
    drawing.save(figure, path)


def _lifts(cases: list[Case]) -> list[float]:
    """How far dots move off their row so that they do not overlap; by ascending ratio."""
    levels = (0.0, -0.16, 0.16, -0.3, 0.3)
    taken = [0.0] * len(levels)
    lifts = []
    for case in cases:
        free = [n for n, until in enumerate(taken) if case.ratio > until]
        level = free[0] if free else taken.index(min(taken))
        taken[level] = case.ratio * 1.035
        lifts.append(levels[level])
    return lifts


def told(record: Record) -> str:
    """What the picture shows, in words; every case in which a peer is ahead."""
    behind = sorted((c for c in record.cases if c.ratio < 1), key=lambda case: case.ratio)
    peers = sorted({case.peer for case in record.cases})
    lines = [
        f"{record.cpu}, {record.date}; {record.versions}",
        f"best peers: {', '.join(peers)}",
        f"ahead in {len(record.cases) - len(behind)} of {len(record.cases)} cases; behind in:",
    ]
    lines += [
        f"- {NAMES[c.mode]}, {CELLS[c.cell]} ({c.sizes}), {c.threads} thr: {c.ratio:.2f} {c.peer}"
        for c in behind
    ]
    return "\n".join(lines if behind else [*lines[:-1], f"ahead in all {len(record.cases)} cases"])


def main() -> None:
    """Draws."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("records", nargs="*", type=Path, help="JSON or Markdown of peers.py")
    parser.add_argument("--to", type=Path, default=RECORD / "peers.svg", metavar="FILE")
    asked = parser.parse_args()
    paths = asked.records
    for kind in () if paths else ("peers", "users-code"):
        newest = sorted(RECORD.glob(f"*-{kind}.json")) or sorted(RECORD.glob(f"*-{kind}.md"))
        paths += newest[-1:]
    record = together([read(path) for path in paths]) if paths else None
    if record is None or not record.cases:
        parser.error(f"no case with a peer in {', '.join(map(str, paths)) or RECORD}")
    draw(record, asked.to)
    print(told(record))
    print(f"drawn to {asked.to}")


if __name__ == "__main__":
    main()
