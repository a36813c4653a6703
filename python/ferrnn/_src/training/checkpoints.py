"""Callbacks that write the model to files while it trains."""

from __future__ import annotations

import os
import re
import string
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ferrnn._src.configs.notices import warn
from ferrnn._src.training.callbacks import LambdaCallback, Logs
from ferrnn._src.training.monitor import MonitorCallback
from ferrnn._src.training.progress import write
from ferrnn._src.training.resuming.walk import of_package


def checked_freq(save_freq: Any, name: str) -> int | str:
    """`save_freq` of the callback `name`: "epoch" or a number of batches."""
    whole = isinstance(save_freq, int) and not isinstance(save_freq, bool) and save_freq > 0
    if save_freq != "epoch" and not whole:
        raise ValueError(
            f"Invalid value for `save_freq`. Unrecognized save_freq: {save_freq}. Expected "
            f"save_freq are 'epoch' or integer values (the number of batches), in {name}"
        )
    return save_freq  # type: ignore[no-any-return]


class ModelCheckpoint(MonitorCallback):
    """Saves the model, or with `save_weights_only` its weights, after epochs or batches.

    `filepath` ends in `.keras` or `.safetensors` (weights: `.weights.h5`) and may name `{epoch}`
    (counted from 1), `{batch}` and values of the logs, as in `"{epoch:02d}-{val_loss:.2f}.keras"`.
    With `save_best_only`, only when `monitor` is better than ever before, or than
    `initial_value_threshold`. `save_freq` is "epoch" or a number of batches.

    >>> ModelCheckpoint("best.keras", save_best_only=True).filepath
    'best.keras'
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: int | str = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode, initial_value_threshold)
        self.verbose = verbose
        self.filepath = os.fspath(filepath)
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = checked_freq(save_freq, "ModelCheckpoint")
        self._last_batch: int | None = None
        self._batches = 0  # since the last save
        self._epoch = 0
        if save_weights_only and not self.filepath.endswith(".weights.h5"):
            raise ValueError(
                "When using `save_weights_only=True` in `ModelCheckpoint`, the filepath provided "
                "must end in `.weights.h5` (Keras weights format). Received: "
                f"filepath={self.filepath}"
            )
        if not save_weights_only and not self.filepath.endswith((".keras", ".safetensors")):
            raise ValueError(
                "The filepath provided must end in `.keras` (Keras model format) or "
                f"`.safetensors`. Received: filepath={self.filepath}"
            )

        self._check_places()
        if save_best_only and save_freq != "epoch" and monitor.startswith("val_"):
            raise ValueError(
                f"ModelCheckpoint cannot compare monitor={monitor!r} every {save_freq} batches, as "
                "it is known only after epochs: pass save_freq='epoch' or another `monitor`"
            )

    def _check_places(self) -> None:
        """Stores the names in the path; refuses names that are unknown when it is written."""
        try:
            parts = list(string.Formatter().parse(self.filepath))
        except ValueError as error:
            raise ValueError(
                f"`filepath` {self.filepath!r} is not a valid format string: {error}"
            ) from None
        self.names = [re.split(r"[.\[]", name)[0] for _, name, _, _ in parts if name is not None]
        by_epoch = self.save_freq == "epoch"
        for name in self.names:
            never = name == "batch" if by_epoch else name.startswith("val_")
            if not name or name.isdecimal() or never:
                raise ValueError(
                    f"`filepath` {self.filepath!r} names {name!r}, which is not known with "
                    f"save_freq={self.save_freq!r}: expected 'epoch', "
                    + ("" if by_epoch else "'batch', ")
                    + "and names of the logs"
                )

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Stores the number of the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Saves, if a save is due."""
        if self._due(batch):
            self._save(self._epoch, batch, logs or {})

    def _due(self, batch: int) -> bool:
        """Whether to save after this batch (counted from 0 in each epoch)."""
        if isinstance(self.save_freq, str):
            return False
        new_epoch = self._last_batch is None or batch <= self._last_batch
        self._batches += batch + 1 if new_epoch else batch - (self._last_batch or 0)
        self._last_batch = batch
        if self._batches < self.save_freq:
            return False
        self._batches = 0
        return True

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Saves, if `save_freq` is "epoch"."""
        if self.save_freq == "epoch":
            self._save(epoch, None, logs or {})

    def _save(self, epoch: int, batch: int | None, logs: Logs) -> None:
        path = self._path(epoch, batch, logs)
        if not self._wanted(epoch, logs, path):
            return
        if Path(path).is_dir():
            raise OSError(
                "Please specify a non-directory filepath for ModelCheckpoint. Filepath used is an "
                f"existing directory: {path}"
            )
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if self.save_weights_only:
            _method(self.model, "save_weights")(path, overwrite=True)
        else:
            _method(self.model, "save")(path, overwrite=True)
        if self.verbose:
            write(f"\nEpoch {epoch + 1}: finished saving model to {path}\n")

    def _path(self, epoch: int, batch: int | None, logs: Logs) -> str:
        places: dict[str, Any] = {"epoch": epoch + 1, **logs}
        if batch is not None:
            places.setdefault("batch", batch + 1)
        try:
            return self.filepath.format(**places)
        except KeyError as error:
            raise KeyError(
                f'Failed to format this callback filepath: "{self.filepath}". Reason: {error}'
            ) from None

    def _wanted(self, epoch: int, logs: Logs, path: str) -> bool:
        """Whether to save now; prints the reason."""
        place = f"\nEpoch {epoch + 1}: "
        if not self.save_best_only:
            self._say(f"{place}saving model to {path}")
            return True
        current = logs.get(self.monitor)
        if current is None:
            warn(f"Can save best model only with {self.monitor} available.")
            # The best measured model is not overwritten by an unmeasured one.
            return self.best is None
        best = "None" if self.best is None else f"{self.best:.5f}"
        if not self.is_improvement(current, self.best):
            self._say(f"{place}{self.monitor} did not improve from {best}")
            return False
        self._say(
            f"{place}{self.monitor} improved from {best} to {current:.5f}, saving model to {path}"
        )
        self.best = current
        return True

    def _say(self, message: str) -> None:
        if self.verbose:
            write(message + "\n")


def _method(model: Any, name: str) -> Any:
    """The model's method that writes or reads files."""
    found = getattr(model, name, None)
    if found is None:
        raise NotImplementedError(
            f"{type(model).__name__} has no `{name}`, which this callback needs. `get_weights` and "
            "`set_weights` get and set the weights as arrays"
        )
    return found


def refuse_names_of_validation(callbacks: Iterable[Any]) -> None:
    """Raises ValueError for paths with values of validation if `fit` has no validation.

    If there are users' callbacks, such paths are accepted, as these may log such values.
    """
    given = list(callbacks)
    if any(isinstance(each, LambdaCallback) or not of_package(type(each)) for each in given):
        return
    for each in given:
        names = each.names if isinstance(each, ModelCheckpoint) else ()
        for name in names:
            if name.startswith("val_"):
                raise ValueError(
                    f"`filepath` {each.filepath!r} of ModelCheckpoint names {name!r}, but `fit` "
                    "has no validation: pass `validation_data`, or another path"
                )
