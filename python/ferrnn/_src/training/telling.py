"""Calls callbacks for batches, as many at a time as a model's `steps_per_execution`."""

from __future__ import annotations

from ferrnn._src.training.callback_list import CallbackList
from ferrnn._src.training.trained import Trained

# More batches than any pass has.
UNHEARD = 1 << 62


class Told:
    """Calls the hooks for batches, once for each `steps_per_execution` batches, as Keras does.

    The hook at the beginning gets the number of the first, and that at the end the last.
    """

    def __init__(self, hooks: CallbackList, of: str, model: Trained) -> None:
        self.hooks, self.model, self.together = hooks, model, model.steps_per_execution
        self._begin, self._end = f"on_{of}_batch_begin", f"on_{of}_batch_end"
        self._begins, self._ends = hooks.heard(self._begin), hooks.heard(self._end)
        self._only_bars, self._bars = hooks.only_bars(self._end), hooks.bars(self._end)
        self._begun = -1  # the step before which the hook was called last

    def begin(self, step: int) -> None:
        """Called before the batch `step`, again if it was not taken the first time."""
        if self._begins and step % self.together == 0 and step != self._begun:
            self._begun = step
            self.hooks.tell(self._begin, step, {})

    def unheard(self, step: int) -> int:
        """The number of batches from `step` on of which no hook before the last must be called."""
        to_end = self.together - step % self.together
        if not (self._begins or self._ends):
            return UNHEARD
        if self._begins or self.together > 1 or not self._only_bars or not step:
            return to_end
        return UNHEARD

    def end(self, step: int) -> bool:
        """Called after the batch `step`; returns whether its group of batches is done."""
        if (step + 1) % self.together:
            return False
        if self._ends and (not self._bars or self.hooks.due(self._end, step)):
            self.hooks.tell(self._end, step, self.model.metrics_result())
        return True

    def finish(self, count: int) -> None:
        """Called at the end of a pass of `count` batches, whose last group may be incomplete."""
        if count % self.together and self._ends:
            last = count - count % self.together + self.together - 1
            self.hooks.tell(self._end, last, self.model.metrics_result())
