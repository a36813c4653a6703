"""Times with a zone: instants in UTC, local times, and names of zones.

Instants and local times are datetime64 in microseconds.
"""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from ferrnn._src.tree.types import Array

_UTC = dt.timezone.utc
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=_UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_OF_DATEUTIL = re.compile(r"tzfile\('(?:.*/zoneinfo/)?(.+)'\)")
_FIXED = re.compile(r"(?:UTC)?([+-])(\d\d):?(\d\d)")


@lru_cache(maxsize=64)
def zone_of(name: str) -> dt.tzinfo:
    """The zone of a name such as "Europe/Berlin", "UTC" or "+02:00".

    >>> zone_of("+02:00").utcoffset(None)
    datetime.timedelta(seconds=7200)

    Raises:
        ValueError: There is no such zone.
    """
    if name == "UTC":
        return _UTC
    fixed = _FIXED.fullmatch(name)
    if fixed:
        offset = dt.timedelta(hours=int(fixed[2]), minutes=int(fixed[3]))
        if offset < dt.timedelta(days=1):
            return dt.timezone(-offset if fixed[1] == "-" else offset)
    try:
        return zoneinfo.ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise ValueError(
            "the time zone must be one of the IANA database, such as 'Europe/Berlin', or an offset "
            f"such as '+02:00', received {name!r}. If the name is correct, the database is "
            "missing: pip install tzdata"
        ) from None


def zone_name(zone: object) -> str:
    """The name of a zone given as a string or a datetime object; normalizes fixed offsets.

    >>> zone_name(dt.timezone(dt.timedelta(hours=-3))), zone_name("+00:00")
    ('-03:00', 'UTC')

    Raises:
        ValueError: The zone is unknown.
    """
    name = str(getattr(zone, "key", None) or getattr(zone, "zone", None) or zone)
    if name == "tzutc()":
        name = "UTC"
    of_file = _OF_DATEUTIL.fullmatch(name)
    name = of_file[1] if of_file else name
    found = zone_of(name)
    if not isinstance(found, dt.timezone):
        return name
    return "UTC" if found == _UTC else str(found).removeprefix("UTC")


def to_local(instants: Array, zone: str) -> Array:
    """The local times in the zone of instants `[...]`.

    >>> to_local(np.array(["2024-03-31T00:30", "2024-03-31T01:30"], "M8[us]"), "Europe/Berlin")
    array(['2024-03-31T01:30:00.000000', '2024-03-31T03:30:00.000000'],
          dtype='datetime64[us]')
    """
    days, place = np.unique(instants.astype("M8[D]"), return_inverse=True)
    found = zone_of(zone)
    # No zone changes its clock twice a day, so a day whose ends have equal offsets has only one.
    begun, ended = _offsets(days, found), _offsets(days + 1, found)
    made: Array = instants + begun[place]
    changing = (begun != ended)[place]
    made[changing] = instants[changing] + _offsets(instants[changing], found)
    return made


def to_instants(local: Array, zone: str) -> Array:
    """The instants `[...]` of local times in the zone.

    In an hour that is repeated, it is the first of the two; a time that the clock skips is taken
    with the offset before.

    >>> to_instants(np.array(["2024-03-31T02:30", "2024-10-27T02:30"], "M8[us]"), "Europe/Berlin")
    array(['2024-03-31T01:30:00.000000', '2024-10-27T00:30:00.000000'],
          dtype='datetime64[us]')
    """
    found = zone_of(zone)

    def instant(moment: dt.datetime) -> int:
        return (moment.replace(tzinfo=found) - _EPOCH) // _MICROSECOND

    return _each(local, instant).astype("M8[us]")


def aware(instants: Array, zone: str) -> Array:
    """Datetime objects in the zone; None for missing times.

    >>> str(aware(np.array(["2024-07-01T12:00"], "M8[us]"), "Europe/Berlin")[0])
    '2024-07-01 14:00:00+02:00'
    """
    found = zone_of(zone)

    def told(moment: dt.datetime | None) -> dt.datetime | None:
        return moment and moment.replace(tzinfo=_UTC).astimezone(found)

    return _each(instants, told, object)


def of_aware(values: Array, name: str) -> tuple[Array, str] | None:
    """Instants and zone of datetime objects `[rows]`, or None if none of them has a zone.

    Raises:
        ValueError: One has no zone, or another one, or the zone is unknown.
    """
    # Objects are often repeated in tables, so each is read only once.
    _, first, place = np.unique(
        np.fromiter(map(id, values), np.int64, len(values)), return_index=True, return_inverse=True
    )
    once = [None if each is None or each != each else each for each in values[first]]  # noqa: PLR0124
    found = (getattr(each, "tzinfo", None) for each in once if each is not None)
    zones = [*{id(each): each for each in found}.values()]  # not all can be hashed
    if all(each is None for each in zones):
        return None
    names = sorted({"none" if each is None else zone_name(each) for each in zones})
    if len(names) > 1:
        raise ValueError(
            f"the column {name!r} must have all times in one zone, received the zones "
            f"{', '.join(names[:3])}"
        )
    missing = int(np.datetime64("NaT").astype(np.int64))
    made = [missing if each is None else (each - _EPOCH) // _MICROSECOND for each in once]
    return np.array(made, np.int64).astype("M8[us]")[place], names[0]


def _offsets(instants: Array, zone: dt.tzinfo) -> Array:
    """The offset of the zone from UTC."""

    def offset(moment: dt.datetime) -> int:
        ahead = moment.replace(tzinfo=_UTC).astimezone(zone).utcoffset()
        assert ahead is not None
        return ahead // _MICROSECOND

    return _each(instants, offset).astype("m8[us]")


def _each(times: Array, function: Callable[[dt.datetime], Any], dtype: Any = np.int64) -> Array:
    """The results of a function for times, called once for each distinct time.

    Raises:
        ValueError: One is in a year that datetime does not support.
    """
    once, place = np.unique(times.astype("M8[us]"), return_inverse=True)
    made = np.empty(len(once), dtype)
    try:
        for at, moment in enumerate(once.tolist()):
            made[at] = function(moment)
    except (AttributeError, OverflowError, ValueError):
        raise ValueError(
            "times with a zone must be in the years 1 to 9999, received some from "
            f"{once[0]} to {once[-1]}"
        ) from None
    return made[place].reshape(times.shape)
