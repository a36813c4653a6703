"""Forecasts as columns, in a mapping of arrays or in a frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ferrnn._src.forecasting.frames import frame_of
from ferrnn._src.tree.types import Array


class Forecast(Mapping[str, Array]):
    """A forecast in long form: columns `[series * steps]` by name.

    `unique_id`, `ds`, `forecast` (the median), and for each level its ends, `forecast-lo-80` and
    `forecast-hi-80`. `by_series(name)` gives a column as `[series, steps]`.

    >>> made = Forecast({"ds": np.array([5, 6]), "forecast": np.array([1.0, 2.0])}, 1)
    >>> made["forecast"].tolist(), made.by_series("forecast").shape
    ([1.0, 2.0], (1, 2))
    """

    def __init__(self, columns: Mapping[str, Array], series: int) -> None:
        self.columns, self.series = dict(columns), series

    def __getitem__(self, name: str) -> Array:
        if name not in self.columns:
            raise KeyError(f"{name!r}: the forecast has the columns {list(self.columns)}")
        return self.columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def by_series(self, name: str) -> Array:
        """One column, a row for each series: `[series, steps]`."""
        return self[name].reshape(self.series, -1)

    def to_frame(self, backend: str = "pandas") -> Any:
        """The forecast as a frame of pandas, polars or pyarrow, through narwhals."""
        return frame_of(self.columns, backend)

    def __repr__(self) -> str:
        steps = len(self["forecast"]) // max(self.series, 1)
        return f"<Forecast of {self.series} series, {steps} steps: {list(self.columns)}>"


def names_of(level: float) -> tuple[str, str]:
    """The columns of an interval's ends: 80 gives "forecast-lo-80" and "forecast-hi-80"."""
    return f"forecast-lo-{level:g}", f"forecast-hi-{level:g}"


def checked_levels(level: Any, name: str = "level") -> tuple[float, ...]:
    """Levels in percent, from one or several.

    Raises:
        TypeError: They are not numbers.
        ValueError: One is not between 1 and 100, such as a fraction like 0.9.
    """
    levels = _numbers(level, name, "percents, such as 90 or [80, 95]")
    if any(not 1 <= each < 100 for each in levels):
        raise ValueError(
            f"`{name}` must be percents of at least 1 and below 100, such as 90, received {level!r}"
        )
    return levels


def checked_probabilities(quantiles: Any) -> tuple[float, ...]:
    """Probabilities of quantiles, from one or several.

    Raises:
        TypeError: They are not numbers.
        ValueError: One is not between 0 and 1.
    """
    found = _numbers(quantiles, "quantiles", "probabilities, such as [0.1, 0.9]")
    if any(not 0 < each < 1 for each in found):
        raise ValueError(f"`quantiles` must be between 0 and 1, received {quantiles!r}")
    return found


def _numbers(given: Any, name: str, what: str) -> tuple[float, ...]:
    found = np.atleast_1d(() if given is None else np.asarray(given))
    if found.ndim != 1 or (found.size and found.dtype.kind not in "iuf"):
        raise TypeError(f"`{name}` must be {what}, received {given!r}")
    return tuple(map(float, found))
