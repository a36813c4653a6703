"""matplotlib for everything that draws: figures that notebooks show and files store."""

from __future__ import annotations

import io
from functools import cache
from typing import Any


def figure(width: float, height: float) -> Any:
    """An empty figure of the given size in inches, made without pyplot and its windows.

    Raises:
        ImportError: matplotlib is not installed.
    """
    return _kind()(figsize=(width, height), layout="constrained")


def short_dates(axis: Any, zone: Any = None) -> None:
    """Shortens the labels of a date axis, in a time zone, to what differs between them."""
    from matplotlib import dates  # noqa: PLC0415 - optional

    kinds: Any = dates  # matplotlib has no type annotations here
    locator = kinds.AutoDateLocator(tz=zone)
    axis.set_major_locator(locator)
    axis.set_major_formatter(kinds.ConciseDateFormatter(locator, tz=zone))


@cache
def _kind() -> Any:
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - optional
    except ImportError as error:
        raise ImportError(
            "figures need matplotlib, which the extra `plot` installs: pip install 'ferrnn[plot]'"
        ) from error

    class Shown(Figure):
        def _repr_png_(self) -> bytes:
            file = io.BytesIO()
            self.savefig(file, format="png")
            return file.getvalue()

    return Shown
