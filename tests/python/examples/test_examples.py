"""The examples run, say what they promise and draw their pictures."""

import importlib.util
import os
import re
import runpy
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"
DEEP = "FERRNN_DEEP" in os.environ


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def beside_the_examples(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    before = set(sys.modules)
    yield
    for name in (
        "pictures",
        "seattle_forecast",
        "keras_rnn_tour",
        "delayed_system",
        "stock_prices",
    ):
        if name not in before:
            sys.modules.pop(name, None)


def picture_of(output, directory):
    """Width and height of the PNG file that the output names."""
    path = Path(re.search(r"^Picture: (.*)$", output, re.MULTILINE).group(1))
    assert path.parent == directory
    header = path.read_bytes()[:24]
    assert header[1:4] == b"PNG"
    return struct.unpack(">II", header[16:24])


class TestSeattleForecast:
    @pytest.mark.parametrize(("seed", "epochs"), [(1, 60), (2, 60), (3, 60)] if DEEP else [(1, 8)])
    def test_beats_tomorrow_is_today(self, seed, epochs, tmp_path, capsys):
        options = ["--seed", str(seed), "--epochs", str(epochs)]
        errors = load("seattle_forecast").main(["--out", str(tmp_path), *options])
        output = capsys.readouterr().out
        assert errors["model"] < 0.96 * errors["tomorrow = today"]
        assert errors["tomorrow = today"] == pytest.approx(2.907, abs=0.001)
        assert errors["tomorrow = today"] < errors["day-of-year mean"]
        for words in ("steps per second", "tomorrow = today", "day-of-year mean", "below"):
            assert words in output
        assert output.count("2015-12-") == 8  # the week that is shown
        covered = [int(each) for each in re.findall(r"(\d+)% were in their", output)]
        assert 74 <= covered[0] <= 88
        assert 90 <= covered[1] <= 99
        assert picture_of(output, tmp_path) > (800, 500)

    def test_sees_nothing_of_the_future(self):
        module = load("seattle_forecast")
        weather = module.keras.datasets.load_seattle_weather()
        changed = weather.values.copy()
        changed[weather.dates >= module.VALIDATION] += 7.0
        other = module.keras.datasets.DailyWeather(**{**vars(weather), "values": changed})
        (windows, unit), (same, same_unit) = map(module.make_windows, (weather, other))
        assert unit == same_unit
        past = windows.between(weather.dates[0], module.VALIDATION)
        same_past = same.between(weather.dates[0], module.VALIDATION)
        np.testing.assert_array_equal(past.x, same_past.x)
        np.testing.assert_array_equal(past.y, same_past.y)
        days = {str(date): at for at, date in enumerate(weather.dates)}
        for at in (0, 100, len(windows.dates) - 1):
            day = days[str(windows.dates[at])]
            assert windows.tomorrow[at] == weather["temp_max"][day]
            assert windows.today[at] == weather["temp_max"][day - 1]
            before = weather["temp_max"][day - module.DAYS : day]
            np.testing.assert_allclose(np.diff(windows.x[at, :, 0]) > 0, np.diff(before) > 0)


def test_keras_rnn_tour_has_the_shapes_of_keras(capsys):
    results = load("keras_rnn_tour").main([])
    shapes = {title: [np.shape(part) for part in parts] for title, parts in results.items()}
    assert shapes == {
        "LSTM": [(1, 1, 4), (1, 4), (1, 4)],
        "LSTM cells, stacked": [(2, 3, 7), (2, 2, 4), (2, 2, 7)],
        "GRU": [(1, 1, 4), (1, 4)],
        "GRU cells, stacked": [(2, 3, 7), (1, 2, 4), (1, 2, 7)],
        "SimpleRNN": [(1, 1, 4), (1, 4)],
        "SimpleRNN cells, stacked": [(2, 3, 7), (1, 2, 4), (1, 2, 7)],
    }
    output = capsys.readouterr().out
    assert "states before the call: [array([[0., 0., 0., 0.]]" in output
    assert "final_carry_state: shape (1, 4)" in output
    np.testing.assert_array_equal(results["LSTM"][0][:, -1], results["LSTM"][1])


def test_delayed_system_is_learnt(tmp_path, capsys):
    score = load("delayed_system").main(["--out", str(tmp_path), "--epochs", "15"])
    assert score > 0.99
    assert picture_of(capsys.readouterr().out, tmp_path) > (800, 500)


def test_stock_prices_says_who_won(tmp_path, capsys):
    pytest.importorskip("vega_datasets", reason="the extra `examples` is not installed")
    errors = load("stock_prices").main(["--out", str(tmp_path), "--epochs", "25" if DEEP else "8"])
    output = capsys.readouterr().out
    assert errors["same as last month"] == pytest.approx(11.12, abs=0.01)
    assert errors["model"] < 1.1 * errors["same as last month"]
    won = errors["model"] < errors["same as last month"]
    assert ("beats the last price" if won else "LOSES against the last price") in output
    assert "What it cannot do" in output
    covered = int(re.search(r"(\d+)% of the prices were in their 80 % interval", output).group(1))
    assert 65 <= covered <= 95
    assert picture_of(output, tmp_path) > (800, 500)


@pytest.mark.parametrize(
    ("example", "missing", "extra"),
    [
        ("seattle_forecast", "matplotlib", "ferrnn[plot]"),
        ("stock_prices", "vega_datasets", "ferrnn[examples]"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(example, missing, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setattr(sys, "argv", [example])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(EXAMPLES / f"{example}.py"), run_name="__main__")
    assert extra in ended.value.code  # a text: Python prints it alone, and the status is 1
