"""Depthwise and separable convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ferrnn._src.convolution.depthwise import Depthwise
from ferrnn._src.convolution.geometry import Geometry, channels_last, given_order
from ferrnn._src.convolution.product import Packed, convolution
from ferrnn._src.layer.layer import Call, Vjp
from ferrnn._src.layers.convolution import Windowed
from ferrnn._src.layers.weight_settings import settings_of
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.one_version import reads_one_version
from ferrnn._src.weights.parameter import Gradients, Parameter


class DepthwiseConv(Windowed):
    """A depthwise convolution over `rank` spatial axes."""

    _weight_settings = settings_of("depthwise", "bias")
    depthwise_initializer: Any
    depthwise_regularizer: Any
    depthwise_constraint: Any

    def __init__(self, given: dict[str, Any]) -> None:
        """Sets the settings from `given`, the `locals()` of the layer's constructor."""
        super().__init__(activity_regularizer=given["activity_regularizer"], **given["kwargs"])
        self.depth_multiplier = given["depth_multiplier"]
        self._check_positive("depth_multiplier", self.depth_multiplier)
        self._take_windows(given)

    def _depthwise_kernel(self, input_shape: Any, name: str) -> Parameter:
        self._features = self._known_features(input_shape)
        self.compute_output_shape(input_shape)
        return self.add_weight(
            (*self.kernel_size, self._features, self.depth_multiplier),
            self.depthwise_initializer,
            name=name,
            regularizer=self.depthwise_regularizer,
            constraint=self.depthwise_constraint,
        )

    def build(self, input_shape: Any) -> None:
        self.kernel = self._depthwise_kernel(input_shape, "kernel")
        self._add_bias(self._features * self.depth_multiplier)

    @reads_one_version
    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs `[batch, *windows, features * depth_multiplier]` and their vjp."""
        if not self.built:
            self.build(inputs.shape)
        made = Depthwise(self._ordered_inputs(inputs), self.kernel.snapshot(), self._geometry)
        linear = made.outputs
        if self.bias is not None:
            linear += self.bias.value
        outputs = self._activated(linear)

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            d_linear = self._d_linear(linear, outputs, d_outputs)
            if self.bias is not None:
                grads.add(self.bias, d_linear.sum(axis=tuple(range(d_linear.ndim - 1))))
            d_inputs, d_kernel = made.backward(d_linear)
            grads.add(self.kernel, d_kernel)
            return given_order(d_inputs, self.data_format)

        return given_order(outputs, self.data_format), vjp if call.differentiable else None

    def _activated(self, linear: Array) -> Array:
        return self._activation().of_layer(linear)

    def _d_linear(self, linear: Array, outputs: Array, d_outputs: Array) -> Array:
        d_ordered = channels_last(d_outputs, self.data_format)
        return self._activation().backward(linear, outputs, d_ordered)

    def compute_output_shape(self, input_shape: Any) -> Any:
        features = self._known_features(input_shape)
        return self._windowed_shape(input_shape, features * self.depth_multiplier)

    def get_config(self) -> dict[str, Any]:
        settings = {"depth_multiplier": self.depth_multiplier}
        return {**super().get_config(), **settings, **self._windows_config()}


class SeparableConv(DepthwiseConv):
    """A depthwise convolution, then a product over features at each place."""

    _weight_settings = settings_of("depthwise", "pointwise", "bias")
    pointwise_initializer: Any
    pointwise_regularizer: Any
    pointwise_constraint: Any

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__(given)
        self.filters = given["filters"]
        self._check_positive("filters", self.filters)
        self._packed = Packed()

    def build(self, input_shape: Any) -> None:
        self.depthwise_kernel = self._depthwise_kernel(input_shape, "depthwise_kernel")
        shape = (*(1,) * self.rank, self._features * self.depth_multiplier, self.filters)
        self.pointwise_kernel = self.add_weight(
            shape,
            self.pointwise_initializer,
            name="pointwise_kernel",
            regularizer=self.pointwise_regularizer,
            constraint=self.pointwise_constraint,
        )
        self._add_bias(self.filters)

    @reads_one_version
    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs `[batch, *windows, filters]` and their vjp."""
        if not self.built:
            self.build(inputs.shape)
        kernel = self.depthwise_kernel.snapshot()
        apart = Depthwise(self._ordered_inputs(inputs), kernel, self._geometry)
        weights = self._packed.of(self.pointwise_kernel, self.bias)
        ones = (1,) * self.rank
        geometry = Geometry(ones, ones, ones, "valid")
        made = convolution(weights, [apart.outputs], geometry, call.differentiable)
        linear = made.outputs
        outputs = self._activated(linear)

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            d_linear = self._d_linear(linear, outputs, d_outputs)
            (d_apart,), d_matrix, d_bias = made.backward(d_linear)
            grads.add(self.pointwise_kernel, d_matrix.reshape(self.pointwise_kernel.shape))
            if self.bias is not None and d_bias is not None:
                grads.add(self.bias, d_bias)
            d_inputs, d_kernel = apart.backward(d_apart)
            grads.add(self.depthwise_kernel, d_kernel)
            return given_order(d_inputs, self.data_format)

        return given_order(outputs, self.data_format), vjp if call.differentiable else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        self._known_features(input_shape)
        return self._windowed_shape(input_shape, self.filters)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters}


class DepthwiseConv1D(DepthwiseConv):
    """Convolves each feature alone with `depth_multiplier` kernels: `[batch, time, features]`.

    Outputs have `features * depth_multiplier` features; windows lie as in `Conv1D`.

    >>> import numpy as np
    >>> DepthwiseConv1D(3, depth_multiplier=2)(np.ones((2, 5, 4))).shape
    (2, 3, 8)
    """

    rank: ClassVar[int] = 1

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(locals())


class DepthwiseConv2D(DepthwiseConv):
    """Convolves each feature of frames alone with `depth_multiplier` kernels.

    Outputs have `features * depth_multiplier` features; windows lie as in `Conv2D`.

    >>> import numpy as np
    >>> DepthwiseConv2D(3, depth_multiplier=2)(np.ones((2, 5, 6, 4))).shape
    (2, 3, 4, 8)
    """

    rank: ClassVar[int] = 2

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = (1, 1),
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(locals())


class SeparableConv1D(SeparableConv):
    """`DepthwiseConv1D`, then a product over features: `[batch, windows, filters]`.

    >>> import numpy as np
    >>> SeparableConv1D(7, 3)(np.ones((2, 5, 4))).shape
    (2, 3, 7)
    """

    rank: ClassVar[int] = 1

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(locals())


class SeparableConv2D(SeparableConv):
    """`DepthwiseConv2D`, then a product over features: frames of `filters` features.

    >>> import numpy as np
    >>> SeparableConv2D(7, 3)(np.ones((2, 5, 6, 4))).shape
    (2, 3, 4, 7)
    """

    rank: ClassVar[int] = 2

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = (1, 1),
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(locals())
