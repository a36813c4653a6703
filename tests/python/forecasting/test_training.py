"""What networks are trained on, and that those of an ensemble are what each alone is."""

import numpy as np
import pytest

from ferrnn._src.forecasting import training
from ferrnn._src.forecasting.fitting import prepared
from ferrnn._src.forecasting.training import WindowBatches, WindowsAt
from ferrnn.forecasting import RecurrentForecaster
from forecasting.series import QUICK, long_table, weekly


@pytest.fixture
def windows():
    forecaster = RecurrentForecaster(3, **QUICK)
    begun = prepared(np.arange(90.0) ** 2, None, forecaster.settings)
    rows = begun.rows(begun.panel.extended(3))
    return WindowsAt(rows, np.arange(20, 60), begun.shape)


def seen(batches):
    """The first inputs of all windows of a pass, in order."""
    return np.concatenate([x[0] for x, _, _ in batches])[:, :, 0]


def test_an_epoch_has_all_windows_in_another_order(windows):
    batches = WindowBatches(windows, 16, 100, 5)
    assert len(batches) == 3
    first = seen(batches)
    gathered = batches.samples
    batches.on_epoch_end()
    second = seen(batches)
    assert batches.samples is gathered
    assert not np.array_equal(first, second)
    whole = windows.all.x[0][:, :, 0]
    for epoch in (first, second):
        np.testing.assert_array_equal(np.sort(epoch, axis=0), np.sort(whole, axis=0))
    np.testing.assert_array_equal(seen(WindowBatches(windows, 16, 100, None)), whole)


def test_an_epoch_of_a_part_has_others_each_time(windows):
    batches = WindowBatches(windows, 4, 6, 5)
    whole = {row.tobytes() for row in windows.all.x[0][:, :, 0]}
    epochs = []
    for _ in range(2):
        rows = [row.tobytes() for row in seen(batches)]
        assert len(set(rows)) == 6
        assert whole.issuperset(rows)
        epochs.append(rows)
        batches.on_epoch_end()
    assert epochs[0] != epochs[1]


def test_windows_of_an_epoch_are_as_many_as_memory_is_for(windows, monkeypatch):
    monkeypatch.setattr(training, "_MOST_BYTES", 10 * windows.bytes_each + 1)
    assert WindowBatches(windows, 4, 100, 5).samples.count == 10
    assert WindowBatches(windows, 16, 100, 5).samples.count == 16  # one batch at least


def test_windows_are_gathered_in_parts(windows, monkeypatch):
    whole = windows.all
    monkeypatch.setattr(training, "CHUNK", 7)
    again = WindowsAt(windows.rows, windows.origins, windows.shape).all
    for one, other in zip((*whole.x, whole.y), (*again.x, again.y), strict=True):
        np.testing.assert_array_equal(one, other)


def test_networks_of_an_ensemble_are_what_each_alone_is():
    table = long_table(np.random.default_rng(4))
    settings = {**QUICK, "future_covariates": ["price"], "static_covariates": ["kind"]}
    several = RecurrentForecaster(3, ensemble=3, random_state=7, **settings).fit(table)
    one = RecurrentForecaster(3, random_state=7, **settings).fit(table)
    networks = several.fitted.networks
    alone = one.fitted.networks[0].get_weights()
    for own, theirs in zip(networks[0].get_weights(), alone, strict=True):
        np.testing.assert_array_equal(own, theirs)
    assert not np.array_equal(*(each.get_weights()[0] for each in networks[1:]))


def test_a_second_fit_learns_the_same_anew():
    y = weekly(np.random.default_rng(5), 80)
    forecaster = RecurrentForecaster(3, ensemble=2, **QUICK).fit(y)
    before = [each.get_weights() for each in forecaster.fitted.networks]
    assert len(before) == 2
    forecaster.fit(y)
    for own, theirs in zip(before, forecaster.fitted.networks, strict=True):
        for one, other in zip(own, theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("most", [64, 16384])
def test_epochs_in_one_call_are_those_without_plans_however_little_time_there_is(most, monkeypatch):
    """An epoch may have a part of the windows, and the last networks know no validation."""

    def forecast():
        made = RecurrentForecaster(3, **{**QUICK, "epochs": 7}, max_windows=most)
        return made.fit(weekly(np.random.default_rng(0), 300)).predict()["forecast"]

    expected = forecast()
    monkeypatch.setattr("ferrnn._src.training.work.LIMIT", 0.0)
    np.testing.assert_array_equal(forecast(), expected)
    monkeypatch.setenv("FERRNN_PLAN", "0")
    np.testing.assert_array_equal(forecast(), expected)
