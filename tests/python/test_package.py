"""The package as it is installed: its version, its weight on import, its tools."""

import importlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ferrnn
from each_case import each_case

ROOT = Path(__file__).resolve().parents[2]
# The standard library's slow modules, which importing a layer should not load.
SLOW = {"asyncio", "http", "multiprocessing", "sqlite3", "tkinter", "unittest", "xml"}


def in_fresh_python(code: str) -> str:
    """What `code` prints in an interpreter of its own."""
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def modules_after(statement: str) -> set[str]:
    code = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    return {name.split(".")[0] for name in json.loads(in_fresh_python(code))}


def test_one_version_everywhere():
    cargo = (ROOT / "Cargo.toml").read_text(encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    versions = [
        *re.findall(r'^version = "(.*)"$', cargo, re.MULTILINE)[:1],
        *re.findall(r'^version = "(.*)"$', project, re.MULTILINE)[:1],
        *re.findall(r"^version: (.*)$", citation, re.MULTILINE)[:1],
        importlib.metadata.version("ferrnn"),
    ]
    assert versions == [ferrnn.__version__] * 4


def test_package_is_typed():
    package = Path(ferrnn.__file__).parent
    assert (package / "py.typed").is_file()
    assert (package / "_core.pyi").is_file()


def test_importing_loads_nothing_foreign_but_numpy():
    new = modules_after("import ferrnn") - modules_after("import numpy, numpy.random")
    foreign = {name for name in new if name not in sys.stdlib_module_names}
    assert foreign == {"ferrnn"}
    assert new & SLOW == set()


def test_importing_starts_no_thread_and_prints_nothing():
    code = "import threading, ferrnn; assert threading.active_count() == 1"
    assert in_fresh_python(code) == ""


def test_runtime_dependencies_are_numpy_and_autograd_only():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    always = re.search(r"^dependencies = \[(.*)\]$", project, re.MULTILINE).group(1)
    assert re.findall(r'"([\w-]+)', always) == ["autograd", "numpy"]


def test_autograd_is_loaded_only_when_users_code_is_trained():
    code = """
import sys, numpy, ferrnn
from ferrnn import ops
layer = ferrnn.layers.RNN(ferrnn.layers.LSTMCell(3))
layer(ops.tanh(ops.einsum("btf,fg->btg", numpy.ones((2, 3, 4)), numpy.ones((4, 4)))))
print("autograd" in sys.modules)
"""
    assert in_fresh_python(code) == "False\n"


def test_exported_names_exist():
    modules = [ferrnn, *(getattr(ferrnn, name) for name in ("layers", "losses", "optimizers"))]
    for module in modules:
        names = getattr(module, "__all__", [])
        assert [name for name in names if not hasattr(module, name)] == []


@pytest.mark.skipif(os.name != "posix", reason="a shell script")
@pytest.mark.parametrize(
    ("tools", "arguments", "missing", "advice"),
    [
        ([], [], "cargo is missing", "https://rustup.rs"),
        (["cargo", "rustc"], [], "cc is missing", "apt install gcc"),
        (["cargo", "rustc", "cc"], [], "CPython 3.10 or newer is missing", "PYTHON="),
        (["cargo", "rustc", "cc"], ["python9"], "PYTHON=python9 is not on PATH", "3.10"),
        (["cargo", "rustc", "cc", "python3"], [], "no module venv", "apt install python3-venv"),
    ],
)
def test_a_missing_tool_is_named(tmp_path, tools, arguments, missing, advice):
    script = ROOT / ".ci" / "tools"
    if not script.exists():
        pytest.skip("not a checkout")
    for tool in ["sh", "sed", "head", "dirname"]:
        (tmp_path / tool).symlink_to(shutil.which(tool))
    answers = {
        "rustc": "echo 'rustc 1.99.0'",
        "python3": 'case "$2" in *venv*) exit 1;; *version_info*) exit 0;; esac',
    }
    for tool in tools:
        fake = tmp_path / tool
        fake.write_text(f"#!{shutil.which('sh')}\n{answers.get(tool, 'exit 0')}\n")
        fake.chmod(0o755)
    result = subprocess.run(
        ["sh", script, *arguments],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stdout == ""
    assert missing in result.stderr
    assert advice in result.stderr


@each_case(
    ("module", "name"),
    [
        ("ferrnn", "StatelessScope"),
        ("ferrnn.callbacks", "OrbaxCheckpoint"),
        ("ferrnn.layers", "Resizing"),
        ("ferrnn.models", "model_from_config"),
        ("ferrnn.optimizers", "legacy"),
        ("ferrnn.utils", "FeatureSpace"),
    ],
)
def test_what_keras_has_and_we_lack_is_named(module, name):
    owner = importlib.import_module(module)
    with pytest.raises(AttributeError, match=rf"^'{name}' is not in {module}: .* not have yet"):
        getattr(owner, name)
    with pytest.raises(AttributeError, match=rf"^module '{module}' has no attribute '__nothing__'"):
        getattr(owner, "__nothing__")  # noqa: B009 - as tools ask
    assert not hasattr(owner, name)


@each_case("name", ["Conv3D", "ConvLSTM3D", "MaxPooling3D", "ZeroPadding3D"])
def test_layers_over_three_axes_are_refused_with_the_reason(name):
    with pytest.raises(AttributeError, match=f"^'{name}' is not in .* three spatial axes"):
        getattr(importlib.import_module("ferrnn.layers"), name)
