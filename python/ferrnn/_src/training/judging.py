"""Passes over samples by which a model is judged, many batches in one call of the engine."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ferrnn._src.native import Plan
from ferrnn._src.training.averaged import DIVISORS, Measure
from ferrnn._src.training.batches import Pass
from ferrnn._src.training.plan_parts import End, Lowering, Planned
from ferrnn._src.training.samples import Batch
from ferrnn._src.training.work import LIMIT, Judge, Work, measured
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.one_version import one_version
from ferrnn._src.weights.parameter import Parameter, structure_version
from ferrnn._src.weights.penalties import regularized
from ferrnn._src.weights.regularizers import factors_of

# Number types of inputs that the engine reads as they are.
_READ = ("f4", "f8", "i4", "i8", "u1")
# A plan keeps what all of its layers give for a batch: only small ones are worth it.
_MOST_BYTES = 1 << 20
# So many kinds of samples are remembered: those of training and validation, and the last batches.
_KINDS = 4


class TestingPlan:
    """The layers of a model in the engine, by which it is judged; a `TrainingPlan` is more."""

    __slots__ = ("_like", "_model", "_refused", "_seen", "lowering", "native", "written")

    def __init__(self, model: Planned, lowering: Lowering, native: Plan) -> None:
        self._model, self.lowering, self.native = model, lowering, native
        self._refused = False
        self._seen: tuple[Any, list[Array] | None] = (None, None)  # by `takes`
        # How samples are judged, by `_kind_of`: the judge without arrays, the shapes of these.
        self._like: dict[Any, tuple[Judge, Sequence[int], Sequence[int] | None]] = {}
        self.written: list[Parameter] = []

    def takes(self, samples: Batch) -> bool:
        """Whether the inputs of these samples, a batch or all, can be read where they are."""
        if self._refused:
            return False
        if _kind_of(samples) in self._like:
            return True
        x = samples[0]
        self._seen = (x, read_inputs(self.lowering, self._model.arranged_inputs(x)))
        return self._seen[1] is not None

    def _read(self, x: Any) -> list[Array] | None:
        """The inputs as the engine reads them where they are, None if it does not."""
        (known, read), self._seen = self._seen, (None, None)
        if known is not x or read is None:
            read = read_inputs(self.lowering, self._model.arranged_inputs(x))
        return read

    def tests(self, batches: Pass, most: int) -> Generator[Work, None, int]:
        """At most so many batches, as many as there is time for; gives how many.

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
        self, samples: Batch, rows: int | None = None
    ) -> tuple[list[Array], Judge | None] | None:
        """Samples as the engine reads them, and how they are judged: by Python if that is None.

        They are a batch, or all samples, of which a batch has so many `rows`.
        """
        if self._refused:
            return None
        x, y, weight = samples
        kind = _kind_of(samples)
        like = self._like.get(kind)
        if like is not None and self._judges_as(like[0]):
            judge, shape, own = like
            weights = [None if own is None else weight.reshape(own)]
            return [x], replace(judge, targets=[y.reshape(shape)], weights=weights)
        read = self._read(x)
        if read is None:
            return None
        found = self._judge_for(read, y, weight, len(read[0]) if rows is None else rows)
        if kind is not None and found is not None and read[0] is x:
            if len(self._like) == _KINDS:
                self._like.clear()
            shape, weighing = found.targets[0].shape, found.weights[0]
            own = None if weighing is None else weighing.shape
            self._like[kind] = replace(found, targets=(), weights=()), shape, own
        return read, found

    def _judges_as(self, judge: Judge) -> bool:
        """Whether judging is what it was: the settings of its parts may change at any time."""
        same_losses = self._losses() == (judge.losses, judge.means)
        same = same_losses and self._metrics() == judge.metrics
        return same and self._penalties() == judge.penalties

    def _judged_in_python(self, batches: Pass, read: list[Array], places: tuple[int, int]) -> int:
        """As `tests`, where loss and metrics take the outputs of the engine in Python."""
        low, model, size = self.lowering, self._model, batches.size
        if low.masked_outputs or model._collects or batches.order() is not None:
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

    def _judge_for(self, read: list[Array], y: Any, weight: Any, rows: int) -> Judge | None:
        """How the engine judges outputs; None where Python does. A batch has so many `rows`."""
        model, low = self._model, self.lowering
        shapes = [self._shape_for(end, read[0]) for end in low.outputs]
        if len(shapes) == 1 and type(y) is np.ndarray:
            true, pred = (min(rows, len(each)) for each in (y, read[0]))
            model.bind_output((true, *y.shape[1:]), (pred, *shapes[0][1:]))
        flat = any(end.masked and end.rank != 3 for end in low.outputs)
        if flat or model._loss is None or model._collects:
            return None
        found, metrics, penalties = self._losses(), self._metrics(), self._penalties()
        targets = [y] if len(shapes) == 1 else model.arranged_targets(y)
        weights = model.arranged_weights(weight)
        if found is None or metrics is None or penalties is None:
            return None
        if targets is None or weights is None:
            return None
        arrays: list[Array] = []
        weighings: list[Array | None] = []
        ends = zip(low.outputs, shapes, targets, weights, strict=True)
        for at, (end, shape, true, given) in enumerate(ends):
            labels = {found[0][at][0][1], *(each[1] for of, _, each, _ in metrics if of == at)}
            array, weighing = self._fitting(end, shape, true, labels), _weighing(shape, given)
            if array is None or (weighing is None and given is not None):
                return None
            arrays.append(array)
            weighings.append(weighing)
        return Judge(found[0], arrays, weighings, metrics, found[1], penalties)

    @staticmethod
    def _shape_for(end: End, x: Array) -> tuple[int, ...]:
        """The shape of an output for all samples; steps that are not known are those of `x`."""
        if end.rank == 2:
            return len(x), end.features
        lengths = zip(end.shape[1:-1], x.shape[1:], strict=False)
        steps = (known if given is None else given for given, known in lengths)
        return (len(x), *steps, end.features)

    def _losses(self) -> tuple[list[tuple[Measure, float, str]], list[Any]] | None:
        """What is averaged over each output, the weight, and what a weighted sum is divided by.

        Then the means of the losses of several outputs.
        """
        compiled, count = self._model._loss, len(self.lowering.outputs)
        if count == 1:
            losses, weights, means = [compiled.only], [1.0], []
        else:
            means = self._model._loss_means
            if compiled.names is None or len(means) != count:
                return None  # the first step knows more of them
            if [part.places for part in compiled.parts] != [[at] for at in range(count)]:
                return None
            losses, weights = compiled._losses, compiled._weights
            by_output = dict(zip(compiled.told, means, strict=True))
            means = [by_output[at] for at in range(count)]
        found = []
        for loss, weight in zip(losses, weights, strict=True):
            measure = _averaged(loss, self.lowering.dtype)
            if measure is None:
                return None
            found.append((measure, weight, DIVISORS[loss.reduction]))
        return found, means

    def _fitting(self, end: End, shape: tuple[int, ...], y: Any, labels: set[str]) -> Array | None:
        """Targets as the engine takes them, None if it does not.

        `labels` are what loss and metrics take them for.
        """
        if not (type(y) is np.ndarray and y.dtype.str[1:] in _READ and readable(y)):
            return None
        if labels == {"numbers"}:
            fits = y.shape in (shape[:-1], (*shape[:-1], 1))
            return y.reshape(*shape[:-1], 1) if fits else None
        if "weighted" in labels:
            fits = labels == {"weighted"} and y.shape == (*shape[:-1], 2)
            return y if fits else None
        # Of a single class the losses in Python warn.
        if "numbers" in labels or ("one-hot" in labels and end.features == 1):
            return None
        single = end.rank == 2 and end.features == 1 and y.size == shape[0] and y.ndim <= 2
        steps = end.masked and end.features == 1 and y.shape == shape[:-1]
        return y.reshape(shape) if single or steps or y.shape == shape else None

    def _metrics(self) -> list[tuple[int, Any, Measure, bool]] | None:
        """The metrics with the numbers of their outputs, and whether weights of samples count.

        None if the engine does not know all.
        """
        compiled = self._model._metrics
        if compiled.empty:
            return []
        if compiled.to_come:
            return None
        found = []
        for at, pair in enumerate(zip(compiled._plain, compiled._weighted, strict=True)):
            for own, weighted in zip(pair, (False, True), strict=True):
                for metric in own:
                    measure = measured(metric)
                    if measure is None:
                        return None
                    found.append((at, metric, measure, weighted))
        return found

    def _penalties(self) -> list[tuple[int, float, float]] | None:
        """The numbers of weights that have a penalty, with its factors, None if one has others."""
        model = self._model
        if model._regularized is None:
            model._regularized = regularized(model.trainable_weights)
        if not model._regularized:
            return []
        numbers = {id(weight): at for at, weight in enumerate(self.lowering.weights)}
        found = []
        for weight in model._regularized:
            at, factors = numbers.get(id(weight)), factors_of(weight.regularizer)
            if at is None or factors is None:
                return None
            found.append((at, *factors))
        return found

    def arrays(self) -> tuple[list[Array], list[Sequence[Array]]]:
        """The weights and the slots, for a holder of `one_version`."""
        return [weight._data for weight in self.lowering.weights], []

    def draws(self) -> list[tuple[int, int]]:
        """The seeds of the generators, and the numbers of their next calls."""
        return [(each.initial_seed, each.counter) for each in self.lowering.generators]

    def drawn(self, since: Sequence[tuple[int, int]], steps: int) -> None:
        """So many steps have drawn since `draws` gave that."""
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
        """Hands work out; gives what was done, which may be nothing of what the engine refuses."""
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


