"""The minimal gated unit (Zhou et al., 2016)."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ferrnn._src.cells.base import NO_DROPOUT, BuiltInCell
from ferrnn._src.cells.product import masked_product
from ferrnn._src.cells.protocol import Dropout, DropoutMasks, States, StepVjp
from ferrnn._src.layer.layer import Call
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients


class MinimalGatedCell(BuiltInCell):
    """One step of a minimal gated unit: a GRU with one gate, which both resets and updates.

    `x = inputs kernel + bias` in blocks f, g of `units` columns;
    `f = s(x_f + h recurrent_kernel_f)`, `g = a(x_g + (f h) recurrent_kernel_g)`,
    `h' = (1 - f) h + f g`; the output is h'. Zhou et al., "Minimal Gated Unit for Recurrent Neural
    Networks" (2016).

    >>> cell = MinimalGatedCell(4)
    >>> output, (h,) = cell(np.ones((2, 3)), cell.get_initial_state(2))
    >>> output.shape
    (2, 4)
    """

    native_name: ClassVar[str] = "minimal_gated"
    gates: ClassVar[int] = 2
    gated: ClassVar[tuple[int, ...]] = (0,)

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

    def step(
        self, inputs: Array, states: States, call: Call, dropout: Dropout = None
    ) -> tuple[tuple[Array, States], StepVjp | None]:
        """One step; see the class."""
        (h,) = states
        masks = dropout if isinstance(dropout, DropoutMasks) else NO_DROPOUT
        gate_mask, candidate_mask = _split_mask(masks.recurrent)
        act = self.on_sums(self.activation)
        gate = self.on_sums(self.recurrent_activation)
        kernel, recurrent_kernel = self.kernels(call)
        of_gate, of_candidate = np.split(recurrent_kernel, 2, axis=1)
        x, inputs_vjp = masked_product(inputs, kernel, masks.inputs)
        if self.bias is not None:
            x += self.bias.value
        x_f, x_g = np.split(x, 2, axis=1)
        u_f, gate_vjp = masked_product(h, of_gate, gate_mask)
        before_f = x_f + u_f
        f = gate.function(before_f)
        u_g, candidate_vjp = masked_product(f * h, of_candidate, candidate_mask)
        before_g = x_g + u_g
        g = act.function(before_g)
        output = (1 - f) * h + f * g
        if not call.differentiable:
            return (output, (output,)), None

        def vjp(d_output: Array, d_states: States, grads: Gradients) -> tuple[Array, States]:
            d_h = d_output + d_states[0]
            d_g = act.backward(before_g, g, d_h * f)
            d_reset, d_candidate_kernel = candidate_vjp(d_g)
            d_f = gate.backward(before_f, f, d_h * (g - h) + d_reset * h)
            d_previous, d_gate_kernel = gate_vjp(d_f)
            d_x = np.concatenate([d_f, d_g], axis=1)
            d_inputs, d_kernel = inputs_vjp(d_x)
            grads.add(self.kernel, d_kernel)
            grads.add(
                self.recurrent_kernel,
                np.concatenate([d_gate_kernel, d_candidate_kernel], axis=1),
            )
            self.add_bias_gradient(d_x, grads)
            return d_inputs, (d_previous + d_reset * f + d_h * (1 - f),)

        return (output, (output,)), vjp


def _split_mask(mask: Array | None) -> tuple[Array | None, Array | None]:
    """The masks for the gate, and for the candidate."""
    if mask is None or len(mask) == 1:
        return mask, mask
    return mask[:1], mask[1:]
