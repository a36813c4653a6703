"""Reads the imports of the Python package: none may point the wrong way or in a circle."""

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from architecture import circles

# What layers rest on.
BASE = frozenset(
    {"faces", "files", "tree", "configs", "native", "symbolic", "weights", "activations", "layer"}
)

# A room of `_src` may use the rooms listed for it, and itself.
PYTHON_ROOMS: Mapping[str, frozenset[str]] = {
    "faces": frozenset(),
    "figures": frozenset(),
    "files": frozenset(),
    "tree": frozenset(),
    "configs": frozenset({"files", "faces", "tree"}),
    "native": frozenset(),
    "machine": frozenset({"native"}),
    "symbolic": frozenset({"tree", "configs"}),
    "weights": frozenset({"files", "tree", "configs", "native", "symbolic"}),
    "activations": frozenset({"tree", "configs", "native", "symbolic", "weights"}),
    "layer": BASE - {"layer"},
    "testing": BASE,
    "convolution": BASE - {"layer"},
    "cells": BASE | {"convolution"},
    "programs": BASE | {"cells", "convolution"},
    "sequence": BASE | {"cells", "programs"},
    "layers": BASE | {"convolution", "cells", "sequence"},
    # The fit loop works on a protocol: it knows no layer by name.
    "training": BASE | {"programs"},
    "models": BASE | {"convolution", "cells", "programs", "sequence", "layers", "training"},
    "interop": BASE | {"convolution", "cells", "sequence", "layers", "training", "models"},
    "forecasting": BASE | {"figures", "cells", "sequence", "layers", "training", "models"},
    "command": BASE | {"machine", "layers", "training", "models", "interop"},
    "ops": BASE,
    "datasets": BASE,
    "data": BASE,
    "inspection": BASE | {"figures", "cells", "sequence", "layers", "training", "models"},
    "clusters": BASE | {"training", "models", "interop"},
    "estimators": BASE | {"cells", "sequence", "layers", "training", "models"},
}
NATIVE_IMPORTERS = frozenset(
    {
        "native.py",
        "programs/lowering.py",
        "sequence/fused.py",
        "sequence/one_step.py",
        "sequence/programmed.py",
        "sequence/stream.py",
    }
)
RUNTIME_DEPENDENCIES = frozenset({"numpy"})
# An import that runs, with the name of the function around it.
Import: TypeAlias = tuple[ast.stmt, str | None]
FACE_CODE = frozenset({"__getattr__"})
_WITHOUT_IMPORTS = (
    ast.expr,
    ast.Expr,
    ast.Assign,
    ast.AnnAssign,
    ast.AugAssign,
    ast.Return,
    ast.Raise,
    ast.arguments,
)


