"""`RecurrentForecaster`: what it learns, says, takes later, and keeps in a file."""

import numpy as np
import pytest

from each_case import each_case
from ferrnn.forecasting import Forecast, RecurrentForecaster
from forecasting.series import QUICK, days, long_table, rows_of, weekly

COVARIATES = {
    "past_covariates": ["rain"],
    "future_covariates": ["price"],
    "static_covariates": ["kind"],
}


def ahead_of(table, steps, value=0.0):
    """A table of prices for the steps after each series."""
    parts = []
    for each in np.unique(table["unique_id"]):
        last = table["ds"][table["unique_id"] == each].max()
        parts.append((np.full(steps, each), last + 1 + np.arange(steps)))
    ids, times = (np.concatenate(part) for part in zip(*parts, strict=True))
    return {"unique_id": ids, "ds": times, "price": np.full(len(ids), value)}


@pytest.fixture(scope="module")
def season():
    """A forecaster that had the time to learn a season of seven days."""
    y = weekly(np.random.default_rng(1), 300)
    forecaster = RecurrentForecaster(7, units=8, epochs=12, learning_rate=1e-2, dropout=0.0)
    return forecaster.fit({"ds": days(300), "y": y}), y


def test_a_season_with_noise_is_learned_to_its_noise(season):
    forecaster, _ = season
    made = forecaster.predict()
    at = 300 + np.arange(7)
    clean = 20 + 0.01 * at + 3 * np.sin(2 * np.pi * at / 7)
    assert np.abs(made["forecast"] - clean).mean() < 0.5
    np.testing.assert_array_equal(made["ds"].astype("M8[D]"), days(307)[-7:])


def test_intervals_contain_each_other_and_the_median(season):
    made = season[0].predict(level=[50, 80, 95])
    for wide, narrow in (("95", "80"), ("80", "50")):
        assert (made[f"forecast-lo-{wide}"] <= made[f"forecast-lo-{narrow}"]).all()
        assert (made[f"forecast-hi-{wide}"] >= made[f"forecast-hi-{narrow}"]).all()
    assert (made["forecast-lo-50"] <= made["forecast"]).all()
    assert (made["forecast-hi-50"] >= made["forecast"]).all()


def test_quantiles_are_the_ends_of_intervals(season):
    made = season[0].predict(level=80, quantiles=[0.1, 0.5, 0.9])
    np.testing.assert_allclose(made["forecast-q-0.1"], made["forecast-lo-80"])
    np.testing.assert_allclose(made["forecast-q-0.9"], made["forecast-hi-80"])
    np.testing.assert_array_equal(made["forecast-q-0.5"], made["forecast"])


def test_fewer_steps_are_the_first_of_all(season):
    forecaster, _ = season
    whole, few = forecaster.predict(level=90), forecaster.predict(3, level=90)
    for name in whole:
        np.testing.assert_array_equal(whole[name][:3], few[name])


