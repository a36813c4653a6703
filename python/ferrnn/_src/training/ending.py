"""Warnings and errors for passes over data that were short or empty."""

from __future__ import annotations

from typing import Any

import numpy as np

from ferrnn._src.configs.notices import warn
from ferrnn._src.training.batches import GivenBatches, Source
from ferrnn._src.training.py_dataset import PyDataset
from ferrnn._src.training.samples import Batch
from ferrnn._src.tree.tree import flatten


class Ending:
    """Warns once about empty passes over a source, and once about short ones.

    The argument named `argument` limits a pass to `steps` batches (None: no limit). The first pass
    must yield samples.

    >>> ending = Ending(GivenBatches(iter([]), "x"), "steps", None)
    >>> ending.note(0, filled=False)
    Traceback (most recent call last):
    ...
    ValueError: `x` yields no batch that holds samples, received an iterator that has ended
    """

    def __init__(self, source: Source, argument: str, steps: int | None) -> None:
        refuse_endless(source, argument, steps)
        self.source = source
        self.argument = argument
        self.steps = steps
        self.begun = False  # whether a pass has yielded samples
        self._said_empty = self._said_short = False

    def note(self, batches: int, *, filled: bool) -> None:
        """Called at the end of a pass with its number of batches, and whether they held samples."""
        if not filled:
            self._note_empty()
            return
        self.begun = True
        wanted = self.source.count if self.steps is None else self.steps
        if wanted is not None and batches < wanted and not self._said_short:
            self._said_short = True
            warn(f"{_INTERRUPTED} {self._short(batches, wanted)} {self._remedy()}")

    def _note_empty(self) -> None:
        if not self.begun:
            raise ValueError(
                f"`{self.source.name}` yields no batch that holds samples, received "
                f"{self._kind(ended=True)}"
            )
        if not self._said_empty:
            self._said_empty = True
            warn(
                f"{_INTERRUPTED} `{self.source.name}` yielded no batch this time, so there is "
                f"nothing to log: it is {self._kind(ended=True)}. {self._remedy()}"
            )

    def _short(self, batches: int, wanted: int) -> str:
        name, known = self.source.name, self.source.count
        if self.steps is None:
            return f"`{name}` has the length {known}, but ended after {batches} batches."
        if known is None:
            made = f"`{name}` ended after {batches} batches"
        elif known < wanted:
            made = f"the data has only {known} batches"
        else:
            made = (
                "and an epoch begins where the one before ended: of the "
                f"{known} batches of the data, {batches} were left"
            )
        return f"`{self.argument}` is {wanted}, {made}."

    def _kind(self, *, ended: bool) -> str:
        given: Any = self.source.given if isinstance(self.source, GivenBatches) else None
        if self.source.once:
            kind = "a generator" if hasattr(given, "send") else "an iterator"
            return f"{kind} that has ended" if ended else kind
        return "an empty PyDataset" if isinstance(given, PyDataset) else type(given).__name__

    def _remedy(self) -> str:
        known = self.source.count
        if known is not None and self.steps is not None and self.steps < known:
            return f"Pass a `{self.argument}` that divides the number of batches."
        if not self.source.once:
            return f"Pass more data, or a `{self.argument}` of at most the number of its batches."
        return (
            f"Pass {self._kind(ended=False)} that never ends together with `{self.argument}`, or "
            "batches that can be iterated over again: arrays, a `PyDataset`, or an object whose "
            "`__iter__` starts over."
        )


_INTERRUPTED = "Your input ran out of data; interrupting the epoch."


def holds_samples(batch: Batch) -> bool:
    """Whether a batch has at least one sample.

    >>> import numpy as np
    >>> holds_samples((np.zeros((0, 3)), None, None))
    False
    """
    if type(batch[0]) is np.ndarray:
        return len(batch[0]) > 0
    leaves = flatten(batch[0])
    first = next((leaf for leaf in leaves if leaf is not None), None)
    return first is not None and len(first) > 0


def refuse_endless(source: Source, argument: str, steps: int | None) -> None:
    """Raises ValueError for an infinite dataset if the number of batches is not given."""
    if source.endless and steps is None:
        raise ValueError(
            f"`{source.name}` is an infinitely repeating dataset: specify `{argument}`, the number "
            "of batches to take"
        )
