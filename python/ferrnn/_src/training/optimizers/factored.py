"""Adafactor, which keeps means of squares by rows and columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ferrnn._src.training.optimizers.learning_rate import Rate
from ferrnn._src.training.optimizers.optimizer import Optimizer
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Parameter


class Adafactor(Optimizer):
    """Steps as large as the weights are, by squares of rows and of columns (Shazeer, Stern, 2018).

    With `b = 1 - t^beta_2_decay` and `s = g^2 + epsilon_1`: `r = b r + (1 - b) mean of s by rows`,
    `c` likewise by columns, `v = r c / mean of r`; for weights of one axis `v = b v + (1 - b) s`.
    Then `u = g / sqrt(v)`, and `w -= a u / max(1, rms(u) / clip_threshold)` with
    `a = min(lr, 1 / sqrt(t)) max(epsilon_2, rms(w))`. As in Keras `relative_step` changes nothing:
    the rate has that bound anyway. `common` are the arguments of `Optimizer`.

    >>> weight = Parameter(np.ones((2, 3)), "w")
    >>> Adafactor(0.5).apply([np.ones((2, 3))], [weight])
    >>> round(float(weight.value[0, 0]), 6)
    0.5
    """

    _never_negative = frozenset({"mean", "velocity"})

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        **common: Any,
    ) -> None:
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, **common
        )
        self.beta_2_decay = beta_2_decay
        self.epsilon_1 = epsilon_1
        self.epsilon_2 = epsilon_2
        self.clip_threshold = clip_threshold
        self.relative_step = relative_step

    def build(self, variables: Sequence[Parameter]) -> None:
        """Makes the means of these weights: by rows, by columns, and those of entries."""
        known = self.built
        super().build(variables)
        if not known:
            for weight in variables:
                self._state.slots[weight] = tuple(self._means_of(weight))

    def _means_of(self, weight: Parameter) -> list[Parameter]:
        # Keras' files have two scalars for weights without rows and columns.
        shape, path = weight.shape, weight.path.replace("/", "_")
        axes = [shape[:-1], (*shape[:-2], shape[-1])] if len(shape) > 1 else [(), ()]
        made = [self._state.track(np.zeros(each, weight.dtype), "mean", path) for each in axes]
        return [*made, self._state.like(weight, "velocity")]

    def update(
        self,
        weight: Array,
        gradient: Array,
        slots: tuple[Array, ...],
        scratch: Array,
        learning_rate: float,
    ) -> None:
        """One step of the equations above, in place."""
        rows, columns, velocity = slots
        fresh = float(self._step) ** self.beta_2_decay
        np.square(gradient, out=scratch)
        scratch += self.epsilon_1
        if weight.ndim > 1:
            rows += (scratch.mean(axis=-1) - rows) * fresh
            columns += (scratch.mean(axis=-2) - columns) * fresh
            shares = rows / rows.mean(axis=-1, keepdims=True)
            np.multiply(shares[..., None], columns[..., None, :], out=velocity)
        else:
            scratch -= velocity
            scratch *= fresh
            velocity += scratch
        np.divide(gradient, np.sqrt(velocity), out=scratch)
        step = min(learning_rate, 1.0 / math.sqrt(self._step)) * max(self.epsilon_2, _rms(weight))
        scratch *= step / max(1.0, _rms(scratch) / self.clip_threshold)
        weight -= scratch

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "beta_2_decay": self.beta_2_decay,
            "epsilon_1": self.epsilon_1,
            "epsilon_2": self.epsilon_2,
            "clip_threshold": self.clip_threshold,
            "relative_step": self.relative_step,
        }


def _rms(array: Array) -> float:
    """The root mean square, or 0 for an empty array."""
    return math.sqrt(float(np.square(array).mean())) if array.size else 0.0
