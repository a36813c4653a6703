"""Keras' progress bar, or plain lines if the output is not a terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from ferrnn._src.configs import config
from ferrnn._src.faces import later

if TYPE_CHECKING:
    import logging
else:
    logging = later("logging")


def is_interactive() -> bool:
    """Whether standard output can be redrawn: in a terminal or a notebook."""
    return config.is_interactive_logging_enabled() and (
        (hasattr(sys.stdout, "isatty") and sys.stdout.isatty())
        or "ipykernel" in sys.modules
        or "PYCHARM_HOSTED" in os.environ
    )


def write(message: str) -> None:
    """Writes to standard output at once; characters that it cannot show become question marks.

    Without a standard output (`pythonw`, some services) nothing is written. If interactive
    logging is disabled, text goes to the logger `ferrnn` instead.
    """
    if not config.is_interactive_logging_enabled():
        logging.getLogger("ferrnn").info("%s", message.strip("\n"))
        return
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(message)
    except UnicodeEncodeError:
        encoding = sys.stdout.encoding or "ascii"
        sys.stdout.write(message.replace("━", "=").encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()


def checked_verbose(verbose: str | int) -> str | int:
    """`verbose`, if it is one of "auto", 0, 1 and 2."""
    if verbose not in ("auto", 0, 1, 2):
        raise ValueError(f"`verbose` must be 'auto', 0, 1 or 2, received {verbose!r}")
    return verbose


class Progbar:
    """Shows how many of `target` steps are done, the time they took, and values.

    With `verbose` 1, on a terminal, a bar is redrawn at most every `interval` seconds; elsewhere
    a line is printed as often. With `verbose` 2, one line is printed at the end. A `target` of
    None means that the number is not known. Values are averaged over the steps, except those in
    `stateful_metrics`; with `stateless_metrics`, only those named there.

    >>> bar = Progbar(2, verbose=2)
    >>> bar.update(1, [("loss", 0.5)])
    >>> bar.update(2, [("loss", 0.25)])  # doctest: +ELLIPSIS
    2/2 - 0s - ...s/step - loss: 0.2500
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ) -> None:
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError(
                "Only one of `stateful_metrics` or `stateless_metrics` can be provided: each names "
                "the exceptions from the other"
            )
        self.target = target
        self.width = width
        self.verbose = verbose
        self.interval = interval
        self.unit_name = unit_name
        self.stateful_metrics = set(stateful_metrics or ())
        self.stateless_metrics = None if stateless_metrics is None else set(stateless_metrics)
        self.interactive = is_interactive()
        self._sums: dict[str, list[float]] = {}
        self._seen = 0
        self._start = time.perf_counter()
        self._first: float | None = None
        self._drawn = 0.0
        self._columns = 0
        self._write: Callable[[str], None] = write

    def draw_on(self, writer: Callable[[str], None], interval: float) -> None:
        """Sends the bar to `writer`, at most every `interval` seconds."""
        self._write, self.interval = writer, interval

    def due(self) -> bool:
        """Whether a bar would be drawn now, to compute values only if it is."""
        if self.verbose != 1 or not self.interactive:
            return False
        return time.perf_counter() - self._drawn >= self.interval

    def update(
        self,
        current: int,
        values: Iterable[tuple[str, float]] | None = None,
        finalize: bool | None = None,
    ) -> None:
        """Shows that step `current` is done; `finalize` (default: at the last) ends the line."""
        last = self.target is not None and current >= self.target if finalize is None else finalize
        self._gather(current, values or (), last)
        now = time.perf_counter()
        per_step = self._time_per_step(current, now)
        if self.verbose == 1:
            if last or now - self._drawn >= self.interval:
                drawn = self._bar(current, now, per_step, last) if self.interactive else None
                self._write(drawn or self._line(current, now, per_step))
                self._drawn = now
        elif self.verbose and last:
            self._write(self._line(current, now, per_step))

    def add(self, n: int, values: Iterable[tuple[str, float]] | None = None) -> None:
        """Shows that another `n` steps are done."""
        self.update(self._seen + n, values)

    def _gather(self, current: int, values: Iterable[tuple[str, float]], last: bool) -> None:
        steps = max(current - self._seen, 1)
        for name, value in values:
            number = float(np.mean(value))
            if last or self._is_stateful(name):
                self._sums[name] = [number, 1]
            else:
                total = self._sums.setdefault(name, [0.0, 0])
                total[0] += number * steps
                total[1] += steps
        self._seen = current

    def _is_stateful(self, name: str) -> bool:
        if self.stateless_metrics is not None:
            return name not in self.stateless_metrics
        return name in self.stateful_metrics

    def _time_per_step(self, current: int, now: float) -> float:
        """The mean time of a step, without the first one if there are more, as it warms up."""
        if not current:
            return 0.0
        first = self._first
        if current == 1:
            self._first = now
        if first is not None and current > 1:
            return (now - first) / (current - 1)
        return (now - self._start) / current

    def _bar(self, current: int, now: float, per_step: float, last: bool) -> str:
        if self.target:
            count = f"{current:{len(str(self.target))}d}/{self.target}"
            done = min(int(self.width * current / self.target), self.width)
            cells = f"\x1b[32m{'━' * done}\x1b[0m\x1b[37m{'━' * (self.width - done)}\x1b[0m"
            columns = len(count) + 1 + self.width
            bar = f"\x1b[1m{count}\x1b[0m {cells}"
        else:
            bar = f"{current:7d}/Unknown"
            columns = len(bar)
        left = per_step * (self.target - current) if self.target and not last else None
        clock = f"{now - self._start:.0f}s" if left is None else _remaining(left)
        rest = f" {_duration(per_step)}/{self.unit_name}{self._shown()}"
        columns += 1 + len(clock) + len(rest)
        blank = " " * max(self._columns - columns, 0)
        self._columns = columns
        return f"\r{bar} \x1b[1m{clock}\x1b[0m{rest}{blank}" + ("\n" if last else "")

    def _line(self, current: int, now: float, per_step: float) -> str:
        count = f"{current}/{self.target}" if self.target else f"{current}/Unknown"
        clock = f"{now - self._start:.0f}s - {_duration(per_step)}/{self.unit_name}"
        return f"{count} - {clock}{self._shown()}\n"

    def _shown(self) -> str:
        means = {name: total / max(steps, 1) for name, (total, steps) in self._sums.items()}
        return shown_values(means)


def shown_values(values: Mapping[str, float]) -> str:
    """Names and values as a bar shows them: with four decimals, or an exponent below a thousandth.

    >>> shown_values({"loss": 0.25, "mae": 0.0001})
    ' - loss: 0.2500 - mae: 1.0000e-04'
    """
    parts = (
        f" - {name}: {value:.4f}" if abs(value) > 1e-3 else f" - {name}: {value:.4e}"
        for name, value in values.items()
    )
    return "".join(parts)


def _duration(seconds: float) -> str:
    if seconds >= 1 or seconds == 0:
        return f"{seconds:.0f}s"
    return f"{seconds * 1e3:.0f}ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us"


def _remaining(seconds: float) -> str:
    whole = int(seconds)
    if whole > 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
    return f"{whole // 60}:{whole % 60:02d}" if whole > 60 else f"{whole}s"
