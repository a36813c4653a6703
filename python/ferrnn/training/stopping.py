"""Callbacks that end training early."""

from __future__ import annotations

import math
import warnings
from typing import Any

from ferrnn.core.types import Array
from ferrnn.training.callbacks import Callback, Logs
from ferrnn.training.progress import write

_LARGER_IS_BETTER = ("acc", "accuracy", "auc", "precision", "recall", "f1_score", "r2_score")


class EarlyStopping(Callback):
    """Stops when `monitor` has not improved by more than `min_delta` for `patience` epochs.

    `mode` is "min", "max" or "auto" (by the name). `baseline` is what must be beaten;
    `restore_best_weights` ends with the weights of the best epoch, whether stopped early or not.

    >>> EarlyStopping(monitor="val_loss", patience=3).mode
    'min'
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
        super().__init__()
        self.monitor = monitor
        self.min_delta = abs(min_delta)
        self.patience = patience
        self.verbose = verbose
        self.mode = _direction(monitor, mode)
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self._reset()

    def _reset(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best = math.inf if self.mode == "min" else -math.inf
        self.best_epoch = 0
        self.best_weights: list[Array] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forgets earlier trainings."""
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compares, counts and may ask the model to stop."""
        current = (logs or {}).get(self.monitor)
        if current is None:
            warnings.warn(
                f"Early stopping conditioned on metric `{self.monitor}` which is not available. "
                f"Available metrics are: {','.join(logs or {})}",
                stacklevel=2,
            )
            return
        if epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self._remember(epoch)  # so that there is something to restore if nothing improves
        self.wait += 1
        if self._better(current, self.best):
            self.best = current
            self._remember(epoch)
            if self.baseline is None or self._better(current, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Restores the best weights, if asked for."""
        if self.stopped_epoch > 0 and self.verbose:
            write(f"Epoch {self.stopped_epoch + 1}: early stopping\n")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose:
                write(
                    "Restoring model weights from the end of the best epoch: "
                    f"{self.best_epoch + 1}.\n"
                )
            self.model.set_weights(self.best_weights)

    def _better(self, value: float, reference: float) -> bool:
        if self.mode == "min":
            return value < reference - self.min_delta
        return value > reference + self.min_delta

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

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Looks at the loss."""
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        message = f"Batch {batch}: Invalid loss, terminating training"
        if self.raise_error:
            raise RuntimeError(message)
        write(message + "\n")
        self.model.stop_training = True


def _direction(monitor: str, mode: Any) -> str:
    if mode in ("min", "max"):
        return str(mode)
    if mode != "auto":
        raise ValueError(f"`mode` must be 'auto', 'min' or 'max', received {mode!r}")
    name = monitor.removeprefix("val_")
    return "max" if name.endswith(_LARGER_IS_BETTER) else "min"
