"""Passes over samples by which a model is judged, many batches in one call of the engine."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from ferrnn._src.native import Plan
from ferrnn._src.training.batches import Pass
from ferrnn._src.training.judges import READ, Judges, readable
from ferrnn._src.training.plan_parts import End, Lowering, Planned
from ferrnn._src.training.samples import Batch
from ferrnn._src.training.work import LIMIT, Judge, Work
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.one_version import one_version
from ferrnn._src.weights.parameter import Parameter, structure_version

# A plan keeps what all of its layers give for a batch: only small ones are worth it.
_MOST_BYTES = 1 << 20
# So many kinds of samples are remembered: those of training and validation, and the last batches.
_KINDS = 4


class TestingPlan:
    """The layers of a model in the engine, by which it is judged; a `TrainingPlan` is more."""

    __slots__ = ("_judges", "_like", "_model", "_refused", "lowering", "native", "written")

    def __init__(self, model: Planned, lowering: Lowering, native: Plan) -> None:
        self._model, self.lowering, self.native = model, lowering, native
        self._judges = Judges(model, lowering)
        self._refused = False
        # How samples are judged, by `_kind_of`: the judge without arrays, the shapes of these.
        self._like: dict[Any, tuple[Judge, Sequence[int], Sequence[int] | None]] = {}
        self.written: list[Parameter] = []

    def tests(self, batches: Pass, most: int) -> Generator[Work, None, int]:
        """Evaluates at most that many batches, as time permits; returns how many.

        None at all means that the next one must be taken without the plan.
        """
        places, size = batches.places(most), batches.size
        read, judge = self._ready(batches.samples.arrays, size) or (None, None)
        if read is None or (not self.written and too_large(read, size)):
            return 0
        if judge is None:
            return self._judged_in_python(batches, read, places)
        given = ((read, batches.order()), places, size, (judge, most, False))
        done, _ = yield from self._worked(self._work(*given, trains=False))
        batches.taken += done
        return done

    def test(self, batch: Batch) -> Generator[Work, None, float | None]:
        """The loss of one batch, None if it must be judged without the plan."""
        read, judge = self._ready(batch) or ([], None)
        if judge is None or (not self.written and too_large(read, len(read[0]))):
            return None
        size = len(read[0])
        work = self._work((read, None), (0, size), size, (judge, 1, False), trains=False)
        done, loss = yield from self._worked(work)
        return loss if done else None

    def _ready(
        self,
        samples: Batch,
        rows: int | None = None,
        trains: bool = False,
        later: bool = False,
    ) -> tuple[list[Array], Judge | None] | None:
        """Samples as the engine reads them, and their judge, None if Python must judge them.

        They are a batch, or all samples, of which a batch has so many `rows`. Metrics may have to
        be updated after the steps only if `later` is allowed.
        """
        if self._refused:
            return None
        x, y, weight = samples
        kind, collects = _kind_of(samples), self.lowering.collects(trains)
        like = None if collects else self._like.get(kind)
        if like is not None and self._judges.still(like[0]):
            judge, shape, own = like
            if judge.later and not later:
                return [x], None
            weights = [None if own is None else weight.reshape(own)]
            return [x], judge.of([y.reshape(shape)], weights)
        read = read_inputs(self.lowering, self._model.arranged_inputs(x))
        if read is None:
            return None
        found = self._judges.judge(read, y, weight, len(read[0]) if rows is None else rows)
        found = None if collects else found
        if kind is not None and found is not None and read[0] is x:
            if len(self._like) == _KINDS:
                self._like.clear()
            shape, weighing = found.targets[0].shape, found.weights[0]
            own = None if weighing is None else weighing.shape
            self._like[kind] = found.of((), ()), shape, own
        return read, None if found is not None and found.later and not later else found

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
        return [weight._data for weight in self.lowering.weights], []

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
        given: tuple[list[Array], Array | None],
        places: tuple[int, int],
        batch: int,
        asked: tuple[Judge, int, bool],
        trains: bool = True,
    ) -> Work:
        model = self._model
        told = (model._loss_mean, model.optimizer if trains else None)
        return Work(self, given, places, batch, asked, told)

    def _worked(self, work: Work) -> Generator[Work, None, tuple[int, float]]:
        """Yields work to be run; returns what was done: nothing if the engine refuses it."""
        yield work
        error = work.error
        if isinstance(error, ValueError):
            self._refused = True  # what is wrong is said better layer by layer
        elif error is not None:
            raise error
        return work.taken()


def _kind_of(samples: Batch) -> tuple[Any, ...] | None:
    """What samples have in common that are read and judged alike; None for all but plain arrays."""
    arrays = samples[:2] if samples[2] is None else samples
    if any(type(array) is not np.ndarray for array in arrays):
        return None
    kinds = ((each.shape, each.strides, each.dtype, each.flags.aligned) for each in arrays)
    return (*kinds, structure_version())


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
