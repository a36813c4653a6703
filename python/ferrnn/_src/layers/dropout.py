"""Dropout of several kinds, and normally distributed noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.layers.checks import checked_data_format, checked_rank
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients
from ferrnn._src.weights.random import SeedGenerator


class Dropout(Layer):
    """In training sets entries to zero with probability `rate` and scales up the rest.

    `noise_shape` says where masks are shared: 1 on an axis shares one along it, None takes the
    inputs' length.

    >>> inputs = np.ones((2, 3))
    >>> Dropout(0.5)(inputs).tolist()
    [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rate = checked_part("rate", rate)
        self.noise_shape = _checked_noise_shape(noise_shape)
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)
        self.built = True

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs of the inputs' shape and their vjp."""
        if not call.training or self.rate == 0:
            return inputs, lambda d_outputs, grads: d_outputs
        shape = self._mask_shape(inputs.shape)
        mask = self.seed_generator.dropout_mask(shape, self.rate, self.dtype)
        return _multiplied(inputs, mask)

    def _mask_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if self.noise_shape is None:
            return shape
        fits = len(self.noise_shape) == len(shape) and all(
            noise in (None, 1, length)
            for noise, length in zip(self.noise_shape, shape, strict=True)
        )
        if not fits:
            raise ValueError(
                f"`noise_shape` of layer {self.name!r} must be broadcastable to the inputs' shape "
                f"{shape}, received {self.noise_shape}"
            )
        return tuple(
            length if noise is None else noise
            for noise, length in zip(self.noise_shape, shape, strict=True)
        )

    def get_config(self) -> dict[str, Any]:
        settings = {"rate": self.rate, "noise_shape": self.noise_shape, "seed": self.seed}
        return {**super().get_config(), **settings}


class SpatialDropout1D(Dropout):
    """In training drops whole features of `[batch, time, features]`, over all steps at once.

    >>> outputs = SpatialDropout1D(0.5, seed=1)(np.ones((2, 3, 4)), training=True)
    >>> bool((outputs == outputs[:, :1]).all())
    True
    """

    def __init__(
        self,
        rate: float,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(rate, seed=seed, name=name, dtype=dtype, **kwargs)

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        checked_rank(self.name, inputs.shape, 3)
        return super().forward(inputs, call)

    def _mask_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (shape[0], 1, shape[2])

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for key in ("noise_shape", "trainable"):  # Keras' constructor does not take these
            del config[key]
        return config


class SpatialDropout2D(Dropout):
    """In training drops whole features of frames, over all places at once.

    >>> outputs = SpatialDropout2D(0.5, seed=1)(np.ones((2, 3, 4, 5)), training=True)
    >>> bool((outputs == outputs[:, :1, :1]).all())
    True
    """

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(rate, seed=seed, name=name, dtype=dtype, **kwargs)
        self.data_format = checked_data_format(data_format)

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        checked_rank(self.name, inputs.shape, 4)
        return super().forward(inputs, call)

    def _mask_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if self.data_format == "channels_last":
            return (shape[0], 1, 1, shape[3])
        return (*shape[:2], 1, 1)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for key in ("noise_shape", "trainable"):  # Keras' constructor does not take these
            del config[key]
        return {**config, "data_format": self.data_format}


class AlphaDropout(Dropout):
    """In training sets entries to `selu`'s lowest value with probability `rate`.

    The rest is scaled and shifted so that mean and variance stay the same: for networks with
    `selu`.

    >>> AlphaDropout(0.5)(np.ones((1, 2))).tolist()
    [[1.0, 1.0]]
    """

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs of the inputs' shape and their vjp."""
        if not call.training or self.rate == 0:
            return inputs, lambda d_outputs, grads: d_outputs
        keep = self.seed_generator.keep_mask(self._mask_shape(inputs.shape), self.rate)
        scale, dropped, shift = self._affine()
        kept = np.where(keep, scale, 0).astype(inputs.dtype)
        moved = np.where(keep, shift, dropped).astype(inputs.dtype)
        _, vjp = _multiplied(inputs, kept)
        return inputs * kept + moved, vjp

    def _affine(self) -> tuple[float, float, float]:
        """The factor of what is kept, what takes the place of the rest, and what is added."""
        lowest = -1.6732632423543772 * 1.0507009873554805
        scale = ((1 - self.rate) * (1 + self.rate * lowest**2)) ** -0.5 if self.rate < 1 else 0.0
        shift = -scale * self.rate * lowest
        return scale, scale * lowest + shift, shift


class GaussianNoise(Layer):
    """In training adds normal numbers of the standard deviation `stddev`.

    >>> inputs = np.ones((2, 3))
    >>> layer = GaussianNoise(0.5, seed=1)
    >>> layer(inputs).tolist() == inputs.tolist(), bool(layer(inputs, training=True).std() > 0)
    (True, True)
    """

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stddev = checked_part("stddev", stddev)
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)
        self.built = True

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs of the inputs' shape and their vjp."""
        outputs = inputs
        if call.training and self.stddev > 0:
            draw = self.seed_generator.normal
            outputs = inputs + draw(inputs.shape, self.stddev, inputs.dtype.name)
        return outputs, lambda d_outputs, grads: d_outputs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "stddev": self.stddev, "seed": self.seed}


class GaussianDropout(Layer):
    """In training multiplies by normal numbers of mean 1 and variance `rate / (1 - rate)`.

    >>> inputs = np.ones((2, 3))
    >>> layer = GaussianDropout(0.2, seed=1)
    >>> layer(inputs).tolist() == inputs.tolist(), bool(layer(inputs, training=True).std() > 0)
    (True, True)
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = checked_part("rate", rate)
        if self.rate == 1:
            raise ValueError(
                f"`rate` of layer {self.name!r} must be less than 1, received 1: the variance of "
                "its noise, rate / (1 - rate), would be infinite"
            )
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)
        self.built = True

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs of the inputs' shape and their vjp."""
        if not call.training or self.rate == 0:
            return inputs, lambda d_outputs, grads: d_outputs
        noise = self.seed_generator.normal(inputs.shape, self._stddev, inputs.dtype.name)
        return _multiplied(inputs, 1 + noise)

    @property
    def _stddev(self) -> float:
        """The standard deviation of the factors."""
        return math.sqrt(self.rate / (1 - self.rate))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


def _checked_noise_shape(shape: Any) -> tuple[int | None, ...] | None:
    """The lengths of a mask's axes, None where they are those of the inputs."""
    problem = ""
    if shape is None:
        return None
    if not isinstance(shape, list | tuple):
        problem = "Expected a tuple or list of integers."
    elif any(each is not None and not isinstance(each, int | np.integer) for each in shape):
        problem = "Expected all elements to be integers or None."
    elif any(each is not None and each <= 0 for each in shape):
        problem = "Expected all dimensions to be positive integers or None."
    if problem:
        raise ValueError(
            "Invalid value received for argument `noise_shape`. "
            f"{problem} Received: noise_shape={shape!r}"
        )
    return tuple(shape)


def checked_part(argument: str, value: Any) -> float:
    """A number between 0 and 1.

    >>> checked_part("rate", 1)
    1.0
    """
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1:
        raise ValueError(
            f"Invalid value received for argument `{argument}`. Expected a float value between 0 "
            f"and 1. Received: {argument}={value!r}"
        )
    return float(value)


def _multiplied(inputs: Array, noise: Array) -> tuple[Array, Vjp]:
    def vjp(d_outputs: Array, grads: Gradients) -> Array:
        d_inputs: Array = d_outputs * noise
        return d_inputs

    return inputs * noise, vjp
