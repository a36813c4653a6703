"""The loop of `fit`: epochs of batches, validation, callbacks, and a word about NaN."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np

from ferrnn.core.types import Array
from ferrnn.training.batches import Batch, Batches, Samples, checked_count
from ferrnn.training.callbacks import CallbackList, Logs


class Steps(Protocol):
    """What the loop needs of a model."""

    stop_training: bool
    _initial_epoch: int

    def train_step(self, x: Array, y: Array | None, sample_weight: Array | None) -> float:
        """One update from one batch; gives its loss."""

    def test_step(self, x: Array, y: Array | None, sample_weight: Array | None) -> float:
        """The loss of one batch."""

    def reset_metrics(self) -> None:
        """Forgets what metrics have gathered."""

    def metrics_result(self) -> dict[str, float]:
        """The values gathered so far."""


class Validation:
    """A pass over samples without training: `evaluate`, and the check after an epoch of `fit`."""

    def __init__(
        self,
        batches: Batches,
        steps: int | None = None,
        freq: int | Iterable[int] = 1,
        argument: str = "steps",
    ) -> None:
        if isinstance(freq, int) and freq < 1:
            raise ValueError(f"`validation_freq` must be a positive integer, received {freq}")
        self.batches = batches
        self.steps = len(batches) if steps is None else checked_count(steps, argument)
        self.freq = freq if isinstance(freq, int) else frozenset(freq)

    def due(self, epoch: int) -> bool:
        """Whether to run after this epoch (counted from 0)."""
        if isinstance(self.freq, int):
            return (epoch + 1) % self.freq == 0
        return epoch + 1 in self.freq

    def run(self, model: Steps, hooks: CallbackList) -> Logs:
        """Loss and metrics over the samples."""
        model.reset_metrics()
        hooks.tell("on_test_begin", {})
        telling = hooks.heard("on_test_batch_end")
        for step, batch in zip(range(self.steps), self.batches, strict=False):
            hooks.tell("on_test_batch_begin", step, {})
            model.test_step(*batch)
            if telling:
                hooks.tell("on_test_batch_end", step, model.metrics_result())
        logs = model.metrics_result()
        hooks.tell("on_test_end", logs)
        return logs


class EpochLoop:
    """Trains epoch after epoch until the last one or until `model.stop_training`."""

    def __init__(
        self,
        model: Steps,
        batches: Batches,
        hooks: CallbackList,
        steps_per_epoch: int | None = None,
        validation: Validation | None = None,
    ) -> None:
        if steps_per_epoch is not None:
            checked_count(steps_per_epoch, "steps_per_epoch")
        self.model = model
        self.batches = batches
        self.hooks = hooks
        self.validation = validation
        self.steps = len(batches) if steps_per_epoch is None else steps_per_epoch
        self._stream: Iterator[Batch] = iter(())
        self._left = 0
        self._reported = False

    def run(self, first: int, last: int) -> None:
        """Trains epochs `first` to `last - 1`."""
        model, hooks = self.model, self.hooks
        model.stop_training = False
        logs: Logs = {}
        hooks.tell("on_train_begin", {})
        # A callback may have restored a training that was interrupted.
        first, model._initial_epoch = model._initial_epoch or first, 0
        for epoch in range(first, last):
            model.reset_metrics()
            hooks.tell("on_epoch_begin", epoch, {})
            self._train(epoch)
            logs = model.metrics_result()
            if self.validation is not None and self.validation.due(epoch):
                found = self.validation.run(model, hooks)
                logs.update({f"val_{name}": value for name, value in found.items()})
            logs = _sorted(logs)
            hooks.tell("on_epoch_end", epoch, logs)
            if model.stop_training:
                break
        hooks.tell("on_train_end", logs)

    def _train(self, epoch: int) -> None:
        model, hooks = self.model, self.hooks
        begins, ends = hooks.heard("on_train_batch_begin"), hooks.heard("on_train_batch_end")
        for step, batch in enumerate(self._batches_of_epoch()):
            if begins:
                hooks.tell("on_train_batch_begin", step, {})
            loss = model.train_step(*batch)
            if not math.isfinite(loss) and not self._reported:
                self._report(loss, epoch, step)
            if ends:
                hooks.tell("on_train_batch_end", step, _sorted(model.metrics_result()))
            if model.stop_training:
                break

    def _batches_of_epoch(self) -> Iterator[Batch]:
        """The next `steps` batches: an epoch shorter than the data goes on where the last ended."""
        for step in range(self.steps):
            if not self._left:
                if step and self.steps != len(self.batches):
                    warnings.warn(
                        "Your input ran out of data; interrupting the epoch. `steps_per_epoch` is "
                        f"{self.steps}, the data makes {len(self.batches)} batches.",
                        stacklevel=5,
                    )
                    return
                self._stream, self._left = iter(self.batches), len(self.batches)
            self._left -= 1
            yield next(self._stream)

    def _report(self, loss: float, epoch: int, step: int) -> None:
        self._reported = True
        cause = not_finite(self.batches.samples) or (
            "The data is finite: training diverged. A smaller learning rate or `clipnorm` may help."
        )
        warnings.warn(
            f"The loss became {loss} in epoch {epoch + 1}, batch {step + 1}. {cause}",
            RuntimeWarning,
            stacklevel=5,
        )


def not_finite(samples: Samples) -> str | None:
    """Says which array holds NaN or infinity, and where it begins.

    >>> not_finite(Samples(np.array([[1.0], [np.nan]])))
    '`x` holds nan at sample 1, the first of 1 samples that are not finite.'
    """
    for name in ("x", "y", "sample_weight"):
        array = getattr(samples, name)
        if array is None or array.dtype.kind != "f":
            continue
        finite = np.isfinite(array).reshape(len(array), -1)
        bad = np.flatnonzero(~finite.all(axis=1))
        if bad.size:
            value = array.reshape(len(array), -1)[bad[0]][~finite[bad[0]]][0]
            return (
                f"`{name}` holds {value} at sample {bad[0]}, the first of {bad.size} samples that "
                "are not finite."
            )
    return None


def _sorted(logs: Logs) -> Logs:
    return dict(sorted(logs.items()))
