"""Follow the regularized leader."""

from __future__ import annotations

from typing import Any

import numpy as np

from ferrnn._src.training.optimizers.learning_rate import Rate
from ferrnn._src.training.optimizers.optimizer import Optimizer
from ferrnn._src.tree.types import Array


class Ftrl(Optimizer):
    """Follow the regularized leader; small gradients leave weights at zero (McMahan et al., 2013).

    With `p = -learning_rate_power` and `l2 = l2_regularization_strength + beta / (2 lr)`:
    `n' = n + g^2`, `z += g + 2 l2_shrinkage w - (n'^p - n^p) / lr w`,
    `w = (clip(z, -l1, l1) - z) / (n'^p / lr + 2 l2)`, `n = n'`. `common` are the arguments of
    `Optimizer`.

    >>> Ftrl().slot_names()
    ('accumulator', 'linear')
    """

    _never_negative = frozenset({"accumulator"})

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        **common: Any,
    ) -> None:
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, **common
        )
        if learning_rate_power > 0:
            raise ValueError(
                "`learning_rate_power` needs to be negative or zero. Received: "
                f"learning_rate_power={learning_rate_power}."
            )
        self.learning_rate_power = learning_rate_power
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self.beta = beta
        for argument in (
            "initial_accumulator_value",
            "l1_regularization_strength",
            "l2_regularization_strength",
            "l2_shrinkage_regularization_strength",
        ):
            value = getattr(self, argument)
            if value < 0:
                raise ValueError(
                    f"`{argument}` needs to be positive or zero. Received: {argument}={value}."
                )

    def slot_names(self) -> tuple[str, ...]:
        """The sum of squares, and the sum of gradients less what the weights have moved."""
        return ("accumulator", "linear")

    def _slot_starts(self) -> dict[str, float]:
        return {"accumulator": self.initial_accumulator_value}

    def update(
        self,
        weight: Array,
        gradient: Array,
        slots: tuple[Array, ...],
        scratch: Array,
        learning_rate: float,
    ) -> None:
        """One step of the equations above, in place."""
        accumulator, linear = slots
        power, l1 = -self.learning_rate_power, self.l1_regularization_strength
        l2 = self.l2_regularization_strength + self.beta / (2.0 * learning_rate)
        before = np.power(accumulator, power)
        np.square(gradient, out=scratch)
        accumulator += scratch
        after = np.power(accumulator, power)
        linear += gradient + 2.0 * self.l2_shrinkage_regularization_strength * weight
        np.subtract(after, before, out=scratch)
        scratch /= learning_rate
        scratch *= weight
        linear -= scratch
        np.clip(linear, -l1, l1, out=scratch)
        scratch -= linear
        np.divide(scratch, after / learning_rate + 2.0 * l2, out=weight)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = (
            "learning_rate_power",
            "initial_accumulator_value",
            "l1_regularization_strength",
            "l2_regularization_strength",
            "l2_shrinkage_regularization_strength",
            "beta",
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}
