"""Learning rates that change from update to update, by formulas of the number of updates done.

A schedule is called with a step, a number or an array of them, and gives a float or an array.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ferrnn._src.configs.objects import Configured, Kind
from ferrnn._src.tree.types import Array

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "deserialize",
    "serialize",
]


class LearningRateSchedule(Configured):
    """The base of schedules: a subclass defines `__call__(step)` and `get_config`.

    >>> class Halving(LearningRateSchedule):
    ...     def __call__(self, step):
    ...         return 0.5 ** (step + 1)
    >>> Halving()(2)
    0.125
    """

    def __call__(self, step: Any) -> Any:
        """The learning rate for the update after `step` updates."""
        raise NotImplementedError(
            f"Learning rate schedule {type(self).__name__!r} must override `__call__(self, step)`."
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        raise NotImplementedError(
            f"Learning rate schedule {type(self).__name__!r} must override `get_config()` in order "
            "to be serializable."
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class _Decay(LearningRateSchedule):
    """A schedule whose formula is written for arrays of steps."""

    _arguments: tuple[str, ...] = ()

    def __call__(self, step: Any) -> Any:
        """The learning rate after `step` updates: a float for a number, an array for an array."""
        rates = self._rates(np.asarray(step, np.float64))
        return float(rates) if np.ndim(rates) == 0 else rates

    def _rates(self, step: Array) -> Any:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {argument: getattr(self, argument) for argument in self._arguments}


def _positive(argument: str, value: float) -> None:
    if value <= 0:
        raise ValueError(f"Argument `{argument}` must be > 0. Received: {argument}={value}")


class ExponentialDecay(_Decay):
    """`initial_learning_rate * decay_rate ** (step / decay_steps)`; whole powers if `staircase`.

    >>> ExponentialDecay(1.0, decay_steps=10, decay_rate=0.25)(5)
    0.5
    """

    _arguments = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        _positive("decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def _rates(self, step: Array) -> Any:
        power = step / self.decay_steps
        power = np.floor(power) if self.staircase else power
        return self.initial_learning_rate * np.power(float(self.decay_rate), power)


class InverseTimeDecay(_Decay):
    """`initial_learning_rate / (1 + decay_rate * step / decay_steps)`; in stairs if `staircase`.

    >>> InverseTimeDecay(1.0, decay_steps=10, decay_rate=2.0)(5)
    0.5
    """

    _arguments = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        _positive("decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def _rates(self, step: Array) -> Any:
        part = step / self.decay_steps
        part = np.floor(part) if self.staircase else part
        return self.initial_learning_rate / (1.0 + self.decay_rate * part)


class PiecewiseConstantDecay(_Decay):
    """`values[0]` up to and including step `boundaries[0]`, then `values[1]`, and so on.

    >>> PiecewiseConstantDecay([2, 4], [1.0, 0.5, 0.25])(np.arange(6)).tolist()
    [1.0, 1.0, 1.0, 0.5, 0.5, 0.25]
    """

    _arguments = ("boundaries", "values", "name")

    def __init__(
        self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant"
    ) -> None:
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                "The length of boundaries should be 1 less than the length of values. Received: "
                f"boundaries={boundaries} of length {len(boundaries)}, and values={values} of "
                f"length {len(values)}."
            )
        self.boundaries = boundaries
        self.values = values
        self.name = name

    def _rates(self, step: Array) -> Any:
        return np.asarray(self.values, float)[np.searchsorted(self.boundaries, step)]


class PolynomialDecay(_Decay):
    """`(initial - end) (1 - step / decay_steps)^power + end`, from then on `end_learning_rate`.

    With `cycle`, `decay_steps` grows to the next multiple that `step` has not passed.

    >>> PolynomialDecay(1.0, decay_steps=10, end_learning_rate=0.0)(np.array([0, 5, 20])).tolist()
    [1.0, 0.5, 0.0]
    """

    _arguments = (
        "initial_learning_rate",
        "decay_steps",
        "end_learning_rate",
        "power",
        "cycle",
        "name",
    )

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        _positive("decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name

    def _rates(self, step: Array) -> Any:
        steps = float(self.decay_steps)
        if self.cycle:
            part = step / (steps * np.maximum(np.ceil(step / steps), 1.0))
        else:
            part = np.minimum(step, steps) / steps
        end = self.end_learning_rate
        return (self.initial_learning_rate - end) * np.power(1.0 - part, self.power) + end


class CosineDecay(_Decay):
    """Half a cosine wave down to `alpha` times the initial rate (Loshchilov and Hutter, 2016).

    `initial ((1 - alpha) (1 + cos(pi step / decay_steps)) / 2 + alpha)`. With `warmup_target`, the
    rate first rises linearly to that within `warmup_steps`, and decays from there.

    >>> CosineDecay(1.0, decay_steps=10)(np.array([0, 10, 20])).tolist()
    [1.0, 0.0, 0.0]
    """

    _arguments = (
        "initial_learning_rate",
        "decay_steps",
        "alpha",
        "name",
        "warmup_target",
        "warmup_steps",
    )

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        _positive("decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.alpha = alpha
        self.name = name
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps

    def _rates(self, step: Array) -> Any:
        if self.warmup_target is None:
            return self.initial_learning_rate * self._wave(step)
        warmup, target = self.warmup_steps, self.warmup_target
        decayed = target * self._wave(step - warmup)
        if not warmup:
            return decayed
        rise = target - self.initial_learning_rate
        return np.where(step < warmup, self.initial_learning_rate + rise * step / warmup, decayed)

    def _wave(self, step: Array) -> Any:
        part = np.minimum(step, self.decay_steps) / self.decay_steps
        return (1.0 - self.alpha) * 0.5 * (1.0 + np.cos(math.pi * part)) + self.alpha


class CosineDecayRestarts(_Decay):
    """Waves of `CosineDecay`, each `t_mul` times as long and `m_mul` times as high as the last.

    >>> CosineDecayRestarts(1.0, first_decay_steps=10, m_mul=0.5)(np.array([0, 10, 30])).tolist()
    [1.0, 0.5, 0.25]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        _positive("first_decay_steps", first_decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = first_decay_steps
        self._t_mul = t_mul
        self._m_mul = m_mul
        self.alpha = alpha
        self.name = name

    def _rates(self, step: Array) -> Any:
        part, ratio = step / self.first_decay_steps, float(self._t_mul)
        if ratio == 1.0:
            wave = np.floor(part)
            part = part - wave
        else:
            # The waves before number n take 1 + t + ... + t^(n-1) = (1 - t^n) / (1 - t) lengths;
            # adding a billionth keeps rounding from assigning a wave's start to the one before.
            wave = np.floor(np.log(1.0 - part * (1.0 - ratio)) / math.log(ratio) + 1e-9)
            part = (part - (1.0 - ratio**wave) / (1.0 - ratio)) / ratio**wave
        height = 0.5 * np.power(float(self._m_mul), wave) * (1.0 + np.cos(math.pi * part))
        return self.initial_learning_rate * ((1.0 - self.alpha) * height + self.alpha)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "first_decay_steps": self.first_decay_steps,
            "t_mul": self._t_mul,
            "m_mul": self._m_mul,
            "alpha": self.alpha,
            "name": self.name,
        }


_KIND = Kind("learning rate schedule", "optimizers.schedules", LearningRateSchedule)


def serialize(learning_rate_schedule: Any) -> Any:
    """The configuration of a schedule, as plain data that Keras reads too.

    >>> serialize(ExponentialDecay(0.1, 10, 0.5))["class_name"]
    'ExponentialDecay'
    """
    return _KIND.serialize(learning_rate_schedule)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The schedule of a configuration; `custom_objects` come first.

    >>> deserialize(serialize(ExponentialDecay(0.5, 10, 0.5)))(0)
    0.5
    """
    return _KIND.deserialize(config, custom_objects)
