"""Passes over samples by which a model is judged, many batches in one call of the engine."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from ferrnn._src.native import Plan
from ferrnn._src.training.batches import Pass
from ferrnn._src.training.losses import MeanAbsoluteError, MeanSquaredError
from ferrnn._src.training.plan_parts import Lowering, Planned
from ferrnn._src.training.work import LIMIT, MEASURES, Judge, Work
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.one_version import one_version
from ferrnn._src.weights.parameter import Parameter
from ferrnn._src.weights.penalties import regularized

# Number types of inputs that the engine reads as they are.
_READ = ("f4", "f8", "i4", "i8", "u1")
_ERRORS: dict[type, str] = {MeanSquaredError: "squared", MeanAbsoluteError: "absolute"}
_MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")
# A plan keeps what all of its layers give for a batch: only small ones are worth it.
_MOST_BYTES = 1 << 20


class TestingPlan:
    """The layers of a model in the engine, by which it is judged; a `TrainingPlan` is more."""

    __slots__ = ("_model", "_refused", "lowering", "native", "written")

    def __init__(self, model: Planned, lowering: Lowering, native: Plan) -> None:
        self._model, self.lowering, self.native = model, lowering, native
        self._refused = False
        self.written: list[Parameter] = []

    def takes(self, x: Any) -> bool:
        """Whether these inputs, of a batch or of all samples, can be read where they are."""
        return not self._refused and readable_inputs(self.lowering, x)

    def tests(self, batches: Pass, most: int) -> Generator[Work, None, int]:
        """At most so many batches, as many as there is time for; gives how many.

        None at all means that the next one must be taken without the plan.
        """
        x, y, weight = batches.samples.arrays
        model, places, size = self._model, batches.places(most), batches.size
        if model._regularized is None:
            model._regularized = regularized(model.trainable_weights)
        if not self.written and too_large(x, size):
            return 0
        judge = self._judge_for(x, y, weight, size)
        if judge is None:
            return self._judged_in_python(batches, places)
        given = ((x, batches.order()), places, size, (judge, most, False))
        done, _ = yield from self._worked(self._work(*given, trains=False))
        batches.taken += done
        return done

    def _judged_in_python(self, batches: Pass, places: tuple[int, int]) -> int:
        """As `tests`, where loss and metrics take the outputs of the engine in Python."""
        low, model, size = self.lowering, self._model, batches.size
        order = batches.order()
        if low.masked_outputs or model._collects or order is not None:
            return 0
        try:
            with one_version():
                weights = [weight._data for weight in low.weights]
                x = as_steps(batches.samples.x)
                outputs, rows = self.native.predict(weights, x, None, places, size, LIMIT)
        except ValueError:
            self._refused = True
            return 0
        starts = range(0, rows, size)
        for start in starts:
            model._tested(next(batches), outputs[start : min(start + size, rows)], None, ())
        return len(starts)

    def _judge_for(self, x: Array, y: Any, weight: Any, rows: int) -> Judge | None:
        """How the engine judges outputs; None where Python does. A batch has so many `rows`."""
        model, low = self._model, self.lowering
        lengths = zip(low.outputs[1:-1], x.shape[1:], strict=False)
        steps = (known if given is None else given for given, known in lengths)
        shape = (len(x), *steps, low.units)
        if type(y) is np.ndarray:
            model.bind_output((min(rows, len(y)), *y.shape[1:]), (min(rows, len(x)), *shape[1:]))
        only: Any = None if model._loss is None else model._loss.only
        name = _ERRORS.get(type(only))
        simple = weight is None and not (model._regularized or model._collects)
        simple = simple and not low.masked_outputs
        if name is None or not simple:
            return None
        compiled = model._metrics
        measures = compiled.only
        known = compiled.empty or (measures and all(type(m) in MEASURES for m in measures))
        fits = only.reduction in _MEANS and only.dtype in (None, low.dtype) and known
        array = type(y) is np.ndarray and y.dtype.str[1:] in _READ and readable(y)
        if not (fits and array):
            return None
        if y.shape == shape and y.dtype == np.dtype(low.dtype):
            return Judge(name, False, y, measures)
        # Values are rounded one by one then, in the way of NumPy.
        if low.ranks[1] == 2 and low.units == 1 and y.size == len(x) and y.ndim <= 2:
            return Judge(name, True, y.reshape(-1, 1), measures)
        return None

    def arrays(self) -> tuple[list[Array], list[Sequence[Array]]]:
        """The weights and the slots, for a holder of `one_version`."""
        return [weight._data for weight in self.lowering.weights], []

    def draws(self) -> list[tuple[int, int]]:
        """The seeds of the generators, and the numbers of their next calls."""
        return [(each.initial_seed, each.counter) for each in self.lowering.generators]

    def drawn(self, steps: int) -> None:
        """So many steps have drawn."""
        for generator, draws in zip(self.lowering.generators, self.lowering.draws, strict=True):
            generator.counter += steps * draws

    def _work(
        self,
        given: tuple[Array, Array | None],
        places: tuple[int, int],
        batch: int,
        asked: tuple[Judge, int, bool],
        trains: bool = True,
    ) -> Work:
        model = self._model
        told = (model._loss_mean, model.optimizer if trains else None)
        return Work(self, (as_steps(given[0]), given[1]), places, batch, asked, told)

    def _worked(self, work: Work) -> Generator[Work, None, tuple[int, float]]:
        """Hands work out; gives what was done, which may be nothing of what the engine refuses."""
        yield work
        error = work.error
        if isinstance(error, ValueError):
            self._refused = True  # what is wrong is said better layer by layer
        elif error is not None:
            raise error
        return work.taken()


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


def readable_inputs(low: Lowering, x: Any) -> bool:
    """Whether the engine reads these inputs of a model where they are."""
    return (
        type(x) is np.ndarray
        and x.dtype.str[1:] in _READ
        and x.ndim == low.ranks[0]
        and low.features in (0, x.shape[-1])
        and not (low.takes_ids and x.dtype.kind == "f")
        and x.size > 0
        and readable(x)
        and (x.ndim <= 3 or bool(x.flags.c_contiguous))
    )


def too_large(x: Array, size: int) -> bool:
    """Whether batches of `size` samples are better computed layer by layer, but for training."""
    return x.nbytes // len(x) * min(size, len(x)) > _MOST_BYTES