def test_an_update_is_as_if_the_rows_had_been_known(season):
    forecaster, y = season
    short, long = forecaster.clone(epochs=2), forecaster.clone(epochs=2)
    short.fit({"ds": days(280), "y": y[:280]})
    long.fit({"ds": days(280), "y": y[:280]})
    weights = [each.copy() for each in short.fitted.networks[0].get_weights()]
    for end in range(280, 300):
        short.update({"ds": days(300)[end : end + 1], "y": y[end : end + 1]})
    long.update({"ds": days(300)[280:], "y": y[280:]})
    for one, other in zip(weights, short.fitted.networks[0].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    one, other = short.predict(level=[80, 95]), long.predict(level=[80, 95])
    np.testing.assert_array_equal(one["forecast"], other["forecast"])
    np.testing.assert_allclose(
        short.fitted.calibration.truth, long.fitted.calibration.truth, rtol=1e-6
    )
    assert one["ds"][0].astype("M8[D]") == days(301)[-1]


def test_an_update_follows_hits_and_misses(season):
    forecaster, y = season
    calm, wild = forecaster.clone(epochs=2), forecaster.clone(epochs=2)
    random = np.random.default_rng(2)
    for each, noise in ((calm, 0.0), (wild, 9.0)):
        each.fit({"ds": days(260), "y": y[:260]})
        before = each.fitted.calibration.missed[-1]
        rows = y[260:] + random.normal(0, noise, 40)
        after = each.update({"ds": days(300)[260:], "y": rows}).fitted.calibration.missed[-1]
        assert not np.array_equal(before, after)
        if noise:
            assert (after <= before).all()


def test_covariates_of_all_kinds_matter():
    random = np.random.default_rng(3)
    table = long_table(random, (150, 140))
    forecaster = RecurrentForecaster(3, **{**QUICK, "epochs": 8}, **COVARIATES)
    forecaster.fit(table)
    low, high = (forecaster.predict(future=ahead_of(table, 3, v))["forecast"] for v in (-2, 2))
    assert ((high - low) > 2).all()  # the price is added to the target
    weights = {each.shape for each in forecaster.fitted.networks[0].get_weights()}
    assert (2 + 1 + 1 + 2 + 2, 12) in weights  # value, mark, rain, price, weekday, two kinds


def test_statics_may_be_a_table_of_their_own():
    random = np.random.default_rng(4)
    table = long_table(random)
    static = {"unique_id": ["s2", "s0", "s1"], "kind": ["a", "a", "b"]}
    options = {"static_covariates": ["kind"], **QUICK}
    one = RecurrentForecaster(3, **options).fit(table)
    del table["kind"]
    other = RecurrentForecaster(3, **options).fit(table, static=static)
    np.testing.assert_array_equal(one.predict()["forecast"], other.predict()["forecast"])


def test_steps_one_after_the_other_go_on_from_their_median():
    y = weekly(np.random.default_rng(5), 200)
    forecaster = RecurrentForecaster(6, strategy="recursive", **QUICK).fit(y)
    made = forecaster.predict(level=80)
    fed = RecurrentForecaster(6, strategy="recursive", **QUICK).fit(y)
    for step in range(6):
        first = fed.predict(1)["forecast"]
        np.testing.assert_allclose(first, made["forecast"][step], rtol=1e-5)
        fed.update({"ds": [200 + step], "y": first})
    assert (made["forecast-hi-80"] > made["forecast-lo-80"]).all()


def test_many_series_are_one_call_and_each_is_as_alone():
    table = long_table(np.random.default_rng(6), (60, 75, 90, 55))
    forecaster = RecurrentForecaster(4, **QUICK).fit(table)
    whole = forecaster.predict(level=80)
    assert whole.by_series("forecast").shape == (4, 4)
    for number, each in enumerate(["s0", "s1", "s2", "s3"]):
        alone = forecaster.predict(level=80, ids=[each])
        for name in whole:
            np.testing.assert_array_equal(whole.by_series(name)[number], alone[name])


def test_a_series_that_comes_later_is_forecast_too():
    random = np.random.default_rng(7)
    forecaster = RecurrentForecaster(3, **QUICK).fit(long_table(random))
    forecaster.update({"unique_id": ["new"] * 30, "ds": days(30), "y": 1e3 + weekly(random, 30)})
    made = forecaster.predict(ids="new")
    assert (np.abs(made["forecast"] - 1020) < 30).all()
    assert len(forecaster.predict()["ds"]) == 12


def test_missing_rows_and_values_are_the_same():
    random = np.random.default_rng(8)
    y = weekly(random, 120)
    holes = random.random(120) < 0.15
    holes[[0, -1]] = False
    values = {"ds": days(120), "y": np.where(holes, np.nan, y)}
    one = RecurrentForecaster(4, freq="D", **QUICK).fit(values).predict(level=80)
    other = RecurrentForecaster(4, freq="D", **QUICK).fit(rows_of(values, ~holes)).predict(level=80)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_the_same_seed_gives_the_same_bits_and_another_one_others():
    y = weekly(np.random.default_rng(9), 90)
    options = {**QUICK, "dropout": 0.2}
    one, same, other = (
        RecurrentForecaster(3, random_state=seed, **options).fit(y).predict(level=90)
        for seed in (1, 1, 2)
    )
    for name in one:
        np.testing.assert_array_equal(one[name], same[name])
    assert (one["forecast"] != other["forecast"]).any()


def test_an_ensemble_is_the_mean_of_its_networks():
    y = weekly(np.random.default_rng(10), 90)
    forecaster = RecurrentForecaster(3, ensemble=3, **QUICK).fit(y)
    fitted, parts = forecaster.fitted, []
    for network in fitted.networks:
        forecaster._fitted = type(fitted)(**{**vars(fitted), "networks": (network,)})
        parts.append(forecaster.predict()["forecast"])
    forecaster._fitted = fitted
    np.testing.assert_allclose(forecaster.predict()["forecast"], np.mean(parts, axis=0))


def test_a_transform_keeps_forecasts_in_its_domain():
    random = np.random.default_rng(11)
    y = np.exp(weekly(random, 120) / 8) * 0.01
    made = RecurrentForecaster(5, transform="log", **QUICK).fit(y).predict(level=99)
    assert (made["forecast-lo-99"] > 0).all()


@pytest.mark.parametrize(("cell", "layers"), [("lstm", 2), ("simple_rnn", 1)])
def test_other_cells_and_depths_train(cell, layers):
    y = weekly(np.random.default_rng(12), 80)
    made = RecurrentForecaster(3, cell=cell, layers=layers, **QUICK).fit(y).predict()
    assert isinstance(made, Forecast)
    assert np.isfinite(made["forecast"]).all()


def test_a_constant_series_is_forecast_as_it_is():
    made = RecurrentForecaster(3, **QUICK).fit(np.full(60, 7.0)).predict(level=80)
    np.testing.assert_allclose(made["forecast"], 7.0, rtol=0.2)


def test_without_held_out_windows_it_says_so():
    y = weekly(np.random.default_rng(13), 40)
    with pytest.warns(UserWarning, match="No windows are held out"):
        made = RecurrentForecaster(3, held_out=0, **QUICK).fit(y).predict(level=80)
    assert (made["forecast-hi-80"] > made["forecast-lo-80"]).all()


@each_case(
    ("options", "match"),
    [
        ({"refit": "x"}, "`refit` must be True or False, received 'x'"),
        (
            {"held_out": "x"},
            "`held_out` must be at least 0 and below 1, received 'x'",
        ),
        ({"learning_rate": "x"}, "`learning_rate` must be a positive number, received 'x'"),
        ({"learning_rate": np.inf}, "`learning_rate` must be a positive number, received inf"),
        ({"random_state": "x"}, "`random_state` must be an integer of at least 0, received 'x'"),
        ({"time_column": None}, "`time_column` must be the name of a column, received None"),
        ({"verbose": "x"}, "`verbose` must be 'auto', 0, 1 or 2, received 'x'"),
        ({"levels": 0.9}, "`levels` must be percents of at least 1 and below 100"),
        ({"calendar": "day"}, "`calendar` must be 'auto' or a list of some of"),
        ({"horizon": 0}, "`horizon` must be a positive integer"),
        ({"cell": "rnn"}, "`cell` must be one of"),
        ({"scaling": "best"}, "`scaling` must be one of"),
        ({"held_out": 1.0}, "`held_out` must be at least 0"),
        ({"levels": [90, 100]}, "`levels` must be percents of at least 1 and below 100"),
        ({"calendar": ["minute"]}, "`calendar` must be"),
        ({"strategy": "recursive", "past_covariates": ["a"]}, "not known ahead"),
        ({"learning_rate": 0}, "`learning_rate` must be a positive number"),
        ({"future_covariates": ["y"]}, "`future_covariates` .* 'y', which is in `target_column`"),
        (
            {"static_covariates": ["a"], "past_covariates": ["a"]},
            "'a', which is in `past_covariates`",
        ),
        ({"past_covariates": ["a", "a"]}, "`past_covariates` must name .* received 'a'"),
        ({"target_column": "ds"}, "`target_column` must name .* 'ds', which is in `time_column`"),
    ],
)
def test_wrong_arguments_are_named(options, match):
    with pytest.raises((TypeError, ValueError), match=match):
        RecurrentForecaster(**options)


def test_columns_are_lists():
    with pytest.raises(TypeError, match="`past_covariates` must be a list"):
        RecurrentForecaster(past_covariates="rain")


def test_calls_that_cannot_be_answered_say_why():
    forecaster = RecurrentForecaster(3, **QUICK)
    with pytest.raises(RuntimeError, match="must be fitted first"):
        forecaster.predict()
    with pytest.raises(ValueError, match=r"no window .* at least 5 rows .* has 3 rows there"):
        forecaster.fit(np.arange(3.0))
    with pytest.raises(ValueError, match=r"at least 10 rows .* has 6 rows there, .* 6 known"):
        forecaster.fit({"ds": days(9), "y": np.arange(9.0)})
    with pytest.raises(ValueError, match="no window to train on"):
        RecurrentForecaster(2**40).fit(np.arange(60.0))  # takes no memory for the steps ahead
    forecaster.fit(weekly(np.random.default_rng(14), 60))
    with pytest.raises(ValueError, match="from 1 to the forecaster's `horizon`, 3"):
        forecaster.predict(4)
    with pytest.raises(
        ValueError, match=r"`level` must be percents of at least 1 and below 100.*received 0.9"
    ):
        forecaster.predict(level=0.9)
    with pytest.raises(TypeError, match=r"`level` must be percents, such as .* received \['80'\]"):
        forecaster.predict(level=["80"])
    with pytest.raises(ValueError, match="`quantiles` must be between 0 and 1, received 2"):
        forecaster.predict(quantiles=2)
    with pytest.raises(TypeError, match=r"`quantiles` must be probabilities.*received 'x'"):
        forecaster.predict(quantiles="x")
    with pytest.raises(ValueError, match="`ids` must be those"):
        forecaster.predict(ids=[5])
    with pytest.raises(ValueError, match="`ids` must name at least one series"):
        forecaster.predict(ids=[])
    with pytest.raises(ValueError, match="no `static_covariates`"):
        forecaster.fit(np.arange(60.0), static={"unique_id": [0], "size": [1]})
    with pytest.raises(ValueError, match="no `future_covariates`"):
        forecaster.predict(future={"ds": [60]})
    with pytest.raises(TypeError, match="the ids of series"):
        forecaster.update({"unique_id": ["a"], "ds": [60], "y": [1.0]})
    with pytest.raises(TypeError, match="'ds' of `data` must hold integers, as in `fit`"):
        forecaster.update({"ds": days(1), "y": [1.0]})


def test_static_covariates_must_be_there_for_each_series():
    table = long_table(np.random.default_rng(15))
    ids = np.unique(table["unique_id"])
    forecaster = RecurrentForecaster(3, static_covariates=["size"], **QUICK)
    static = {"unique_id": ids, "size": np.arange(len(ids))}
    with pytest.raises(TypeError, match="`static` must be a frame or a mapping of columns"):
        forecaster.fit(table, static=3)
    with pytest.raises(
        ValueError, match=r"a row with \['size'\] for each series, received none for 's0'"
    ):
        forecaster.fit(table, static={**static, "unique_id": np.arange(len(ids))})
    with pytest.raises(ValueError, match="`static` must have the column 'unique_id'"):
        forecaster.fit(table, static={"size": static["size"]})
    forecaster.fit(table, static=static)
    later = {"unique_id": ["new"], "ds": table["ds"][-1:], "y": [1.0]}
    with pytest.raises(ValueError, match="received none for 'new'"):
        forecaster.update(later)
    with pytest.raises(ValueError, match="received none for 'new'"):
        forecaster.update(later, static=static)
    forecaster.update(later, static={"unique_id": ["new"], "size": [2]})


def test_future_covariates_must_be_there_for_all_steps():
    table = long_table(np.random.default_rng(15))
    forecaster = RecurrentForecaster(3, future_covariates=["price"], **QUICK).fit(table)
    with pytest.raises(ValueError, match="`future` must be a table"):
        forecaster.predict()
    ahead = ahead_of(table, 3)
    with pytest.raises(ValueError, match=r"the series 's1' lacks them at 2023-03-28"):
        forecaster.predict(future=rows_of(ahead, np.arange(9) != 5))
    with pytest.raises(ValueError, match="must name columns of the table, received 'price'"):
        forecaster.predict(future={"unique_id": ahead["unique_id"], "ds": ahead["ds"]})
    with pytest.raises(ValueError, match="must name columns of the table, received 'sun'"):
        RecurrentForecaster(3, past_covariates=["sun"], **QUICK).fit(table)
