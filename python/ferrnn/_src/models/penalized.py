"""Activity regularizers in plans: penalties on what a layer of the engine gives, in Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ferrnn._src.layer.layer import Vjp
from ferrnn._src.models.handed_back import AppliedToRows, real_shape
from ferrnn._src.training.plan_parts import Lowering
from ferrnn._src.tree.types import Array, Shape
from ferrnn._src.weights.parameter import Gradients
from ferrnn._src.weights.penalties import activity_penalties


class Penalized(AppliedToRows):
    """Passes the outputs of a layer on, and adds the penalty on them to the loss."""

    __slots__ = ("_layer", "_losses", "_made", "_shape", "_vjp")

    why: ClassVar[str | None] = "its activity regularizer is computed in Python"

    def __init__(self, layer: Any, shape: Shape, low: Lowering) -> None:
        super().__init__(None)
        self._layer, self._shape, self._losses = layer, shape, low.losses
        self._vjp: Vjp | None = None
        self._made: tuple[int, ...] = ()

    def collects(self, training: bool) -> bool:
        """Whether it may add to the loss: always."""
        return True

    def forward(
        self, arrays: list[Array], masks: Sequence[bytes | None], training: bool, keep: bool
    ) -> list[Array]:
        outputs, layer = arrays[0].reshape(real_shape(arrays[0].shape, self._shape)), self._layer
        given = layer.activity_regularizer, outputs, lambda slope, grads: slope
        penalties, self._vjp = activity_penalties(*given)
        layer._activity_losses = tuple(penalties)
        if training:
            self._losses += penalties
        self._made = outputs.shape
        return [outputs.reshape(-1)]

    def backward(self, slopes: list[Array]) -> tuple[list[Array | None], list[Array]]:
        vjp, self._vjp = self._vjp, None
        if vjp is None:
            raise ValueError("there was no forward pass that kept anything")
        slope = vjp(slopes[0].reshape(self._made), Gradients())
        return [np.ascontiguousarray(slope).reshape(-1)], []

    @property
    def _key(self) -> tuple[Any, ...]:
        return "penalty", id(self._layer), tuple(self._shape)
