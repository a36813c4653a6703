"""The example of a cell with nested states learns what it says it learns."""

import importlib.util
from pathlib import Path

EXAMPLE = Path(__file__).parents[3] / "examples" / "nested_memory.py"


def test_the_memory_names_the_marked_symbol(capsys):
    spec = importlib.util.spec_from_file_location("nested_memory", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    result = module.main(["--epochs", "6", "--samples", "768"])
    assert result["accuracy"] > 0.9 > 2 * result["first"]
    assert "Guessing is right in 17% of new sequences" in capsys.readouterr().out
