"""Adam, and Adam with decay."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ferrnn._src.native import adam_update
from ferrnn._src.training.optimizers.averaging import check_betas, move_towards
from ferrnn._src.training.optimizers.learning_rate import Rate
from ferrnn._src.training.optimizers.optimizer import Optimizer, Part
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import WritingAll


def _corrected(beta_1: float, beta_2: float, first: int, rates: Sequence[float]) -> list[float]:
    return [
        rate * math.sqrt(1.0 - beta_2**count) / (1.0 - beta_1**count)
        for count, rate in enumerate(rates, first)
    ]


# Models that are trained together ask for the same rates one after another.
_corrected_once = functools.lru_cache(maxsize=8, typed=True)(_corrected)


class Adam(Optimizer):
    """Moments of the gradient (Kingma and Ba, 2014), with bias corrections folded into the rate.

    `m += (g - m)(1 - beta_1)`, `v += (g^2 - v)(1 - beta_2)`, `w -= a m / (sqrt(v) + epsilon)` with
    `a = lr sqrt(1 - beta_2^t) / (1 - beta_1^t)`. With `amsgrad`, the largest `v` so far replaces
    `v`. `common` are the arguments of `Optimizer`.

    >>> Adam(amsgrad=True).slot_names()
    ('momentum', 'velocity', 'velocity_hat')
    """

    _never_negative = frozenset({"velocity", "velocity_hat"})

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        **common: Any,
    ) -> None:
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, **common
        )
        check_betas(beta_1, beta_2)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.amsgrad = amsgrad

    def slot_names(self) -> tuple[str, ...]:
        """Two moments, and the largest of the second with `amsgrad`."""
        return ("momentum", "velocity", *(("velocity_hat",) if self.amsgrad else ()))

    def _slot_groups(self) -> list[tuple[str, ...]]:
        # Both moments of one weight, then those of the next; `velocity_hat` of all comes last.
        return [("momentum", "velocity"), *([("velocity_hat",)] if self.amsgrad else [])]

    def update(
        self,
        weight: Array,
        gradient: Array,
        slots: tuple[Array, ...],
        scratch: Array,
        learning_rate: float,
    ) -> None:
        """One step of the equations above, in place."""
        momentum, velocity = slots[:2]
        move_towards(momentum, gradient, 1.0 - self.beta_1, scratch)
        np.square(gradient, out=scratch)
        move_towards(velocity, scratch, 1.0 - self.beta_2, scratch)
        if self.amsgrad:
            velocity = np.maximum(slots[2], velocity, out=slots[2])
        root = np.asarray(np.sqrt(velocity))
        root += self.epsilon
        np.multiply(momentum, self._corrected(learning_rate), out=scratch)
        scratch /= root
        weight -= scratch

    def _corrected(self, learning_rate: float) -> float:
        """The rate with the corrections for moments that start at zero."""
        return self.corrected_rates(self._step, [learning_rate])[0]

    def corrected_rates(self, first: int, rates: list[float]) -> list[float]:
        if len(rates) == 1:
            return [rates[0] * math.sqrt(1.0 - self.beta_2**first) / (1.0 - self.beta_1**first)]
        return [*_corrected_once(self.beta_1, self.beta_2, first, tuple(rates))]

    def engine_rule(self) -> tuple[Any, ...] | None:
        if type(self) not in (Adam, AdamW):
            return None
        return "adam", self.beta_1, self.beta_2, self.epsilon, self.amsgrad

    def _in_engine(self) -> bool:
        return type(self).update is Adam.update

    def _update_part(self, part: Part, rate: float) -> None:
        variables, gradients, scales, decay = part
        count = len(variables)
        with WritingAll(self._with_slots(variables)) as arrays:
            adam_update(
                arrays[:count],
                gradients,
                arrays[count : 2 * count],
                arrays[2 * count : 3 * count],
                arrays[3 * count :] if self.amsgrad else None,
                self._corrected(rate),
                self.beta_1,
                self.beta_2,
                self.epsilon,
                decay,
                scales,
            )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return {**super().get_config(), **own, "amsgrad": self.amsgrad}


class AdamW(Adam):
    """Adam with weight decay decoupled from the gradients (Loshchilov and Hutter, 2017).

    Before `Adam`'s update, `w -= learning_rate * weight_decay * w`. `common` are the arguments of
    `Optimizer`.

    >>> AdamW().weight_decay
    0.004
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        **common: Any,
    ) -> None:
        if weight_decay is None:
            raise ValueError("Argument `weight_decay` must be a float. Received: weight_decay=None")
        super().__init__(
            learning_rate,
            beta_1,
            beta_2,
            epsilon,
            amsgrad,
            weight_decay,
            clipnorm,
            clipvalue,
            global_clipnorm,
            **common,
        )
