"""The example of several inputs and outputs learns both answers, and comes back from its file."""

import runpy
from pathlib import Path

import numpy as np
import pytest

import ferrnn as keras

EXAMPLE = Path(__file__).parents[3] / "examples" / "multi_input.py"


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(EXAMPLE))


def test_both_heads_beat_their_baselines(example, tmp_path, capsys):
    pytest.importorskip("h5py")
    found = example["main"](["--out", str(tmp_path), "--epochs", "10"])
    assert found["error"] < 0.96 * found["error, like today"]
    assert found["rain"] > found["rain, like today"] > found["rain, always the same"]
    assert found["auc"] > 0.75
    drawing = (tmp_path / "multi_input.svg").read_text(encoding="utf-8")
    for name in ("history", "sky", "season", "warmth", "rain"):
        assert name in drawing
    kept = keras.models.load_model(tmp_path / "multi_input.keras")
    assert sorted(kept.output_names) == ["rain", "warmth"]
    assert "rain_auc" in capsys.readouterr().out


def test_what_tomorrow_brings_is_not_among_the_inputs(example):
    days, words, unit = example["read"]()
    weather = keras.datasets.load_seattle_weather()
    at = 100
    day = int(np.searchsorted(weather.dates, days.dates[at]))
    assert words[days.inputs["sky"][at, 0]] == weather.conditions[day - 1]
    change = weather["temp_max"][day] - weather["temp_max"][day - 1]
    assert days.targets["warmth"][at, 0] * unit == pytest.approx(change, rel=1e-5)
    assert days.targets["rain"][at, 0] == (weather["precipitation"][day] > 0)
    highest = days.inputs["history"][at, :, 0]
    before = weather["temp_max"][day - example["WINDOW"] : day]
    assert np.corrcoef(highest, before)[0, 1] == pytest.approx(1, abs=1e-5)
    assert np.all(np.diff(days.weights["warmth"]) > 0)
