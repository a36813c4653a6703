"""Objects by name, class or configuration, as Keras identifies them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any


def resolve(
    kind: str,
    identifier: Any,
    classes: Mapping[str, type],
    custom_objects: Mapping[str, Any] | None = None,
) -> Any:
    """The object for an identifier; `kind` names it in the error. None stays None.

    >>> resolve("regularizer", None, {}) is None
    True
    """
    if identifier is None:
        return None
    known = {**classes, **(custom_objects or {})}
    found = identifier
    if isinstance(identifier, str):
        found = known.get(identifier)
    elif isinstance(identifier, dict):
        names = (str(identifier.get(key)) for key in ("registered_name", "class_name"))
        named = next((known[name] for name in names if name in known), None)
        config = identifier.get("config")
        if isinstance(named, type) and hasattr(named, "from_config"):
            return named.from_config(dict(config or {}))
        # A function of the user's own is written down by its name alone.
        found = named or (known.get(config) if isinstance(config, str) else None)
    if isinstance(found, type):
        return found()
    if callable(found):
        return found
    raise ValueError(f"Could not interpret {kind} identifier: {identifier!r}")


def configuration(owner: Any, module: str, classes: Mapping[str, type]) -> Any:
    """An object as plain data; what has no `get_config` is handed on as it is.

    >>> configuration(None, "keras.regularizers", {}) is None
    True
    """
    if not hasattr(owner, "get_config"):
        return owner
    kind = type(owner)
    known = classes.get(kind.__name__) is kind
    return {
        "module": module if known else kind.__module__,
        "class_name": kind.__name__,
        "config": owner.get_config(),
        "registered_name": None if known else kind.__name__,
    }


def overridden(kind: Any, first: str, second: str, base: Any) -> bool:
    """Whether a class below `base` writes `first` itself, and not `second` further down.

    >>> class Base:
    ...     def one(self): ...
    ...     def two(self): ...
    >>> class Below(Base):
    ...     def one(self): ...
    >>> overridden(Below, "one", "two", Base), overridden(Below, "two", "one", Base)
    (True, False)
    """
    return _overridden(kind, first, second, base)


@functools.lru_cache(maxsize=256)
def _overridden(kind: Any, first: str, second: str, base: Any) -> bool:
    for each in kind.__mro__:
        if each is base or second in vars(each):
            return False
        if first in vars(each):
            return True
    return False
