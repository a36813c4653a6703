"""The picture of the README: what it reads, and that no case is left out."""

import importlib
import sys
from pathlib import Path

import pytest

BENCHES = Path(__file__).resolve().parents[3] / "benches" / "python"
if not BENCHES.exists():
    pytest.skip("not a checkout", allow_module_level=True)
pytest.importorskip("matplotlib", reason="matplotlib, of the extra plot, draws")


@pytest.fixture
def benches(monkeypatch, tmp_path):
    """The scripts, with a folder of records of the test's own."""
    monkeypatch.syspath_prepend(str(BENCHES))
    names = ("cases", "floor", "table", "users_models", "users_code", "chart")
    for name in names:  # a module of the tests may have the same name; undone at the end
        monkeypatch.setitem(sys.modules, name, None)
        del sys.modules[name]
    modules = {name: importlib.import_module(name) for name in names}
    for name in ("table", "chart"):
        monkeypatch.setattr(modules[name], "RECORD", tmp_path)
    return modules


def write(benches, *lines):
    """A record of `peers.py`: (mode, cell, batch, threads, seconds by name)."""
    machine = benches["floor"].Machine(100.0, ((1 << 15, 200.0), (1 << 62, 20.0)))
    made = [
        benches["table"].Line(
            benches["cases"].Job(mode, cell, batch, 10, 8, 16),
            threads,
            {name: [value, value * 1.1] for name, value in seconds.items()},
        )
        for mode, cell, batch, threads, seconds in lines
    ]
    versions = {"ferrnn": "0.1.0 (avx2)", "numpy": "2.4", "jax": "0.10", "predict": "0.1.0"}
    return benches["table"].record(made, list(versions), machine, versions, ["a note"])


LINES = [
    ("call", "lstm", 1, 1, {"ferrnn": 1e-3, "numpy": 5e-3, "jax": 2e-3, "predict": 1e-4}),
    ("call", "lstm", 8, 2, {"ferrnn": 1e-3, "numpy": 5e-3, "jax": 8e-4}),
    ("train", "simple_rnn", 1, 1, {"ferrnn": 1e-3, "numpy": 3e-3}),
]


def test_json_and_markdown_say_the_same(benches):
    path = write(benches, *LINES)
    chart = benches["chart"]
    from_markdown, from_json = chart.read(path), chart.read(path.with_suffix(".json"))
    assert from_markdown == from_json
    assert [(case.ratio, case.peer) for case in from_json.cases] == [
        (2.0, "jax"),
        (0.8, "jax"),
        (3.0, "numpy"),
    ]


def test_every_case_is_drawn_and_those_behind_are_named(benches, monkeypatch, capsys, tmp_path):
    write(benches, *LINES)
    picture = tmp_path / "picture.svg"
    monkeypatch.setattr("sys.argv", ["chart.py", "--to", str(picture)])
    benches["chart"].main()
    told = capsys.readouterr().out
    assert (
        "ahead in 2 of 3 cases; behind in:\n- inference, LSTM (8,10,8,16), 2 thr: 0.80 jax" in told
    )
    drawn = picture.read_text()
    assert "inference, LSTM" in drawn
    assert "training step, SimpleRNN" in drawn
    assert drawn.count(benches["chart"].BEHIND) >= 2  # the shade, and the dot
    benches["chart"].main()
    assert picture.read_text() == drawn


def test_users_code_has_rows_of_their_own(benches, monkeypatch, capsys, tmp_path):
    users, chart = benches["users_code"], benches["chart"]
    figures = [["1.00 / 1.10", "2.00 / 2.20", "2.00"], ["0.50 / 0.50", "0.40 / 0.45", "0.90"]]
    lines = [f"| {' | '.join(['lstm', *figures[0], *figures[1], '5', '900'])} |"]
    lines.append("| built-in | 1.00 / 1.00 |  |  | 0.50 / 0.50 |  |  | 2 |  |")
    monkeypatch.setattr(users, "compare", lambda options: iter(lines))
    monkeypatch.setattr("sys.argv", ["users_code.py", "--record"])
    users.main(users.arguments())
    (path,) = tmp_path.glob("*-users-code.md")
    found = [(case.mode, case.sizes, case.ratio) for case in chart.read(path).cases]
    assert found == [("fit", "lstm", 2.0), ("predict", "lstm", 0.9)]
    write(benches, *LINES)
    picture = tmp_path / "picture.svg"
    monkeypatch.setattr("sys.argv", ["chart.py", "--to", str(picture)])
    chart.main()
    told = capsys.readouterr().out
    assert "inference, code in keras.ops (lstm), 1 thr: 0.90 Keras on JAX" in told
    assert "training, code in keras.ops" in picture.read_text()


def test_a_later_record_replaces_equal_cases(benches):
    chart = benches["chart"]
    first = chart.read(write(benches, *LINES).with_suffix(".json"))
    mode, cell, batch, threads, _ = LINES[1]
    second = chart.read(write(benches, (mode, cell, batch, threads, {"ferrnn": 1e-3, "jax": 4e-3})))
    both = chart.together([first, second])
    assert [case.ratio for case in both.cases] == [2.0, 4.0, 3.0]
    assert "ahead in all 3 cases" in chart.told(both)


@pytest.mark.parametrize("lines", [[], [("call", "gru", 1, 1, {"ferrnn": 1e-3})]])
def test_a_record_without_peers_is_refused(benches, monkeypatch, capsys, lines):
    if lines:
        write(benches, *lines)
    monkeypatch.setattr("sys.argv", ["chart.py"])
    with pytest.raises(SystemExit):
        benches["chart"].main()
    assert "no case with a peer in" in capsys.readouterr().err
