"""The independently recurrent network (Li et al., 2018)."""

from __future__ import annotations

from typing import Any, ClassVar

from ferrnn._src.cells.base import NO_DROPOUT, BuiltInCell, NativeWeights
from ferrnn._src.cells.product import masked_product
from ferrnn._src.cells.protocol import Dropout, DropoutMasks, States, StepVjp
from ferrnn._src.layer.layer import Call
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.initializers import RandomUniform
from ferrnn._src.weights.parameter import Gradients


class IndRNNCell(BuiltInCell):
    """One step of an independently recurrent network: each unit sees only its own output.

    `h' = a(x kernel + recurrent_kernel h + bias)`, the product with `recurrent_kernel` `[units]`
    being that of each unit with its own weight; the output is h'. Without a
    `recurrent_initializer` these weights are uniform in [-1, 1]. Li et al., "Independently
    Recurrent Neural Network (IndRNN): Building A Longer and Deeper RNN" (2018).

    >>> import numpy as np
    >>> cell = IndRNNCell(4)
    >>> output, (h,) = cell(np.ones((2, 3)), cell.get_initial_state(2))
    >>> output.shape, cell.recurrent_kernel.shape
    ((2, 4), (4,))
    """

    native_name: ClassVar[str] = "ind_rnn"
    gates: ClassVar[int] = 1
    gated: ClassVar[tuple[int, ...]] = (0,)

    def __init__(
        self,
        units: int,
        activation: Any = "relu",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = None,
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
        if recurrent_initializer is None:
            recurrent_initializer = RandomUniform(-1.0, 1.0, seed=seed)
        super().__init__(locals())

    @property
    def recurrent_shape(self) -> tuple[int, ...]:
        return (self.units,)

    @property
    def native_weights(self) -> NativeWeights:
        return NativeWeights(self.kernel, None, self.bias, self.recurrent_kernel)

    def step(
        self, inputs: Array, states: States, call: Call, dropout: Dropout = None
    ) -> tuple[tuple[Array, States], StepVjp | None]:
        """One step; see the class."""
        masks = dropout if isinstance(dropout, DropoutMasks) else NO_DROPOUT
        act = self.on_sums(self.activation)
        kernel, recurrent_kernel = self.kernels(call)
        projected, inputs_vjp = masked_product(inputs, kernel, masks.inputs)
        mask = None if masks.recurrent is None else masks.recurrent[0]
        seen = states[0] if mask is None else states[0] * mask
        z = projected + recurrent_kernel * seen
        if self.bias is not None:
            z += self.bias.value
        h = act.function(z)
        if not call.differentiable:
            return (h, (h,)), None

        def vjp(d_output: Array, d_states: States, grads: Gradients) -> tuple[Array, States]:
            d_z = act.backward(z, h, d_output + d_states[0])
            d_inputs, d_kernel = inputs_vjp(d_z)
            d_seen = d_z * recurrent_kernel
            grads.add(self.kernel, d_kernel)
            grads.add(self.recurrent_kernel, (d_z * seen).sum(axis=0))
            self.add_bias_gradient(d_z, grads)
            return d_inputs, (d_seen if mask is None else d_seen * mask,)

        return (h, (h,)), vjp
