"""Weights that belong together are written as one and read as one, whatever other threads do.

A layer's call then computes with the weights before a `set_weights`, an update or a load, or with
those after it, and never with some of each.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

# One lock for all weights, held while several are written and while several are read or packed: a
# call whose weights are packed already does not ask for it. Whoever has it may take it again.
_lock = threading.RLock()


def one_version() -> threading.RLock:
    """What to hold, in a `with` statement, while weights are written or read as one."""
    return _lock


def reads_one_version(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, during which no other thread writes weights.

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
    """A thread that held the lock at a fork does not live in the child."""
    global _lock  # noqa: PLW0603 - there is one for the process
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
