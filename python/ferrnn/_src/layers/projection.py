"""A product with a kernel of more than two axes, for multi-head attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.native import DenseWeights, dense_backward, dense_forward
from ferrnn._src.tree.types import Array
from ferrnn._src.weights import initializers
from ferrnn._src.weights.one_version import one_version
from ferrnn._src.weights.parameter import Gradients, Parameter
from ferrnn._src.weights.random_initializers import with_axes

# The packed weights, the inputs, the outputs and what the engine kept for the vjp.
Kept: TypeAlias = "tuple[DenseWeights, Array, Array, Array | None]"


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
                f"the projection {self.name!r} must be built for known, positive numbers of "
                f"features, received {self.inputs_shape}"
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
        self.check(inputs.shape)
        outputs, kept = self.product(inputs, call.differentiable)
        if not call.differentiable:
            return outputs, None

        def vjp(d_outputs: Array, grads: Gradients) -> Array | None:
            needs = call.inputs_need_gradient
            d_inputs: Array | None = self.gradients(kept, d_outputs, grads, needs)
            return d_inputs

        return outputs, vjp

    def check(self, shape: tuple[int, ...]) -> None:
        """Raises ValueError for a shape of inputs that does not fit the kernel."""
        axes = len(shape) - len(self.inputs_shape)
        if axes < 1 or shape[axes:] != self.inputs_shape:
            raise ValueError(
                f"the projection {self.name!r} must be given inputs [..., *{self.inputs_shape}], "
                f"received the shape {shape}"
            )

    def product(self, inputs: Array, differentiable: bool) -> tuple[Array, Kept]:
        """The outputs of a built layer, and what `gradients` needs."""
        kernel, bias, packed = self.kernel, self.bias, self._packed
        version = kernel.version, 0 if bias is None else bias.version
        weights = packed[1] if packed and packed[0] == version else self._pack()
        outputs, saved = dense_forward(weights, inputs, differentiable)
        return outputs, (weights, inputs, outputs, saved)

    def gradients(
        self, kept: Kept, d_outputs: Array, grads: Gradients, inputs_need_gradient: bool = True
    ) -> Any:
        """The gradient for the inputs, if wanted; those for the weights are added to `grads`."""
        d_inputs, d_weights = dense_backward(*kept, d_outputs, inputs_need_gradient)
        grads.add(self.kernel, d_weights[0])
        if self.bias is not None:
            grads.add(self.bias, d_weights[1])
        return d_inputs

    def _pack(self) -> DenseWeights:
        """The weights packed for the engine, packed anew after every change of one."""
        kernel, bias = self.kernel, self.bias
        with one_version():
            version = kernel.version, 0 if bias is None else bias.version
            vector = None if bias is None else bias.value
            weights = DenseWeights(kernel.value, vector, self.activation, len(self.inputs_shape))
        # One assignment, so that another thread sees both or neither.
        self._packed = (version, weights)
        return weights

    def compute_output_shape(self, input_shape: Any) -> Any:
        axes = len(input_shape) - len(self.inputs_shape)
        return (*tuple(input_shape)[:axes], *self.outputs_shape)
