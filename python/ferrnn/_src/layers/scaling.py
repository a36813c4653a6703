"""Normalization by the root mean square or the norm, and in groups of channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.layers.checks import checked_axes, checked_features, checked_rank
from ferrnn._src.layers.row_normalization import RowNormalization
from ferrnn._src.layers.weight_settings import GammaAndBeta
from ferrnn._src.native import NormalizationWeights
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.one_version import reads_one_version
from ferrnn._src.weights.parameter import Gradients, Parameter

# The smallest norm that UnitNormalization divides by.
_LEAST_NORM = 1e-12


class RMSNormalization(RowNormalization):
    """`x / sqrt(mean(x^2) + epsilon) * scale`, the mean over `axis` (Zhang and Sennrich, 2019).

    `scale` has the length of the inputs along `axis`. With the default axis, the last, each step of
    each sample is normalized on its own, in the engine; other axes are computed in NumPy. The
    outputs have the inputs' shape.

    >>> RMSNormalization(epsilon=0.0)(np.array([[1.0, -7.0, 7.0, 1.0]])).round(2)
    array([[ 0.2, -1.4,  1.4,  0.2]], dtype=float32)
    """

    supports_masking = False
    scale: Parameter
    _centered = False

    def __init__(
        self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.axis: Any = list(axis) if isinstance(axis, list | tuple) else axis
        self.epsilon = float(epsilon)
        self._rank = 0

    def build(self, input_shape: Any) -> None:
        shape = tuple(input_shape[axis] for axis in checked_axes(self.axis, input_shape))
        self.axis = sorted(self.axis) if isinstance(self.axis, list) else [self.axis]
        if None in shape:
            raise ValueError(
                f"layer {self.name!r} must be built for known lengths along axis={self.axis}, "
                f"received the shape {tuple(input_shape)}"
            )
        self._rank = len(input_shape)
        self.scale = self.add_weight(shape, "ones", name="scale")

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs of the inputs' shape and their vjp."""
        if not self.built:
            self.build(inputs.shape)
        if self.axis != [-1]:
            checked_rank(self.name, inputs.shape, self._rank)
        axes = checked_axes(self.axis, inputs.shape)
        for axis, length in zip(axes, self.scale.shape, strict=True):
            checked_features(self.name, inputs.shape, axis, length)
        if axes == (inputs.ndim - 1,):
            return self._by_rows(inputs, call)
        return self._along_axes(inputs, axes, call)

    def stream_weights(self) -> NormalizationWeights:
        """The weights in the form of the engine, made anew after every change of one."""
        if self.axis not in ([-1], [self._rank - 1]):
            raise ValueError(
                f"layer {self.name!r} cannot run in a stream with axis={self.axis}: a step has "
                "only one axis, the last"
            )
        return self._packed_weights(self.scale.size)

    def _factor_and_offset(self) -> tuple[Parameter | None, Parameter | None]:
        return self.scale, None

    @reads_one_version
    def _along_axes(
        self, inputs: Array, axes: tuple[int, ...], call: Call
    ) -> tuple[Array, Vjp | None]:
        """`forward` over axes other than just the last."""
        broadcast = [inputs.shape[at] if at in axes else 1 for at in range(inputs.ndim)]
        scale = self.scale.snapshot().reshape(broadcast)
        squares = np.mean(np.square(inputs), axis=axes, keepdims=True)
        inverse = np.reciprocal(np.sqrt(squares + self._float.type(self.epsilon)))
        normalized = inputs * inverse
        outputs = normalized * scale
        if not call.differentiable:
            return outputs, None

        def vjp(d_outputs: Array, grads: Gradients) -> Array | None:
            others = tuple(at for at in range(inputs.ndim) if at not in axes)
            grads.add(self.scale, (d_outputs * normalized).sum(axis=others))
            if not call.inputs_need_gradient:
                return None
            d_normalized = d_outputs * scale
            along = np.mean(d_normalized * normalized, axis=axes, keepdims=True)
            d_inputs: Array = inverse * (d_normalized - normalized * along)
            return d_inputs

        return outputs, vjp

    def compute_output_shape(self, input_shape: Any) -> Any:
        checked_axes(self.axis, input_shape)
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis, "epsilon": self.epsilon}


class UnitNormalization(Layer):
    """`x / |x|`, the norm being the root of the sum of squares over `axis`.

    >>> UnitNormalization()(np.array([[3.0, 4.0], [0.0, 0.0]])).round(2)
    array([[0.6, 0.8],
           [0. , 0. ]], dtype=float32)
    """

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(axis, list | tuple):
            self.axis: Any = list(axis)
        elif isinstance(axis, int):
            self.axis = axis
        else:
            raise TypeError(
                "Invalid value for `axis` argument: expected an int or a list/tuple of ints. "
                f"Received: axis={axis}"
            )
        self.built = True

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs of the inputs' shape and their vjp."""
        axes = checked_axes(self.axis, inputs.shape)
        norm = np.sqrt(np.add.reduce(np.square(inputs), axis=axes, keepdims=True))
        inverse = np.reciprocal(np.maximum(norm, self._float.type(_LEAST_NORM)))
        outputs = inputs * inverse
        if not call.differentiable:
            return outputs, None

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            along = np.add.reduce(d_outputs * outputs, axis=axes, keepdims=True)
            along *= norm > _LEAST_NORM  # below this norm, the divisor is a constant
            d_inputs: Array = inverse * (d_outputs - outputs * along)
            return d_inputs

        return outputs, vjp

    def compute_output_shape(self, input_shape: Any) -> Any:
        checked_axes(self.axis, input_shape)
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


