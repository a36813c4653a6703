"""Classes and functions of users, which configurations name."""

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
    """A decorator that registers a class or function as `package>name`, for files to name.

    >>> @register_keras_serializable("doctest")
    ... class Registered:
    ...     def get_config(self):
    ...         return {}
    >>> registered_name(Registered)
    'doctest>Registered'
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
    """The name under which a class or function is registered, or its own name without a package."""
    for known, value in _registered.items():
        if value is obj:
            return known
    return str(getattr(obj, "__name__", obj))


@contextmanager
def custom_object_scope(custom_objects: Mapping[str, Any] | None) -> Iterator[None]:
    """A scope in which names are looked up in `custom_objects` as well.

    >>> with custom_object_scope({"Mine": int}):
    ...     get_registered_object("Mine")
    <class 'int'>
    """
    token = _scoped.set((*_scoped.get(), custom_objects or {}))
    try:
        yield
    finally:
        _scoped.reset(token)


CustomObjectScope = custom_object_scope


def get_custom_objects() -> dict[str, Any]:
    """The registered classes and functions, as a dict that may be changed."""
    return _registered


def scoped_object(name: object) -> Any:
    """The object of a name in the enclosing scopes, the innermost first, or None."""
    scopes = (scope[name] for scope in reversed(_scoped.get()) if name in scope)
    return next(scopes, None)


def custom_object(name: object) -> Any:
    """The object of a name in the enclosing scopes or among registered ones, or None.

    >>> with custom_object_scope({"Mine": int}):
    ...     custom_object("Mine")
    <class 'int'>
    >>> custom_object("Mine") is None
    True
    """
    found = scoped_object(name)
    return _registered.get(name) if found is None else found  # type: ignore[call-overload]


def registered_without_package(name: str) -> Any:
    """What was last registered under `name` in any package, or None."""
    for full in reversed(_registered):
        if full.rpartition(">")[2] == name:
            return _registered[full]
    return None


def get_registered_object(
    name: str,
    custom_objects: Mapping[str, Any] | None = None,
    module_objects: Mapping[str, Any] | None = None,
) -> Any:
    """The class or function of a name: registered, from a scope or given; None if there is none.

    >>> get_registered_object("Mine", {"Mine": int}), get_registered_object("Other")
    (<class 'int'>, None)
    """
    with custom_object_scope(custom_objects):
        found = custom_object(name)
    return (module_objects or {}).get(name) if found is None else found
