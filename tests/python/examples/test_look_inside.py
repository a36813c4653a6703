"""The example that looks inside a GRU finds the mark, and draws."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_attributions_are_at_the_mark(tmp_path, capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    try:
        import look_inside  # noqa: PLC0415 - on the path since just now

        options = ["--out", str(tmp_path), "--epochs", "12", "--samples", "1000"]
        assert look_inside.main(options) > 0.6
    finally:
        sys.modules.pop("look_inside", None)
    assert "Share of the attributions at the mark" in capsys.readouterr().out
    drawn = {"attributions.png", "gates_over_time.png", "training_history.png"}
    assert {path.name for path in tmp_path.iterdir()} == drawn
