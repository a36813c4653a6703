"""Users' losses and metrics in plans: they run in the engine as programs where they can."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.native import Program
from ferrnn._src.programs.known import program
from ferrnn._src.programs.lowering import Code, Lowered, Row, Shapes
from ferrnn._src.programs.settings import settings_of
from ferrnn._src.programs.sketch import BatchMean, CellTrace
from ferrnn._src.programs.telling import tell
from ferrnn._src.training.averaged import Measure
from ferrnn._src.training.compiled_metrics import lacks_axis
from ferrnn._src.training.loss import Loss
from ferrnn._src.training.metrics.means import MeanMetricWrapper

# What a loss of the user's may not write in a way of its own, besides `call`.
_OF_LOSSES = (
    "__call__", "_aligned", "_reduce", "_reduced", "counts", "evaluate", "forward", "pointwise",
    "values",
)  # fmt: skip


@dataclass(frozen=True)
class Judged:
    """What an output is judged by: the shapes of a sample's targets and outputs, and of weights.

    `weights` are the axes of the weights of samples, None if there are none.
    """

    true: tuple[int, ...]
    pred: tuple[int, ...]
    masked: bool
    weights: int | None
    dtype: str


class WrittenMeasure:
    """A program for the values of a user's loss or metric, in place of a `Measure`."""

    __slots__ = ("constants", "lowered")

    def __init__(self, lowered: Lowered) -> None:
        self.lowered = lowered
        self.constants = [np.asarray(each, np.float64) for each in lowered.constants]

    @property
    def program(self) -> Program:
        """The program, of targets and outputs."""
        return self.lowered.program

    @property
    def whole(self) -> bool:
        """Whether the mean of the values over a batch is one value of the batch."""
        return self.lowered.whole

    @property
    def root(self) -> bool:
        """Whether the square root of that mean is."""
        return self.lowered.root

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WrittenMeasure) and self.lowered is other.lowered

    def __hash__(self) -> int:
        return id(self.lowered)


# What is averaged over an output.
Scored: TypeAlias = "Measure | WrittenMeasure"


def written_loss(loss: Any, judged: Judged) -> WrittenMeasure | str:
    """The code of a user's loss as a program, or why it is not one."""
    kind = type(loss)
    if not (isinstance(loss, Loss) and loss._written_as_call()):
        return "the engine does not know it"
    more = [name for name in _OF_LOSSES if getattr(kind, name) is not getattr(Loss, name)]
    if more:
        return f"{kind.__name__} defines `{more[0]}`"
    mask = None if not judged.masked else np.ones((1, 1), bool)
    weight = None if judged.weights is None else np.ones((1,) * judged.weights)

    def values(true: Any, pred: Any) -> Any:
        true, pred = loss._aligned(true, pred, mask, weight)
        return loss.call(true, pred)

    return _measure(loss, values, judged)


def written_metric(metric: Any, judged: Judged, weighted: bool) -> WrittenMeasure | str:
    """The code of a user's metric as a program, or why it is not one."""
    if type(metric) is not MeanMetricWrapper:
        return "the engine does not know it"
    judged = judged if weighted else replace(judged, weights=None)
    if (judged.weights or 0) > 1:
        return "steps are weighted"

    def values(true: Any, pred: Any) -> Any:
        if judged.masked and lacks_axis(true, pred):
            true = true[..., None]
        return metric._fn(true, pred, **metric._arguments)

    return _measure(metric, values, judged)


def tell_of(kind: str, judge: Any, why: str) -> None:
    """Says once why Python computes a user's loss or metric, if it could be a program."""
    code = getattr(judge, "fn", getattr(judge, "_fn", None))
    if code is None and isinstance(judge, Loss) and judge._written_as_call():
        code = type(judge)
    if code is not None and not getattr(code, "__module__", "").startswith("ferrnn._src."):
        name = getattr(code, "__qualname__", repr(code))
        tell(f"the {kind} `{name}` is computed", why)


def _measure(owner: Any, values: Callable[[Any, Any], Any], judged: Judged) -> WrittenMeasure | str:
    def code(trace: CellTrace, given: Any, states: Any) -> tuple[Any, tuple[Any, ...]]:
        true, pred = given
        trace.takes_means = not judged.masked and judged.weights is None
        found = values(true, pred)
        if not isinstance(found, BatchMean):
            return found, ()
        trace.gives_mean, trace.gives_root = True, found.rooted
        return found.last, ()

    def asked() -> tuple[Code, Shapes]:
        rows = [Row(judged.true), Row(judged.pred)]
        return code, Shapes(rows, (), np.dtype(judged.dtype), True, (False, True))

    found = program(owner, (judged, settings_of(owner)), asked)
    if isinstance(found, str):
        return f"its code has {found}"
    if found.parameters:
        return "its code has a weight"
    if not _fits(found.output, judged):
        return "its values do not belong to steps, which count differently"
    return WrittenMeasure(found)


def _fits(values: tuple[int, ...], judged: Judged) -> bool:
    """Whether each of the values of a sample belongs to a step, if steps count differently."""
    steps = judged.pred[:-1]
    by_step = judged.masked or (judged.weights or 0) > 1
    count, time = math.prod(values), math.prod(steps)
    if by_step:
        return values[: len(steps)] == steps
    return count % time == 0 or count == 1
