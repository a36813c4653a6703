"""The public modules: each exports what its stub lists, and loads a name on first use.

A stub (`layers.pyi`) is what type checkers read. Reading the same file here keeps one list of
names, and importing the package costs only what the program uses.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

_IMPORT = re.compile(r"^from (\S+) import (\([^)]*\)|[^(\n]+)", re.MULTILINE)
_NAME = re.compile(r"(\w+)(?: as (\w+))?")
_ALIAS = re.compile(r"^(\w+) = (\w+)$", re.MULTILINE)
_PACKAGE = Path(__file__).parents[1]


def face(module: str) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """`__all__`, `__getattr__` and `__dir__` of a public module.

    The error for a missing name lists those that the module has.

    >>> _, __getattr__, _ = face("ferrnn.optimizers")
    >>> __getattr__("SGD").__name__
    'SGD'
    >>> __getattr__("legacy")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    AttributeError: 'legacy' is not in ferrnn.optimizers: ... Available: Adadelta, ...
    """
    sources = _listed(module)
    names = sorted(sources)

    def load(name: str) -> Any:
        if name not in sources:
            raise _missing(module, name, names)
        source, own = sources[name]
        own_module = source in {module, "ferrnn"}
        value = import_module(f"{source}.{own}" if own_module else source)
        value = value if own_module else getattr(value, own)
        setattr(sys.modules[module], name, value)  # so `__getattr__` is called once for each name
        return value

    return names, load, names.copy


class _Later:
    """A module that is imported when one of its attributes is first used."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._module), name)


def later(module: str) -> Any:
    """A stand-in for a module that few programs need, imported on first use.

    Type checkers are told of it by an import under `TYPE_CHECKING`.

    >>> later("ferrnn._src.tree.tree").flatten([1, [2, 3]])
    [1, 2, 3]
    """
    return _Later(module)


def public(module: str, name: str) -> Any:
    """The object that the public module `ferrnn.<module>` exports under a name, or None.

    >>> public("layers", "LSTM").__name__
    'LSTM'
    >>> public("layers", "Conv4D") is None
    True
    """
    owner = import_module(f"ferrnn.{module}")
    return getattr(owner, name) if name in owner.__all__ else None


def _listed(module: str) -> dict[str, tuple[str, str]]:
    """The module that each name of a public module's stub comes from, and its name there.

    As for a type checker, exported are names imported `as` themselves or by a star, and aliases.
    """
    stub = _PACKAGE.joinpath(*module.split(".")[1:])
    path = stub / "__init__.pyi" if stub.is_dir() else stub.with_suffix(".pyi")
    text = path.read_text(encoding="utf-8")
    known: dict[str, tuple[str, str]] = {}
    shown: set[str] = set()
    for source, group in _IMPORT.findall(text):
        stars = import_module(source).__all__ if group.strip() == "*" else ()
        pairs = [*((name, name) for name in stars), *_NAME.findall(group)]
        known |= {renamed or name: (source, name) for name, renamed in pairs}
        shown |= {name for name, renamed in pairs if name == renamed}
    for alias, name in _ALIAS.findall(text):
        known[alias] = known[name]
        shown.add(alias)
    return {name: known[name] for name in shown}


def _missing(module: str, name: str, names: list[str]) -> AttributeError:
    text = f"module {module!r} has no attribute {name!r}"
    if not name.startswith("_"):
        why = "a misspelling, or a name of Keras that ferrnn does not have yet"
        if name.endswith("3D"):
            why = "layers with three spatial axes are not supported"
        text = f"{name!r} is not in {module}: {why}. Available: {', '.join(names)}"
    return AttributeError(text, name=name, obj=sys.modules[module])
