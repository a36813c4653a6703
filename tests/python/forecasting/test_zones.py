"""Times with a zone: hours are instants, days are those of its clock, forecasts come back in it."""

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from each_case import each_case
from ferrnn._src.forecasting.frequency import KINDS, calendar
from ferrnn._src.forecasting.zones import aware, of_aware, to_instants, to_local, zone_name
from ferrnn.forecasting import RecurrentForecaster
from forecasting.series import QUICK, rows_of, weekly

BERLIN = "Europe/Berlin"
MIDNIGHT_LEFT_OUT = "America/Santiago"  # on 2022-09-11
ZONES = [BERLIN, MIDNIGHT_LEFT_OUT, "Australia/Lord_Howe", "Asia/Kathmandu", "-03:30", "UTC"]


def hours(first, count):
    """Instants an hour apart, from one in UTC."""
    return np.datetime64(first, "us") + np.arange(count) * np.timedelta64(1, "h")


def dates(first, last, kind="D"):
    """Local times at midnight: days, weeks, working days, months."""
    days = np.arange(first, last, dtype="M8[D]")
    of_month = days.astype("M8[M]").astype("M8[D]")
    working, firsts = days[np.is_busday(days)], days[days == of_month]
    return {"D": days, "W": days[::7], "B": working, "MS": firsts}[kind].astype("M8[us]")


def in_zone(times, zone=BERLIN):
    """Local times as objects in the zone."""
    return aware(to_instants(times, zone), zone)


def shown(times):
    """What the clock shows at objects of datetime."""
    return np.array([each.replace(tzinfo=None) for each in times], "M8[us]")


def told(times):
    return [f"{each:%d %H%z}" for each in times]


def forecaster(horizon=3, **settings):
    return RecurrentForecaster(horizon, **(QUICK | settings))


@pytest.mark.parametrize("zone", ZONES)
def test_a_clock_shows_what_zoneinfo_says(zone):
    instants = hours("2022-01-01T00:15", 24 * 800)
    local = to_local(instants, zone)
    known = dt.timezone(-dt.timedelta(hours=3, minutes=30)) if zone == "-03:30" else ZoneInfo(zone)
    utc = dt.timezone.utc
    expected = [each.replace(tzinfo=utc).astimezone(known) for each in instants.tolist()]
    np.testing.assert_array_equal(local, shown(expected))
    assert aware(instants, zone).tolist() == expected
    back, name = of_aware(aware(instants, zone), "ds")
    np.testing.assert_array_equal(back, instants)
    assert name == zone
    late = to_instants(local, zone) != instants  # those in an hour that comes twice
    assert late.sum() <= 3
    np.testing.assert_array_equal(local[late], to_local(to_instants(local, zone), zone)[late])


@each_case(
    ("first", "expected"),
    [
        ("2024-03-30T23:00", ["31 00+0100", "31 01+0100", "31 03+0200", "31 04+0200"]),
        ("2024-10-26T23:00", ["27 01+0200", "27 02+0200", "27 02+0100", "27 03+0100"]),
    ],
    ids=["23 hours", "25 hours"],
)
def test_hours_go_on_by_instants_over_a_change_of_the_clock(first, expected):
    instants = np.datetime64(first, "us") + np.arange(-200, 90) * np.timedelta64(1, "h")
    y = np.sin(np.arange(290) / 4)
    before = rows_of({"ds": aware(instants, BERLIN), "y": y}, slice(200))
    assert told(forecaster(4, context=24).fit(before).predict()["ds"]) == expected
    plain = forecaster(4, context=24, calendar=()).fit({"ds": instants, "y": y})
    zoned = forecaster(4, context=24, calendar=()).fit({"ds": aware(instants, BERLIN), "y": y})
    assert len(zoned.fitted.panel.y) == len(plain.fitted.panel.y)
    np.testing.assert_array_equal(zoned.predict()["forecast"], plain.predict()["forecast"])


