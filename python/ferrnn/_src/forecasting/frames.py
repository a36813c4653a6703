"""Users' tables: dataframes (through narwhals), columns by name, arrays; and back."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import numpy as np

from ferrnn._src.forecasting.panel import ids_of
from ferrnn._src.forecasting.zones import aware, of_aware, zone_name
from ferrnn._src.tree.types import Array


@dataclass(frozen=True)
class Names:
    """The names of a long table's columns for series, times and targets."""

    id: str = "unique_id"
    time: str = "ds"
    target: str = "y"


@dataclass(frozen=True, eq=False)
class Table:
    """A long table: columns `[rows]` by name, with ids and times as given, or numbered.

    Times in a `zone` are instants. `backend` is the library of the frame it came from, None of
    arrays.
    """

    columns: Mapping[str, Array]
    ids: Array
    times: Array
    backend: str | None = None
    zone: str | None = None

    def numbers(self, names: Sequence[str], argument: str) -> Array:
        """Some of the columns `[rows, len(names)]` in float64."""
        made = [np.zeros((len(self.ids), 0))]
        for name in names:
            if name not in self.columns:
                raise ValueError(
                    f"{argument} must name columns of the table, received {name!r}; it has "
                    f"{sorted(self.columns)}"
                )
            made.append(as_numbers(self.columns[name], name)[:, None])
        return np.concatenate(made, axis=1)


def as_numbers(values: Any, name: str) -> Array:
    """A column in float64, NaN where it is missing.

    Raises:
        TypeError: It does not hold numbers (strings of numbers are not accepted).
        ValueError: It holds an infinite one.
    """
    made = _floats(np.asarray(values))
    if made is None or made.ndim != 1:
        received = _received(np.asarray(values)) if made is None else f"the shape {made.shape}"
        raise TypeError(f"the column {name!r} must hold numbers, received {received}")
    if np.isinf(made).any():
        raise ValueError(
            f"the column {name!r} must hold finite numbers or NaN, received infinite ones"
        )
    return made


def _floats(values: Array) -> Array | None:
    """Numbers in float64, or None for anything else."""
    texts = values.dtype.kind == "O" and any(isinstance(each, str | bytes) for each in values.flat)
    if texts or values.dtype.kind not in "fiubO":
        return None
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError):
        return None


def table_of(data: Any, names: Names, *, target: bool = True, argument: str = "data") -> Table:
    """A long table from a user's data.

    A frame or mapping with the target's column is long; another frame is wide, a series for each
    column but `ds`; another mapping has a series for each name. Arrays are `[time]`,
    `[time, series]`, or a list of `[time]`. Without `target`, it must be a long frame or
    mapping.

    Raises:
        TypeError: It is none of these.
        ValueError: There are no rows, or ids or times are missing.
    """
    columns, backend = _columns(data, names)
    if columns is None:
        if not target:
            raise TypeError(
                f"`{argument}` must be a frame or a mapping of columns, received "
                f"{type(data).__name__}"
            )
        return _of_arrays(data)
    if target and names.target not in columns:
        return _of_wide(columns, names, backend)
    lengths = {len(each) for each in columns.values()}
    if len(lengths) > 1:
        raise ValueError(f"the columns must be equally long, received the lengths {lengths}")
    rows = lengths.pop() if lengths else 0
    if not rows:
        raise ValueError("the data must have rows, received none")
    ids = columns.get(names.id)
    kept = np.zeros(rows, np.int64) if ids is None else _ids(ids, names.id)
    times = columns.get(names.time)
    if times is None:
        return Table(columns, kept, _places(kept), backend)
    when, zone = as_times(times, names.time)
    return Table(columns, kept, when, backend, zone)


def _columns(data: Any, names: Names) -> tuple[dict[str, Array] | None, str | None]:
    """The columns of a frame or mapping, including those in its index, and the frame's library."""
    if isinstance(data, Mapping):
        return {str(name): _array(str(name), each) for name, each in data.items()}, None
    module = type(data).__module__.partition(".")[0]
    if isinstance(data, np.ndarray | Sequence) or module == "numpy":
        return None, None
    narwhals = _narwhals()
    try:
        native = narwhals.from_native(data, allow_series=True)
    except TypeError:
        return None, None
    if isinstance(native, narwhals.LazyFrame):
        native = native.collect()
    backend = str(native.implementation)
    if isinstance(native, narwhals.Series):
        name = native.name or "y"
        columns = {str(name): _values(native)}
    else:
        columns = {str(name): _values(native[name]) for name in native.columns}
    return {**_of_index(narwhals.maybe_get_index(native), names), **columns}, backend


