"""Warnings that point at the line of user code that caused them."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import Any, TypeAlias

# What a warning says, and its category.
Notice: TypeAlias = "tuple[str, type[Warning]]"

# Files that are not the user's: those of this package and of the tracer that runs users' code.
_INSIDE = ("ferrnn", "autograd")

_gathering: ContextVar[list[Notice] | None] = ContextVar("gathering", default=None)


@contextmanager
def gathered(notices: list[Notice]) -> Iterator[None]:
    """A block whose warnings join a list instead, for whoever can say what they are about.

    >>> notices = []
    >>> with gathered(notices):
    ...     warn("told later")
    >>> notices
    [('told later', <class 'UserWarning'>)]
    """
    token = _gathering.set(notices)
    try:
        yield
    finally:
        _gathering.reset(token)


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warns as `warnings.warn` does, at the innermost line of code outside this package.

    Filters and the rule "once for each line" then apply to the user's line, however deep the call.

    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn("told")
    >>> str(caught[0].message), "notices" in caught[0].filename
    ('told', False)
    """
    notices = _gathering.get()
    if notices is not None:
        notices.append((message, category))
        return
    frame: FrameType | None = sys._getframe(1)
    level = 2
    while frame is not None and _is_inside(frame):
        frame = frame.f_back
        level += 1
    warnings.warn(message, category, stacklevel=level)


def _is_inside(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__") or ""
    return str(name).partition(".")[0] in _INSIDE


def warn_of_no_gradient(weights: Iterable[Any]) -> None:
    """Warns of weights that a loss does not depend on."""
    missing = [weight.path for weight in weights]
    warn(f"Gradients do not exist for variables {missing} when minimizing the loss.")
