"""LSTM (Hochreiter and Schmidhuber, 1997; forget gate: Gers et al., 2000)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

import numpy as np

from ferrnn._src.activations import activations
from ferrnn._src.activations.activations import Function
from ferrnn._src.cells.base import NO_DROPOUT, BuiltInCell
from ferrnn._src.cells.product import masked_product
from ferrnn._src.cells.protocol import Dropout, DropoutMasks, States, StepVjp
from ferrnn._src.layer.layer import Call
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients

# (d_z, grads) -> (d_inputs, d_h)
LinearVjp: TypeAlias = Callable[[Array, Gradients], tuple[Array, Array]]


class LSTMCell(BuiltInCell):
    """One step of an LSTM: inputs `[batch, features]`, states h and c `[batch, units]`.

    `z = x kernel + h recurrent_kernel + bias`, in blocks i, f, g, o of `units` columns;
    `c' = s(f) c + s(i) a(g)`, `h' = s(o) a(c')`; the output is h'.

    >>> cell = LSTMCell(4)
    >>> output, (h, c) = cell(np.ones((2, 3)), cell.get_initial_state(2))
    >>> output.shape, c.shape
    ((2, 4), (2, 4))
    """

    native_name: ClassVar[str] = "lstm"
    gates: ClassVar[int] = 4
    gated: ClassVar[tuple[int, ...]] = (0, 1, 3)

    recurrent_activation: Any
    unit_forget_bias: bool

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
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

    def initial_bias(self, shape: tuple[int, ...], dtype: object = None) -> Array:
        if not self.unit_forget_bias:
            return super().initial_bias(shape, dtype)
        parts = [
            super().initial_bias((self.units,), dtype),
            np.ones(self.units),
            super().initial_bias((2 * self.units,), dtype),
        ]
        return np.concatenate(parts)

    def linear(
        self, inputs: Array, h: Array, masks: DropoutMasks, call: Call
    ) -> tuple[Array, LinearVjp]:
        """z, and its vjp `(d_z, grads) -> d_inputs, d_h`."""
        kernel, recurrent_kernel = self.kernels(call)
        projected, inputs_vjp = masked_product(inputs, kernel, masks.inputs)
        recurrent, h_vjp = masked_product(h, recurrent_kernel, masks.recurrent)
        z = projected + recurrent
        if self.bias is not None:
            z += self.bias.value

        def vjp(d_z: Array, grads: Gradients) -> tuple[Array, Array]:
            d_inputs, d_kernel = inputs_vjp(d_z)
            d_h, d_recurrent_kernel = h_vjp(d_z)
            grads.add(self.kernel, d_kernel)
            grads.add(self.recurrent_kernel, d_recurrent_kernel)
            self.add_bias_gradient(d_z, grads)
            return d_inputs, d_h

        return z, vjp

    def function(self, activation: Any) -> Function:
        """The function that applies an activation to an array."""
        applied: Function = activation.function
        return applied

    def step(
        self, inputs: Array, states: States, call: Call, dropout: Dropout = None
    ) -> tuple[tuple[Array, States], StepVjp | None]:
        """One step; see the class."""
        h_previous, c_previous = states
        masks = dropout if isinstance(dropout, DropoutMasks) else NO_DROPOUT
        act = self.on_sums(self.activation)
        gate = self.on_sums(self.recurrent_activation)
        act_of_state = activations.differentiable(self.activation)
        apply_act, apply_gate = self.function(act), self.function(gate)
        z, z_vjp = self.linear(inputs, h_previous, masks, call)
        z_i, z_f, z_g, z_o = np.split(z, 4, axis=-1)
        i, f, o = apply_gate(z_i), apply_gate(z_f), apply_gate(z_o)
        g = apply_act(z_g)
        c = f * c_previous + i * g
        c_act = self.function(act_of_state)(c)
        h = o * c_act
        if not call.differentiable:
            return (h, (h, c)), None

        def vjp(d_output: Array, d_states: States, grads: Gradients) -> tuple[Array, States]:
            d_h = d_output + d_states[0]
            d_c = d_states[1] + act_of_state.backward(c, c_act, d_h * o)
            d_z = np.concatenate(
                [
                    gate.backward(z_i, i, d_c * g),
                    gate.backward(z_f, f, d_c * c_previous),
                    act.backward(z_g, g, d_c * i),
                    gate.backward(z_o, o, d_h * c_act),
                ],
                axis=-1,
            )
            d_inputs, d_h_previous = z_vjp(d_z, grads)
            return d_inputs, (d_h_previous, d_c * f)

        return (h, (h, c)), vjp
