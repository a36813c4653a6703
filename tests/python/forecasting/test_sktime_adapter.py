"""`SktimeForecaster` passes sktime's checks, and forecasts as the forecaster behind it."""

import os

import numpy as np
import pytest

if "FERRNN_DEEP" not in os.environ:
    pytest.skip("`make deep` runs it", allow_module_level=True)

from ferrnn.forecasting import RecurrentForecaster

pytest.importorskip(
    "sktime", reason="sktime, of the extra sktime, is not part of `dev`: it is heavy"
)
pandas = pytest.importorskip("pandas")
checks = pytest.importorskip("sktime.utils.estimator_checks")
datasets = pytest.importorskip("sktime.datasets")

from ferrnn.forecasting import SktimeForecaster  # noqa: E402 - needs sktime

pytestmark = pytest.mark.filterwarnings("ignore:No windows are held out")
QUICK = {"context": 12, "units": 4, "epochs": 2}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore")
def test_sktimes_checks_pass():
    results = checks.check_estimator(SktimeForecaster, raise_exceptions=False, verbose=False)
    assert len(results) > 500
    assert {name: each for name, each in results.items() if each != "PASSED"} == {}


def panel(random, lengths):
    parts = {
        (f"shop {number}",): pandas.DataFrame(
            {"y": random.normal(10 * number, 1, length)},
            index=pandas.date_range("2024-01-01", periods=length),
        )
        for number, length in enumerate(lengths)
    }
    return pandas.concat(parts)


def test_it_forecasts_as_the_forecaster_behind_it():
    y = datasets.load_airline()
    made = SktimeForecaster(**QUICK, options={"transform": "log"}).fit(y, fh=[1, 3, 6])
    plain = RecurrentForecaster(6, transform="log", **QUICK)
    plain.fit({"ds": y.index.to_timestamp().to_numpy(), "y": y.to_numpy()})
    expected = plain.predict(level=80)
    np.testing.assert_array_equal(made.predict(), expected["forecast"][[0, 2, 5]])
    interval = made.predict_interval(coverage=0.8).to_numpy()
    ends = np.stack([expected["forecast-lo-80"], expected["forecast-hi-80"]], axis=1)
    np.testing.assert_allclose(interval, ends[[0, 2, 5]])
    later = y[-1:].set_axis(y.index[-1:] + 1)
    made.update(later, update_params=False)
    assert made.predict().index[0] == y.index[-1] + 2


def test_it_keeps_no_copy_of_the_data_but_for_who_wants_one():
    y = datasets.load_airline()
    made = SktimeForecaster(**QUICK).fit(y[:-1], fh=[1]).update(y[-1:])
    assert made._y is None
    kept = SktimeForecaster(**QUICK).set_config(remember_data=True)
    assert kept.fit(y, fh=[1])._y.index.equals(y.index)


def test_a_panel_is_one_model_and_series_that_ended_go_on_from_the_cutoff():
    y = panel(np.random.default_rng(1), (40, 33, 40))
    made = SktimeForecaster(**QUICK).fit(y, fh=[1, 2])
    assert len(made.forecaster_.fitted.panel.ids) == 3
    forecast = made.predict()
    assert set(forecast.index.get_level_values(-1)) == set(
        pandas.date_range("2024-02-10", periods=2)
    )
    centers = forecast["y"].to_numpy().reshape(3, 2).mean(axis=1)
    np.testing.assert_allclose(centers, [0, 10, 20], atol=4)


def test_exogenous_values_reach_the_forecast():
    random = np.random.default_rng(2)
    x = pandas.DataFrame({"price": random.normal(size=120)})
    y = pandas.Series(5 * x["price"] + random.normal(0, 0.1, 120))
    made = SktimeForecaster(context=4, units=4, epochs=30).fit(y, X=x, fh=[1, 3])
    ahead = pandas.DataFrame({"price": [-1.0, 1.0]}, index=[120, 122])
    low, high = made.predict(X=ahead)
    assert high - low > 2
    with pytest.raises(ValueError, match="`X` must be given"):
        made.predict()


def test_after_pretraining_a_series_is_forecast_without_training():
    random = np.random.default_rng(3)
    made = SktimeForecaster(**QUICK)
    made.pretrain(panel(random, (40, 50, 45)), fh=[1, 2, 3])
    before = made.pretrained_forecaster_.fitted.networks[0].get_weights()
    y = panel(random, (30,)).droplevel(0)
    made.fit(y, fh=[1, 3])
    for one, other in zip(before, made.forecaster_.fitted.networks[0].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert made.predict().shape == (2, 1)
    made.pretrain(panel(random, (40, 44)))
    after = made.pretrained_forecaster_.fitted.networks[0].get_weights()
    assert any((one != other).any() for one, other in zip(before, after, strict=True))
    with pytest.raises(ValueError, match="within the 3 steps of `pretrain`"):
        made.fit(y, fh=[4])


def test_steps_that_fit_was_not_told_of_are_refused():
    made = SktimeForecaster(**QUICK).fit(datasets.load_airline(), fh=[1, 2])
    with pytest.raises((NotImplementedError, ValueError), match="fh"):
        made.predict(fh=[5])


def test_times_with_a_zone_stay_in_it_across_a_change_of_the_clock():
    random = np.random.default_rng(7)
    plain = pandas.date_range("2024-03-01", periods=60).delete([5, 9, 33])
    values = random.normal(size=(len(plain), 2))
    made = {}
    for zone in (None, "Europe/Berlin"):
        index = plain.tz_localize(zone)
        y, known = pandas.Series(values[:, 0], index), pandas.DataFrame(values[:, 1:], index)
        forecaster = SktimeForecaster(**QUICK).fit(y[:28], X=known[:28], fh=[1, 2])
        forecaster.update(y[28:50], X=known[28:50])
        made[zone] = forecaster.predict(X=known[50:52])
        assert made[zone].index.equals(index[50:52])
    np.testing.assert_array_equal(made[None], made["Europe/Berlin"])
