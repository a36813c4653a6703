"""The loop of `fit`: epochs of batches, validation, callbacks, and a word about NaN."""

from __future__ import annotations

import itertools
import math
from collections.abc import Generator, Iterable, Iterator
from typing import Any, Protocol, TypeAlias

import numpy as np

from ferrnn._src.configs.notices import warn
from ferrnn._src.training.batches import Pass, Source
from ferrnn._src.training.callbacks import CallbackList, Logs
from ferrnn._src.training.checkpoints import refuse_names_of_validation
from ferrnn._src.training.ending import Ending, holds_samples
from ferrnn._src.training.judging import TestingPlan
from ferrnn._src.training.planning import TrainingPlan
from ferrnn._src.training.resuming.keeper import Keeper
from ferrnn._src.training.resuming.memory import Memory
from ferrnn._src.training.resuming.place import Place
from ferrnn._src.training.samples import Batch, Samples, checked_count
from ferrnn._src.training.work import Work, finished
from ferrnn._src.tree.tree import flatten

# Work that somebody runs before more is asked for.
Turns: TypeAlias = Generator[Work, None, None]

# Callbacks that change nothing of a model but values of its weights and its learning rate, by name:
# to load their code costs a program that only predicts a tenth of a megabyte.
_LOOKING_ON = frozenset(
    f"ferrnn._src.training.{name}"
    for name in (
        "callbacks.History",
        "callbacks.ProgbarLogger",
        "stopping.EarlyStopping",
        "rates.ReduceLROnPlateau",
    )
)

# More batches than any pass has.
UNHEARD = 1 << 62


def looks_on(callback: Any) -> bool:
    """Whether a callback leaves the layers and the compiled parts of a model as they are.

    >>> from ferrnn.callbacks import CSVLogger, History
    >>> looks_on(History()), looks_on(CSVLogger("log.csv"))
    (True, False)
    """
    kind = type(callback)
    return f"{kind.__module__}.{kind.__qualname__}" in _LOOKING_ON


class Trained(Protocol):
    """What the loop needs of a model."""

    stop_training: bool
    stop_evaluating: bool
    steps_per_execution: int
    _initial_epoch: int

    def run_train_step(self, batch: Batch) -> float:
        """One update from one batch; gives its loss."""

    def training_plan(self, fresh: bool = False) -> TrainingPlan | None:
        """The plan by which steps can be taken, if there is one."""

    def testing_plan(self, batches: int) -> TestingPlan | None:
        """The plan by which so many batches can be judged, if there is one."""

    def run_test_step(self, batch: Batch) -> float:
        """The loss of one batch."""

    def finish_training(self) -> None:
        """What is left to do after the last epoch."""

    def reset_metrics(self) -> None:
        """Forgets what metrics have gathered."""

    def metrics_result(self) -> Logs:
        """The values gathered so far."""


