"""What users' code reads beside weights: the attributes of its owner, told so as to be compared."""

from __future__ import annotations

import functools
import types
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np

from ferrnn._src.layer.layer import Layer
from ferrnn._src.programs.recorder import UnsupportedError
from ferrnn._src.weights import random
from ferrnn._src.weights.parameter import Parameter, structure_version

_PLAIN = frozenset({bool, int, float, str, type(None), complex, bytes})
_CONTAINERS = (list, tuple, dict, set, frozenset, deque)
# A larger array, and what a longer list holds, count as changed only if another takes its place.
_MOST_BYTES = 1 << 18
_MOST = 256
# Attributes that training sets, maybe in another thread, and no code of a layer or model reads.
_OF_TRAINING = frozenset(
    (
        "_called_with", "_called_with_zeros", "_collects", "_compile_config", "_compile_metrics",
        "_expanded", "_inference", "_initial_epoch", "_loss", "_loss_mean", "_loss_means",
        "_metrics",
        "_own_logs", "_packed", "_plans", "_prepared", "_regularized", "_trained", "history",
        "jit_compile", "loss", "optimizer", "run_eagerly", "steps_per_execution",
        "stop_evaluating", "stop_predicting", "stop_training",
    )
)  # fmt: skip
# And those that each call sets.
_BESIDE = _OF_TRAINING | {
    "_activity_losses", "_added_losses", "_building", "_held", "_inbound_nodes"
}  # fmt: skip


def settings_of(owner: Any) -> tuple[Any, ...]:
    """What a trace may have read besides weights: the attributes of the owner and of its layers.

    Plain values and arrays count themselves, of others which object they are, and what an object of
    a user's class has as attributes. So do global variables, and those around a function, that the
    code reads, but for lists. Every call asks for it.
    """
    told: list[Any] = []
    telling = _Telling(told, owner)
    for each in telling.owners:
        attributes = vars(each)
        names = [name for name in attributes if name not in _OF_TRAINING]
        told += names
        telling.tell([attributes[name] for name in names])
        telling.tell_around(_code_of(each))
    return tuple(told)


def _code_of(owner: Any) -> Any:
    return owner if type(owner) is types.FunctionType else type(owner)


class _Telling:
    """Lists values, and collects the layers among them, whose attributes count too."""

    __slots__ = ("held", "owners", "seen", "told")

    def __init__(self, told: list[Any], *owners: Any) -> None:
        self.told, self.owners = told, [*owners]
        self.held: list[Any] = []  # what was told by its content, which code may change
        self.seen: set[int] = {*map(id, owners)}

    def tell(self, values: Iterable[Any]) -> None:
        told = self.told
        for value in values:
            kind = type(value)
            if kind in _PLAIN:
                told += (kind, value)
            elif isinstance(value, _CONTAINERS):
                told += (kind, len(value))
                first = self._first(value)
                if len(value) > _MOST:
                    told.append(id(value))
                elif first:
                    self.tell(value)  # of a dict, the keys
                    if isinstance(value, dict):
                        self.tell(value.values())
            elif isinstance(value, np.ndarray) and kind is not Parameter:
                whole = value.nbytes <= _MOST_BYTES and not value.dtype.hasobject
                if whole and value.flags.writeable:
                    self.held.append(value)
                told += (value.shape, value.dtype, value.tobytes() if whole else id(value))
            elif isinstance(value, np.generic):
                told += (kind, value.tobytes())
            else:
                self._tell_object(value)

    def _first(self, value: Any) -> bool:
        """Whether a value is told for the first time: it may hold itself."""
        if id(value) in self.seen:
            return False
        self.seen.add(id(value))
        if isinstance(value, list | dict | set | deque):
            self.held.append(value)
        return True

    def _tell_object(self, value: Any) -> None:
        self.told.append(id(value))
        if isinstance(value, Parameter):
            self.told.append(value.trainable)
        elif isinstance(value, Layer):
            if self._first(value):
                self.owners.append(value)
        elif type(value) is types.FunctionType:
            if self._first(value):
                self.tell_around(value)
        elif isinstance(value, functools.partial):
            self.tell((value.func, value.args, value.keywords))
        elif _of_user(value) and self._first(value):
            self.tell((vars(value),))

    def tell_around(self, code: Any) -> None:
        """What code of a user's, a class or a function, reads from around it."""
        variables, functions, _ = _around(code)
        self.tell([known.get(name) for known, name in variables])
        for function in functions:
            self.tell((function.__defaults__, function.__kwdefaults__))
            self.tell(map(_content, function.__closure__ or ()))


# What variables around code count by. Lists are not among it: code writes to them what it does.
_TOLD = (dict, tuple, np.ndarray, np.generic)
_LOGS = (list, set, deque)
# The variables with plain values that code reads, of classes and global ones, each as a mapping and
# a name in it, the functions in it that have closures or defaults, and all names in the code.
_Around: TypeAlias = "tuple[list[tuple[Any, str]], list[types.FunctionType], frozenset[str]]"
_known: WeakKeyDictionary[Any, _Around] = WeakKeyDictionary()


def _around(code: Any) -> _Around:
    found = _known.get(code)
    if found is None:
        found = _known[code] = _looked_around(code)
    return found


