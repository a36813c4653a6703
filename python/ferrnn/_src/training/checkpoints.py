"""Callbacks that write the model to files while it trains."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ferrnn._src.configs.notices import warn
from ferrnn._src.training.callbacks import Callback, Logs
from ferrnn._src.training.monitor import MonitorCallback
from ferrnn._src.training.progress import write


class _Rhythm:
    """Says after which batches something is due that is due every `every` batches."""

    def __init__(self, every: int | str, name: str) -> None:
        if every != "epoch" and (isinstance(every, bool) or not isinstance(every, int)):
            raise ValueError(
                f"Unrecognized save_freq: {every}. Expected save_freq are 'epoch' or integer "
                f"values (the number of batches), in {name}"
            )
        self.every = every
        self.last: int | None = None
        self._since = 0

    def due(self, batch: int) -> bool:
        """Whether it is due after this batch (counted from 0 in each epoch)."""
        if isinstance(self.every, str):
            return False
        new_epoch = self.last is None or batch <= self.last
        self._since += batch + 1 if new_epoch else batch - (self.last or 0)
        self.last = batch
        if self._since < self.every:
            return False
        self._since = 0
        return True


class ModelCheckpoint(MonitorCallback):
    """Saves the model, or with `save_weights_only` its weights, after epochs or batches.

    `filepath` ends in `.keras` (weights: `.weights.h5`) and may name `{epoch}` (counted from 1),
    `{batch}` and values of the logs, as in `"{epoch:02d}-{val_loss:.2f}.keras"`. With
    `save_best_only` only when `monitor` is better than ever, or than `initial_value_threshold`.
    `save_freq` is "epoch" or a number of batches.

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
        self.save_freq = save_freq
        self._rhythm = _Rhythm(save_freq, "ModelCheckpoint")
        self._epoch = 0
        if save_weights_only and not self.filepath.endswith(".weights.h5"):
            raise ValueError(
                "When using `save_weights_only=True` in `ModelCheckpoint`, the filepath provided "
                "must end in `.weights.h5` (Keras weights format). Received: "
                f"filepath={self.filepath}"
            )
        if not save_weights_only and not self.filepath.endswith((".keras", ".h5")):
            raise ValueError(
                "The filepath provided must end in `.keras` (Keras model format). Received: "
                f"filepath={self.filepath}"
            )

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Keeps the epoch's number."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Saves, if it is due."""
        if self._rhythm.due(batch):
            self._save(self._epoch, batch, logs or {})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Saves, if that is after epochs."""
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
        """Whether to save now; says so."""
        place = f"\nEpoch {epoch + 1}: "
        if not self.save_best_only:
            self._say(f"{place}saving model to {path}")
            return True
        current = logs.get(self.monitor)
        if current is None:
            warn(f"Can save best model only with {self.monitor} available.")
            return True
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


class BackupAndRestore(Callback):
    """Keeps what an interrupted training needs, in `backup_dir`, and goes on from there.

    After each epoch, or every `save_freq` batches, the weights and the optimizer's state are
    written to `latest.weights.h5` and the epoch to `training_metadata.json`. `fit` with the same
    `backup_dir` starts from these. `double_checkpoint` keeps the files before the latest too, as
    `.bkp`, for a computer that stops while writing; `delete_checkpoint` removes all at a normal
    end. The model must be built.

    >>> BackupAndRestore("backup").save_freq
    'epoch'
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: int | str = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        super().__init__()
        if not backup_dir:
            raise ValueError("Empty `backup_dir` argument passed")
        self.backup_dir = os.fspath(backup_dir)
        self.save_freq = save_freq
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._rhythm = _Rhythm(save_freq, "BackupAndRestore")
        self._epoch = 0
        self._weights = Path(self.backup_dir, "latest.weights.h5")
        self._metadata = Path(self.backup_dir, "training_metadata.json")

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Restores what there is; from the copies before, if the latest files are damaged."""
        try:
            self._restore()
        except OSError:
            if not _copy_of(self._weights).exists():
                raise
            for path in (self._weights, self._metadata):
                if _copy_of(path).exists():
                    path.write_bytes(_copy_of(path).read_bytes())
                else:
                    path.unlink(missing_ok=True)
            self._restore()

    def _restore(self) -> None:
        model = self.model
        if not model.built:
            raise ValueError(
                "To use the BackupAndRestore callback, your model must be built before you call "
                f"`fit()`. Model {model!r} is unbuilt. You can build it beforehand by calling it "
                "on a batch of data."
            )
        if self._weights.exists():
            if model.optimizer is not None and not model.optimizer.built:
                model.optimizer.build(model.trainable_variables)
            _method(model, "load_weights")(str(self._weights))
        if self._metadata.exists():
            self._epoch = json.loads(self._metadata.read_text(encoding="utf-8"))["epoch"]
            model._initial_epoch = self._epoch

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Writes, if that is after epochs."""
        self._epoch = epoch + 1
        self._rhythm.last = None
        if self.save_freq == "epoch":
            self._write(0)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Writes, if it is due."""
        if self._rhythm.due(batch):
            self._write(batch)

    def _write(self, batch: int) -> None:
        Path(self.backup_dir).mkdir(parents=True, exist_ok=True)
        if self.double_checkpoint:
            for path in (self._weights, self._metadata):
                if path.exists():
                    _copy_of(path).write_bytes(path.read_bytes())
        _method(self.model, "save_weights")(str(self._weights), overwrite=True)
        text = json.dumps({"epoch": self._epoch, "batch": batch})
        self._metadata.write_text(text, encoding="utf-8")

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Removes the files, unless they are to stay."""
        if not self.delete_checkpoint:
            return
        for path in (self._weights, self._metadata):
            path.unlink(missing_ok=True)
            _copy_of(path).unlink(missing_ok=True)
        folder = Path(self.backup_dir)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _copy_of(path: Path) -> Path:
    return path.with_name(path.name + ".bkp")


def _method(model: Any, name: str) -> Any:
    """A method of the model that reads or writes files."""
    found = getattr(model, name, None)
    if found is None:
        raise NotImplementedError(
            f"{type(model).__name__} has no `{name}`: this callback needs it. `get_weights` and "
            "`set_weights` give and take the weights as arrays"
        )
    return found
