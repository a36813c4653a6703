"""What of a model is a part of the engine, and why the rest is none."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, Protocol

from ferrnn._src.training.optimizers.optimizer import Optimizer
from ferrnn._src.training.samples import Batch
from ferrnn._src.weights.parameter import Parameter
from ferrnn._src.weights.random import SeedGenerator


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
    features: int = 0  # 0 if any number will do
    units: int = 0
    dtype: str = "float32"
    takes_ids: bool = False
    # What NumPy computes of the last layer, its activation.
    tail: Any = None
    # The generators of random numbers, and how often a step draws from each.
    generators: list[SeedGenerator] = field(default_factory=list)
    draws: list[int] = field(default_factory=list)

    @property
    def covered(self) -> bool:
        """Whether a plan runs all of it."""
        return bool(self.parts) and all(node.why is None for node in self.nodes)

    def draw_from(self, generator: SeedGenerator) -> int:
        """The number of a generator, from which a step draws once more."""
        known = next((at for at, own in enumerate(self.generators) if own is generator), None)
        if known is None:
            known = len(self.generators)
            self.generators.append(generator)
            self.draws.append(0)
        self.draws[known] += 1
        return known


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

    def bind_output(self, true: tuple[int, ...], pred: tuple[int, ...]) -> None:
        """Lets the loss and the metrics know of the output, by the shapes of a batch."""

    def _measure(self, x: Any, y: Any, outputs: Any, weight: Any, mask: Any) -> None:
        """Lets the metrics see a batch."""


def explained(model: Planned, lowering: Lowering) -> list[Node]:
    """The parts of a step: layers, weights, losses that layers add, optimizer."""
    nodes = list(lowering.nodes)
    if switched_off():
        nodes.insert(0, Node("plan", "the environment says FERRNN_PLAN=0"))
    if model._collects:
        nodes.append(Node("losses of layers", "a layer adds a loss of its own"))
    bound = [weight.path for weight in lowering.weights if weight.constraint is not None]
    nodes += [Node(path, "the weight has a constraint") for path in bound]
    optimizer = model.optimizer
    if isinstance(optimizer, Optimizer):
        nodes.append(Node(optimizer.name, optimizer.unplanned()))
    else:
        nodes.append(Node("optimizer", f"it is {optimizer!r}"))
    if lowering.covered and model._trained:
        known = {*map(id, model._trained)}
        own = [id(weight) for weight in lowering.weights if id(weight) in known]
        if own != [*map(id, model._trained)]:
            nodes.append(Node("weights", "training changes others, or in another order"))
    return nodes
