"""The example of windows and callbacks forecasts without looking ahead, and keeps its best."""

import csv
import runpy
from pathlib import Path

import numpy as np
import pytest

import ferrnn as keras

EXAMPLE = Path(__file__).parents[3] / "examples" / "weather_windows.py"


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(EXAMPLE))


def test_the_model_read_back_beats_both_naive_forecasts(example, tmp_path, capsys):
    pytest.importorskip("h5py")
    errors = example["main"](["--out", str(tmp_path), "--epochs", "12"])
    assert errors["model"] < 0.94 * errors["like the day of the year"]
    assert errors["like the day of the year"] < errors["like today"]
    with (tmp_path / "weather_windows.csv").open(newline="") as file:
        epochs = list(csv.DictReader(file))
    losses = [float(row["val_loss"]) for row in epochs]
    rates = [float(row["learning_rate"]) for row in epochs]
    assert sorted(rates, reverse=True) == rates
    kept = keras.models.load_model(tmp_path / "weather_windows.keras")
    series = example["read"]()
    windows = example["dataset"](series, series.validation - example["WINDOW"], series.test)
    assert kept.evaluate(windows, verbose=0) == pytest.approx(min(losses), rel=1e-5)
    assert "the better naive one" in capsys.readouterr().out


def test_windows_end_the_day_before_what_they_forecast(example):
    series = example["read"]()
    window, ahead = example["WINDOW"], example["AHEAD"]
    for start, end in ((0, series.validation), (series.test - window, len(series.dates))):
        batches = list(example["dataset"](series, start, end))
        inputs, targets = (np.concatenate(parts) for parts in zip(*batches, strict=True))
        assert len(inputs) == end - start - window - ahead + 1
        for at in (0, len(inputs) - 1):
            first = start + at
            np.testing.assert_array_equal(inputs[at], series.features[first : first + window])
            to_come = series.quantities[first + window : first + window + ahead]
            np.testing.assert_array_equal(targets[at], to_come)
    naive = example["naive"](series)["like today"]
    np.testing.assert_array_equal(naive[:, 0], inputs[:, -1, :3])
