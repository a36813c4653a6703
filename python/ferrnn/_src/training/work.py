"""Steps of a model in the engine, made ready: taken alone, or with those of other models."""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar

from ferrnn._src.native import InternalError, Plan
from ferrnn._src.training import metrics
from ferrnn._src.training.averaged import Measure
from ferrnn._src.training.metrics.of_losses import OfLoss
from ferrnn._src.training.plan_parts import Lowering
from ferrnn._src.training.written import Judged, Scored
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.one_version import one_version
from ferrnn._src.weights.parameter import Parameter, written

# Seconds after which a call of many steps comes back: so long Ctrl-C and a bar wait at most.
LIMIT = 0.05

_ACCURACIES: dict[type, str] = {
    metrics.CategoricalAccuracy: "one-hot",
    metrics.SparseCategoricalAccuracy: "numbers",
}


def reads_outputs_alone(metric: Any) -> bool:
    """Whether a metric depends on nothing but targets, outputs and weights of samples.

    >>> reads_outputs_alone(metrics.AUC())
    True
    """
    kind = type(metric)
    # A function, or a class of the user's, may read weights of the model.
    ours = kind.__module__.startswith("ferrnn._src.")
    return ours and kind is not metrics.MeanMetricWrapper


def measured(metric: Any) -> Measure | None:
    """The engine's measure for a metric, or None.

    >>> measured(metrics.BinaryAccuracy(threshold=0.25))
    ('hits', 'binary', (0.25,))
    """
    kind = type(metric)
    # A user's class may weigh and gather in a way of its own.
    if isinstance(metric, OfLoss) and kind.__module__ == OfLoss.__module__:
        measure: Measure | None = metric.loss.measured()
        return measure if metric.loss.ignore_class is None else None
    if kind is metrics.BinaryAccuracy:
        # The one that its function takes: the attribute alone changes nothing.
        return "hits", "binary", (float(metric._arguments["threshold"]),)
    labels = _ACCURACIES.get(kind)
    return None if labels is None else ("hits", labels, (0.0,))


R = TypeVar("R")


# Python adds up floats exactly, or nearly so, from 3.12 on.
_EXACT = sys.version_info >= (3, 12)


@dataclass(slots=True)
class Judge:
    """A loss for each output, and the metrics of the engine.

    `losses` are what is averaged, the weight, and what a weighted sum is divided by, see
    `DIVISORS`. Metrics come with the number of their output, and whether weights of samples count;
    `means` are those of the losses of several outputs. `penalties` have the number of their weight,
    and both factors. `judged` says for which shapes all of this is. If `later`, Python updates all
    metrics after the steps, from their outputs. `settings` are what all of this follows from, if no
    code of users has a part in it and metrics have nothing but two sums.
    """

    losses: Sequence[tuple[Scored, float, str]]
    metrics: Sequence[tuple[int, Any, Scored, bool]]
    means: Sequence[Any]
    penalties: Sequence[tuple[int, float, float]]
    judged: Sequence[Judged]
    later: bool = False
    settings: Sequence[Any] = ()
    asked_anew: tuple[Any, ...] = field(init=False)  # as `asked`, for metrics without samples

    def __post_init__(self) -> None:
        metrics = [(at, measure, weighted, (0.0, 0.0)) for at, _, measure, weighted in self.metrics]
        self.asked_anew = self.losses, _EXACT, metrics, self.penalties

    def asked(self) -> tuple[Any, ...]:
        """In the form that the engine takes: for each metric what it sums, and its sums so far."""
        metrics = [
            (at, measure, weighted, (float(metric.total), float(metric.count)))
            for at, metric, measure, weighted in self.metrics
        ]
        return self.losses, _EXACT, metrics, self.penalties


# Inputs, targets and weights `[samples, ...]`, as the engine reads them, and the order of samples.
Data: TypeAlias = "tuple[list[Array], Sequence[Array], Sequence[Array | None], Array | None]"


class Worked(Protocol):
    """What work needs of the plan that it is for."""

    native: Plan
    lowering: Lowering
    written: list[Parameter]

    def arrays(self) -> tuple[list[Array], list[Sequence[Array]]]:
        """The weights and the slots, for a holder of `one_version`."""

    def draws(self) -> list[tuple[int, int]]:
        """The seeds of the generators, and the numbers of their next calls."""

    def drawn(self, since: Sequence[tuple[int, int]], steps: int) -> None:
        """Advances the generators: that many steps have drawn since `draws` was called."""


# The sum of losses, the number of samples, the sums of the losses of outputs and both of metrics.
Sums: TypeAlias = "tuple[float, float, list[float], list[tuple[float, float]]]"


