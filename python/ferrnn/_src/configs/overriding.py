"""Which of two methods the author of a class has overridden."""

from __future__ import annotations

import functools
from typing import Any


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
