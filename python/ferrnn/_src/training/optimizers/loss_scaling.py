"""An optimizer around another one that scales the loss as far as gradients stay finite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ferrnn._src.training.optimizers.optimizer import Optimizer
from ferrnn._src.training.optimizers.setting import Setting
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients, Parameter


class LossScaleOptimizer(Optimizer):
    """Updates as `inner_optimizer` does, with gradients of the loss times a power of two.

    An update with gradients that are not finite is skipped and halves the scale, which doubles
    after `dynamic_growth_steps` other updates. In float32 and float64, the only dtypes here, the
    scale changes no gradient: programs written for half precision run unchanged.

    >>> from ferrnn.optimizers import SGD
    >>> optimizer = LossScaleOptimizer(SGD(0.5), initial_scale=8.0)
    >>> weight = Parameter([1.0], "w")
    >>> optimizer.apply([np.array([8.0])], [weight])
    >>> optimizer.apply([np.array([np.nan])], [weight])
    >>> weight.numpy().tolist(), float(optimizer.dynamic_scale)
    ([0.5], 4.0)
    """

    def __init__(
        self,
        inner_optimizer: Optimizer,
        initial_scale: float = 2.0**15,
        dynamic_growth_steps: int = 2000,
        name: str | None = None,
        **common: Any,
    ) -> None:
        if not isinstance(inner_optimizer, Optimizer) or isinstance(inner_optimizer, type(self)):
            raise TypeError(
                "`inner_optimizer` must be an optimizer other than a LossScaleOptimizer, received "
                f"{inner_optimizer!r}"
            )
        if not initial_scale > 0:
            raise ValueError(f"`initial_scale` must be positive, received {initial_scale!r}")
        _refuse_settings(common)
        super().__init__(0.0, name=name)
        self.inner_optimizer = inner_optimizer
        inner_optimizer.loss_scale_factor = None  # there is only one scale
        self.initial_scale, self.dynamic_growth_steps = initial_scale, dynamic_growth_steps
        scale, steps = f"{self.name}/dynamic_scale", f"{self.name}/step_counter"
        self.dynamic_scale = Setting(initial_scale, "dynamic_scale", path=scale)
        self.step_counter = Setting(0, "step_counter", path=steps, dtype=np.int64)

    # Attributes of the inner optimizer.

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the inner optimizer."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner_optimizer.learning_rate = value

    @property
    def iterations(self) -> Any:
        """The number of updates done."""
        return self.inner_optimizer.iterations

    @property
    def variables(self) -> list[Parameter]:
        """The variables of the scale, then those of the inner optimizer."""
        return [self.step_counter, self.dynamic_scale, *self.inner_optimizer.variables]

    @property
    def _trainable_variables(self) -> list[Parameter]:
        return self.inner_optimizer._trainable_variables

    @property
    def _model_variables_moving_average(self) -> list[Parameter]:
        return self.inner_optimizer._model_variables_moving_average

    def build(self, variables: Sequence[Parameter]) -> None:
        """Makes the slots of the inner optimizer."""
        self.inner_optimizer.build(variables)
        self.built = True

    def finalize_variable_values(self, var_list: Iterable[Parameter]) -> None:
        """Finalizes the inner optimizer at the end of `fit`."""
        self.inner_optimizer.finalize_variable_values(var_list)

    # The scale.

    @property
    def loss_scale_factor(self) -> float:
        """The current factor of the loss, by which `apply` divides the gradients."""
        return float(self.dynamic_scale)

    @loss_scale_factor.setter
    def loss_scale_factor(self, value: float | None) -> None:
        """Has no effect: the dynamic scale is the only one."""

    def apply(
        self,
        grads: Gradients | Sequence[Array | None],
        trainable_variables: Iterable[Parameter] | None = None,
    ) -> None:
        """Updates the weights by gradients of the scaled loss, if all of them are finite."""
        inner = self.inner_optimizer
        wanted = inner._trainable_variables if trainable_variables is None else trainable_variables
        known = tuple(wanted)
        if isinstance(grads, Gradients):
            given = [grads[each] if each in grads else None for each in known]  # noqa: SIM401
        else:
            given = list(grads)
        if not all(each is None or np.isfinite(each).all() for each in given):
            self.dynamic_scale.assign(max(float(self.dynamic_scale) / 2, 1.0))
            self.step_counter.assign(0)
            return
        scale = 1.0 / float(self.dynamic_scale)
        inner.apply([None if each is None else each * scale for each in given], known)
        self.step_counter.assign(int(self.step_counter) + 1)
        if int(self.step_counter) >= self.dynamic_growth_steps:
            self.dynamic_scale.assign(float(self.dynamic_scale) * 2)
            self.step_counter.assign(0)

    # Configuration.

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as plain data."""
        return {
            "name": self.name,
            "inner_optimizer": self.inner_optimizer.as_data(),
            "initial_scale": self.initial_scale,
            "dynamic_growth_steps": self.dynamic_growth_steps,
        }


# Arguments of all optimizers' constructors that have no meaning around another optimizer.
_INNER = {
    "weight_decay": None, "clipnorm": None, "clipvalue": None, "global_clipnorm": None,
    "use_ema": False, "ema_momentum": 0.99, "ema_overwrite_frequency": None,
    "loss_scale_factor": None, "gradient_accumulation_steps": None,
}  # fmt: skip


def _refuse_settings(common: dict[str, Any]) -> None:
    if not common.pop("dynamic", True):
        raise ValueError(
            "LossScaleOptimizer does not support `dynamic=False`. Instead, simply set "
            "`loss_scale_factor` directly on the `inner_optimizer`."
        )
    for setting, default in _INNER.items():
        if common.pop(setting, default) != default:
            raise ValueError(
                f"LossScaleOptimizer does not support `{setting}`. Instead, set it on the "
                "`inner_optimizer`."
            )
    if common:
        names = ", ".join(f"`{name}`" for name in common)
        raise ValueError(f"LossScaleOptimizer does not support arguments: {names}.")
