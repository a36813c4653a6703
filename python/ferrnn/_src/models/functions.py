"""Users' activations in plans: they run in the engine as programs where they can."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, ClassVar, Final, TypeAlias

import numpy as np

from ferrnn._src.activations import activations
from ferrnn._src.activations.activations import Activation as Function
from ferrnn._src.layers.activation import Activation
from ferrnn._src.layers.dense import Dense
from ferrnn._src.models.handed_back import ANY, AppliedToRows, Axes, real_shape
from ferrnn._src.models.written import Said
from ferrnn._src.programs.known import program
from ferrnn._src.programs.lowering import Code, Lowered, Row, Shapes
from ferrnn._src.programs.settings import settings_of
from ferrnn._src.programs.sketch import CellTrace
from ferrnn._src.training.plan_parts import Lowering
from ferrnn._src.tree.types import Array, Shape
from ferrnn._src.weights.parameter import Parameter

# A part of the engine, and its weights in the engine's order.
Part: TypeAlias = tuple[tuple[Any, ...], list[Parameter]]

# Attributes that an instance may override.
REPLACED: Final = ("forward", "call", "step", "compute_mask", "cast_inputs")


def why_not_plain(layer: Any) -> str | None:
    """The reason why a layer of a known class may do something else, or None."""
    if any(name in vars(layer) for name in REPLACED):
        return "it has a method of its own"
    return None if layer.built else "it is not built yet"


def user_activation(step: Any, low: Lowering) -> list[Part]:
    """The parts of a layer with a user's activation; empty if that cannot be a program."""
    layer = step.layer
    if type(layer) not in (Dense, Activation) or isinstance(layer.activation, Function):
        return []
    if not layer.built or any(name in vars(layer) for name in REPLACED):
        return []
    applied = AppliedFunction(layer.activation, step.node.output_tensors[0].shape, low.dtype)
    if not applied.runs():
        return []
    last: Part = (("handed back", applied, [], True, 1), [])
    low.handed_back.append(applied)
    if type(layer) is Activation:
        return [last]
    features, units = layer.kernel.shape
    weights = [layer.kernel, *(() if layer.bias is None else (layer.bias,))]
    return [(("dense", "linear", features, units, layer.bias is not None), weights), last]


class AppliedFunction(AppliedToRows):
    """An activation of a user's, behind what the engine computes."""

    __slots__ = ("_dtype", "_shape", "_written")

    why: ClassVar[str | None] = None  # mostly a program

    def __init__(self, function: Any, shape: Shape, dtype: str) -> None:
        super().__init__(activations.differentiable(function))
        self._written, self._shape, self._dtype = function, shape, np.dtype(dtype)

    def runs(self) -> bool:
        """Whether it is a program, for some length of what is not known yet."""
        shape = tuple(length or ANY for length in self._shape[1:])
        return not isinstance(self._lowered(shape, True), str)

    def program(
        self, given: list[Axes], masked: Sequence[bool], training: bool, keep: bool
    ) -> Said | None:
        """The function as a program, None if Python applies it."""
        lowered = self._lowered(real_shape(given[0], self._shape)[1:], keep)
        if isinstance(lowered, str):
            return None
        return lowered.program, 1, None, [*lowered.constants], []

    def _lowered(self, shape: tuple[int, ...], keep: bool) -> Lowered | str:
        function = self._written
        # What else such an object reads is not seen here.
        if not inspect.isfunction(function):
            return f"{function!r}, which is not a function"

        def code(trace: CellTrace, given: Any, states: Any) -> tuple[Any, tuple[Any, ...]]:
            return function(given[0]), ()

        def asked() -> tuple[Code, Shapes]:
            return code, Shapes([Row(shape)], (), self._dtype, keep, keep)

        key = (shape, self._dtype, keep, settings_of(function))
        lowered = program(function, key, asked)
        if isinstance(lowered, str) or (lowered.output == shape and not lowered.parameters):
            return lowered
        return "outputs of another shape, or a weight"

    def applied_to(self, array: Array) -> Array:
        return array.reshape(real_shape(array.shape, self._shape))

    @property
    def _key(self) -> tuple[int, Shape]:
        return id(self._written), tuple(self._shape)
