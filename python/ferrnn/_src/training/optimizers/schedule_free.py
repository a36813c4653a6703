"""AdamW that averages weights instead of letting the learning rate fall."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ferrnn._src.training.optimizers.averaging import check_betas, move_towards
from ferrnn._src.training.optimizers.learning_rate import Rate
from ferrnn._src.training.optimizers.optimizer import Optimizer
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Parameter


class ScheduleFreeAdamW(Optimizer):
    """Adam's second moment for weights `z`, averaged into `x` (Defazio et al., 2024).

    `z -= lr g / (sqrt(v / (1 - beta_2^t)) + epsilon)`, `x += (z - x) / t`, and the weights, at
    which gradients are taken, are `(1 - beta_1) z + beta_1 x`. The rate rises to `lr` over
    `warmup_steps` updates. `common` are the arguments of `Optimizer`.

    >>> ScheduleFreeAdamW().slot_names()
    ('momentum', 'velocity')
    """

    _never_negative = frozenset({"velocity"})

    def __init__(
        self,
        learning_rate: Rate = 0.0025,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        warmup_steps: int = 0,
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
        if beta_1 == 0:
            raise ValueError(
                "`beta_1` must be greater than 0, as `x` is computed from the weights by dividing "
                f"by it, received {beta_1}"
            )
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.warmup_steps = warmup_steps

    def slot_names(self) -> tuple[str, ...]:
        """The weights `z`, which Keras calls a momentum, and a mean square."""
        return ("momentum", "velocity")

    def build(self, variables: Sequence[Parameter]) -> None:
        """Makes the slots for these weights; `z` starts where they are."""
        known = self.built
        super().build(variables)
        if not known:
            for weight in variables:
                self._state.slots[weight][0].assign(weight.value)

    def update(
        self,
        weight: Array,
        gradient: Array,
        slots: tuple[Array, ...],
        scratch: Array,
        learning_rate: float,
    ) -> None:
        """One step of the equations above, in place."""
        fast, velocity = slots
        step, share = self._step, 1.0 - self.beta_1
        np.square(gradient, out=scratch)
        move_towards(velocity, scratch, 1.0 - self.beta_2, scratch)
        rate = learning_rate * (min(step / self.warmup_steps, 1.0) if self.warmup_steps else 1.0)
        slow = (weight - share * fast) / self.beta_1
        root = np.asarray(np.sqrt(velocity / (1.0 - self.beta_2**step)))
        root += self.epsilon
        np.multiply(gradient, rate, out=scratch)
        scratch /= root
        fast -= scratch
        move_towards(slow, fast, 1.0 / step, scratch)
        np.multiply(slow, self.beta_1, out=weight)
        np.multiply(fast, share, out=scratch)
        weight += scratch

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return {**super().get_config(), **own, "warmup_steps": self.warmup_steps}
