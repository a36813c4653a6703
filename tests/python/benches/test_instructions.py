"""The guard of the instruction counts: what it reports, what it lets pass, when it is silent."""

import importlib.util
import json
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "benches" / "python" / "instructions.py"
if not SCRIPT.exists():
    pytest.skip("not a checkout", allow_module_level=True)


@pytest.fixture
def guard(monkeypatch, tmp_path):
    """The script, with a compiler, a program and a record of the test's own."""
    spec = importlib.util.spec_from_file_location("instructions", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "RECORD", tmp_path / "record.json")
    monkeypatch.setattr(module, "compiler_name", lambda: "rustc 1")
    monkeypatch.setattr(module, "build", lambda locked: Path("program"))
    monkeypatch.setattr(module, "count", lambda program: {"lstm": 1000, "gru": 500})
    monkeypatch.setattr("sys.argv", ["instructions.py"])
    return module


def write(guard, counts, compiler="rustc 1"):
    guard.RECORD.write_text(json.dumps({"compiler": compiler, "level": "avx2", "counts": counts}))


def test_equal_and_slightly_larger_counts_pass(guard, capsys):
    write(guard, {"lstm": 1000, "gru": 491})
    assert guard.main() == 0
    assert "2 hot paths take no more" in capsys.readouterr().out


def test_more_than_two_percent_fails(guard, capsys):
    write(guard, {"lstm": 1000, "gru": 489})
    assert guard.main() == 1
    assert "2.2 % more than recorded: gru, 500 for 489" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ({"lstm": 1000}, "not in the record: gru"),
        ({"lstm": 1000, "gru": 500, "indrnn": 7}, "no longer there: indrnn"),
    ],
)
def test_record_and_cases_are_the_same(guard, capsys, counts, text):
    write(guard, counts)
    assert guard.main() == 1
    assert text in capsys.readouterr().out


def test_another_compiler_is_said_and_passes(guard, capsys):
    write(guard, {"lstm": 1, "gru": 1}, compiler="rustc 0")
    assert guard.main() == 0
    told = capsys.readouterr().out
    assert told == "instructions are not counted: the record is of rustc 0, this is rustc 1\n"


def test_no_record_is_said_and_passes(guard, capsys):
    assert guard.main() == 0
    assert "there is no record record.json" in capsys.readouterr().out


def test_update_writes_what_is_then_compared(guard, monkeypatch, capsys):
    write(guard, {"lstm": 1}, compiler="rustc 0")
    monkeypatch.setattr("sys.argv", ["instructions.py", "--update"])
    assert guard.main() == 0
    monkeypatch.setattr("sys.argv", ["instructions.py"])
    assert guard.main() == 0
    assert json.loads(guard.RECORD.read_text()) == {
        "compiler": "rustc 1",
        "level": "avx2",
        "counts": {"lstm": 1000, "gru": 500},
    }


def test_without_valgrind_it_passes(monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("instructions", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "_comparable", lambda recorded, compiler: None)
    monkeypatch.setattr(module, "compiler_name", lambda: "rustc 1")
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    monkeypatch.setattr("sys.argv", ["instructions.py"])
    assert module.main() == 0
    assert capsys.readouterr().out == "instructions are not counted: valgrind is missing\n"


def test_a_dump_of_callgrind_is_read(guard):
    assert guard.total("desc: Trigger: x\n\nevents: Ir\nsummary: 4910321\n\nfn=(1)\n") == 4910321
