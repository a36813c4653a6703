"""Conformal intervals: margins by errors on held-out windows, for each step ahead."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ferrnn._src.forecasting.quantiles import MIDDLE, at_probability
from ferrnn._src.tree.types import Array

METHODS = ("cqr", "split", "none")
# The number of windows that are kept; the oldest are dropped.
MOST = 4096
# The rate at which hits and misses move a level towards the target.
RATE = 0.02


@dataclass(frozen=True, eq=False)
class Calibration:
    """Held-out windows in the order of their origins' ticks, and miss rates that adapt to drift.

    `quantiles` `[windows, horizon, quantiles]` and `truth` `[windows, horizon]` (NaN where missing)
    are scaled; `series` and `ticks` `[windows]` say where they come from. `missed` `[changes,
    levels, horizon]` are the miss rates that are aimed at: they move with hits and misses (Gibbs
    and Candès, 2021, "Adaptive conformal inference under distribution shift"). The last hold now;
    those before, each for origins from the tick `since` `[changes]` on, are kept as long as a
    forecast that was made with them has not ended.
    """

    method: str
    levels: tuple[float, ...]
    quantiles: Array
    truth: Array
    series: Array
    ticks: Array
    missed: Array = field(default_factory=lambda: np.zeros((0, 0, 0)))
    since: Array = field(default_factory=lambda: np.zeros(0, np.int64))

    def interval(self, quantiles: Array, level: float) -> tuple[Array, Array]:
        """Lower and upper ends `[batch, horizon]` for quantiles `[batch, horizon, quantiles]`."""
        low, high = _ends(quantiles, level, self.method)
        if self.method == "none":
            return low, high
        margin = self.margins(level)[: low.shape[1]]
        low, high = low - margin, high + margin
        # A negative margin must not swap the ends of an interval.
        middle = quantiles[..., MIDDLE]
        return np.minimum(low, middle), np.maximum(high, middle)

    def margins(self, level: float) -> Array:
        """The margins `[horizon]` at both ends with which `level` percent of the windows hit."""
        return _ranked(*self._sorted(level), self.aimed(level))

    def _sorted(self, level: float) -> tuple[Array, Array]:
        """The sorted scores of each step, with missing ones last, and their number."""
        scores = np.sort(self._scores(self.quantiles, self.truth, level), axis=0)
        return scores, np.isfinite(scores).sum(axis=0)

    def _scores(self, quantiles: Array, truth: Array, level: float) -> Array:
        """The distance of the truth from the interval; negative inside."""
        low, high = _ends(quantiles, level, self.method)
        made: Array = np.maximum(low - truth, truth - high)
        return made

    def aimed(self, level: float) -> Array:
        """The target coverage `[horizon]`, as moved by hits and misses."""
        nominal = level / 100
        if not self.missed.size:
            return np.full(self.truth.shape[1], nominal)
        moved = self.missed[-1] - (1 - np.array(self.levels)[:, None] / 100)
        # Between the levels that are followed, shifts are interpolated.
        known = np.array(self.levels) / 100
        shift = np.array([np.interp(nominal, known, each) for each in moved.T])
        made: Array = np.clip(nominal - shift, 0.0, 1.0)
        return made

    def followed(self, quantiles: Array, truth: Array, ticks: Array) -> Calibration:
        """A copy with miss rates moved by ended forecasts `[windows, horizon, quantiles]`.

        `truth` `[windows, horizon]` is NaN where it is not to count; `ticks` `[windows]` are those
        of the origins. Errors count in the order of the times that were forecast: nothing later
        moves what is earlier. Each forecast is judged by the margin of its origin, which is the one
        that it was given with: by later ones, only the first of a run of misses would count.
        """
        if self.method == "none" or not len(self.truth) or not len(self.missed):
            return self
        window, step = np.nonzero(np.isfinite(truth))
        if not len(window):
            return self
        due = ticks[window] + step
        order = np.argsort(due, kind="stable")
        window, step, due = window[order], step[order], due[order]
        firsts = np.flatnonzero(np.diff(due, prepend=due[0] - 1))
        groups = np.split(np.arange(len(due)), firsts[1:])
        since = np.maximum.accumulate(np.concatenate([self.since, due[firsts] + 1]))
        made_with = np.maximum(np.searchsorted(since, ticks[window], side="right") - 1, 0)
        horizon, missed = truth.shape[1], []
        for at, level in enumerate(self.levels):
            known = self._sorted(level)
            scores = self._scores(quantiles, truth, level)[window, step]
            rates, margins = np.empty((2, len(since), horizon))
            for n, rate in enumerate(self.missed[:, at]):
                rates[n], margins[n] = rate, _ranked(*known, 1 - rate)
            for n, group in enumerate(groups, len(self.missed)):
                places = step[group]
                issued = margins[np.minimum(made_with[group], n - 1), places]
                count = np.bincount(places, minlength=horizon)
                rate = np.bincount(places, scores[group] > issued, horizon) / np.maximum(count, 1)
                moved = np.where(count > 0, RATE * (1 - level / 100 - rate), 0.0)
                rates[n] = rates[n - 1] + moved
                margins[n] = _ranked(*known, 1 - rates[n])
            missed.append(rates)
        # One more than the number of origins whose forecasts have not ended.
        kept = np.stack(missed, axis=1)[-horizon - 1 :]
        return replace(self, missed=kept, since=since[-horizon - 1 :])

    def remembering(self, other: Calibration) -> Calibration:
        """A copy with the windows of `other`, which replace those of the same origins."""
        keys = {*zip(other.series.tolist(), other.ticks.tolist(), strict=True)}
        pairs = zip(self.series.tolist(), self.ticks.tolist(), strict=True)
        kept = np.array([pair not in keys for pair in pairs], bool)
        parts = {
            name: np.concatenate([getattr(self, name)[kept], getattr(other, name)])
            for name in ("quantiles", "truth", "series", "ticks")
        }
        order = np.argsort(parts["ticks"], kind="stable")[-MOST:]
        newest = {name: part[order] for name, part in parts.items()}
        followed = {"missed": self.missed, "since": self.since}
        return Calibration(self.method, self.levels, **newest, **followed)

    def arrays(self) -> dict[str, Array]:
        """The arrays by name."""
        names = ("quantiles", "truth", "series", "ticks", "missed", "since")
        return {name: getattr(self, name) for name in names}


def calibrated(
    method: str,
    levels: tuple[float, ...],
    quantiles: Array,
    truth: Array,
    series: Array,
    ticks: Array,
) -> Calibration:
    """A calibration from held-out windows, or the newest of them if there are many."""
    order = np.argsort(ticks, kind="stable")[-MOST:]
    missed = np.repeat(1 - np.array(levels)[:, None] / 100, truth.shape[1], axis=1)
    parts = (quantiles[order], truth[order], series[order], ticks[order])
    # Before any change, these rates apply to all origins.
    return Calibration(method, levels, *parts, missed[None], np.zeros(1, np.int64))


def _ends(quantiles: Array, level: float, method: str) -> tuple[Array, Array]:
    """The ends that margins are added to: the quantiles, or the median twice for "split"."""
    if method == "split":
        return quantiles[..., MIDDLE], quantiles[..., MIDDLE]
    tail = (1 - level / 100) / 2
    return at_probability(quantiles, tail), at_probability(quantiles, 1 - tail)


def _ranked(scores: Array, number: Array, coverage: Array) -> Array:
    """The smallest margins that cover: of n scores, the one of rank `ceil((n + h) coverage)`.

    At the first step, `h = 1`, this is the rank of conformal prediction. The errors of overlapping
    windows are dependent: at step h, n of them are worth no more than n / h independent ones. With
    too few scores for that rank, it is the largest one; without any, 0. `scores` are
    `[windows, horizon]`, sorted along the first axis; `number` and `coverage` are `[horizon]`.
    """
    if not len(scores):
        return np.zeros(len(number))
    steps = np.arange(1, len(number) + 1)
    rank = np.ceil((number + steps) * coverage - 1e-9).astype(int)
    rank = np.clip(rank, 1, np.maximum(number, 1)) - 1
    made: Array = np.where(number > 0, scores[rank, np.arange(len(rank))], 0.0)
    return made
