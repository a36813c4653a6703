"""The hand-written stub says what the compiled engine has."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy", reason="mypy, of the extra dev, compares the stub")

PACKAGE = Path(__file__).resolve().parents[2] / "python" / "ferrnn"
# The stub's names for types of arrays, which no one imports from the engine, and a list that the
# binary makes by itself.
ALLOWED = ["ferrnn._core.Array", "ferrnn._core.Mask", "ferrnn._core.__all__"]
# Of NumPy only names are wanted: mypy reads its own stubs for seconds.
NUMPY = (
    "from typing import Any, TypeAlias\n\nArrayLike: TypeAlias = Any\nNDArray: TypeAlias = list\n"
)


def compare(stubs: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    allowed = folder / "allowed"
    allowed.write_text("\n".join(ALLOWED), encoding="utf-8")
    command = [sys.executable, "-m", "mypy.stubtest", "ferrnn._core"]
    command += ["--allowlist", str(allowed), "--ignore-unused-allowlist"]
    environment = os.environ | {"MYPYPATH": str(stubs)}
    return subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, check=False
    )


def planted(folder: Path, changes: dict[str, str]) -> Path:
    """A package of nothing but the stub, with some places changed."""
    package = folder / "stubs" / "ferrnn"
    package.mkdir(parents=True)
    text = (PACKAGE / "_core.pyi").read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (package / "_core.pyi").write_text(text, encoding="utf-8")
    (package / "__init__.pyi").touch()
    numpy = folder / "stubs" / "numpy"
    (numpy / "typing").mkdir(parents=True)
    (numpy / "__init__.pyi").write_text("floating = list\nbool_ = int\nint64 = int\n")
    (numpy / "typing" / "__init__.pyi").write_text(NUMPY)
    return package.parent


def test_stub_equals_binary(tmp_path):
    result = compare(planted(tmp_path, {}), tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.skipif("FERRNN_DEEP" not in os.environ, reason="`make deep` runs it")
def test_a_wrong_stub_is_noticed(tmp_path):
    changes = {
        "def num_threads()": "def count_threads()",
        "inputs_need_gradient: bool = True": "wants_gradient: bool = True",
        "go_backwards: bool = False": "go_backwards: bool = True",
    }
    result = compare(planted(tmp_path, changes), tmp_path)
    assert result.returncode != 0
    for name in ("num_threads", "count_threads", "wants_gradient", "go_backwards"):
        assert name in result.stdout
