"""How the engine judges batches: losses, metrics and penalties, targets and weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.configs.config import epsilon
from ferrnn._src.training.averaged import DIVISORS
from ferrnn._src.training.metrics.of_losses import OfLoss
from ferrnn._src.training.plan_parts import End, Lowering, Node, Planned
from ferrnn._src.training.work import Judge, measured, reads_outputs_alone
from ferrnn._src.training.written import (
    Judged,
    Scored,
    WrittenMeasure,
    tell_of,
    written_loss,
    written_metric,
)
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.penalties import regularized
from ferrnn._src.weights.regularizers import factors_of

# The number of an output, its metric, what that averages, and whether weights of samples count.
Metered: TypeAlias = tuple[int, Any, Scored, bool]
# Number types of arrays that the engine reads as they are.
READ = ("f4", "f8", "i4", "i8", "u1")


class Judges:
    """How the engine judges the outputs of a model."""

    __slots__ = ("_lowering", "_model")

    def __init__(self, model: Planned, lowering: Lowering) -> None:
        self._model, self._lowering = model, lowering

    def judge(
        self, read: list[Array], y: Any, weight: Any, rows: int
    ) -> tuple[Judge, list[Array], list[Array | None]] | None:
        """How the engine judges outputs, with targets and weights; None if Python must.

        A batch has that many `rows`.
        """
        model, low = self._model, self._lowering
        shapes = [_shape_for(end, read[0]) for end in low.outputs]
        if len(shapes) == 1 and type(y) is np.ndarray:
            true, pred = (min(rows, len(each)) for each in (y, read[0]))
            model.bind_output((true, *y.shape[1:]), (pred, *shapes[0][1:]))
        flat = any(end.masked and end.rank != 3 for end in low.outputs)
        if flat or model._loss is None:
            return None
        targets = [y] if len(shapes) == 1 else model.arranged_targets(y)
        weights = [weight] if len(shapes) == 1 else model.arranged_weights(weight)
        if targets is None or weights is None:
            return None
        ends = list(zip(low.outputs, shapes, targets, weights, strict=True))
        if not all(type(true) is np.ndarray for true in targets):
            return None
        judged = [
            Judged(true.shape[1:], shape[1:], end.masked, _axes(given), low.dtype)
            for end, shape, true, given in ends
        ]
        found, metered, penalties = self._losses(judged), self._metered(judged), self._penalties()
        if found is None or metered is None or penalties is None:
            return None
        metrics, later = metered
        arrays: list[Array] = []
        weighings: list[Array | None] = []
        for at, (end, shape, true, given) in enumerate(ends):
            measures = [found[0][at][0], *(each for of, _, each, _ in metrics if of == at)]
            array, weighing = _fitting(end, shape, true, measures), _weighing(shape, given)
            if array is None or (weighing is None and given is not None):
                return None
            arrays.append(array)
            weighings.append(weighing)
        judge = Judge(found[0], metrics, found[1], penalties, judged, later)
        measures = [*(each[0] for each in found[0]), *(each[2] for each in metrics)]
        written = any(isinstance(each, WrittenMeasure) for each in measures)
        if not (written or later or any(metric._gathered() for _, metric, _, _ in metrics)):
            now = self._settings(metrics)
            judge.settings = [dict(each) if type(each) is dict else each for each in now]
        return judge, arrays, weighings

    def explained(self) -> list[Node]:
        """The losses and metrics of a single output that Python computes, as far as is known.

        Targets are taken to have the shape of the outputs.
        """
        model, low = self._model, self._lowering
        if len(low.outputs) != 1 or not low.covered or model._loss is None:
            return []
        (end,) = low.outputs
        shape = tuple(length or 1 for length in end.shape[1:])
        judged = Judged(shape, shape, end.masked, None, low.dtype)
        nodes = []
        for loss in model._loss._checked:
            found = "" if isinstance(loss, str) else _averaged(loss, judged)
            if found and isinstance(found, str):
                nodes.append(Node(loss.name, None, found))
        for metric in model._metrics.metrics:
            found = measured(metric) or written_metric(metric, judged, weighted=False)
            if isinstance(found, str):
                nodes.append(Node(metric.name, None, found))
        return nodes

    def still(self, judge: Judge) -> bool:
        """Whether judging is what it was: the settings of its parts may change at any time."""
        if judge.settings:
            try:
                return self._settings(judge.metrics) == judge.settings
            except ValueError:  # an array was put in place of another setting
                return False
        same_losses = self._losses(judge.judged) == (judge.losses, judge.means)
        same = same_losses and self._metered(judge.judged) == (judge.metrics, judge.later)
        return same and self._penalties() == judge.penalties

    def _settings(self, metrics: Sequence[Metered]) -> list[Any]:
        """What losses, metrics and penalties follow from, if none is written by a user.

        With an attribute more, a metric may hold variables.
        """
        found: list[Any] = [epsilon(), *map(vars, self._model._loss._losses)]
        for _, metric, _, _ in metrics:
            found.append(vars(metric.loss) if isinstance(metric, OfLoss) else metric._arguments)
            found.append(len(vars(metric)))
        for weight in self._model._regularized or ():
            found += type(weight.regularizer), vars(weight.regularizer)
        return found

    def _metered(self, judged: Sequence[Judged]) -> tuple[list[Metered], bool] | None:
        """The metrics as `_metrics` has them, or none where Python updates them after the steps.

        None where it must update them before a step changes weights.
        """
        found = self._metrics(judged)
        if found is not None:
            return found, False
        return ([], True) if self._by_outputs() else None

    def _by_outputs(self) -> bool:
        """Whether all that metrics depend on is known after a step that has changed weights."""
        compiled, low = self._model._metrics, self._lowering
        if compiled.to_come or not self._model.measures_as_compiled:
            return False
        plain = not any(end.masked or end.rank > 3 for end in low.outputs)
        return plain and all(map(reads_outputs_alone, compiled.metrics))

    def _losses(
        self, judged: Sequence[Judged]
    ) -> tuple[list[tuple[Scored, float, str]], list[Any]] | None:
        """What is averaged over each output, the weight, and what a weighted sum is divided by.

        Then the means of the losses of several outputs.
        """
        compiled, count = self._model._loss, len(self._lowering.outputs)
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
        for loss, weight, known in zip(losses, weights, judged, strict=True):
            measure = _averaged(loss, known)
            if isinstance(measure, str):
                tell_of("loss", loss, measure)
                return None
            whole = isinstance(measure, WrittenMeasure) and measure.whole
            found.append((measure, weight, "rows" if whole else DIVISORS[loss.reduction]))
        return found, means

    def _metrics(self, judged: Sequence[Judged]) -> list[Metered] | None:
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
                    measure = measured(metric) or written_metric(metric, judged[at], weighted)
                    if isinstance(measure, str):
                        tell_of("metric", metric, measure)
                        return None
                    found.append((at, metric, measure, weighted))
        return found

    def _penalties(self) -> list[tuple[int, float, float]] | None:
        """The numbers of penalized weights with their factors, or None if one is not L1 or L2."""
        model = self._model
        if model._regularized is None:
            model._regularized = regularized(model.trainable_weights)
        if not model._regularized:
            return []
        numbers = {id(weight): at for at, weight in enumerate(self._lowering.weights)}
        found = []
        for weight in model._regularized:
            at, factors = numbers.get(id(weight)), factors_of(weight.regularizer)
            if at is None or factors is None:
                return None
            found.append((at, *factors))
        return found


def _shape_for(end: End, x: Array) -> tuple[int, ...]:
    """The shape of an output for all samples; steps that are not known are those of `x`."""
    if end.rank == 2:
        return len(x), end.features
    lengths = zip(end.shape[1:-1], x.shape[1:], strict=False)
    steps = (known if given is None else given for given, known in lengths)
    return (len(x), *steps, end.features)


def _axes(weight: Any) -> int | None:
    """The number of axes of sample weights, without trailing axes of length one."""
    if weight is None:
        return None
    sizes = np.shape(weight)
    while len(sizes) > 1 and sizes[-1] == 1:
        sizes = sizes[:-1]
    return len(sizes)


def _averaged(loss: Any, judged: Judged) -> Scored | str:
    """The engine's measure for a loss, or the reason why there is none."""
    if loss is None or isinstance(loss, str):  # the shapes of targets say what a name stands for
        return "its name stands for none yet"
    if loss.reduction not in DIVISORS:
        return f"it has reduction={loss.reduction!r}"
    if loss.dtype not in (None, judged.dtype):
        return f"it computes in {loss.dtype}"
    # A user's class may weigh and reduce in a way of its own.
    ours = type(loss).__module__.startswith("ferrnn._src.")
    measure: Scored | None = loss.measured() if ours else None
    return written_loss(loss, judged) if measure is None else measure


