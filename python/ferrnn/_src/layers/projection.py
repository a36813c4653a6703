"""A product with a kernel of more than two axes, as attention in several heads has them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.native import DenseWeights, dense_backward, dense_forward
from ferrnn._src.tree.types import Array
from ferrnn._src.weights import initializers
from ferrnn._src.weights.one_version import one_version
from ferrnn._src.weights.parameter import Gradients, Parameter
from ferrnn._src.weights.random_initializers import with_axes


class Projection(Layer):
    """`activation(inputs . kernel + bias)`: `[..., *inputs_shape]` to `[..., *outputs_shape]`.

    The kernel is `[*inputs_shape, *outputs_shape]`; a row gets the same bits alone and in a batch.

    >>> import numpy as np
    >>> layer = Projection((6,), (2, 4))
    >>> layer(np.ones((3, 5, 6))).shape
    (3, 5, 2, 4)
    """

    kernel: Parameter
    bias: Parameter | None

    def __init__(
        self,
        inputs_shape: Sequence[int],
        outputs_shape: Sequence[int],
        activation: str = "linear",
        *,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.inputs_shape, self.outputs_shape = tuple(inputs_shape), tuple(outputs_shape)
        self._width = math.prod(self.inputs_shape) if all(self.inputs_shape) else 0
        self.activation = activation
        self.use_bias = use_bias
        self.of_kernel = (kernel_initializer, kernel_regularizer, kernel_constraint)
        self.of_bias = (bias_initializer, bias_regularizer, bias_constraint)
        self._packed: tuple[Any, DenseWeights] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_packed": None}

    def build(self, input_shape: Any) -> None:
        if not all(self.inputs_shape):
            raise ValueError(
                f"the projection {self.name!r} must be built for known numbers of features, at "
                f"least one, received {self.inputs_shape}"
            )
        initializer, regularizer, constraint = self.of_kernel
        axes, count = range(len(self.inputs_shape + self.outputs_shape)), len(self.inputs_shape)
        self.kernel = self.add_weight(
            self.inputs_shape + self.outputs_shape,
            with_axes(initializers.get(initializer), axes[:count], axes[count:]),
            name="kernel",
            regularizer=regularizer,
            constraint=constraint,
        )
        self.bias = None
        if self.use_bias:
            initializer, regularizer, constraint = self.of_bias
            self.bias = self.add_weight(
                self.outputs_shape,
                initializer,
                name="bias",
                regularizer=regularizer,
                constraint=constraint,
            )

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs `[..., *outputs_shape]` and their vjp."""
        if not self.built:
            self.build(inputs.shape)
        axes = inputs.ndim - len(self.inputs_shape)
        if axes < 1 or inputs.shape[axes:] != self.inputs_shape:
            raise ValueError(
                f"the projection {self.name!r} must be given [..., *{self.inputs_shape}], received "
                f"the shape {inputs.shape}"
            )
        weights = self._packed_weights()
        rows = inputs.reshape(-1, self._width)
        flat, saved = dense_forward(weights, rows, call.differentiable)
        outputs = flat.reshape(inputs.shape[:axes] + self.outputs_shape)
        if not call.differentiable:
            return outputs, None

        def vjp(d_outputs: Array, grads: Gradients) -> Array | None:
            d_flat = d_outputs.reshape(flat.shape)
            d_inputs, d_weights = dense_backward(
                weights, rows, flat, saved, d_flat, call.inputs_need_gradient
            )
            grads.add(self.kernel, d_weights[0].reshape(self.inputs_shape + self.outputs_shape))
            if self.bias is not None:
                grads.add(self.bias, d_weights[1].reshape(self.outputs_shape))
            return None if d_inputs is None else d_inputs.reshape(inputs.shape)

        return outputs, vjp

    def _key(self) -> tuple[int, int]:
        return self.kernel.version, self.bias.version if self.bias is not None else 0

    def _packed_weights(self) -> DenseWeights:
        """The weights as the engine wants them, packed anew after every write to one."""
        packed = self._packed
        if packed is not None and packed[0] == self._key():
            return packed[1]
        bias = self.bias
        with one_version():
            key = self._key()
            matrix = self.kernel.value.reshape(self._width, -1)
            vector = None if bias is None else bias.value.reshape(-1)
            weights = DenseWeights(matrix, vector, self.activation)
        self._packed = (key, weights)  # one assignment: another thread sees both or neither
        return weights

    def compute_output_shape(self, input_shape: Any) -> Any:
        axes = len(input_shape) - len(self.inputs_shape)
        return (*tuple(input_shape)[:axes], *self.outputs_shape)
