"""Says in the log which code of users runs in Python, and why: a message once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferrnn._src.faces import later

if TYPE_CHECKING:
    import logging
else:
    logging = later("logging")

_told: set[tuple[str, str]] = set()


def tell(what: str, why: str) -> None:
    """Warns in the log of `ferrnn` that something is not the engine's, unless that was said before.

    >>> tell("the layer `Sorted` runs", "its code has the operation `sort`")
    """
    if (what, why) not in _told:
        _told.add((what, why))
        logging.getLogger("ferrnn").warning("%s in Python, not in the engine: %s", what, why)


def forget() -> None:
    """Forgets what was said: it is said once more."""
    _told.clear()
