"""The loop of `fit`: epochs of batches, with validation, callbacks, and a warning about NaN."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from typing import TypeAlias

from ferrnn._src.configs.notices import warn
from ferrnn._src.training.batches import Batches, Pass, Source
from ferrnn._src.training.callback_list import CallbackList, looks_on
from ferrnn._src.training.callbacks import History, Logs
from ferrnn._src.training.checkpoints import refuse_names_of_validation
from ferrnn._src.training.ending import Ending, holds_samples
from ferrnn._src.training.resuming.keeper import Keeper
from ferrnn._src.training.resuming.memory import Memory
from ferrnn._src.training.resuming.place import Place, pass_at
from ferrnn._src.training.samples import Batch, checked_count, not_finite
from ferrnn._src.training.telling import Told
from ferrnn._src.training.trained import Trained, together
from ferrnn._src.training.validation import Validation
from ferrnn._src.training.work import Work, finished

# Work that must be done before the next is requested.
Turns: TypeAlias = Generator[Work, None, None]


class EpochLoop:
    """Trains epoch after epoch until the last one or until `model.stop_training`."""

    def __init__(
        self,
        model: Trained,
        source: Source,
        hooks: CallbackList,
        steps_per_epoch: int | None = None,
        validation: Validation | None = None,
        place: Place | None = None,
    ) -> None:
        if steps_per_epoch is not None:
            steps_per_epoch = together(checked_count(steps_per_epoch, "steps_per_epoch"), model)
        self.model = model
        self.source = source
        self.hooks = hooks
        self.validation = validation
        self.steps = source.count if steps_per_epoch is None else steps_per_epoch
        # Whether an epoch is one pass; otherwise it continues where the one before ended.
        self.whole = self.steps is None or (self.steps == source.count and not source.once)
        self.place = place
        self.ending = Ending(source, "steps_per_epoch", steps_per_epoch)
        self.filled = False  # whether the epoch had samples
        self.epoch, self.step = 0, 0  # epochs done, and batches of the current one
        self.logs: Logs = {}  # logs of the last epoch
        self._keepers = [each for each in hooks if isinstance(each, Keeper)]
        # Whether a callback might change layers between two epochs.
        self._watched = not all(map(looks_on, hooks))
        # Whether no callback but the history is told anything before training ends.
        early = ("on_epoch_begin", "on_train_batch_begin", "on_train_batch_end")
        alone = all(type(each) is History for each in hooks) and not any(map(hooks.heard, early))
        self._unseen = alone and self.whole and model.logs_sums
        self._unseen = self._unseen and validation is None and place is None
        self._last = 0
        self._start: tuple[int, int] | None = None  # where training began in this process
        self._stream: Iterator[Batch] | None = None
        self._reported = False

    def run(self, first: int, last: int) -> None:
        """Trains epochs `first` to `last - 1`, or resumes a training that was interrupted."""
        finished(self.turns(first, last))

    def turns(self, first: int, last: int) -> Turns:
        """As `run`, but yields its work for the caller to do."""
        model, hooks = self.model, self.hooks
        model.stop_training, self._last = False, last
        if self.validation is None:
            refuse_names_of_validation(hooks)
        for keeper in self._keepers:
            keeper.in_fit = True
        try:
            hooks.tell("on_train_begin", {})
            resumed = self._resume_or_begin(first)
            ended = resumed and model.stop_training and not self.step
            while self.epoch < last and not ended:
                if not (yield from self._run_unseen()):
                    yield from self._run_epoch()
                ended = model.stop_training
            if last > first or resumed:
                model.finish_training()
            hooks.tell("on_train_end", self.logs)
            for keeper in self._keepers:
                keeper.forget()
        except Exception:
            for keeper in self._keepers if self._start == (self.epoch, self.step) else ():
                keeper.give_up()
            raise
        finally:
            for keeper in self._keepers:
                keeper.in_fit = False
                keeper.settle()

    @property
    def ends(self) -> bool:
        """Whether training ends here."""
        return self.epoch >= self._last or self.model.stop_training

    def _resume_or_begin(self, first: int) -> bool:
        """Whether an interrupted training is resumed, in which case its place is set."""
        self.memory = self._memory()
        # A user's callback may choose where to begin.
        self.epoch, self.model._initial_epoch = self.model._initial_epoch or first, 0
        if any(keeper.recall(self) for keeper in self._keepers):
            self.ending.begun = (self.epoch, self.step) > (first, 0)
            return True
        self._start = self.epoch, self.step
        for keeper in self._keepers:
            keeper.begin(self)
        return False

    def _memory(self) -> Memory | None:
        """The object that gathers the state of training, if a callback keeps it."""
        if self.place is None:
            return None
        places = {"data": self.place}
        if self.validation is not None:
            self.validation.place = Place(self.validation.source)
            places["validation"] = self.validation.place
        others = [each for each in self.hooks if not isinstance(each, Keeper)]
        return Memory(self.model, others, places)

    def go_on(self, epoch: int, step: int, logs: Logs, rest: Iterator[Batch] | None) -> None:
        """Continues in `epoch` after `step` batches, with the rest of the pass over the data."""
        self.epoch, self.step, self.logs, self._stream = epoch, step, logs, rest

    def _run_epoch(self) -> Turns:
        model, hooks, epoch = self.model, self.hooks, self.epoch
        self.filled = self.step > 0
        if self.step:  # callbacks may be new; what they change here is restored afterwards
            hooks.tell("on_epoch_begin", epoch, {})
            for keeper in self._keepers:
                keeper.remind(self)
        else:
            model.reset_metrics()
            hooks.tell("on_epoch_begin", epoch, {})
            self._tell_source("on_epoch_begin")
        if not model.stop_training:
            yield from self._train(epoch)
        self._tell_source("on_epoch_end")
        logs = model.metrics_result() if self.filled else {}
        if self.validation is not None and self.validation.due(epoch):
            found = yield from self.validation.turns(model, hooks)
            logs.update({f"val_{name}": value for name, value in found.items()})
        self.logs = _sorted(logs)
        hooks.tell("on_epoch_end", epoch, self.logs)
        self.epoch, self.step = epoch + 1, 0
        for keeper in self._keepers:
            keeper.keep(self)

    def _run_unseen(self) -> Generator[Work, None, bool]:
        """Trains epochs at whose ends only the history looks, several in one call of the engine.

        Returns whether it did; the next epoch may be begun then.
        """
        source, model = self.source, self.model
        plan = model.training_plan() if self._unseen and not self.step else None
        if plan is None or not isinstance(source, Batches) or not source.stays:
            return False
        begun = plan.passes(source, self._last - self.epoch, not self._reported)
        if begun is None:
            return False
        working, work = begun
        model.reset_metrics()
        first = self.epoch
        try:
            yield from working
        finally:
            self._note_passes(source, work)
        self._unseen = self.epoch > first  # otherwise most of what was prepared is for nothing
        return True

    def _note_passes(self, source: Batches, work: Work) -> None:
        """Takes down what was done of several passes."""
        first, steps, loss = self.epoch, work.steps, work.loss
        whole, rest = divmod(steps, len(source))
        for sums in work.passes[:whole]:
            source.next_order()
            work.put(sums)
            self.logs = _sorted(self.model.metrics_result())
            self.hooks.tell("on_epoch_end", self.epoch, self.logs)
            self.epoch += 1
        if rest:
            work.put(work.passes[whole])
            self.step, self._stream = rest, Pass(source, rest)
        self.filled = steps > 0
        if steps and not math.isfinite(loss) and not self._reported:
            before, last = divmod(steps - 1, len(source))
            self._report(loss, first + before, last)

    def _tell_source(self, hook: str) -> None:
        if self.place is not None:
            self.place.tell(hook)
        else:
            getattr(self.source, hook)()

    def _train(self, epoch: int) -> Turns:
        model, hooks = self.model, self.hooks
        told = Told(hooks, "train", model)
        keepers = [keeper for keeper in self._keepers if keeper.counts_batches]
        if self._stream is None or (self.whole and not self.step):
            self._stream = pass_at(self.source, self.place)
        if not keepers and isinstance(self._stream, Pass):
            ended = yield from self._run_ahead(self._stream, told)
            if ended:
                return
        for step, batch in enumerate(self._batches_of_epoch(self.step), self.step):
            told.begin(step)
            loss = yield from model.train_turn(batch)
            self.filled = self.filled or holds_samples(batch)
            if not math.isfinite(loss) and not self._reported:
                self._report(loss, epoch, step)
            over = told.end(step)
            self.step = step + 1
            for keeper in keepers:
                keeper.keep(self)
            if over and model.stop_training:
                return
        told.finish(self.step)
        self.ending.note(self.step, filled=self.filled)

    def _run_ahead(self, batches: Pass, told: Told) -> Generator[Work, None, bool]:
        """Takes steps of a pass by the model's plan, if it has one; returns whether training ends.

        It takes as many steps at a time as no callback needs to see one by one. The rest of the
        pass, or what the plan does not take, is left to `_train`.
        """
        model, fresh = self.model, self._watched
        while True:
            left = batches.left if self.steps is None else self.steps - self.step
            left = min(left, batches.left)
            if not left:
                break
            told.begin(self.step)  # a callback may change the model
            plan, fresh = model.training_plan(fresh=fresh), False
            if plan is None:
                break
            done, most = 1, min(left, told.unheard(self.step))
            loss = plan.next_of(batches) if most == 1 else None
            if loss is None:
                done, loss = yield from plan.steps(batches, most, not self._reported)
            if not done:  # the next step runs layer by layer
                break
            self.filled, last = True, self.step + done - 1
            if not math.isfinite(loss) and not self._reported:
                self._report(loss, self.epoch, last)
            over = told.end(last)
            self.step = last + 1
            if over and model.stop_training:
                return True
        return False

    def _batches_of_epoch(self, step: int) -> Iterator[Batch]:
        """The next `steps` batches: an epoch shorter than the data continues where the last ended.

        Without a number of steps, an epoch is one whole pass. `step` batches are done already.
        """
        assert self._stream is not None, "made by `_train`"
        while self.steps is None or step < self.steps:
            batch = next(self._stream, None)
            if batch is None and step == 0 and not self.source.once and self.steps is not None:
                self._stream = pass_at(self.source, self.place)
                batch = next(self._stream, None)
            if batch is None:
                self._stream = iter(()) if self.source.once else pass_at(self.source, self.place)
                return
            step += 1
            yield batch

    def _report(self, loss: float, epoch: int, step: int) -> None:
        self._reported = True
        cause = (self.source.samples and not_finite(self.source.samples)) or (
            "The data is finite: training diverged. A smaller learning rate or `clipnorm` may help."
        )
        warn(
            f"The loss became {loss} in epoch {epoch + 1}, batch {step + 1}. {cause}",
            RuntimeWarning,
        )


def _sorted(logs: Logs) -> Logs:
    return dict(sorted(logs.items()))
