"""Initializers, regularizers and constraints that a layer is given for its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ferrnn._src.cells.base import read_setting, write_setting
from ferrnn._src.layer.layer import Layer
from ferrnn._src.weights.parameter import Parameter


def settings_of(*weights: str) -> tuple[str, ...]:
    """The names of what the constructor of a layer takes for weights.

    >>> settings_of("kernel")
    ('kernel_initializer', 'kernel_regularizer', 'kernel_constraint')
    """
    return tuple(
        f"{weight}_{kind}"
        for kind in ("initializer", "regularizer", "constraint")
        for weight in weights
    )


class WeightSettings(Layer):
    """A layer that is told how its weights begin, and what holds them in bounds."""

    _weight_settings: ClassVar[tuple[str, ...]]

    def _take_weight_settings(self, given: Mapping[str, Any]) -> None:
        """Takes the settings out of what the constructor was `given`, its `locals()`."""
        for name in self._weight_settings:
            setattr(self, name, read_setting(name, given[name], self.name))

    def _weights_config(self) -> dict[str, Any]:
        """The settings as configurations hold them."""
        return {name: write_setting(name, getattr(self, name)) for name in self._weight_settings}


class KernelAndBias(WeightSettings):
    """A layer that is told so of a kernel and a bias."""

    _weight_settings = settings_of("kernel", "bias")

    kernel_initializer: Any
    bias_initializer: Any
    kernel_regularizer: Any
    bias_regularizer: Any
    kernel_constraint: Any
    bias_constraint: Any


class GammaAndBeta(WeightSettings):
    """A layer that is told so of a factor and of what is added, for each feature."""

    _weight_settings = settings_of("beta", "gamma")

    beta_initializer: Any
    gamma_initializer: Any
    beta_regularizer: Any
    gamma_regularizer: Any
    beta_constraint: Any
    gamma_constraint: Any

    gamma: Parameter | None = None
    beta: Parameter | None = None

    def _add_gamma_and_beta(self, shape: tuple[int, ...], *, scale: bool, center: bool) -> None:
        """Makes those that the layer is to have."""
        if scale:
            self.gamma = self.add_weight(
                shape,
                self.gamma_initializer,
                name="gamma",
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
            )
        if center:
            self.beta = self.add_weight(
                shape,
                self.beta_initializer,
                name="beta",
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
            )