def _of_index(index: Any, names: Names) -> dict[str, Array]:
    """The columns in a pandas index: levels with names, or an index of dates."""
    found: dict[str, Array] = {}
    for at, name in enumerate(getattr(index, "names", ())):
        level = index.get_level_values(at)
        if str(level.dtype).startswith("period"):
            level = level.to_timestamp()
        if name in (names.id, names.time):
            found[name] = np.asarray(level)
        elif str(level.dtype).startswith("datetime64"):
            found.setdefault(names.time, np.asarray(level))
    return found


def _array(name: str, values: Any) -> Array:
    """A column of a mapping as an array.

    Raises:
        TypeError: It does not have one value for each row.
    """
    kind = getattr(values, "dtype", getattr(values, "type", None))
    # NumPy would lose the time zone of a column of a dataframe library.
    if getattr(kind, "time_zone", None) or getattr(kind, "tz", None):
        narwhals = _narwhals()
        native = narwhals.from_native(values, series_only=True, pass_through=True)
        if isinstance(native, narwhals.Series):
            return _values(native)
    made = _one_array(values)
    if made is None or made.ndim != 1:
        received = type(values).__name__ if made is None else f"the shape {made.shape}"
        raise TypeError(
            f"the column {name!r} must have one value for each row, received {received}"
        )
    return made


def _one_array(values: Any) -> Array | None:
    """A value as an array, or None for nested lists of unequal lengths."""
    try:
        return np.asarray(values)
    except ValueError:
        return None


def _values(column: Any) -> Array:
    narwhals = _narwhals()
    zone = getattr(column.dtype, "time_zone", None)
    if zone:
        instants = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None).to_numpy()
        return aware(instants.astype("M8[us]"), zone_name(zone))
    number = column.dtype.is_numeric() or column.dtype == narwhals.Boolean
    if number and (column.null_count() or not column.dtype.is_integer()):
        column = column.cast(narwhals.Float64)
    return np.asarray(column.to_numpy())


def _narwhals() -> Any:
    try:
        return import_module("narwhals.stable.v2")
    except ImportError as error:
        raise ImportError(
            "frames are read through narwhals, which the extra `forecasting` installs: pip install "
            "'ferrnn[forecasting]'. Arrays and mappings of columns need only NumPy"
        ) from error


def _of_wide(columns: dict[str, Array], names: Names, backend: str | None) -> Table:
    given = list(columns)
    times = columns.pop(names.time, None)
    if not columns or names.id in columns:
        raise ValueError(
            f"the data must have a column {names.target!r} (`target_column`), or one column for "
            f"each series besides times, received the columns {given}"
        )
    zone = None
    lengths = np.array([len(each) for each in columns.values()])
    ids = np.repeat(np.array(list(columns)), lengths)
    if times is None:
        when = np.concatenate([np.arange(length) for length in lengths])
    elif (lengths == len(times)).all():
        once, zone = as_times(times, names.time)
        when = np.tile(once, len(columns))
    else:
        raise ValueError(
            f"each series must have the {len(times)} rows of {names.time!r}, received the lengths "
            f"{sorted(set(lengths.tolist()))}"
        )
    values = np.concatenate([as_numbers(each, name) for name, each in columns.items()])
    return _without_ends(Table({names.target: values}, ids, when, backend, zone), names.target)


def _of_arrays(data: Any) -> Table:
    if isinstance(data, np.ndarray):
        if data.ndim not in (1, 2) or data.dtype.kind not in "fiub":
            raise TypeError(
                "`data`, an array of series, must be numbers [time] or [time, series], received "
                f"the shape {data.shape} and dtype {data.dtype}"
            )
        parts = [data] if data.ndim == 1 else list(data.T)
    elif isinstance(data, Sequence) and not isinstance(data, str) and len(data):
        read = [_one_array(each) for each in data]
        parts = [each for each in read if each is not None and each.ndim == 1]
        if all(each is not None and each.ndim == 0 for each in read):
            parts = [np.asarray(data)]
        elif len(parts) < len(read):
            raise TypeError("`data`, a list of series, must hold rows of numbers [time] each")
    else:
        raise TypeError(
            "`data` must be a frame, a mapping of columns or of series, an array [time] or [time, "
            f"series], or a list of [time], received {type(data).__name__}"
        )
    lengths = [len(each) for each in parts]
    if not sum(lengths):
        raise ValueError("the data must have rows, received none")
    values = np.concatenate([as_numbers(each, "y") for each in parts])
    ids = np.repeat(np.arange(len(parts)), lengths)
    return _without_ends(Table({"y": values}, ids, _places(ids), None), "y")


