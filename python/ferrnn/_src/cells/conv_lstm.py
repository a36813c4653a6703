"""The convolutional LSTM (Shi et al., 2015), over any number of axes of places."""

from __future__ import annotations

from typing import Any

import numpy as np

from ferrnn._src.activations.activations import Activation, Function
from ferrnn._src.cells.lstm import LinearVjp, LSTMCell
from ferrnn._src.cells.protocol import Dropout, DropoutMasks, States, StepVjp
from ferrnn._src.convolution.frames import Axis, as_lines, axes_of
from ferrnn._src.convolution.geometry import Geometry
from ferrnn._src.convolution.product import Packed, convolution, kernel_gradient
from ferrnn._src.layer.layer import Call
from ferrnn._src.native import DenseWeights, conv_lstm_step
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients, Parameter


class ConvLSTMCell(LSTMCell):
    """One step of an LSTM whose products are convolutions: inputs `[batch, *places, features]`.

    `z = conv(x, kernel) + conv(h, recurrent_kernel) + bias`, then as `LSTMCell`; states h and c
    are `[batch, *windows, filters]`. Recurrent convolutions have stride 1 and "same" padding.

    >>> cell = ConvLSTMCell(4, Geometry((3, 3), (1, 2), (1, 1), "valid"))
    >>> cell.build((None, 8, 9, 2))
    >>> cell.get_initial_state(5)[0].shape
    (5, 6, 4, 4)
    """

    def __init__(self, filters: int, window: Geometry, **settings: Any) -> None:
        super().__init__(filters, **settings)
        self.implementation = 1  # each gate has its own dropout masks
        self.filters, self.window = self.units, window
        ones = (1,) * len(window.size)
        self._of_states = Geometry(window.size, ones, ones, "same")
        self._shape: tuple[int, ...] = ()
        self._packed_inputs, self._packed_recurrent = Packed(), Packed()

    def build(self, input_shape: Any) -> None:
        """Makes the weights for inputs `[batch, *places, features]`."""
        if self._own_weights:
            return
        self._shape = tuple(input_shape)[1:]
        width = 4 * self.filters
        self.kernel = self.add_weight(
            (*self.window.size, self._shape[-1], width),
            self.kernel_initializer,
            name="kernel",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.recurrent_kernel = self.add_weight(
            (*self.window.size, self.filters, width),
            self.recurrent_initializer,
            name="recurrent_kernel",
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                (width,),
                self.initial_bias,
                name="bias",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def get_initial_state(self, batch_size: int | None = None) -> list[Array]:
        """Zeros `[batch, *windows, filters]` for h and c."""
        if batch_size is None:
            raise ValueError(f"`batch_size` of the cell {self.name!r} must be given, received None")
        shape = (batch_size, *self.window.counts(self._shape[:-1]), self.filters)
        return [np.zeros(shape, self.dtype), np.zeros(shape, self.dtype)]

    def draw_dropout(self, batch: int, features: int) -> DropoutMasks | None:
        inputs = self._draw(self.dropout, (4, batch, *self._shape))
        of_states = (4, batch, *self.window.counts(self._shape[:-1]), self.filters)
        recurrent = self._draw(self.recurrent_dropout, of_states)
        if inputs is None and recurrent is None:
            return None
        return DropoutMasks(inputs, recurrent)

    def step(
        self, inputs: Array, states: States, call: Call, dropout: Dropout = None
    ) -> tuple[tuple[Array, States], StepVjp | None]:
        """One step; see the class. Without a vjp it runs entirely in the engine."""
        axes = None if call.differentiable or dropout is not None else self._engine_axes(inputs)
        if axes is None:
            return super().step(inputs, states, call, dropout)
        h, c = states
        arrays = as_lines(inputs), as_lines(h), as_lines(c)
        names = self.activation.__name__, self.recurrent_activation.__name__
        h, c = conv_lstm_step(self.packed_kernels(), arrays, *axes, names)
        return (h, (h, c)), None

    def _engine_axes(self, inputs: Array) -> tuple[Axis, Axis] | None:
        """The windows' geometry, if the engine supports all that a step needs."""
        if inputs.ndim != 4 or self.clip is not None:
            return None
        for function in (self.activation, self.recurrent_activation):
            if type(function) is not Activation or not function.native:
                return None
        return axes_of(inputs.shape[1:-1], self.window)

    def linear(
        self, inputs: Array, h: Array, masks: DropoutMasks, call: Call
    ) -> tuple[Array, LinearVjp]:
        kernel, recurrent = self.kernel, self.recurrent_kernel
        of_x = _Masked(
            self._packed_inputs, kernel, self.bias, inputs, masks.inputs, self.window, call
        )
        of_h = _Masked(
            self._packed_recurrent, recurrent, None, h, masks.recurrent, self._of_states, call
        )

        def vjp(d_z: Array, grads: Gradients) -> tuple[Array, Array]:
            d_inputs = of_x.backward(d_z, grads, call.inputs_need_gradient)
            return d_inputs, of_h.backward(d_z, grads, inputs_wanted=True)

        return of_x.made.outputs + of_h.made.outputs, vjp

    @property
    def window_of_states(self) -> Geometry:
        """The windows of the recurrent convolution."""
        return self._of_states

    def packed_kernels(self) -> tuple[DenseWeights, DenseWeights]:
        """The kernel with the bias, and the recurrent kernel, packed for the engine."""
        (kernel,) = self._packed_inputs.of(self.kernel, self.bias)
        (recurrent,) = self._packed_recurrent.of(self.recurrent_kernel, None)
        return kernel, recurrent

    def function(self, activation: Any) -> Function:
        """The activation as layers compute it, in the engine where possible."""
        applied: Function = activation.of_layer
        return applied

    def _check_step(self, inputs: Array, states: States) -> None:
        """Does nothing: the layer has checked the shapes."""

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["units"]
        size, strides, dilation, padding = self.window
        return {
            **config,
            "filters": self.filters,
            "kernel_size": size,
            "strides": strides,
            "padding": padding,
            "dilation_rate": dilation,
        }


class _Masked:
    """The convolution of inputs, or states, with their kernel.

    With a mask `[gates, batch, *places, features]` each gate sees its own inputs.
    """

    def __init__(
        self,
        packed: Packed,
        kernel: Parameter,
        bias: Parameter | None,
        inputs: Array,
        mask: Array | None,
        geometry: Geometry,
        call: Call,
    ) -> None:
        self.kernel, self.bias, self.mask = kernel, bias, mask
        blocks = [inputs] if mask is None else [inputs * own for own in mask]
        weights = packed.of(kernel, bias, blocks=len(blocks))
        self.made = convolution(weights, blocks, geometry, call.differentiable)

    def backward(self, d_z: Array, grads: Gradients, inputs_wanted: bool) -> Any:
        """The gradient for the inputs, if wanted; adds those for the weights to `grads`."""
        d_blocks, d_matrix, d_bias = self.made.backward(d_z, inputs_wanted)
        grads.add(self.kernel, kernel_gradient(d_matrix, self.kernel.shape))
        if self.bias is not None and d_bias is not None:
            grads.add(self.bias, d_bias)
        if self.mask is None or not inputs_wanted:
            return d_blocks[0]
        return np.sum([own * d for own, d in zip(self.mask, d_blocks, strict=True)], axis=0)
