"""matplotlib for all that draws: figures that notebooks show and that can be written to files."""

from __future__ import annotations

import io
from functools import cache
from typing import Any


def figure(width: float, height: float) -> Any:
    """An empty figure of a size in inches, without pyplot and the windows that come with it.

    Raises:
        ImportError: matplotlib is not installed.
    """
    return _kind()(figsize=(width, height), layout="constrained")


def short_dates(axis: Any) -> None:
    """Lets an axis of dates say of each no more than what differs from the others."""
    from matplotlib import dates  # noqa: PLC0415 - optional

    formatter: Any = dates.ConciseDateFormatter  # whose types matplotlib does not tell
    axis.set_major_formatter(formatter(axis.get_major_locator()))


@cache
def _kind() -> Any:
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - optional
    except ImportError as error:
        raise ImportError(
            "pictures need matplotlib, which the extra `plot` brings: pip install 'ferrnn[plot]'"
        ) from error

    class Shown(Figure):
        def _repr_png_(self) -> bytes:
            file = io.BytesIO()
            self.savefig(file, format="png")
            return file.getvalue()

    return Shown
