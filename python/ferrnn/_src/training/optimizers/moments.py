"""Optimizers with moments of the gradient other than Adam's: Nadam, Adamax, Lion, Lamb."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ferrnn._src.configs.config import floatx
from ferrnn._src.training.optimizers.averaging import check_betas, move_towards
from ferrnn._src.training.optimizers.learning_rate import Rate
from ferrnn._src.training.optimizers.optimizer import Optimizer
from ferrnn._src.training.optimizers.setting import Setting
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Parameter


class Nadam(Optimizer):
    """Adam with Nesterov's momentum (Dozat, 2016).

    `u_t = beta_1 (1 - 0.96^t / 2)`, `U_t = u_1 ... u_t`, `m` and `v` as in `Adam`,
    `m' = u_{t+1} m / (1 - U_{t+1}) + (1 - u_t) g / (1 - U_t)`, `v' = v / (1 - beta_2^t)`,
    `w -= lr m' / (sqrt(v') + epsilon)`. `common` are the arguments of `Optimizer`.

    >>> Nadam().slot_names()
    ('momentum', 'velocity')
    """

    _never_negative = frozenset({"velocity"})

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
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

    def slot_names(self) -> tuple[str, ...]:
        """Two moments."""
        return ("momentum", "velocity")

    def build(self, variables: Sequence[Parameter]) -> None:
        """Makes the slots for these weights, and the product of the momenta."""
        if not self.built:
            dtype = variables[0].dtype if variables else floatx()
            self._product = Setting(1.0, "u_product", path=f"{self.name}/u_product", dtype=dtype)
            self._last = (self._product,)
        super().build(variables)

    def _share(self, step: int) -> float:
        return self.beta_1 * (1.0 - 0.5 * float(0.96**step))

    def _update_all(
        self,
        variables: Sequence[Parameter],
        gradients: list[Array],
        scales: list[float] | None,
        rate: float,
    ) -> None:
        self._product.put(self._product.item() * self._share(self._step))
        super()._update_all(variables, gradients, scales, rate)

    def _factors(self, step: int, product: float, rate: float) -> tuple[float, float, float]:
        """The factors of momentum and gradient, and the divisor of the velocity."""
        here, ahead = self._share(step), self._share(step + 1)
        of_momentum = rate * ahead / (1.0 - product * ahead)
        return of_momentum, rate * (1.0 - here) / (1.0 - product), 1.0 - self.beta_2**step

    def engine_rule(self) -> tuple[Any, ...] | None:
        if type(self) is not Nadam:
            return None
        return "nadam", self.beta_1, self.beta_2, self.epsilon

    def corrected_rates(self, first: int, rates: list[float]) -> list[float]:
        made: list[float] = []
        product = self._product.numpy()
        for step, rate in enumerate(rates, first):
            product = product.dtype.type(float(product) * self._share(step))
            made += self._factors(step, float(product), rate)
        return made

    def engine_place(self) -> tuple[Any, ...]:
        return (*super().engine_place(), self._product.item())

    def engine_passed(self, place: tuple[Any, ...], count: int) -> None:
        if self.in_python() is not None:
            return
        first, product = place[0] + 1, place[1]
        self._product.put(product)
        for step in range(first, first + count):
            self._product.put(self._product.item() * self._share(step))
        super().engine_passed(place, count)

    def update(
        self,
        weight: Array,
        gradient: Array,
        slots: tuple[Array, ...],
        scratch: Array,
        learning_rate: float,
    ) -> None:
        """One step of the equations above, in place."""
        momentum, velocity = slots
        move_towards(momentum, gradient, 1.0 - self.beta_1, scratch)
        np.square(gradient, out=scratch)
        move_towards(velocity, scratch, 1.0 - self.beta_2, scratch)
        factors = self._factors(self._step, self._product.item(), learning_rate)
        root = np.asarray(np.sqrt(velocity / factors[2]))
        root += self.epsilon
        np.multiply(momentum, factors[0], out=scratch)
        scratch += gradient * factors[1]
        scratch /= root
        weight -= scratch

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return {**super().get_config(), **own}


class Adamax(Optimizer):
    """Adam with the largest recent gradient in place of the root mean square (Kingma and Ba, 2014).

    `m += (g - m)(1 - beta_1)`, `u = max(beta_2 u, |g|)`,
    `w -= lr m / ((1 - beta_1^t)(u + epsilon))`. `common` are the arguments of `Optimizer`.

    >>> Adamax().slot_names()
    ('momentum', 'norm')
    """

    _never_negative = frozenset({"norm"})

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
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

    def slot_names(self) -> tuple[str, ...]:
        """A momentum and the largest entry."""
        return ("momentum", "norm")

    def update(
        self,
        weight: Array,
        gradient: Array,
        slots: tuple[Array, ...],
        scratch: Array,
        learning_rate: float,
    ) -> None:
        """One step of the equations above, in place."""
        momentum, norm = slots
        move_towards(momentum, gradient, 1.0 - self.beta_1, scratch)
        norm *= self.beta_2
        np.abs(gradient, out=scratch)
        np.maximum(norm, scratch, out=norm)
        np.add(norm, self.epsilon, out=scratch)
        np.divide(momentum, scratch, out=scratch)
        scratch *= learning_rate / (1.0 - self.beta_1**self._step)
        weight -= scratch

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return {**super().get_config(), **own}


class Lion(Optimizer):
    """Steps of one size, by the sign of a momentum (Chen et al., 2023).

    `w -= lr sign(beta_1 m + (1 - beta_1) g)`, then `m = beta_2 m + (1 - beta_2) g`. `common` are
    the arguments of `Optimizer`.

    >>> Lion().slot_names()
    ('momentum',)
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        **common: Any,
    ) -> None:
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, **common
        )
        if not 0 < beta_1 <= 1:
            raise ValueError(
                "Argument `beta_1` must be in the [0, 1] range. Otherwise, the optimizer "
                f"degenerates to SignSGD. Received: beta_1={beta_1}."
            )
        self.beta_1 = beta_1
        self.beta_2 = beta_2

    def slot_names(self) -> tuple[str, ...]:
        """A momentum."""
        return ("momentum",)

    def update(
        self,
        weight: Array,
        gradient: Array,
        slots: tuple[Array, ...],
        scratch: Array,
        learning_rate: float,
    ) -> None:
        """One step of the equations above, in place."""
        (momentum,) = slots
        np.multiply(momentum, self.beta_1, out=scratch)
        scratch += gradient * (1.0 - self.beta_1)
        np.sign(scratch, out=scratch)
        scratch *= learning_rate
        weight -= scratch
        momentum *= self.beta_2
        np.multiply(gradient, 1.0 - self.beta_2, out=scratch)
        momentum += scratch

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2}


