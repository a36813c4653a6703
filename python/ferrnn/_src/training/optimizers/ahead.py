"""The rule and rates of an optimizer's next updates, for plans that make several in one call."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ferrnn._src.training.optimizers.clipping import Clipping
from ferrnn._src.training.optimizers.schedules import LearningRateSchedule
from ferrnn._src.training.optimizers.setting import Setting

# The rule's name and numbers, and how gradients are clipped first.
Way = tuple[tuple[Any, ...], "tuple[str, float] | None"]


# From Python 3.12 on, `sum` of floats is compensated.
_ALL = "all, exactly" if sys.version_info >= (3, 12) else "all"


class Ahead:
    """The part of `Optimizer` that plans use.

    >>> from ferrnn.optimizers import SGD
    >>> SGD(0.5, clipnorm=1.0).engine_way(), SGD(0.5).engine_paces(2)
    ((('sgd', 0.0, False), ('norm', 1.0)), ([0.5, 0.5], None))
    """

    weight_decay: float | None
    use_ema: bool
    loss_scale_factor: float | None
    gradient_accumulation_steps: int | None
    _clipping: Clipping
    _iterations: Setting
    _learning_rate: Setting | Callable[..., Any]
    _step: int
    _spared: Any

    def engine_rule(self) -> tuple[Any, ...] | None:
        """The name and numbers of the rule, or None if plans do not support it."""
        return None

    def in_python(self) -> str | None:
        """The reason why Python makes the updates of plans, or None if the engine does.

        >>> from ferrnn.optimizers import SGD
        >>> SGD(gradient_accumulation_steps=2).in_python()
        'SGD has gradient_accumulation_steps=2'
        """
        kind = type(self).__name__
        if self.engine_rule() is None:
            return f"plans do not support the rule of {kind}"
        if self.loss_scale_factor or self.gradient_accumulation_steps:
            name = "loss_scale_factor" if self.loss_scale_factor else "gradient_accumulation_steps"
            return f"{kind} has {name}={getattr(self, name)!r}"
        if self.weight_decay is not None and self._spared != (frozenset(), None):
            return f"{kind} excludes some weights from decay"
        return None

    def engine_moves(self, count: int) -> tuple[Way, list[float], list[float] | None]:
        """How the next updates move weights, with their rates; or that Python makes them."""
        if self.in_python() is not None:
            return (("handed",), None), [0.0], None
        return (self.engine_way(), *self.engine_paces(count))

    def engine_way(self) -> Way:
        """The current rule and clipping."""
        rule, clipping = self.engine_rule(), self._clipping
        assert rule is not None, "asked of an optimizer that works in Python"
        if clipping.value is not None:
            return rule, ("value", float(clipping.value))
        if clipping.global_norm is not None:
            return rule, (_ALL, float(clipping.global_norm))
        return rule, None if clipping.norm is None else ("norm", float(clipping.norm))

    def engine_paces(self, count: int) -> tuple[list[float], list[float] | None]:
        """The rates of the next updates, with corrections, and the shares that decay.

        At most `count`, but only the next one for a user's schedule or function, which must be
        called update by update.
        """
        start, given = self._iterations._data.item(), self._learning_rate
        if isinstance(given, Setting):
            rates = [given._data.item()] * count
        elif isinstance(given, LearningRateSchedule):
            own = not type(given).__module__.startswith("ferrnn.")
            rates = [float(given(start + n)) for n in range(1 if own else count)]
        else:
            rates = [float(given())]
        share = self.weight_decay
        decays = None if share is None else [rate * share for rate in rates]
        return self.corrected_rates(start + 1, rates), decays

    def corrected_rates(self, first: int, rates: list[float]) -> list[float]:
        """The rates of each update with corrections, from the update number `first` on."""
        return rates

    def engine_place(self) -> tuple[Any, ...]:
        """The counters of updates, with the number of updates first."""
        return (self._iterations._data.item(),)

    def engine_passed(self, place: tuple[Any, ...], count: int) -> None:
        """Counts updates that a plan made from `place` on; calling it twice counts them once."""
        if count and self.in_python() is None:
            done = place[0] + count
            self._step = done
            self._iterations.put(done)
