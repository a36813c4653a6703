"""Which parts of a model run in the engine, and why the others do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol, TypeAlias

from ferrnn._src.programs.lowering import switched_off
from ferrnn._src.training.optimizers.optimizer import Optimizer
from ferrnn._src.training.samples import Batch
from ferrnn._src.tree.types import Array, Shape
from ferrnn._src.weights.parameter import Gradients, Parameter
from ferrnn._src.weights.random import SeedGenerator


@dataclass(frozen=True)
class Node:
    """A layer, or another part of a step, and why a plan does not run it; None if it does.

    `back` says why it is handed back to Python, inside a plan that runs the others.
    """

    name: str
    why: str | None = None
    back: str | None = None

    def __str__(self) -> str:
        if self.why is not None:
            return f"not planned: {self.why}"
        return "the engine" if self.back is None else f"Python, from the engine: {self.back}"


class End:
    """An input or an output of a model in a plan: the number of its value, and what is known of it.

    `ids` stand for rows of a table, `masked` says that outputs come with a mask, and `features` are
    the length of the last axis, 0 if any will do.
    """

    __slots__ = ("exact", "features", "ids", "masked", "rank", "shape", "value")

    def __init__(self, value: int, shape: Shape, ids: bool = False, masked: bool = False) -> None:
        self.value, self.shape, self.ids, self.masked = value, shape, ids, masked
        self.rank, self.exact = len(shape), False
        self.features: int = 0 if ids else shape[-1] or 0


# A part of the engine in its place, see `Lowering`.
LoweredPart: TypeAlias = "tuple[tuple[Any, ...], list[int], bool, int | None]"


@dataclass
class Lowering:
    """A model as parts of the engine: `nodes` list them, `weights` are in the parts' order.

    A part stands with the numbers of the values that it takes (the first are the inputs, each part
    makes the next), with whether gradients come to it, and with the last part before it whose
    weights it has, if they are not its own.
    """

    nodes: list[Node] = field(default_factory=list)
    parts: list[LoweredPart] = field(default_factory=list)
    weights: list[Parameter] = field(default_factory=list)
    inputs: list[End] = field(default_factory=list)
    outputs: list[End] = field(default_factory=list)
    values: int = 1  # how many there are, inputs included
    dtype: str = "float32"
    # Whether calls outside of training do what plans do not: they carry states, drop, or take
    # weights of fewer bits.
    only_trains: bool = False
    # How the layers at hand are called whatever the step is: as in training, or not; None as it is.
    training: bool | None = None
    # What is handed back to Python, each with its `weights`, and what they add to a step's loss.
    handed_back: list[Any] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    # Values that come with a mask, each with the one where it began; and those that
    # have gradients.
    masked: dict[int, int] = field(default_factory=dict)
    wanted: set[int] = field(default_factory=set)
    # Weights that a step changes by what it computes, and not by their gradients.
    followed: list[Parameter] = field(default_factory=list)
    # The last part with weights, by these.
    owners: dict[tuple[int, ...], int] = field(default_factory=dict)
    # The generators of random numbers, and how often a step draws from each.
    generators: list[SeedGenerator] = field(default_factory=list)
    draws: list[int] = field(default_factory=list)
    # What the code of users that was expanded has read, each telling whether it is the `same`.
    watched: list[Any] = field(default_factory=list)

    @property
    def current(self) -> bool:
        """Whether attributes that the code of users has read are what they were."""
        return not self.watched or all(each.same() for each in self.watched)

    def collects(self, training: bool) -> bool:
        """Whether code in Python may add to the loss."""
        return bool(self.handed_back) and any(each.collects(training) for each in self.handed_back)

    @property
    def masked_outputs(self) -> bool:
        """Whether an output comes with a mask."""
        return any(end.masked for end in self.outputs)

    @property
    def ends(self) -> tuple[int, list[tuple[int, int]]]:
        """Inputs and outputs in the form that the engine takes."""
        return len(self.inputs), [(end.value, end.rank) for end in self.outputs]

    @property
    def covered(self) -> bool:
        """Whether a plan runs all of it."""
        return bool(self.parts) and all(node.why is None for node in self.nodes)

    @property
    def key(self) -> tuple[Any, ...]:
        """What plans of equal structure have in common."""
        parts = ((part, tuple(taken), *rest) for part, taken, *rest in self.parts)
        inputs, outputs = self.ends
        return inputs, tuple(outputs), *parts

    def add(
        self, part: tuple[Any, ...], taken: list[int], weights: Sequence[Parameter], makes: int = 1
    ) -> int:
        """Adds a part with some input values; returns the number of its first output value."""
        trains = any(weight.trainable for weight in weights)
        passes = trains or any(value in self.wanted for value in taken)
        own = tuple(map(id, weights))
        shares = self.owners.get(own) if own else None
        if shares is None:
            self.weights += weights
        self.owners[own] = len(self.parts)
        self.parts.append((part, taken, passes, shares))
        first, self.values = self.values, self.values + makes
        if passes:
            self.wanted.update(range(first, self.values))
        return first

    def copied(self) -> Lowering:
        """A copy of the current state, for `take_back`."""
        kept = replace(self)
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, list | dict | set) and each.name != "losses":
                setattr(kept, each.name, value.copy())
        return kept

    def take_back(self, before: Lowering) -> None:
        """Restores an earlier state."""
        for each in fields(self):
            setattr(self, each.name, getattr(before, each.name))

    def copy(self, value: int) -> int:
        """Adds a value of the same numbers, and with the same mask."""
        made = self.add(("join", "sum"), [value], [])
        self.mask_as(value, made)
        return made

    def unmasked(self, value: int, tensor: Any) -> int:
        """The value, or a copy of it without its mask."""
        if value not in self.masked:
            return value
        return self.add(("reshape", None, tensor.shape[-1]), [value], [])

    def mask_as(self, value: int, made: int) -> None:
        """Notes that an output carries the mask of a value, if there is one."""
        if value in self.masked:
            self.masked[made] = self.masked[value]

    def drops(self, generator: SeedGenerator, rate: float) -> tuple[int, int, float] | None:
        """The dropout of the layer at hand, which draws once in a step; None if nothing drops."""
        if not rate or self.training is False:
            return None
        self.only_trains |= self.training is True
        number = self.draw_from(generator)
        return number, round(rate * 2**32), 0.0 if rate >= 1 else 1.0 / (1.0 - rate)

    def draw_from(self, generator: SeedGenerator) -> int:
        """The number of a generator, from which each step makes one more draw."""
        known = next((at for at, own in enumerate(self.generators) if own is generator), None)
        if known is None:
            known = len(self.generators)
            self.generators.append(generator)
            self.draws.append(0)
        self.draws[known] += 1
        return known


class PlanReport(tuple[Node, ...]):
    """What `explain_plan` gives: a `Node` for each part, printed as a table.

    >>> print(PlanReport([Node("lstm"), Node("gate", back="its class is a user's own")]))
    lstm  the engine
    gate  Python, from the engine: its class is a user's own
    """

    __slots__ = ()

    @property
    def covered(self) -> bool:
        """Whether whole steps run in the engine, but for losses and metrics."""
        return all(node.why is None for node in self)

    def __str__(self) -> str:
        width = max((len(node.name) for node in self), default=0)
        return "\n".join(f"{node.name:<{width}}  {node}" for node in self)

    __repr__ = __str__


class Planned(Protocol):
    """What a plan needs of a model."""

    optimizer: Any
    run_eagerly: bool
    _loss: Any
    _metrics: Any
    _loss_mean: Any
    _trained: tuple[Parameter, ...]
    _regularized: tuple[Parameter, ...] | None
    _collects: bool

    _loss_means: Any

    @property
    def trainable_weights(self) -> list[Parameter]:
        """The weights that training changes."""

    def arranged_inputs(self, x: Any) -> Sequence[Any] | None:
        """What stands for each input, None where that is better said elsewhere."""

    def arranged_targets(self, y: Any) -> Sequence[Any] | None:
        """What stands for each output, None where that is better said elsewhere."""

    def arranged_weights(self, weight: Any) -> Sequence[Any] | None:
        """What weighs each output's samples, None where that is better said elsewhere."""

    @property
    def measures_as_compiled(self) -> bool:
        """Whether metrics are those of `compile`, updated by no code of the user's."""

    def structured(self, outputs: list[Array]) -> Any:
        """Outputs as a call of the model gives them."""

    def bind_outputs(self) -> Sequence[int]:
        """Lets the loss know of the outputs; gives the places of those that have one."""

    def _update(self, grads: Gradients) -> None:
        """Lets the optimizer update the weights."""

    def _loss_of(self, batch: Batch, outputs: Any, mask: Any, added: float) -> tuple[float, Any]:
        """The loss of a batch and its vjp."""

    def bind_output(self, true: tuple[int, ...], pred: tuple[int, ...]) -> None:
        """Lets the loss and the metrics know of the output, by the shapes of a batch."""

    def _measure(self, x: Any, y: Any, outputs: Any, weight: Any, mask: Any) -> None:
        """Lets the metrics see a batch."""

    def reset_metrics(self) -> None:
        """Resets the metrics."""

    def _tested(self, batch: Batch, outputs: Any, mask: Any, losses: Sequence[float]) -> float:
        """The loss of a batch, without training."""


def explained(model: Planned, lowering: Lowering) -> list[Node]:
    """The parts of a step: layers, weights, optimizer."""
    nodes = list(lowering.nodes)
    if switched_off():
        nodes.insert(0, Node("plan", "the environment says FERRNN_PLAN=0"))
    elif model.run_eagerly:
        nodes.insert(0, Node("plan", "the model was compiled with run_eagerly=True"))
    optimizer = model.optimizer
    if isinstance(optimizer, Optimizer):
        nodes.append(Node(optimizer.name, None, optimizer.in_python()))
    else:
        nodes.append(Node("optimizer", f"it is {optimizer!r}"))
    several = len(lowering.outputs) > 1 and model._loss is not None
    if several and len(set(model.bind_outputs())) < len(lowering.outputs):
        nodes.append(Node("loss", "an output has no loss"))
    if lowering.covered and model._trained:
        known = {*map(id, model._trained)}
        own = [id(weight) for weight in lowering.weights if id(weight) in known]
        # The order only matters to the norm of all gradients.
        ordered = own == [*map(id, model._trained)]
        if {*own} != known or not (ordered or getattr(optimizer, "global_clipnorm", None) is None):
            nodes.append(Node("weights", "training changes others, or in another order"))
    return nodes
