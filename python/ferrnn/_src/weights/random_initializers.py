"""Random initial values: normal, uniform, scaled by the fans, orthogonal."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.configs.config import standardize_dtype
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.initializer import RandomInitializer
from ferrnn._src.weights.random import SeedGenerator

Seed: TypeAlias = int | SeedGenerator | None


class RandomNormal(RandomInitializer):
    """Normal with the given mean and standard deviation.

    >>> RandomNormal(stddev=0.1, seed=1)((2, 3)).shape
    (2, 3)
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Seed = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = mean, stddev

    def __call__(self, shape: Sequence[int], dtype: object = None) -> Array:
        drawn = self._generator().standard_normal(tuple(shape))
        return (self.mean + self.stddev * drawn).astype(standardize_dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "stddev": self.stddev, **super().get_config()}


class TruncatedNormal(RandomNormal):
    """Normal, redrawn where further than two standard deviations from the mean.

    >>> bool(np.abs(TruncatedNormal(stddev=1.0)((50,))).max() <= 2)
    True
    """

    def __call__(self, shape: Sequence[int], dtype: object = None) -> Array:
        drawn = _truncated_normal(self._generator(), shape)
        return (self.mean + self.stddev * drawn).astype(standardize_dtype(dtype))


class RandomUniform(RandomInitializer):
    """Uniform between `minval` and `maxval`.

    >>> bool(np.abs(RandomUniform(-1.0, 1.0)((50,))).max() <= 1)
    True
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Seed = None) -> None:
        super().__init__(seed)
        self.minval, self.maxval = minval, maxval

    def __call__(self, shape: Sequence[int], dtype: object = None) -> Array:
        drawn = self._generator().uniform(self.minval, self.maxval, tuple(shape))
        return drawn.astype(standardize_dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        return {"minval": self.minval, "maxval": self.maxval, **super().get_config()}


class VarianceScaling(RandomInitializer):
    """Variance `scale / n`, where n is the fan in, the fan out or their mean.

    The last axis of a weight counts the outputs, the one before it the inputs, and axes before
    those belong to both; `input_axes` and `output_axes` say otherwise.

    >>> VarianceScaling(2.0, mode="fan_out", distribution="uniform")((2, 3)).shape
    (2, 3)
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Seed = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        if not scale > 0:
            raise ValueError(f"Argument `scale` must be positive float. Received: scale={scale!r}")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(
                "Invalid `mode` argument: expected 'fan_in', 'fan_out' or 'fan_avg'. "
                f"Received: mode={mode!r}"
            )
        distribution = {"normal": "truncated_normal"}.get(distribution, distribution)
        if distribution not in ("truncated_normal", "untruncated_normal", "uniform"):
            raise ValueError(
                "Invalid `distribution` argument: expected 'truncated_normal', "
                f"'untruncated_normal' or 'uniform'. Received: distribution={distribution!r}"
            )
        super().__init__(seed)
        self.scale, self.mode, self.distribution = scale, mode, distribution
        self.input_axes, self.output_axes = input_axes, output_axes

    def __call__(self, shape: Sequence[int], dtype: object = None) -> Array:
        fan_in, fan_out = self._fans(tuple(shape))
        count = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
        variance = self.scale / max(1.0, count[self.mode])
        generator = self._generator()
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            drawn = generator.uniform(-limit, limit, tuple(shape))
        elif self.distribution == "truncated_normal":
            # The standard deviation of a unit normal cut at two is 0.8796...
            drawn = math.sqrt(variance) / 0.87962566103423978 * _truncated_normal(generator, shape)
        else:
            drawn = math.sqrt(variance) * generator.standard_normal(tuple(shape))
        return drawn.astype(standardize_dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        return {
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            **super().get_config(),
            **self._axes(),
        }

    def _axes(self) -> dict[str, Any]:
        """The axes, if given: older versions of Keras do not have these arguments."""
        if self.input_axes is None and self.output_axes is None:
            return {}
        return {"input_axes": self.input_axes, "output_axes": self.output_axes}

    def _fans(self, shape: tuple[int, ...]) -> tuple[float, float]:
        if self.input_axes is None or self.output_axes is None:
            return _fans(shape)
        fan_in = math.prod(shape[axis] for axis in self.input_axes)
        return float(fan_in), float(math.prod(shape[axis] for axis in self.output_axes))


class _Preset(VarianceScaling):
    """A VarianceScaling with everything fixed but the seed."""

    _scale: float
    _mode: str
    _distribution: str

    def __init__(
        self,
        seed: Seed = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(self._scale, self._mode, self._distribution, seed, input_axes, output_axes)

    def get_config(self) -> dict[str, Any]:
        return {**RandomInitializer.get_config(self), **self._axes()}


class GlorotUniform(_Preset):
    """Uniform with variance `2 / (fan_in + fan_out)`.

    >>> GlorotUniform()((2, 3)).shape
    (2, 3)
    """

    _scale, _mode, _distribution = 1.0, "fan_avg", "uniform"


class GlorotNormal(_Preset):
    """Truncated normal with variance `2 / (fan_in + fan_out)`.

    >>> GlorotNormal()((2, 3)).shape
    (2, 3)
    """

    _scale, _mode, _distribution = 1.0, "fan_avg", "truncated_normal"


class HeUniform(_Preset):
    """Uniform with variance `2 / fan_in`.

    >>> HeUniform()((2, 3)).shape
    (2, 3)
    """

    _scale, _mode, _distribution = 2.0, "fan_in", "uniform"


class HeNormal(_Preset):
    """Truncated normal with variance `2 / fan_in`.

    >>> HeNormal()((2, 3)).shape
    (2, 3)
    """

    _scale, _mode, _distribution = 2.0, "fan_in", "truncated_normal"


class LecunUniform(_Preset):
    """Uniform with variance `1 / fan_in`.

    >>> LecunUniform()((2, 3)).shape
    (2, 3)
    """

    _scale, _mode, _distribution = 1.0, "fan_in", "uniform"


class LecunNormal(_Preset):
    """Truncated normal with variance `1 / fan_in`.

    >>> LecunNormal()((2, 3)).shape
    (2, 3)
    """

    _scale, _mode, _distribution = 1.0, "fan_in", "truncated_normal"


class Orthogonal(RandomInitializer):
    """Orthonormal columns (or rows, if there are fewer) over the whole matrix, times `gain`.

    >>> square = Orthogonal(seed=1)((3, 3), "float64")
    >>> bool(np.allclose(square @ square.T, np.eye(3)))
    True
    """

    def __init__(self, gain: float = 1.0, seed: Seed = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def __call__(self, shape: Sequence[int], dtype: object = None) -> Array:
        if len(shape) < 2:
            raise ValueError(
                "`shape` must have at least 2 axes for an Orthogonal initializer, received "
                f"{tuple(shape)}"
            )
        rows, columns = math.prod(shape[:-1]), shape[-1]
        drawn = self._generator().standard_normal((max(rows, columns), min(rows, columns)))
        factor, triangle = np.linalg.qr(drawn)
        # With the signs of R's diagonal, Q is uniformly distributed over the orthogonal matrices.
        factor = factor * np.sign(np.diagonal(triangle))
        matrix = factor.T if rows < columns else factor
        return np.ascontiguousarray(
            (self.gain * matrix).reshape(tuple(shape)), standardize_dtype(dtype)
        )

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain, **super().get_config()}


def _truncated_normal(generator: np.random.Generator, shape: Sequence[int]) -> Array:
    drawn = generator.standard_normal(tuple(shape))
    outside = np.abs(drawn) > 2.0
    while outside.any():
        drawn[outside] = generator.standard_normal(int(outside.sum()))
        outside = np.abs(drawn) > 2.0
    return drawn


def _fans(shape: tuple[int, ...]) -> tuple[float, float]:
    if not shape:
        return 1.0, 1.0
    if len(shape) == 1:
        return float(shape[0]), float(shape[0])
    field = math.prod(shape[:-2])
    return float(shape[-2] * field), float(shape[-1] * field)


def with_axes(initializer: Any, inputs: Sequence[int], outputs: Sequence[int]) -> Any:
    """`initializer` for a kernel with several axes of inputs or outputs.

    An initializer whose variance depends on the fans counts them along the given axes, unless it
    has been given axes of its own.
    """
    if not isinstance(initializer, VarianceScaling) or initializer.input_axes is not None:
        return initializer
    made = copy.copy(initializer)
    made.input_axes, made.output_axes = list(inputs), list(outputs)
    return made
