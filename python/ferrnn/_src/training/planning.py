"""Plans: steps of a model in one call of the engine, many where no callback looks."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from ferrnn._src.native import Plan
from ferrnn._src.training.batches import Batches, Pass
from ferrnn._src.training.judging import TestingPlan
from ferrnn._src.training.plan_parts import Lowering, Planned
from ferrnn._src.training.samples import Batch
from ferrnn._src.training.work import Judge, Work
from ferrnn._src.tree.tree import flatten
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.one_version import one_version
from ferrnn._src.weights.parameter import Gradients, WritingAll
from ferrnn._src.weights.penalties import penalties_on

# How many steps the first call of many is given rates for; later ones twice what the last did.
_AT_FIRST = 64
# So many numbers of outputs are kept for metrics that Python computes.
_MOST_OUTPUTS = 1 << 18
# The orders of passes that are taken in one call have at most so many places.
_MOST_PLACES = 1 << 16
# A plan that is asked for less often is not worth making; after more of those, none is made.
_LASTS, _MOST_LOST = 16, 3


class TrainingPlan(TestingPlan):
    """Steps of one model; `explained` must have found it covered, its optimizer is built."""

    __slots__ = ("_ahead", "_bound", "_gradients", "_trained", "alone")

    def __init__(
        self, model: Planned, lowering: Lowering, shared: dict[Any, Plan] | None = None
    ) -> None:
        known = {id(weight) for weight in model._trained}
        numbers = [at for at, each in enumerate(lowering.weights) if id(each) in known]
        self._trained = [lowering.weights[at] for at in numbers]
        double = lowering.dtype == "float64"
        given = (lowering.parts, numbers, lowering.ends, double)
        if shared is None or lowering.handed_back:
            native = Plan(*given)
        else:
            key = (lowering.key, tuple(numbers), double)
            if key not in shared:
                shared[key] = Plan(*given)
            native = shared[key]
        super().__init__(model, lowering, native)
        slots = model.optimizer._state.slots
        self._slots = [slots.get(weight, ()) for weight in self._trained]
        self.written = [*self._trained, *(slot for own in self._slots for slot in own)]
        self.written += dict.fromkeys(lowering.followed)
        self._ahead, self.alone = _AT_FIRST, shared is None
        # For the optimizer, if Python makes the updates.
        self._gradients: list[Array] = []
        self._bound = [weight for weight in self._trained if weight.constraint is not None]

    @property
    def _followed(self) -> bool:
        """Whether Python does something after each step, or sees that weights have changed."""
        optimizer = self._model.optimizer
        by_python = bool(self._bound) or optimizer.use_ema or optimizer.in_python() is not None
        return by_python or any(each.waits for each in self.lowering.handed_back)

    def runs(self, lowering: Lowering) -> bool:
        """Whether a model is what it was when the plan was made."""
        own = self.lowering
        held = ([*map(id, (*each.weights, *each.generators))] for each in (own, lowering))
        same = own.parts == lowering.parts and own.only_trains == lowering.only_trains
        return same and next(held) == next(held)

    def step(self, batch: Batch) -> Generator[Work, None, float | None]:
        """Takes one step; returns the loss, or None if it must be taken without the plan."""
        found = self._ready(batch, trains=True)
        if found is None:
            return None
        data, judge = found
        size = len(data[0][0])
        if judge is None:
            return self._judged(batch, data[0], None, (0, size))
        work = self._work(judge, data, ((0, size), size, 1, False))
        done, loss = yield from self._worked(work)
        return loss if done else None

    def next_of(self, batches: Pass) -> float | None:
        """Takes the next batch of a pass by a step of its own, see `Alike`, and gives the loss.

        None if `steps` has to find out about the samples first, or takes it with other models.
        """
        samples = batches.samples.arrays
        like = self._known(samples, trains=True) if self.alone else None
        if like is None or not like.alone:
            return None
        data = like.data(samples, batches.order())
        loss = like.step(self, data, batches.places(), batches.size, trains=True)
        batches.taken += loss is not None
        return loss

    def steps(
        self, batches: Pass, most: int, finite: bool
    ) -> Generator[Work, None, tuple[int, float]]:
        """Takes at most that many steps, as time permits; returns how many, and the last loss.

        With `finite`, a step with a loss that is not finite is the last. No step at all means that
        the next one must be taken without the plan.
        """
        order, size = batches.order(), batches.size
        found = self._ready(batches.samples.arrays, size, order, trains=True, later=True)
        if found is None:
            return 0, 0.0
        data, judge = found
        compiled = self._model._metrics
        if judge is not None and judge.later and compiled.measured != judge.judged:
            # What metrics refuse is refused before weights change.
            compiled.measured, judge = judge.judged, None
        if judge is None:
            places, taken = batches.places(), batches.taken
            loss = self._judged(next(batches), data[0], order, places)
            if loss is None:
                batches.taken = taken
                return 0, 0.0
            return 1, loss
        most = min(most, 1 if self._followed else self._ahead)
        outputs: list[Array] = []
        if judge.later:
            most, outputs = self._keeping(batches, most, judge)
        span = batches.places(most), size, most, finite
        work = self._work(judge, data, span, outputs=outputs)
        done, loss = yield from self._worked(work)
        if judge.later:
            self._measure(batches, done, outputs)
        else:
            batches.taken += done
        self._ahead = max(_AT_FIRST, 2 * done)
        return done, loss

    def passes(
        self, source: Batches, most: int, finite: bool
    ) -> tuple[Generator[Work, None, Any], Work] | None:
        """Takes several passes at a time, at most that many, and gives the work that it waits for.

        None if passes have to be taken step by step, or are so long that there is time for one.
        """
        samples = source.samples.count
        most = min(most, self._ahead // max(len(source), 1), _MOST_PLACES // max(samples, 1))
        if most < 2 or self._followed or self.lowering.handed_back:
            return None
        size = source.batch_size
        data, judge = self._ready(source.samples.arrays, size, trains=True) or (None, None)
        if data is None or judge is None:
            return None
        data = (*data[:3], np.concatenate(source.orders(most)))
        work = self._work(judge, data, ((0, most * samples), size, most * len(source), finite))

        def working() -> Generator[Work, None, None]:
            done, _ = yield from self._worked(work)
            self._ahead = max(_AT_FIRST, 2 * done)

        return working(), work

    def _keeping(self, batches: Pass, most: int, judge: Judge) -> tuple[int, list[Array]]:
        """How many of at most so many steps to take, and arrays for their outputs."""
        shapes, dtype = [each.pred for each in judge.judged], self.lowering.dtype
        numbers = max(sum(math.prod(shape) for shape in shapes) * batches.size, 1)
        most = min(most, max(1, _MOST_OUTPUTS // numbers))
        first, last = batches.places(most)
        return most, [np.empty((last - first, *shape), dtype) for shape in shapes]

    def _measure(self, batches: Pass, done: int, outputs: Sequence[Array]) -> None:
        """Lets the metrics see the outputs of the next batches, which the engine has done."""
        model, size = self._model, batches.size
        for start in range(0, done * size, size):
            x, y, weight = next(batches)
            made = model.structured([each[start : start + size] for each in outputs])
            model._measure(x, y, made, weight, None)

    def arrays(self) -> tuple[list[Array], list[Sequence[Array]]]:
        weights, slots = super().arrays()
        if self._model.optimizer.in_python() is not None:
            slots = [[gradient] for gradient in self._handed()]
        return weights, slots

    def _handed(self) -> list[Array]:
        """Arrays for the gradients that the engine hands over."""
        if not self._gradients:
            self._gradients = [np.zeros(each.shape, each.dtype) for each in self._trained]
        return self._gradients

    def _judged(
        self, batch: Batch, read: list[Array], order: Array | None, places: tuple[int, int]
    ) -> float | None:
        """A step whose loss and metrics are computed between forward and backward, in Python."""
        model, native = self._model, self.native
        self.lowering.losses.clear()
        try:
            with one_version():
                weights = self.arrays()[0]
                made = native.forward(weights, read, order, places, True, self.draws())
        except ValueError:
            self._refused = True
            return None
        self.drawn(self.draws(), 1)
        penalties, add_gradients = penalties_on(model._regularized or ())
        added = penalties + sum(self.lowering.losses)
        outputs, mask = model.structured(made), self._masks(made)
        value, vjp = model._loss_of(batch, outputs, mask, added)
        model._measure(*batch[:2], outputs, batch[2], mask)
        d_outputs = [np.ascontiguousarray(slope) for slope in flatten(vjp(Gradients()))]
        of_penalties = Gradients()
        add_gradients(of_penalties)
        optimizer = model.optimizer
        with WritingAll(self.written):
            weights, slots = self.arrays()
            way, rates, decays = optimizer.engine_moves(1)
            decay = None if decays is None else decays[0]
            more = self._by_number(of_penalties)
            place = optimizer.engine_place()
            native.backward(weights, slots, d_outputs, more, way, rates, decay)
            optimizer.engine_passed(place, 1)
        self.follow()
        return value

    def _by_number(self, grads: Gradients) -> list[tuple[int, Array]]:
        """Gradients of penalties, by the numbers of their weights."""
        if not len(grads):
            return []
        found = ((at, weight) for at, weight in enumerate(self.lowering.weights) if weight in grads)
        return [(at, np.asarray(grads[weight], weight.dtype)) for at, weight in found]

    def _masks(self, made: list[Array]) -> Any:
        """The mask of the outputs that were made, a list for several."""
        low = self.lowering
        if not low.masked_outputs:
            return None
        masks = []
        for at, (end, outputs) in enumerate(zip(low.outputs, made, strict=True)):
            steps = self.native.mask(at) if end.masked else None
            known = None if steps is None else np.frombuffer(steps, bool)
            masks.append(None if known is None else known.reshape(outputs.shape[:2]))
        return masks[0] if len(masks) == 1 else masks

    def follow(self) -> None:
        """Averages the weights that a step has moved, and applies their constraints.

        Or makes the update, of which these are a part, by the gradients that were handed over.
        """
        optimizer = self._model.optimizer
        if optimizer.in_python() is not None:
            grads = Gradients()
            for weight, gradient in zip(self._trained, self._handed(), strict=True):
                grads.add(weight, gradient)
            self._model._update(grads)
            return
        if optimizer.use_ema:
            optimizer.average_step()
        for weight in self._bound:
            weight.assign(weight.constraint(weight.value))


class PlanKeeper:
    """Where a model keeps its plan; copies and files of models have none.

    >>> keeper = PlanKeeper()
    >>> keeper.plan is None
    True
    """

    __slots__ = ("_asked", "_lost", "plan", "prepared", "shared")

    def __init__(self, shared: dict[Any, Plan] | None = None) -> None:
        self.plan: TrainingPlan | None = None
        self.shared = shared  # the engine's part, by structure, of models that have one together
        self.prepared: tuple[int, int] | None = None  # for which weights and optimizer
        # How often the plan was asked for, and how many plans were soon lost to new attributes.
        self._asked = self._lost = 0

    def holds(self) -> bool:
        """Whether the attributes that the plan has read of users' code are what they were."""
        self._asked += 1
        if self.plan is None or self.plan.lowering.current:
            return True
        self._lost += self._asked < _LASTS
        self._asked = 0
        return False

    @property
    def given_up(self) -> bool:
        """Whether attributes change so often that making plans takes longer than they save."""
        return self._lost > _MOST_LOST

    def __reduce__(self) -> Any:
        return PlanKeeper, ()
