"""The learning rate of an optimizer: a number, a schedule, or a function without arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.training.optimizers.schedules import LearningRateSchedule
from ferrnn._src.training.optimizers.setting import Setting

Rate: TypeAlias = "float | LearningRateSchedule | Callable[[], float]"


class WithLearningRate:
    """The part of `Optimizer` with the learning rate."""

    name: str
    _iterations: Setting
    _learning_rate: Setting | Callable[..., Any]

    def _rate(self, value: Any) -> Setting | Callable[..., Any]:
        if isinstance(value, Setting):
            value = float(value)
        if callable(value):
            return value  # type: ignore[no-any-return]
        if isinstance(value, bool) or not isinstance(value, float | np.floating):
            raise ValueError(  # noqa: TRY004 - Keras' error
                "Argument `learning_rate` should be float, or an instance of LearningRateSchedule, "
                "or a callable without arguments that returns one. Received instead: "
                f"learning_rate={value!r}"
            )
        return Setting(float(value), "learning_rate", path=f"{self.name}/learning_rate")

    @property
    def learning_rate(self) -> Any:
        """The learning rate, a number that can be assigned; what a schedule or callable gives.

        >>> from ferrnn.optimizers import SGD
        >>> optimizer = SGD(learning_rate=0.5)
        >>> optimizer.learning_rate = 0.25
        >>> float(optimizer.learning_rate)
        0.25
        """
        rate = self._learning_rate
        if isinstance(rate, Setting):
            return rate
        return rate(self._iterations.item()) if isinstance(rate, LearningRateSchedule) else rate()

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        rate = self._learning_rate
        if callable(value) and not isinstance(value, Setting):
            self._learning_rate = value
        elif isinstance(rate, Setting):
            rate.assign(value)
        elif isinstance(rate, LearningRateSchedule):
            raise TypeError(
                "This optimizer was created with a `LearningRateSchedule` object as its "
                "`learning_rate` constructor argument, hence its learning rate is not settable. If "
                "you need the learning rate to be settable, you should instantiate the optimizer "
                "with a float `learning_rate` argument."
            )
        else:
            self._learning_rate = self._rate(value)
