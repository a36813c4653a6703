"""What a public module says about a name that it does not have."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn


def not_yet(module: str) -> Callable[[str], NoReturn]:
    """The `__getattr__` of a public module: the error names what is missing and what is there.

    >>> not_yet("ferrnn.optimizers")("Lamb")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    AttributeError: 'Lamb' is not in ferrnn.optimizers: ... not have yet. Available: Adadelta, ...
    """

    def missing(name: str) -> NoReturn:
        owner = sys.modules[module]
        text = f"module {module!r} has no attribute {name!r}"
        if not name.startswith("_"):
            text = (
                f"{name!r} is not in {module}: a misspelling, or a name of Keras that ferrnn does "
                f"not have yet. Available: {', '.join(_names(vars(owner)))}"
            )
        raise AttributeError(text, name=name, obj=owner)

    return missing


def _names(members: dict[str, object]) -> list[str]:
    """What a module says it exports, else its classes."""
    exported = members.get("__all__")
    if isinstance(exported, list):
        return sorted(name for name in exported if not name.startswith("_"))
    classes = (name for name, value in members.items() if isinstance(value, type))
    return sorted(name for name in classes if not name.startswith("_"))
