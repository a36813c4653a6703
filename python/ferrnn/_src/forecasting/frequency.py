"""The grid of a series' times: integers, fixed steps, months or business days."""

from __future__ import annotations

import datetime as dt
import math
import re
from dataclasses import dataclass, replace

import numpy as np

from ferrnn._src.forecasting.zones import aware, to_instants, to_local
from ferrnn._src.tree.types import Array

HOUR = 3_600_000_000
DAY = 24 * HOUR
# The supported names of pandas and polars, as kind and step.
_NAMES = {
    "s": ("fixed", 1_000_000),
    "min": ("fixed", 60_000_000),
    "h": ("fixed", HOUR),
    "d": ("fixed", DAY),
    "w": ("fixed", 7 * DAY),
    "b": ("business", 1),
    **dict.fromkeys(("m", "ms", "me", "mo"), ("month", 1)),
    **dict.fromkeys(("q", "qs", "qe"), ("month", 3)),
    **dict.fromkeys(("y", "ys", "ye", "a"), ("month", 12)),
}


@dataclass(frozen=True)
class Frequency:
    """The conversion of times to ticks (integers, one for each step) and back.

    `kind` is "number", "fixed" (`step` and `offset` in microseconds), "month" (in months; `day` is
    the day of the month less one, -1 its last) or "business" (days from Monday to Friday). Times
    with a `zone` are instants; the grid lies on the clock of the zone if `local`, so that its days
    may have 23 or 25 hours, else on the instants.
    """

    kind: str
    step: int = 1
    offset: int = 0
    day: int = 0
    zone: str | None = None
    local: bool = False

    def ticks(self, times: Array) -> Array:
        """The ticks of times.

        Raises:
            ValueError: A time is not on the grid.
        """
        own = self._own_zone
        made, wrong = self._ticks(times if own is None else to_local(times, own))
        if own is not None and wrong.any():
            # A local time that the clock skips is shown as a later one.
            wrong &= self.times(made) != times
        if wrong.any():
            raise ValueError(
                f"the times must be {self} apart; {self._named(times[wrong])[0]} is off that grid. "
                "Pass `freq` if they have another step"
            )
        return made

    def _ticks(self, times: Array) -> tuple[Array, Array]:
        """The ticks of times on the grid's own clock, and which of them are off the grid."""
        if self.kind == "business":
            days = times.astype("M8[D]")
            wrong = ~np.is_busday(days)
            made: Array = np.busday_count(np.datetime64("1970-01-01", "D"), days).astype(np.int64)
        else:
            numbers = _months(times) if self.kind == "month" else times.astype(np.int64)
            made, rest = np.divmod(numbers - self.offset, self.step)
            wrong = rest != 0
            if self.kind == "month":
                wrong |= self._times(made).astype("M8[D]") != times.astype("M8[D]")
        return made, wrong

    @property
    def _own_zone(self) -> str | None:
        """The zone on whose clock the grid lies, or None if it lies on the times themselves."""
        return self.zone if self.local else None

    def times(self, ticks: Array) -> Array:
        """The times of ticks: integers, or datetime64 in microseconds (instants in a zone)."""
        made, own = self._times(ticks), self._own_zone
        return made if own is None else to_instants(made, own)

    def clock(self, ticks: Array) -> Array:
        """The local times of ticks, as datetime64."""
        made = self._times(ticks)
        return made if self.zone is None or self.local else to_local(made, self.zone)

    def labels(self, ticks: Array) -> Array:
        """The times of ticks as users get them: in a zone, as datetime objects."""
        return self._named(self.times(ticks))

    def _named(self, times: Array) -> Array:
        return times if self.zone is None else aware(times, self.zone)

    def _times(self, ticks: Array) -> Array:
        """The times of ticks on the grid's own clock."""
        if self.kind == "business":
            start = np.datetime64("1970-01-01", "D")
            days: Array = np.busday_offset(start, ticks, roll="forward")
            return days.astype("M8[us]")
        numbers = ticks * self.step + self.offset
        if self.kind == "number":
            return numbers
        if self.kind == "fixed":
            return numbers.astype("M8[us]")
        months = numbers.astype("M8[M]")
        ends = (months + 1).astype("M8[D]") - 1
        days = ends if self.day < 0 else np.minimum(months.astype("M8[D]") + self.day, ends)
        return days.astype("M8[us]")

    @property
    def season(self) -> int:
        """The usual number of steps in a season: a day of hours, a week of days, a year."""
        if self.kind == "business":
            return 5
        if self.kind == "month":
            return max(12 // self.step, 1)
        if self.kind == "number" or self.step > 7 * DAY:
            return 1
        if self.step == 7 * DAY:
            return 52
        return max(7 * DAY // self.step if self.step >= DAY else DAY // self.step, 1)

    def __str__(self) -> str:
        if self.kind == "number":
            return f"{self.step}"
        if self.kind == "fixed":
            return f"{np.timedelta64(self.step, 'us').astype(object)}"
        return f"{self.step} months" if self.kind == "month" else "working days"


def inferred(
    times: Array, series: Array, freq: object = None, zone: str | None = None
) -> Frequency:
    """The grid of the times `[rows]` of several series, sorted by series and time.

    Those in a zone are instants. Where the clock there shows one time of day at all of them, or
    `freq` says so, they are days, weeks, months of that clock.

    Raises:
        ValueError: The times have no common step, or `freq` is unknown.
    """
    if zone is None:
        return _inferred(times, series, freq)
    shown, once_a_day = _shown(times, zone)
    kind, step = _parsed(freq) if freq is not None else ("fixed", DAY)
    local = kind != "fixed" or (once_a_day and step % DAY == 0)
    found = _inferred(shown if local else times, series, freq)
    return replace(found, zone=zone, local=local)


def _shown(times: Array, zone: str) -> tuple[Array, bool]:
    """The local times of instants, and whether they are all the same time of day.

    On a day when the clock skips that time of day, it is returned nevertheless.
    """
    shown = to_local(times, zone)
    days = shown.astype("M8[D]")
    of_day, counts = np.unique(shown - days, return_counts=True)
    usual = days + of_day[np.argmax(counts)]
    odd = np.flatnonzero(shown != usual)
    left_out = odd[to_instants(usual[odd], zone) == times[odd]]
    shown[left_out] = usual[left_out]
    return shown, len(left_out) == len(odd)


def _inferred(times: Array, series: Array, freq: object) -> Frequency:
    steps = np.diff(times.astype(np.int64))[np.diff(series) == 0]
    steps = steps[steps > 0]
    if times.dtype.kind in "iu":
        step = _whole(freq) if freq is not None else _common(steps)
        return Frequency("number", step, int(times[0]) % step if len(times) else 0)
    if freq is not None:
        kind, step = _parsed(freq)
        return _of_kind(kind, step, times)
    days = times.astype("M8[D]")
    daily = bool(np.all(days.astype("M8[us]") == times))
    if daily and len(steps) and steps.min() >= 28 * DAY and _same_day(days) is not None:
        return _of_kind("month", _common(np.diff(_months(times))[np.diff(series) == 0]), times)
    step = _common(steps) if len(steps) else DAY
    if len(steps) and np.median(steps) > 50 * step:
        raise ValueError(
            f"`ds` has no common step: half of the steps are longer than {np.median(steps) / 1e6:g}"
            f" s, but their common divisor is {step / 1e6:g} s. Pass `freq`, or times on a grid"
        )
    if daily and step == DAY and len(steps) >= 10 and bool(np.is_busday(days).all()):
        return Frequency("business")
    return _of_kind("fixed", step, times)


def _of_kind(kind: str, step: int, times: Array) -> Frequency:
    if kind == "business":
        return Frequency("business")
    if kind == "month":
        day = _same_day(times.astype("M8[D]"))
        if day is None:
            dates = times.astype("M8[D]")
            days = np.unique((dates - dates.astype("M8[M]").astype("M8[D]")).astype(np.int64) + 1)
            raise ValueError(
                "`ds` must be the same day of each month, or the last day of each month, received "
                f"the days {days.tolist()}"
            )
        return Frequency("month", step, int(_months(times)[0]) % step, day)
    return Frequency("fixed", step, int(times.astype(np.int64)[0]) % step)


def _months(times: Array) -> Array:
    return times.astype("M8[M]").astype(np.int64)


def _same_day(days: Array) -> int | None:
    """The common day of the month, less one, or -1 if it is always the last; else None."""
    months = days.astype("M8[M]")
    ends = (months + 1).astype("M8[D]") - 1
    if len(days) and bool((days == ends).all()):
        return -1
    day = (days - months.astype("M8[D]")).astype(np.int64)
    largest = int(day.max()) if len(day) else 0
    # In February, the 30th becomes the last day.
    same = (day == largest) | (days == ends)
    return largest if bool(same.all()) else None


def _common(steps: Array) -> int:
    steps = steps[steps > 0]
    return int(np.gcd.reduce(steps)) if len(steps) else 1


def _whole(freq: object) -> int:
    if isinstance(freq, int | np.integer) and freq > 0:
        return int(freq)
    raise ValueError(f"`freq` must be an integer for times that are numbers, received {freq!r}")


def _parsed(freq: object) -> tuple[str, int]:
    if isinstance(freq, np.timedelta64 | dt.timedelta):
        return _of_duration(np.timedelta64(freq), freq)
    name = getattr(freq, "freqstr", freq)  # of a pandas offset
    match = re.fullmatch(r"(\d*)([A-Za-z]+)(-[A-Za-z]+)?", name) if isinstance(name, str) else None
    if match and match[2].lower() in _NAMES:
        kind, step = _NAMES[match[2].lower()]
        count = int(match[1] or 1)
        if count > 0 and not (kind == "business" and count > 1):
            return kind, step * count
    raise _no_freq(freq)


def _of_duration(duration: np.timedelta64, freq: object) -> tuple[str, int]:
    unit = np.datetime_data(duration.dtype)[0]
    months = {"M": 1, "Y": 12}.get(unit)
    if np.isnat(duration) or duration.astype(np.int64) <= 0 or unit == "generic":
        raise _no_freq(freq)
    if months is not None:
        return "month", months * int(duration.astype(f"m8[{unit}]").astype(np.int64))
    return "fixed", int(duration.astype("m8[us]").astype(np.int64))


def _no_freq(freq: object) -> ValueError:
    return ValueError(
        "`freq` must be a count and one of s, min, h, D, W, B, MS, ME, QS, QE, YS, YE, such as "
        f"'15min', a pandas offset, or a positive duration, received {freq!r}"
    )


def calendar(kinds: tuple[str, ...], frequency: Frequency, season: int, ticks: Array) -> Array:
    """Sine and cosine of places in the calendar, `[..., 2 * len(kinds)]`, for ticks `[...]`."""
    if not kinds:
        return np.zeros((*ticks.shape, 0))
    parts = []
    times = frequency.clock(ticks.reshape(-1)) if frequency.kind != "number" else None
    for kind in kinds:
        if kind == "season" or times is None:
            turn = (ticks.reshape(-1) % season) / season
        else:
            turn = _turn(kind, times)
        angle = 2 * math.pi * turn
        parts += [np.sin(angle), np.cos(angle)]
    return np.stack(parts, axis=-1).reshape(*ticks.shape, -1)


def _turn(kind: str, times: Array) -> Array:
    """The elapsed fraction of a day, week, month or year, from 0 to 1."""
    days = times.astype("M8[D]")
    if kind == "hour":
        of_day: Array = (times - days) / np.timedelta64(DAY, "us")
        return of_day
    if kind == "weekday":
        of_week: Array = ((days.astype(np.int64) + 3) % 7) / 7
        return of_week
    unit, longest = ("M", 31.0) if kind == "monthday" else ("Y", 366.0)
    start = days.astype(f"M8[{unit}]").astype("M8[D]")
    part: Array = (days - start).astype(np.int64) / longest
    return part


KINDS = ("hour", "weekday", "monthday", "yearday", "season")


def chosen_kinds(
    asked: str | tuple[str, ...], frequency: Frequency, season: int, span: int
) -> tuple[str, ...]:
    """The kinds of calendar features; `span` is the number of steps of the longest series.

    "auto" chooses those whose cycle the data covers at least twice.
    """
    if asked != "auto":
        if frequency.kind == "number" and not set(asked) <= {"season"}:
            raise ValueError(
                "`calendar` must be 'auto' or ['season'] for times that are integers, received "
                f"{[*asked]}"
            )
        return tuple(asked)
    if frequency.kind == "number":
        return ("season",) if season > 1 else ()
    step = {"month": 30 * DAY * frequency.step, "business": DAY}.get(frequency.kind, frequency.step)
    lengths = {"hour": DAY, "weekday": 7 * DAY, "yearday": 365 * DAY}
    return tuple(
        kind for kind, length in lengths.items() if 2 * step <= length and span * step >= 2 * length
    )
