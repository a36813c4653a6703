"""Callbacks that end training early."""

from __future__ import annotations

import math

from ferrnn._src.configs.notices import warn
from ferrnn._src.training.callbacks import Callback, Logs
from ferrnn._src.training.monitor import MonitorCallback
from ferrnn._src.training.progress import write
from ferrnn._src.tree.types import Array


class EarlyStopping(MonitorCallback):
    """Stops when `monitor` has not improved by more than `min_delta` for `patience` epochs.

    `mode` is "min", "max" or "auto" (a loss should fall, a metric move in the direction it
    declares). `baseline` must be beaten; `restore_best_weights` ends with the weights of the best
    epoch, whether stopped early or not. The first `start_from_epoch` epochs do not count.

    >>> EarlyStopping(monitor="val_loss", patience=3).patience
    3
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self._reset()

    def _reset(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best = None
        self.best_epoch = 0
        self.best_weights: list[Array] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Resets the state from earlier training."""
        self._reset()

    def get_monitor_value(self, logs: Logs | None) -> float | None:
        """The monitored value; warns if the logs do not have it."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            warn(
                f"Early stopping conditioned on metric `{self.monitor}` which is not available. "
                f"Available metrics are: {','.join(logs or {})}"
            )
        return value

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compares, counts and may ask the model to stop."""
        self.comparison()  # raises for a name without a direction, whether it is in the logs or not
        current = self.get_monitor_value(logs)
        if current is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self._remember(epoch)  # so that there is something to restore if nothing improves
        self.wait += 1
        if self.is_improvement(current, self.best):
            self.best = current
            self._remember(epoch)
            if self.is_improvement(current, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Restores the best weights, if `restore_best_weights` is set."""
        if self.stopped_epoch > 0 and self.verbose:
            write(f"Epoch {self.stopped_epoch + 1}: early stopping\n")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose:
                write(
                    "Restoring model weights from the end of the best epoch: "
                    f"{self.best_epoch + 1}.\n"
                )
            self.model.set_weights(self.best_weights)

    def _remember(self, epoch: int) -> None:
        self.best_epoch = epoch
        if self.restore_best_weights:
            self.best_weights = self.model.get_weights()


class TerminateOnNaN(Callback):
    """Stops training when the loss of a batch is not finite; `raise_error` raises instead.

    >>> TerminateOnNaN().on_train_batch_end(0, {"loss": 0.5})
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Checks the loss."""
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(
                f"NaN or Inf loss encountered at batch {batch}. Loss value: {loss}. "
                "Terminating training immediately."
            )
        write(f"Batch {batch}: Invalid loss, terminating training\n")
        self.model.stop_training = True
