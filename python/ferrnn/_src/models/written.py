"""Users' layers and operations in plans: they run in the engine as programs where they can."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.layer.layer import Call
from ferrnn._src.layer.operations import Operation
from ferrnn._src.layer.signatures import parameters_of
from ferrnn._src.layers.lambda_ import Lambda
from ferrnn._src.native import Program
from ferrnn._src.programs.known import program
from ferrnn._src.programs.lowering import Code, Lowered, Row, Shapes
from ferrnn._src.programs.settings import settings_of
from ferrnn._src.programs.sketch import CellTrace
from ferrnn._src.tree.types import Array, Shape
from ferrnn._src.weights.parameter import Parameter

# The program, how many of its rows a sample is, and its weights: the number of one that is trained,
# or an array that no step of training changes.
Said: TypeAlias = "tuple[Program, int, list[int | Array]]"


class WrittenLayer:
    """The programs of an operation, or of a layer with a user's `call`, at its place in a graph.

    `own` are the weights that come with each call, `asks` says whether gradients by the inputs are
    wanted.
    """

    __slots__ = ("_asked", "_asks", "_count", "_dtype", "_own", "_said", "_step")

    def __init__(self, step: Any, count: int, own: Sequence[Parameter], asks: bool) -> None:
        self._step, self._count, self._asks = step, count, asks
        self._own = {weight: number for number, weight in enumerate(own)}
        self._dtype = np.dtype(step.node.input_tensors[0].dtype)
        # What was found last, in training and without, and what it was asked for.
        self._asked: dict[tuple[bool, bool], tuple[Any, Lowered | str]] = {}
        # What was said last, and what it holds for.
        self._said: dict[tuple[bool, bool], tuple[Any, Said]] = {}

    def found(
        self, shapes: list[tuple[int, ...]], output: Shape, masked: bool, how: tuple[bool, bool]
    ) -> Said | str:
        """The program for samples of some shapes, or the reason why there is none.

        `how` says whether layers are as in training, and whether a gradient is wanted.
        """
        settings = settings_of(self._step.layer)
        asked, known = (shapes, masked, settings), self._asked.get(how)
        if known is None or known[0] != asked:
            known = self._asked[how] = asked, self._lowered(shapes, masked, settings, *how)
        lowered = known[1]
        if isinstance(lowered, str):
            return lowered
        if lowered.output != tuple(output):
            return f"outputs of the shape {lowered.output} where {tuple(output)} was expected"
        others = [weight for weight in lowered.parameters if weight not in self._own]
        if any(weight not in self._step.layer.weights for weight in others):
            return "a weight that is not its own"
        # Both are kept as long as what is said holds, so that no other has their place in memory.
        held = (lowered, [(weight, weight.version) for weight in others])
        said = self._said.get(how)
        if said is None or said[0][0] is not lowered or said[0][1] != held[1]:
            said = self._said[how] = held, self._say(lowered)
        return said[1]

    def _say(self, lowered: Lowered) -> Said:
        weights: list[int | Array] = []
        for weight in lowered.parameters:
            number = self._own.get(weight)
            weights.append(weight.numpy().reshape(-1) if number is None else number)
        return lowered.program, 1, [*weights, *lowered.constants]

    def _lowered(
        self,
        shapes: list[tuple[int, ...]],
        masked: bool,
        settings: tuple[Any, ...],
        training: bool,
        keep: bool,
    ) -> Lowered | str:
        step, layer = self._step, self._step.layer
        operates = isinstance(layer, Operation)
        if not (operates or layer.written_with_call):
            return "no `call` of a user's"
        if layer.activity_regularizer is not None:
            return "an activity regularizer"
        if masked and "mask" in parameters_of(type(layer).call)[0]:
            return "a `call` that takes the mask"
        without = operates or (type(layer) is Lambda and layer.mask is None)
        if layer.makes_masks() and not without:
            return "a `compute_mask` of its own"
        if type(layer).__hash__ is None:
            return "a class without `__hash__`"
        wanted = keep and self._asks
        chosen = training if step.training is None else step.training
        # Programs are kept as long as the layer is, which the node would keep in turn.
        key = (weakref.ref(step.node), tuple(shapes), self._dtype, chosen, keep, wanted, settings)

        def asked() -> tuple[Code, Shapes]:
            rows = [Row(shape) for shape in shapes]
            return self._code(chosen), Shapes(rows, (), self._dtype, keep, wanted)

        return program(layer, key, asked)

    def _code(self, training: bool) -> Code:
        step = self._step

        def code(trace: CellTrace, given: Any, states: Any) -> tuple[Any, tuple[Any, ...]]:
            values: list[Any] = [None] * self._count
            for source, value in zip(step.sources, given, strict=True):
                values[source] = value
            inputs = step.gathered(values)
            if isinstance(step.layer, Operation):
                return step.layer.applied(inputs), ()
            return step.layer._apply_call(inputs, Call(training)), ()

        return code
