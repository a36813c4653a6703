"""LSTM with a projection (Sak et al., 2014)."""

from __future__ import annotations

from typing import Any, ClassVar

from ferrnn._src.cells.base import BuiltInCell, NativeWeights
from ferrnn._src.cells.lstm import LSTMCell
from ferrnn._src.cells.protocol import Dropout, States, StepVjp
from ferrnn._src.layer.layer import Call
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients, Parameter


class ProjectedLSTMCell(LSTMCell):
    """One step of an LSTM whose output is projected to fewer elements.

    `z = x kernel + h recurrent_kernel + bias`, in blocks i, f, g, o of `units` columns;
    `c' = s(f) c + s(i) a(g)`, `h' = (s(o) a(c')) projection_kernel`; the output is h', of
    `projection_units` elements, at most as many as units. Sak et al., "Long Short-Term Memory
    Recurrent Neural Network Architectures for Large Scale Acoustic Modeling" (2014); PyTorch's
    `proj_size`.

    >>> import numpy as np
    >>> cell = ProjectedLSTMCell(4, 2)
    >>> output, (h, c) = cell(np.ones((5, 3)), cell.get_initial_state(5))
    >>> output.shape, c.shape, cell.recurrent_kernel.shape, cell.projection_kernel.shape
    ((5, 2), (5, 4), (2, 16), (4, 2))
    """

    native_name: ClassVar[str] = "lstm"

    projection_units: int
    projection_initializer: Any
    projection_kernel: Parameter

    def __init__(
        self,
        units: int,
        projection_units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        projection_initializer: Any = "glorot_uniform",
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
        BuiltInCell.__init__(self, locals())
        if self.projection_units > self.units:
            raise ValueError(
                f"`projection_units` of {self.name!r} must be at most `units`, {self.units}, "
                f"received {self.projection_units}"
            )
        self.state_size = [self.projection_units, self.units]

    @property
    def output_size(self) -> int:
        """The length of the output."""
        return self.projection_units

    @property
    def recurrent_shape(self) -> tuple[int, ...]:
        return (self.projection_units, self.gates * self.units)

    @property
    def native_weights(self) -> NativeWeights:
        return super().native_weights._replace(projection=self.projection_kernel)

    def build(self, input_shape: Any) -> None:
        """Makes the weights for inputs `[batch, features]`."""
        made = bool(self._own_weights)
        super().build(input_shape)
        if not made:
            shape = (self.units, self.projection_units)
            self.projection_kernel = self.add_weight(
                shape, self.projection_initializer, name="projection_kernel"
            )

    def step(
        self, inputs: Array, states: States, call: Call, dropout: Dropout = None
    ) -> tuple[tuple[Array, States], StepVjp | None]:
        """One step; see the class."""
        kernel = self.projection_kernel
        projection = kernel.snapshot() if call.differentiable else kernel.value
        (whole, (_, c)), inner = super().step(inputs, states, call, dropout)
        h = whole @ projection
        if inner is None:
            return (h, (h, c)), None

        def vjp(d_output: Array, d_states: States, grads: Gradients) -> tuple[Array, States]:
            d_h = d_output + d_states[0]
            grads.add(kernel, whole.T @ d_h)
            d_whole = d_h @ projection.T
            return inner(d_whole, (d_whole * 0, d_states[1]), grads)

        return (h, (h, c)), vjp
