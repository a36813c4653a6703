"""Terminal output in a notebook, redrawn in a few lines instead of growing."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ferrnn._src.configs import config
from ferrnn._src.faces import later

if TYPE_CHECKING:
    import html
else:
    html = later("html")

# Minimum seconds between two updates, which go to the browser and back.
INTERVAL = 0.25
# The number of lines shown; earlier lines are only counted.
_MOST = 12
_STYLES = {"1": "font-weight:bold", "32": "color:#2e8b57", "37": "color:#c8cdd2"}
_SEQUENCE = re.compile("\x1b\\[(\\d+)m")


class Screen:
    """Takes output for a terminal, and shows its last lines in one place of a notebook.

    `display` is IPython's. Text that comes too soon after the last update waits for the next one,
    or for `flush`.
    """

    interval = INTERVAL

    def __init__(self, display: Callable[..., Any]) -> None:
        self._display = display
        self._handle: Any = None
        self._lines = [""]
        self._before = 0
        self._drawn = float("-inf")
        self._waiting = False

    def write(self, message: str) -> None:
        """Adds text; a carriage return restarts the line."""
        first, *others = message.split("\n")
        self._lines[-1] = _over(self._lines[-1], first)
        self._lines += [_over("", each) for each in others]
        excess = len(self._lines) - 1 - _MOST
        if excess > 0:
            del self._lines[:excess]
            self._before += excess
        self._waiting = True
        if time.perf_counter() - self._drawn >= self.interval:
            self.flush()

    def flush(self) -> None:
        """Shows pending text."""
        if not self._waiting:
            return
        self._waiting, self._drawn = False, time.perf_counter()
        lines = self._lines if self._lines[-1] else self._lines[:-1]
        if self._before:
            lines = [f"... {self._before} lines before ...", *lines]
        text = "\n".join(line.rstrip() for line in lines)
        shown = {"text/plain": text, "text/html": as_html(text)}
        if self._handle is None:
            self._handle = self._display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)


def _over(line: str, text: str) -> str:
    """A line after text has been written over it."""
    *_, last = (line + text).split("\r")
    return last


def as_html(text: str) -> str:
    r"""Text with a terminal's colours as HTML.

    >>> as_html("\x1b[1ma<b\x1b[0m").partition(">")[2]
    '<span style="font-weight:bold">a&lt;b</span></pre>'
    """
    styled = _SEQUENCE.sub(
        lambda found: (
            "</span>" if found[1] == "0" else f'<span style="{_STYLES.get(found[1], "")}">'
        ),
        html.escape(text, quote=False),
    )
    return f'<pre style="margin:0;line-height:1.25;white-space:pre-wrap">{styled}</pre>'


def screen_of_notebook() -> Screen | None:
    """A screen in the running cell of a notebook; None elsewhere, or if output is redirected."""
    of_kernel = type(sys.stdout).__module__.startswith("ipykernel")
    if not of_kernel or not config.is_interactive_logging_enabled():
        return None
    # Loaded already wherever a kernel runs.
    from IPython.display import (  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415
        display,
    )

    return Screen(display)
