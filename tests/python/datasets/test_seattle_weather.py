"""The bundled weather: complete, in order, as the source has it."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

import ferrnn
from ferrnn.datasets import load_seattle_weather

DATA = Path(ferrnn.__file__).parent / "_src" / "datasets" / "data"


def test_every_day_of_four_years_is_there():
    weather = load_seattle_weather()
    assert len(weather) == 1461
    assert weather.values.shape == (1461, 4)
    assert weather.values.dtype == np.float64
    assert str(weather.dates[0]) == "2012-01-01"
    assert str(weather.dates[-1]) == "2015-12-31"
    assert set(np.diff(weather.dates).astype(int)) == {1}
    assert np.isfinite(weather.values).all()


def test_quantities_have_names_units_and_sensible_values():
    weather = load_seattle_weather()
    assert dict(zip(weather.names, weather.units, strict=True)) == {
        "precipitation": "mm",
        "temp_max": "°C",
        "temp_min": "°C",
        "wind": "m/s",
    }
    assert (weather["temp_max"] >= weather["temp_min"]).all()
    assert (weather["precipitation"] >= 0).all()
    assert (weather["temp_max"].min(), weather["temp_max"].max()) == (-1.6, 35.6)
    assert weather.unit("wind") == "m/s"
    assert set(weather.conditions) == {"drizzle", "fog", "rain", "snow", "sun"}
    with pytest.raises(KeyError, match="humidity"):
        weather["humidity"]


def test_arrays_are_read_only_and_fresh():
    weather = load_seattle_weather()
    with pytest.raises(ValueError, match="read-only"):
        weather.values[0, 0] = 1.0
    assert load_seattle_weather().values is not weather.values


def test_source_and_licence_are_said_and_stand_beside_the_file():
    weather = load_seattle_weather()
    assert "NOAA" in weather.source
    assert "public domain" in weather.licence
    note = (DATA / "seattle_weather.md").read_text(encoding="utf-8")
    digest = hashlib.sha256((DATA / "seattle_weather.csv").read_bytes()).hexdigest()
    assert digest in note
    assert "public domain" in note
    assert "2012-01-01 to 2015-12-31" in repr(weather)
