"""The base of callbacks that compare a monitored value with the best one so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ferrnn._src.configs.notices import warn
from ferrnn._src.faces import public
from ferrnn._src.training import metrics
from ferrnn._src.training.callbacks import Callback


class MonitorCallback(Callback):
    """The base of callbacks that watch `monitor`, a name in the logs.

    `mode` is "min", "max", or "auto": a loss should fall, a metric move in the direction it
    declares. `best` starts at `baseline`; an improvement must exceed `min_delta`.

    >>> watching = MonitorCallback("val_loss", min_delta=0.5)
    >>> watching.is_improvement(1.0, None), watching.is_improvement(1.0, 1.25)
    (True, False)
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: str = "auto",
        baseline: float | None = None,
        min_delta: float = 0,
    ) -> None:
        super().__init__()
        if mode not in ("auto", "min", "max"):
            warn(f"{type(self).__name__} mode '{mode}' is unknown, fallback to auto mode.")
            mode = "auto"
        self.monitor = monitor
        self.mode = mode
        self.best = baseline
        self.min_delta = abs(min_delta)
        self.monitor_op: Callable[[Any, Any], Any] | None = None
        self._sign = 0  # sign of the better direction

    def is_improvement(self, value: float, reference: float | None) -> bool:
        """Whether `value` is better than `reference` by more than `min_delta`."""
        if reference is None:
            return True
        return bool(self.comparison()(value - self._sign * self.min_delta, reference))

    def comparison(self) -> Callable[[Any, Any], Any]:
        """The function that compares two values, chosen once the model's metrics are known."""
        if self.monitor_op is None:
            self._sign = 1 if self._larger_is_better() else -1
            self.monitor_op = public("ops", "greater" if self._sign > 0 else "less")
        return self.monitor_op

    def _larger_is_better(self) -> bool:
        if self.mode != "auto":
            return self.mode == "max"
        name = self.monitor.removeprefix("val_")
        if name == "loss" or name.endswith("_loss"):
            return False
        direction = _direction(name, getattr(self.model, "metrics", ()))
        if direction is None:
            raise ValueError(
                f"{type(self).__name__} callback received monitor={self.monitor}, but it cannot be "
                "determined automatically whether that metric should be maximized or minimized. "
                "Pass `mode='max'` in order to monitor based on the highest metric value, or pass "
                "`mode='min'` in order to use the lowest value."
            )
        return direction == "up"


def _direction(name: str, compiled: Any) -> str | None:
    """The better direction of the compiled metric, or of Keras' metric, of this name."""
    for metric in (part for each in compiled for part in getattr(each, "metrics", [each])):
        own = getattr(metric, "name", "")
        # With several outputs, names in the logs begin with the output's.
        if own and (name == own or name.endswith(f"_{own}")):
            found: str | None = getattr(metric, "_direction", None)
            if found is not None:
                return found
    if name == "acc" or name.endswith("_acc"):
        return "up"
    try:
        known = metrics.registry.named(name)
    except KeyError:
        return None
    return known._direction
