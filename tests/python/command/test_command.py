"""The command line: what it prints, what it refuses."""

import json
import subprocess
import sys

import pytest

import ferrnn
from ferrnn._src.command import bench
from ferrnn._src.command.arguments import main
from ferrnn._src.command.floor import Case, Limits, floor

SHORT = ["--seconds", "0.01"]


@pytest.fixture(autouse=True)
def keep_threads():
    before = ferrnn.num_threads()
    yield
    assert ferrnn.num_threads() == before


def test_config_prints_what_show_config_prints(capsys):
    ferrnn.show_config()
    expected = capsys.readouterr().out
    assert main(["config"]) == 0
    assert capsys.readouterr().out == expected


def test_config_as_json(capsys):
    assert main(["config", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == ferrnn.show_config(mode="dicts")


@pytest.mark.parametrize(("cell", "numbers"), [("lstm", [2, 1]), ("gru", [1]), ("simple_rnn", [1])])
def test_bench_as_json_has_every_case_at_every_number_of_threads(capsys, cell, numbers):
    threads = map(str, numbers)
    assert main(["bench", "--json", "--cell", cell, "--threads", *threads, *SHORT]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["config"] == ferrnn.show_config(mode="dicts") | {
        "Threads": found["config"]["Threads"]
    }
    assert [own["threads"] for own in found["limits"]] == numbers
    assert all(min(own["reads"].values()) > 1e8 for own in found["limits"])
    rows = found["rows"]
    names = ["streaming", "one sequence", "small batch", "large batch", "training"]
    assert [(row["name"], row["threads"]) for row in rows] == [
        (name, number) for name in names for number in numbers
    ]
    for row in rows:
        assert row["cell"] == cell
        assert row["seconds"] > 0
        assert row["times_floor"] == pytest.approx(row["seconds"] / row["floor"])
        assert row["per_second"] == pytest.approx(row["batch"] / row["seconds"])
        assert row["unit"] == ("steps" if row["time"] == 1 else "sequences")


def test_bench_prints_a_table(capsys):
    assert main(["bench", "--threads", "1", *SHORT]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert ferrnn.simd_level() in lines[0]
    assert lines[1].startswith("1 thread: ")
    titles = ["case", "batch,time,in,units", "threads", "time", "floor", "x floor", "per second"]
    assert lines[3].split() == " ".join(titles).split()
    assert [line[:12].strip() for line in lines[4:9]] == [case.name for case in bench.cases("lstm")]
    assert all(line.endswith(("steps", "sequences")) for line in lines[4:9])
    assert lines[9] == ""


def test_the_threads_are_set_back_when_a_case_fails(monkeypatch):
    def broken(case):
        raise RuntimeError("as the test wants")

    monkeypatch.setattr(bench, "prepare", broken)
    _, rows = bench.run("lstm", [1], 0.1)
    with pytest.raises(RuntimeError, match="as the test wants"):
        next(rows)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "the following arguments are required: bench | config | info"),
        (["train"], "invalid choice: 'train'"),
        (["bench", "--threads", "0"], "--threads: expected a number from 1 to 1024, received '0'"),
        (["bench", "--threads", "two"], "--threads: expected a number from 1 to 1024, received"),
        (["bench", "--threads"], "--threads: expected at least one argument"),
        (["bench", "--seconds", "-1"], "--seconds: expected a positive number, received '-1'"),
        (["bench", "--seconds", "inf"], "--seconds: expected a positive number, received 'inf'"),
        (["bench", "--seconds", "x"], "--seconds: expected a positive number, received 'x'"),
        (["bench", "--cell", "rnn"], "invalid choice: 'rnn'"),
        (["config", "--threads", "1"], "unrecognized arguments: --threads 1"),
    ],
)
def test_wrong_arguments_are_refused(capsys, arguments, text):
    with pytest.raises(SystemExit) as refused:
        main(arguments)
    assert refused.value.code == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert text in told.err.replace("\n", " ")


def test_the_module_runs():
    command = [sys.executable, "-W", "error", "-m", "ferrnn", "config"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert told.startswith("SIMD:")


@pytest.mark.parametrize(
    ("arguments", "begins"), [(["--version"], "ferrnn 0."), (["bench", "--help"], "usage: ")]
)
def test_what_is_asked_for_is_told(capsys, arguments, begins):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(begins)


# Per core 100 GFLOP/s; caches of 1, 10 and 100 kB that give 8, 4 and 2 GB/s.
LIMITS = Limits(1, 1e11, ((1e3, 8e9), (1e4, 4e9), (1e5, 2e9), (float("inf"), 1e9)))


@pytest.mark.parametrize(
    ("case", "seconds"),
    [
        # Arithmetic: 2 * 1000 * 10 * (8 + 8) * 32 flops and 40 * 10,000 * 8 * 5 of activations.
        (Case("", "lstm", 1000, 10, 8, 8), (10_240_000 + 16_000_000) / 1e11),
        # Three times the products in training; ten units count as sixteen.
        (
            Case("", "simple_rnn", 1000, 10, 8, 10, training=True),
            (3 * 2 * 10_000 * 18 * 16 + 40 * 10_000 * 16) / 1e11,
        ),
        # Reading: the recurrent weights of 4 * 64 * 192 bytes, 100 times, and the kernel once.
        (Case("", "gru", 1, 100, 8, 64), (49_152 * 100 + 6144) / 2e9),
        # One step reads both: 122,880 bytes do not fit into the third level.
        (Case("", "gru", 1, 1, 96, 64), (49_152 + 73_728) / 1e9),
    ],
)
def test_the_floor_is_the_larger_of_arithmetic_and_reading(case, seconds):
    assert floor(case, LIMITS) == pytest.approx(seconds)