class Lamb(Optimizer):
    """Steps in Adam's direction, as long as the weights are (You et al., 2019).

    `m` and `v` as in `Adam`, `u = m / (1 - beta_1^t) / (sqrt(v / (1 - beta_2^t)) + epsilon)`,
    `w -= lr u |w| / |u|`, with norms of the whole array; without the norms if one of them is zero.
    `common` are the arguments of `Optimizer`.

    >>> Lamb().slot_names()
    ('momentum', 'velocity')
    """

    _never_negative = frozenset({"velocity"})

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
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

    def slot_names(self) -> tuple[str, ...]:
        """Two moments."""
        return ("momentum", "velocity")

    def update(
        self,
        weight: Array,
        gradient: Array,
        slots: tuple[Array, ...],
        scratch: Array,
        learning_rate: float,
    ) -> None:
        """One step of the equations above, in place."""
        momentum, velocity = slots
        move_towards(momentum, gradient, 1.0 - self.beta_1, scratch)
        np.square(gradient, out=scratch)
        move_towards(velocity, scratch, 1.0 - self.beta_2, scratch)
        root = np.asarray(np.sqrt(velocity / (1.0 - self.beta_2**self._step)))
        root += self.epsilon
        np.divide(momentum, 1.0 - self.beta_1**self._step, out=scratch)
        scratch /= root
        length, own = (math.sqrt(float(np.square(each).sum())) for each in (weight, scratch))
        scratch *= learning_rate * (length / own if length > 0 and own > 0 else 1.0)
        weight -= scratch

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return {**super().get_config(), **own}
