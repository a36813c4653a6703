"""The grid of times is found, and times come back from it."""

import datetime as dt

import numpy as np
import pytest

from each_case import each_case
from ferrnn._src.forecasting.frequency import Frequency, calendar, chosen_kinds, inferred


def found(times, freq=None):
    times = np.asarray(times)
    times = times if times.dtype.kind == "i" else times.astype("M8[us]")
    return inferred(times, np.zeros(len(times), int), freq), times


MONTHS = np.arange("2020-01", "2024-01", dtype="M8[M]")
DAYS = np.arange("2020-01-01", "2020-12-31", dtype="M8[D]")


@each_case(
    ("times", "kind", "step", "season"),
    [
        (np.arange(7, 60, 3), "number", 3, 1),
        (np.arange("2020-01-01T00", "2020-01-05T00", 15, dtype="M8[m]"), "fixed", 9e8, 96),
        (np.arange("2020-01-01T00", "2020-01-09T00", dtype="M8[h]"), "fixed", 36e8, 24),
        (DAYS, "fixed", 864e8, 7),
        (DAYS[::7], "fixed", 7 * 864e8, 52),
        (DAYS[np.is_busday(DAYS)], "business", 1, 5),
        (MONTHS.astype("M8[D]"), "month", 1, 12),
        (MONTHS.astype("M8[D]") + 14, "month", 1, 12),
        ((MONTHS + 1).astype("M8[D]") - 1, "month", 1, 12),
        (MONTHS[::3].astype("M8[D]"), "month", 3, 4),
        (MONTHS[4::12].astype("M8[D]"), "month", 12, 1),
    ],
)
def test_the_step_is_found_and_times_come_back(times, kind, step, season):
    frequency, times = found(times)
    assert (frequency.kind, frequency.step, frequency.season) == (kind, step, season)
    ticks = frequency.ticks(times)
    np.testing.assert_array_equal(np.diff(ticks), 1)
    np.testing.assert_array_equal(frequency.times(ticks), times)


def test_gaps_do_not_change_the_step():
    kept = np.random.default_rng(1).random(len(DAYS)) < 0.6
    frequency, times = found(DAYS[kept])
    assert frequency == Frequency("fixed", 86_400_000_000)
    np.testing.assert_array_equal(frequency.times(frequency.ticks(times)), times)


@each_case(
    ("name", "expected"),
    [("h", ("fixed", 36e8)), ("15min", ("fixed", 9e8)), ("MS", ("month", 1)),
     ("2QS", ("month", 6)), ("B", ("business", 1)), ("W-SUN", ("fixed", 7 * 864e8)),
     (np.timedelta64(2, "D"), ("fixed", 2 * 864e8)), (np.timedelta64(2, "M"), ("month", 2)),
     (np.timedelta64(1, "Y"), ("month", 12)), (dt.timedelta(hours=6), ("fixed", 216e8))],
)  # fmt: skip
def test_a_step_may_be_named(name, expected):
    frequency, _ = found(np.array(["2024-01-01"], "M8[D]"), name)
    assert (frequency.kind, frequency.step) == expected


def test_a_step_may_be_an_offset_of_pandas():
    pandas = pytest.importorskip("pandas")
    for name in ("D", "h", "W-SUN", "MS", "QS-OCT", "B"):
        times = pandas.date_range("2024-01-01", periods=9, freq=name)
        by_name, by_offset = (found(times, each)[0] for each in (name, times.freq))
        assert by_name == by_offset


NOTHING = np.timedelta64("NaT", "D")


@pytest.mark.parametrize(
    "name", ["fortnight", "0h", "2B", 3, "", np.timedelta64(-1, "D"), np.timedelta64(2), NOTHING]
)
def test_other_names_are_refused(name):
    with pytest.raises(ValueError, match="`freq` must be"):
        found(DAYS, name)


def test_times_off_the_grid_are_named():
    frequency, _ = found(DAYS[::2])
    with pytest.raises(ValueError, match="2020-01-02"):
        frequency.ticks(DAYS[:2].astype("M8[us]"))
    monthly, _ = found(MONTHS.astype("M8[D]"))
    with pytest.raises(ValueError, match="1 months apart; 2024-01-17"):
        monthly.ticks(np.array(["2024-01-17"], "M8[us]"))
    with pytest.raises(ValueError, match="no common step"):
        found(np.cumsum([0, *[86_400_000_000] * 30, 7]).astype("M8[us]"))


def test_places_in_the_calendar_turn_once():
    frequency, times = found(np.arange("2024-01-01T00", "2024-01-15T00", dtype="M8[h]"))
    ticks = frequency.ticks(times)
    made = calendar(("hour", "weekday"), frequency, 24, ticks)
    at = np.arange(len(ticks))
    np.testing.assert_allclose(made[:, 0], np.sin(2 * np.pi * at / 24), atol=1e-9)
    np.testing.assert_allclose(made[:, 3], np.cos(2 * np.pi * (at // 24) / 7), atol=1e-9)
    numbers = calendar(("season",), Frequency("number"), 5, np.arange(6))
    np.testing.assert_allclose(numbers[:, 0], np.sin(2 * np.pi * np.arange(6) / 5), atol=1e-9)


def test_a_year_counts_only_when_two_were_seen():
    daily = Frequency("fixed", 86_400_000_000)
    assert chosen_kinds("auto", daily, 7, 800) == ("weekday", "yearday")
    assert chosen_kinds("auto", daily, 7, 300) == ("weekday",)
    assert chosen_kinds("auto", Frequency("number"), 6, 100) == ("season",)
    assert chosen_kinds(("hour",), daily, 7, 3) == ("hour",)
    with pytest.raises(
        ValueError, match=r"\['season'\] for times that are integers, .* \['hour'\]"
    ):
        chosen_kinds(("hour",), Frequency("number"), 6, 100)
