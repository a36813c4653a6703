"""Optimizers that divide by the root of a mean or sum of squares."""

from __future__ import annotations

from typing import Any

import numpy as np

from ferrnn._src.training.optimizers.averaging import move_towards
from ferrnn._src.training.optimizers.learning_rate import Rate
from ferrnn._src.training.optimizers.optimizer import Optimizer
from ferrnn._src.tree.types import Array


class RMSprop(Optimizer):
    """Divides by a running root mean square of the gradient (Tieleman and Hinton, 2012).

    `v = rho v + (1 - rho) g^2`, `w -= lr g / sqrt(v + epsilon)`. With `centered`, `v` less the
    square of the running mean of `g`. With momentum, the step `d` goes through `m = mu m + d` and
    `w -= m`. `common` are the arguments of `Optimizer`.

    >>> RMSprop(momentum=0.9).slot_names()
    ('velocity', 'momentum')
    """

    _never_negative = frozenset({"velocity"})

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        **common: Any,
    ) -> None:
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, **common
        )
        self.rho = rho
        self.momentum = momentum
        self.epsilon = epsilon
        self.centered = centered

    def slot_names(self) -> tuple[str, ...]:
        """The mean square, then the momentum and the mean, each if it is used."""
        momentum = ("momentum",) if self.momentum else ()
        return ("velocity", *momentum, *(("average_gradient",) if self.centered else ()))

    def _slot_groups(self) -> list[tuple[str, ...]]:
        return [(name,) for name in self.slot_names()]

    def engine_rule(self) -> tuple[Any, ...] | None:
        if type(self) is not RMSprop:
            return None
        return "rmsprop", self.rho, self.momentum, self.epsilon, self.centered

    def update(
        self,
        weight: Array,
        gradient: Array,
        slots: tuple[Array, ...],
        scratch: Array,
        learning_rate: float,
    ) -> None:
        """One step of the equations above, in place."""
        velocity = slots[0]
        np.square(gradient, out=scratch)
        move_towards(velocity, scratch, 1.0 - self.rho, scratch)
        if self.centered:
            average = slots[-1]
            move_towards(average, gradient, 1.0 - self.rho, scratch)
            np.square(average, out=scratch)
            np.subtract(velocity, scratch, out=scratch)
            scratch += self.epsilon
        else:
            np.add(velocity, self.epsilon, out=scratch)
        np.sqrt(scratch, out=scratch)
        np.divide(gradient, scratch, out=scratch)
        scratch *= learning_rate
        if not self.momentum:
            weight -= scratch
            return
        momentum = slots[1]
        momentum *= self.momentum
        momentum += scratch
        weight -= momentum

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"rho": self.rho, "momentum": self.momentum, "epsilon": self.epsilon}
        return {**super().get_config(), **own, "centered": self.centered}


class Adagrad(Optimizer):
    """Divides by the root of the sum of all squares so far (Duchi et al., 2011).

    `s += g^2`, `w -= lr g / sqrt(s + epsilon)`, `s` from `initial_accumulator_value`. `common` are
    the arguments of `Optimizer`.

    >>> Adagrad(0.1).slot_names()
    ('accumulator',)
    """

    _never_negative = frozenset({"accumulator"})

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        initial_accumulator_value: float = 0.1,
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
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    def slot_names(self) -> tuple[str, ...]:
        """The sum of squares."""
        return ("accumulator",)

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
        (accumulator,) = slots
        np.square(gradient, out=scratch)
        accumulator += scratch
        np.add(accumulator, self.epsilon, out=scratch)
        np.sqrt(scratch, out=scratch)
        np.divide(gradient * learning_rate, scratch, out=scratch)
        weight -= scratch

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"initial_accumulator_value": self.initial_accumulator_value}
        return {**super().get_config(), **own, "epsilon": self.epsilon}


class Adadelta(Optimizer):
    """Steps in units of the weights themselves (Zeiler, 2012).

    `G = rho G + (1 - rho) g^2`, `d = sqrt(D + epsilon) / sqrt(G + epsilon) g`,
    `D = rho D + (1 - rho) d^2`, `w -= lr d`. `common` are the arguments of `Optimizer`.

    >>> Adadelta(1.0).slot_names()
    ('accumulated_grad', 'accumulated_delta_var')
    """

    _never_negative = frozenset({"accumulated_grad", "accumulated_delta_var"})

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        rho: float = 0.95,
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
        self.rho = rho
        self.epsilon = epsilon

    def slot_names(self) -> tuple[str, ...]:
        """The mean squares of gradients and of steps."""
        return ("accumulated_grad", "accumulated_delta_var")

    def update(
        self,
        weight: Array,
        gradient: Array,
        slots: tuple[Array, ...],
        scratch: Array,
        learning_rate: float,
    ) -> None:
        """One step of the equations above, in place."""
        squares, steps = slots
        np.square(gradient, out=scratch)
        move_towards(squares, scratch, 1.0 - self.rho, scratch)
        np.add(steps, self.epsilon, out=scratch)
        np.sqrt(scratch, out=scratch)
        scratch *= gradient
        scratch /= np.sqrt(squares + self.epsilon)
        weight -= scratch * learning_rate
        np.square(scratch, out=scratch)
        move_towards(steps, scratch, 1.0 - self.rho, scratch)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "rho": self.rho, "epsilon": self.epsilon}
