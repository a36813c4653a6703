"""Users' layers and operations in plans: they run in the engine as programs where they can."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import replace
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
from ferrnn._src.programs.telling import tell
from ferrnn._src.tree.tree import flatten
from ferrnn._src.tree.types import Array, Shape
from ferrnn._src.weights.parameter import Parameter

# Of a program that takes the steps of a cell: how many there are, and the flags `go_backwards`,
# `return_sequences`, `zero_output_for_mask`.
Over: TypeAlias = "tuple[int, bool, bool, bool]"
# The program, how many of its rows a sample is, the steps over time if it is a cell's, the weights:
# the number of one that is trained, or an array that no step of training changes; and the inputs
# whose masks it takes after them.
Said: TypeAlias = "tuple[Program, int, Over | None, list[int | Array], list[int]]"

# Code that was no program so often is not asked again, nor are more shapes remembered.
_MOST_FAILED = 8


def weights_in(structure: Any) -> list[Parameter]:
    """The weights among the arguments of an operation, each once."""
    leaves = flatten(structure)
    return list(dict.fromkeys(leaf for leaf in leaves if isinstance(leaf, Parameter)))


class WrittenLayer:
    """The programs of an operation, or of a layer with a user's `call`, at its place in a graph.

    `own` are the weights that come with each call, `asks` says whether gradients of the inputs are
    wanted.
    """

    __slots__ = (
        "_asked",
        "_asks",
        "_bare",
        "_count",
        "_dtype",
        "_failed",
        "_own",
        "_said",
        "_step",
        "inside"
    )  # fmt: skip

    def __init__(self, step: Any, count: int, own: Sequence[Parameter], asks: bool) -> None:
        self._step, self._count, self._asks = step, count, asks
        self.inside: Any = None  # the user's layer whose code it is a part of
        self._own = {weight: number for number, weight in enumerate(own)}
        self._bare = weights_in(step.node.inputs)
        self._dtype = np.dtype(step.node.input_tensors[0].dtype)
        # What was found last, in training and without, and what it was asked for.
        self._asked: dict[tuple[bool, bool], tuple[Any, Lowered | str]] = {}
        # How often code was no program in a row, and why: what it reads may change at each call.
        self._failed: dict[Any, tuple[int, str]] = {}
        # What was said last, and what it holds for.
        self._said: dict[tuple[bool, bool], tuple[Any, Said]] = {}

    def found(
        self,
        shapes: list[tuple[int, ...]],
        output: Shape,
        masked: Sequence[bool],
        how: tuple[bool, bool],
    ) -> Said | str:
        """The program for samples of some shapes, or the reason why there is none.

        `how` says whether layers are as in training, and whether a gradient is wanted.
        """
        if not self._there:
            return "no `call` of a user's"
        masked = tuple(masked)
        kind = how, tuple(shapes), masked
        times, why = self._failed.get(kind, (0, ""))
        if times > _MOST_FAILED:
            return why
        settings = self._settings()
        asked, known = (shapes, masked, settings), self._asked.get(how)
        if known is None or known[0] != asked:
            known = self._asked[how] = asked, self._lowered(shapes, masked, settings, *how)
        lowered = known[1]
        if isinstance(lowered, str):
            if len(self._failed) > _MOST_FAILED:
                self._failed.clear()
            self._failed[kind] = times + 1, lowered
            return lowered
        self._failed.pop(kind, None)
        over, made = self._over(shapes), lowered.output
        if over is not None and over[2]:
            made = (over[0], *made)
        if made != tuple(output):
            return f"outputs of the shape {made} where {tuple(output)} was expected"
        others = [weight for weight in lowered.parameters if weight not in self._own]
        layer = self._step.layer
        if any(weight not in layer.weights and weight not in self._bare for weight in others):
            return "a weight that is not its own"
        # Both are kept as long as what is said holds, so that no other has their place in memory.
        masks = self._masks(masked)
        held = (lowered, over, masks, [(weight, weight.version) for weight in others])
        said = self._said.get(how)
        if said is None or said[0][0] is not lowered or said[0][1:] != held[1:]:
            said = self._said[how] = held, self._say(lowered, over, masks)
        return said[1]

    def tell(self, why: str) -> None:
        """Says once why Python runs it, if it is a user's."""
        layer = self._step.layer
        if isinstance(layer, Operation):
            whole = "a model" if self.inside is None else _described(self.inside)
            tell(f"a part of {whole} runs", f"programs of the engine do not have {why}")
        elif layer.written_with_call:
            tell(f"{_described(layer)} runs", f"its code has {why}")

    @property
    def _owner(self) -> Any:
        """What has the code."""
        return self._step.layer

    @property
    def _there(self) -> bool:
        """Whether there is code of a user's."""
        layer = self._step.layer
        return isinstance(layer, Operation) or layer.written_with_call

    def _settings(self) -> tuple[Any, ...]:
        """What the code reads beside weights."""
        return settings_of(self._owner)

    def _over(self, shapes: list[tuple[int, ...]]) -> Over | None:
        """How the program runs over time, None for samples."""
        return None

    def _masks(self, masked: Sequence[bool]) -> list[int]:
        """The inputs whose masks the code asks for."""
        layer = self._step.layer
        asks = not isinstance(layer, Operation) and "mask" in parameters_of(type(layer).call)[0]
        return [at for at, each in enumerate(masked) if each and asks]

    def _say(self, lowered: Lowered, over: Over | None, masks: list[int]) -> Said:
        weights: list[int | Array] = []
        for weight in lowered.parameters:
            number = self._own.get(weight)
            weights.append(weight.numpy().reshape(-1) if number is None else number)
        return lowered.program, 1, over, [*weights, *lowered.constants], masks

    def _lowered(
        self,
        shapes: list[tuple[int, ...]],
        masked: tuple[bool, ...],
        settings: tuple[Any, ...],
        training: bool,
        keep: bool,
    ) -> Lowered | str:
        step = self._step
        why, masks = self._refused(masked), self._masks(masked)
        if why is not None:
            return why
        if any(len(shapes[at]) != 2 for at in masks):
            return "a mask of values that are no sequence"
        wanted = keep and self._asks
        # Programs are kept as long as the layer is, which the node would keep in turn.
        how = training, keep, wanted
        key = (weakref.ref(step.node), tuple(shapes), self._dtype, how, masked, settings)

        def asked() -> tuple[Code, Shapes]:
            rows, states = self._rows([*shapes, *(shapes[at][:1] for at in masks)])
            wants = (wanted,) * len(shapes) + (False,) * len(masks)
            return self._code(training, masks), Shapes(rows, states, self._dtype, keep, wants)

        return program(self._owner, key, asked)

    def _rows(self, shapes: list[tuple[int, ...]]) -> tuple[Any, tuple[tuple[int, ...], ...]]:
        """What a row of the program takes, and its states."""
        return [Row(shape) for shape in shapes], ()

    def _refused(self, masked: Sequence[bool]) -> str | None:
        """Why the code cannot be a program, whatever it says."""
        layer = self._step.layer
        operates = isinstance(layer, Operation)
        if layer.activity_regularizer is not None:
            return "an activity regularizer"
        without = operates or (type(layer) is Lambda and layer.mask is None)
        if layer.makes_masks() and not without and not any(masked):
            return "a `compute_mask` of its own"
        if type(layer).__hash__ is None:
            return "a class without `__hash__`"
        return None

    def _code(self, training: bool, masks: list[int]) -> Code:
        step = self._step

        def code(trace: CellTrace, given: Any, states: Any) -> tuple[Any, tuple[Any, ...]]:
            values: list[Any] = [None] * self._count
            known: list[Any] = [None] * self._count
            for source, value in zip(step.sources, given, strict=False):
                values[source] = value
            for at, mask in zip(masks, given[len(step.sources) :], strict=True):
                known[step.sources[at]] = trace.sketch(replace(mask.view, is_bool=True))
            inputs = step.gathered(values)
            if isinstance(step.layer, Operation):
                return step.layer.applied(inputs), ()
            mask = step.mask_of(values, known) if masks else None
            return step.layer._apply_call(inputs, Call(training, mask=mask)), ()

        return code


def _described(layer: Any) -> str:
    if type(layer) is Lambda:
        name = getattr(layer.function, "__qualname__", repr(layer.function))
        return f"the function `{name}` of a Lambda"
    return f"the layer `{type(layer).__name__}`"