@each_case(
    ("first", "last", "kind"),
    [
        ("2024-02-20", "2024-04-20", "D"),
        ("2024-09-20", "2024-11-20", "D"),
        ("2023-09-20", "2025-04-20", "W"),
        ("2024-02-20", "2024-04-30", "B"),
        ("2020-01-01", "2024-11-01", "MS"),
    ],
)
@pytest.mark.parametrize("named", [False, True])
def test_days_and_longer_are_those_of_the_clock(first, last, kind, named):
    local = dates(first, last, kind)
    y = weekly(np.random.default_rng(3), len(local))
    freq = kind if named else None
    plain = forecaster(freq=freq).fit({"ds": local, "y": y}).predict(level=80)
    for zone in (BERLIN, MIDNIGHT_LEFT_OUT):
        zoned = forecaster(freq=freq).fit({"ds": in_zone(local, zone), "y": y}).predict(level=80)
        np.testing.assert_array_equal(shown(zoned["ds"]), plain["ds"])
        assert {each.tzinfo.key for each in zoned["ds"]} == {zone}
        for name in ("forecast", "forecast-lo-80", "forecast-hi-80"):
            np.testing.assert_array_equal(zoned[name], plain[name])


def test_a_midnight_that_the_clock_leaves_out_is_no_gap():
    local = dates("2022-08-01", "2022-10-01")
    times = in_zone(local, MIDNIGHT_LEFT_OUT)
    assert told(times[40:42]) == ["10 00-0400", "11 01-0300"]
    y = weekly(np.random.default_rng(4), len(local))
    begun = [forecaster().fit({"ds": each[:40], "y": y[:40]}) for each in (times, local)]
    assert told(begun[0].predict()["ds"]) == ["10 00-0400", "11 01-0300", "12 00-0300"]
    later = [{"ds": each[40:], "y": y[40:]} for each in (times, local)]
    made, plain = (one.update(rows).predict() for one, rows in zip(begun, later, strict=True))
    np.testing.assert_array_equal(made["forecast"], plain["forecast"])
    np.testing.assert_array_equal(shown(made["ds"]), plain["ds"])
    whole = forecaster().fit({"ds": times, "y": y}).predict()
    np.testing.assert_array_equal(
        whole["forecast"], forecaster().fit({"ds": local, "y": y}).predict()["forecast"]
    )


def test_days_of_another_clock_are_a_day_apart_as_instants():
    instants = dates("2024-02-20", "2024-04-20")  # midnight in UTC
    y = weekly(np.random.default_rng(5), len(instants))
    made = forecaster().fit({"ds": aware(instants, BERLIN), "y": y}).predict()
    plain = forecaster().fit({"ds": instants, "y": y}).predict()
    assert told(made["ds"])[0] == "20 02+0200"
    np.testing.assert_array_equal(made["forecast"], plain["forecast"])


def test_a_time_off_the_grid_is_told_in_its_zone():
    data = daily(BERLIN)
    made = forecaster().fit(rows_of(data, slice(50)))
    off = {"ds": data["ds"][50:] + dt.timedelta(hours=1), "y": data["y"][50:]}
    with pytest.raises(ValueError, match=r"2024-04-08 01:00:00\+02:00 is off that grid"):
        made.update(off)


def test_the_calendar_is_that_of_the_clock():
    instants = hours("2024-03-25T10:00", 400)
    y = np.sin(np.arange(400) / 4)
    fitted = forecaster(context=24, calendar=KINDS[:4]).fit({"ds": aware(instants, BERLIN), "y": y})
    frequency, local = fitted.fitted.frequency, to_local(instants, BERLIN)
    made = calendar(KINDS[:4], frequency, 24, frequency.ticks(instants))
    days = local.astype("M8[D]")
    hour = (local - days).astype("m8[h]").astype(int)
    np.testing.assert_allclose(made[:, 0], np.sin(2 * np.pi * hour / 24), atol=1e-9)
    weekday = np.array([each.weekday() for each in local.tolist()])
    np.testing.assert_allclose(made[:, 2], np.sin(2 * np.pi * weekday / 7), atol=1e-9)


