"""LSTM with coupled input and forget gates (Greff et al., 2017)."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ferrnn._src.activations import activations
from ferrnn._src.cells.base import NO_DROPOUT, BuiltInCell
from ferrnn._src.cells.product import masked_product
from ferrnn._src.cells.protocol import Dropout, DropoutMasks, States, StepVjp
from ferrnn._src.layer.layer import Call
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients


class CoupledLSTMCell(BuiltInCell):
    """One step of an LSTM whose input gate is one minus its forget gate.

    `z = x kernel + h recurrent_kernel + bias`, in blocks f, g, o of `units` columns;
    `c' = s(f) c + (1 - s(f)) a(g)`, `h' = s(o) a(c')`; the output is h'. Greff et al., "LSTM: A
    Search Space Odyssey" (2017), call it CIFG.

    >>> cell = CoupledLSTMCell(4)
    >>> output, (h, c) = cell(np.ones((2, 3)), cell.get_initial_state(2))
    >>> output.shape, c.shape
    ((2, 4), (2, 4))
    """

    native_name: ClassVar[str] = "coupled_lstm"
    gates: ClassVar[int] = 3
    gated: ClassVar[tuple[int, ...]] = (0, 2)

    recurrent_activation: Any

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
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
        self.state_size = [self.units, self.units]

    def step(
        self, inputs: Array, states: States, call: Call, dropout: Dropout = None
    ) -> tuple[tuple[Array, States], StepVjp | None]:
        """One step; see the class."""
        h_previous, c_previous = states
        masks = dropout if isinstance(dropout, DropoutMasks) else NO_DROPOUT
        act = self.on_sums(self.activation)
        gate = self.on_sums(self.recurrent_activation)
        act_of_state = activations.differentiable(self.activation)
        kernel, recurrent_kernel = self.kernels(call)
        projected, inputs_vjp = masked_product(inputs, kernel, masks.inputs)
        recurrent, h_vjp = masked_product(h_previous, recurrent_kernel, masks.recurrent)
        z = projected + recurrent
        if self.bias is not None:
            z += self.bias.value
        z_f, z_g, z_o = np.split(z, 3, axis=-1)
        f, g, o = gate.function(z_f), act.function(z_g), gate.function(z_o)
        c = f * c_previous + (1 - f) * g
        c_act = act_of_state.function(c)
        h = o * c_act
        if not call.differentiable:
            return (h, (h, c)), None

        def vjp(d_output: Array, d_states: States, grads: Gradients) -> tuple[Array, States]:
            d_h = d_output + d_states[0]
            d_c = d_states[1] + act_of_state.backward(c, c_act, d_h * o)
            d_f = gate.backward(z_f, f, d_c * (c_previous - g))
            d_g = act.backward(z_g, g, d_c * (1 - f))
            d_z = np.concatenate([d_f, d_g, gate.backward(z_o, o, d_h * c_act)], axis=-1)
            d_inputs, d_kernel = inputs_vjp(d_z)
            d_h_previous, d_recurrent_kernel = h_vjp(d_z)
            grads.add(self.kernel, d_kernel)
            grads.add(self.recurrent_kernel, d_recurrent_kernel)
            self.add_bias_gradient(d_z, grads)
            return d_inputs, (d_h_previous, d_c * f)

        return (h, (h, c)), vjp
