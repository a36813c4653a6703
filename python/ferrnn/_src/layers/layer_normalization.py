"""Layer normalization."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ferrnn._src.layer.layer import Call, Vjp
from ferrnn._src.layers.checks import checked_axes, checked_features
from ferrnn._src.layers.row_normalization import RowNormalization
from ferrnn._src.layers.weight_settings import GammaAndBeta
from ferrnn._src.native import NormalizationWeights
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.one_version import reads_one_version
from ferrnn._src.weights.parameter import Gradients, Parameter


class LayerNormalization(RowNormalization, GammaAndBeta):
    """`(x - mean) / sqrt(variance + epsilon) * gamma + beta`, mean and variance over `axis`.

    With the default axis, the last, each step of each sample is normalized on its own, in the
    engine; other axes are computed in NumPy. The outputs have the inputs' shape. With
    `rms_scaling` inputs are scaled but not centered: `x / sqrt(variance + epsilon) * gamma`.

    >>> LayerNormalization(epsilon=0.0)(np.array([[1.0, 3.0]])).tolist()
    [[-1.0, 1.0]]
    """

    _centered = True

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
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
        rms_scaling = kwargs.pop("rms_scaling", False)
        super().__init__(**kwargs)
        self.rms_scaling = bool(rms_scaling)
        if isinstance(axis, list | tuple):
            self.axis: Any = list(axis)
        elif isinstance(axis, int):
            self.axis = axis
        else:
            raise TypeError(
                "Expected an int or a list/tuple of ints for the argument 'axis', "
                f"but received: {axis!r}"
            )
        self.epsilon = float(epsilon)
        self.center, self.scale = bool(center), bool(scale)
        self._take_weight_settings(locals())
        self._lengths: tuple[int, ...] = ()
        # Whether the axis is the last, and the rank that inputs must have for that (0: any).
        self._last, self._rank = False, 0

    def build(self, input_shape: Any) -> None:
        axes = checked_axes(self.axis, input_shape)
        shape = tuple(input_shape[axis] for axis in axes)
        if None in shape or 0 in shape:
            raise ValueError(
                f"layer {self.name!r} must be built for known lengths along axis={self.axis}, at "
                f"least one, received the shape {tuple(input_shape)}"
            )
        self.axis = sorted(self.axis) if isinstance(self.axis, list) else [self.axis]
        rank = len(input_shape)
        self._last = axes == (rank - 1,) and not self.rms_scaling
        self._rank = 0 if self.axis == [-1] else rank
        self._lengths = shape
        self._add_gamma_and_beta(
            shape,
            scale=self.scale or self.rms_scaling,
            center=self.center and not self.rms_scaling,
        )

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs of the inputs' shape and their vjp."""
        if not self.built:
            self.build(inputs.shape)
        if not self._last or (self._rank and self._rank != inputs.ndim):
            return self._along_axes(inputs, call)
        if inputs.shape[-1:] != self._lengths:
            self._checked(inputs)
        return self._by_rows(inputs, call)

    def stream_weights(self) -> NormalizationWeights:
        """The weights in the form of the engine, made anew after every change of one."""
        if self.rms_scaling:
            raise TypeError(f"layer {self.name!r} cannot run in a stream with rms_scaling")
        if not self._last:
            raise ValueError(
                f"layer {self.name!r} cannot run in a stream with axis={self.axis}: a step has "
                "only one axis, the last"
            )
        return self._packed_weights(self._lengths[0])

    def _factor_and_offset(self) -> tuple[Parameter | None, Parameter | None]:
        return self.gamma, self.beta

    @reads_one_version
    def _along_axes(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """`forward` over axes other than just the last."""
        axes = self._checked(inputs)
        count = inputs.dtype.type(math.prod(self._lengths))
        broadcast = [1] * inputs.ndim
        for axis in axes:
            broadcast[axis] = inputs.shape[axis]
        mean = np.add.reduce(inputs, axis=axes, keepdims=True)
        mean /= count
        normalized = inputs - mean
        spread = np.add.reduce(np.square(normalized), axis=axes, keepdims=True)
        spread /= count
        spread += self.epsilon
        inverse = np.reciprocal(np.sqrt(spread))
        gamma = None if self.gamma is None else self.gamma.snapshot().reshape(broadcast)
        if self.rms_scaling and gamma is not None:
            return self._scaled(inputs, (normalized, inverse, gamma, axes), call)
        normalized *= inverse
        outputs = normalized if gamma is None else normalized * gamma
        if self.beta is not None:
            outputs = outputs + self.beta.value.reshape(broadcast)
        if not call.differentiable:
            return outputs, None

        def vjp(d_outputs: Array, grads: Gradients) -> Array | None:
            others = tuple(axis for axis in range(inputs.ndim) if axis not in axes)
            if self.beta is not None:
                grads.add(self.beta, d_outputs.sum(axis=others))
            if self.gamma is not None:
                grads.add(self.gamma, (d_outputs * normalized).sum(axis=others))
            if not call.inputs_need_gradient:
                return None
            d_normalized = d_outputs if gamma is None else d_outputs * gamma
            along = np.add.reduce(d_normalized * normalized, axis=axes, keepdims=True) / count
            shift = np.add.reduce(d_normalized, axis=axes, keepdims=True) / count
            d_inputs: Array = inverse * (d_normalized - shift - normalized * along)
            return d_inputs

        return outputs, vjp

    def _scaled(
        self, inputs: Array, known: tuple[Array, Array, Array, tuple[int, ...]], call: Call
    ) -> tuple[Array, Vjp | None]:
        """`forward` with `rms_scaling`; the variance is still taken around the mean."""
        centered, inverse, gamma, axes = known
        scaled = inputs * inverse
        if not call.differentiable:
            return scaled * gamma, None

        def vjp(d_outputs: Array, grads: Gradients) -> Array | None:
            others = tuple(axis for axis in range(inputs.ndim) if axis not in axes)
            if self.gamma is not None:
                grads.add(self.gamma, (d_outputs * scaled).sum(axis=others))
            if not call.inputs_need_gradient:
                return None
            d_scaled = d_outputs * gamma
            along = np.add.reduce(d_scaled * scaled, axis=axes, keepdims=True)
            along /= inputs.dtype.type(math.prod(self._lengths))
            d_inputs: Array = inverse * (d_scaled - centered * inverse * along)
            return d_inputs

        return scaled * gamma, vjp

    def _checked(self, inputs: Array) -> tuple[int, ...]:
        axes = checked_axes(self.axis, inputs.shape)
        for axis, length in zip(axes, self._lengths, strict=True):
            checked_features(self.name, inputs.shape, axis, length)
        return axes

    def compute_output_shape(self, input_shape: Any) -> Any:
        checked_axes(self.axis, input_shape)
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "rms_scaling": self.rms_scaling,
            **self._weights_config(),
        }
