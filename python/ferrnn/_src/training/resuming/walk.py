"""Finds the parts of a model, a dataset or a callback that training changes."""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ferrnn._src.training.metrics import Metric
from ferrnn._src.training.optimizers.optimizer import Optimizer
from ferrnn._src.training.resuming.generators import is_generator
from ferrnn._src.weights.parameter import Parameter, structure_version
from ferrnn._src.weights.weighted import Weighted

# Attributes that are not searched: records of calls, and parts that are found elsewhere.
_SKIPPED = frozenset({"_inbound_nodes", "_chain", "history"})
_OF_CALLBACKS = frozenset({"model", "params", "_model"})
_ROOMS = tuple(f"ferrnn._src.{room}." for room in ("training", "data", "layers", "cells"))
_CLOSED = (str, bytes, int, float, complex, np.ndarray, np.generic, type, types.ModuleType)
_LENGTH = 10_000  # longer lists are taken for data
_DEPTH = 3  # the depth of the search in objects of other packages


@dataclass
class Found:
    """The parts found, by their places: the attributes, keys and indices that lead to them.

    `owned` are the objects of users' classes among the layers, `stateful` the layers that keep
    states from call to call.
    """

    parameters: dict[str, Parameter] = field(default_factory=dict)
    generators: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Metric] = field(default_factory=dict)
    optimizers: dict[str, Optimizer] = field(default_factory=dict)
    stateful: dict[str, Any] = field(default_factory=dict)
    owned: dict[str, Any] = field(default_factory=dict)

    def add(self, other: Found) -> None:
        """Adds the parts of another search."""
        for name, things in vars(other).items():
            vars(self)[name].update(things)


class Search:
    """Searches the same roots repeatedly; parts that only this package makes are searched once.

    >>> from ferrnn._src.layers.dropout import Dropout
    >>> list(Search({"model": Dropout(0.5)}).found().generators)
    ['model/seed_generator']
    """

    def __init__(self, roots: Mapping[str, Any]) -> None:
        self.roots = dict(roots)
        self._known: dict[str, tuple[Found, dict[int, Any]]] = {}
        self._all: Found | None = None  # places that need no further search
        self._version: Any = None

    def found(self, version: Any = None) -> Found:
        """The parts of the roots, each once, at the first place that leads to it.

        A changed `version` makes the search start afresh.
        """
        version = (version, structure_version())
        if version != self._version:
            self._known, self._version, self._all = {}, version, None
        if self._all is not None:
            return self._all
        found, seen = Found(), dict[int, Any]()
        for name, root in self.roots.items():
            if name in self._known:
                part, visited = self._known[name]
            else:
                part, visited = Found(), dict(seen)
                if not _look_through(name, root, part, visited):
                    self._known[name] = (part, visited)
            seen.update(visited)
            found.add(part)
        if len(self._known) == len(self.roots):
            self._all = found
        return found


def _look_through(name: str, root: Any, found: Found, seen: dict[int, Any]) -> bool:
    """Adds to `found` and `seen`, which keeps objects alive; returns whether it met users' code."""
    foreign = False
    waiting = [(name, root, _DEPTH)]
    while waiting:
        place, value, depth = waiting.pop()
        if value is None or isinstance(value, _CLOSED) or id(value) in seen:
            continue
        seen[id(value)] = value
        if _kept(found, place, value):
            waiting.extend((f"{place}/{name}", part, depth) for name, part in _kept_parts(value))
            continue
        left = depth if _known(value) else depth - 1
        foreign = foreign or _is_foreign(value)
        if left >= 0:
            parts = [(f"{place}/{name}", part, left) for name, part in _parts(value)]
            waiting.extend(reversed(parts))
    return foreign


def _is_foreign(value: Any) -> bool:
    """Whether an object comes from users' code and may hold other parts later."""
    if isinstance(value, types.FunctionType):
        return not value.__module__ or value.__module__.partition(".")[0] != "ferrnn"
    return isinstance(value, types.GeneratorType) or (
        hasattr(value, "__dict__") and not of_package(type(value))
    )


def _kept(found: Found, place: str, value: Any) -> bool:
    """Adds an object; returns whether it need not be searched itself."""
    if isinstance(value, Parameter):
        found.parameters[place] = value
        return True
    if is_generator(value):
        found.generators[place] = value
        return True
    if isinstance(value, Metric):
        found.metrics[place] = value
        return True
    if isinstance(value, Optimizer):
        found.optimizers[place] = value
        return True
    if isinstance(value, Weighted):
        if getattr(value, "stateful", False) and hasattr(value, "_states"):
            found.stateful[place] = value
        if not of_package(type(value)):
            found.owned[place] = value
    return False


def _kept_parts(value: Any) -> Iterator[tuple[str, Any]]:
    """The metrics inside a metric, and the generators of a metric or an optimizer."""
    if isinstance(value, Metric | Optimizer):
        yield from ((name, part) for name, part in vars(value).items() if is_generator(part))
    if isinstance(value, Metric):
        yield from ((str(at), part) for at, part in enumerate(value._held()))


def of_package(kind: type) -> bool:
    """Whether a class is one of this package's."""
    return kind.__module__.partition(".")[0] == "ferrnn"


def _known(value: Any) -> bool:
    kind = type(value)
    if isinstance(value, Weighted | list | tuple | dict | types.FunctionType | types.MethodType):
        return True
    return kind.__module__.startswith(_ROOMS)


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """The parts of an object by name."""
    if isinstance(value, list | tuple | Mapping):
        if len(value) <= _LENGTH:
            named = value.items() if isinstance(value, Mapping) else enumerate(value)
            yield from ((str(name), part) for name, part in named)
        if type(value) in (list, tuple, dict):
            return
    if isinstance(value, types.MethodType):
        yield "self", value.__self__
    elif isinstance(value, types.FunctionType):
        yield from _of_function(value)
    elif isinstance(value, functools.partial):
        yield from (("function", value.func), ("args", value.args), ("keywords", value.keywords))
    elif isinstance(value, types.GeneratorType):
        frame = value.gi_frame
        if frame is not None:
            yield from frame.f_locals.items()
            yield from _globals_of(value.gi_code, frame.f_globals)
    else:
        yield from _of_object(value)


def _of_object(value: Any) -> Iterator[tuple[str, Any]]:
    kind = type(value)
    package = of_package(kind)
    if package and not isinstance(value, Weighted) and not kind.__module__.startswith(_ROOMS):
        return
    if isinstance(value, Weighted):
        yield "layers", list(value.sublayers())
    for name, part in list(getattr(value, "__dict__", {}).items()):
        if name not in _SKIPPED and not (name in _OF_CALLBACKS and hasattr(kind, "set_model")):
            yield name, part
    for base in () if package else kind.__mro__:
        if of_package(base) or base.__module__ in sys.stdlib_module_names:
            break
        for name, member in vars(base).items():
            function = getattr(member, "__func__", member)
            if isinstance(function, types.FunctionType):
                yield f"{name}()", function


def _of_function(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    if not _is_foreign(function):
        return
    named = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    # A cell that is not filled yet has no contents, and compares as empty.
    yield from ((name, cell.cell_contents) for name, cell in named if cell != types.CellType())
    yield from ((str(at), each) for at, each in enumerate(function.__defaults__ or ()))
    yield from _globals_of(function.__code__, function.__globals__)


def _globals_of(code: types.CodeType, names: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The generators that code names directly; the rest of a program is not searched."""
    for name in code.co_names:
        if is_generator(names.get(name)):
            yield name, names[name]
