"""What layers add to the loss: penalties on their weights, and on what they give out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.symbolic import tracing
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients, Parameter
from ferrnn._src.weights.regularizers import penalty_of

Vjp: TypeAlias = Callable[[Any, Gradients], Any]


def regularized(weights: Iterable[Parameter]) -> tuple[Parameter, ...]:
    """The weights that have a regularizer."""
    return tuple(weight for weight in weights if weight.regularizer is not None)


def weight_penalties(weights: Iterable[Parameter]) -> list[float]:
    """The penalties on those weights that have a regularizer.

    >>> from ferrnn._src.weights.regularizers import L2
    >>> weight_penalties([Parameter([1.0, 2.0], "kernel", regularizer=L2(0.5))])
    [2.5]
    """
    return [penalty_of(weight.regularizer, weight.value)[0] for weight in regularized(weights)]


def traced_penalties(weights: Iterable[Parameter]) -> list[Any]:
    """As `weight_penalties`, for the code that a trace follows: numbers with a gradient."""
    return [
        tracing.record(partial(_weight_penalty, weight.regularizer), weight)
        for weight in regularized(weights)
    ]


def _weight_penalty(regularizer: Any, value: Array) -> tuple[Array, Vjp]:
    penalty, vjp = penalty_of(regularizer, value)
    return np.asarray(penalty, value.dtype), lambda d_penalty, grads: vjp(float(d_penalty), grads)


def penalties_on(weights: Iterable[Parameter]) -> tuple[float, Callable[[Gradients], None]]:
    """The sum of the penalties on weights that all have a regularizer, and what adds its gradients.

    These come after the gradients that layers add, as in a plan.
    """
    total, vjps = 0.0, []
    for weight in weights:
        penalty, vjp = penalty_of(weight.regularizer, weight.value)
        total += penalty  # one after the other: `sum` makes up for rounding from Python 3.12 on
        vjps.append((weight, vjp))

    def add_gradients(grads: Gradients) -> None:
        for weight, vjp in vjps:
            grads.add(weight, vjp(1.0, grads))

    return total, add_gradients


def activity_penalties(
    regularizer: Any, outputs: Any, vjp: Vjp | None
) -> tuple[list[float], Vjp | None]:
    """The penalties on a layer's outputs, divided by the batch, and a vjp that adds their gradient.

    Outputs are an array, or arrays in nested tuples and lists: each makes one penalty.
    """
    parts = [_penalty(regularizer, output) for output in _leaves(outputs)]
    penalties = [penalty for penalty, _ in parts]
    if vjp is None:
        return penalties, None
    inner = vjp

    def penalized(d_outputs: Any, grads: Gradients) -> Any:
        own = iter([penalty_vjp(1.0, grads) for _, penalty_vjp in parts])
        return inner(_added(outputs, d_outputs, own), grads)

    return penalties, penalized


def _penalty(regularizer: Any, output: Array) -> tuple[float, Vjp]:
    penalty, vjp = penalty_of(regularizer, np.asarray(output))
    if not output.ndim:
        return penalty, vjp
    batch = max(len(output), 1)
    return penalty / batch, lambda d_penalty, grads: vjp(d_penalty / batch, grads)


def _leaves(outputs: Any) -> list[Array]:
    if isinstance(outputs, list | tuple):
        return [leaf for part in outputs for leaf in _leaves(part)]
    return [outputs]


def _added(outputs: Any, d_outputs: Any, own: Any) -> Any:
    """`d_outputs` (None: zeros) plus the gradients of the penalties, nested as the outputs."""
    if isinstance(outputs, list | tuple):
        given = [None] * len(outputs) if d_outputs is None else d_outputs
        return type(outputs)(_added(*pair, own) for pair in zip(outputs, given, strict=True))
    gradient = next(own)
    return gradient if d_outputs is None else d_outputs + gradient
