"""The part of `Model` that runs the engine's plans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ferrnn._src.faces import later
from ferrnn._src.models.ends import Ends
from ferrnn._src.symbolic.symbolic import SymbolicTensor
from ferrnn._src.training.judging import TestingPlan
from ferrnn._src.tree.tree import flatten, pack_like
from ferrnn._src.weights.parameter import structure_version

if TYPE_CHECKING:
    from ferrnn._src.models import expanding, inference
    from ferrnn._src.training.trainer import Trainer

    class _Trained(Ends, Trainer):
        """The other bases of `Model`."""

else:
    expanding = later("ferrnn._src.models.expanding")
    inference = later("ferrnn._src.models.inference")
    _Trained = Ends

# The number of calls of a model of one structure before a plan is made.
_CALLS = 2


class ByPlan(_Trained):
    """Calls of a graph by its plan, if it has one."""

    _inference: tuple[int, Any, int] = (0, None, 0)  # structure version, plan, calls so far
    _called_with: Any = None  # the inputs of the first call of a user's code, without their numbers
    _called_with_zeros = False  # by `build`, which may be of another dtype than inputs
    _expanded: Any = None  # the user's code as a graph, while it holds

    def _planned_outputs(self, inputs: Any) -> Any:
        """The outputs by one call of the engine, or None if no plan takes the inputs."""
        structure, plan, calls = self._inference
        stale = structure != structure_version() or not (plan is None or plan.lowering.current)
        if calls <= _CALLS or stale:
            plan = self.predicting_plan(1)
        if plan is None:
            return None
        if type(inputs) is np.ndarray:
            made = plan.outputs([inputs])
        else:
            made = plan.outputs([*inputs]) if type(inputs) is tuple else None
        if made is None:
            return None
        return made[0] if type(self._outputs_structure) is SymbolicTensor else self.structured(made)

    def arranged_inputs(self, x: Any) -> Sequence[Any] | None:
        if self._graph is None:
            found = expanding.leaves_like(self._called_with, x)
            if found is None and self._called_with_zeros:
                self._note_inputs(x)  # for the next plan
            return found
        if type(x) is np.ndarray:
            return [x]
        ends, parts = self._ends, flatten(x)
        keyed = isinstance(ends.structure, dict)
        if len(parts) != len(ends.tensors) or (keyed and not isinstance(x, dict)):
            return None
        try:
            arranged = ends.arrange(x, self.name)
        except ValueError:
            return None
        return [arranged] if ends.single else list(arranged)

    def _note_inputs(self, inputs: Any) -> None:
        """Takes inputs for those of the first call; plans of others are dropped."""
        self._called_with, self._called_with_zeros = expanding.described(inputs), False
        self._expanded, self._inference = None, (0, None, 0)
        if hasattr(self, "_plans"):  # it is compiled
            self._plans.prepared = None

    def structured(self, outputs: list[Any]) -> Any:
        if self._graph is None:
            return outputs[0]
        return outputs[0] if self._one_output else pack_like(self._outputs_structure, outputs)

    def predicting_plan(self, batches: int) -> inference.InferencePlan | None:
        plan: inference.InferencePlan | None
        structure, plan, calls = self._inference
        now = structure_version()
        if structure != now or not (plan is None or plan.lowering.current):
            plan, calls = None, 0
        if calls <= _CALLS:  # a plan is only made for a model that is called repeatedly
            calls += batches
            if calls > _CALLS:
                plan = inference.plan_of(self)
            self._inference = (now, plan, calls)
        return plan

    def testing_plan(self, batches: int) -> TestingPlan | None:
        training = self.training_plan()
        if training is not None:
            return None if training.lowering.only_trains else training
        plan = self.predicting_plan(batches)
        if plan is None:
            return None
        compiled, known = plan.tested
        if compiled is not self._loss:
            known = TestingPlan(self, plan.lowering, plan.native)
            if batches == 1:  # others may follow
                plan.tested = self._loss, known
        return known
