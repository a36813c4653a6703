"""Daily weather in Seattle, 2012 to 2015, from NOAA's records."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ferrnn._src.tree.types import Array

_FILE = Path(__file__).parent / "data" / "seattle_weather.csv"
_UNITS = {"precipitation": "mm", "temp_max": "°C", "temp_min": "°C", "wind": "m/s"}
_SOURCE = (
    "NOAA (National Oceanic and Atmospheric Administration), daily records of Seattle, as in the "
    "package vega_datasets 0.9.0 (https://github.com/vega/vega-datasets)"
)
_LICENCE = "public domain (https://www.weather.gov/disclaimer)"


@dataclass(frozen=True, eq=False)
class DailyWeather:
    """Measurements day by day: `values` `[days, quantities]`, all arrays read-only.

    >>> weather = load_seattle_weather()
    >>> weather["temp_max"][:3].tolist(), weather.unit("temp_max")
    ([12.8, 10.6, 11.7], '°C')
    """

    dates: Array
    values: Array
    names: tuple[str, ...]
    units: tuple[str, ...]
    conditions: Array
    source: str
    licence: str

    def __getitem__(self, name: str) -> Array:
        """One quantity `[days]`."""
        return self.values[:, self._place(name)]

    def unit(self, name: str) -> str:
        """The unit of one quantity."""
        return self.units[self._place(name)]

    def _place(self, name: str) -> int:
        if name not in self.names:
            raise KeyError(f"`name` must be one of {self.names}, received {name!r}")
        return self.names.index(name)

    def __len__(self) -> int:
        return len(self.dates)

    def __repr__(self) -> str:
        quantities = ", ".join(
            f"{name} [{unit}]" for name, unit in zip(self.names, self.units, strict=True)
        )
        return f"<DailyWeather {self.dates[0]} to {self.dates[-1]}: {quantities}>"


def load_seattle_weather() -> DailyWeather:
    """The weather of the 1,461 days from 2012-01-01 to 2015-12-31, without a gap.

    `values` `[1461, 4]` holds precipitation, highest and lowest temperature and wind in float64,
    `dates` `[1461]` the days, `conditions` `[1461]` a word for each day.

    >>> load_seattle_weather()  # doctest: +NORMALIZE_WHITESPACE
    <DailyWeather 2012-01-01 to 2015-12-31:
     precipitation [mm], temp_max [°C], temp_min [°C], wind [m/s]>
    """
    with _FILE.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = tuple(_UNITS)
    days = [row["date"].replace("/", "-") for row in rows]
    return DailyWeather(
        dates=_frozen(np.array(days, "datetime64[D]")),
        values=_frozen(np.array([[float(row[name]) for name in names] for row in rows])),
        names=names,
        units=tuple(_UNITS.values()),
        conditions=_frozen(np.array([row["weather"] for row in rows])),
        source=_SOURCE,
        licence=_LICENCE,
    )


def _frozen(array: Array) -> Array:
    array.flags.writeable = False
    return array
