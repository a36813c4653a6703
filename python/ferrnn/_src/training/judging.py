"""Passes over samples by which a model is judged, many batches in one call of the engine."""

from __future__ import annotations

import operator
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from ferrnn._src.native import Plan
from ferrnn._src.training.alike import Alike
from ferrnn._src.training.batches import Pass
from ferrnn._src.training.judges import READ, Judges, readable
from ferrnn._src.training.plan_parts import End, Lowering, Planned
from ferrnn._src.training.samples import Batch
from ferrnn._src.training.work import LIMIT, Data, Judge, Work
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.one_version import one_version
from ferrnn._src.weights.parameter import Parameter, assignments, structure_version

# A plan keeps what all of its layers give for a batch: only small ones are worth it.
_MOST_BYTES = 1 << 20
# So many kinds of samples are remembered: those of training and validation, and the last batches.
_KINDS = 4
_layout_of = operator.attrgetter("shape", "strides", "dtype", "flags.aligned")


class TestingPlan:
    """The layers of a model in the engine, by which it is judged; a `TrainingPlan` is more."""

    __slots__ = (
        "_arrays",
        "_judges",
        "_like",
        "_model",
        "_refused",
        "_slots",
        "lowering",
        "native",
        "written",
    )

    def __init__(self, model: Planned, lowering: Lowering, native: Plan) -> None:
        self._model, self.lowering, self.native = model, lowering, native
        self._judges = Judges(model, lowering)
        self._refused = False
        self._slots: list[Sequence[Parameter]] = []  # of each weight that is trained
        self._arrays: tuple[int, list[Array], list[Sequence[Array]]] = (-1, [], [])
        self._like: dict[Any, Alike] = {}  # how samples are judged, by `_kind_of`
        self.written: list[Parameter] = []

    def tests(self, batches: Pass, most: int) -> Generator[Work, None, int]:
        """Evaluates at most that many batches, as time permits; returns how many.

        None at all means that the next one must be taken without the plan.
        """
        places, size = batches.places(most), batches.size
        data, judge = self._ready(batches.samples.arrays, size) or (None, None)
        if data is None or (not self.written and too_large(data[0], size)):
            return 0
        if judge is None:
            return self._judged_in_python(batches, data[0], places)
        data = (*data[:3], batches.order())
        work = self._work(judge, data, (places, size, most, False), trains=False)
        done, _ = yield from self._worked(work)
        batches.taken += done
        return done

    def test(self, batch: Batch) -> Generator[Work, None, float | None]:
        """The loss of one batch, None if it must be judged without the plan."""
        data, judge = self._ready(batch) or (None, None)
        if data is None or judge is None:
            return None
        size = len(data[0][0])
        if not self.written and too_large(data[0], size):
            return None
        work = self._work(judge, data, ((0, size), size, 1, False), trains=False)
        done, loss = yield from self._worked(work)
        return loss if done else None

    def again(self, batch: Batch, trains: bool, anew: bool = False) -> float | None:
        """The loss of a batch like one before, by a step of its own, see `Alike`.

        None if anything has to be found out about the batch. With `anew`, metrics are reset first,
        which must depend on nothing but sums.
        """
        like = self._known(batch, trains)
        if like is None or not like.alone:
            return None
        size = len(batch[0])
        if not self.written and too_large(batch[:1], size):
            return None
        return like.step(self, like.data(batch), (0, size), size, trains, anew)

    def _ready(
        self,
        samples: Batch,
        rows: int | None = None,
        order: Array | None = None,
        trains: bool = False,
        later: bool = False,
    ) -> tuple[Data, Judge | None] | None:
        """Samples as the engine reads them, and their judge, None if Python must judge them.

        They are a batch, or all samples, of which a batch has so many `rows`. Metrics may have to
        be updated after the steps only if `later` is allowed.
        """
        if self._refused:
            return None
        like = self._known(samples, trains)
        if like is not None:
            known = like.judge
            return like.data(samples, order), None if known.later and not later else known
        x, y, weight = samples
        read = read_inputs(self.lowering, self._model.arranged_inputs(x))
        if read is None:
            return None
        found = self._judges.judge(read, y, weight, len(read[0]) if rows is None else rows)
        if found is None or self.lowering.collects(trains):
            return (read, (), (), order), None
        judge, targets, weights = found
        kind = _kind_of(samples)
        if kind is not None and read[0] is x:
            if len(self._like) == _KINDS:
                self._like.clear()
            self._like[kind] = Alike(self, judge, targets, weights)
        return (read, targets, weights, order), None if judge.later and not later else judge

    def _known(self, samples: Batch, trains: bool) -> Alike | None:
        """What is known of samples like some before, as long as they are judged as these were."""
        like = self._like.get(_kind_of(samples))
        if like is None or self._refused or not self._judges.still(like.judge):
            return None
        return None if self.lowering.collects(trains) else like

    def _judged_in_python(self, batches: Pass, read: list[Array], places: tuple[int, int]) -> int:
        """As `tests`, where loss and metrics take the outputs of the engine in Python."""
        low, model, size = self.lowering, self._model, batches.size
        if low.masked_outputs or low.collects(False) or batches.order() is not None:
            return 0
        try:
            with one_version():
                weights = [weight._data for weight in low.weights]
                outputs, rows = self.native.predict(weights, read, None, places, size, LIMIT)
        except ValueError:
            self._refused = True
            return 0
        starts = range(0, rows, size)
        for start in starts:
            rest = min(start + size, rows)
            made = model.structured([each[start:rest] for each in outputs])
            model._tested(next(batches), made, None, ())
        return len(starts)

    def arrays(self) -> tuple[list[Array], list[Sequence[Array]]]:
        """The weights and the slots, for a holder of `one_version`."""
        known, weights, slots = self._arrays
        if known != assignments():
            weights = [weight._data for weight in self.lowering.weights]
            slots = [[slot._data for slot in own] for own in self._slots]
            # States that layers carry may be others in each call.
            stay = all(isinstance(weight, Parameter) for weight in self.lowering.weights)
            self._arrays = assignments() if stay else -1, weights, slots
        return weights, slots

    def draws(self) -> list[tuple[int, int]]:
        """The seeds of the generators, and the numbers of their next calls."""
        return [(each.initial_seed, each.counter) for each in self.lowering.generators]

    def drawn(self, since: Sequence[tuple[int, int]], steps: int) -> None:
        """Advances the generators: that many steps have drawn since `draws` was called."""
        low = self.lowering
        for generator, draws, (_, first) in zip(low.generators, low.draws, since, strict=True):
            generator.counter = first + steps * draws

    def _work(
        self,
        judge: Judge,
        data: Data,
        span: tuple[tuple[int, int], int, int, bool],
        trains: bool = True,
        outputs: Sequence[Array] = (),
    ) -> Work:
        """Work on data; `span` are places, the size of batches, the most steps, and `finite`."""
        model = self._model
        told = (model._loss_mean, model.optimizer if trains else None)
        return Work(self, judge, data, span, told, outputs)

    def _worked(self, work: Work) -> Generator[Work, None, tuple[int, float]]:
        """Yields work to be run; returns what was done: nothing if the engine refuses it."""
        try:
            yield work
        finally:
            if work.trained:
                self.follow()
        error = work.error
        if isinstance(error, ValueError):
            self._refused = True  # what is wrong is said better layer by layer
        elif error is not None:
            raise error
        return work.steps, work.loss

    def follow(self) -> None:
        """What follows a step that has changed weights; there is none."""


