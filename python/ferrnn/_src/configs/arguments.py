"""Constructor arguments that are remembered, for classes that write no `get_config`."""

from __future__ import annotations

import inspect
from typing import Any

from ferrnn._src.tree.tree import leaves_once

# What JSON holds as it is.
_PLAIN = (str, int, float, bool, type(None))


def remembered(kind: type, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
    """The arguments of a constructor by name; None if they are not plain data.

    >>> class Owner:
    ...     def __init__(self, units, rate=0.5, **options): ...
    >>> remembered(Owner, (3,), {"name": "own"}), remembered(Owner, (object(),), {})
    ({'units': 3, 'name': 'own'}, None)
    """
    if not all(isinstance(leaf, _PLAIN) for leaf in leaves_once([*args, *kwargs.values()])):
        return None
    names = [*inspect.signature(kind.__init__).parameters][1:]  # type: ignore[misc]
    return {**dict(zip(names, args, strict=False)), **kwargs}
