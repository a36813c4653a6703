"""The simple recurrent network (Elman, 1990)."""

from __future__ import annotations

from typing import Any, ClassVar

from ferrnn._src.cells.base import NO_DROPOUT, BuiltInCell
from ferrnn._src.cells.product import masked_product
from ferrnn._src.cells.protocol import Dropout, DropoutMasks, States, StepVjp
from ferrnn._src.layer.layer import Call
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients


class SimpleRNNCell(BuiltInCell):
    """One step: inputs `[batch, features]`, state h `[batch, units]`.

    `h' = a(x kernel + h recurrent_kernel + bias)`; the output is h'.

    >>> import numpy as np
    >>> cell = SimpleRNNCell(4)
    >>> output, (h,) = cell(np.ones((2, 3)), cell.get_initial_state(2))
    >>> output.shape
    (2, 4)
    """

    native_name: ClassVar[str] = "simple_rnn"
    gates: ClassVar[int] = 1
    gated: ClassVar[tuple[int, ...]] = (0,)

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(locals())

    def _draw(self, rate: float, shape: tuple[int, ...]) -> Array | None:
        if rate == 0:
            return None
        return self.seed_generator.dropout_mask(shape, rate, self.dtype)

    def step(
        self, inputs: Array, states: States, call: Call, dropout: Dropout = None
    ) -> tuple[tuple[Array, States], StepVjp | None]:
        """One step; see the class."""
        masks = dropout if isinstance(dropout, DropoutMasks) else NO_DROPOUT
        act = self.on_sums(self.activation)
        kernel, recurrent_kernel = self.kernels(call)
        projected, inputs_vjp = masked_product(inputs, kernel, masks.inputs)
        recurrent, h_vjp = masked_product(states[0], recurrent_kernel, masks.recurrent)
        z = projected + recurrent
        if self.bias is not None:
            z += self.bias.value
        h = act.function(z)
        if not call.differentiable:
            return (h, (h,)), None

        def vjp(d_output: Array, d_states: States, grads: Gradients) -> tuple[Array, States]:
            d_z = act.backward(z, h, d_output + d_states[0])
            d_inputs, d_kernel = inputs_vjp(d_z)
            d_previous, d_recurrent_kernel = h_vjp(d_z)
            grads.add(self.kernel, d_kernel)
            grads.add(self.recurrent_kernel, d_recurrent_kernel)
            self.add_bias_gradient(d_z, grads)
            return d_inputs, (d_previous,)

        return (h, (h,)), vjp
