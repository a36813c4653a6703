"""Who may know whom: imports point one way, in Python and in Rust."""

from pathlib import Path

import pytest

from architecture import long_files
from architecture_python import hidden_imports, python_problems, unknown_rooms
from architecture_rust import rust_problems, unknown_rust_rooms

ROOT = Path(__file__).resolve().parents[2]


def plant(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_python_imports_point_to_the_core():
    assert list(python_problems(ROOT / "python" / "ferrnn")) == []


def test_tests_use_public_names_where_there_are_any():
    assert list(hidden_imports(ROOT / "python" / "ferrnn", ROOT / "tests" / "python")) == []


def test_a_hidden_import_of_a_public_name_is_named(tmp_path):
    tests = {"a/test_b.py": "import os\nfrom ferrnn._src.layers.lstm import LSTM, of_gates"}
    problems = list(hidden_imports(ROOT / "python" / "ferrnn", plant(tmp_path, tests)))
    expected = "imports ferrnn._src.layers.lstm.LSTM instead of ferrnn.layers.LSTM"
    assert problems == [f"a/test_b.py:2: {expected}"]


def test_rust_paths_point_to_the_hardware():
    assert list(rust_problems(ROOT / "src")) == []


def test_files_need_no_table_of_contents():
    folders = ("src", "python", "tests", "examples", "benches", ".ci")
    assert list(long_files(ROOT, folders)) == []


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("layer/layer.py", "from ferrnn._src.cells.lstm import LSTMCell", "layer imports ferrnn"),
        ("cells/lstm.py", "import ferrnn._src.sequence.fused", "cells imports ferrnn"),
        ("layers/rnn.py", "from ferrnn._src import models", "layers imports ferrnn._src.models"),
        ("layers/rnn.py", "from ferrnn import losses", "a public module"),
        ("training/fit.py", "from ferrnn._src.layers.rnn import RNN", "training imports ferrnn"),
        ("testing.py", "from ferrnn._src.layers import RNN", "testing imports ferrnn._src.layers"),
        ("layers/dense.py", "from ferrnn._core import dense_forward", "imports _core"),
        ("layers/rnn.py", "from .dense import Dense", "relative import"),
        ("layer/layer.py", "if True:\n    import ferrnn._src.models", "layer imports ferrnn"),
        ("models/plot.py", "def plot():\n    import json", "inside the function plot"),
        ("models/plot.py", "def plot():\n    import numpy", "inside the function plot"),
    ],
)
def test_a_wrong_python_import_is_named(tmp_path, name, text, problem):
    problems = list(python_problems(plant(tmp_path, {f"_src/{name}": text})))
    assert len(problems) == 1
    assert problem in problems[0]
    assert name in problems[0]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("from ferrnn import _core", "imports _core"),
        ("class Loss: ...", "defines Loss"),
        ("def loss(): ...", "defines loss"),
    ],
)
def test_a_public_module_only_hands_on_names(tmp_path, text, problem):
    problems = list(python_problems(plant(tmp_path, {"losses.py": text})))
    assert len(problems) == 1
    assert problem in problems[0]


def test_a_circle_of_files_is_named(tmp_path):
    package = tmp_path / "ferrnn"
    files = {
        "_src/layers/a.py": "from ferrnn._src.layers import b",
        "_src/layers/b.py": "from ferrnn._src.layers.c import x",
        "_src/layers/c.py": "import ferrnn._src.layers.a",
        "_src/layers/d.py": "from ferrnn._src.layers import a",
        "_src/layers/e.py": "if TYPE_CHECKING:\n    from ferrnn._src.layers import f",
        "_src/layers/f.py": "from ferrnn._src.layers import e",
    }
    circle = " <-> ".join(f"ferrnn._src.layers.{name}" for name in "abc")
    assert list(python_problems(plant(package, files))) == [f"a circle of imports: {circle}"]


def test_the_list_names_the_rooms_there_are():
    assert unknown_rooms(ROOT / "python" / "ferrnn") == []
    assert unknown_rust_rooms(ROOT / "src") == []