class Work:
    """At most `most` steps on the samples at `places`; without an `optimizer` none is trained.

    Places that go on after the last sample are those of the next pass; `passes` has the sums of
    each that was begun. Outputs of all steps go to `outputs`, if there are arrays for them. With
    `finite`, a step with a loss that is not finite is the last. `steps` and `loss` say what was
    done, and the last loss.
    """

    __slots__ = (
        "_before",
        "_data",
        "_judge",
        "_mean",
        "_most",
        "_optimizer",
        "_outputs",
        "_span",
        "error",
        "loss",
        "passes",
        "plan",
        "steps",
    )

    def __init__(
        self,
        plan: Worked,
        judge: Judge,
        data: Data,
        span: tuple[tuple[int, int], int, int, bool],
        told: tuple[Any, Any],
        outputs: Sequence[Array] = (),
    ) -> None:
        self.plan, self._judge, self._data, self._outputs = plan, judge, data, outputs
        places, batch, self._most, finite = span
        self._span = places, batch, len(data[0][0]) or 1, LIMIT, finite
        self._mean, self._optimizer = told
        self.steps, self.loss = 0, 0.0
        self.passes: list[Sums] = []
        self.error: BaseException | None = None

    @property
    def trained(self) -> bool:
        """Whether it has changed weights."""
        return self._optimizer is not None and self.steps > 0

    @property
    def written(self) -> list[Parameter]:
        """The weights and slots that it changes."""
        return [] if self._optimizer is None else self.plan.written

    def said(self) -> tuple[Any, ...]:
        """The work in the form that the engine takes."""
        judge, mean, optimizer = self._judge, self._mean, self._optimizer
        weights, slots = self.plan.arrays()
        moves, draws, place = None, [], ()
        if optimizer is None:
            slots = []
        else:
            moves = optimizer.engine_moves(self._most)
            place = optimizer.engine_place()
            draws = self.plan.draws() if self.plan.lowering.generators else []
        own = judge.means
        self._before = [mean.count, *(each.count for each in own)], place, draws
        sums = mean.total, mean.count, [each.total for each in own]
        arrays = weights, slots, self._outputs
        return arrays, self._data, self._span, judge.asked(), moves, sums, draws

    def took(self, done: tuple[Any, ...]) -> None:
        """Notes what the engine has done; may be called twice."""
        steps, self.loss, self.passes, self.error = done
        counts, place, draws = self._before
        self.put(self.passes[-1], counts if len(self.passes) == 1 else ())
        self.steps = steps
        if self._optimizer is not None:
            self._optimizer.engine_passed(place, steps)
            if draws:
                self.plan.drawn(draws, steps)

    def put(self, sums: Sums, counts: Sequence[float] = ()) -> None:
        """Sets the metrics to the sums of a pass, before which they had these counts, or none."""
        total, count, parts, of_metrics = sums
        if parts:
            before, *own = counts or [0.0] * (1 + len(parts))
            for each, known, part in zip(self._judge.means, own, parts, strict=True):
                each.put(part, known + (count - before))
        for (_, metric, _, _), (over, under) in zip(self._judge.metrics, of_metrics, strict=True):
            metric.put(over, under)
        self._mean.put(total, count)


# What is done with a batch, which gives its loss: what it yields is run before it goes on.
Turn: TypeAlias = Generator[Work, None, float]


def run_together(works: Sequence[Work]) -> None:
    """Runs the work of models, those of one structure in one call; leaves errors in `error`."""
    of_plan: dict[int, list[Work]] = {}
    for work in works:
        of_plan.setdefault(id(work.plan.native), []).append(work)
    for group in of_plan.values():
        run(*group)


def run(*works: Work) -> None:
    """As `run_together`, for work of models of one structure."""
    done: list[tuple[Any, ...]] = []
    error: BaseException | None = None
    with one_version():
        try:
            works[0].plan.native.train([work.said() for work in works], done)
            _take_down(works, done)
        except BaseException as raised:  # noqa: BLE001 - it is raised by whoever waits for the work
            # A handler of signals may raise as the call returns, or amid what follows: once more.
            _take_down(works, done)
            error = raised
    if error is None:
        return
    if isinstance(error, InternalError):
        raise error
    refused = not done and isinstance(error, TypeError | ValueError | MemoryError | RuntimeError)
    if refused and len(works) > 1:  # one alone tells what is wrong with it
        for work in works:
            run(work)
        return
    for work in works:
        work.error = error


def _take_down(works: Sequence[Work], done: Sequence[tuple[Any, ...]]) -> None:
    """Notes what was done; weights get new versions."""
    for work, each in zip(works, done, strict=False):
        work.took(each)
    for work in works:
        written(work.written)


def finished(turns: Generator[Work, None, R]) -> R:
    """The result of a generator of work, after each piece has been run."""
    while True:
        try:
            work = next(turns)
        except StopIteration as end:
            result: R = end.value
            return result
        run(work)
