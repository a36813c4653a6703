"""What the loop of `fit` asks of a callback that keeps the whole training."""

from __future__ import annotations

from typing import Any

from ferrnn._src.training.callbacks import Callback


class Keeper(Callback):
    """A callback that keeps the whole training, with what it is told about by the loop itself.

    The loop calls `recall` after all callbacks have heard that training begins, and `keep` after
    all have heard of a batch or an epoch.
    """

    counts_batches = False  # whether to be called after batches
    in_fit = False  # whether a loop calls these methods

    def recall(self, loop: Any) -> bool:
        """Makes the loop go on with a training that was interrupted; whether there is one."""
        raise NotImplementedError(f"{type(self).__name__} must define `recall`")

    def begin(self, loop: Any) -> None:
        """Training is about to begin, with none before it to go on with."""

    def give_up(self) -> None:
        """The training that began has failed before its first batch was done."""

    def remind(self, loop: Any) -> None:
        """Gives back once more what `recall` gave, after an epoch has begun anew."""

    def keep(self, loop: Any) -> None:
        """Keeps the training, if that is due."""
        raise NotImplementedError(f"{type(self).__name__} must define `keep`")

    def forget(self) -> None:
        """Training has ended."""

    def settle(self) -> None:
        """Training has ended or was interrupted: nothing may be under way afterwards."""
