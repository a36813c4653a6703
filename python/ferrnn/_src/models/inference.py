"""Inference of a model, on one batch or many, in one call of the engine."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ferrnn._src.native import InternalError, Plan
from ferrnn._src.programs.lowering import switched_off
from ferrnn._src.training.judging import TestingPlan, read_inputs, too_large
from ferrnn._src.training.plan_parts import Lowering
from ferrnn._src.training.work import LIMIT
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.one_version import one_version

# Larger inputs are not copied through the memory of a plan, which it keeps.
_MOST_BYTES = 1 << 18
_IDS = ("int32", "int64", "uint8")
_version_of = operator.attrgetter("version")


class InferencePlan:
    """The layers of a model as one call; `plan_of` makes it.

    Inputs that it does not take (other dtypes, strided arrays, invalid ids) go layer by layer,
    which also raises the better errors.
    """

    __slots__ = ("_alone", "_known", "_packed", "lowering", "native", "tested")

    def __init__(self, lowering: Lowering) -> None:
        low = lowering
        double = low.dtype == "float64"
        self.native, self.lowering = Plan(low.parts, [], low.ends, double), low
        # Otherwise a batch goes layer by layer: a plan saves nothing, or outputs have a mask.
        self._alone = not (low.handed_back or low.masked_outputs)
        self._packed: list[int] | None = None  # the versions that the engine has packed
        # A compiled loss, and a plan that computes it.
        self.tested: tuple[Any, TestingPlan | None] = (None, None)
        ids, floats = ({np.dtype(name) for name in names} for names in (_IDS, (low.dtype,)))
        self._known = [(end.rank, end.features, ids if end.ids else floats) for end in low.inputs]

    def outputs(self, inputs: list[Any]) -> list[Array] | None:
        """The outputs for inputs `[batch, ...]`, or None if the plan does not take them."""
        known = self._known
        if not self._alone or len(inputs) != len(known):
            return None
        rows = len(inputs[0])
        for at, x in enumerate(inputs):
            rank, features, dtypes = known[at]
            if (
                type(x) is not np.ndarray
                or x.ndim != rank
                or not 0 < x.nbytes <= _MOST_BYTES
                or x.dtype not in dtypes
                or features not in (0, x.shape[-1])
                or not x.flags.carray
                or len(x) != rows
            ):
                return None
        made: list[Array] | None = self._computed(
            self.native.forward, inputs, None, (0, rows), False, None
        )
        return made

    def takes(self, arranged: Sequence[Any] | None, size: int) -> list[Array] | None:
        """The samples for `ahead` in batches of `size`, or None if it does not take them."""
        read = read_inputs(self.lowering, arranged)
        return None if read is None or too_large(read, size) else read

    def ahead(
        self, read: list[Array], size: int, done: int, outputs: list[Array] | None
    ) -> tuple[list[Array] | None, int]:
        """Computes outputs for the samples from `done` on, batch by batch, in `outputs` if given.

        Returns them and the number of samples done: as many as there was time for, or as before if
        the plan does not take them.
        """
        rest = None if outputs is None else [each[done:] for each in outputs]
        given = (read, None, (done, len(read[0])), size, LIMIT)
        found = self._computed(self.native.predict, *given, outputs=rest)
        if found is None:
            return outputs, done
        made, rows = found
        return (made if outputs is None else outputs), done + rows

    def _computed(self, function: Any, *given: Any, **outputs: Any) -> Any:
        """The result of a function of the plan, while no other thread writes weights, or None."""
        lock = one_version()
        # Threads do not wait for each other's plans: layer by layer, only packing needs the lock.
        if not lock.acquire(blocking=False):
            return None
        try:
            weights = self.lowering.weights
            versions = [*map(_version_of, weights)]
            arrays = [weight._data for weight in weights]
            packed, self._packed = versions == self._packed, None
            made = function(arrays, *given, packed, **outputs)
        except InternalError:
            raise
        except (ValueError, RuntimeError):  # among others, if another thread uses the plan
            return None
        else:
            self._packed = versions
            return made
        finally:
            lock.release()


def plan_of(model: Any) -> InferencePlan | None:
    """The plan of a model, or None if some of its layers cannot be in one.

    Plans do not support weights of reduced precision, states that are carried from call to call, or
    dropout outside of training. `FERRNN_PLAN=0` in the environment switches
    plans off, as does `compile(run_eagerly=True)`.
    """
    if switched_off() or model.run_eagerly:
        return None
    lowering = model.lowered()
    return InferencePlan(lowering) if lowering.covered and not lowering.only_trains else None
