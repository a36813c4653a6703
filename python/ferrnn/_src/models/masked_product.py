"""The product of values with masks, as parts of the engine for plans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ferrnn._src.layers.merge import Multiply
from ferrnn._src.models.functions import why_not_plain
from ferrnn._src.models.handed_back import AppliedToRows, Axes
from ferrnn._src.models.written import Said
from ferrnn._src.programs.known import program
from ferrnn._src.programs.lowering import Code, Row, Shapes
from ferrnn._src.programs.sketch import CellTrace
from ferrnn._src.training.plan_parts import Lowering
from ferrnn._src.tree.types import Array


def multiplies_masked(step: Any, low: Lowering, given: list[int]) -> bool:
    """Whether a layer multiplies sequences of one shape, some with a mask."""
    node, layer = step.node, step.layer
    shapes = [tensor.shape for tensor in node.input_tensors]
    return (
        type(layer) is Multiply
        and any(value in low.masked for value in given)
        and node.mask is None
        and layer.activity_regularizer is None
        and why_not_plain(layer) is None
        and step.flat
        and len(given) > 1
        and len(shapes[0]) == 3
        and all(shape == shapes[0] for shape in shapes)
    )


def masked_product(step: Any, low: Lowering, given: list[int]) -> int:
    """Adds the parts of a layer that `multiplies_masked`; returns its value.

    What a mask hides counts as 1, or as 0 where every value is hidden.
    """
    layer = step.layer
    # In the order in which the gradients of one value are summed.
    values = [_hidden(1.0, layer, low, value) for value in reversed(given)][::-1]
    made = low.add(("join", "product"), values, [])
    masks = [low.masked.get(value) for value in given]
    if None in masks:
        return made
    # The engine lets the masks of the values meet.
    low.masked[made] = made if len({*masks}) > 1 else low.masked[given[0]]
    return _hidden(0.0, layer, low, made)


def _hidden(number: float, layer: Any, low: Lowering, value: int) -> int:
    """A copy of a value with a number where its mask hides it, if it has one."""
    if value not in low.masked:
        return value
    hiding = _Hiding(number, layer, low.dtype)
    low.handed_back.append(hiding)
    made = low.add(("handed back", hiding, [], True, 1), [value], [])
    low.mask_as(value, made)
    return made


class _Hiding(AppliedToRows):
    """Puts a number where a mask hides a value: a program."""

    __slots__ = ("_dtype", "_layer", "_number", "_shown")

    why = None

    def __init__(self, number: float, layer: Any, dtype: str) -> None:
        super().__init__(None)
        self._number, self._layer, self._dtype = number, layer, np.dtype(dtype)
        self._shown: Any = True

    def program(
        self, given: list[Axes], masked: Sequence[bool], training: bool, keep: bool
    ) -> Said | None:
        """The choice between value and number, None if Python makes it."""
        _, time, features = given[0]

        def code(trace: CellTrace, given: Any, states: Any) -> tuple[Any, tuple[Any, ...]]:
            x, mask = given
            shown = trace.sketch(replace(mask.view, is_bool=True))[..., None]
            return trace.call("where", (shown, x, self._number), {}), ()

        def asked() -> tuple[Code, Shapes]:
            rows = [Row((time, features)), Row((time,))]
            return code, Shapes(rows, (), self._dtype, keep, (keep, False))

        key = ("hiding", self._number, time, features, self._dtype, keep)
        found = program(self._layer, key, asked)
        return None if isinstance(found, str) else (found.program, 1, None, [*found.constants], [0])

    def forward(
        self, arrays: list[Array], masks: Sequence[bytes | None], training: bool, keep: bool
    ) -> list[Array]:
        """The outputs, flat; with `keep`, `backward` may follow."""
        mask = np.frombuffer(masks[0] or b"", bool)
        self._shown = mask.reshape(*arrays[0].shape[:2], 1) if len(mask) else True
        chosen = np.where(self._shown, arrays[0], self._dtype.type(self._number))
        return [np.ascontiguousarray(chosen).reshape(-1)]

    def backward(self, slopes: list[Array]) -> tuple[list[Array | None], list[Array]]:
        """The gradient of the value, flat."""
        slope = slopes[0]
        if self._shown is not True:
            places = slope.reshape(*self._shown.shape[:2], -1)
            slope = np.where(self._shown, places, self._dtype.type(0))
        return [np.ascontiguousarray(slope).reshape(-1)], []

    @property
    def _key(self) -> tuple[Any, ...]:
        return "hiding", self._number, id(self._layer)
