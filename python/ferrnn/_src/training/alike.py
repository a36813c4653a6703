"""Samples of a kind: how they are judged, and steps on them that are taken one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ferrnn._src.training.judges import Judges
from ferrnn._src.training.plan_parts import Planned
from ferrnn._src.training.samples import Batch
from ferrnn._src.training.work import LIMIT, Data, Judge, Worked
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.one_version import one_version
from ferrnn._src.weights.parameter import written


class OfModel(Worked, Protocol):
    """What a step needs of a plan."""

    _judges: Judges
    _model: Planned
    _refused: bool

    def follow(self) -> None:
        """What follows a step that has changed weights."""


class Alike:
    """Samples of the same shapes and types, which the engine reads and judges in the same way.

    `alone` says whether a step can be taken by `step`: there is one output, and no code of users
    has a part in judging it.
    """

    __slots__ = ("_targets", "_weights", "alone", "judge")

    def __init__(
        self, plan: OfModel, judge: Judge, targets: Sequence[Array], weights: Sequence[Any]
    ) -> None:
        self.judge, self._targets = judge, targets[0].shape
        self._weights = None if weights[0] is None else weights[0].shape
        self.alone = bool(judge.settings) and not (judge.means or plan.lowering.handed_back)

    def data(self, samples: Batch, order: Array | None = None) -> Data:
        """Samples as the engine takes them."""
        x, y, weight = samples
        if y.shape != self._targets:
            y = y.reshape(self._targets)
        if weight is not None:
            weight = weight.reshape(self._weights)
        return [x], [y], [weight], order

    def step(
        self,
        plan: OfModel,
        data: Data,
        places: tuple[int, int],
        size: int,
        trains: bool,
        anew: bool = False,
    ) -> float | None:
        """Takes a step of a plan, with metrics reset if they begin `anew`; gives the loss.

        None if the engine refuses it. It does what work does, see `Work`, and what `run` does for
        it, in a third of the time that several objects and calls take in Python.
        """
        judge, model = self.judge, plan._model
        optimizer, mean = model.optimizer, model._loss_mean
        done: list[Any] = []
        place: tuple[Any, ...] = ()
        draws: list[tuple[int, int]] = []
        moves: Any = None
        error: BaseException | None = None
        try:
            with one_version():
                try:
                    weights, slots = plan.arrays()
                    if trains:
                        moves = optimizer.engine_moves(1)
                        place = optimizer.engine_place()
                        if plan.lowering.generators:
                            draws = plan.draws()
                    else:
                        slots = []
                    asked, sums = judge.asked_anew, (0.0, 0.0, ())
                    if not anew:
                        asked, sums = judge.asked(), (mean.total, mean.count, ())
                    arrays = weights, slots, ()
                    span = places, size, len(data[0][0]), LIMIT, False
                    plan.native.train([(arrays, data, span, asked, moves, sums, draws)], done)
                    self._note(plan, done, place, draws)
                except BaseException as raised:  # noqa: BLE001 - raised below
                    # A handler of signals may raise as the call returns, or amid what follows.
                    self._note(plan, done, place, draws)
                    error = raised
        finally:
            if trains and done and done[0][0]:
                plan.follow()
        if error is None:
            error = done[0][3]
        if error is None:
            loss: float = done[0][1]
            return loss
        if anew and not done:
            model.reset_metrics()
        if not isinstance(error, ValueError):
            raise error
        plan._refused = True  # what is wrong is said better layer by layer
        return None

    def _note(
        self,
        plan: OfModel,
        done: list[Any],
        place: tuple[Any, ...],
        draws: list[tuple[int, int]],
    ) -> None:
        """Notes what was done, as a holder of `one_version`; may be called twice."""
        if done:
            steps, _, passes, _ = done[0]
            total, count, _, of_metrics = passes[0]
            for (_, metric, _, _), (over, under) in zip(
                self.judge.metrics, of_metrics, strict=True
            ):
                metric.put(over, under)
            plan._model._loss_mean.put(total, count)
            if place:
                plan._model.optimizer.engine_passed(place, steps)
            if draws:
                plan.drawn(draws, steps)
        if place:
            written(plan.written)