def test_a_circle_of_rust_files_is_named(tmp_path):
    files = {
        "kernels/mod.rs": "mod a;\nmod b;\nmod d;\npub use a::{self, F};",
        "kernels/a.rs": "use super::b::{G, H};",
        "kernels/b.rs": "fn f() { crate::kernels::a::f() }",
        "kernels/d.rs": "use super::a::F;",
    }
    circle = "kernels/a.rs <-> kernels/b.rs"
    assert list(rust_problems(plant(tmp_path, files))) == [f"a circle of files: {circle}"]


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("plan/mod.rs", "use super::step::f;", "plan uses step"),
        ("plan/mod.rs", "use crate::layers::sequence::{weights, step::f};", "plan uses step"),
        ("forward/part.rs", "use crate::layers::sequence::stream::x;", "forward uses stream"),
        ("kept.rs", "use super::rows::x;", "kept uses rows"),
        ("step/single.rs", "use crate::layers::sequence::Engine;", "which hands on names"),
        ("helpers.rs", "use super::step::f;", "helpers has no place in the order"),
    ],
)
def test_the_steps_of_a_sequence_have_an_order(tmp_path, name, text, problem):
    files = {"layers/sequence/step/mod.rs": "", f"layers/sequence/{name}": text}
    problems = list(rust_problems(plant(tmp_path, files)))
    assert len(problems) == 1, problems
    assert problem in problems[0]
    assert name in problems[0]


def test_right_python_imports_are_quiet(tmp_path):
    files = {
        "__init__.py": "def __getattr__(name):\n    import ferrnn._src.models",
        "_src/native.py": "from ferrnn._core import dense_forward",
        "_src/sequence/fused.py": "from ferrnn._core import f\nimport ferrnn._src.cells.lstm",
        "_src/models/plot.py": "def plot():\n    import matplotlib",
        "losses.py": "from ferrnn._src.training.losses import mse as mse",
    }
    assert list(python_problems(plant(tmp_path, files))) == []


def test_an_optional_dependency_has_one_module(tmp_path):
    files = dict.fromkeys(("_src/models/a.py", "_src/layers/b.py"), "def f():\n    import h5py")
    problems = list(python_problems(plant(tmp_path, files)))
    assert problems == [
        "h5py is imported in functions of several modules: ['layers/b.py', 'models/a.py']"
    ]


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("machine/simd/mod.rs", "use crate::kernels::tile;", "simd uses kernels"),
        ("kernels/tile.rs", "use crate::{cells::Cell, error::Error};", "kernels uses cells"),
        ("cells/gru.rs", "let x = crate::layers::sequence::f();", "cells uses layers"),
        (
            "machine/memory.rs",
            "use crate::{\n    error,\n    machine::threads::{self},\n};",
            "memory uses machine::threads",
        ),
        ("layers/dense.rs", "use crate::layers::sequence::Weights;", "dense uses layers"),
        ("layers/sequence/plan.rs", "use crate::python::x;", "sequence uses python"),
        ("cells/gru.rs", "use super::super::error;", "through super"),
        ("python/mod.rs", "use super::kernels;", "through super"),
        ("layers/sequence/mod.rs", "use pyo3::Python;", "Python's types"),
        ("kernels/tile.rs", "use std::arch::x86_64::*;", "intrinsics"),
        ("kernels/tile.rs", "    // SAFETY: none\n    unsafe { f() }", "unsafe code in kernels"),
        (
            "machine/memory.rs",
            "// SAFETY: of another\nlet y = 1;\nunsafe { f() }",
            "without a SAFETY",
        ),
        ("machine/simd/avx2.rs", "unsafe impl Send for X {}", "without a SAFETY"),
        ("training/loss.rs", "let x = (0..rows).collect();", "a list without a bound"),
        ("training/loss.rs", "x.push(1);", "a list without a bound"),
        ("kernels/tile.rs", "let x = vec![0; count];", "a list without a bound"),
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
        "layers/sequence/step.rs": "use crate::{cells::{Cell, lstm}, kernels};\nuse super::plan;\n"
        '// crate::python is another matter\nlet s = "crate::python";',
        "machine/memory.rs": "// SAFETY: the owner outlives it,\n// as `new` has checked.\n"
        "let x =\n    unsafe { f() };",
        "python/mod.rs": "use pyo3::Python;\nuse crate::layers::sequence::forward;",
        "training/loss.rs": "// Bounded: a thread each.\nlet x = (0..n).collect();\n"
        "lists::push(&mut x, 1)?;\n#[cfg(test)]\nlet x = vec![0; 3];",
    }
    assert list(rust_problems(plant(tmp_path, files))) == []


def test_a_long_file_is_named(tmp_path):
    plant(tmp_path, {"src/a.rs": "//\n" * 401, "src/b.py": "#\n" * 400})
    assert list(long_files(tmp_path, ("src",))) == ["src/a.rs: 401 lines"]
