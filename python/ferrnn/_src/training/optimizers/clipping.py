"""Gradient clipping: by value, by the norm of each gradient, or by the norm of all together."""

from __future__ import annotations

import math

import numpy as np

from ferrnn._src.native import squared_norms
from ferrnn._src.tree.types import Array


class Clipping:
    """At most one of the three ways of clipping.

    >>> Clipping(clipnorm=1.0).applied([np.array([3.0, 4.0])])[1]
    [0.2]
    """

    def __init__(
        self,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
    ) -> None:
        given = {
            "clipnorm": clipnorm,
            "clipvalue": clipvalue,
            "global_clipnorm": global_clipnorm,
        }
        if sum(value is not None for value in given.values()) > 1:
            raise ValueError(
                "Only one of `clipnorm`, `clipvalue` and `global_clipnorm` can be set. Received: "
                + ", ".join(f"{argument}={value}" for argument, value in given.items())
            )
        for argument, value in given.items():
            if value is not None and not value > 0:
                raise ValueError(f"`{argument}` must be a positive number, received {value}")
        self.norm, self.value, self.global_norm = clipnorm, clipvalue, global_clipnorm

    def applied(self, gradients: list[Array]) -> tuple[list[Array], list[float] | None]:
        """The gradients, and a factor for each, or None for 1."""
        if self.value is not None:
            bound = self.value
            return [np.asarray(np.clip(each, -bound, bound)) for each in gradients], None
        if self.norm is not None:
            norms = map(math.sqrt, squared_norms(gradients))
            return gradients, [_share(norm, self.norm) for norm in norms]
        if self.global_norm is not None:
            share = _share(math.sqrt(sum(squared_norms(gradients))), self.global_norm)
            return gradients, None if share == 1 else [share] * len(gradients)
        return gradients, None


def _share(norm: float, bound: float) -> float:
    return bound / norm if norm > bound else 1.0
