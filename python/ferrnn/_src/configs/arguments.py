"""Constructor arguments, recorded for classes that do not define `get_config`."""

from __future__ import annotations

import inspect
from typing import Any

from ferrnn._src.tree.tree import leaves_once

# Types that JSON has.
_PLAIN = (str, int, float, bool, type(None))


class SettingsError(TypeError, ValueError):
    """A constructor refuses the arguments of a configuration."""


def made_of(kind: Any, settings: dict[str, Any]) -> Any:
    """Makes an object of a class from settings; errors of its constructor name the class.

    >>> made_of(complex, {"real": 1, "imag": 2})
    (1+2j)
    """
    try:
        return kind(**settings)
    except (TypeError, ValueError) as error:
        raise SettingsError(
            f"Error when deserializing class {kind.__name__!r} using config={settings!r}. "
            f"{type(error).__name__}: {error}"
        ) from error


def remembered(kind: type, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
    """The arguments of a constructor call by name, or None if they are not plain data.

    >>> class Owner:
    ...     def __init__(self, units, rate=0.5, **options): ...
    >>> remembered(Owner, (3,), {"name": "own"}), remembered(Owner, (object(),), {})
    ({'units': 3, 'name': 'own'}, None)
    """
    if not all(isinstance(leaf, _PLAIN) for leaf in leaves_once([*args, *kwargs.values()])):
        return None
    names = [*inspect.signature(kind.__init__).parameters][1:]  # type: ignore[misc]
    return {**dict(zip(names, args, strict=False)), **kwargs}