def _fitting(
    end: End, shape: tuple[int, ...], y: Array, measures: Sequence[Scored]
) -> Array | None:
    """Targets as the engine takes them, or None."""
    if y.dtype.str[1:] not in READ or not readable(y):
        return None
    known = [each for each in measures if not isinstance(each, WrittenMeasure)]
    if not known:  # programs take the numbers of a sample as they lie
        return y.reshape(len(y), -1) if len(y) == shape[0] and y.size else None
    found = _as_labels(end, shape, y, {each[1] for each in known})
    whole = len(known) == len(measures) or math.prod(y.shape[1:]) == math.prod(shape[1:])
    return found if whole else None


def _as_labels(end: End, shape: tuple[int, ...], y: Array, labels: set[str]) -> Array | None:
    """Targets of the shape that measures of these labels take, None if they have another."""
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


def _weighing(shape: tuple[int, ...], weight: Any) -> Array | None:
    """Weights of samples or steps for an output of that shape, None if they are unreadable."""
    if not (type(weight) is np.ndarray and weight.dtype.str[1:] in READ and weight.ndim):
        return None
    sizes = weight.shape[1:]
    while sizes and sizes[-1] == 1:
        sizes = sizes[:-1]
    if len(weight) != shape[0] or sizes not in ((), shape[1:-1]):
        return None
    rows = weight.reshape(len(weight), -1)
    return rows if readable(rows) else None


def readable(array: Array) -> bool:
    """Whether the engine reads the array where it is: its features are neighbours."""
    size = array.itemsize
    return (
        bool(array.flags.aligned)
        and array.dtype.isnative
        and (array.shape[-1] <= 1 or array.strides[-1] == size)
        and all(stride % size == 0 for stride in array.strides)
    )
