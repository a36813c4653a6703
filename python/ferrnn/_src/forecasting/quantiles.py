"""Quantiles that never cross, from the network's outputs, and their pinball loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from ferrnn._src.training.averaged import Measure
from ferrnn._src.training.formulas import ValuesVjp
from ferrnn._src.training.loss import Loss
from ferrnn._src.tree.types import Array

# Denser at the ends of intervals; the middle one is the median.
PROBABILITIES = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99)
MIDDLE = len(PROBABILITIES) // 2


def ordered(raw: Array) -> Array:
    """Quantiles `[..., quantiles]` from raw numbers: the middle one, and positive steps from it.

    The steps are `log(1 + exp(raw))`, added up towards both sides.

    >>> ordered(np.array([0.0, 5.0, -3.0])).round(2).tolist()
    [4.31, 5.0, 5.05]
    """
    middle = raw.shape[-1] // 2
    steps = np.logaddexp(0, raw)
    center = raw[..., middle : middle + 1]
    up = center + np.cumsum(steps[..., middle + 1 :], axis=-1)
    down = center - np.cumsum(steps[..., :middle][..., ::-1], axis=-1)[..., ::-1]
    made: Array = np.concatenate([down, center, up], axis=-1)
    return made


def ordered_vjp(raw: Array, d_quantiles: Array) -> Array:
    """The gradient for the raw numbers of `ordered`."""
    middle = raw.shape[-1] // 2
    slopes = 0.5 * (1 + np.tanh(0.5 * raw))
    made = np.empty_like(raw)
    made[..., middle] = d_quantiles.sum(axis=-1)
    later = d_quantiles[..., middle + 1 :]
    made[..., middle + 1 :] = np.cumsum(later[..., ::-1], axis=-1)[..., ::-1]
    made[..., :middle] = -np.cumsum(d_quantiles[..., :middle], axis=-1)
    made[..., :middle] *= slopes[..., :middle]
    made[..., middle + 1 :] *= slopes[..., middle + 1 :]
    return made


class PinballLoss(Loss):
    """The mean over quantiles of `max(p e, (p - 1) e)`, `e = y - quantile`, weighted by step.

    `y_true` `[batch, horizon, 2]` holds targets and weights, `y_pred` `[batch, horizon, quantiles]`
    the raw numbers of `ordered`.

    >>> loss = PinballLoss((0.1, 0.5, 0.9))
    >>> y_true = np.array([[[1.0, 1.0], [9.0, 0.0]]])
    >>> round(float(loss(y_true, np.array([[[-9.0, 0.0, -9.0], [0.0, 0.0, 0.0]]]))), 3)
    0.25
    """

    def __init__(self, probabilities: Any = PROBABILITIES, name: str | None = "pinball") -> None:
        super().__init__(name)
        self.probabilities = tuple(map(float, probabilities))

    def cast_targets(self, y_true: Array, y_pred: Array) -> Array:
        """Targets in the dtype of the predictions; their last axis differs.

        Raises:
            ValueError: They are not targets and weights for each step.
        """
        if y_true.shape != (*y_pred.shape[:-1], 2) or y_pred.shape[-1] != len(self.probabilities):
            raise ValueError(
                f"`y_true` must hold targets and weights [batch, horizon, 2] for "
                f"{len(self.probabilities)} quantiles, received the shapes {y_true.shape} and "
                f"{y_pred.shape}"
            )
        return np.asarray(y_true, y_pred.dtype)

    def measured(self) -> Measure | None:
        """The mean in the engine's form."""
        return "pinball", "weighted", self.probabilities

    def pointwise(self, y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
        """Values `[batch, horizon]` and their gradient with respect to `y_pred`."""
        target, weight = y_true[..., :1], y_true[..., 1]
        probabilities = np.asarray(self.probabilities, y_pred.dtype)
        errors = target - ordered(y_pred)
        slopes = np.where(errors > 0, probabilities, probabilities - 1)
        values: Array = (slopes * errors).mean(axis=-1) * weight

        def vjp(d_values: Array) -> Array:
            scale = (d_values * weight)[..., None] / y_pred.dtype.type(len(probabilities))
            return ordered_vjp(y_pred, -slopes * scale)

        return values, vjp


def at_probability(quantiles: Array, probability: float) -> Array:
    """The quantile `[...]` of a probability, between those of `PROBABILITIES` `[..., quantiles]`.

    Beyond the first or last one, it is that one, which conformal margins widen.
    """
    known = np.asarray(PROBABILITIES)
    right = int(np.clip(np.searchsorted(known, probability), 1, len(known) - 1))
    left = right - 1
    part = np.clip((probability - known[left]) / (known[right] - known[left]), 0.0, 1.0)
    made: Array = quantiles[..., left] * (1 - part) + quantiles[..., right] * part
    return made
