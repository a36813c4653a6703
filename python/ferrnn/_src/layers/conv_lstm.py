"""The convolutional LSTM over sequences of rows of places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ferrnn._src.cells.conv_lstm import ConvLSTMCell, Window
from ferrnn._src.layer.layer import Call, Vjp
from ferrnn._src.layers.built_in import BuiltInRNN, cell_setting
from ferrnn._src.layers.checks import checked_data_format, checked_padding, tuple_of


class ConvLSTM1D(BuiltInRNN):
    """A convolutional LSTM: `[batch, time, length, features]` to `[batch, windows, filters]`.

    With `return_sequences` the outputs are `[batch, time, windows, filters]`; with `return_state`
    h and c follow. Inputs are convolved with `kernel_size`, `strides`, `padding` ("valid" or
    "same") and `dilation_rate`, states with "same" padding. With "channels_first", features and
    filters precede places. See `LSTMCell` for the equations. It runs step by step in NumPy.

    >>> ConvLSTM1D(4, 3)(np.ones((2, 5, 8, 3))).shape
    (2, 6, 4)
    """

    cell_class = ConvLSTMCell
    cell: ConvLSTMCell

    filters = cell_setting("filters")
    recurrent_activation: Any
    unit_forget_bias: bool

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        **kwargs: Any,
    ) -> None:
        self.kernel_size = tuple_of(kernel_size, 1, "kernel_size")
        self.strides = tuple_of(strides, 1, "strides")
        self.padding = checked_padding(padding)
        self.data_format = checked_data_format(data_format)
        self.dilation_rate = tuple_of(dilation_rate, 1, "dilation_rate")
        if self.strides[0] > 1 and self.dilation_rate[0] > 1:
            raise ValueError(
                "Specifying `strides > 1` is not compatible with `dilation_rate > 1`. "
                f"Received: strides={self.strides} and dilation_rate={self.dilation_rate}"
            )
        window = (self.kernel_size[0], self.strides[0], self.padding, self.dilation_rate[0])
        super().__init__(locals(), filters=filters, window=Window(*window))
        self._rank = 4
        self._places: int | None = None

    def build(self, input_shape: Any) -> None:
        shape = tuple(input_shape)
        if len(shape) != 4 or None in shape[2:] or 0 in shape[2:]:
            raise ValueError(
                f"layer {self.name!r} must be built for `[batch, time, length, features]` of known "
                f"length and features, received the shape {shape}"
            )
        batch, time, places, features = self._last(shape)
        if not self.cell.windows(places):
            raise ValueError(
                f"layer {self.name!r} must be built for places enough for one window of "
                f"{self.kernel_size[0]} taps, received the shape {shape}"
            )
        self._places = places
        super().build((batch, time, places, features))

    def _last(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """A shape with places and features in the other order, if features come first."""
        if self.data_format == "channels_last":
            return shape
        return (*shape[:-2], shape[-1], shape[-2])

    def _turned(self, returned: Any) -> Any:
        """Arrays with places and features in the other order, if features come first."""
        if self.data_format == "channels_last" or returned is None:
            return returned
        if isinstance(returned, tuple):
            return tuple(self._turned(part) for part in returned)
        return np.ascontiguousarray(np.swapaxes(returned, -1, -2))

    def forward(self, inputs: Any, call: Call) -> tuple[Any, Vjp | None]:
        """Outputs and vjp for sequences, or for a tuple of sequences and initial states."""
        sequences = inputs[0] if type(inputs) is tuple else inputs
        if not self.built:
            self.build(sequences.shape)
        shape = self._last(sequences.shape)
        if sequences.ndim != 4 or not shape[1] or shape[2] != self._places:
            raise ValueError(
                f"the inputs of layer {self.name!r} must be `[batch, time, length, features]` with "
                f"at least one step and the length {self._places}, received the shape "
                f"{sequences.shape} ({self.data_format})"
            )
        returned, vjp = super().forward(self._turned(inputs), call)
        if vjp is None or self.data_format == "channels_last":
            return self._turned(returned), vjp
        inner = vjp
        return self._turned(returned), lambda d, grads: self._turned(inner(self._turned(d), grads))

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, time, places, _ = self._last(tuple(input_shape))
        windows = None if places is None else self.cell.windows(places)
        state = self._last((batch, windows, self.filters))
        outputs = (batch, time, *state[1:]) if self.return_sequences else state
        return (outputs, state, state) if self.return_state else outputs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}
