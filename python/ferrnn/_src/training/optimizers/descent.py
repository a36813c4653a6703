"""Gradient descent."""

from __future__ import annotations

from typing import Any

import numpy as np

from ferrnn._src.native import sgd_update
from ferrnn._src.training.optimizers.learning_rate import Rate
from ferrnn._src.training.optimizers.optimizer import Optimizer, Part
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import WritingAll


class SGD(Optimizer):
    """Gradient descent, `w -= lr g`; with momentum `m = mu m - lr g` and `w += m`.

    With `nesterov`, `w += mu m - lr g`. `common` are the arguments of `Optimizer`.

    >>> SGD(learning_rate=0.1, momentum=0.9).slot_names()
    ('momentum',)
    """

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        **common: Any,
    ) -> None:
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, **common
        )
        if not isinstance(momentum, float) or not 0 <= momentum <= 1:
            raise ValueError(f"`momentum` must be a float between [0, 1]. Received: {momentum!r}")
        self.momentum = momentum
        self.nesterov = nesterov

    def slot_names(self) -> tuple[str, ...]:
        """A momentum, unless it is 0."""
        return ("momentum",) if self.momentum else ()

    def update(
        self,
        weight: Array,
        gradient: Array,
        slots: tuple[Array, ...],
        scratch: Array,
        learning_rate: float,
    ) -> None:
        """One step of the equations above, in place."""
        np.multiply(gradient, learning_rate, out=scratch)
        if not slots:
            weight -= scratch
            return
        momentum = slots[0]
        momentum *= self.momentum
        momentum -= scratch
        if self.nesterov:
            weight -= scratch
            np.multiply(momentum, self.momentum, out=scratch)
            weight += scratch
        else:
            weight += momentum

    def engine_rule(self) -> tuple[Any, ...] | None:
        return ("sgd", self.momentum, self.nesterov) if type(self) is SGD else None

    def _in_engine(self) -> bool:
        return type(self).update is SGD.update

    def _update_part(self, part: Part, rate: float) -> None:
        variables, gradients, scales, decay = part
        count = len(variables)
        with WritingAll(self._with_slots(variables)) as arrays:
            sgd_update(
                arrays[:count],
                gradients,
                arrays[count:] if self.momentum else None,
                rate,
                self.momentum,
                self.nesterov,
                decay,
                scales,
            )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"momentum": self.momentum, "nesterov": self.nesterov}
        return {**super().get_config(), **own}