class GroupNormalization(GammaAndBeta):
    """`(x - mean) / sqrt(variance + epsilon) * gamma + beta`, the channels in groups.

    Mean and variance are those of one sample's channels of one group along `axis`, over all other
    axes (Wu and He, 2018). `groups` divides the number of channels; -1 makes a group of each. The
    outputs have the inputs' shape.

    >>> GroupNormalization(2, epsilon=0.0)(np.array([[1.0, 3.0, 0.0, 4.0]])).tolist()
    [[-1.0, 1.0, -1.0, 1.0]]
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(groups, int) or (groups <= 0 and groups != -1):
            raise ValueError(
                "Received an invalid value for argument `groups`, expected a positive integer (or "
                f"`-1` for instance normalization). Received: groups={groups}"
            )
        super().__init__(**kwargs)
        self.groups = groups
        self.axis = int(axis)
        self.epsilon = float(epsilon)
        self.center, self.scale = bool(center), bool(scale)
        self._take_weight_settings(locals())
        self._rank, self._channels = 0, 0

    def build(self, input_shape: Any) -> None:
        checked_axes(self.axis, input_shape)
        channels = input_shape[self.axis]
        if channels is None or self.axis % len(input_shape) == 0:
            raise ValueError(
                f"Axis {self.axis} of input tensor should have a defined dimension but the layer "
                f"received an input with shape {input_shape}; nor may it be that of the batch."
            )
        if self.groups == -1:
            self.groups = channels
        if channels < self.groups:
            raise ValueError(
                f"Number of groups ({self.groups}) cannot be more than the number of channels "
                f"({channels})."
            )
        if channels % self.groups:
            raise ValueError(
                f"Number of groups ({self.groups}) must divide the number of channels "
                f"({channels}); in Keras' words it must be a multiple of the number of channels."
            )
        self._rank, self._channels = len(input_shape), channels
        self._add_gamma_and_beta((channels,), scale=self.scale, center=self.center)

    @reads_one_version
    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs of the inputs' shape and their vjp."""
        if not self.built:
            self.build(inputs.shape)
        checked_rank(self.name, inputs.shape, self._rank)
        checked_features(self.name, inputs.shape, self.axis, self._channels)
        grouped = self._grouped(inputs)
        normalized = grouped - np.mean(grouped, axis=-1, keepdims=True)
        variance = np.mean(np.square(normalized), axis=-1, keepdims=True)
        inverse = np.reciprocal(np.sqrt(variance + self._float.type(self.epsilon)))
        normalized *= inverse
        gamma = None if self.gamma is None else self._by_channel(self.gamma.snapshot())
        outputs = self._ungrouped(normalized, inputs)
        if gamma is not None:
            outputs = outputs * gamma
        if self.beta is not None:
            outputs = outputs + self._by_channel(self.beta.value)
        if not call.differentiable:
            return outputs, None

        def vjp(d_outputs: Array, grads: Gradients) -> Array | None:
            others = tuple(at for at in range(self._rank) if at != self.axis % self._rank)
            if self.beta is not None:
                grads.add(self.beta, d_outputs.sum(axis=others))
            if self.gamma is not None:
                plain = self._ungrouped(normalized, inputs)
                grads.add(self.gamma, (d_outputs * plain).sum(axis=others))
            if not call.inputs_need_gradient:
                return None
            d_grouped = self._grouped(d_outputs if gamma is None else d_outputs * gamma)
            shift = np.mean(d_grouped, axis=-1, keepdims=True)
            along = np.mean(d_grouped * normalized, axis=-1, keepdims=True)
            return self._ungrouped(inverse * (d_grouped - shift - normalized * along), inputs)

        return outputs, vjp

    def _grouped(self, array: Array) -> Array:
        """The inputs as `[batch, groups, entries]`, of which each group is normalized."""
        first = np.moveaxis(array, self.axis, 1)
        return first.reshape(len(array), self.groups, -1)

    def _ungrouped(self, grouped: Array, like: Array) -> Array:
        """The inverse of `_grouped`, for an array of the shape of `like`."""
        shape = np.moveaxis(like, self.axis, 1).shape
        return np.moveaxis(grouped.reshape(shape), 1, self.axis)

    def _by_channel(self, values: Array) -> Array:
        shape = [1] * self._rank
        shape[self.axis] = self._channels
        return values.reshape(shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        checked_axes(self.axis, input_shape)
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "groups": self.groups,
            "axis": self.axis,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            **self._weights_config(),
        }
