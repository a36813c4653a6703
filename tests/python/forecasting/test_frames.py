"""What series may come as, and what comes back."""

import numpy as np
import pytest

from each_case import each_case
from ferrnn._src.forecasting.frames import Names, table_of
from ferrnn.forecasting import RecurrentForecaster
from forecasting.series import QUICK, days, long_table, weekly

NAMES = Names()


def rows_by_id(table):
    order = np.lexsort((table.times, table.ids))
    return table.ids[order].astype(str), table.times[order], table.columns["y"][order]


def same_rows(one, other):
    for a, b in zip(rows_by_id(one), rows_by_id(other), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_are_the_same_rows_as_mappings(library):
    frames = pytest.importorskip(library)
    pytest.importorskip("narwhals")
    table = long_table(np.random.default_rng(1))
    mixed = np.random.default_rng(2).permutation(len(table["y"]))
    shuffled = {name: each[mixed] for name, each in table.items()}
    shuffled["y"][:3] = np.nan
    frame = frames.DataFrame(
        {n: e.tolist() if e.dtype.kind == "U" else e for n, e in shuffled.items()}
    )
    made = table_of(frame, NAMES)
    same_rows(made, table_of(shuffled, NAMES))
    assert made.backend == library


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_forecast_is_a_frame_of_the_same_library(library):
    frames = pytest.importorskip(library)
    pytest.importorskip("narwhals")
    table = long_table(np.random.default_rng(3))
    frame = frames.DataFrame(
        {n: e.tolist() if e.dtype.kind == "U" else e for n, e in table.items()}
    )
    plain = RecurrentForecaster(3, **QUICK).fit(table).predict(level=[80])
    made = RecurrentForecaster(3, **QUICK).fit(frame).predict(level=[80])
    assert isinstance(made, frames.DataFrame)
    assert list(made.columns) == list(plain)
    for name in ("forecast", "forecast-hi-80", "ds"):
        np.testing.assert_array_equal(np.asarray(made[name]), plain[name])
    assert made["unique_id"].to_list() == plain["unique_id"].tolist()


def test_a_wide_frame_with_an_index_of_dates_is_a_series_a_column():
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("narwhals")
    random = np.random.default_rng(4)
    wide = pandas.DataFrame(
        {"a": weekly(random, 50), "b": weekly(random, 50)},
        index=pandas.date_range("2023-01-01", periods=50),
    )
    wide.iloc[:5, 1] = np.nan
    made = table_of(wide, NAMES)
    ids, times, y = rows_by_id(made)
    assert (ids == "a").sum() == 50
    assert (ids == "b").sum() == 45  # a series begins where it is known
    np.testing.assert_array_equal(times[:50].astype("M8[D]"), days(50))
    np.testing.assert_array_equal(y[50:], wide["b"][5:])
    forecast = RecurrentForecaster(2, **QUICK).fit(wide).predict()
    assert forecast["unique_id"].tolist() == ["a", "a", "b", "b"]


def test_a_series_of_pandas_is_one_series():
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("narwhals")
    index = pandas.date_range("2023-01-31", periods=40, freq="ME")
    series = pandas.Series(np.arange(40.0), index=index, name="passengers")
    made = RecurrentForecaster(3, units=4, epochs=1).fit(series).predict()
    assert made["ds"].tolist() == list(pandas.date_range("2026-05-31", periods=3, freq="ME"))


def test_an_index_of_pandas_may_hold_names_and_times():
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("narwhals")
    frame = pandas.DataFrame(long_table(np.random.default_rng(9)))
    plain = table_of(frame, NAMES)
    for levels in (["ds"], ["unique_id"], ["unique_id", "ds"]):
        same_rows(table_of(frame.set_index(levels), NAMES), plain)
    numbered = frame.assign(ds=np.arange(len(frame))).set_index("ds")
    np.testing.assert_array_equal(table_of(numbered, NAMES).times, np.arange(len(frame)))
    wide = pandas.DataFrame({"a": [1.0, 2.0]}, pandas.period_range("2024-02", periods=2, freq="M"))
    long = pandas.DataFrame({"ds": wide.index, "y": wide["a"].to_numpy()})
    for given in (wide, long):
        months = table_of(given, NAMES).times.astype("M8[D]").astype(str)
        assert months.tolist() == ["2024-02-01", "2024-03-01"]


def test_arrays_are_columns_and_lists_may_be_unequal():
    random = np.random.default_rng(5)
    y = random.normal(size=(30, 2))
    made = table_of(y, NAMES)
    _, times, values = rows_by_id(made)
    np.testing.assert_array_equal(values, y.T.reshape(-1))
    np.testing.assert_array_equal(times, np.tile(np.arange(30), 2))
    same_rows(table_of([y[:, 0].tolist(), y[:, 1]], NAMES), made)
    same_rows(table_of({"0": y[:, 0], "1": y[:, 1]}, NAMES), made)
    uneven = table_of({"x": y[:7, 0], "z": y[:9, 1]}, NAMES)
    assert [int((uneven.ids == each).sum()) for each in "xz"] == [7, 9]


def test_rows_in_any_order_are_the_same_forecast():
    table = long_table(np.random.default_rng(6))
    mixed = np.random.default_rng(7).permutation(len(table["y"]))
    one = RecurrentForecaster(3, **QUICK).fit(table).predict(level=80)
    other = RecurrentForecaster(3, **QUICK).fit({n: e[mixed] for n, e in table.items()})
    for name, each in other.predict(level=80).items():
        np.testing.assert_array_equal(one[name], each)


@each_case(
    ("data", "error", "match"),
    [
        ("text", TypeError, "`data` must be a frame"),
        (object(), TypeError, "`data` must be a frame"),
        (np.zeros((2, 3, 4)), TypeError, r"\[time\] or \[time, series\]"),
        (np.zeros(0), ValueError, "must have rows"),
        ({"ds": [1, 2], "y": ["a", "b"]}, TypeError, "column 'y' must hold numbers, received 'a'"),
        ({"ds": [1, 2], "y": ["1", "2"]}, TypeError, "column 'y' must hold numbers, received '1'"),
        (
            {"ds": [1, 2], "y": np.array([1, "2"], object)},
            TypeError,
            "column 'y' must hold numbers, received 1",
        ),
        ({"ds": [1, 2], "y": [1j, 2.0]}, TypeError, "must hold numbers, received complex128"),
        ({"ds": [1, 2], "y": days(2)}, TypeError, r"must hold numbers, received datetime64\[D\]"),
        ({"ds": [1, 2], "y": [[1.0], [2.0]]}, TypeError, r"'y' must have one .* shape \(2, 1\)"),
        ({"ds": [1, 2], "y": [[1.0], [2.0, 3.0]]}, TypeError, "'y' must have one .* received list"),
        ({"ds": 1, "y": 2.0}, TypeError, r"'ds' must have one value for each row, .* \(\)"),
        ({"unique_id": [(1, 2)] * 2, "y": [1.0, 2.0]}, TypeError, "'unique_id' must have one"),
        ([[1.0, [2.0]], [1.0]], TypeError, r"a list of series, must hold rows of numbers \[time\]"),
        ([1.0, [2.0]], TypeError, r"a list of series, must hold rows of numbers \[time\]"),
        ({"ds": [1, 2], "y": [1.0, np.inf]}, ValueError, "finite numbers or NaN"),
        ({"ds": [1, 2, 3], "y": [1.0, 2.0]}, ValueError, "equally long"),
        ({"ds": ["a", "b"], "y": [1.0, 2.0]}, TypeError, "column 'ds' must hold dates"),
        ({"ds": [1.5, 2.5], "y": [1.0, 2.0]}, TypeError, "column 'ds' must hold dates"),
        ({"ds": np.array(["NaT", "2020-01-01"], "M8[D]"), "y": [1.0, 2.0]}, ValueError, "missing"),
        ({"unique_id": [None, "a"], "y": [1.0, 2.0]}, ValueError, "received none in row 0"),
        (
            {"unique_id": ["a"] * 9, "ds": days(9), "sales": np.arange(9.0)},
            ValueError,
            r"column 'y'.* received the columns \['unique_id', 'ds', 'sales'\]",
        ),
    ],
)
def test_what_is_no_table_is_named(data, error, match):
    with pytest.raises(error, match=match):
        table_of(data, NAMES).numbers(["y"], "`target_column`")


@each_case(
    ("times", "match"),
    [
        (np.append(days(59), np.datetime64("2093-01-01")), "'a' spans 25,569 steps, .* 60"),
        (np.append(np.arange(59), 2**62), "'a' spans 4,611,686,018,427,387,904 steps"),
        (np.append(np.datetime64("2024-01-01", "s") + np.arange(59), days(1, "1970-01-01")), "'a'"),
    ],
)
def test_a_time_far_off_is_named_before_memory_is_taken(times, match):
    data = {"unique_id": ["a"] * 60, "ds": times, "y": np.arange(60.0)}
    with pytest.raises(ValueError, match=f"`ds` of {match}"):
        RecurrentForecaster(2, **QUICK).fit(data)


def test_an_update_far_off_is_named_before_memory_is_taken():
    seconds = np.datetime64("2024-01-01", "s") + np.arange(60)
    made = RecurrentForecaster(2, **QUICK).fit({"ds": seconds, "y": np.arange(60.0)})
    with pytest.raises(ValueError, match="`ds` of 0 spans 31,622,401 steps"):
        made.update({"ds": [np.datetime64("2025-01-01", "s")], "y": [1.0]})


def test_a_time_that_comes_twice_is_named():
    data = {"unique_id": ["a"] * 30, "ds": np.r_[0:29, 3], "y": np.arange(30.0)}
    with pytest.raises(ValueError, match=r"'a' has a time twice \(row 29\)"):
        RecurrentForecaster(2, **QUICK).fit(data)
