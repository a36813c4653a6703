"""Who may know whom: imports point one way, in Python and in Rust."""

from pathlib import Path

import pytest

from architecture import long_files, python_problems, rust_problems

ROOT = Path(__file__).resolve().parents[2]


def plant(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_python_imports_point_to_the_core():
    assert list(python_problems(ROOT / "python" / "ferrnn")) == []


def test_rust_paths_point_to_the_hardware():
    assert list(rust_problems(ROOT / "src")) == []


def test_files_need_no_table_of_contents():
    folders = ("src", "python", "tests", "examples", "benches", ".ci")
    assert list(long_files(ROOT, folders)) == []


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("core/layer.py", "from ferrnn.cells.lstm import LSTMCell", "core imports ferrnn.cells"),
        ("cells/lstm.py", "import ferrnn.sequence.fused", "cells imports ferrnn.sequence"),
        ("layers/rnn.py", "from ferrnn import models", "layers imports ferrnn.models"),
        ("layers/rnn.py", "from ferrnn import losses", "a public module"),
        ("training/fit.py", "from ferrnn.layers.rnn import RNN", "training imports ferrnn.layers"),
        ("testing.py", "from ferrnn.layers import RNN", "testing imports ferrnn.layers"),
        ("layers/dense.py", "from ferrnn._core import dense_forward", "imports _core"),
        ("losses.py", "from ferrnn import _core", "imports _core"),
        ("layers/rnn.py", "from .dense import Dense", "relative import"),
        ("core/layer.py", "if True:\n    import ferrnn.models", "core imports ferrnn.models"),
        ("models/plot.py", "def plot():\n    import json", "inside the function plot"),
        ("models/plot.py", "def plot():\n    import numpy", "inside the function plot"),
    ],
)
def test_a_wrong_python_import_is_named(tmp_path, name, text, problem):
    problems = list(python_problems(plant(tmp_path, {name: text})))
    assert len(problems) == 1
    assert problem in problems[0]
    assert name in problems[0]


def test_right_python_imports_are_quiet(tmp_path):
    files = {
        "__init__.py": "def __getattr__(name):\n    import ferrnn.interop\n",
        "core/native.py": "from ferrnn._core import dense_forward",
        "sequence/fused.py": "from ferrnn._core import rnn_forward\nimport ferrnn.cells.lstm",
        "models/plot.py": "def plot():\n    import matplotlib",
        "losses.py": "from ferrnn.training.losses import mse as mse",
    }
    assert list(python_problems(plant(tmp_path, files))) == []


def test_an_optional_dependency_has_one_module(tmp_path):
    files = dict.fromkeys(("models/a.py", "interop/b.py"), "def f():\n    import h5py")
    problems = list(python_problems(plant(tmp_path, files)))
    assert problems == [
        "h5py is imported in functions of several modules: ['interop/b.py', 'models/a.py']"
    ]


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("simd/mod.rs", "use crate::kernels::tile;", "simd uses kernels"),
        ("kernels/tile.rs", "use crate::{cells::Cell, error::Error};", "kernels uses cells"),
        ("cells/gru.rs", "let x = crate::sequence::forward();", "cells uses sequence"),
        ("memory.rs", "use crate::{\n    error,\n    threads::{self},\n};", "memory uses threads"),
        ("dense.rs", "use crate::sequence::Weights;", "dense uses sequence"),
        ("sequence/plan.rs", "use crate::python::x;", "sequence uses python"),
        ("cells/gru.rs", "use super::super::sequence;", "through super"),
        ("memory.rs", "use super::kernels;", "through super"),
        ("sequence/mod.rs", "use pyo3::Python;", "Python's types"),
        ("kernels/tile.rs", "use std::arch::x86_64::*;", "intrinsics"),
        ("kernels/tile.rs", "    // SAFETY: none\n    unsafe { f() }", "unsafe code in kernels"),
        ("memory.rs", "// SAFETY: of another\nlet y = 1;\nunsafe { f() }", "without a SAFETY"),
        ("simd/avx2.rs", "unsafe impl Send for X {}", "without a SAFETY"),
        ("helpers.rs", "", "no place in the order"),
        ("lib.rs", "pub fn f() {}", "code in the crate root"),
    ],
)
def test_a_wrong_rust_path_is_named(tmp_path, name, text, problem):
    problems = list(rust_problems(plant(tmp_path, {name: text})))
    assert len(problems) == 1, problems
    assert problem in problems[0]
    assert name in problems[0]


def test_right_rust_paths_are_quiet(tmp_path):
    files = {
        "lib.rs": "//! fn in a comment\npub mod cells;\npub use error::Error;",
        "sequence/step.rs": "use crate::{cells::{Cell, lstm}, kernels};\nuse super::plan;\n"
        '// crate::python is another matter\nlet s = "crate::python";',
        "memory.rs": "// SAFETY: the owner outlives it,\n// as `new` has checked.\n"
        "let x =\n    unsafe { f() };",
        "python/mod.rs": "use pyo3::Python;\nuse crate::sequence::forward;",
    }
    assert list(rust_problems(plant(tmp_path, files))) == []


def test_a_long_file_is_named(tmp_path):
    plant(tmp_path, {"src/a.rs": "//\n" * 451, "src/b.py": "#\n" * 450})
    assert list(long_files(tmp_path, ("src",))) == ["src/a.rs: 451 lines"]
