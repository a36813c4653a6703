"""The convolutional LSTM (Shi et al., 2015), over one axis of places."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ferrnn._src.cells.convolution import Convolution
from ferrnn._src.cells.lstm import LSTMCell
from ferrnn._src.cells.product import ProductVjp
from ferrnn._src.cells.protocol import DropoutMasks, States
from ferrnn._src.tree.types import Array


class Window(NamedTuple):
    """How the inputs are convolved; recurrent convolutions have stride 1 and "same" padding."""

    size: int
    stride: int
    padding: str
    dilation: int


class ConvLSTMCell(LSTMCell):
    """One step of an LSTM whose products are convolutions: inputs `[batch, length, features]`.

    `z = conv(x, kernel) + conv(h, recurrent_kernel) + bias`, then as `LSTMCell`; states h and c
    are `[batch, windows, filters]`.

    >>> cell = ConvLSTMCell(4, Window(3, 1, "valid", 1))
    >>> cell.build((None, 8, 2))
    >>> cell.get_initial_state(5)[0].shape
    (5, 6, 4)
    """

    def __init__(self, filters: int, window: Window, **settings: Any) -> None:
        super().__init__(filters, **settings)
        self.implementation = 1  # each gate has its own dropout masks
        self.filters, self.window = self.units, window
        self._inputs = Convolution(window.size, window.stride, window.dilation, window.padding)
        self._states = Convolution(window.size, padding="same")
        self._shape: tuple[int, int] = (0, 0)

    def build(self, input_shape: Any) -> None:
        """Makes the weights for inputs `[batch, length, features]`."""
        if self._own_weights:
            return
        _, length, features = input_shape
        self._shape = (length, features)
        width = 4 * self.filters
        self.kernel = self.add_weight(
            (self.window.size, features, width),
            self.kernel_initializer,
            name="kernel",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.recurrent_kernel = self.add_weight(
            (self.window.size, self.filters, width),
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

    def windows(self, length: int) -> int:
        """The length of the states, for inputs of so many places."""
        return self._inputs.windows(length)

    def get_initial_state(self, batch_size: int | None = None) -> list[Array]:
        """Zeros `[batch, windows, filters]` for h and c."""
        if batch_size is None:
            raise ValueError(f"`batch_size` of the cell {self.name!r} must be given")
        shape = (batch_size, self.windows(self._shape[0]), self.filters)
        return [np.zeros(shape, self.dtype), np.zeros(shape, self.dtype)]

    def draw_dropout(self, batch: int, features: int) -> DropoutMasks | None:
        length, features = self._shape
        inputs = self._draw(self.dropout, (4, batch, length, features))
        of_states = (4, batch, self.windows(length), self.filters)
        recurrent = self._draw(self.recurrent_dropout, of_states)
        if inputs is None and recurrent is None:
            return None
        return DropoutMasks(inputs, recurrent)

    def project(self, inputs: Array, mask: Array | None, kernel: Array) -> tuple[Array, ProductVjp]:
        return self._inputs.apply(inputs, kernel, mask)

    def recur(self, h: Array, mask: Array | None, kernel: Array) -> tuple[Array, ProductVjp]:
        return self._states.apply(h, kernel, mask)

    def _check_step(self, inputs: Array, states: States) -> None:
        """The layer has checked them."""

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["units"]
        size, stride, padding, dilation = self.window
        return {
            **config,
            "filters": self.filters,
            "kernel_size": (size,),
            "strides": (stride,),
            "padding": padding,
            "dilation_rate": (dilation,),
        }
