"""GRU (Cho et al., 2014), with the reset gate before or after the recurrent product."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ferrnn._src.cells.base import NO_DROPOUT, BuiltInCell
from ferrnn._src.cells.product import masked_product
from ferrnn._src.cells.protocol import Dropout, DropoutMasks, States, StepVjp
from ferrnn._src.layer.layer import Call
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients


class GRUCell(BuiltInCell):
    """One step of a GRU: inputs `[batch, features]`, state h `[batch, units]`.

    `x = inputs kernel + bias` and `u = h recurrent_kernel` in blocks z, r, g of `units` columns;
    `z = s(x_z + u_z)`, `r = s(x_r + u_r)`, `h' = z h + (1 - z) a(g)`; the output is h'. With
    `reset_after`, `g = x_g + r u_g`, and u has a bias of its own, row 1 of the bias `[2, 3 units]`;
    without, `g = x_g + (r h) recurrent_kernel_g`.

    >>> cell = GRUCell(4)
    >>> output, (h,) = cell(np.ones((2, 3)), cell.get_initial_state(2))
    >>> output.shape
    (2, 4)
    """

    native_name: ClassVar[str] = "gru"
    gates: ClassVar[int] = 3
    gated: ClassVar[tuple[int, ...]] = (0, 1)

    recurrent_activation: Any
    reset_after: bool

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
        reset_after: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(locals())

    @property
    def bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def step(
        self, inputs: Array, states: States, call: Call, dropout: Dropout = None
    ) -> tuple[tuple[Array, States], StepVjp | None]:
        """One step; see the class."""
        masks = dropout if isinstance(dropout, DropoutMasks) else NO_DROPOUT
        inner = self._step_reset_after if self.reset_after else self._step_reset_before
        output, vjp = inner(inputs, states[0], masks, self.kernels(call))
        return (output, (output,)), vjp if call.differentiable else None

    def _step_reset_after(
        self, inputs: Array, h: Array, masks: DropoutMasks, kernels: tuple[Array, Array]
    ) -> tuple[Array, StepVjp]:
        act = self.on_sums(self.activation)
        gate = self.on_sums(self.recurrent_activation)
        x, inputs_vjp = masked_product(inputs, kernels[0], masks.inputs)
        u, h_vjp = masked_product(h, kernels[1], masks.recurrent)
        if self.bias is not None:
            x += self.bias.value[0]
            u += self.bias.value[1]
        (x_z, x_r, x_g), (u_z, u_r, u_g) = np.split(x, 3, axis=1), np.split(u, 3, axis=1)
        before_z, before_r = x_z + u_z, x_r + u_r
        z, r = gate.function(before_z), gate.function(before_r)
        before_g = x_g + r * u_g
        g = act.function(before_g)

        def vjp(d_output: Array, d_states: States, grads: Gradients) -> tuple[Array, States]:
            d_h = d_output + d_states[0]
            d_before_z = gate.backward(before_z, z, d_h * (h - g))
            d_before_g = act.backward(before_g, g, d_h * (1 - z))
            d_before_r = gate.backward(before_r, r, d_before_g * u_g)
            d_x = np.concatenate([d_before_z, d_before_r, d_before_g], axis=1)
            d_u = np.concatenate([d_before_z, d_before_r, d_before_g * r], axis=1)
            d_inputs, d_kernel = inputs_vjp(d_x)
            d_previous, d_recurrent_kernel = h_vjp(d_u)
            grads.add(self.kernel, d_kernel)
            grads.add(self.recurrent_kernel, d_recurrent_kernel)
            if self.bias is not None:
                grads.add(self.bias, np.stack([d_x.sum(axis=0), d_u.sum(axis=0)]))
            return d_inputs, (d_previous + d_h * z,)

        return z * h + (1 - z) * g, vjp

    def _step_reset_before(
        self, inputs: Array, h: Array, masks: DropoutMasks, kernels: tuple[Array, Array]
    ) -> tuple[Array, StepVjp]:
        act = self.on_sums(self.activation)
        gate = self.on_sums(self.recurrent_activation)
        edge = 2 * self.units
        gates_mask, candidate_mask = _split_mask(masks.recurrent)
        recurrent_kernel = kernels[1]
        x, inputs_vjp = masked_product(inputs, kernels[0], masks.inputs)
        if self.bias is not None:
            x += self.bias.value
        u, gates_vjp = masked_product(h, recurrent_kernel[:, :edge], gates_mask)
        before_z, before_r = np.split(x[:, :edge] + u, 2, axis=1)
        z, r = gate.function(before_z), gate.function(before_r)
        u_g, candidate_vjp = masked_product(r * h, recurrent_kernel[:, edge:], candidate_mask)
        before_g = x[:, edge:] + u_g
        g = act.function(before_g)

        def vjp(d_output: Array, d_states: States, grads: Gradients) -> tuple[Array, States]:
            d_h = d_output + d_states[0]
            d_before_z = gate.backward(before_z, z, d_h * (h - g))
            d_before_g = act.backward(before_g, g, d_h * (1 - z))
            d_reset, d_candidate_kernel = candidate_vjp(d_before_g)
            d_before_r = gate.backward(before_r, r, d_reset * h)
            d_x = np.concatenate([d_before_z, d_before_r, d_before_g], axis=1)
            d_previous, d_gates_kernel = gates_vjp(d_x[:, :edge])
            d_inputs, d_kernel = inputs_vjp(d_x)
            grads.add(self.kernel, d_kernel)
            grads.add(
                self.recurrent_kernel,
                np.concatenate([d_gates_kernel, d_candidate_kernel], axis=1),
            )
            self.add_bias_gradient(d_x, grads)
            return d_inputs, (d_previous + d_reset * r + d_h * z,)

        return z * h + (1 - z) * g, vjp


def _split_mask(mask: Array | None) -> tuple[Array | None, Array | None]:
    """The masks for gates z and r, and for the candidate."""
    if mask is None or len(mask) == 1:
        return mask, mask
    return mask[:2], mask[2:]
