"""What the documents show runs: README, docs/, and every docstring."""

import doctest
import importlib
import inspect
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

import ferrnn
from documents import python_blocks
from each_case import fresh

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
WITH_CODE = [path for path in DOCUMENTS if python_blocks(path)]
# Packages that are not part of `dev`, the documents that use them, whose warnings are theirs, and
# modules that load them. `make deep` runs these with the packages.
HEAVY = {"mlflow", "optuna", "pyspark", "ray", "wandb"}
OF_OTHERS = {"clusters.md", "experiments.md"}
LOADING_OTHERS = {"clusters", "sktime_adapter"}
DEEP = "FERRNN_DEEP" in os.environ
PACKAGE = Path(ferrnn.__file__).parent
WITH_EXAMPLES = [path for path in PACKAGE.rglob("*.py") if ">>>" in path.read_text("utf-8")]


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = sorted(
    name
    for name in map(module_of, WITH_EXAMPLES)
    if DEEP or not LOADING_OTHERS & set(name.split("."))
)
PUBLIC = [ferrnn.layers, ferrnn.losses, ferrnn.metrics, ferrnn.optimizers, ferrnn.models]


def skip_what_needs_more(error: ImportError) -> None:
    """Skips what needs a package that is not part of `dev`."""
    if "pip install" not in str(error) and error.name not in HEAVY:
        raise error
    pytest.skip(str(error))


def shown(path: Path) -> object:
    of_others = [
        pytest.mark.filterwarnings("default"),
        pytest.mark.timeout(600),
        pytest.mark.skipif(not DEEP, reason="`make deep` runs it"),
    ]
    marks = of_others if path.name in OF_OTHERS else []
    return pytest.param(path, marks=marks, id=path.relative_to(ROOT).as_posix())


@pytest.mark.parametrize("path", [shown(path) for path in WITH_CODE])
def test_code_in_documents_runs(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)  # as an activated environment has it
    names = {"__name__": "__main__"}
    try:
        for block in python_blocks(path):
            exec(compile(block, str(path), "exec"), names)
    except ImportError as error:
        skip_what_needs_more(error)


def test_readme_has_code():
    assert ROOT / "README.md" in WITH_CODE


@pytest.mark.parametrize("room", sorted({name.split(".")[2] for name in MODULES}))
def test_docstring_examples_hold(room, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    missing = {}
    for name in MODULES:
        if name.split(".")[2] == room:
            fresh()
            try:
                module = importlib.import_module(name)
            except ImportError as error:
                missing[name] = error
            else:
                hold(module)
    for error in missing.values():
        skip_what_needs_more(error)


def hold(module: ModuleType) -> None:
    """Runs the examples of a module; the output, which a failure shows, names those that differ."""
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    runner = doctest.DocTestRunner(optionflags=flags)
    for test in doctest.DocTestFinder().find(module):
        if test.examples:  # each run looks after all files that Python has read
            runner.run(test)
    assert runner.failures == 0, f"{module.__name__}: see the captured output"


def classes(module: ModuleType) -> list[type]:
    named = [getattr(module, name) for name in dir(module) if not name.startswith("_")]
    return [found for found in named if inspect.isclass(found)]


def test_public_classes_show_an_example():
    public = {found for module in PUBLIC for found in classes(module)}
    assert [each for each in public if ">>>" not in (each.__doc__ or "")] == []
