"""A cache of programs: users' code is traced once for its shapes and settings."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from ferrnn._src.programs.lowering import Code, Lowered, Shapes, lowered
from ferrnn._src.programs.recorder import UnsupportedError
from ferrnn._src.weights.one_version import one_version

# Programs that an owner keeps: one for each shape of its inputs, for training and without.
_KEPT = 16
_programs: WeakKeyDictionary[Any, OrderedDict[Any, Lowered | str]] = WeakKeyDictionary()
_lock = threading.Lock()


def program(
    owner: Any, key: tuple[Any, ...], asked: Callable[[], tuple[Code, Shapes]]
) -> Lowered | str:
    """The program for a `key`, or the reason why the owner's code cannot be one.

    What is `asked` for is called if nobody has asked before.
    """
    with _lock:
        kept = _programs.setdefault(owner, OrderedDict())
        if key in kept:
            kept.move_to_end(key)
            return kept[key]
    found: Lowered | str
    try:
        with one_version():
            found = lowered(owner, *asked())
    except UnsupportedError as error:
        found = str(error)
    with _lock:
        kept[key] = found
        while len(kept) > _KEPT:
            kept.popitem(last=False)
    return found
