"""Normalization of features by statistics of the data, which are known before training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ferrnn._src.configs.config import epsilon
from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.layers.adapting import batches_of_data
from ferrnn._src.tree.types import Array, Shape
from ferrnn._src.weights.one_version import one_version
from ferrnn._src.weights.parameter import Gradients, Parameter


class Normalization(Layer):
    """`(x - mean) / sqrt(variance)`, with mean and variance of the data passed to `adapt`.

    `axis` names the axes along which each index has its own mean and variance (None: one for
    all). `mean` and `variance` may be given instead of `adapt`. With `invert` the
    layer undoes the normalization. Training does not change it. The outputs have the inputs' shape.

    >>> layer = Normalization()
    >>> layer.adapt(np.array([[0.0, 7.0], [2.0, 9.0], [0.0, 7.0], [2.0, 9.0]]))
    >>> layer(np.array([[2.0, 7.0]])).tolist()
    [[1.0, -1.0]]
    """

    adapt_mean: Parameter
    adapt_variance: Parameter
    count: Parameter

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if axis is None:
            axis = ()
        self.axis = (axis,) if isinstance(axis, int) else tuple(axis)
        if (mean is None) != (variance is None):
            raise ValueError(
                "When setting values directly, both `mean` and `variance` must be set. "
                f"Received: mean={mean} and variance={variance}"
            )
        if mean is not None and np.shape(mean) != np.shape(variance):
            raise ValueError(
                "When setting values directly, `mean` and `variance` must have the same shape. "
                f"Received: mean shape {np.shape(mean)} and variance shape {np.shape(variance)}"
            )
        if mean is not None and np.ndim(mean) > len(self.axis):
            raise ValueError(
                f"The rank of `mean` must be less than or equal to the number of axes "
                f"({len(self.axis)}). Received: mean shape {np.shape(mean)} for axis {self.axis}"
            )
        self.input_mean, self.input_variance = mean, variance
        self.invert = bool(invert)
        self._shape: Shape = ()  # the shape that the layer was built for
        self._kept: tuple[int, ...] = ()
        self._ready: tuple[Any, Array, Array] | None = None

    def build(self, input_shape: Any) -> None:
        shape = tuple(input_shape)
        rank = len(shape)
        if any(not -rank <= axis < rank for axis in self.axis):
            raise ValueError(
                "All `axis` values must be in the range [-ndim, ndim). Received inputs with "
                f"ndim={rank}, while axis={self.axis}"
            )
        kept = tuple(sorted(axis % rank for axis in self.axis))
        unknown = [axis for axis in kept if shape[axis] is None]
        if unknown:
            raise ValueError(
                "All `axis` values to be kept must have a known shape. Received "
                f"axis={self.axis}, inputs.shape={shape}, with unknown axis at index {unknown[0]}"
            )
        self._shape, self._kept = shape, kept
        lengths = tuple(shape[axis] for axis in kept)
        if self.input_mean is None:
            self.adapt_mean = self.add_weight(lengths, "zeros", name="mean", trainable=False)
            self.adapt_variance = self.add_weight(lengths, "ones", name="variance", trainable=False)
            # Not used here, but Keras' files have it.
            self.count = self.add_weight((), "zeros", dtype="int", name="count", trainable=False)
            return
        try:
            self._ready = (
                None,
                self._along_axes(np.broadcast_to(self.input_mean, lengths)),
                self._along_axes(np.broadcast_to(self.input_variance, lengths)),
            )
        except ValueError as error:
            raise ValueError(
                f"`mean` of layer {self.name!r} must be broadcastable to the lengths {lengths} of "
                f"the inputs along axis={self.axis}, received the shape {np.shape(self.input_mean)}"
            ) from error

    def _along_axes(self, values: Array) -> Array:
        """Values of the kept axes in the layer's dtype, reshaped to be broadcast to the inputs."""
        pairs = enumerate(self._shape)
        shape = [length if axis in self._kept else 1 for axis, length in pairs]
        return values.reshape(shape).astype(self._float)

    def adapt(self, data: Any) -> None:
        """Takes mean and variance of `data`: an array, or an iterable of batches of arrays.

        >>> layer = Normalization(axis=None)
        >>> layer.adapt([np.array([1.0, 2.0]), np.array([3.0])])
        >>> layer.mean.tolist(), round(float(layer.variance[0]), 4)
        ([2.0], 0.6667)
        """
        if self.input_mean is not None:
            raise ValueError(
                f"layer {self.name!r} has been given `mean` and `variance`, which `adapt` would "
                "replace: leave them out to use it"
            )
        mean, variance, total = np.zeros(()), np.zeros(()), 0
        for batch in batches_of_data(data, self.name):
            if not self.built:
                self.build(batch.shape)
            self._check(batch.shape)
            if batch.ndim != len(self._shape):
                raise ValueError(
                    f"`data` for `adapt` of layer {self.name!r} must have {len(self._shape)} axes, "
                    f"as the shape {self._shape} that the layer was built for, received "
                    f"{batch.shape}"
                )
            others = tuple(axis for axis in range(batch.ndim) if axis not in self._kept)
            count = batch.size // max(self.adapt_mean.size, 1)
            total += count
            share = count / max(total, 1)
            values = batch.astype(np.float64)
            own_mean, own_variance = values.mean(axis=others), values.var(axis=others)
            moved = mean + (own_mean - mean) * share
            variance = (variance + (mean - moved) ** 2) * (1.0 - share) + (
                own_variance + (own_mean - moved) ** 2
            ) * share
            mean = moved
        with one_version():
            self.adapt_mean.assign(mean)
            self.adapt_variance.assign(variance)

    def _check(self, shape: Shape) -> None:
        """Raises ValueError for inputs that do not fit the statistics; leading axes may differ."""
        rank = len(self._shape)
        fits = len(shape) >= rank and all(
            shape[axis - rank] == self._shape[axis] for axis in self._kept
        )
        if not fits:
            raise ValueError(
                f"layer {self.name!r} was built for inputs of the shape {self._shape}, with a mean "
                f"for each index along axis={self.axis}, received data of an incompatible shape: "
                f"{tuple(shape)}"
            )

    def finalize_state(self) -> None:
        """Has no effect after `adapt`; accepted for compatibility."""

    @property
    def mean(self) -> Array | None:
        """The mean that is subtracted, or None before the layer is built."""
        return self._statistics()[0] if self.built else None

    @property
    def variance(self) -> Array | None:
        """The variance, or None before the layer is built."""
        return self._statistics()[1] if self.built else None

    def _key(self) -> tuple[int, int]:
        return self.adapt_mean.version, self.adapt_variance.version

    def _statistics(self) -> tuple[Array, Array]:
        ready = self._ready
        if self.input_mean is None and (ready is None or ready[0] != self._key()):
            with one_version():
                mean, variance = self.adapt_mean.value, self.adapt_variance.value
                ready = (self._key(), self._along_axes(mean), self._along_axes(variance))
            self._ready = ready  # one assignment, so that another thread never sees a part
        assert ready is not None
        return ready[1:]

    def mean_and_spread(self) -> tuple[Array, Array]:
        """What is subtracted from inputs, and what the differences are divided by."""
        mean, variance = self._statistics()
        return mean, np.maximum(np.sqrt(variance), self._float.type(epsilon()))

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs of the inputs' shape and their vjp."""
        if not self.built:
            self.build(inputs.shape)
        self._check(inputs.shape)
        mean, spread = self.mean_and_spread()
        outputs = inputs * spread + mean if self.invert else (inputs - mean) / spread
        if not call.differentiable:
            return outputs, None

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            d_inputs: Array = d_outputs * spread if self.invert else d_outputs / spread
            return d_inputs

        return outputs, vjp

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        given = {"mean": self.input_mean, "variance": self.input_variance}
        return {
            **super().get_config(),
            "axis": self.axis,
            "invert": self.invert,
            **{name: np.array(value).tolist() for name, value in given.items()},
        }
