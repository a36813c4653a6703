"""The callback that saves the state of training, and resumes a training that was interrupted."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from ferrnn._src.configs.notices import warn
from ferrnn._src.files.drafts import remove_abandoned
from ferrnn._src.files.errors import FileError, reading
from ferrnn._src.training.callbacks import Logs
from ferrnn._src.training.checkpoints import checked_freq
from ferrnn._src.training.resuming.container import Packed, is_plain, unpacked
from ferrnn._src.training.resuming.keeper import Keeper
from ferrnn._src.training.resuming.memory import Memory
from ferrnn._src.training.resuming.writer import Writer

# The seconds of work that checkpoints after epochs may take, plus a share of the time.
_ALLOWANCE, _SHARE = 0.02, 0.005


class BackupAndRestore(Keeper):
    """Saves the state of training in `backup_dir` and resumes from it after an interruption.

    At the start, and then after each epoch or every `save_freq` batches, the whole training state
    is written to one file: weights, optimizer, random numbers, metrics, the place in the data,
    callbacks, history. `fit` with the same model, data, callbacks and `backup_dir` resumes from it,
    even in the middle of an epoch, and ends with the weights, to the bit, that it would have had
    without the interruption; no seed needs to be set. Callbacks of your own take part through
    `get_state` and `set_state`, and so may data; the page "Resuming training" says how.

    The previous checkpoint is kept as well: if the last one is damaged, training resumes from the
    previous one, with a warning. `delete_checkpoint` removes both at a normal end.
    `double_checkpoint` is accepted but has no effect. Files are written in the background; if
    the disk is slower than training, the newest one is written next. Where checkpoints after epochs
    of milliseconds would take more than half a percent of the time, some epochs get none.

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
        self.save_freq = checked_freq(save_freq, "BackupAndRestore")
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self.counts_batches = save_freq != "epoch"
        self._files = [Path(self.backup_dir, f"{number}.checkpoint") for number in (0, 1)]
        self._begin()

    def _begin(self) -> None:
        self._writer = Writer(self._files)
        self._number = 0  # of the last checkpoint
        self._batches = 0  # since the last checkpoint
        self._began, self._seconds = time.perf_counter(), 0.0  # spent by training's own thread
        self._recalled: Any = None
        self._own_loop: _OwnLoop | None = None

    def __getstate__(self) -> dict[str, Any]:
        left = ("_writer", "_recalled", "_own_loop")
        return {name: value for name, value in vars(self).items() if name not in left}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._begin()

    # Called by the loop of `fit`.

    def recall(self, loop: Any) -> bool:
        self._begin()
        found = self._read()
        if found is None:
            return False
        self._number = found["number"]
        if Path(found["file"]) == self._files[0]:
            self._writer.paths.reverse()  # the last intact file is replaced last
        rests = loop.memory.restore(found["memory"])
        loop.go_on(found["epoch"], found["step"], found["logs"], rests.get("data"))
        self._recalled = found["memory"] if found["step"] else None
        return True

    def begin(self, loop: Any) -> None:
        self._write(loop)

    def give_up(self) -> None:
        self._remove()

    def remind(self, loop: Any) -> None:
        if self._recalled is not None:
            loop.memory.give_back(self._recalled)
            self._recalled = None

    def keep(self, loop: Any) -> None:
        if self.save_freq == "epoch":
            if not loop.step and (loop.ends or self._affordable()):
                self._write(loop)
            return
        if loop.step:
            self._batches += 1
            if self._batches >= int(self.save_freq):
                self._write(loop)

    def _affordable(self) -> bool:
        """Whether checkpoints have taken so little time that another may be written."""
        spent = self._seconds + self._writer.seconds
        return spent <= _ALLOWANCE + _SHARE * (time.perf_counter() - self._began)

    def _write(self, loop: Any) -> None:
        began = time.thread_time()
        self._batches = 0
        self._number += 1
        self._writer.put(
            Packed(
                {
                    "number": self._number,
                    "epoch": loop.epoch,
                    "step": loop.step,
                    "logs": {name: each for name, each in loop.logs.items() if is_plain(each)},
                    "memory": loop.memory.state(inside=bool(loop.step) or not loop.whole),
                }
            )
        )
        self._seconds += time.thread_time() - began

    def forget(self) -> None:
        """Removes the files, unless they are to be kept."""
        self._writer.settle()
        if self.delete_checkpoint:
            self._remove()

    def _remove(self) -> None:
        self._writer.settle()
        for path in self._files:
            path.unlink(missing_ok=True)
        folder = Path(self.backup_dir)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()

    def settle(self) -> None:
        self._writer.settle()

    # For users' own training loops.

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Restores the model, its optimizer and all generators; `fit` calls `recall` instead."""
        if not self.model.built:
            raise ValueError(
                "To use the BackupAndRestore callback, your model must be built before you call "
                f"`fit()`. Model {self.model!r} is unbuilt. You can build it beforehand by calling "
                "it on a batch of data."
            )
        if not self.in_fit:
            loop = _OwnLoop(self.model)
            if self.recall(loop):
                self.model._initial_epoch = loop.epoch
            else:
                self.begin(loop)
                self.settle()
            self._own_loop = loop

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Writes a checkpoint if one is due."""
        self._told(epoch + 1, 0)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Removes the files, unless they are to be kept."""
        if self._own_loop is not None:
            self.forget()

    def _told(self, epoch: int, step: int) -> None:
        if self._own_loop is not None:
            self._own_loop.epoch, self._own_loop.step = epoch, step
            self.keep(self._own_loop)
            self.settle()

    # Files.

    def _read(self) -> dict[str, Any] | None:
        """The newest intact checkpoint."""
        found, damaged = list[dict[str, Any]](), list[FileError]()
        for path in filter(Path.exists, self._files):
            try:
                with reading(path):
                    found.append({**unpacked(path.read_bytes()), "file": str(path)})
            except FileError as error:  # noqa: PERF203 - there are two files
                damaged.append(error)
        for path in self._files:
            remove_abandoned(path)
        newest = max(found, key=lambda each: each["number"], default=None)
        if damaged and newest is None:
            first = damaged[0]
            reason = f"{first.reason}. No checkpoint is intact: remove the folder to start over"
            raise FileError(first.filename, first.place, reason) from first
        if damaged:
            warn(
                f"The checkpoint {damaged[0]}. Training goes on from {newest['file']!r}, after "  # type: ignore[index]
                f"epoch {newest['epoch']} and batch {newest['step']}."  # type: ignore[index]
            )
        return newest


class _OwnLoop:
    """The state of a loop that only calls the hooks of callbacks: the model, and the epoch."""

    whole, ends = True, True

    def __init__(self, model: Any) -> None:
        self.memory = Memory(model)
        self.epoch, self.step, self.logs = 0, 0, dict[str, Any]()

    def go_on(self, epoch: int, step: int, logs: Logs, rest: Any) -> None:
        self.epoch, self.step, self.logs = epoch, step, logs
