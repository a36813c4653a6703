"""The convolutional LSTM over sequences of rows of places, and of frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ferrnn._src.cells.conv_lstm import ConvLSTMCell
from ferrnn._src.convolution.geometry import Geometry
from ferrnn._src.layer.layer import Call, Vjp
from ferrnn._src.layers.built_in import BuiltInRNN, cell_setting
from ferrnn._src.layers.checks import checked_data_format, checked_padding, tuple_of
from ferrnn._src.sequence.stream import Stream


class ConvLSTM(BuiltInRNN):
    """A convolutional LSTM over `rank` axes of places."""

    cell_class = ConvLSTMCell
    cell: ConvLSTMCell
    rank: ClassVar[int]

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
        given = locals()  # as passed to the constructor
        self.kernel_size = tuple_of(kernel_size, self.rank, "kernel_size")
        self.strides = tuple_of(strides, self.rank, "strides")
        self.padding = checked_padding(padding)
        self.data_format = checked_data_format(data_format)
        self.dilation_rate = tuple_of(dilation_rate, self.rank, "dilation_rate")
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                "Specifying `strides > 1` is not compatible with `dilation_rate > 1`. "
                f"Received: strides={self.strides} and dilation_rate={self.dilation_rate}"
            )
        window = Geometry(self.kernel_size, self.strides, self.dilation_rate, self.padding)
        super().__init__(given, filters=filters, window=window)
        self._rank = self.rank + 3
        self._places: tuple[int, ...] = ()

    @property
    def _wanted(self) -> str:
        return f"`[batch, time, {'length' if self.rank == 1 else 'height, width'}, features]`"

    @property
    def _what(self) -> str:
        return "length" if self.rank == 1 else "height and width"

    def build(self, input_shape: Any) -> None:
        shape = tuple(input_shape)
        if len(shape) != self._rank or None in shape[2:] or 0 in shape[2:]:
            known = "length and features" if self.rank == 1 else "height, width and features"
            raise ValueError(
                f"layer {self.name!r} must be built for {self._wanted} of known {known}, received "
                f"the shape {shape}"
            )
        batch, time, *places, features = self._last(shape)
        if not all(self.cell.window.counts(places)):
            taps = self.kernel_size[0] if self.rank == 1 else self.kernel_size
            raise ValueError(
                f"layer {self.name!r} must be built for at least {taps} places along each axis, "
                f"one window of the kernel, received the shape {shape}"
            )
        self._places = tuple(places)
        super().build((batch, time, *places, features))

    def _last(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """A shape with its features last, whatever the `data_format`."""
        if self.data_format == "channels_last":
            return shape
        at = len(shape) - self.rank
        return (*shape[: at - 1], *shape[at:], shape[at - 1])

    def _first(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """The inverse of `_last`."""
        if self.data_format == "channels_last":
            return shape
        at = len(shape) - self.rank - 1
        return (*shape[:at], shape[-1], *shape[at:-1])

    def _features_last(self, given: Any) -> Any:
        """Arrays with their features last, whatever the `data_format`."""
        return self._turned(given, -self.rank - 1, -1)

    def _features_first(self, given: Any) -> Any:
        """The inverse of `_features_last`."""
        return self._turned(given, -1, -self.rank - 1)

    def _turned(self, given: Any, source: int, to: int) -> Any:
        if self.data_format == "channels_last" or given is None:
            return given
        if isinstance(given, tuple):
            return tuple(self._turned(part, source, to) for part in given)
        return np.ascontiguousarray(np.moveaxis(given, source, to))

    def forward(self, inputs: Any, call: Call) -> tuple[Any, Vjp | None]:
        """Outputs and vjp for sequences, or for a tuple of sequences and initial states."""
        sequences = inputs[0] if type(inputs) is tuple else inputs
        if not self.built:
            self.build(sequences.shape)
        places = self._last(sequences.shape)[2:-1]
        if sequences.ndim != self._rank or not sequences.shape[1] or places != self._places:
            known = self._places[0] if self.rank == 1 else self._places
            raise ValueError(
                f"the inputs of layer {self.name!r} must be {self._wanted} with at least one step "
                f"and the {self._what} {known}, received the shape {sequences.shape} "
                f"({self.data_format})"
            )
        returned, vjp = super().forward(self._features_last(inputs), call)
        if vjp is None or self.data_format == "channels_last":
            return self._features_first(returned), vjp
        inner = vjp

        def turned(d_returned: Any, grads: Any) -> Any:
            return self._features_first(inner(self._features_last(d_returned), grads))

        return self._features_first(returned), turned

    def stream(self, streams: int = 1) -> Stream:
        """Raises ValueError: only a model has the shape of a step, which a stream needs."""
        raise ValueError(
            f"layer {self.name!r} can only run in a stream as a layer of a model: "
            "`Sequential([Input((None, ...)), layer]).stream()`"
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, time, *places, _ = self._last(tuple(input_shape))
        known = [length is not None for length in places]
        counts = self.cell.window.counts([length or 1 for length in places])
        windows = [count if here else None for here, count in zip(known, counts, strict=True)]
        state = self._first((batch, *windows, self.filters))
        outputs = (batch, time, *state[1:]) if self.return_sequences else state
        return (outputs, state, state) if self.return_state else outputs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


class ConvLSTM1D(ConvLSTM):
    """A convolutional LSTM: `[batch, time, length, features]` to `[batch, windows, filters]`.

    With `return_sequences` the outputs are `[batch, time, windows, filters]`; with `return_state`
    h and c follow. Inputs are convolved with `kernel_size`, `strides`, `padding` ("valid" or
    "same") and `dilation_rate`, states with "same" padding. With "channels_first", features and
    filters precede places. See `LSTMCell` for the equations. The engine computes each step.

    >>> ConvLSTM1D(4, 3)(np.ones((2, 5, 8, 3))).shape
    (2, 6, 4)
    """

    rank: ClassVar[int] = 1


class ConvLSTM2D(ConvLSTM):
    """A convolutional LSTM: `[batch, time, height, width, features]` to `[batch, ..., filters]`.

    With `return_sequences` the outputs are `[batch, time, rows, columns, filters]`; with
    `return_state` h and c follow. Inputs are convolved with `kernel_size`, `strides`, `padding`
    ("valid" or "same") and `dilation_rate`, states with "same" padding. With "channels_first",
    features and filters precede places. See `LSTMCell` for the equations. The engine computes
    each step.

    >>> ConvLSTM2D(4, 3, return_sequences=True)(np.ones((2, 5, 8, 7, 3))).shape
    (2, 5, 6, 5, 4)
    """

    rank: ClassVar[int] = 2
