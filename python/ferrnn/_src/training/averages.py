"""A callback for evaluating and saving with averaged weights."""

from __future__ import annotations

from typing import Any

from ferrnn._src.training.callbacks import Callback, Logs
from ferrnn._src.training.rates import optimizers_of
from ferrnn._src.weights.one_version import one_version


class SwapEMAWeights(Callback):
    """Evaluates and predicts with the moving averages that an optimizer with `use_ema=True` keeps.

    With `swap_on_epoch` the averages are in the model at the end of each epoch as well, for a
    `ModelCheckpoint` later in the list.

    >>> SwapEMAWeights().swap_on_epoch
    False
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._swapped = False

    def _pairs(self) -> list[tuple[Any, Any]]:
        """Each weight that has an average, and its average."""
        pairs: list[tuple[Any, Any]] = []
        for optimizer in optimizers_of(self.model):
            averages = getattr(optimizer, "_model_variables_moving_average", None)
            if averages:
                pairs += zip(optimizer._trainable_variables, averages, strict=True)
        if not pairs:
            raise ValueError(
                "SwapEMAWeights must be used when `use_ema=True` is set on the optimizer. "
                f"Received: use_ema={getattr(self.model.optimizer, 'use_ema', False)}"
            )
        return pairs

    def _swap(self, averaged: bool) -> None:
        """Puts the averages into the model, or the weights back."""
        if self._swapped == averaged:
            return
        with one_version():
            for weight, average in self._pairs():
                kept = weight.numpy()
                weight.assign(average.numpy())
                average.assign(kept)
        self._swapped = averaged

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Raises ValueError for optimizers that keep no averages."""
        self._pairs()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Puts the weights back for training."""
        if self.swap_on_epoch:
            self._swap(False)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Puts the averages in, with `swap_on_epoch`."""
        if not self.swap_on_epoch:
            return
        self._swap(True)
        if epoch == self.params["epochs"] - 1:
            # At its end `fit` sets weights to the averages, which must be in the optimizer then.
            for weight, average in self._pairs():
                average.assign(weight.numpy())

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Puts the averages in."""
        self._swap(True)

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Puts the weights back."""
        self._swap(False)

    def on_predict_begin(self, logs: Any = None) -> None:
        """Puts the averages in."""
        self._swap(True)

    def on_predict_end(self, logs: Any = None) -> None:
        """Puts the weights back."""
        self._swap(False)
