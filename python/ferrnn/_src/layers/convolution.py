"""The base of convolutions over any number of spatial axes."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ferrnn._src.activations import activations
from ferrnn._src.activations.activations import Activation
from ferrnn._src.cells.base import refuse
from ferrnn._src.convolution.geometry import (
    Geometry,
    channels_last,
    given_order,
    places_of,
    shape_of,
)
from ferrnn._src.convolution.product import Packed, convolution, joined, kernel_gradient
from ferrnn._src.layer.layer import Call, Vjp
from ferrnn._src.layers.checks import (
    checked_data_format,
    checked_features,
    checked_padding,
    checked_rank,
    tuple_of,
)
from ferrnn._src.layers.weight_settings import KernelAndBias
from ferrnn._src.tree.types import Array
from ferrnn._src.weights import regularizers
from ferrnn._src.weights.parameter import Gradients, Parameter


class Windowed(KernelAndBias):
    """A layer of windows over `rank` axes of places, with a kernel, a bias and an activation."""

    supports_masking = False
    rank: ClassVar[int]

    kernel: Parameter
    bias: Parameter | None

    def _take_windows(self, given: dict[str, Any], *, causal: bool = False) -> None:
        """Sets the settings of windows from `given`, the `locals()` of the constructor."""
        self.kernel_size = tuple_of(given["kernel_size"], self.rank, "kernel_size")
        self.strides = tuple_of(given["strides"], self.rank, "strides")
        self.padding = checked_padding(given["padding"], causal=causal)
        self.data_format = checked_data_format(given["data_format"])
        self.dilation_rate = tuple_of(given["dilation_rate"], self.rank, "dilation_rate")
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                "`strides > 1` not supported in conjunction with `dilation_rate > 1`. "
                f"Received: strides={self.strides} and dilation_rate={self.dilation_rate}"
            )
        self._geometry = Geometry(self.kernel_size, self.strides, self.dilation_rate, self.padding)
        self.activation = activations.get(given["activation"])
        self.use_bias = bool(given["use_bias"])
        self._take_weight_settings(given)
        self._features = -1
        self._checked_shape: tuple[int, ...] = ()  # for one of the shapes of inputs seen last

    @property
    def window(self) -> Geometry:
        """The geometry of the windows."""
        return self._geometry

    def _check_positive(self, argument: str, value: Any) -> None:
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if not whole or value <= 0:
            raise ValueError(
                f"Invalid value for argument `{argument}`. Expected a strictly positive "
                f"value. Received {argument}={value!r}."
            )

    @property
    def _feature_axis(self) -> int:
        return self.rank + 1 if self.data_format == "channels_last" else 1

    def _add_bias(self, count: int) -> None:
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                (count,),
                self.bias_initializer,
                name="bias",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def _known_features(self, input_shape: Any) -> int:
        """The number of features of inputs of a shape, which must be known."""
        checked_rank(self.name, input_shape, self.rank + 2)
        features = input_shape[self._feature_axis]
        if not features:
            raise ValueError(
                f"The channel dimension of the inputs of layer {self.name!r} should be defined. "
                f"The input_shape received is {tuple(input_shape)}, where axis "
                f"{self._feature_axis} is the channel dimension"
            )
        return int(features)

    def _outer_activation(self) -> Activation | None:
        """The activation, if the engine does not have it and NumPy must apply it."""
        if type(self.activation) is Activation and self.activation.native:
            return None
        return activations.differentiable(self.activation)

    def _activation(self) -> Activation:
        return activations.differentiable(self.activation)

    def _ordered_inputs(self, inputs: Array) -> Array:
        """The inputs `[batch, *places, features]`, checked."""
        if inputs.shape[1:] != self._checked_shape:
            checked_rank(self.name, inputs.shape, self.rank + 2)
            checked_features(self.name, inputs.shape, self._feature_axis, self._features)
            self._checked_counts(inputs.shape)
            self._checked_shape = inputs.shape[1:]
        return channels_last(inputs, self.data_format)

    def _checked_counts(self, shape: Any) -> tuple[int | None, ...]:
        """The numbers of windows, None where the number of places is unknown."""
        lengths = places_of(shape, self.data_format)
        counts = self._geometry.counts([1 if length is None else length for length in lengths])
        known = [length is not None for length in lengths]
        if any(here and not count for here, count in zip(known, counts, strict=True)):
            if 0 in lengths and self.padding != "valid":
                return counts
            raise ValueError(
                "Computed output size would be zero or negative. Received "
                f"`inputs shape={tuple(shape)}`, `kernel_size={self.kernel_size}`, "
                f"`dilation_rate={self.dilation_rate}`, `strides={self.strides}`, "
                f"`padding={self.padding}` (in layer {self.name!r})."
            )
        return tuple(count if here else None for here, count in zip(known, counts, strict=True))

    def _windowed_shape(self, input_shape: Any, features: int) -> Any:
        checked_rank(self.name, input_shape, self.rank + 2)
        counts = self._checked_counts(input_shape)
        return shape_of(input_shape[0], counts, features, self.data_format)

    def _windows_config(self) -> dict[str, Any]:
        """The settings from `_take_windows`, as plain data."""
        return {
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            **self._weights_config(),
        }


class Conv(Windowed):
    """A convolution over `rank` axes of places: a product of windows with the kernel."""

    def __init__(self, given: dict[str, Any], *, causal: bool = False) -> None:
        """Sets the settings from `given`, the `locals()` of the layer's constructor."""
        super().__init__(activity_regularizer=given["activity_regularizer"], **given["kwargs"])
        self.filters, self.groups = given["filters"], given["groups"]
        self._check_positive("filters", self.filters)
        if isinstance(self.groups, int | np.integer) and self.groups <= 0:
            raise ValueError(
                f"The number of groups must be a positive integer. Received: groups={self.groups}."
            )
        self._check_positive("groups", self.groups)
        if self.filters % self.groups:
            raise ValueError(
                "The number of filters must be evenly divisible by the number of groups. "
                f"Received: groups={self.groups}, filters={self.filters}."
            )
        self._take_windows(given, causal=causal)
        refuse({name: given[name] for name in ("lora_rank", "lora_alpha")}, self.name)
        self._packed = Packed()

    def build(self, input_shape: Any) -> None:
        features = self._known_features(input_shape)
        if features % self.groups:
            raise ValueError(
                "The number of input channels must be known and evenly divisible by the number of "
                f"groups. Received groups={self.groups}, but the input has {features} channels "
                f"(full input shape is {tuple(input_shape)}, in layer {self.name!r})."
            )
        self.compute_output_shape(input_shape)
        self._features = features
        self.kernel = self.add_weight(
            (*self.kernel_size, features // self.groups, self.filters),
            self.kernel_initializer,
            name="kernel",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self._add_bias(self.filters)

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs `[batch, *windows, filters]` and their vjp."""
        if not self.built:
            self.build(inputs.shape)
        ordered = self._ordered_inputs(inputs)
        outer = self._outer_activation()
        activation = "linear" if outer else self.activation.__name__
        weights = self._packed.of(self.kernel, self.bias, activation, self.groups)
        blocks = [ordered]
        if self.groups > 1:
            blocks = np.split(ordered, self.groups, axis=-1)
        made = convolution(weights, blocks, self._geometry, call.differentiable)
        linear = given_order(made.outputs, self.data_format)
        outputs = linear if outer is None else outer.function(linear)
        if not call.differentiable:
            return outputs, None

        def vjp(d_outputs: Array, grads: Gradients) -> Array | None:
            if outer is not None:
                d_outputs = outer.backward(linear, outputs, d_outputs)
            d_linear = channels_last(d_outputs, self.data_format)
            d_inputs, d_matrix, d_bias = made.backward(d_linear, call.inputs_need_gradient)
            grads.add(self.kernel, kernel_gradient(d_matrix, self.kernel.shape))
            if self.bias is not None and d_bias is not None:
                grads.add(self.bias, d_bias)
            if not call.inputs_need_gradient:
                return None
            return given_order(joined(d_inputs), self.data_format)

        return outputs, vjp

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self._windowed_shape(input_shape, self.filters)

    def get_config(self) -> dict[str, Any]:
        settings = {"filters": self.filters, "groups": self.groups}
        return {**super().get_config(), **settings, **self._windows_config()}
