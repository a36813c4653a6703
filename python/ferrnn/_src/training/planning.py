"""Plans: steps of a model of built-in layers in one call of the engine, many where nobody looks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ferrnn._src.native import Plan
from ferrnn._src.training.batches import Pass
from ferrnn._src.training.losses import MeanAbsoluteError, MeanSquaredError
from ferrnn._src.training.optimizers import Optimizer
from ferrnn._src.training.samples import Batch
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.one_version import one_version
from ferrnn._src.weights.parameter import Gradients, Parameter, WritingAll

# Seconds after which a call of many steps comes back: so long Ctrl-C and a bar wait at most.
LIMIT = 0.05
# How many steps the first call of many is given rates for; later ones twice what the last did.
_AT_FIRST = 64
# Number types of inputs that the engine reads as they are.
_READ = ("f4", "f8", "i4", "i8", "u1")
_ERRORS: dict[type, str] = {MeanSquaredError: "squared", MeanAbsoluteError: "absolute"}
_MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")


def switched_off() -> bool:
    """Whether the environment says `FERRNN_PLAN=0`."""
    return os.environ.get("FERRNN_PLAN", "").strip() == "0"


@dataclass(frozen=True)
class Node:
    """A layer, or another part of a step, and why a plan does not run it; None if it does."""

    name: str
    why: str | None = None


@dataclass
class Lowering:
    """A model as the engine's parts: `nodes` say what of it is one, `weights` come in their order.

    `lowest` is the first part that training changes, `ranks` are the axes of inputs and outputs.
    """

    nodes: list[Node] = field(default_factory=list)
    parts: list[tuple[Any, ...]] = field(default_factory=list)
    weights: list[Parameter] = field(default_factory=list)
    lowest: int = 0
    ranks: tuple[int, int] = (0, 0)
    features: int = 0
    units: int = 0
    dtype: str = "float32"

    @property
    def covered(self) -> bool:
        """Whether a plan runs all of it."""
        return bool(self.parts) and all(node.why is None for node in self.nodes)


class PlanReport(tuple[Node, ...]):
    """What `explain_plan` gives: a `Node` for each part, printed as a table.

    >>> print(PlanReport([Node("lstm"), Node("gate", "its class is a user's own")]))
    lstm  the engine
    gate  not planned: its class is a user's own
    """

    __slots__ = ()

    @property
    def covered(self) -> bool:
        """Whether whole steps run in the engine, but for losses and metrics."""
        return all(node.why is None for node in self)

    def __str__(self) -> str:
        width = max((len(node.name) for node in self), default=0)
        said = ("the engine" if each.why is None else f"not planned: {each.why}" for each in self)
        return "\n".join(
            f"{node.name:<{width}}  {text}" for node, text in zip(self, said, strict=True)
        )

    __repr__ = __str__


class Planned(Protocol):
    """What a plan needs of a model."""

    optimizer: Any
    _loss: Any
    _metrics: Any
    _loss_mean: Any
    _trained: tuple[Parameter, ...]
    _regularized: tuple[Parameter, ...] | None
    _collects: bool

    def _loss_of(self, batch: Batch, outputs: Any, mask: Any, added: float) -> tuple[float, Any]:
        """The loss of a batch and its vjp."""

    def _measure(self, x: Any, y: Any, outputs: Any, weight: Any, mask: Any) -> None:
        """Lets the metrics see a batch."""


def explained(model: Planned, lowering: Lowering) -> list[Node]:
    """The parts of a step: layers, weights, losses that layers add, optimizer."""
    nodes = list(lowering.nodes)
    if switched_off():
        nodes.insert(0, Node("plan", "the environment says FERRNN_PLAN=0"))
    if model._collects:
        nodes.append(Node("losses of layers", "a layer adds a loss of its own"))
    for weight in lowering.weights:
        kinds = ("constraint", "regularizer")
        found = [what for what in kinds if getattr(weight, what) is not None]
        nodes += [Node(weight.path, f"the weight has a {what}") for what in found]
    optimizer = model.optimizer
    if isinstance(optimizer, Optimizer):
        nodes.append(Node(optimizer.name, optimizer.unplanned()))
    else:
        nodes.append(Node("optimizer", f"it is {optimizer!r}"))
    if lowering.covered and {*map(id, model._trained)} - {*map(id, lowering.weights)}:
        nodes.append(Node("weights", "training changes weights that no layer has"))
    return nodes


class TrainingPlan:
    """Steps of one model; `explained` must have found it covered, its optimizer is built."""

    __slots__ = ("_ahead", "_model", "_native", "_slots", "_trained", "_written", "lowering")

    def __init__(self, model: Planned, lowering: Lowering) -> None:
        self._model, self.lowering = model, lowering
        known = {id(weight) for weight in model._trained}
        numbers = [at for at, each in enumerate(lowering.weights) if id(each) in known]
        self._trained = [lowering.weights[at] for at in numbers]
        slots = model.optimizer._state.slots
        self._slots = [slots[weight] for weight in self._trained]
        self._written = [*self._trained, *(slot for own in self._slots for slot in own)]
        double = lowering.dtype == "float64"
        self._native = Plan(lowering.parts, lowering.lowest, numbers, lowering.ranks[1], double)
        self._ahead = _AT_FIRST

    def runs(self, lowering: Lowering) -> bool:
        """Whether a model is what it was when the plan was made."""
        own = self.lowering
        return own.parts == lowering.parts and [*map(id, own.weights)] == [
            *map(id, lowering.weights)
        ]

    def takes(self, x: Any) -> bool:
        """Whether these inputs, of a batch or of all samples, can be read where they are."""
        return (
            type(x) is np.ndarray
            and x.dtype.str[1:] in _READ
            and x.ndim == self.lowering.ranks[0]
            and x.shape[-1] == self.lowering.features
            and x.size > 0
            and _readable(x)
        )

    def step(self, batch: Batch) -> float:
        """One step; gives the loss."""
        x, y, weight = batch
        places = (0, len(x))
        name = self._error_for(x, y, weight)
        if name is None:
            return self._judged(batch, x, None, places)
        _, loss, error = self._run((x, y, None), places, len(x), (name, 1, False))
        if error is not None:
            raise error
        return loss

    def steps(self, batches: Pass, most: int, finite: bool) -> tuple[int, float]:
        """At most so many steps, as many as there is time for; gives how many, and the last loss.

        With `finite`, a step with a loss that is not finite is the last.
        """
        x, y, weight = batches.samples.arrays
        order, name = batches.order(), self._error_for(x, y, weight)
        if name is None:
            places = batches.places()
            return 1, self._judged(next(batches), x, order, places)
        most = min(most, self._ahead)
        given = (x, y, order)
        done, loss, error = self._run(
            given, batches.places(most), batches.size, (name, most, finite)
        )
        batches.taken += done
        self._ahead = max(_AT_FIRST, 2 * done)
        if error is not None:
            raise error
        return done, loss

    def _error_for(self, x: Array, y: Any, weight: Any) -> str | None:
        """The mean error that is the loss, if the engine takes it and nobody measures."""
        model, low = self._model, self.lowering
        only: Any = None if model._loss is None else model._loss.only
        name = _ERRORS.get(type(only))
        if name is None or weight is not None or not model._metrics.empty:
            return None
        shape = (*x.shape[: low.ranks[1] - 1], low.units)
        fits = (
            only.reduction in _MEANS
            and only.dtype in (None, low.dtype)
            and type(y) is np.ndarray
            and y.dtype is np.dtype(low.dtype)
            and y.shape == shape
            and _readable(y)
        )
        return name if fits else None

    def _arrays(self) -> tuple[list[Array], list[Sequence[Array]]]:
        """The weights and the slots, for a holder of `one_version`."""
        weights = [weight._data for weight in self.lowering.weights]
        return weights, [[slot._data for slot in own] for own in self._slots]

    def _run(
        self,
        given: tuple[Array, Array, Array | None],
        places: tuple[int, int],
        batch: int,
        asked: tuple[str, int, bool],
    ) -> tuple[int, float, BaseException | None]:
        """Whole steps in one call: how many, the last loss, and what ended them too early."""
        name, most, finite = asked
        optimizer, mean = self._model.optimizer, self._model._loss_mean
        with WritingAll(self._written):
            weights, slots = self._arrays()
            rates, decays = optimizer.engine_paces(most)
            done, total, count, loss, error = self._native.train(
                weights,
                slots,
                *given,
                places,
                batch,
                name,
                optimizer.engine_way(),
                rates,
                decays,
                (mean.total, mean.count),
                LIMIT,
                finite,
            )
            optimizer.engine_passed(done)
        mean.put(total, count)
        return done, loss, error

    def _judged(
        self, batch: Batch, x: Array, order: Array | None, places: tuple[int, int]
    ) -> float:
        """A step whose loss and metrics are computed between forward and backward, in Python."""
        model, native = self._model, self._native
        with one_version():
            outputs = native.forward(self._arrays()[0], x, order, places, True)
        value, vjp = model._loss_of(batch, outputs, None, 0.0)
        model._measure(*batch[:2], outputs, batch[2], None)
        d_outputs = vjp(Gradients())
        optimizer = model.optimizer
        with WritingAll(self._written):
            weights, slots = self._arrays()
            rates, decays = optimizer.engine_paces(1)
            native.backward(
                weights,
                slots,
                d_outputs,
                optimizer.engine_way(),
                rates[0],
                None if decays is None else decays[0],
            )
            optimizer.engine_passed(1)
        return value


class PlanKeeper:
    """Where a model keeps its plan; copies and files of models have none.

    >>> keeper = PlanKeeper()
    >>> keeper.plan is None
    True
    """

    __slots__ = ("plan", "prepared")

    def __init__(self) -> None:
        self.plan: TrainingPlan | None = None
        self.prepared: tuple[int, int] | None = None  # for which weights and optimizer

    def __reduce__(self) -> Any:
        return PlanKeeper, ()


def _readable(array: Array) -> bool:
    """Whether the engine reads the array where it is: its features are neighbours."""
    size = array.itemsize
    return (
        bool(array.flags.aligned)
        and array.dtype.isnative
        and (array.shape[-1] <= 1 or array.strides[-1] == size)
        and all(stride % size == 0 for stride in array.strides)
    )
