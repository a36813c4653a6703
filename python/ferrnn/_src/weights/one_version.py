"""Weights that belong together are written and read under one lock, for use by several threads.

A layer's call then computes with the weights from before a `set_weights`, an update or a load, or
with those from after it, never with a mixture.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

# One reentrant lock for all weights, held while several are written, read or packed. A call whose
# weights are packed already does not take it.
_lock = threading.RLock()


def one_version() -> threading.RLock:
    """The lock to hold, in a `with` statement, while several weights are written or read."""
    return _lock


def reads_one_version(function: Callable[P, R]) -> Callable[P, R]:
    """A decorator: no other thread writes weights while `function` runs.

    >>> @reads_one_version
    ... def twice(weight):
    ...     return weight + weight
    >>> twice(2)
    4
    """

    @wraps(function)
    def reading(*args: P.args, **kwargs: P.kwargs) -> R:
        with _lock:
            return function(*args, **kwargs)

    return reading


def _after_fork() -> None:
    """Replaces the lock in a forked child, where the thread that held it does not exist."""
    global _lock  # noqa: PLW0603 - one for the process
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
