"""The interface between the loop of `fit` and a callback that saves the state of training."""

from __future__ import annotations

from typing import Any

from ferrnn._src.training.callbacks import Callback


class Keeper(Callback):
    """A callback that saves the whole state of training, and the methods that the loop calls.

    The loop calls `recall` after the `on_train_begin` of all callbacks, and `keep` after all their
    hooks for the end of a batch or an epoch.
    """

    counts_batches = False  # whether `keep` is called after batches
    in_fit = False  # whether a loop calls these methods

    def recall(self, loop: Any) -> bool:
        """Makes the loop resume an interrupted training; returns whether there is one."""
        raise NotImplementedError(f"{type(self).__name__} must define `recall`")

    def begin(self, loop: Any) -> None:
        """Called when training begins without one to resume."""

    def give_up(self) -> None:
        """Called if training fails before its first batch is done."""

    def remind(self, loop: Any) -> None:
        """Restores the state from `recall` again, after an epoch has been restarted."""

    def keep(self, loop: Any) -> None:
        """Saves the state of training, if a save is due."""
        raise NotImplementedError(f"{type(self).__name__} must define `keep`")

    def forget(self) -> None:
        """Called when training has ended."""

    def settle(self) -> None:
        """Called when training has ended or was interrupted; waits for pending writes."""
