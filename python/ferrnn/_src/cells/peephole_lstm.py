"""LSTM with peepholes (Gers and Schmidhuber, 2000)."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ferrnn._src.activations import activations
from ferrnn._src.cells.base import NO_DROPOUT, BuiltInCell, NativeWeights
from ferrnn._src.cells.product import masked_product
from ferrnn._src.cells.protocol import Dropout, DropoutMasks, States, StepVjp
from ferrnn._src.layer.layer import Call
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients, Parameter


class PeepholeLSTMCell(BuiltInCell):
    """One step of an LSTM whose gates see the state c of their own unit.

    `z = x kernel + h recurrent_kernel + bias`, in blocks i, f, g, o of `units` columns;
    `c' = s(f + p_f c) c + s(i + p_i c) a(g)`, `h' = s(o + p_o c') a(c')`; the output is h'. The
    `peephole` weights are `[3, units]`, p_i, p_f and p_o. Gers and Schmidhuber, "Recurrent Nets
    that Time and Count" (2000).

    >>> cell = PeepholeLSTMCell(4)
    >>> output, (h, c) = cell(np.ones((2, 3)), cell.get_initial_state(2))
    >>> output.shape, c.shape, cell.peephole.shape
    ((2, 4), (2, 4), (3, 4))
    """

    native_name: ClassVar[str] = "peephole_lstm"
    gates: ClassVar[int] = 4
    gated: ClassVar[tuple[int, ...]] = (0, 1, 3)

    recurrent_activation: Any
    unit_forget_bias: bool
    peephole_initializer: Any
    peephole: Parameter

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        peephole_initializer: Any = "glorot_uniform",
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

    @property
    def native_weights(self) -> NativeWeights:
        return super().native_weights._replace(vectors=self.peephole)

    def build(self, input_shape: Any) -> None:
        """Makes the weights for inputs `[batch, features]`."""
        made = bool(self._own_weights)
        super().build(input_shape)
        if not made:
            shape = (3, self.units)
            self.peephole = self.add_weight(shape, self.peephole_initializer, name="peephole")

    def initial_bias(self, shape: tuple[int, ...], dtype: object = None) -> Array:
        bias = np.array(super().initial_bias(shape, dtype))
        if self.unit_forget_bias:
            bias[self.units : 2 * self.units] = 1
        return bias

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
        p_i, p_f, p_o = self.peephole.snapshot() if call.differentiable else self.peephole.value
        projected, inputs_vjp = masked_product(inputs, kernel, masks.inputs)
        recurrent, h_vjp = masked_product(h_previous, recurrent_kernel, masks.recurrent)
        z = projected + recurrent
        if self.bias is not None:
            z += self.bias.value
        z_i, z_f, z_g, z_o = np.split(z, 4, axis=-1)
        z_i, z_f = z_i + p_i * c_previous, z_f + p_f * c_previous
        i, f, g = gate.function(z_i), gate.function(z_f), act.function(z_g)
        c = f * c_previous + i * g
        z_o = z_o + p_o * c
        o = gate.function(z_o)
        c_act = act_of_state.function(c)
        h = o * c_act
        if not call.differentiable:
            return (h, (h, c)), None

        def vjp(d_output: Array, d_states: States, grads: Gradients) -> tuple[Array, States]:
            d_h = d_output + d_states[0]
            d_o = gate.backward(z_o, o, d_h * c_act)
            d_c = d_states[1] + act_of_state.backward(c, c_act, d_h * o) + d_o * p_o
            d_i = gate.backward(z_i, i, d_c * g)
            d_f = gate.backward(z_f, f, d_c * c_previous)
            d_z = np.concatenate([d_i, d_f, act.backward(z_g, g, d_c * i), d_o], axis=-1)
            d_inputs, d_kernel = inputs_vjp(d_z)
            d_h_previous, d_recurrent_kernel = h_vjp(d_z)
            grads.add(self.kernel, d_kernel)
            grads.add(self.recurrent_kernel, d_recurrent_kernel)
            self.add_bias_gradient(d_z, grads)
            seen = [(d_i * c_previous), (d_f * c_previous), (d_o * c)]
            grads.add(self.peephole, np.stack([each.sum(axis=0) for each in seen]))
            return d_inputs, (d_h_previous, d_c * f + d_i * p_i + d_f * p_f)

        return (h, (h, c)), vjp
