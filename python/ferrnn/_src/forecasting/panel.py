"""Many series of different lengths as flat arrays, each on its grid without gaps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ferrnn._src.tree.types import Array


@dataclass(frozen=True, eq=False)
class Panel:
    """The rows of all series one after the other; missing rows are NaN.

    `ids` `[series]`, `first` `[series]` (the tick of a series' first row), `starts` `[series + 1]`
    (where its rows begin), `y` `[rows]`, `past` and `future` `[rows, features]`, `static`
    `[series, features]`.
    """

    ids: Array
    first: Array
    starts: Array
    y: Array
    past: Array
    future: Array
    static: Array

    @property
    def lengths(self) -> Array:
        """The number of rows of each series `[series]`."""
        return np.diff(self.starts)

    @property
    def series(self) -> Array:
        """The index of the series that each row belongs to `[rows]`."""
        return np.repeat(np.arange(len(self.ids)), self.lengths)

    @property
    def ticks(self) -> Array:
        """The tick of each row `[rows]`."""
        made: Array = np.arange(len(self.y)) + np.repeat(
            self.first - self.starts[:-1], self.lengths
        )
        return made

    @property
    def last(self) -> Array:
        """The last tick of each series `[series]`."""
        made: Array = self.first + self.lengths - 1
        return made

    def rows_to(self, first: Array, last: Array) -> Panel:
        """Each series from one tick to another, both included; new rows are NaN."""
        lengths = np.maximum(last - first + 1, 0)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        series = np.repeat(np.arange(len(self.ids)), lengths)
        ticks = np.arange(starts[-1]) + np.repeat(first - starts[:-1], lengths)
        there = (ticks >= self.first[series]) & (ticks <= self.last[series])
        source = (self.starts[:-1][series] + ticks - self.first[series])[there]

        def moved(old: Array) -> Array:
            new = np.full((starts[-1], *old.shape[1:]), np.nan)
            new[there] = old[source]
            return new

        return replace(
            self,
            first=np.asarray(first),
            starts=starts,
            y=moved(self.y),
            past=moved(self.past),
            future=moved(self.future),
        )

    def extended(self, steps: int) -> Panel:
        """A copy with `steps` more rows at the end of each series."""
        return self.rows_to(self.first, self.last + steps)

    def until(self, last: Array) -> Panel:
        """A copy without the rows after the ticks `last` `[series]`."""
        return self.rows_to(self.first, np.minimum(self.last, last))

    def tail(self, rows: int) -> Panel:
        """The last rows of each series."""
        return self.rows_to(np.maximum(self.first, self.last - rows + 1), self.last)

    def chosen(self, numbers: Array) -> Panel:
        """Some of the series."""
        whole = replace(
            self, ids=self.ids[numbers], static=self.static[numbers], first=self.first[numbers]
        )
        lengths = self.lengths[numbers]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        rows = np.arange(starts[-1]) + np.repeat(self.starts[:-1][numbers] - starts[:-1], lengths)
        return replace(
            whole,
            starts=starts,
            y=self.y[rows],
            past=self.past[rows],
            future=self.future[rows],
        )

    def merged(self, other: Panel) -> Panel:
        """A copy with the rows of `other`, whose known values win; new ids come last."""
        known = {each: at for at, each in enumerate(self.ids.tolist())}
        new = [at for at, each in enumerate(other.ids.tolist()) if each not in known]
        base = self.joined(other.chosen(np.array(new, int))) if new else self
        known = {each: at for at, each in enumerate(base.ids.tolist())}
        places = np.array([known[each] for each in other.ids.tolist()], int)
        first, last = base.first.copy(), base.last
        first[places] = np.minimum(first[places], other.first)
        last[places] = np.maximum(last[places], other.last)
        check_span(base.ids, first, last, len(self.y) + len(other.y))
        made = base.rows_to(first, last)
        series = places[other.series]
        rows = made.starts[:-1][series] + other.ticks - made.first[series]
        for name in ("y", "past", "future"):
            mine, theirs = getattr(made, name), getattr(other, name)
            mine[rows] = np.where(np.isnan(theirs), mine[rows], theirs)
        static = made.static.copy()
        static[places] = np.where(np.isnan(other.static), static[places], other.static)
        return replace(made, static=static)

    def joined(self, other: Panel) -> Panel:
        """A copy with the series of `other` at the end; no id may be in both."""
        parts = {
            name: np.concatenate([getattr(self, name), getattr(other, name)])
            for name in ("ids", "first", "y", "past", "future", "static")
        }
        starts = np.concatenate([self.starts, self.starts[-1] + other.starts[1:]])
        return Panel(starts=starts, **parts)

    def arrays(self) -> dict[str, Array]:
        """All arrays except the ids, by name."""
        names = ("first", "starts", "y", "past", "future", "static")
        return {name: getattr(self, name) for name in names}


def panel_of(
    ids: Array, ticks: Array, values: Mapping[str, Array], static: Array | None = None
) -> Panel:
    """A panel of rows in any order.

    `ids` and `ticks` are `[rows]`; `values` has `y` `[rows]`, `past` and `future`
    `[rows, features]`; `static` is `[series, features]` for the sorted ids.

    Raises:
        ValueError: A time occurs twice in a series.
    """
    known, series = np.unique(ids, return_inverse=True)
    order = np.lexsort((ticks, series))
    series, ticks = series[order], ticks[order]
    begins = np.flatnonzero(np.diff(series, prepend=-1))
    ends = np.append(begins[1:], len(series)) - 1
    twice = (np.diff(series) == 0) & (np.diff(ticks) == 0)
    if twice.any():
        at = int(np.flatnonzero(twice)[0])
        raise ValueError(
            f"`ds` must be different in all rows of a series; {known[series[at]].item()!r} has a "
            f"time twice (row {int(order[at + 1])})"
        )
    check_span(known, ticks[begins], ticks[ends], len(ticks))
    made = Panel(
        ids=known,
        first=ticks[begins],
        starts=np.arange(len(known) + 1),
        y=np.full(len(known), np.nan),
        past=np.full((len(known), values["past"].shape[1]), np.nan),
        future=np.full((len(known), values["future"].shape[1]), np.nan),
        static=np.zeros((len(known), 0)) if static is None else static,
    ).rows_to(ticks[begins], ticks[ends])
    rows = made.starts[:-1][series] + ticks - made.first[series]
    for name in ("y", "past", "future"):
        getattr(made, name)[rows] = values[name][order]
    return made


def check_span(ids: Array, first: Array, last: Array, rows: int, least: int = 1_000_000) -> None:
    """Raises ValueError for series that span more than `least` ticks and a hundred per row.

    Raises:
        ValueError: Almost all of the grid would be missing, and might not fit into memory.
    """
    lengths = last.astype(float) - first + 1
    if lengths.sum() > least + 100 * rows:
        at = int(np.argmax(lengths))
        raise ValueError(
            f"`ds` of {ids[at].item()!r} spans {lengths[at]:,.0f} steps, while all series have "
            f"only {rows:,} rows: a time is wrong, or the step (`freq`) is too short"
        )


def ids_of(values: Any) -> Array:
    """Names of series: integers stay, anything else becomes a string."""
    ids = np.asarray(values)
    return ids.astype(np.int64) if ids.dtype.kind in "iu" else ids.astype(str)