def _looked_around(code: Any) -> _Around:
    waiting: list[Any] = [code]
    variables: dict[tuple[int, str], tuple[Any, str]] = {}
    seen: dict[Any, None] = {}
    while waiting:
        each = waiting.pop()
        each = getattr(each, "__func__", getattr(each, "fget", each))
        each = getattr(each, "__wrapped__", each)
        kinds = each.__mro__ if isinstance(each, type) else (each,)
        for part in kinds:
            if not isinstance(part, type | types.FunctionType) or part in seen:
                continue
            if not _by_user(part.__module__):
                continue
            seen[part] = None
            for known, name in _read(part):
                value = known[name]
                if type(value) in _PLAIN or isinstance(value, _TOLD):
                    variables[id(part), name] = known, name
                else:
                    waiting.append(value)
    functions = [each for each in seen if isinstance(each, types.FunctionType)]
    closed = [each for each in functions if _has_more(each)]
    names = frozenset(name for each in functions for name in names_in(each.__code__))
    return [*variables.values()], closed, names


def mentions(code: Any, name: str) -> bool:
    """Whether code of a user's, a class or a function, or what it calls by name, has a name in it.

    >>> mentions(len, "add_loss")
    False
    """
    return isinstance(code, type | types.FunctionType) and name in _around(code)[2]


def _has_more(function: types.FunctionType) -> bool:
    return bool(function.__closure__ or function.__defaults__ or function.__kwdefaults__)


def _read(part: Any) -> list[tuple[Any, str]]:
    """The attributes of a class, or the global variables that a function names, with their place.

    Each is a mapping and a name in it.
    """
    if isinstance(part, type):
        own = vars(part)
        return [(own, name) for name in own if not name.startswith("__") or name == "__call__"]
    known = part.__globals__
    return [(known, name) for name in names_in(part.__code__) if name in known]


def names_in(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from names_in(constant)


def _by_user(module: str | None) -> bool:
    return (module or "").partition(".")[0] not in _LIBRARIES


def _content(cell: types.CellType) -> Any:
    try:
        value = cell.cell_contents
    except ValueError:  # it is empty
        return None
    return None if isinstance(value, _LOGS) else value


def _of_user(value: Any) -> bool:
    """Whether a value is an object of a class that a user wrote, with plain attributes."""
    kind = type(value)
    if kind.__flags__ & _HEAP == 0 or isinstance(value, type) or not hasattr(value, "__dict__"):
        return False
    return _by_user(kind.__module__)


# Classes that are made by `class` in Python.
_HEAP = 1 << 9
_LIBRARIES = frozenset(("builtins", "ferrnn", "numpy", "pandas", "logging", "threading"))


class Watched:
    """The attributes of a layer or model of a user's, and of those inside, as they are now.

    >>> layer = type("Scaled", (Layer,), {"__module__": "own"})()
    >>> layer.factor = 2.0
    >>> watched = Watched(layer)
    >>> watched.same()
    True
    >>> layer.factor = 3.0
    >>> watched.same()
    False
    """

    __slots__ = ("_owners", "_told")

    def __init__(self, owner: Any) -> None:
        known: dict[int, Any] = {}
        waiting = [owner]
        while waiting:
            each = waiting.pop()
            if id(each) not in known:
                known[id(each)] = each
                waiting += each.sublayers()
        # Attributes of the others count up the version of the structure.
        users = (each for each in known.values() if not type(each).__module__.startswith("ferrnn."))
        self._owners = [*users]
        self._told = self._now()

    def same(self) -> bool:
        """Whether the attributes are what they were."""
        return self._now() == self._told

    def _now(self) -> list[Any]:
        told: list[Any] = []
        telling = _Telling(told, *self._owners)
        for each in self._owners:
            attributes = vars(each)
            names = [name for name in attributes if name not in _BESIDE]
            told += (type(each).call, *names)
            telling.tell([attributes[name] for name in names])
            telling.tell_around(type(each))
        return told


class Kept:
    """What was found for the code of a layer, as long as that holds.

    >>> kept = Kept(Layer(), "a sort")
    >>> kept.found if kept.holds() else "looked at again"
    'a sort'
    """

    __slots__ = ("_version", "found", "watched")

    def __init__(self, layer: Any, found: Any) -> None:
        self.found, self._version, self.watched = found, structure_version(), Watched(layer)

    def holds(self) -> bool:
        """Whether layers, and what the code reads beside them, are what they were."""
        return self._version == structure_version() and self.watched.same()


@contextmanager
def unchanged(owner: Any) -> Iterator[None]:
    """Takes back what code inside does to its owner's attributes: such code is not a program.

    Nor is code that draws from the global generators of random numbers, which are set back too.
    """
    before, drawn = settings_of(owner), random.all_places()
    telling = _Telling([], owner)
    for each in telling.owners:
        telling.tell((vars(each),))
        telling.tell_around(_code_of(each))
    kept = [(value, value.copy()) for value in telling.held]
    try:
        yield
    finally:
        changed = settings_of(owner) != before
        draws = random.all_places() != drawn
        if changed:
            for value, content in kept:
                _restore(value, content)
        if draws:
            random.set_all_places(drawn)
    if draws:
        raise UnsupportedError("random numbers")
    if changed:
        raise UnsupportedError("an assignment to an attribute of its own")


def _restore(value: Any, content: Any) -> None:
    """Gives a dict, a list, a set or an array its former content."""
    if isinstance(value, dict):
        for name in value.keys() - content.keys() - _OF_TRAINING:
            del value[name]
        value.update({name: content[name] for name in content.keys() - _OF_TRAINING})
    elif isinstance(value, np.ndarray):
        np.copyto(value, content)
    elif isinstance(value, list):
        value[:] = content
    else:
        value.clear()
        (value.extend if isinstance(value, deque) else value.update)(content)
