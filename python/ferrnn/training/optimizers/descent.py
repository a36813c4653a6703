"""The optimizers: SGD, RMSprop and Adam, and `get`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ferrnn.core.native import adam_update, sgd_update
from ferrnn.core.parameter import Parameter, WritingAll
from ferrnn.core.types import Array
from ferrnn.training.optimizer import Optimizer

__all__ = ["SGD", "Adam", "Optimizer", "RMSprop", "get"]


class SGD(Optimizer):
    """Gradient descent, `w -= lr g`; with momentum `m = mu m - lr g` and `w += m`.

    With `nesterov`, `w += mu m - lr g`. `common` are the arguments of `Optimizer`.

    >>> SGD(learning_rate=0.1, momentum=0.9).slot_names()
    ('momentum',)
    """

    def __init__(
        self,
        learning_rate: float | Callable[[], float] = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        **common: Any,
    ) -> None:
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, **common
        )
        if not isinstance(momentum, float) or not 0 <= momentum <= 1:
            raise ValueError(f"`momentum` must be a float between [0, 1]. Received: {momentum!r}")
        self.momentum = momentum
        self.nesterov = nesterov

    def slot_names(self) -> tuple[str, ...]:
        """A momentum, unless it is 0."""
        return ("momentum",) if self.momentum else ()

    def update(
        self,
        weight: Array,
        gradient: Array,
        slots: tuple[Array, ...],
        scratch: Array,
        learning_rate: float,
    ) -> None:
        """One step of the equations above, in place."""
        np.multiply(gradient, learning_rate, out=scratch)
        if not slots:
            weight -= scratch
            return
        momentum = slots[0]
        momentum *= self.momentum
        momentum -= scratch
        if self.nesterov:
            weight -= scratch
            np.multiply(momentum, self.momentum, out=scratch)
            weight += scratch
        else:
            weight += momentum

    def _update_all(
        self,
        variables: Sequence[Parameter],
        gradients: Sequence[Array],
        scales: Sequence[float] | None,
        rate: float,
    ) -> None:
        if type(self).update is not SGD.update:
            super()._update_all(variables, gradients, scales, rate)
            return
        momenta = [slot for variable in variables for slot in self._slots[variable]]
        count = len(variables)
        with WritingAll([*variables, *momenta]) as arrays:
            sgd_update(
                arrays[:count],
                list(gradients),
                arrays[count:] if momenta else None,
                rate,
                self.momentum,
                self.nesterov,
                None if self.weight_decay is None else rate * self.weight_decay,
                scales,
            )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"momentum": self.momentum, "nesterov": self.nesterov}
        return {**super().get_config(), **own}


class RMSprop(Optimizer):
    """Divides by a running root mean square of the gradient (Tieleman and Hinton, 2012).

    `v = rho v + (1 - rho) g^2`, `w -= lr g / sqrt(v + epsilon)`. With `centered`, `v` less the
    square of the running mean of `g`. With momentum, the step `d` goes through `m = mu m + d` and
    `w -= m`. `common` are the arguments of `Optimizer`.

    >>> RMSprop(momentum=0.9).slot_names()
    ('velocity', 'momentum')
    """

    def __init__(
        self,
        learning_rate: float | Callable[[], float] = 0.001,
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
        """The mean square, then a momentum and a mean if asked for."""
        momentum = ("momentum",) if self.momentum else ()
        return ("velocity", *momentum, *(("average_gradient",) if self.centered else ()))

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
        _move_towards(velocity, scratch, 1.0 - self.rho, scratch)
        if self.centered:
            average = slots[-1]
            _move_towards(average, gradient, 1.0 - self.rho, scratch)
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


class Adam(Optimizer):
    """Moments of the gradient (Kingma and Ba, 2014), with bias corrections folded into the rate.

    `m += (g - m)(1 - beta_1)`, `v += (g^2 - v)(1 - beta_2)`, `w -= a m / (sqrt(v) + epsilon)` with
    `a = lr sqrt(1 - beta_2^t) / (1 - beta_1^t)`. With `amsgrad`, the largest `v` so far stands for
    `v`. `common` are the arguments of `Optimizer`.

    >>> Adam(amsgrad=True).slot_names()
    ('momentum', 'velocity', 'velocity_hat')
    """

    def __init__(
        self,
        learning_rate: float | Callable[[], float] = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        **common: Any,
    ) -> None:
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, **common
        )
        for argument, value in (("beta_1", beta_1), ("beta_2", beta_2)):
            if not 0 <= value < 1:
                raise ValueError(f"`{argument}` must lie in [0, 1), received {value}")
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.amsgrad = amsgrad

    def slot_names(self) -> tuple[str, ...]:
        """Two moments, and the largest of the second with `amsgrad`."""
        return ("momentum", "velocity", *(("velocity_hat",) if self.amsgrad else ()))

    def update(
        self,
        weight: Array,
        gradient: Array,
        slots: tuple[Array, ...],
        scratch: Array,
        learning_rate: float,
    ) -> None:
        """One step of the equations above, in place."""
        momentum, velocity = slots[:2]
        _move_towards(momentum, gradient, 1.0 - self.beta_1, scratch)
        np.square(gradient, out=scratch)
        _move_towards(velocity, scratch, 1.0 - self.beta_2, scratch)
        if self.amsgrad:
            velocity = np.maximum(slots[2], velocity, out=slots[2])
        root = np.sqrt(velocity)
        root += self.epsilon
        np.multiply(momentum, self._corrected(learning_rate), out=scratch)
        scratch /= root
        weight -= scratch

    def _corrected(self, learning_rate: float) -> float:
        """The rate with the corrections for moments that start at zero."""
        count = int(self.iterations) + 1
        return learning_rate * math.sqrt(1.0 - self.beta_2**count) / (1.0 - self.beta_1**count)

    def _update_all(
        self,
        variables: Sequence[Parameter],
        gradients: Sequence[Array],
        scales: Sequence[float] | None,
        rate: float,
    ) -> None:
        if type(self).update is not Adam.update:
            super()._update_all(variables, gradients, scales, rate)
            return
        slots = [self._slots[variable] for variable in variables]
        count = len(variables)
        parts = [list(variables), *(list(kind) for kind in zip(*slots, strict=True))]
        with WritingAll([each for part in parts for each in part]) as arrays:
            adam_update(
                arrays[:count],
                list(gradients),
                arrays[count : 2 * count],
                arrays[2 * count : 3 * count],
                arrays[3 * count :] if self.amsgrad else None,
                self._corrected(rate),
                self.beta_1,
                self.beta_2,
                self.epsilon,
                None if self.weight_decay is None else rate * self.weight_decay,
                scales,
            )

    def _ordered_slots(self) -> list[Parameter]:
        """Both moments of one weight, then those of the next; `velocity_hat` of all comes last."""
        moments = [slot for slots in self._slots.values() for slot in slots[:2]]
        return moments + [slots[2] for slots in self._slots.values() if self.amsgrad]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return {**super().get_config(), **own, "amsgrad": self.amsgrad}


def _move_towards(average: Array, target: Array, share: float, scratch: Array) -> None:
    """`average += (target - average) * share` in place; `scratch` may be `target`."""
    np.subtract(target, average, out=scratch)
    scratch *= share
    average += scratch


_CLASSES: dict[str, type[Optimizer]] = {"adam": Adam, "rmsprop": RMSprop, "sgd": SGD}
_KERAS_ONLY = frozenset(
    (
        "adadelta",
        "adafactor",
        "adagrad",
        "adamax",
        "adamw",
        "ftrl",
        "lamb",
        "lion",
        "muon",
        "nadam",
        "lossscaleoptimizer",
    )
)


def get(identifier: Any) -> Any:
    """An `Optimizer` from a name (in any case), a configuration, or itself.

    >>> get("Adam").learning_rate.numpy().tolist()
    0.001
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    config: dict[str, Any] = {}
    name = identifier
    if isinstance(identifier, dict):
        name, config = identifier.get("class_name"), identifier.get("config", {})
    if isinstance(name, str):
        if name.lower() in _CLASSES:
            return _CLASSES[name.lower()](**config)
        if name.lower() in _KERAS_ONLY:
            raise NotImplementedError(
                f"the optimizer {name!r} is not available yet; available: {sorted(_CLASSES)}"
            )
    raise ValueError(
        f"Could not interpret optimizer identifier: {identifier!r}. Expected an `Optimizer` or one "
        f"of {sorted(_CLASSES)}"
    )