def together(steps: int | None, model: Trained) -> int | None:
    """A number of steps that was asked for, up to the end of those that are told of together."""
    return (
        None
        if steps is None
        else -(-steps // model.steps_per_execution) * model.steps_per_execution
    )


class Told:
    """Tells callbacks of batches, `steps_per_execution` of the model at a time, as Keras does.

    Several are told of as one: by the first when they begin, by the last when they have ended.
    """

    def __init__(self, hooks: CallbackList, of: str, model: Trained) -> None:
        self.hooks, self.model, self.together = hooks, model, model.steps_per_execution
        self._begin, self._end = f"on_{of}_batch_begin", f"on_{of}_batch_end"
        self._begins, self._ends = hooks.heard(self._begin), hooks.heard(self._end)

    def begin(self, step: int) -> None:
        """The batch `step` comes next."""
        if self._begins and step % self.together == 0:
            self.hooks.tell(self._begin, step, {})

    def unheard(self, step: int) -> int:
        """How many batches from `step` on may be told of by the end of the last alone."""
        to_end = self.together - step % self.together
        if not (self._begins or self._ends):
            return UNHEARD
        if self._begins or self.together > 1 or not self.hooks.only_bars(self._end) or not step:
            return to_end
        return UNHEARD

    def end(self, step: int) -> bool:
        """The batch `step` is done; gives whether those that are told of together are."""
        if (step + 1) % self.together:
            return False
        if self._ends and self.hooks.due(self._end, step):
            self.hooks.tell(self._end, step, self.model.metrics_result())
        return True

    def finish(self, count: int) -> None:
        """There were `count` batches: the last ones may be fewer."""
        if count % self.together and self._ends:
            last = count - count % self.together + self.together - 1
            self.hooks.tell(self._end, last, self.model.metrics_result())


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
        self.place: Place | None = None  # where somebody keeps the training
        self.ending = Ending(source, argument, steps)

    def due(self, epoch: int) -> bool:
        """Whether to run after this epoch (counted from 0)."""
        if isinstance(self.freq, int):
            return (epoch + 1) % self.freq == 0
        return epoch + 1 in self.freq

    def run(self, model: Trained, hooks: CallbackList) -> Logs:
        """Loss and metrics over the samples; none of them where no batch came."""
        return finished(self.turns(model, hooks))

    def turns(self, model: Trained, hooks: CallbackList) -> Generator[Work, None, Logs]:
        """As `run`, by work that others run."""
        model.reset_metrics()
        model.stop_evaluating = False
        hooks.tell("on_test_begin", {})
        told = Told(hooks, "test", model)
        batches = _pass(self.source, self.place)
        limit = together(self.steps, model) if self._asked else self.steps
        count = 0
        if isinstance(batches, Pass):
            count = yield from self._ahead(model, batches, told, limit)
        filled, ended = count > 0, model.stop_evaluating
        rest = 0 if ended else None if limit is None else limit - count
        for step, batch in enumerate(itertools.islice(batches, rest), count):
            told.begin(step)
            model.run_test_step(batch)
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
        """Takes the batches of a pass by the model's plan, as far as it goes; gives how many."""
        plan, count = model.testing_plan(batches.left), 0
        while plan is not None and plan.takes(batches.samples.x):
            left = batches.left if limit is None else min(limit - count, batches.left)
            if left <= 0:
                break
            told.begin(count)
            done = yield from plan.tests(batches, min(left, told.unheard(count)))
            if not done:
                break
            count += done
            if told.end(count - 1) and model.stop_evaluating:
                break
        return count


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
        # One epoch is one pass; else an epoch goes on where the one before ended.
        self.whole = self.steps is None or (self.steps == source.count and not source.once)
        self.place = place
        self.ending = Ending(source, "steps_per_epoch", steps_per_epoch)
        self.filled = False  # whether the epoch has had samples
        self.epoch, self.step = 0, 0  # epochs done, and batches of the one after them
        self.logs: Logs = {}  # of the last epoch
        self._keepers = [each for each in hooks if isinstance(each, Keeper)]
        # Whether somebody may change layers between two epochs.
        self._watched = not all(map(looks_on, hooks))
        self._last = 0
        self._start: tuple[int, int] | None = None  # where training began anew
        self._stream: Iterator[Batch] | None = None
        self._reported = False

    def run(self, first: int, last: int) -> None:
        """Trains epochs `first` to `last - 1`, or goes on with a training that was interrupted."""
        finished(self.turns(first, last))

    def turns(self, first: int, last: int) -> Turns:
        """As `run`, by work that others run."""
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
        """Whether there is no further epoch."""
        return self.epoch >= self._last or self.model.stop_training

    def _resume_or_begin(self, first: int) -> bool:
        """Whether there is an interrupted training to go on with; the place is known then."""
        self.memory = self._memory()
        # A callback of a user's may say where to begin.
        self.epoch, self.model._initial_epoch = self.model._initial_epoch or first, 0
        if any(keeper.recall(self) for keeper in self._keepers):
            self.ending.begun = (self.epoch, self.step) > (first, 0)
            return True
        self._start = self.epoch, self.step
        for keeper in self._keepers:
            keeper.begin(self)
        return False

    def _memory(self) -> Memory | None:
        """What the training will be gathered by, if somebody keeps it."""
        if self.place is None:
            return None
        places = {"data": self.place}
        if self.validation is not None:
            self.validation.place = Place(self.validation.source)
            places["validation"] = self.validation.place
        others = [each for each in self.hooks if not isinstance(each, Keeper)]
        return Memory(self.model, others, places)

    def go_on(self, epoch: int, step: int, logs: Logs, rest: Iterator[Batch] | None) -> None:
        """Goes on in `epoch` after `step` batches, with what is left of the pass over the data."""
        self.epoch, self.step, self.logs, self._stream = epoch, step, logs, rest

    def _run_epoch(self) -> Turns:
        model, hooks, epoch = self.model, self.hooks, self.epoch
        self.filled = self.step > 0
        if self.step:  # callbacks may be of a new process; what they change here is given back
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
            self._stream = _pass(self.source, self.place)
        if not keepers and isinstance(self._stream, Pass):
            ended = yield from self._run_ahead(self._stream, told)
            if ended:
                return
        for step, batch in enumerate(self._batches_of_epoch(self.step), self.step):
            told.begin(step)
            loss = model.run_train_step(batch)
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
        """Takes the steps of a pass by the model's plan, if it has one; whether training ends.

        As many steps at a time as nobody wants to hear of one by one. What is left when the pass
        ends, or where the plan ends, is for `_train`.
        """
        model = self.model
        plan = model.training_plan(fresh=self._watched)
        while plan is not None and plan.takes(batches.samples.x):
            left = batches.left if self.steps is None else self.steps - self.step
            left = min(left, batches.left)
            if not left:
                break
            told.begin(self.step)
            most = min(left, told.unheard(self.step))
            done, loss = yield from plan.steps(batches, most, not self._reported)
            if not done:  # the next step is for layers one by one
                break
            self.filled, last = True, self.step + done - 1
            if not math.isfinite(loss) and not self._reported:
                self._report(loss, self.epoch, last)
            over = told.end(last)
            self.step = last + 1
            if over and model.stop_training:
                return True
            plan = model.training_plan()
        return False

    def _batches_of_epoch(self, step: int) -> Iterator[Batch]:
        """The next `steps` batches: an epoch shorter than the data goes on where the last ended.

        Without a number of steps an epoch is one pass, as far as it goes. `step` are done already.
        """
        assert self._stream is not None, "made by `_train`"
        while self.steps is None or step < self.steps:
            batch = next(self._stream, None)
            if batch is None and step == 0 and not self.source.once and self.steps is not None:
                self._stream = _pass(self.source, self.place)
                batch = next(self._stream, None)
            if batch is None:
                self._stream = iter(()) if self.source.once else _pass(self.source, self.place)
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


def _pass(source: Source, place: Place | None) -> Iterator[Batch]:
    return iter(source) if place is None else place.passing(iter(source))


def not_finite(samples: Samples) -> str | None:
    """Says which array holds NaN or infinity, and where it begins.

    >>> not_finite(Samples(np.array([[1.0], [np.nan]])))
    '`x` holds nan at sample 1, the first of 1 samples that are not finite.'
    """
    for name, given in zip(("x", "y", "sample_weight"), samples.arrays, strict=True):
        for array in flatten(given):
            if array is None or array.dtype.kind != "f":
                continue
            finite = np.isfinite(array).reshape(len(array), -1)
            bad = np.flatnonzero(~finite.all(axis=1))
            if bad.size:
                value = array.reshape(len(array), -1)[bad[0]][~finite[bad[0]]][0]
                return (
                    f"`{name}` holds {value} at sample {bad[0]}, the first of {bad.size} samples "
                    "that are not finite."
                )
    return None


def _sorted(logs: Logs) -> Logs:
    return dict(sorted(logs.items()))
