"""The progress bar on a terminal and elsewhere."""

import io
import re
import sys

import numpy as np
import pytest

import ferrnn as keras
from ferrnn._src.training import progress
from ferrnn.utils import Progbar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only when a test says so."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])

    def advance(seconds):
        now[0] += seconds

    return advance


def screen(output):
    """What is left to see of each line, without colours."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", output)
    return [line.split("\r")[-1].rstrip() for line in plain.split("\n")]


def test_a_terminal_sees_a_bar(monkeypatch, clock):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    bar = Progbar(4)
    for step in range(1, 5):
        clock(0.5)
        bar.update(step, [("loss", 1.0 / step)], finalize=False)
        if step == 2:
            assert screen(terminal.getvalue()) == [
                "2/4 ━━━━━━━━━━━━━━━━━━━━ 1s 500ms/step - loss: 0.7500"
            ]
            assert "\x1b[32m" + "━" * 10 + "\x1b[0m" in terminal.getvalue()
    bar.update(4, [("loss", 0.25), ("val_loss", 0.0005)], finalize=True)
    assert screen(terminal.getvalue()) == [
        "4/4 ━━━━━━━━━━━━━━━━━━━━ 2s 500ms/step - loss: 0.2500 - val_loss: 5.0000e-04",
        "",
    ]


def test_a_bar_is_drawn_now_and_then_only(monkeypatch, clock):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    bar = Progbar(1000)
    for step in range(1, 1000):
        clock(0.001)
        bar.update(step)
    assert terminal.getvalue().count("\r") == 20


def test_a_shorter_line_covers_a_longer_one(monkeypatch, clock):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    bar = Progbar(200, stateful_metrics=["loss"])
    clock(90.0)
    bar.update(1, [("loss", 1e-9)])
    clock(1.0)
    bar.update(2, [("loss", 1.0)])
    first, second = terminal.getvalue().split("\r")[1:]
    assert len(second) == len(first)


def test_long_waits_and_unknown_lengths(monkeypatch, clock):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    bar = Progbar(100)
    clock(50.0)
    bar.update(1)
    assert "1/100" in screen(terminal.getvalue())[-1]
    assert "1:22:30 50s/step" in screen(terminal.getvalue())[-1]
    unknown = Progbar(None)
    clock(1.0)
    unknown.update(3)
    assert screen(terminal.getvalue())[-1] == "      3/Unknown 1s 333ms/step"


def test_elsewhere_lines_as_often_as_a_bar_would_be_drawn(capsys, clock):
    bar = Progbar(4, interval=0.5, stateful_metrics=["mae"])
    for step in range(1, 5):
        clock(0.3)
        bar.update(step, [("loss", float(step)), ("mae", float(step))])
    assert capsys.readouterr().out.splitlines() == [
        "1/4 - 0s - 300ms/step - loss: 1.0000 - mae: 1.0000",
        "3/4 - 1s - 300ms/step - loss: 2.0000 - mae: 3.0000",
        "4/4 - 1s - 300ms/step - loss: 4.0000 - mae: 4.0000",
    ]


def test_one_line_at_the_end_where_that_is_asked_for(capsys, clock):
    bar = Progbar(3, verbose=2)
    for step in range(1, 4):
        clock(0.002)
        bar.update(step, [("loss", 0.5)])
    output = capsys.readouterr().out
    assert output == "3/3 - 0s - 2ms/step - loss: 0.5000\n"


@pytest.mark.parametrize("steps", [None, 3])
def test_fit_writes_one_line_an_epoch_to_a_log(capsys, steps):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", loss="mse")
    batches = [(np.ones((4, 2)), np.ones(4))] * 3
    data = batches if steps is None else (batch for batch in batches * 2)
    given = iter(data) if steps is None else data
    model.fit(given, epochs=1 if steps is None else 2, steps_per_epoch=steps, verbose=1)
    lines = [line for line in capsys.readouterr().out.splitlines() if "step - " in line]
    assert [line.split(" - ")[0] for line in lines] == ["3/3"] * (1 if steps is None else 2)


def test_silence(capsys):
    Progbar(1, verbose=0).update(1, [("loss", 0.5)])
    assert capsys.readouterr().out == ""


def test_values_are_averaged_over_steps_unless_stateful(capsys):
    bar = Progbar(None, verbose=2, stateful_metrics=["mae"])
    bar.update(2, [("loss", 1.0), ("mae", 1.0)])
    bar.add(2, [("loss", 3.0), ("mae", 3.0)])
    assert bar._shown() == " - loss: 2.0000 - mae: 3.0000"


def test_an_output_without_unicode_is_written_to(monkeypatch):
    raw = io.BytesIO()
    ascii_terminal = io.TextIOWrapper(raw, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", ascii_terminal)
    progress.write("━━ 1/2\n")
    assert raw.getvalue() == b"== 1/2\n"
    monkeypatch.undo()


def test_without_a_standard_output_nothing_is_written(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    bar = Progbar(2)
    bar.update(1, [("loss", 1.0)])
    bar.update(2, [("loss", 1.0)])
    progress.write("unheard")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", loss="mse")
    model.summary()
    assert model.fit(np.ones((4, 2)), np.ones(4)).epoch == [0]


def test_which_values_are_averaged(capsys):
    for options, expected in (
        ({}, " - a: 1.5000 - b: 1.5000"),
        ({"stateful_metrics": ["a"]}, " - a: 2.0000 - b: 1.5000"),
        ({"stateless_metrics": ["a"]}, " - a: 1.5000 - b: 2.0000"),
    ):
        bar = Progbar(4, verbose=2, **options)
        for step in (1, 2):
            bar.update(step, [("a", float(step)), ("b", float(step))])
        assert bar._shown() == expected
    with pytest.raises(ValueError, match="Only one of"):
        Progbar(4, stateful_metrics=[], stateless_metrics=[])


def test_the_logger_is_told_where_logging_is_not_interactive(capsys, caplog):
    keras.config.disable_interactive_logging()
    try:
        assert not keras.utils.is_interactive_logging_enabled()
        with caplog.at_level("INFO", logger="ferrnn"):
            bar = Progbar(2, verbose=2)
            bar.update(2, [("loss", 0.25)])
    finally:
        keras.config.enable_interactive_logging()
    assert capsys.readouterr().out == ""
    (record,) = caplog.records
    assert record.getMessage().startswith("2/2 - ")