def daily(zone, count=80):
    """A daily series with a covariate over both changes of the clock: 2024-03-31 is the 43rd."""
    random = np.random.default_rng(6)
    local = dates("2024-02-18", "2024-12-31")[:count]
    price = random.normal(size=count)
    y = weekly(random, count) + price
    return {"ds": local if zone is None else in_zone(local, zone), "y": y, "price": price}


def test_updates_covariates_backtests_and_files_are_those_without_a_zone(tmp_path):
    results = []
    for zone in (None, BERLIN):
        data = daily(zone)
        made = forecaster(3, future_covariates=["price"]).fit(rows_of(data, slice(40)))
        made.save(tmp_path / "made.safetensors")
        made = RecurrentForecaster.load(tmp_path / "made.safetensors")
        future = {name: data[name][40:43] for name in ("ds", "price")}
        first = made.predict(level=80, future=future)
        made.update(rows_of(data, slice(40, 50)))
        second = made.predict(future={name: data[name][50:53] for name in ("ds", "price")})
        tested = made.backtest(data, windows=9, step=1, level=80)
        results.append((first, second, tested))
    (first, second, plain), (first_zoned, second_zoned, zoned) = results
    for one, other in ((first, first_zoned), (second, second_zoned)):
        np.testing.assert_array_equal(shown(other["ds"]), one["ds"])
        np.testing.assert_array_equal(other["forecast"], one["forecast"])
    for name in ("ds", "cutoff"):
        np.testing.assert_array_equal(shown(zoned.forecasts[name]), plain.forecasts[name])
    for name in ("y", "forecast", "forecast-lo-80", "step"):
        np.testing.assert_array_equal(zoned.forecasts[name], plain.forecasts[name])
    with pytest.raises(ValueError, match=r"lacks them at 2024-04-09 00:00:00\+02:00"):
        made.predict(future={name: data[name][50:51] for name in ("ds", "price")})


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_a_frame_comes_back_in_its_zone(library):
    frames = pytest.importorskip(library)
    narwhals = pytest.importorskip("narwhals")
    data = daily(BERLIN)
    made = forecaster().fit(data)
    expected = made.predict()
    frame = made.predict().to_frame(library)
    dtype = narwhals.from_native(frame)["ds"].dtype
    assert (dtype.time_zone, dtype.time_unit) == (BERLIN, "us")
    columns = {"ds": data["ds"].tolist(), "y": data["y"]}
    if library == "pandas":
        given = frames.DataFrame(columns)
        wide = frames.DataFrame({"a": data["y"]}, index=frames.DatetimeIndex(data["ds"]))
        assert told(forecaster().fit(wide).predict()["ds"]) == told(expected["ds"])
        assert told(forecaster().fit(wide["a"]).predict()["ds"]) == told(expected["ds"])
    elif library == "polars":
        kind = frames.Datetime("us", BERLIN)
        given = frames.DataFrame(columns).with_columns(frames.col("ds").cast(kind))
    else:
        kind = frames.timestamp("ns", BERLIN)
        given = frames.table({"ds": frames.array(data["ds"].tolist(), kind), "y": data["y"]})
    again = forecaster().fit(given)
    result = narwhals.from_native(again.predict())
    assert type(again.predict()) is type(given)
    assert result["ds"].dtype == dtype
    assert result["ds"].to_list() == expected["ds"].tolist()
    np.testing.assert_array_equal(result["forecast"].to_numpy(), expected["forecast"])
    apart = forecaster().fit({"ds": given["ds"], "y": given["y"]}).predict()
    assert apart["ds"].tolist() == expected["ds"].tolist()
    begun = narwhals.from_native(given).with_columns(narwhals.col("ds").shift(1))
    with pytest.raises(
        ValueError, match="'ds' must have a time in every row, received a missing one"
    ):
        forecaster().fit(begun.to_native())


