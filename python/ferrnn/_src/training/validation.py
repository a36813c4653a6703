"""A pass over samples without training."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterable

from ferrnn._src.training.batches import Pass, Source
from ferrnn._src.training.callback_list import CallbackList
from ferrnn._src.training.callbacks import Logs
from ferrnn._src.training.ending import Ending, holds_samples
from ferrnn._src.training.resuming.place import Place, pass_at
from ferrnn._src.training.samples import checked_count
from ferrnn._src.training.telling import Told
from ferrnn._src.training.trained import Trained, together
from ferrnn._src.training.work import Work, finished


class Validation:
    """A pass over samples without training: `evaluate`, and the check after an epoch of `fit`."""

    def __init__(
        self,
        source: Source,
        steps: int | None = None,
        freq: int | Iterable[int] = 1,
        argument: str = "steps",
    ) -> None:
        if isinstance(freq, int) and freq < 1:
            raise ValueError(f"`validation_freq` must be a positive integer, received {freq}")
        self.source = source
        self.steps = source.count if steps is None else checked_count(steps, argument)
        self._asked = steps is not None
        self.freq = freq if isinstance(freq, int) else frozenset(freq)
        self.place: Place | None = None  # set if a callback saves the training
        self.ending = Ending(source, argument, steps)

    def due(self, epoch: int) -> bool:
        """Whether it runs after this epoch (counted from 0)."""
        if isinstance(self.freq, int):
            return (epoch + 1) % self.freq == 0
        return epoch + 1 in self.freq

    def run(self, model: Trained, hooks: CallbackList) -> Logs:
        """Loss and metrics over the samples, or an empty dict if there was no batch."""
        return finished(self.turns(model, hooks))

    def turns(self, model: Trained, hooks: CallbackList) -> Generator[Work, None, Logs]:
        """As `run`, but yields its work for the caller to do."""
        model.reset_metrics()
        model.stop_evaluating = False
        hooks.tell("on_test_begin", {})
        told = Told(hooks, "test", model)
        batches = pass_at(self.source, self.place)
        limit = together(self.steps, model) if self._asked else self.steps
        count = 0
        if isinstance(batches, Pass):
            count = yield from self._ahead(model, batches, told, limit)
        filled, ended = count > 0, model.stop_evaluating
        rest = 0 if ended else None if limit is None else limit - count
        for step, batch in enumerate(itertools.islice(batches, rest), count):
            told.begin(step)
            yield from model.test_turn(batch)
            count, filled = step + 1, filled or holds_samples(batch)
            if told.end(step) and model.stop_evaluating:
                break
        told.finish(count)
        self.ending.begun |= self.place is not None and self.place.taken > 0
        if not model.stop_evaluating:
            self.ending.note(count, filled=filled)
        logs = model.metrics_result() if filled else {}
        hooks.tell("on_test_end", logs)
        return logs

    @staticmethod
    def _ahead(
        model: Trained, batches: Pass, told: Told, limit: int | None
    ) -> Generator[Work, None, int]:
        """Takes batches of a pass by the model's plan, as far as it goes; returns their number."""
        count = 0
        while True:
            left = batches.left if limit is None else min(limit - count, batches.left)
            if left <= 0:
                break
            told.begin(count)  # a callback may change the model
            plan = model.testing_plan(0 if count else batches.left)
            if plan is None:
                break
            done = yield from plan.tests(batches, min(left, told.unheard(count)))
            if not done:
                break
            count += done
            if told.end(count - 1) and model.stop_evaluating:
                break
        return count
