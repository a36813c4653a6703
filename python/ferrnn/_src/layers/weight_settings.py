"""Initializers, regularizers and constraints of a layer's weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ferrnn._src.cells.base import read_setting, write_setting
from ferrnn._src.layer.layer import Layer
from ferrnn._src.weights.parameter import Parameter


def settings_of(*weights: str) -> tuple[str, ...]:
    """The names of a layer's constructor arguments for weights.

    >>> settings_of("kernel")
    ('kernel_initializer', 'kernel_regularizer', 'kernel_constraint')
    """
    return tuple(
        f"{weight}_{kind}"
        for kind in ("initializer", "regularizer", "constraint")
        for weight in weights
    )


class WeightSettings(Layer):
    """A layer with initializers, regularizers and constraints for its weights."""

    _weight_settings: ClassVar[tuple[str, ...]]

    def _take_weight_settings(self, given: Mapping[str, Any]) -> None:
        """Sets the settings from `given`, the `locals()` of the constructor."""
        for name in self._weight_settings:
            setattr(self, name, read_setting(name, given[name], self.name))

    def _weights_config(self) -> dict[str, Any]:
        """The settings as plain data."""
        return {name: write_setting(name, getattr(self, name)) for name in self._weight_settings}


class KernelAndBias(WeightSettings):
    """A layer with such settings for a kernel and a bias."""

    _weight_settings = settings_of("kernel", "bias")

    kernel_initializer: Any
    bias_initializer: Any
    kernel_regularizer: Any
    bias_regularizer: Any
    kernel_constraint: Any
    bias_constraint: Any


class GammaAndBeta(WeightSettings):
    """A layer with such settings for a factor and an offset of each feature."""

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
        """Makes the factor and the offset, each if the layer uses it."""
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