def python_problems(package: Path) -> Iterator[str]:
    """What is wrong with the imports below the folder of the package `ferrnn`."""
    optional: dict[str, set[str]] = {}
    imports: dict[Path, list[Import]] = {}
    for path in sorted(package.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imports[path] = list(_imports(tree))
        if not path.is_relative_to(package / "_src"):
            yield from _face(path.relative_to(package).as_posix(), tree)
        yield from _file_problems(package, path, imports[path], optional)
    for dependency, names in sorted(optional.items()):
        if len(names) > 1:
            yield f"{dependency} is imported in functions of several modules: {sorted(names)}"
    for circle in circles(_graph(package, imports)):
        yield f"a circle of imports: {' <-> '.join(sorted(circle))}"


def _file_problems(
    package: Path, path: Path, imports: list[Import], optional: dict[str, set[str]]
) -> Iterator[str]:
    """Those of one file; what its functions import is added to `optional`."""
    rooms = package / "_src"
    private = path.is_relative_to(rooms)
    name = path.relative_to(rooms if private else package).as_posix()
    for node, function in imports:
        where = f"{name}:{node.lineno}"
        for target in _targets(node):
            yield from _direction(where, name, private, target)
            if function is None or _lazy(name, function):
                continue
            top = target.split(".")[0]
            if top == "ferrnn" or top in RUNTIME_DEPENDENCIES or _standard(top):
                yield f"{where}: imports {target} inside the function {function}"
            else:
                optional.setdefault(top, set()).add(name)


def _graph(package: Path, imports: Mapping[Path, list[Import]]) -> dict[str, set[str]]:
    """The modules that each module imports when it is loaded."""
    modules = {_module(package, path): found for path, found in imports.items()}
    graph: dict[str, set[str]] = {module: set() for module in modules}
    for module, found in modules.items():
        for node, function in found:
            for target in _targets(node):
                used = target if target in modules else target.rpartition(".")[0]
                if function is None and not target.startswith("ferrnn._core") and used in modules:
                    graph[module].add(used)
    return graph


def unknown_rooms(package: Path) -> list[str]:
    """Rooms that the list above names and the package does not have, and vice versa."""
    there = {path.stem for path in (package / "_src").iterdir() if path.stem != "__init__"}
    return sorted((there - {"__pycache__"}) ^ set(PYTHON_ROOMS))


def hidden_imports(package: Path, folder: Path) -> Iterator[str]:
    """Imports from `_src`, below a folder, of names that a public module has."""
    public: dict[str, str] = {}
    for stub in sorted(package.rglob("*.pyi")):
        for node, _ in _imports(ast.parse(stub.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ferrnn._src"):
                names = (f"{_module(package, stub)}.{alias.asname}" for alias in node.names)
                public.update(zip(_targets(node), names, strict=True))
    for path in sorted(folder.rglob("*.py")):
        for node, _ in _imports(ast.parse(path.read_text(encoding="utf-8"))):
            for target in _targets(node):
                if target in public:
                    where = f"{path.relative_to(folder)}:{node.lineno}"
                    yield f"{where}: imports {target} instead of {public[target]}"


def _module(package: Path, path: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _face(name: str, tree: ast.Module) -> Iterator[str]:
    """A public module re-exports names and defines nothing."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name not in FACE_CODE:
            yield f"{name}:{node.lineno}: defines {node.name} in a module that only hands on names"


def _imports(tree: ast.AST, function: str | None = None) -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, _WITHOUT_IMPORTS):  # most of a tree
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, function
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _imports(node, function or node.name)
        elif isinstance(node, ast.If) and _of_types_alone(node.test):
            continue
        else:
            yield from _imports(node, function)


def _of_types_alone(test: ast.expr) -> bool:
    """Whether a condition is `TYPE_CHECKING`."""
    names = (getattr(part, "id", getattr(part, "attr", None)) for part in ast.walk(test))
    return "TYPE_CHECKING" in names


def _targets(node: ast.stmt) -> list[str]:
    """The full names an import statement may bring in; a relative one is `.name`."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    assert isinstance(node, ast.ImportFrom)
    if node.level:
        return [f".{node.module or ''}"]
    module = node.module or ""
    if module.split(".")[0] == "ferrnn":
        return [f"{module}.{alias.name}" for alias in node.names]
    return [module]


def _direction(where: str, name: str, private: bool, target: str) -> Iterator[str]:
    if target.startswith("."):
        yield f"{where}: relative import {target}; write the full name"
        return
    parts = target.split(".")
    if parts[0] != "ferrnn":
        return
    if len(parts) > 1 and parts[1] == "_core":
        if not private or name not in NATIVE_IMPORTERS:
            yield f"{where}: imports _core"
        return
    if not private or name == "__init__.py":  # a public module, which only re-exports names
        return
    room = name.split("/", maxsplit=1)[0].removesuffix(".py")
    if parts[1:2] == ["_version"]:
        return
    if parts[1:2] != ["_src"]:
        yield f"{where}: {room} imports {target}, a public module that only hands on names"
    elif parts[2] != room and parts[2] not in PYTHON_ROOMS.get(room, frozenset()):
        yield f"{where}: {room} imports {target}"


def _lazy(name: str, function: str) -> bool:
    return name.endswith("__init__.py") and function == "__getattr__"


def _standard(top: str) -> bool:
    return top in sys.stdlib_module_names
