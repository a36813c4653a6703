"""A callback that writes for TensorBoard, through the package tensorboardX."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from ferrnn._src.training.callbacks import Callback, Logs
from ferrnn._src.training.rates import rates_if_any
from ferrnn._src.tree.types import Array


class TensorBoard(Callback):
    """Writes losses and metrics to `log_dir/train` and `log_dir/validation`, for TensorBoard.

    Needs `pip install ferrnn[tensorboard]`. After each epoch "epoch_loss" and so on, and the
    learning rate; with `update_freq` "batch" or a number, "batch_loss" and so on every so many
    batches. `histogram_freq` is the number of epochs between histograms of the weights, with
    `write_images` their pictures too; `write_graph` writes the summary of the model as text.
    Profiles and embeddings are not written.

    >>> TensorBoard("logs", update_freq=100).log_dir
    'logs'
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: int | str = "epoch",
        profile_batch: Any = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ) -> None:
        super().__init__()
        if profile_batch:
            raise ValueError(
                f"Profiling is not available. Received: profile_batch={profile_batch} (must be 0)"
            )
        if embeddings_freq:
            raise NotImplementedError("`embeddings_freq`: embeddings are not written yet")
        whole = isinstance(update_freq, int) and not isinstance(update_freq, bool)
        if update_freq not in ("batch", "epoch") and not (whole and update_freq > 0):  # type: ignore[operator]
            raise ValueError(
                "`update_freq` must be 'batch', 'epoch' or a number of batches, received "
                f"{update_freq!r}"
            )
        _summary_writer()  # raises early if the package is missing
        self.log_dir = str(log_dir)
        self.histogram_freq = histogram_freq
        self.write_graph = write_graph
        self.write_images = write_images
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = 1 if update_freq == "batch" else update_freq
        self._writers: dict[str, Any] = {}
        self._batches = 0
        self._batch_began = 0.0
        self._epoch_began = 0.0
        self._iterations_before = 0

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_writers": {}}  # a copy opens its own files

    @property
    def unheard(self) -> frozenset[str]:
        """Hooks without effect, if nothing is written after batches."""
        hooks = ("on_train_batch_begin", "on_train_batch_end")
        return frozenset(hooks if self.update_freq == "epoch" else ())

    def _writer(self, kind: str) -> Any:
        if kind not in self._writers:
            self._writers[kind] = _summary_writer()(str(Path(self.log_dir, kind)))
        return self._writers[kind]

    def set_model(self, model: Any) -> None:
        """Writes the summary of the model."""
        super().set_model(model)
        self._writers = {}
        if self.write_graph and getattr(model, "built", False) and hasattr(model, "summary"):
            lines: list[str] = []
            model.summary(print_fn=lambda line, **_: lines.append(str(line)))
            self._writer("train").add_text(
                "keras", "    " + "\n".join(lines).replace("\n", "\n    ")
            )

    def get_state(self) -> int:
        """The number of batches; clocks are not saved."""
        return self._batches

    def set_state(self, state: int) -> None:
        """Restores the number of batches."""
        self._batches = state

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Counts batches from 0."""
        self._batches = 0

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Starts the clock."""
        self._batch_began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Writes the running values, every `update_freq` batches."""
        self._batches += 1
        if isinstance(self.update_freq, str) or self._batches % self.update_freq:
            return
        writer = self._writer("train")
        if self.write_steps_per_second:
            rate = 1.0 / max(time.perf_counter() - self._batch_began, 1e-9)
            writer.add_scalar("batch_steps_per_second", rate, self._batches)
        for name, value in (logs or {}).items():
            writer.add_scalar(f"batch_{name}", value, self._batches)

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Writes the values over the number of updates so far."""
        iterations = getattr(self.model.optimizer, "iterations", None)
        if iterations is None:
            return
        for name, value in (logs or {}).items():
            tag = f"evaluation_{name}_vs_iterations"
            self._writer("validation").add_scalar(tag, value, int(iterations))

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Starts the clock."""
        self._epoch_began = time.perf_counter()
        if self.write_steps_per_second:
            self._iterations_before = int(self.model.optimizer.iterations)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Writes the epoch's values, and histograms if they are due."""
        if logs:
            self._write_epoch(epoch, logs)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_weights(epoch)
        for writer in self._writers.values():
            writer.flush()

    def _write_epoch(self, epoch: int, logs: Logs) -> None:
        train = {name: value for name, value in logs.items() if not name.startswith("val_")}
        optimizer = self.model.optimizer
        train.update(rates_if_any(self.model))
        if self.write_steps_per_second:
            steps = int(optimizer.iterations) - self._iterations_before
            passed = max(time.perf_counter() - self._epoch_began, 1e-9)
            train["steps_per_second"] = steps / passed
        for name, value in train.items():
            self._writer("train").add_scalar(f"epoch_{name}", value, epoch)
        for name, value in logs.items():
            if name.startswith("val_"):
                tag = f"epoch_{name.removeprefix('val_')}"
                self._writer("validation").add_scalar(tag, value, epoch)

    def _write_weights(self, epoch: int) -> None:
        writer = self._writer("train")
        for weight in self.model.weights:
            name = weight.path.replace(":", "_")
            writer.add_histogram(f"{name}/histogram", weight.numpy(), epoch)
            picture = _picture(weight.numpy()) if self.write_images else None
            if picture is not None:
                writer.add_image(f"{name}/image", picture, epoch, dataformats="HW")

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Closes the files."""
        for writer in self._writers.values():
            writer.close()
        self._writers = {}


def _picture(weight: Array) -> Array | None:
    """A weight of at most two axes as a picture in landscape format, with values from 0 to 1."""
    flat = np.squeeze(weight)
    if flat.ndim > 2 or not flat.size:
        return None
    flat = np.atleast_2d(flat)
    flat = flat.T if flat.shape[0] > flat.shape[1] else flat
    low, high = float(flat.min()), float(flat.max())
    return np.asarray((flat - low) / ((high - low) or 1.0))


def _summary_writer() -> Any:
    """The class of the package tensorboardX."""
    try:
        from tensorboardX import (  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415
            SummaryWriter,
        )
    except ImportError:
        raise ImportError(
            "TensorBoard requires the `tensorboardX` library: pip install ferrnn[tensorboard]"
        ) from None
    return SummaryWriter
