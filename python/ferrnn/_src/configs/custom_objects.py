"""Classes and functions of users, known by name where configurations are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

_registered: dict[str, Any] = {}
_scoped: ContextVar[tuple[Mapping[str, Any], ...]] = ContextVar("custom_objects", default=())
Kind = TypeVar("Kind")


def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[[Kind], Kind]:
    """A decorator that makes a class or function known as `package>name` to files.

    >>> @register_keras_serializable("doctest")
    ... class Mine:
    ...     def get_config(self):
    ...         return {}
    >>> registered_name(Mine)
    'doctest>Mine'
    """

    def register(kind: Kind) -> Kind:
        own = name or kind.__name__  # type: ignore[attr-defined]
        if isinstance(kind, type) and not hasattr(kind, "get_config"):
            raise ValueError(
                "Cannot register a class that does not have a get_config() method, received "
                f"{kind!r}"
            )
        _registered[f"{package}>{own}"] = kind
        return kind

    return register


def registered_name(obj: Any) -> str:
    """The name under which a class or function is known; without a package if nobody said so."""
    for known, value in _registered.items():
        if value is obj:
            return known
    return str(getattr(obj, "__name__", obj))


@contextmanager
def custom_object_scope(custom_objects: Mapping[str, Any]) -> Iterator[None]:
    """Names are looked up in `custom_objects` as well inside.

    >>> with custom_object_scope({"Mine": int}):
    ...     known_objects()["Mine"]
    <class 'int'>
    """
    token = _scoped.set((*_scoped.get(), custom_objects))
    try:
        yield
    finally:
        _scoped.reset(token)


CustomObjectScope = custom_object_scope


def get_custom_objects() -> dict[str, Any]:
    """The registered classes and functions, a dict that may be written to."""
    return _registered


def known_objects(custom_objects: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """All that names may mean: registered, of the scopes around, and given, the last first."""
    known: dict[str, Any] = {}
    for full, value in _registered.items():
        known[full] = known[full.split(">")[-1]] = value
    for scope in _scoped.get():
        known.update(scope)
    known.update(custom_objects or {})
    return known