def test_a_picture_has_the_hours_of_the_zone():
    pytest.importorskip("matplotlib")
    instants = hours("2024-07-01T10:00", 100)
    made = forecaster(context=24).fit({"ds": aware(instants, BERLIN), "y": np.arange(100.0)})
    axes = made.plot(history=12).axes[0]
    assert axes.xaxis.get_major_formatter()._tz == ZoneInfo(BERLIN)
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), instants[-12:])
    np.testing.assert_array_equal(axes.lines[1].get_xdata(), hours(instants[-1], 4)[1:])


@each_case(
    ("fitted", "given", "error", "match"),
    [
        (None, BERLIN, TypeError, "without a zone, as in `fit`, received .* zone Europe/Berlin"),
        (BERLIN, None, TypeError, "zone Europe/Berlin, as in `fit`, received times without a zone"),
        (BERLIN, "UTC", ValueError, "zone Europe/Berlin, as in `fit`, received .* the zone UTC"),
    ],
)
def test_another_zone_than_in_fit_is_refused(fitted, given, error, match):
    made = forecaster(future_covariates=["price"]).fit(rows_of(daily(fitted), slice(50)))
    later = rows_of(daily(given), slice(50, 53))
    with pytest.raises(error, match=f"'ds' of `data` must hold times .*{match}"):
        made.update(later)
    del later["y"]
    with pytest.raises(error, match=f"'ds' of `future` must hold times .*{match}"):
        made.predict(future=later)


FIRST, SECOND = dt.datetime(2024, 1, 1, tzinfo=ZoneInfo(BERLIN)), np.datetime64("2024-01-02")


@each_case(
    ("times", "error", "match"),
    [
        (["2024-01-01T00:00+01:00", SECOND], TypeError, "received '2024-01-01T00"),
        ([FIRST, FIRST.astimezone(dt.timezone.utc)], ValueError, "zones Europe/Berlin, UTC"),
        ([FIRST, SECOND.astype(dt.datetime)], ValueError, "zones Europe/Berlin, none"),
        ([FIRST, None], ValueError, "received a missing one"),
    ],
    ids=["texts", "zones", "some", "missing"],
)
def test_times_of_several_zones_are_refused(times, error, match):
    with pytest.raises(error, match=match):
        forecaster(1).fit({"ds": times, "y": [1.0, 2.0]})


@pytest.mark.parametrize("name", ["Mars/Base", "../UTC", "Europe", "", "+99:00"])
def test_a_zone_that_is_none_is_named(name):
    with pytest.raises(ValueError, match=f"received '{name}'".replace("+", r"\+")):
        zone_name(name)


def test_a_zone_has_one_name():
    fixed = dt.timezone(dt.timedelta(hours=2))
    assert {*map(zone_name, (fixed, "UTC+02:00", "+0200"))} == {"+02:00"}
    assert {*map(zone_name, (dt.timezone.utc, "UTC", "-00:00", ZoneInfo("UTC")))} == {"UTC"}
    assert zone_name(ZoneInfo(BERLIN)) == BERLIN


def test_zones_of_dateutil_are_those_of_their_files():
    tz = pytest.importorskip("dateutil.tz")
    local = dates("2024-03-01", "2024-05-01")
    plain = forecaster().fit({"ds": in_zone(local), "y": np.arange(61.0)}).predict()["ds"].tolist()
    times = [each.replace(tzinfo=tz.gettz(BERLIN)) for each in local.tolist()]
    assert forecaster().fit({"ds": times, "y": np.arange(61.0)}).predict()["ds"].tolist() == plain
    assert zone_name(tz.UTC) == "UTC"
