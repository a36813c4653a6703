"""Calls of a model that train nothing, in one call of the engine: of a batch, or of many."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ferrnn._src.native import InternalError, Plan
from ferrnn._src.training.judging import as_steps, readable_inputs, too_large
from ferrnn._src.training.plan_parts import Lowering, switched_off
from ferrnn._src.training.work import LIMIT
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

    __slots__ = ("_alone", "_dtypes", "_features", "_packed", "_rank", "lowering", "native")

    def __init__(self, lowering: Lowering) -> None:
        low = lowering
        double = low.dtype == "float64"
        self.native, self.lowering = Plan(low.parts, [], low.ranks[1], double), low
        # Else a batch goes layer by layer: nothing is won, or outputs have a mask.
        self._alone = not (low.handed_back or low.masked_outputs)
        self._packed: list[int] | None = None  # the versions that the engine has packed
        self._rank, self._features = low.ranks[0], low.features
        names = ("int32", "int64", "uint8") if low.takes_ids else (low.dtype,)
        self._dtypes = {np.dtype(name) for name in names}

    def outputs(self, x: Array) -> Array | None:
        """The outputs for inputs `[batch, ...]`, or None if the plan does not take them."""
        if (
            not self._alone
            or x.ndim != self._rank
            or not 0 < x.nbytes <= _MOST_BYTES
            or x.dtype not in self._dtypes
            or self._features not in (0, x.shape[-1])
            or not x.flags.carray
        ):
            return None
        given = (x, None, (0, len(x)), False, None)
        made: Array | None = self._computed(self.native.forward, *given)
        return made

    def takes(self, x: Any, size: int) -> bool:
        """Whether batches of `size` of the samples `x` can be computed by `ahead`."""
        return readable_inputs(self.lowering, x) and not too_large(x, size)

    def ahead(self, x: Array, size: int, done: int, outputs: Array | None) -> tuple[Any, int]:
        """The outputs for the samples from `done` on, batch by batch, in `outputs` if it is there.

        Gives them, and how many samples have theirs now: as many as there was time for, no more
        than before if the plan does not take them.
        """
        rest = None if outputs is None else outputs[done:]
        given = (as_steps(x), None, (done, len(x)), size, LIMIT)
        found = self._computed(self.native.predict, *given, outputs=rest)
        if found is None:
            return outputs, done
        made, rows = found
        return (made if outputs is None else outputs), done + rows

    def _computed(self, function: Any, *given: Any, **options: Any) -> Any:
        """What a function of the plan gives, by weights that nobody writes; None if nothing."""
        lock = one_version()
        # Nobody waits for the computation of another: its layers need the lock to pack alone.
        if not lock.acquire(blocking=False):
            return None
        try:
            weights = self.lowering.weights
            versions = [*map(_version_of, weights)]
            arrays = [weight._data for weight in weights]
            packed, self._packed = versions == self._packed, None
            made = function(arrays, *given, packed=packed, **options)
        except InternalError:
            raise
        except (ValueError, RuntimeError):  # or another thread computes by the plan
            return None
        else:
            self._packed = versions
            return made
        finally:
            lock.release()


def plan_of(model: Any) -> InferencePlan | None:
    """The plan of a model that is nothing but layers which plans know, or None.

    Plans do not know weights of fewer bits. `FERRNN_PLAN=0` in the environment means that there is
    none.
    """
    if switched_off():
        return None
    lowering = model.lowered()
    return InferencePlan(lowering) if lowering.covered and not lowering.fewer_bits else None
