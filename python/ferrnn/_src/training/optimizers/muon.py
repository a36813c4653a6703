"""Muon: steps that are orthogonal matrices."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ferrnn._src.training.optimizers.averaging import check_betas, move_towards
from ferrnn._src.training.optimizers.learning_rate import Rate
from ferrnn._src.training.optimizers.optimizer import Optimizer, Part
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Parameter


class Muon(Optimizer):
    """Momentum whose matrix is made nearly orthogonal (Jordan, 2024); Adam for all other weights.

    For matrices `m = momentum m + g`, then `u = g + momentum m` with `nesterov`, else `m`;
    `w -= lr rms_rate sqrt(max(rows, columns)) orthogonal(u)` (no factors if `rms_rate` is None),
    with `ns_steps` of Newton and Schulz' iteration `X = muon_a X + (muon_b A + muon_c A^2) X`,
    `A = X X'`, from `u` of norm 1. Weights that are not matrices, that have "embedding" in their
    path (with `exclude_embeddings`) or match one of `exclude_layers` take `Adam`'s step, with
    `lr adam_lr_ratio` and `adam_weight_decay`. `common` are the arguments of `Optimizer`.

    >>> Muon(exclude_layers=["head"]).momentum
    0.95
    """

    _never_negative = frozenset({"velocity"})

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999,
        adam_weight_decay: float | None = 0.004,
        epsilon: float = 1e-7,
        weight_decay: float | None = 0.004,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        exclude_layers: Sequence[str] | None = None,
        exclude_embeddings: bool = True,
        muon_a: float = 3.4445,
        muon_b: float = -4.7750,
        muon_c: float = 2.0315,
        adam_lr_ratio: float = 1,
        momentum: float = 0.95,
        ns_steps: int = 5,
        nesterov: bool = True,
        rms_rate: float | None = 0.2,
        **common: Any,
    ) -> None:
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, **common
        )
        check_betas(adam_beta_1, adam_beta_2)
        self.adam_beta_1, self.adam_beta_2 = adam_beta_1, adam_beta_2
        self.adam_weight_decay = adam_weight_decay
        self.epsilon = epsilon
        self.exclude_layers = list(exclude_layers or ())
        self.exclude_embeddings = exclude_embeddings
        self.muon_a, self.muon_b, self.muon_c = muon_a, muon_b, muon_c
        self.adam_lr_ratio = adam_lr_ratio
        self.momentum = momentum
        self.ns_steps = ns_steps
        self.nesterov = nesterov
        self.rms_rate = rms_rate

    def _by_adam(self, weight: Parameter) -> bool:
        if len(weight.shape) != 2:
            return True
        if self.exclude_embeddings and "embedding" in weight.path.lower():
            return True
        return any(re.search(word, weight.path) for word in self.exclude_layers)

    def build(self, variables: Sequence[Parameter]) -> None:
        """Makes a momentum for each weight, and a velocity for those of Adam."""
        known = self.built
        super().build(variables)
        if not known:
            for weight in variables:
                names = ("momentum", "velocity") if self._by_adam(weight) else ("momentum",)
                self._state.slots[weight] = tuple(self._state.like(weight, name) for name in names)

    def _parts(
        self,
        variables: Sequence[Parameter],
        gradients: list[Array],
        scales: list[float] | None,
        rate: float,
    ) -> Iterator[Part]:
        """The weights one by one, each with its decay."""
        for at, weight in enumerate(variables):
            share = self.adam_weight_decay if self._by_adam(weight) else self.weight_decay
            decays = share is not None and self._decays(weight)
            yield (
                [weight],
                [gradients[at]],
                None if scales is None else [scales[at]],
                rate * share if decays and share is not None else None,
            )

    def update(
        self,
        weight: Array,
        gradient: Array,
        slots: tuple[Array, ...],
        scratch: Array,
        learning_rate: float,
    ) -> None:
        """One step of the equations above, in place."""
        momentum = slots[0]
        if len(slots) > 1:
            self._adam(weight, gradient, (momentum, slots[1]), scratch, learning_rate)
            return
        momentum *= self.momentum
        momentum += gradient
        ahead = gradient + self.momentum * momentum if self.nesterov else momentum
        scale = 1.0
        if self.rms_rate is not None:
            scale = math.sqrt(max(weight.shape)) * self.rms_rate
        np.multiply(self._orthogonal(ahead), learning_rate * scale, out=scratch)
        weight -= scratch

    def _orthogonal(self, matrix: Array) -> Array:
        """A matrix near the orthogonal factor of `matrix`, by a fixed number of iterations."""
        wide = matrix.shape[0] <= matrix.shape[1]
        found: Array = matrix if wide else matrix.T
        found = found / (np.sqrt(np.square(found).sum()) + 1e-7)
        for _ in range(self.ns_steps):
            square = found @ found.T
            found = (
                self.muon_a * found
                + (self.muon_b * square + self.muon_c * (square @ square)) @ found
            )
        return found if wide else found.T

    def _adam(
        self,
        weight: Array,
        gradient: Array,
        moments: tuple[Array, Array],
        scratch: Array,
        learning_rate: float,
    ) -> None:
        momentum, velocity = moments
        move_towards(momentum, gradient, 1.0 - self.adam_beta_1, scratch)
        np.square(gradient, out=scratch)
        move_towards(velocity, scratch, 1.0 - self.adam_beta_2, scratch)
        rate = learning_rate * self.adam_lr_ratio
        rate *= math.sqrt(1.0 - self.adam_beta_2**self._step) / (1.0 - self.adam_beta_1**self._step)
        root = np.asarray(np.sqrt(velocity))
        root += self.epsilon
        np.multiply(momentum, rate, out=scratch)
        scratch /= root
        weight -= scratch

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = (
            "adam_beta_1", "adam_beta_2", "epsilon", "exclude_layers", "muon_a", "muon_b",
            "muon_c", "adam_lr_ratio", "momentum", "ns_steps", "nesterov", "exclude_embeddings",
            "adam_weight_decay", "rms_rate",
        )  # fmt: skip
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
