"""Checks of the arguments of optimizers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients, Parameter


def check_averages(use_ema: bool, momentum: float, frequency: int | None) -> None:
    """Raises ValueError for invalid settings of moving averages."""
    if not use_ema:
        return
    if not 0 <= momentum <= 1:
        raise ValueError(
            f"`ema_momentum` must be in the range [0, 1]. Received: ema_momentum={momentum}"
        )
    if frequency and (not isinstance(frequency, int) or frequency < 1):
        raise ValueError(
            "`ema_overwrite_frequency` must be an integer >= 1 or None. Received: "
            f"ema_overwrite_frequency={frequency}"
        )


def check_accumulation(steps: int | None) -> None:
    """Raises ValueError unless at least two gradients are accumulated."""
    if steps and not (isinstance(steps, int) and steps >= 2):
        raise ValueError(
            "`gradient_accumulation_steps` must be an integer >= 2. Received: "
            f"gradient_accumulation_steps={steps}"
        )


def paired(grads: Sequence[Array | None], variables: Sequence[Parameter]) -> Gradients:
    """Gradients by weight, in its dtype, from a list in the order of the weights without None."""
    if len(grads) != len(variables):
        raise ValueError(
            "When passing `grads` as a list of arrays, they must match the variables one to one. "
            f"Received {len(grads)} gradients for {len(variables)} variables."
        )
    paired = Gradients()
    for variable, gradient in zip(variables, grads, strict=True):
        if gradient is not None:
            paired.add(variable, np.asarray(gradient, variable.dtype))
    return paired
