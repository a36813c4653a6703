"""The densely connected layer."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from ferrnn._src.activations import activations
from ferrnn._src.activations.activations import Activation
from ferrnn._src.cells.base import check_units, refuse
from ferrnn._src.layer.layer import Call, Vjp
from ferrnn._src.layers.weight_settings import KernelAndBias
from ferrnn._src.native import DenseWeights, dense_backward, dense_forward
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.one_version import one_version
from ferrnn._src.weights.parameter import Gradients, Parameter


class Dense(KernelAndBias):
    """`activation(inputs @ kernel + bias)`: `[..., features]` to `[..., units]`.

    >>> Dense(3, activation="relu")(np.ones((2, 5, 4))).shape
    (2, 5, 3)
    """

    kernel: Parameter
    bias: Parameter | None

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = check_units(units, self.name)
        refuse({"lora_rank": lora_rank, "lora_alpha": lora_alpha}, self.name)
        self.activation = activation
        self.use_bias = bool(use_bias)
        self._take_weight_settings(locals())
        self._features = -1
        self._packed: tuple[Any, DenseWeights] | None = None

    @property
    def activation(self) -> Any:
        """The activation; None, or a name, may be assigned."""
        return self._activation

    @activation.setter
    def activation(self, value: Any) -> None:
        self._activation = activations.get(value)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_packed": None}

    def build(self, input_shape: Any) -> None:
        shape = tuple(input_shape)
        if len(shape) < 2 or not shape[-1]:
            raise ValueError(
                f"layer {self.name!r} must be built for inputs [..., features] with at least 2 "
                f"axes and a known, positive number of features, received the shape {shape}"
            )
        self._features = int(shape[-1])
        self.kernel = self.add_weight(
            (shape[-1], self.units),
            self.kernel_initializer,
            name="kernel",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                (self.units,),
                self.bias_initializer,
                name="bias",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs `[..., units]` and their vjp."""
        if not self.built:
            self.build(inputs.shape)
        self._check(inputs)
        weights, activation = self.native_parts()
        linear, saved = dense_forward(weights, inputs, call.differentiable)
        outputs = linear if activation is None else activation.of_layer(linear)
        if not call.differentiable:
            return outputs, None

        def vjp(d_outputs: Array, grads: Gradients) -> Array | None:
            d_linear = np.asarray(d_outputs, inputs.dtype)
            if activation is not None:
                d_linear = activation.backward(linear, outputs, d_linear)
            d_inputs, d_weights = dense_backward(
                weights, inputs, linear, saved, d_linear, call.inputs_need_gradient
            )
            grads.add(self.kernel, d_weights[0])
            if self.bias is not None:
                grads.add(self.bias, d_weights[1])
            return d_inputs

        return outputs, vjp

    def _check(self, inputs: Array) -> None:
        if inputs.ndim < 2:
            raise ValueError(
                f"Input 0 of layer {self.name!r} is incompatible with the layer: expected "
                f"min_ndim=2, found ndim={inputs.ndim}. Full shape received: {inputs.shape}"
            )
        if inputs.shape[-1] != self._features:
            self._refuse_features(inputs.shape)

    def _refuse_features(self, shape: tuple[int | None, ...]) -> NoReturn:
        raise ValueError(
            f"Input 0 of layer {self.name!r} is incompatible with the layer: expected "
            f"{self._features} features on the last axis, found {shape[-1]}. "
            f"Full shape received: {shape}"
        )

    def _outer_activation(self) -> Activation | None:
        """The activation, if the engine does not have it and NumPy must apply it."""
        activation = self._activation
        if type(activation) is Activation and activation.native:
            return None
        return activations.differentiable(activation)

    def _packed_weights(self, activation: str) -> DenseWeights:
        """The weights packed for the engine, packed anew after every change of one."""
        packed = self._packed
        if packed is not None and packed[0] == self._key(activation):
            return packed[1]
        kernel, bias = self.kernel, self.bias
        with one_version():
            key = self._key(activation)
            weights = DenseWeights(kernel.value, None if bias is None else bias.value, activation)
        self._packed = (key, weights)  # one assignment, so that another thread sees both or neither
        return weights

    def _key(self, activation: str) -> tuple[int, int, str]:
        bias = self.bias
        return self.kernel.version, bias.version if bias is not None else 0, activation

    def native_parts(self) -> tuple[DenseWeights, Activation | None]:
        """The weights packed for the engine, and the activation unless they include it."""
        outer = self._outer_activation()
        return self._packed_weights("linear" if outer else self._activation.__name__), outer

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = tuple(input_shape)
        if self.built and shape[-1] not in (None, self._features):
            self._refuse_features(shape)
        return (*shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            **self._weights_config(),
        }