def _kind_of(samples: Batch) -> tuple[Any, ...] | None:
    """What samples have in common that are read and judged alike; None for all but plain arrays."""
    x, y, weight = samples
    if type(x) is not np.ndarray or type(y) is not np.ndarray:
        return None
    if weight is None:
        return _layout_of(x), _layout_of(y), structure_version()
    if type(weight) is not np.ndarray:
        return None
    return _layout_of(x), _layout_of(y), _layout_of(weight), structure_version()


def as_steps(x: Array) -> Array:
    """The samples as the engine reads them: it knows one axis between rows and features."""
    return x if x.ndim <= 3 else x.reshape(len(x), -1, x.shape[-1])


def read_inputs(low: Lowering, arranged: Sequence[Any] | None) -> list[Array] | None:
    """The inputs of a model as the engine reads them in place, or None if it cannot."""
    if arranged is None or len(arranged) != len(low.inputs):
        return None
    known = zip(low.inputs, arranged, strict=True)
    return [*map(as_steps, arranged)] if all(_readable_input(*pair) for pair in known) else None


def _readable_input(end: End, x: Any) -> bool:
    return (
        type(x) is np.ndarray
        and x.dtype.str[1:] in READ
        and x.ndim == end.rank
        and end.features in (0, x.shape[-1])
        and (not end.exact or x.shape[1:] == end.shape[1:])
        and not (end.ids and x.dtype.kind == "f")
        and x.size > 0
        and readable(x)
        and (x.ndim <= 3 or bool(x.flags.c_contiguous))
    )


def too_large(read: Sequence[Array], size: int) -> bool:
    """Whether batches of `size` samples are better computed layer by layer, but for training."""
    count = len(read[0])
    return sum(x.nbytes for x in read) // count * min(size, count) > _MOST_BYTES