def _without_ends(table: Table, target: str) -> Table:
    """The table without missing values at the beginning of each series, but at least one row."""
    known = np.isfinite(table.columns[target])
    begun = np.zeros(len(known), bool)
    for each in np.unique(table.ids):
        own = np.flatnonzero(table.ids == each)
        begun[own] = np.maximum.accumulate(known[own])
        begun[own[-1:]] = True
    columns = {name: each[begun] for name, each in table.columns.items()}
    return replace(table, columns=columns, ids=table.ids[begun], times=table.times[begun])


def _ids(values: Array, name: str) -> Array:
    missing = np.array([each is None or each != each for each in values.tolist()])  # noqa: PLR0124
    if missing.any():
        raise ValueError(
            f"the column {name!r} must name a series in every row, received none in row "
            f"{int(np.argmax(missing))}")  # fmt: skip
    if values.dtype.kind == "f" and (values == np.round(values)).all():
        values = values.astype(np.int64)
    return ids_of(values)


def _places(ids: Array) -> Array:
    """0, 1, ... along each series, in the order of the rows."""
    order = np.argsort(ids, kind="stable")
    begins = np.flatnonzero(np.r_[True, ids[order][1:] != ids[order][:-1]])
    lengths = np.diff(np.append(begins, len(ids)))
    made = np.empty(len(ids), np.int64)
    made[order] = np.arange(len(ids)) - np.repeat(begins, lengths)
    return made


def as_times(values: Any, name: str) -> tuple[Array, str | None]:
    """Times as integers, or as datetime64 in microseconds, which are instants if they have a zone.

    Raises:
        TypeError: They are neither.
        ValueError: One is missing, or they are of several zones.
    """
    times, zone = np.asarray(values), None
    if times.dtype.kind in "OUT":
        times, zone = _read_times(times, name)
    if times.dtype.kind == "f" and bool((times == np.round(times)).all()):
        times = times.astype(np.int64)
    if times.dtype.kind in "iu":
        return times.astype(np.int64), None
    if times.dtype.kind != "M":
        raise _no_times(name, times)
    if np.isnat(times).any():
        raise ValueError(
            f"the column {name!r} must have a time in every row, received a missing one"
        )
    return times.astype("M8[us]"), zone


def _read_times(values: Array, name: str) -> tuple[Array, str | None]:
    """Times from strings and objects; for a pandas period, its beginning."""
    if values.dtype.kind == "O" and hasattr(values[0], "to_timestamp"):
        values = np.array([getattr(each, "to_timestamp", lambda: None)() for each in values])
    found = of_aware(values, name) if values.dtype.kind == "O" else None
    if found is not None:
        return found
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # NumPy warns that it drops the offset of a string
            return values.astype("M8[us]"), None
    except (TypeError, ValueError, UserWarning, DeprecationWarning):
        raise _no_times(name, values) from None


def _no_times(name: str, values: Array) -> TypeError:
    return TypeError(
        f"the column {name!r} must hold dates, times or integers, received {_received(values)}"
    )


def _received(values: Array) -> str:
    """The contents of a column for a message: its dtype, or the first string or object."""
    return repr(values.tolist()[0]) if values.dtype.kind in "OUST" else str(values.dtype)


def frame_of(columns: Mapping[str, Array], backend: str) -> Any:
    """A frame of the library that the data came from."""
    narwhals = _narwhals()
    plain: dict[str, Any] = {}
    zones: dict[str, str] = {}
    for name, each in columns.items():
        found = of_aware(each, name) if each.dtype.kind == "O" else None
        if found is not None:
            plain[name], zones[name] = found
        else:
            plain[name] = each.tolist() if each.dtype.kind == "U" else each
    made = narwhals.from_dict(plain, backend=backend.rpartition(".")[2].lower())
    for name, zone in zones.items():
        local = narwhals.col(name).dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
        made = made.with_columns(local)
    return made.to_native()
