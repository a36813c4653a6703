"""Calls of a model that train nothing, in one call of the engine."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ferrnn._src.models.precisions import precisions
from ferrnn._src.native import InternalError, Plan
from ferrnn._src.training.plan_parts import Lowering, switched_off
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.one_version import one_version

# Inputs and outputs are copied through the plan's memory, which it keeps: only small ones are.
_MOST_BYTES = 1 << 18
_version_of = operator.attrgetter("version")


class InferencePlan:
    """The layers of a model as one call; `plan_of` makes it.

    What it does not take (other dtypes, strided arrays, ids that no row has) goes layer by layer,
    which also says best what is wrong with it.
    """

    __slots__ = ("_dtypes", "_features", "_native", "_packed", "_rank", "_weights")

    def __init__(self, lowering: Lowering) -> None:
        low = lowering
        double = low.dtype == "float64"
        self._native = Plan(low.parts, [], low.ranks[1], double)
        self._weights = low.weights
        self._packed: list[int] | None = None  # the versions that the engine has packed
        self._rank, self._features = low.ranks[0], low.features
        names = ("int32", "int64", "uint8") if low.takes_ids else (low.dtype,)
        self._dtypes = {np.dtype(name) for name in names}

    def outputs(self, x: Array) -> Array | None:
        """The outputs for inputs `[batch, ...]`, or None if the plan does not take them."""
        if (
            x.ndim != self._rank
            or not 0 < x.nbytes <= _MOST_BYTES
            or x.dtype not in self._dtypes
            or self._features not in (0, x.shape[-1])
            or not x.flags.carray
        ):
            return None
        lock = one_version()
        # Nobody waits for the computation of another: its layers need the lock to pack alone.
        if not lock.acquire(blocking=False):
            return None
        try:
            return self._computed(x)
        except InternalError:
            raise
        except (ValueError, RuntimeError):  # or another thread computes by the plan
            return None
        finally:
            lock.release()

    def _computed(self, x: Array) -> Array:
        """The outputs, by weights that nobody writes."""
        versions = [*map(_version_of, self._weights)]
        weights = [weight._data for weight in self._weights]
        packed, self._packed = versions == self._packed, None
        made: Array = self._native.forward(weights, x, None, (0, len(x)), False, None, packed)
        self._packed = versions
        return made


def plan_of(model: Any) -> InferencePlan | None:
    """The plan of a model that is nothing but layers which plans know, or None.

    Plans do not know weights of fewer bits. `FERRNN_PLAN=0` in the environment means that there is
    none.
    """
    if switched_off():
        return None
    lowering = model.lowered()
    if not lowering.covered or lowering.handed_back or lowering.masked_outputs or precisions(model):
        return None
    return InferencePlan(lowering)