def _weighing(shape: tuple[int, ...], weight: Any) -> Array | None:
    """Weights of samples or of steps for an output of a shape, None if the engine reads none."""
    if not (type(weight) is np.ndarray and weight.dtype.str[1:] in _READ and weight.ndim):
        return None
    sizes = weight.shape[1:]
    while sizes and sizes[-1] == 1:
        sizes = sizes[:-1]
    if len(weight) != shape[0] or sizes not in ((), shape[1:-1]):
        return None
    rows = weight.reshape(len(weight), -1)
    return rows if readable(rows) else None


def _averaged(loss: Any, dtype: str) -> Measure | None:
    """A loss as the engine knows it, None if it does not."""
    if loss is None or isinstance(loss, str):  # the shapes of targets say what a name stands for
        return None
    if loss.reduction not in DIVISORS or loss.dtype not in (None, dtype):
        return None
    # A user's class may weigh and reduce in a way of its own.
    ours = type(loss).__module__.startswith("ferrnn._src.")
    measure: Measure | None = loss.measured() if ours else None
    return measure


def as_steps(x: Array) -> Array:
    """The samples as the engine reads them: it knows one axis between rows and features."""
    return x if x.ndim <= 3 else x.reshape(len(x), -1, x.shape[-1])


def readable(array: Array) -> bool:
    """Whether the engine reads the array where it is: its features are neighbours."""
    size = array.itemsize
    return (
        bool(array.flags.aligned)
        and array.dtype.isnative
        and (array.shape[-1] <= 1 or array.strides[-1] == size)
        and all(stride % size == 0 for stride in array.strides)
    )


def read_inputs(low: Lowering, arranged: Sequence[Any] | None) -> list[Array] | None:
    """The inputs of a model as the engine reads them where they are, None if it does not."""
    if arranged is None or len(arranged) != len(low.inputs):
        return None
    known = zip(low.inputs, arranged, strict=True)
    return [*map(as_steps, arranged)] if all(_readable_input(*pair) for pair in known) else None


def _readable_input(end: End, x: Any) -> bool:
    return (
        type(x) is np.ndarray
        and x.dtype.str[1:] in _READ
        and x.ndim == end.rank
        and end.features in (0, x.shape[-1])
        and not (end.ids and x.dtype.kind == "f")
        and x.size > 0
        and readable(x)
        and (x.ndim <= 3 or bool(x.flags.c_contiguous))
    )


def too_large(read: Sequence[Array], size: int) -> bool:
    """Whether batches of `size` samples are better computed layer by layer, but for training."""
    count = len(read[0])
    return sum(x.nbytes for x in read) // count * min(size, count) > _MOST_BYTES
