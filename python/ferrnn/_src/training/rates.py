"""Callbacks that change the learning rate between epochs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ferrnn._src.configs.notices import warn
from ferrnn._src.training.callbacks import Callback, Logs
from ferrnn._src.training.monitor import MonitorCallback
from ferrnn._src.training.optimizers.schedules import LearningRateSchedule
from ferrnn._src.training.progress import write


def optimizers_of(model: Any) -> list[Any]:
    """The model's optimizer, or the optimizers that it consists of."""
    optimizer = model.optimizer
    return list(getattr(optimizer, "optimizers", None) or [optimizer])


def rates_of(model: Any) -> Logs:
    """The learning rate, or those of several optimizers by their names, for the logs."""
    parts = optimizers_of(model)
    if parts == [model.optimizer]:
        return {"learning_rate": float(model.optimizer.learning_rate)}
    return {f"learning_rate_{each.name}": float(each.learning_rate) for each in parts}


def rates_if_any(model: Any) -> Logs:
    """As `rates_of`, but empty if an optimizer has no learning rate."""
    rated = all(hasattr(each, "learning_rate") for each in optimizers_of(model))
    return rates_of(model) if rated else {}


def _require_settable_rate(model: Any, callback: Callback) -> None:
    """Raises TypeError for optimizers whose rate is set by a schedule."""
    for optimizer in optimizers_of(model):
        rate = getattr(optimizer, "_learning_rate", None)
        if isinstance(rate, LearningRateSchedule):
            raise TypeError(
                f"{type(callback).__name__} sets the learning rate, which the optimizer "
                f"{optimizer.name!r} takes from a {type(rate).__name__}. This optimizer was "
                "created with a `LearningRateSchedule`, so its learning rate is not settable: pass "
                "a number as `learning_rate`, or leave out the callback"
            )


class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by `factor` if `monitor` has not improved for `patience` epochs.

    Then `cooldown` epochs do not count; the rate never falls below `min_lr`. `mode` and `min_delta`
    as for `EarlyStopping`. Adds "learning_rate" to the logs.

    >>> ReduceLROnPlateau(factor=0.5, patience=2).in_cooldown()
    False
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        if factor >= 1.0:
            raise ValueError(
                f"ReduceLROnPlateau does not support a factor >= 1.0. Received factor={factor}"
            )
        self.factor = factor
        self.min_lr = min_lr
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.cooldown_counter = 0
        self.wait = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Resets the state from earlier training."""
        _require_settable_rate(self.model, self)
        self.best, self.cooldown_counter, self.wait = None, 0, 0

    def in_cooldown(self) -> bool:
        """Whether epochs do not count because of a recent reduction."""
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compares, counts and may reduce the learning rate."""
        logs = {} if logs is None else logs
        logs.update(rates_of(self.model))
        current = logs.get(self.monitor)
        if current is None:
            warn(
                f"Learning rate reduction is conditioned on metric `{self.monitor}` which is not "
                f"available. Available metrics are: {','.join(logs)}."
            )
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.is_improvement(current, self.best):
            self.best = current
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and self._reduce(epoch):
                self.cooldown_counter = self.cooldown
                self.wait = 0

    def _reduce(self, epoch: int) -> bool:
        """Reduces each rate that is above `min_lr`; returns whether there was one."""
        found = False
        for optimizer in optimizers_of(self.model):
            old = float(optimizer.learning_rate)
            if old > np.float32(self.min_lr):
                found = True
                optimizer.learning_rate = new = max(old * self.factor, self.min_lr)
                if self.verbose:
                    what = f"Epoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {new}."
                    write(f"\n{what}\n")
        return found


class LearningRateScheduler(Callback):
    """Sets the learning rate at the beginning of each epoch to `schedule(epoch, learning_rate)`.

    `schedule` may also take only the epoch; it must return a float. Adds "learning_rate" to the
    logs.

    >>> LearningRateScheduler(lambda epoch, rate: rate * 0.9).verbose
    0
    """

    def __init__(self, schedule: Callable[..., Any], verbose: int = 0) -> None:
        super().__init__()
        if not callable(schedule):
            raise TypeError(
                f"`schedule` must be a function of the epoch and the rate, received {schedule!r}"
            )
        self.schedule = schedule
        self.verbose = verbose

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Raises TypeError for optimizers whose rate cannot be set."""
        _require_settable_rate(self.model, self)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Sets the learning rate."""
        for optimizer in optimizers_of(self.model):
            if not hasattr(optimizer, "learning_rate"):
                raise ValueError('Optimizer must have a "learning_rate" attribute.')
            optimizer.learning_rate = rate = self._next_rate(epoch, float(optimizer.learning_rate))
            if self.verbose:
                what = f"Epoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}."
                write(f"\n{what}\n")

    def _next_rate(self, epoch: int, before: float) -> float:
        try:
            rate = self.schedule(epoch, before)
        except TypeError:  # a function of the epoch alone
            rate = self.schedule(epoch)
        if not isinstance(rate, float | np.floating):
            raise ValueError(  # noqa: TRY004 - Keras' error
                f"The output of the `schedule` function should be a float. Got: {rate}"
            )
        return float(rate)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Logs the learning rate."""
        if logs is not None:
            logs.update(rates_of(self.model))
