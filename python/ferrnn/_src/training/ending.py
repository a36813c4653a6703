"""The end of the data: what is said where a pass over it was short or empty."""

from __future__ import annotations

from typing import Any

from ferrnn._src.configs.notices import warn
from ferrnn._src.training.batches import GivenBatches, Source
from ferrnn._src.training.py_dataset import PyDataset
from ferrnn._src.training.samples import Batch
from ferrnn._src.tree.tree import flatten


class Ending:
    """Says once that passes over a source are empty, and once that they are short.

    A pass is limited to `steps` batches (None: not at all) by the argument of the name `argument`.
    The first pass must give samples.

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
        self.begun = False  # whether a pass has given samples
        self._said_empty = self._said_short = False

    def note(self, batches: int, *, filled: bool) -> None:
        """A pass is over after so many batches; `filled` says whether they held samples."""
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
                f"{_INTERRUPTED} `{self.source.name}` gave no batch this time, so that there is "
                f"nothing to log: it is {self._kind(ended=True)}. {self._remedy()}"
            )

    def _short(self, batches: int, wanted: int) -> str:
        name, known = self.source.name, self.source.count
        if self.steps is None:
            return f"`{name}` has the length {known}, but ended after {batches} batches."
        made = f"`{name}` ended after {batches} batches" if known is None else _made(known)
        return f"`{self.argument}` is {wanted}, {made}."

    def _kind(self, *, ended: bool) -> str:
        given: Any = self.source.given if isinstance(self.source, GivenBatches) else None
        if self.source.once:
            kind = "a generator" if hasattr(given, "send") else "an iterator"
            return f"{kind} that has ended" if ended else kind
        return "an empty PyDataset" if isinstance(given, PyDataset) else type(given).__name__

    def _remedy(self) -> str:
        if not self.source.once:
            return f"Give more data, or at most as many steps as it has as `{self.argument}`."
        return (
            f"Give {self._kind(ended=False)} that goes on for as long as it is asked, and "
            f"`{self.argument}`, or batches that can be gone through again: arrays, a `PyDataset`, "
            "an object whose `__iter__` starts over."
        )


_INTERRUPTED = "Your input ran out of data; interrupting the epoch."


def _made(known: int) -> str:
    return f"the data makes {known} batches"


def holds_samples(batch: Batch) -> bool:
    """Whether a batch is of at least one sample.

    >>> import numpy as np
    >>> holds_samples((np.zeros((0, 3)), None, None))
    False
    """
    leaves = flatten(batch[0])
    first = next((leaf for leaf in leaves if leaf is not None), None)
    return first is not None and len(first) > 0


def refuse_endless(source: Source, argument: str, steps: int | None) -> None:
    """Refuses a dataset without end where nothing says how many of its batches are meant."""
    if source.endless and steps is None:
        raise ValueError(
            f"`{source.name}` is an infinitely repeating dataset: specify `{argument}`, the number "
            "of batches to take"
        )
